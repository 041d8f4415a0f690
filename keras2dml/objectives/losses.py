"""Losses: the DML function for a Keras loss on an output of a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

import keras
from keras.src.losses.losses import LossFunctionWrapper
from keras.src.utils.naming import get_object_name

from keras2dml import backend
from keras2dml.dml import syntax
from keras2dml.graph import FOLD, MAP, PENALTY, SOFTMAX, UNFOLD, Scalar, Value, source_of
from keras2dml.keras_internals import keywords_of_loss
from keras2dml.objectives.functions import define_function
from keras2dml.objectives.loss_kinds import (
    BINARY,
    CLASSES,
    COMPILED,
    ENTROPIES,
    FUNCTIONS,
    PLAIN,
    REDUCTIONS,
    SPARSE,
    TRAITS,
    TREATED,
    WHOLE,
)
from keras2dml.rules import Refusal
from keras2dml.rules.activations import label
from keras2dml.rules.layouts import logits_of
from keras2dml.rules.operations.types import FLOATS
from keras2dml.traits import Trait


@dataclass(frozen=True, eq=False)
class Loss:
    """A DML loss function with its constants and its input value.

    The function takes rows of predictions P and of targets Y, and returns the loss of each row and
    its gradient at P. Targets are scaled and shifted by `smoothing`. `kind` is the kind of targets:
    "sparse" class numbers, "classes" as numbers or probabilities, "binary", "numbers", or "labels"
    that only group rows.
    """

    name: str
    function: str
    takes: Value
    kind: str
    constants: Mapping[str, Scalar] = field(default_factory=dict)
    smoothing: tuple[float, float] = (1.0, 0.0)
    reduction: str = "sum_over_batch_size"
    weight: float = 1.0
    reads_probabilities: bool = True
    """Whether the output is a probability rather than a logit or a signed number."""
    whole: bool = False
    """Whether a batch's loss is not the mean over its parts, whatever the reduction."""
    weighable: bool = True
    """Whether each row has a loss, which may have a weight."""
    literal: bool = False
    """Whether it gets the targets in their original shape."""
    traits: frozenset[Trait] = frozenset()

    @property
    def is_margin(self) -> bool:
        """Whether the output is a signed number, above 0 for one class and below for another."""
        return Trait.MARGIN in self.traits

    @property
    def adds_up(self) -> bool:
        """Whether the loss of a batch is the sum of its parts' shares."""
        return self.reduction in REDUCTIONS[:3] and not (self.whole or self.is_margin)

    @property
    def threshold(self) -> float:
        """The number from which a single output means the second of two classes."""
        return 0.5 if self.reads_probabilities else 0.0

    @property
    def by_batch(self) -> bool:
        """Whether the loss over all rows differs from the mean over its parts."""
        return self.whole or self.is_margin or self.reduction not in REDUCTIONS[:2]


def loss_of(
    configured: object, output: Value, weight: float, layer: str
) -> tuple[Loss | None, list[str]]:
    """The Loss for an argument of `model.compile(loss=...)`, or the complaints about it.

    `layer` computes the output: Keras looks through it if it is an activation.
    """
    loss: Any = resolved(configured, output)
    if reasons := [*coarse(loss, "loss")]:
        return None, reasons
    if type(loss) not in COMPILED:
        if is_function(loss):
            return _of_function(loss, output, weight, layer)
        names = ", ".join(sorted(kind.__name__ for kind in COMPILED))
        remedy = "compile() the model with one of these, or with a function made of keras.ops."
        subject = configured if isinstance(configured, str) else type(loss).__name__
        return None, [f"The loss is {subject!r}. Only {names} are compiled: {remedy}"]
    smoothing = float(keywords_of_loss(loss).get("label_smoothing") or 0.0)
    classes = 2 if type(loss) in BINARY else output.shape[-1]
    function, takes, of_logits = _function(loss, output, layer)
    traits = TRAITS.get(type(loss), frozenset()) | _precision(loss)
    constants, complaints = _constants(loss, function)
    softmax = _is_softmax(output, layer) and logits_of_last(output, layer) is None
    if backend.is_tensorflow() and _looks(loss) and softmax:
        complaints.append(
            f"The loss {loss.name!r} follows a softmax over another axis than the last, whose input"
            " Keras uses as logits along the last axis: put Permute before the softmax."
        )
    focal = type(loss) is keras.losses.BinaryFocalCrossentropy
    if focal and of_logits and not backend.is_tensorflow():
        complaints.append(
            f"The loss {loss.name!r} has from_logits=True, and Keras on {backend.backend()} clips"
            " its probabilities: end the model with a sigmoid, and leave from_logits out."
        )
    if loss.reduction not in REDUCTIONS:
        complaints.append(
            f"The loss {loss.name!r} has reduction={loss.reduction!r}. Training needs a single"
            f" number: use one of {', '.join(map(repr, REDUCTIONS))}."
        )
    if type(loss) is keras.losses.Circle and len(output.shape) > 1:
        complaints.append(
            f"The loss {loss.name!r} takes one vector for each example. The output is (N,"
            f" {', '.join(map(str, output.shape))}): flatten it."
        )
    return Loss(
        loss.name,
        function,
        takes,
        _kind(loss),
        constants,
        (1 - smoothing, smoothing / classes),
        loss.reduction,
        weight,
        not (of_logits and takes is output) and Trait.MARGIN not in traits,
        whole=type(loss) in WHOLE,
        weighable=type(loss) not in WHOLE,
        traits=traits,
    ), complaints


