"""Evaluation of a trained model on test images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Accuracy, mean cross-entropy, and the confusion matrix: a row per true class."""

    accuracy: float
    loss: float
    confusion: NDArray[np.int64]

    @classmethod
    def of(cls, probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> Evaluation:
        """Evaluate probabilities (N, K) against the true classes (N,)."""
        predictions = probabilities.argmax(axis=1)
        of_true_class = probabilities[np.arange(len(labels)), labels]
        return cls(
            accuracy=float(np.mean(predictions == labels)),
            loss=float(-np.log(np.maximum(of_true_class, np.finfo(np.float64).tiny)).mean()),
            confusion=confusion_matrix(labels, predictions, labels=range(probabilities.shape[1])),
        )

    @property
    def metrics(self) -> dict[str, float]:
        """The figures, with their names in the bundle and the registry."""
        return {"accuracy": self.accuracy, "loss": self.loss}
