"""Keras' backends: whether Keras can be imported with one of them, and how they differ.

TensorFlow is the reference. On JAX and PyTorch Keras computes parts of a float64 model in float32;
where backends differ by more than rounding, keras2dml follows the backend in use.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from keras2dml.errors import NoBackend

BACKENDS = ("tensorflow", "jax", "torch")
"""Keras' backends that can train: their names, their packages, and our extras."""


def check_backend() -> None:
    """Import Keras; raises NoBackend with a remedy if its backend is missing or cannot train."""
    try:
        import_module("keras")
    except (AttributeError, ImportError, OSError, ValueError) as error:
        raise NoBackend(_missing(error)) from None
    if backend() not in BACKENDS:
        message = (
            f"Keras computes with its backend {backend()!r}, which trains nothing. Set"
            f" KERAS_BACKEND to one of {', '.join(BACKENDS)}, and restart Python."
        )
        raise NoBackend(message)


def backend() -> str:
    """The name of the backend that Keras computes with."""
    return str(import_module("keras").config.backend())


def floatx() -> str:
    """The type to which Keras rounds the arrays of numbers that it is given."""
    return str(import_module("keras").config.floatx())


def is_tensorflow() -> bool:
    """Whether Keras computes with TensorFlow."""
    return backend() == "tensorflow"


def kind_of(optimizer: Any) -> type:
    """The class of an optimizer in `keras.optimizers`: on PyTorch Keras creates objects of
    subclasses.
    """
    kind = type(optimizer)
    if not kind.__module__.startswith("keras.src.backend.torch."):
        return kind
    return next(base for base in kind.__mro__ if base.__module__.startswith("keras.src.optimizers"))


def _missing(error: Exception) -> str:
    """Why Keras cannot be imported, and what to install or to set."""
    reason = str(error).partition("\n")[0].rstrip(".")
    installed = [name for name in BACKENDS if find_spec(name)]
    fact = (
        f"Keras cannot be imported ({reason}). It needs a backend: TensorFlow, or the one that"
        " KERAS_BACKEND or ~/.keras/keras.json names."
    )
    choice = "None is installed here: install"
    if installed:
        choice = (
            f"Set KERAS_BACKEND to one that is installed here ({', '.join(installed)}), or install"
        )
    return (
        f"{fact} {choice} 'keras2dml[tensorflow]', 'keras2dml[jax]' or 'keras2dml[torch]' with pip"
        " and set KERAS_BACKEND to what is in the brackets; then restart Python."
    )
