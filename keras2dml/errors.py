"""The errors of keras2dml."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from numbers import Integral
from pathlib import Path


class Keras2DMLError(Exception):
    """The base of all errors; messages state the fact, the rule and the remedy."""

    retriable = False

    def _render_traceback_(self) -> list[str]:
        """The traceback for notebooks: the frames of the user's code, and the message."""
        from keras2dml.notebook import user_traceback  # noqa: PLC0415  (only notebooks need it)

        return user_traceback(self)


class UnsupportedModel(Keras2DMLError):
    """A model that cannot be compiled exactly, or not for training; `complaints` has a sentence for
    each reason.
    """

    def __init__(
        self, model: str, complaints: Iterable[str], refused: str = "compiled to DML"
    ) -> None:
        self.complaints = tuple(dict.fromkeys(complaints))
        listed = "\n".join(f"  - {complaint}" for complaint in self.complaints)
        super().__init__(f"Model {model!r} cannot be {refused}:\n{listed}")


class InvalidGraph(Keras2DMLError):
    """A lowering rule that contradicts itself: a defect of the rule, not of the model."""


class InvalidData(Keras2DMLError, ValueError):
    """X, y or weights that do not fit the model."""


class InvalidSession(Keras2DMLError):
    """A SparkSession on which SystemDS cannot run."""


class NoBackend(Keras2DMLError, ImportError):
    """Keras cannot be imported, or its backend cannot train."""


class NotFitted(Keras2DMLError):
    """The model must be trained first."""


@contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """Raise InvalidData if the body cannot write to `path`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        message = f"{path} cannot be written ({reason}): give a path that can be written."
        raise InvalidData(message) from error


def positive(name: str, value: int) -> int:
    """The value; raises InvalidData unless it is an integer of 1 or more."""
    if not isinstance(value, Integral) or value < 1:
        message = f"{name} is {value!r}: give a whole number of 1 or more."
        raise InvalidData(message)
    return value


def counted(name: str, value: int) -> int:
    """The value; raises InvalidData unless it is an integer of 0 or more."""
    if not isinstance(value, Integral) or value < 0:
        message = f"{name} is {value!r}: give a whole number of 0 or more."
        raise InvalidData(message)
    return value
