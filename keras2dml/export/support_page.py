"""The page of what is compiled of Keras, generated from the rules and tables."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Iterator
from types import ModuleType

import keras

import keras2dml.rules.layers  # noqa: F401  (it registers every rule)
from keras2dml.dml import syntax
from keras2dml.keras_internals import function_of_loss
from keras2dml.objectives.loss_kinds import ENTROPIES, FUNCTIONS, PLAIN, TREATED
from keras2dml.objectives.metrics import KNOWN
from keras2dml.objectives.optimizers import STEPS
from keras2dml.objectives.regularizers import NORMS, SUMS
from keras2dml.rules import HARMLESS, LOWERINGS, augmentation
from keras2dml.rules.activations import ELEMENTWISE, OTHERS

ABSTRACT = (
    keras.layers.Layer,
    keras.layers.Wrapper,
    keras.layers.RNN,
    keras.layers.InputLayer,
    keras.losses.Loss,
    keras.metrics.Metric,
    keras.metrics.MeanMetricWrapper,
    keras.optimizers.Optimizer,
    keras.regularizers.Regularizer,
    keras.constraints.Constraint,
)

"""Classes to make others of, and what every model begins with."""
ATTACHED = ("_initializer", "_regularizer", "_constraint")
NOT_FOLLOWED = (
    "Data and weights are finite: others are refused. A model can still make numbers of them that"
    " are not, by a logarithm of 0, a quotient by 0 or an overflow. From there on ours and Keras'"
    " may differ, since SystemDS leaves out products with 0, and its maxima pass over NaN.",
    "",
    "The sign of a zero is not followed: `argmax` and `argmin` take 0.0 and -0.0 for the same and"
    " the first of them, where Keras takes -0.0 for the smaller one.",
    "",
    "A model of float32 is computed in float64 from inputs, targets and weights of float32. Keras"
    " rounds each step, and so differs in the seventh digit; more where a step jumps, such as"
    " `floor`, `round`, `//`, `sign`, a comparison or `argmax` of computed numbers: a number that"
    " Keras rounds to the other side of the jump is on its own side here. Bilinear and bicubic"
    " interpolation is done in float32 by Keras, in models of float64, too.",
    "",
    "Whole numbers do not wrap round: where Keras computes in int32 and exceeds 2147483647, the"
    " result here is the larger number. Keras on TensorFlow compares int32 with a Python float in"
    " float32, which rounds whole numbers above 16777216.",
)

# Importing the rules is what fills the registry.


def page() -> str:
    """The page, as Markdown."""
    sections = [
        _layers(),
        _operations(),
        _losses(),
        _metrics(),
        _optimizers(),
        _attached(),
        _activations(),
    ]
    counts = [f"| {title} | {sum(done)} | {len(done)} |" for title, done, _ in sections]
    return "\n".join(
        [
            "# What of Keras is compiled",
            "",
            f"Of Keras {keras.__version__}. Written by `python -m keras2dml support >"
            " docs/keras-support.md`; a test keeps it true. What is not compiled is refused before"
            " anything runs, with a sentence that says what to use.",
            "",
            "Sequential and functional models are compiled, also those of a class of your own that"
            " has no `call`; where it has a `train_step`, `test_step`, `predict_step` or"
            " `compute_loss`, the rest is. Sizes that `keras.Input` leaves open are fixed by"
            " `Keras2DML(..., input_shape=...)`, or `compile --input-shape`.",
            "",
            "| | compiled | of |",
            "|---|---|---|",
            *counts,
            *(line for title, _, lines in sections for line in ("", f"## {title}", "", *lines)),
            *("", "## Numbers that are not followed", "", *NOT_FOLLOWED),
            "",
        ]
    )


Section = tuple[str, list[bool], list[str]]


def _layers() -> Section:
    """Every layer, with the arguments that its rule honours and those that must have the default.

    Omits arguments that no rule needs: names, types, initializers, and regularizers and
    constraints, which are attached to variables.
    """
    kinds = classes_of(keras.layers, keras.Layer)
    rows = []
    for kind in kinds:
        lowering = LOWERINGS.get(kind)
        if lowering is None or kind in augmentation.LAYERS:
            continue
        names = [name for name in arguments_of(kind) if not name.endswith(ATTACHED)]
        names = [name for name in names if name not in HARMLESS]
        default = [
            name
            for name in names
            if name not in lowering.honours and name != "activity_regularizer"
        ]
        honoured = [name for name in names if name in lowering.honours]
        rows.append(
            f"| {kind.__name__} | {_listed(honoured, lowering.partly)} | {_listed(default)} |"
        )
    lines = [
        "Initializers do not matter; regularizers and constraints are below. An argument that is"
        " there in part is refused for some values.",
        "",
        "| layer | arguments | only at their default |",
        "|---|---|---|",
        *rows,
        "",
        "For scoring alone, in which they change nothing, with all arguments:"
        f" {', '.join(kind.__name__ for kind in augmentation.LAYERS)}.",
        "",
        "Masks of Masking and `mask_zero` go on where Keras hands them on. A mask that a layer is"
        f" called with is compiled for {', '.join(_masked(kinds))}.",
        "",
        _rest(kinds, LOWERINGS),
    ]
    return "Layers", [kind in LOWERINGS for kind in kinds], lines


def _masked(kinds: Iterable[type]) -> Iterator[str]:
    """The layers whose rules take masks as arguments of a call, with the arguments' names."""
    for kind in kinds:
        rule = LOWERINGS[kind].rule if kind in LOWERINGS else None
        parameters = inspect.signature(rule).parameters if rule else ()
        masks = [name for name in parameters if name == "mask" or name.endswith("_mask")]
        if masks := [name for name in masks if name != "use_causal_mask"]:
            yield f"{kind.__name__} ({', '.join(masks)})"


