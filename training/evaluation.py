"""How good a trained model is, on images that it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Accuracy, mean cross-entropy, and the confusion matrix: a row for each true class."""

    accuracy: float
    loss: float
    confusion: NDArray[np.int64]

    @classmethod
    def of(cls, probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> Evaluation:
        """The evaluation of probabilities (N, K) for images of these classes (N,)."""
        predicted = probabilities.argmax(axis=1)
        chosen = probabilities[np.arange(len(labels)), labels]
        return cls(
            accuracy=float(np.mean(predicted == labels)),
            loss=float(-np.log(np.maximum(chosen, np.finfo(np.float64).tiny)).mean()),
            confusion=confusion_matrix(labels, predicted, labels=range(probabilities.shape[1])),
        )

    @property
    def metrics(self) -> dict[str, float]:
        """The figures under the names that the bundle and the registry keep."""
        return {"accuracy": self.accuracy, "loss": self.loss}
