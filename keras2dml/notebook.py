"""The display of a session, an estimator, its training and its errors in a notebook."""

from __future__ import annotations

import html
import sysconfig
import time
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras2dml.printable import printable

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SECONDS_A_PICTURE = 0.25
"""Seconds between two updates of a bar."""

_LIBRARIES = (str(Path(__file__).parent), *(sysconfig.get_path(k) for k in ("purelib", "stdlib")))


class Bar:
    """A progress bar in plain HTML, without widgets."""

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0
        self._began = self._drawn = time.monotonic()
        self._handle: Any = None

    def start(self) -> None:
        """Show the bar below the cell."""
        self._handle = import_module("IPython.display").display(self, display_id=True)

    def advance(self) -> None:
        """Count another iteration."""
        self._done += 1
        if time.monotonic() - self._drawn > SECONDS_A_PICTURE:
            self._draw()

    def stop(self) -> None:
        """Show the final state."""
        self._draw()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        if self._handle is not None:
            self._handle.update(self)

    def __repr__(self) -> str:
        seconds = self._drawn - self._began
        return f"training: {self._done} of {self._total} iterations, {seconds:.0f} s"

    def _repr_html_(self) -> str:
        bar = f'<progress value="{self._done}" max="{self._total}"></progress>'
        return f"{bar} {html.escape(repr(self))}"


class PlainText(str):
    """A multi-line text that a notebook shows unchanged."""

    __slots__ = ()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))


def session_html(spark: SparkSession) -> str:
    """A session without a link to Spark's UI, to which pyspark would link even if it is off."""
    conf = spark.sparkContext
    facts = {"Spark": spark.version, "master": conf.master, "application": conf.appName}
    return _table("SparkSession", facts)


def estimator_html(title: str, model: str, history: Mapping[str, Sequence[Any]]) -> str:
    """An estimator as a table: its arguments, its Keras model, and its last metrics; for a metric
    that is an array its mean, as in Keras.
    """
    import numpy as np  # noqa: PLC0415  (errors show without it, and they are the first import)

    epochs = max(map(len, history.values()), default=0)
    last = {name: f"{np.mean(values[-1]):.4g}" for name, values in history.items() if values}
    trained = "1 epoch" if epochs == 1 else f"{epochs} epochs"
    trained = trained if epochs else "not yet: it has the Keras model's weights"
    return _table(title, {"Keras model": model, "trained": trained, **last})


def _table(title: str, facts: Mapping[str, object]) -> str:
    rows = "".join(
        f"<tr><th>{_escaped(name)}</th><td>{_escaped(str(value))}</td></tr>"
        for name, value in facts.items()
    )
    return f"<table><caption>{_escaped(title)}</caption>{rows}</table>"


def _escaped(text: str) -> str:
    return html.escape(printable(text))


def user_traceback(error: BaseException) -> list[str]:
    """The lines of an error with only the user's frames, without those of libraries and Python."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(_LIBRARIES)
    ]
    lines = "".join(traceback.format_list(frames)).splitlines()
    return [*lines, *f"{type(error).__name__}: {error}".splitlines()]
