"""What SystemML's estimators had beside fit and predict: settings, scripts and folders, under
their names.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from keras2dml.estimators.estimator import Estimator
from keras2dml.export import weights as folder
from keras2dml.scripts.algorithms import Algorithm


class SystemMLNames(Estimator):
    """The setters of SystemML's `mllearn`; each changes the estimator and returns it."""

    def set(
        self,
        debug: bool | None = None,
        train_algo: str | None = None,
        test_algo: str | None = None,
        parallel_batches: int | None = None,
        output_activations: Path | str | None = None,
        perform_one_hot_encoding: bool | None = None,
        parfor_parameters: Mapping[str, object] | None = None,
        inline_nn_library: bool | None = None,
        use_builtin_lstm_fn: bool | None = None,
        paramserv_parameters: Mapping[str, str] | None = None,
    ) -> Self:
        """Change what is given; None leaves a setting as it is.

        `train_algo` is minibatch, batch, looped_minibatch, allreduce, allreduce_parallel_batches or
        paramserv, `test_algo` minibatch, batch, allreduce or allreduce_parallel_batches.
        `parallel_batches` are the parts of a step, or workers of the parameter server, by default
        as many as the session has cores; `paramserv_parameters` are its `mode`, LOCAL or
        REMOTE_SPARK, and `utype`, BSP or ASP. `debug` prints the scripts, and `output_activations`
        is a folder for what every layer makes of the rows that are scored.
        The others need no setting any more: labels of both kinds are taken as they are, and a
        script has its library in it. Raises InvalidData.
        """
        settings: dict[str, Any] = {
            "train": train_algo,
            "test": test_algo,
            "parallel": parallel_batches,
            "parfor": parfor_parameters,
            "paramserv": paramserv_parameters,
        }
        changed = {name: value for name, value in settings.items() if value is not None}
        if self._algorithm == Algorithm():
            changed.setdefault("parallel", self.spark.sparkContext.defaultParallelism)
        self._algorithm = replace(self._algorithm, **changed).checked()
        self._debug = self._debug if debug is None else debug
        if output_activations is not None:
            self._activations = Path(output_activations)
        self._forget()
        return self

    def setGPU(self, enable: bool) -> Self:
        """Let SystemDS score on a GPU where that is faster. Raises InvalidSession if there is none;
        so does `fit` while it is set.
        """
        return self._set_option(gpu=enable, force_gpu=False)

    def setForceGPU(self, enable: bool) -> Self:
        """Have SystemDS score on a GPU whatever it can. Raises InvalidSession if there is none; so
        does `fit` while it is set.
        """
        return self._set_option(gpu=enable, force_gpu=enable)

    def setExplain(self, explain: bool) -> Self:
        """Print the plan of each script that is run."""
        return self._set_option(explained=explain)

    def setExplainLevel(self, explainLevel: str) -> Self:
        """How the plan is printed: hops, runtime, recompile_hops or recompile_runtime."""
        return self._set_option(level=explainLevel)

    def setStatistics(self, statistics: bool) -> Self:
        """Print the statistics of each script that is run."""
        return self._set_option(statistics=statistics)

    def setStatisticsMaxHeavyHitters(self, maxHeavyHitters: int) -> Self:
        """How many of the slowest instructions the statistics have."""
        return self._set_option(heavy_hitters=maxHeavyHitters)

    def setExecutionType(self, place: str) -> Self:
        """Where operators run: DRIVER, SPARK, or, chosen by sizes and memory, DRIVER_AND_SPARK."""
        return self._set_option(place=place)

    def setConfigProperty(self, propertyName: str, propertyValue: str) -> Self:
        """Set one of SystemDS' own properties, such as `sysds.native.blas`."""
        properties = {**self._systemds.options.properties, propertyName: str(propertyValue)}
        return self._set_option(properties=properties)

    def _set_option(self, **changed: Any) -> Self:
        options = replace(self._systemds.options, **changed).checked()
        if options.gpu:
            self._systemds.check_gpu()
        self._systemds.options = options
        return self

    def get_training_script(self) -> str:
        """The DML that `fit` runs on class labels."""
        return self._compilation.training_script(algorithm=self._algorithm).text

    def get_prediction_script(self) -> str:
        """The DML that `predict` runs."""
        return self.compiled().script.text

    def save(self, folder_path: Path | str, format: str = "binary") -> None:
        """Write the weights to a folder as SystemML did, a matrix each: `format` is binary, csv or
        text.
        """
        folder.save(self._systemds, self._graph, self._matrices, Path(folder_path), format)

    def load(self, weights: Path | str, ignore_weights: Collection[str] = ()) -> Self:
        """Read the weights that `save` wrote, but for the layers in `ignore_weights`. Raises
        InvalidData.
        """
        self._replace_weights(
            folder.load(self._systemds, self._graph, Path(weights), ignore_weights)
        )
        return self

    def set_features_col(self, colName: str) -> Self:
        """Name the column of features of DataFrames, by default `features`."""
        self._columns = replace(self._columns, features=colName)
        return self

    def set_label_col(self, colName: str) -> Self:
        """Name the column of labels of DataFrames, by default `label`."""
        self._columns = replace(self._columns, label=colName)
        return self
