"""The exports of an estimator: a Keras model, ONNX, a folder for scoring, and a summary."""

from __future__ import annotations

from pathlib import Path

import keras
from rich.console import Console

from keras2dml.errors import InvalidData, writing
from keras2dml.estimators.estimator import Estimator
from keras2dml.export import onnx
from keras2dml.training import reporting
from keras2dml.training.trained_copies import keras_model


class Exporting(Estimator):
    """The model with its current weights in other forms."""

    def summary(self, console: Console | None = None) -> None:
        """Print the compiled model, with a row for each step."""
        (console or Console()).print(reporting.summary(self._graph))

    def to_keras(self) -> keras.Model:
        """A new Keras model with the current weights and optimizer state. For a user's model class
        it is a functional or Sequential model without that class. Raises InvalidData if layers of
        the model were changed after this estimator was made.
        """
        self._compilation.settings.check(self._compilation.model, copied=True)
        try:
            state = self._state or self._compilation.state(self._matrices, self._steps)
        except InvalidData:  # an optimizer of other variables: the copy has a new one
            return keras_model(self._compilation, self._matrices)
        matrices = {**self._matrices, **state}
        return keras_model(self._compilation, matrices, self._steps, self._rate)

    def to_onnx(self, path: Path | str) -> None:
        """Write the model as ONNX: input "X" float32 (N, *shape) in Keras' layout, output
        "probabilities" (N, K). Raises UnsupportedModel as `compiled` does, and InvalidData if the
        file cannot be written.
        """
        self._compilation.check_scorable()
        exported = onnx.exported(self._graph, self._matrices).SerializeToString()
        with writing(path):
            Path(path).write_bytes(exported)

    def save_compiled(self, folder_path: Path | str) -> Path:
        """Write the scoring script and weights to a folder, for Scorer: scoring then needs neither
        Keras nor this model. Raises InvalidData if the folder cannot be written.
        """
        compiled = self.compiled()
        with writing(folder_path):
            return compiled.save(folder_path)
