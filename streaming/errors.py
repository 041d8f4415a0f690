"""Errors that several packages of the stream use."""

from __future__ import annotations

import json

from contract.errors import ModelError

_LONGEST_FACT = 300


class ModelFailed(ModelError):
    """A model cannot score, and no reading is to blame, so the stream stops.

    `model` is its name and version, `fact` says what it did.
    """

    def __init__(self, model: str, fact: str) -> None:
        self.model, self.fact = model, " ".join(fact.split())[:_LONGEST_FACT]
        super().__init__(self.model, self.fact)

    def __str__(self) -> str:
        """What the model did, the rule, and the remedy."""
        return (
            f"Model {self.model} {self.fact}. A model must score every valid image, so scoring "
            f"stopped and this micro-batch is not committed. Promote a version that works "
            f"(`digitstream models promote`), then start `digitstream score` again: it continues "
            f"where it stopped."
        )


class ModelFailedInWorker(Exception):
    """A ModelFailed on its way to the driver. Spark keeps only the text of an error in a worker, so
    the text of this one is JSON.
    """

    def __init__(self, failure: ModelFailed) -> None:
        super().__init__(json.dumps([failure.model, failure.fact]))

    @staticmethod
    def failure(text: str) -> ModelFailed:
        """The ModelFailed in the text of this error."""
        return ModelFailed(*json.loads(text))