def _losses() -> Section:
    kinds = classes_of(keras.losses, keras.losses.Loss)
    compiled = {**{kind: f"{name}_of_probabilities" for kind, name in ENTROPIES.items()}, **PLAIN}
    rows = []
    for kind in filter(compiled.__contains__, kinds):
        names = [name for name in arguments_of(kind) if name not in ("name", "dtype")]
        arguments = {*TREATED, *syntax.function(compiled[kind]).arguments}
        default = [name for name in names if name not in arguments]
        own = [name for name in names if name in arguments]
        rows.append(f"| {kind.__name__} | {_listed(own)} | {_listed(default)} |")
    head = ["| loss | arguments | only at their default |", "|---|---|---|"]
    functions = (
        "Functions of targets and predictions, and the `call()` of classes of your own, that are"
        " made of operations. They may make one number of a whole batch, by sums, means, maxima and"
        " minima over all, or over the examples; targets have the shape of the output."
    )
    lines = [*head, *rows, "", functions, "", _rest(kinds, compiled)]
    return "Losses", [kind in compiled for kind in kinds], lines


def _metrics() -> Section:
    kinds = classes_of(keras.metrics, keras.metrics.Metric)
    compiled = [kind for kind in kinds if kind in KNOWN or _is_loss(kind)]
    names = ", ".join(kind.__name__ for kind in compiled)
    functions = "every loss as a function, and functions that are made of operations, as losses are"
    lines = [f"{names}; {functions}.", "", _rest(kinds, compiled)]
    return "Metrics", [kind in compiled for kind in kinds], lines


def _optimizers() -> Section:
    kinds = classes_of(keras.optimizers, keras.optimizers.Optimizer)
    names = ", ".join(kind.__name__ for kind in kinds if kind in STEPS)
    lines = [
        f"{names}: with every argument but loss_scale_factor, and every learning rate schedule.",
        "",
        _rest(kinds, STEPS),
    ]
    return "Optimizers", [kind in STEPS for kind in kinds], lines


