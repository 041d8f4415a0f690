"""SystemML's methods besides fit and predict, under their old names: settings, scripts and folders
of weights.
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
        """Change settings; None leaves a setting unchanged.

        `train_algo` is minibatch, batch, looped_minibatch, allreduce, allreduce_parallel_batches or
        paramserv, `test_algo` minibatch, batch, allreduce or allreduce_parallel_batches.
        `parallel_batches` is the number of parts of a step, or of workers of the parameter server,
        by default the number of the session's cores; `paramserv_parameters` are its `mode`, LOCAL
        or REMOTE_SPARK, and `utype`, BSP or ASP. `debug` prints the scripts, and
        `output_activations` is a folder for the outputs of all layers for scored rows.
        The other settings have no effect: labels of both kinds are accepted, and a script includes
        its library. Raises InvalidData.
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
        """Let SystemDS score on a GPU where that is faster. Raises InvalidSession if there is no
        GPU; while this is set, so does `fit`.
        """
        return self._set_option(gpu=enable, force_gpu=False)

    def setForceGPU(self, enable: bool) -> Self:
        """Let SystemDS score on a GPU wherever possible. Raises InvalidSession if there is no GPU;
        while this is set, so does `fit`.
        """
        return self._set_option(gpu=enable, force_gpu=enable)

    def setExplain(self, explain: bool) -> Self:
        """Print the plan of each script that is run."""
        return self._set_option(explained=explain)

    def setExplainLevel(self, explainLevel: str) -> Self:
        """Set the form of the printed plan: hops, runtime, recompile_hops or recompile_runtime."""
        return self._set_option(level=explainLevel)

    def setStatistics(self, statistics: bool) -> Self:
        """Print the statistics of each script that is run."""
        return self._set_option(statistics=statistics)

    def setStatisticsMaxHeavyHitters(self, maxHeavyHitters: int) -> Self:
        """Set the number of slowest instructions in the statistics."""
        return self._set_option(heavy_hitters=maxHeavyHitters)

    def setExecutionType(self, place: str) -> Self:
        """Set where operators run: DRIVER, SPARK, or DRIVER_AND_SPARK, by sizes and memory."""
        return self._set_option(place=place)

    def setConfigProperty(self, propertyName: str, propertyValue: str) -> Self:
        """Set a SystemDS property, such as `sysds.native.blas`."""
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
        """Write the weights to a folder as in SystemML, one file each: `format` is binary, csv or
        text.
        """
        folder.save(self._systemds, self._graph, self._matrices, Path(folder_path), format)

    def load(self, weights: Path | str, ignore_weights: Collection[str] = ()) -> Self:
        """Read the weights that `save` wrote, except for the layers in `ignore_weights`. Raises
        InvalidData.
        """
        self._replace_weights(
            folder.load(self._systemds, self._graph, Path(weights), ignore_weights)
        )
        return self

    def set_features_col(self, colName: str) -> Self:
        """Set the name of the feature column of DataFrames, by default `features`."""
        self._columns = replace(self._columns, features=colName)
        return self

    def set_label_col(self, colName: str) -> Self:
        """Set the name of the label column of DataFrames, by default `label`."""
        self._columns = replace(self._columns, label=colName)
        return self