def coarse(part: Any, kind: str) -> Iterator[str]:
    """A complaint about a loss or metric, as `kind` says, that computes in less than float32."""
    dtype = str(getattr(part, "dtype", None))
    if "float" in dtype and dtype not in FLOATS:
        yield (
            f"The {kind} {part.name!r} has dtype={dtype!r}. SystemDS computes in float64: give it"
            " 'float32' or 'float64'."
        )


def is_function(configured: object) -> bool:
    """Whether a loss or a metric is a user's function, or a loss of a user's class."""
    if isinstance(configured, keras.losses.Loss):
        kind = type(configured)
        return kind is LossFunctionWrapper or not kind.__module__.startswith("keras.")
    module = getattr(configured, "__module__", "")
    return callable(configured) and not str(module).startswith("keras.")


def _of_function(
    configured: Any, output: Value, weight: float, layer: str
) -> tuple[Loss | None, list[str]]:
    """The Loss of a function, or of the call() of a class, of Keras operations."""
    name = get_object_name(configured)
    is_object = isinstance(configured, keras.losses.Loss)
    loss = configured if is_object else LossFunctionWrapper(configured, name=name)
    subject = f"The loss is {label(configured)}"
    reductions = REDUCTIONS[:3]
    if loss.reduction not in reductions or type(loss).__call__ is not keras.losses.Loss.__call__:
        return None, [
            f"{subject}, with reduction={loss.reduction!r}, or its own __call__. Only call() is"
            f" compiled, with one of {', '.join(map(repr, reductions))}: use one of these."
        ]
    summed = loss.reduction == "sum"
    logits = logits_of_last(output, layer)
    try:
        dml = define_function(
            loss.call,
            output,
            logits,
            subject,
            loss.dtype,
            name=f"loss_{name}",
            as_loss=True,
            summed=summed,
        )
    except Refusal as refusal:
        return None, list(refusal.complaints)
    return Loss(
        name,
        dml.name,
        dml.takes,
        "numbers",
        reduction="sum" if summed and not dml.scalar else "sum_over_batch_size",
        weight=weight,
        whole=dml.whole,
        weighable=dml.single,
        literal=type(loss) is not LossFunctionWrapper,
        traits=_precision(loss),
    ), []


def _precision(loss: Any) -> frozenset[Trait]:
    return frozenset({Trait.IN_FLOAT32} if loss.dtype == "float32" else ())


def resolved(configured: Any, output: Value) -> object:
    """The loss object for a name, a function or an object, as in Keras."""
    if str(configured).lower() in ("crossentropy", "ce"):
        if output.shape[-1] == 1:
            return keras.losses.BinaryCrossentropy()
        return keras.losses.CategoricalCrossentropy()
    loss = keras.losses.get(configured)
    return FUNCTIONS[loss]() if loss in FUNCTIONS else loss


def _kind(loss: object) -> str:
    if type(loss) is keras.losses.Circle:
        return "labels"
    if type(loss) in SPARSE:
        return "sparse"
    if type(loss) in CLASSES:
        return "classes"
    return "binary" if type(loss) in BINARY else "numbers"


def _function(loss: Any, output: Value, layer: str) -> tuple[str, Value, bool]:
    """The DML function, its input value, and whether that are logits: on TensorFlow Keras looks
    through a final softmax or sigmoid at them, and clips probabilities only if the output
    is neither.
    """
    if type(loss) in PLAIN:
        return PLAIN[type(loss)], output, False
    name = ENTROPIES[type(loss)]
    tensorflow = backend.is_tensorflow()
    through = logits_of_last(output, layer) if tensorflow and _looks(loss) else None
    if through is not None:
        return f"{name}_of_logits", through, True
    if keywords_of_loss(loss)["from_logits"]:
        return f"{name}_of_logits", output, True
    sparse = tensorflow and type(loss) is keras.losses.SparseCategoricalCrossentropy
    return f"{'sparse_' * sparse}{name}_of_probabilities", output, False


def _looks(loss: Any) -> bool:
    """Whether a loss uses the input of a final softmax or sigmoid."""
    kind = type(loss)
    if kind is keras.losses.BinaryFocalCrossentropy and keywords_of_loss(loss)["from_logits"]:
        return False
    return kind in ENTROPIES and kind is not keras.losses.CategoricalFocalCrossentropy


def logits_of_last(output: Value, layer: str) -> Value | None:
    """The input of the softmax or sigmoid that computes the output, if that is its last layer."""
    while source_of(output).training == PENALTY:
        output = source_of(output).inputs[0]
    return logits_of(output) if source_of(output).layer == layer else None


def _is_softmax(output: Value, layer: str) -> bool:
    """Whether a softmax computes the output, along any axis."""
    last = source_of(output)
    while last.layer == layer and last.function in (MAP, FOLD, UNFOLD):
        last = source_of(last.inputs[0])
    return last.layer == layer and last.function == SOFTMAX


def _constants(loss: Any, function: str) -> tuple[dict[str, Scalar], list[str]]:
    """The loss's arguments that the DML function takes, and complaints about the others."""
    defaults = signature(type(loss).__init__).parameters
    names = syntax.function(function).arguments
    constants: dict[str, Scalar] = {"total": loss.reduction == "sum"} if "total" in names else {}
    complaints = []
    for name, value in {**loss.get_config(), **keywords_of_loss(loss)}.items():
        if name in names and isinstance(value, (bool, int, float)):
            constants[name] = value if isinstance(value, bool) else float(value)
        elif name not in TREATED and (name in names or value != defaults[name].default):
            needs = "a number" if name in names else f"{name}={defaults[name].default!r}"
            complaints.append(
                f"The loss {loss.name!r} has {name}={value!r}. It is only compiled with {needs}."
            )
    return constants, complaints
