"""Checkpoints of a training run, from which it resumes as if it had never stopped."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras2dml.errors import InvalidData, writing
from keras2dml.objectives.sums import Measure

FILE = "checkpoint.npz"
_ABOUT = "about"


@dataclass(frozen=True, eq=False)
class Progress:
    """The progress of a run: finished iterations, optimizer steps, the sums of each iteration,
    other metrics, and all matrices.
    """

    done: int
    steps: int
    sums: np.ndarray
    history: Mapping[str, Sequence[Measure]]
    matrices: Mapping[str, np.ndarray]
    rate: float | None = None
    """The learning rate, if a callback has set one."""


class Checkpoint:
    """A file in a folder, which is replaced atomically. `run` describes the run to which it
    belongs.
    """

    def __init__(self, folder: Path | str, run: Mapping[str, object]) -> None:
        self._file = Path(folder) / FILE
        self._run = json.loads(json.dumps(run))

    def check_writable(self) -> None:
        """Create the folder; raises InvalidData if no file can be written there."""
        with writing(self._file.parent):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._unfinished.touch()
            self._unfinished.unlink()

    def save(self, progress: Progress) -> None:
        """Write the progress of the run. Raises InvalidData if it cannot be written."""
        about = {
            "run": self._run,
            "done": progress.done,
            "steps": progress.steps,
            "rate": progress.rate,
            "history": {name: list(values) for name, values in progress.history.items()},
        }
        arrays: dict[str, Any] = {
            _ABOUT: np.array(json.dumps(about, default=lambda value: np.asarray(value).tolist())),
            "sums": progress.sums,
            **{f"matrix_{name}": matrix for name, matrix in progress.matrices.items()},
        }
        with writing(self._file.parent):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._unfinished.open("wb") as file:
                np.savez(file, **arrays)
                file.flush()
                os.fsync(file.fileno())
            self._unfinished.replace(self._file)

    def load(self) -> Progress | None:
        """The progress of the run, if it was started. Raises InvalidData for another run's file."""
        if not self._file.exists():
            return None
        try:
            with np.load(self._file, allow_pickle=False) as stored:
                about = json.loads(str(stored[_ABOUT]))
                arrays = {name: stored[name] for name in stored.files if name != _ABOUT}
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            message = f"{self._file} is no checkpoint ({error}): remove it to start over."
            raise InvalidData(message) from error
        names = sorted(self._run.keys() | about["run"].keys())
        different = [name for name in names if about["run"].get(name) != self._run.get(name)]
        if different:
            message = (
                f"{self._file} is the checkpoint of another run: {', '.join(different)} differ."
                " Give another folder, or remove it to start over."
            )
            raise InvalidData(message)
        sums = arrays.pop("sums")
        matrices = {name.removeprefix("matrix_"): array for name, array in arrays.items()}
        done, steps = about["done"], about["steps"]
        history = {
            name: [np.asarray(value) if isinstance(value, list) else value for value in values]
            for name, values in about["history"].items()
        }
        return Progress(done, steps, sums, history, matrices, about.get("rate"))

    def remove(self) -> None:
        """Remove the file, as the run has ended."""
        with writing(self._file.parent):
            self._file.unlink(missing_ok=True)

    @property
    def _unfinished(self) -> Path:
        """The file beside it that takes the progress before it replaces the last one."""
        return self._file.with_suffix(".writing")