def _attached() -> Section:
    penalties = classes_of(keras.regularizers, keras.regularizers.Regularizer)
    limits = classes_of(keras.constraints, keras.constraints.Constraint)
    compiled = (*SUMS, keras.regularizers.OrthogonalRegularizer, *NORMS, keras.constraints.NonNeg)
    names = ", ".join(kind.__name__ for kind in (*penalties, *limits) if kind in compiled)
    lines = [
        f"{names}. OrthogonalRegularizer is for kernels of Dense; the norms of a constraint are"
        " those of whole variables, or over the axes that lead to an output; an"
        " activity_regularizer is L1, L2 or L1L2."
    ]
    done = [kind in compiled for kind in (*penalties, *limits)]
    return "Regularizers and constraints", done, lines


def _activations() -> Section:
    compiled = {keras.activations.linear, *ELEMENTWISE, *OTHERS}
    traced = {keras.activations.glu, keras.activations.threshold}
    functions = {
        value.__name__: value
        for name, value in vars(keras.activations).items()
        if inspect.isfunction(value) and name not in ("get", "serialize", "deserialize")
    }
    names = sorted(functions)
    lines = [
        f"{', '.join(name for name in names if functions[name] in compiled)}; and functions that"
        " are made of operations, which `glu` is, and `threshold` with its arguments. Keras counts"
        " on it that an activation keeps the shape: what follows one that does not is refused. A"
        " Lambda is compiled likewise, if operations are all that it holds, and the same each time."
    ]
    return "Activations", [functions[name] in compiled | traced for name in names], lines


def _operations() -> Section:
    """Every function of keras.ops that is a single operation."""
    kinds = {kind.__name__.lower(): kind for kind in _below(keras.Operation)}
    operations = {
        name: kinds[name.replace("_", "")]
        for name, value in sorted(vars(keras.ops).items())
        if inspect.isfunction(value) and name.replace("_", "") in kinds
    }
    done = [kind in LOWERINGS for kind in operations.values()]
    compiled, rest = (
        ", ".join(
            name for name, is_compiled in zip(operations, done, strict=True) if is_compiled is state
        )
        for state in (True, False)
    )
    lines = [
        "Of `keras.ops`, in models and in functions that are made of them; so are plain operators"
        " (`+ - * / // ** @ abs()`, comparisons, `& | ^ ~`) and slices. Arrays and numbers may"
        " stand on either side. What an operation makes of an example may not depend on other"
        " examples. All is computed in float64, what has steps, too: a comparison of numbers that"
        " float32 rounds to one is that of the numbers. An argument's value that is not compiled,"
        " such as an `ord` of `norm` that no norm of vectors has, is refused by name.",
        "",
        f"{compiled}.",
        "",
        f"Not compiled: {rest}.",
    ]
    return "Operations", done, lines


def _below(kind: type) -> Iterator[type]:
    """The operations that are not layers."""
    subclasses: list[type] = kind.__subclasses__()
    for subclass in subclasses:
        if not issubclass(subclass, keras.Layer):
            yield subclass
            yield from _below(subclass)


def _is_loss(kind: type) -> bool:
    """Whether a metric is the mean of a loss."""
    try:
        return function_of_loss(kind()) in FUNCTIONS
    except TypeError:
        return False  # it needs arguments, which none of these does


def classes_of(module: ModuleType, base: type) -> list[type]:
    """The classes of a Keras module by name, each once, without aliases."""
    classes = {
        value
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, base) and value not in ABSTRACT
    }
    return sorted(classes, key=lambda kind: kind.__name__)


def arguments_of(kind: type) -> list[str]:
    """The names of the arguments of a class' constructor, but for those of its bases."""
    parameters = inspect.signature(kind).parameters.values()
    return [
        parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD
    ]


def _listed(names: Iterable[str], marked: Collection[str] = ()) -> str:
    return ", ".join(f"{name} (in part)" if name in marked else name for name in names)


def _rest(kinds: Iterable[type], compiled: Collection[type]) -> str:
    return f"Not compiled: {', '.join(kind.__name__ for kind in kinds if kind not in compiled)}."
