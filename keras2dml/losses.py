"""Losses: which DML function is a Keras loss on an output of this model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

import keras

from keras2dml import backend, dml
from keras2dml.graph import PENALTY, Scalar, Value, source_of

# Keras' loss: the library's function of probabilities or numbers, of logits where there is one.
ENTROPIES = {
    keras.losses.CategoricalCrossentropy: "cross_entropy",
    keras.losses.SparseCategoricalCrossentropy: "cross_entropy",
    keras.losses.BinaryCrossentropy: "binary_cross_entropy",
    keras.losses.BinaryFocalCrossentropy: "binary_focal_cross_entropy",
    keras.losses.CategoricalFocalCrossentropy: "categorical_focal_cross_entropy",
}
PLAIN = {
    keras.losses.MeanSquaredError: "mean_squared_error",
    keras.losses.MeanAbsoluteError: "mean_absolute_error",
    keras.losses.MeanAbsolutePercentageError: "mean_absolute_percentage_error",
    keras.losses.MeanSquaredLogarithmicError: "mean_squared_logarithmic_error",
    keras.losses.CosineSimilarity: "cosine_similarity",
    keras.losses.Huber: "huber",
    keras.losses.LogCosh: "log_cosh",
    keras.losses.KLDivergence: "kl_divergence",
    keras.losses.Poisson: "poisson",
    keras.losses.Hinge: "hinge",
    keras.losses.SquaredHinge: "squared_hinge",
    keras.losses.CategoricalHinge: "categorical_hinge",
    keras.losses.CategoricalGeneralizedCrossEntropy: "categorical_generalized_cross_entropy",
    keras.losses.Dice: "dice",
    keras.losses.Tversky: "tversky",
}
SPARSE = (
    keras.losses.SparseCategoricalCrossentropy,
    keras.losses.CategoricalGeneralizedCrossEntropy,
)
"""The losses whose targets are class numbers; those of `CLASSES` take them too."""
CLASSES = (
    *SPARSE,
    keras.losses.CategoricalCrossentropy,
    keras.losses.CategoricalFocalCrossentropy,
    keras.losses.CategoricalHinge,
    keras.losses.KLDivergence,
)
BINARY = (
    keras.losses.BinaryCrossentropy,
    keras.losses.BinaryFocalCrossentropy,
    keras.losses.Hinge,
    keras.losses.SquaredHinge,
)
WHOLE = (keras.losses.Dice, keras.losses.Tversky)
"""The losses that are one number for a whole batch."""
REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight")
FUNCTIONS = {kind().fn: kind for kind in {**ENTROPIES, **PLAIN}}
"""Keras' loss functions, and the losses that they are."""
TREATED = frozenset(("name", "reduction", "dtype", "from_logits", "label_smoothing"))


@dataclass(frozen=True, eq=False)
class Loss:
    """A DML loss function with its constants, and the value that it takes.

    The function takes rows of predictions P and of targets Y, and returns the loss of each row and
    its gradient at P. Targets are scaled and moved by `smoothing`. `kind` says what they are:
    "sparse" class numbers, "classes" as numbers or probabilities, "binary", or "numbers".
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
    """Whether the output is a probability, and no logit or signed number."""

    @property
    def whole(self) -> bool:
        """Whether it is one number for a batch, and no row has one of its own."""
        return self.function in ("dice", "tversky")

    @property
    def adds_up(self) -> bool:
        """Whether the loss of a batch is the sum of its parts' shares."""
        return not (self.by_batch and self.reduction != "sum") and "hinge" not in self.function

    @property
    def threshold(self) -> float:
        """Of two classes in one output: from where on it is the second."""
        return 0.5 if self.reads_probabilities else 0.0

    @property
    def by_batch(self) -> bool:
        """Whether the loss of all rows is another one than the mean of its parts."""
        return self.whole or "hinge" in self.function or self.reduction not in REDUCTIONS[:2]


