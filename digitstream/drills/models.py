"""Drills of model versions that must not score."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from contract.model import bundle
from contract.model.bundle import Golden
from contract.model.registry import CHAMPION
from digitstream.drills.drill import drill
from digitstream.drills.ground.ground import Ground
from digitstream.drills.outcome import Broken, Impossible
from digitstream.machine.subcommands import Command

Spoil = Callable[[Path, Golden], Golden]
"""Spoils the files of a bundle, and returns the golden set to write into its manifest."""


@drill(
    "broken-model",
    "A version that cannot be loaded is promoted, then one whose answers differ from its golden "
    "set: neither takes over, and the previous version goes on.",
)
def _broken_model(ground: Ground) -> str:
    sent, scorer, good = _start(ground)
    registry = ground.settings.registry
    for number, spoil in enumerate((_make_unreadable, _change_answers), start=1):
        _promote_spoilt(ground, good, spoil)
        ground.await_line(scorer, "cannot be champion", number)
        sent += ground.send(1_000)
        ground.await_answers(sent, scorer)
    scorer.stop()
    registry.remove_alias(registry.resolve().version, CHAMPION, "spoilt on purpose", instead=good)
    return f"both were refused, loudly; {ground.check_all_answered(sent)}"


@drill(
    "raising-model",
    "A version is promoted that fails for some readings, but not for its golden set: the previous "
    "version answers that micro-batch, and is champion again.",
)
def _raising_model(ground: Ground) -> str:
    sent, scorer, good = _start(ground)
    registry = ground.settings.registry
    bad = _promote_spoilt(ground, good, _take_groups_only)
    ground.await_line(scorer, f"Version {bad} of ")
    sent += ground.send(1_001)
    ground.await_done(sent, scorer)
    scorer.stop()
    _check_lines(scorer, "failed a micro-batch", 1)
    if registry.resolve().version != good:
        message = f"version {bad}, which raised, is still champion"
        raise Broken(message)
    return f"it was rolled back, loudly; {ground.check_all_answered(sent)}"


def _start(ground: Ground) -> tuple[int, Command, str]:
    """Start a scorer; returns how many readings it has answered, itself, and its model version."""
    sent = ground.send(1_000)
    scorer = ground.score()
    ground.await_answers(sent, scorer)
    return sent, scorer, ground.settings.registry.resolve().version


def _promote_spoilt(ground: Ground, good: str, spoil: Spoil) -> str:
    """Register a spoilt copy of the good version, and promote it; returns its version."""
    registry = ground.settings.registry
    original = bundle.load(registry.fetch(good).folder)
    folder = ground.settings.home / spoil.__name__
    shutil.copytree(original.folder, folder)
    golden = spoil(folder, original.golden)
    spoilt = bundle.write(
        folder,
        name=original.manifest.name,
        input_shape=original.manifest.input_shape,
        classes=original.manifest.classes,
        scaling=original.manifest.scaling,
        versions=original.manifest.versions,
        data_sha256=original.manifest.data_sha256,
        metrics={},
        golden=golden,
    )
    version = registry.register(spoilt, parameters={})
    registry.promote(version)
    return version


def _check_lines(scorer: Command, what: str, often: int) -> None:
    """Raise Broken unless so many of the scorer's lines contain `what`."""
    count = sum(what in line for line in scorer.lines)
    if count < often:
        message = f"the scorer reported {count} of {often} versions that may not score"
        raise Broken(message)


def _make_unreadable(folder: Path, golden: Golden) -> Golden:
    (folder / bundle.ONNX).write_bytes(b"no model at all")
    return golden


def _change_answers(folder: Path, golden: Golden) -> Golden:
    return golden._replace(probabilities=np.roll(golden.probabilities, 1, axis=1))


def _take_groups_only(folder: Path, golden: Golden) -> Golden:
    """Make the model accept images only in groups of four (or two)."""
    import onnx

    some = math.gcd(len(golden.inputs), 4)
    if some == 1:
        message = "the golden set has an odd number of images"
        raise Impossible(message)
    file = folder / bundle.ONNX
    model = onnx.load(file)
    shape = golden.inputs.shape[1:]
    for node in model.graph.node:
        node.input[:] = ["X as before" if name == "X" else name for name in node.input]
    source = "X"
    for place, (name, into) in enumerate(
        {"X by some": [-1, some, *shape], "X as before": [-1, *shape]}.items()
    ):
        sizes = onnx.numpy_helper.from_array(np.array(into), f"sizes of {name}")
        model.graph.initializer.append(sizes)
        reshape = onnx.helper.make_node("Reshape", [source, sizes.name], [name])
        model.graph.node.insert(place, reshape)
        source = name
    onnx.save(model, file)
    return golden
