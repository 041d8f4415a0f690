"""Errors that more than one wing of the stream knows."""

from __future__ import annotations

import json

from contract.errors import ModelError

_LONGEST_FACT = 300


class ModelFailed(ModelError):
    """A model that cannot score; no reading is to blame, so the stream stops.

    `model` is its name and version, `fact` what it did.
    """

    def __init__(self, model: str, fact: str) -> None:
        self.model, self.fact = model, " ".join(fact.split())[:_LONGEST_FACT]
        super().__init__(self.model, self.fact)

    def __str__(self) -> str:
        """What the model did, that the stream stopped, and what brings it back."""
        return (
            f"Model {self.model} {self.fact}. A model must score every valid image, so scoring "
            f"stopped and this micro-batch stays open. Promote a version that works (`digitstream "
            f"models promote`) and start `digitstream score` again: it goes on where it stopped."
        )


class ModelFailedInWorker(Exception):
    """A ModelFailed on its way to the driver: of what a worker raises Spark brings the text alone,
    so that this one's is a value.
    """

    def __init__(self, failure: ModelFailed) -> None:
        super().__init__(json.dumps([failure.model, failure.fact]))

    @staticmethod
    def failure(text: str) -> ModelFailed:
        """The ModelFailed that the text of one stands for."""
        return ModelFailed(*json.loads(text))