def loss_of(
    configured: object, output: Value, weight: float, layer: str
) -> tuple[Loss | None, list[str]]:
    """The Loss of what `model.compile(loss=...)` was given, or the complaints about it.

    `layer` is the one that makes the output: Keras looks through it if it is an activation.
    """
    loss: Any = resolved(configured, output)
    known = {**ENTROPIES, **PLAIN}
    if type(loss) not in known:
        names = ", ".join(sorted(kind.__name__ for kind in known))
        return None, [
            f"The loss is {configured!r}. Compiled are {names}: compile() the model with one of"
            " these."
        ]
    smoothing = float(getattr(loss, "_fn_kwargs", {}).get("label_smoothing") or 0.0)
    classes = 2 if type(loss) in BINARY else output.shape[-1]
    function, takes = _function(loss, output, layer)
    constants, complaints = _constants(loss, function)
    if function == "binary_focal_cross_entropy_of_logits" and not backend.is_tensorflow():
        complaints.append(
            f"The loss {loss.name!r} has from_logits=True, for which Keras on {backend.backend()}"
            " clips probabilities: end the model with a sigmoid, and leave from_logits out."
        )
    if loss.reduction not in REDUCTIONS:
        complaints.append(
            f"The loss {loss.name!r} has reduction={loss.reduction!r}. Training needs one number:"
            f" use one of {', '.join(map(repr, REDUCTIONS))}."
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
        not (function.endswith("of_logits") and takes is output) and "hinge" not in function,
    ), complaints


def resolved(configured: Any, output: Value) -> object:
    """The loss object of a name, a function or an object, as Keras finds it."""
    if str(configured).lower() in ("crossentropy", "ce"):
        binary = output.shape[-1] == 1
        return (
            keras.losses.BinaryCrossentropy() if binary else keras.losses.CategoricalCrossentropy()
        )
    found = keras.losses.get(configured)
    return FUNCTIONS[found]() if found in FUNCTIONS else found


def _kind(loss: object) -> str:
    if type(loss) in SPARSE:
        return "sparse"
    if type(loss) in CLASSES:
        return "classes"
    return "binary" if type(loss) in BINARY else "numbers"


def _function(loss: Any, output: Value, layer: str) -> tuple[str, Value]:
    """The DML function and the value that it takes.

    On TensorFlow Keras looks through a final softmax or sigmoid at what went in, and takes that for
    logits; only where the output is neither are probabilities clipped. Its categorical focal loss
    does not look, and on JAX and PyTorch none does.
    """
    if type(loss) in PLAIN:
        return PLAIN[type(loss)], output
    name = ENTROPIES[type(loss)]
    tensorflow = backend.is_tensorflow()
    looks = tensorflow and type(loss) is not keras.losses.CategoricalFocalCrossentropy
    through = _looked_through(output, layer) if looks else None
    if type(loss) is keras.losses.BinaryFocalCrossentropy and loss._fn_kwargs["from_logits"]:
        through = None
    if through is not None:
        return f"{name}_of_logits", through
    if loss._fn_kwargs["from_logits"]:
        return f"{name}_of_logits", output
    sparse = tensorflow and type(loss) is keras.losses.SparseCategoricalCrossentropy
    return f"{'sparse_' * sparse}{name}_of_probabilities", output


def _looked_through(output: Value, layer: str) -> Value | None:
    """What went into the softmax or sigmoid that makes the output, if that is its last layer."""
    last = source_of(output)
    while last.training == PENALTY:
        last = source_of(last.inputs[0])
    if last.function == "unfold" and source_of(last.inputs[0]).function == "softmax":
        last = source_of(last.inputs[0])
    made = last.layer == layer and last.function in ("softmax", "sigmoid")
    return last.inputs[0] if made else None


def _constants(loss: Any, function: str) -> tuple[dict[str, Scalar], list[str]]:
    """The loss' arguments that the DML function takes, and complaints about the others."""
    defaults = signature(type(loss).__init__).parameters
    taken = dml.function(function).arguments
    constants: dict[str, Scalar] = {}
    complaints = []
    for name, value in {**loss.get_config(), **loss._fn_kwargs}.items():
        if name in taken and isinstance(value, (bool, int, float)):
            constants[name] = value if isinstance(value, bool) else float(value)
        elif name not in TREATED and (name in taken or value != defaults[name].default):
            needs = "a number" if name in taken else f"{name}={defaults[name].default!r}"
            complaints.append(
                f"The loss {loss.name!r} has {name}={value!r}. It is compiled with {needs} only."
            )
    return constants, complaints
