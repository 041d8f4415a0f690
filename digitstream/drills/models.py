"""Drills of versions that must not score."""

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
"""Spoils the files of a bundle, and returns the golden set that it says it keeps to."""


@drill(
    "broken-model",
    "A version is promoted that cannot be loaded, then one that gives other answers than it was "
    "trained to: neither takes over, and the one before goes on.",
)
def _broken_model(ground: Ground) -> str:
    sent, scorer, good = _begun(ground)
    registry = ground.settings.registry
    for number, spoil in enumerate((_unreadable, _another), start=1):
        _promoted(ground, good, spoil)
        ground.await_said(scorer, "cannot be champion", number)
        sent += ground.send(1_000)
        ground.await_answers(sent, scorer)
    scorer.stop()
    registry.remove_alias(registry.resolve().version, CHAMPION, "spoilt on purpose", instead=good)
    return f"both were refused, loudly; {ground.all_answered(sent)}"


@drill(
    "raising-model",
    "A version is promoted that raises for some readings, though not for its golden set: the one "
    "before answers the micro-batch in which it did, and has its place again.",
)
def _raising_model(ground: Ground) -> str:
    sent, scorer, good = _begun(ground)
    registry = ground.settings.registry
    bad = _promoted(ground, good, _by_some)
    ground.await_said(scorer, f"Version {bad} of ")
    sent += ground.send(1_001)
    ground.await_done(sent, scorer)
    scorer.stop()
    _told(scorer, "failed a micro-batch", 1)
    if registry.resolve().version != good:
        message = f"version {bad}, which raised, is still champion"
        raise Broken(message)
    return f"it was rolled back, loudly; {ground.all_answered(sent)}"


def _begun(ground: Ground) -> tuple[int, Command, str]:
    """A scorer at work: how many readings it has answered, itself, and the version that it has."""
    sent = ground.send(1_000)
    scorer = ground.score()
    ground.await_answers(sent, scorer)
    return sent, scorer, ground.settings.registry.resolve().version


def _promoted(ground: Ground, good: str, spoil: Spoil) -> str:
    """Register a version like the good one, but spoilt, and promote it; returns which it is."""
    registry = ground.settings.registry
    made = bundle.load(registry.fetch(good).folder)
    folder = ground.settings.home / spoil.__name__
    shutil.copytree(made.folder, folder)
    golden = spoil(folder, made.golden)
    spoilt = bundle.write(
        folder,
        name=made.manifest.name,
        input_shape=made.manifest.input_shape,
        classes=made.manifest.classes,
        scaling=made.manifest.scaling,
        versions=made.manifest.versions,
        data_sha256=made.manifest.data_sha256,
        metrics={},
        golden=golden,
    )
    version = registry.register(spoilt, parameters={})
    registry.promote(version)
    return version


def _told(scorer: Command, what: str, often: int) -> None:
    """Raise Broken unless the scorer told so often of a version."""
    told = sum(what in line for line in scorer.said)
    if told < often:
        message = f"the scorer told of {told} of {often} versions that may not score"
        raise Broken(message)


def _unreadable(folder: Path, golden: Golden) -> Golden:
    (folder / bundle.ONNX).write_bytes(b"no model at all")
    return golden


def _another(folder: Path, golden: Golden) -> Golden:
    return golden._replace(probabilities=np.roll(golden.probabilities, 1, axis=1))


def _by_some(folder: Path, golden: Golden) -> Golden:
    """Let the model take images by fours only (or twos), as if it was exported so."""
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
    given = "X"
    for place, (name, into) in enumerate(
        {"X by some": [-1, some, *shape], "X as before": [-1, *shape]}.items()
    ):
        sizes = onnx.numpy_helper.from_array(np.array(into), f"sizes of {name}")
        model.graph.initializer.append(sizes)
        made = onnx.helper.make_node("Reshape", [given, sizes.name], [name])
        model.graph.node.insert(place, made)
        given = name
    onnx.save(model, file)
    return golden
