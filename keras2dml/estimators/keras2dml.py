"""Keras2DML: a Keras model as an estimator that SystemDS trains and scores."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Self

import keras
from pyspark.sql import DataFrame, SparkSession

from keras2dml.compilation import Compilation, fresh
from keras2dml.data import datasets
from keras2dml.data.features import columns
from keras2dml.data.sources import draws_batches
from keras2dml.errors import positive
from keras2dml.estimators.arguments import check_kinds, is_shuffled
from keras2dml.estimators.exporting import Exporting
from keras2dml.estimators.fitting import Fitting, Measured
from keras2dml.estimators.scikit_learn import ScikitLearn
from keras2dml.estimators.systemml import SystemMLNames
from keras2dml.export import weights as folder
from keras2dml.input_shapes import InputShape
from keras2dml.notebook import PlainText
from keras2dml.systemds.explain import readable
from keras2dml.training.passes import Passes
from keras2dml.training.plan import Plan
from keras2dml.training.rates import Policy
from keras2dml.training.run import Report, Run
from keras2dml.training.steps import Training


class Keras2DML(Fitting, Exporting, SystemMLNames, ScikitLearn):
    """A Keras classifier, compiled to DML; `fit` and `predict` run on the SystemDS of a
    SparkSession.

    `keras_model` is a Sequential or functional model with an input shape. If it is not compiled, it
    gets SystemML's defaults: cross-entropy, and SGD with learning rate 0.01, momentum 0.95 and
    Nesterov momentum. The Keras model itself is never changed, and its weights are those that it
    has now: `to_keras()` returns a model with the trained weights. After `fit`, `history` has loss
    and accuracy by epoch, as in Keras' History, and `iterations` by mini-batch.
    """

    def __init__(  # noqa: PLR0913, PLR0917  (SystemML's arguments)
        self,
        spark: SparkSession,
        keras_model: keras.Model,
        input_shape: InputShape | None = None,
        transferUsingDF: bool = False,
        load_keras_weights: bool = True,
        weights: Path | str | None = None,
        labels: Path | str | None = None,
        batch_size: int = 64,
        max_iter: int = 2000,
        test_iter: int = 10,
        test_interval: int = 0,
        display: int = 100,
        lr_policy: str = "step",
        weight_decay: float = 0.0,
        regularization_type: str = "L2",
        lr_policy_parameters: Mapping[str, float] | None = None,
        seed: int = 42,
        epochs: int | None = None,
        optimizer: Mapping[str, object] | None = None,
        precision: str | None = None,
    ) -> None:
        """`input_shape` is (C, H, W), or (T, D) or (T, D, 1) for sequences: it is checked against
        the model's shape, and fixes the sizes that the model leaves open; for several inputs it is
        a list or a dict. `fit` writes its weights to the folder `weights`. Without
        `load_keras_weights` the weights are drawn from the model's initializers. `labels` is a file
        with a line `number,label` for each class, from 1; `predict` then returns labels.

        `max_iter` counts mini-batches of `batch_size`. Every `test_interval` mini-batches the loss
        and accuracy of the first `test_iter` mini-batches are measured, which are excluded from
        training; 0 turns this off. `display` is the number of iterations between reports of the
        training, 0 for none; `seed` seeds dropout and shuffling.

        The learning rate decreases with the finished epochs by `lr_policy`: fixed, step, exp, inv,
        poly or sigmoid, with gamma, step and power from `lr_policy_parameters`. `weight_decay` is
        the factor of `regularization_type`, L1 or L2, on all kernels; the gradient of L2 is the
        factor times the kernel. `transferUsingDF` has no effect.

        `epochs` is the default of `fit`. `optimizer` has arguments that replace those of the
        model's optimizer, whose state is then reset. `precision` is float32 or float64, in which
        kernels compute (see `explain`); by default it is that of the model.

        Raises UnsupportedModel with all complaints at once, InvalidData and InvalidSession.
        """
        check_kinds(locals())
        self.input_shape = input_shape
        self.transferUsingDF = transferUsingDF
        self.load_keras_weights = load_keras_weights
        self.weights, self.labels = weights, labels
        self.batch_size = positive("batch_size", batch_size)
        self.max_iter = positive("max_iter", max_iter)
        self.test_iter, self.test_interval = test_iter, test_interval
        self.display, self.seed = display, seed
        self.lr_policy, self.lr_policy_parameters = lr_policy, lr_policy_parameters
        self.weight_decay, self.regularization_type = weight_decay, regularization_type
        self._policy = Policy.of(lr_policy, lr_policy_parameters)
        self.epochs, self.optimizer = epochs, optimizer
        model = keras_model if load_keras_weights else fresh(keras_model)
        compilation = Compilation.of(model, optimizer or {}, input_shape)
        compilation = compilation.decayed(weight_decay, regularization_type)
        super().__init__(spark, keras_model, compilation, labels)
        self.precision = precision
        if precision is not None:
            self._set_option(precision=precision)

    def fit(  # noqa: PLR0913, PLR0917  (Keras' arguments)
        self,
        X: object,
        y: object = None,
        batch_size: int | None = None,
        epochs: int | None = None,
        verbose: int | str | None = None,
        callbacks: keras.callbacks.Callback | Sequence[keras.callbacks.Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: Sequence[object] | DataFrame | None = None,
        shuffle: bool | str | None = None,
        class_weight: Mapping[Any, float] | None = None,
        sample_weight: object = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Collection[int] = 1,
        report: Report | None = None,
        checkpoint: Path | str | None = None,
    ) -> Self:
        """Train from the current weights and the current state of the optimizer.

        X is (N, *shape) in the model's layout, or rows (N, D) in SystemML's order C,H,W; y is (N,)
        class labels, (N, K) probabilities, or numbers. The other arguments are Keras'. `epochs`
        replaces `max_iter`, and then rows are shuffled unless `shuffle` is False; without `epochs`
        they keep their order, as in SystemML. For a DataFrame, y and `sample_weight` are column
        names; it is moved to the driver only if it fits. `report` is called with the iterations
        since its last call, instead of showing a progress bar. As in Keras, an epoch of
        `steps_per_epoch` batches is the next ones of a pass over the rows. With a folder
        `checkpoint`, the same call resumes a killed run. X may yield batches, such as a
        `tf.data.Dataset`, which then include y; each epoch is read when it begins.
        Raises InvalidData, and InvalidSession on a GPU, before anything runs.

        Returns this estimator, which has the attributes of Keras' History: `history` and `epoch`.
        """
        epochs = self.epochs if epochs is None else epochs
        size = positive("batch_size", self.batch_size if batch_size is None else batch_size)
        measured = Measured(
            validation_data,
            validation_split,
            validation_batch_size or size,
            validation_steps,
            validation_freq,
        )
        self._check_trainable(measured, steps_per_epoch=steps_per_epoch)
        state = self._state or self._compilation.state(self._matrices, self._steps)
        tables, passes, by_class = self._tables, None, class_weight is not None
        if draws_batches(X):
            datasets.check_alone(
                self._algorithm,
                y=y,
                sample_weight=sample_weight,
                validation_split=validation_split or None,
                test_interval=self.test_interval or None,
                checkpoint=checkpoint,
            )
            count = None if epochs is None else epochs - initial_epoch
            drawing = steps_per_epoch, count, self._file_classes, class_weight
            passes = Passes(self._compilation, X, *drawing, shuffle=shuffle is not False)
            size = passes.size
        elif not isinstance(X, DataFrame):
            tables = columns(X, self._graph.takes, tables)
            X = self._in_columns(X, tables)
        with ExitStack() as stack:
            examples = X, y, self._file_classes, sample_weight, class_weight
            data = passes.first if passes else self._examples(*examples)
            stack.enter_context(closing(data))
            tests = (self.test_iter if self.test_interval else 0), size
            data, validation, tested = self._held_out(
                stack, data, tables, measured, tests, by_class=by_class
            )
            self._algorithm.check_split(self._compilation, size, data.rows)
            self._check_sums(size, data.rows, validation)
            plan = Plan.of(
                self._algorithm,
                passes.count * size if passes else data.rows,
                size,
                self.max_iter,
                epochs,
                initial_epoch,
                self.test_interval if tested else 0,
                by_epoch=epochs is not None or bool(validation or callbacks or passes),
                steps=steps_per_epoch,
            )
            training = Training(
                self._systemds,
                self._compilation,
                {**self._matrices, **state},
                passes.segment(0).data if passes else data,
                self._steps,
                self.seed,
                self._algorithm,
                self._policy,
                shuffled=is_shuffled(shuffle, epochs is not None) and not passes,
                rate=self._rate,
                passes=passes,
            )
            stack.enter_context(closing(training))
            self._print_script(training.script)
            run = Run(training, plan, tested, validation, report=report)
            self._prepare(run, callbacks, verbose, checkpoint, self.seed)
            self._tables = tables
            self._classes = self._file_classes or [target.classes for target in data.targets]
            self._carry_out(run, verbose, self.display)
        if self.weights is not None:
            self.save(self.weights)
        return self

    def explain(self, rows: int, *, training: bool = False, full: bool = False) -> str:
        """How SystemDS would train on so many rows, or score them: each operator, and whether it
        runs on the driver (CP), on Spark or on a GPU, as it is chosen by sizes and memory. The
        first lines name the functions that kernels run instead, or why they do not. A `full`
        plan is SystemDS' own text, with the types of operands and the life of each variable.
        """
        positive("rows", rows)
        script, shapes = (
            self._compilation.training_plan(rows, self.batch_size, self._algorithm)
            if training
            else self.compiled().plan(rows)
        )
        plan = self._systemds.plan(script, shapes)
        return PlainText(plan if full else readable(plan))

    def close(self) -> None:
        """Give up what is in the JVM, and remove the folder of weights that `fit` wrote."""
        self._forget()
        if self.weights is not None:
            folder.remove(Path(self.weights))
