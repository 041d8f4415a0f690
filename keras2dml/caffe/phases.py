"""The layers of a network by phase, level and stages, and checks that it computes the same scores
in the TEST phase as in the TRAIN phase.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from keras2dml.caffe import schema

TRAIN, TEST = 0, 1
DATA = ("Data", "DummyData", "HDF5Data", "ImageData", "Input", "MemoryData", "WindowData")
ENDS = ("Accuracy", "ArgMax", "HDF5Output", "Silence", "Softmax")
"""Layers that may be in one phase only: they measure, or follow all that is learned; so may losses.
"""


@dataclass(frozen=True)
class Networks:
    """The layers of the TRAIN phase, those of the TEST phase of each test network, and complaints
    about their files.
    """

    name: str
    train: list[Any]
    tests: list[list[Any]]
    complaints: list[str]

    def differences(self) -> list[str]:
        """Complaints about differences between TRAIN and TEST phase, without duplicates."""
        complaints = (differences(self.train, test) for test in self.tests)
        return [*dict.fromkeys(complaint for test in complaints for complaint in test)]

    def accuracies(self) -> dict[str, set[int]]:
        """The `top_k` of the Accuracy layers, by the blob of their scores."""
        counts: dict[str, set[int]] = {}
        for layer in (layer for part in (self.train, *self.tests) for layer in part):
            if layer.type == "Accuracy" and layer.bottom:
                counts.setdefault(layer.bottom[0], set()).add(int(layer.accuracy_param.top_k))
        return counts


def state(phase: int, *parts: Any) -> Any:
    """The state of a network in a phase: the network's own state, merged with the solver's."""
    merged = schema.message("State")()
    for part in parts:
        merged.MergeFrom(part)
    merged.phase = phase
    return merged


def layers_in(net: Any, state: Any) -> list[Any]:
    """The layers that a network has in a state."""
    return [layer for layer in net.layer if _is_in(layer, state)]


def named(layer: Any) -> str:
    """A layer's name and type, for complaints."""
    return f"Layer {layer.name!r} ({layer.type})"


def is_loss(layer: Any) -> bool:
    """Whether a layer is one of Caffe's losses."""
    return bool(layer.type.endswith(("Loss", "WithLoss")))


def differences(train: Sequence[Any], test: Sequence[Any]) -> Iterator[str]:
    """Complaints about layers of the TEST phase that compute something other than the TRAIN phase.

    Dropout, which passes its input on in the TEST phase, and the statistics of BatchNorm may
    differ. Layers without a data layer are not compared, as they are not a whole network.
    """
    if not any(layer.type in DATA for layer in test):
        return
    numbers: dict[tuple[Any, ...], int] = {}
    trained = {number for _, number, _ in _computing(train, numbers)}
    strange: set[int] = set()
    for layer, number, sources in _computing(test, numbers):
        if number not in trained:
            if not strange.intersection(sources):
                yield (
                    f"{named(layer)} is not the same in the TEST phase as in the TRAIN phase. Only"
                    " networks that are the same in both are compiled: leave its include or"
                    " exclude out."
                )
            strange.add(number)
        norm = layer.batch_norm_param
        if norm.HasField("use_global_stats") and not norm.use_global_stats:
            yield (
                f"{named(layer)} has use_global_stats: false in the TEST phase, which makes the"
                " score of an example depend on the rest of its batch: leave it out."
            )


def _computing(
    layers: Iterable[Any], numbers: dict[tuple[Any, ...], int]
) -> Iterator[tuple[Any, int, list[int]]]:
    """The layers that compute scores, each with its number and those of its sources. `numbers` has
    a number for each computation, by its settings and its sources.
    """
    makers: dict[str, int] = {}
    for layer in layers:
        sources = [makers.get(name, -1) for name in layer.bottom]
        if layer.type == "Dropout":
            makers.update((top, sources[0] if sources else -1) for top in layer.top)
            continue
        settings = b"" if layer.type in DATA else _settings(layer)
        for place, top in enumerate(layer.top):
            name = top if layer.type in DATA else place
            makers[top] = numbers.setdefault((settings, name, *sources), len(numbers))
        if layer.top and not (layer.type in (*DATA, *ENDS) or is_loss(layer)):
            yield layer, makers[layer.top[0]], sources


def _settings(layer: Any) -> bytes:
    """A layer's name, type and parameters, without those for phases or training."""
    bare = schema.message("Layer")()
    bare.CopyFrom(layer)
    for name in ("bottom", "top", "include", "exclude", "phase", "param"):
        bare.ClearField(name)
    bare.batch_norm_param.ClearField("use_global_stats")
    return bytes(bare.SerializeToString(deterministic=True))


def _is_in(layer: Any, state: Any) -> bool:
    if layer.include:
        return any(_meets(rule, state) for rule in layer.include)
    return not any(_meets(rule, state) for rule in layer.exclude)


def _meets(rule: Any, state: Any) -> bool:
    """Whether a state meets all conditions of a rule."""
    return (
        (not rule.HasField("phase") or rule.phase == state.phase)
        and (not rule.HasField("min_level") or rule.min_level <= state.level)
        and (not rule.HasField("max_level") or rule.max_level >= state.level)
        and set(rule.stage) <= set(state.stage)
        and not set(rule.not_stage) & set(state.stage)
    )
