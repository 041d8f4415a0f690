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
"""Base classes, and the layer that every model begins with."""
ATTACHED = ("_initializer", "_regularizer", "_constraint")
NOT_FOLLOWED = (
    "Data and weights must be finite; others are refused. A model can still compute numbers that"
    " are not: the logarithm of 0, a quotient by 0, an overflow. From there on the results may"
    " differ from Keras', since SystemDS' own operators skip"
    " products with 0 and their maxima ignore NaN, which kernels do not.",
    "",
    "The sign of zero is not followed: `argmax` and `argmin` treat 0.0 and -0.0 as equal and return"
    " the first, where Keras treats -0.0 as smaller.",
    "",
    "A float32 model is computed in float32 by kernels, which add up in another order than Keras;"
    " SystemDS' own operators, wherever they run, compute it in float64, and so do kernels if it"
    " has integers or float64 between its layers. Results differ from Keras' in about the seventh"
    " digit, and by more where a function jumps: `floor`, `round`, `//`, `sign`, a comparison or"
    " `argmax` of computed numbers may fall on the other side of the jump. Keras interpolates"
    " (bilinear and bicubic resizing) in float32 even in float64 models.",
    "",
    "Integers do not wrap around: where Keras exceeds 2147483647 in int32, the result here is the"
    " larger number. Keras on TensorFlow compares int32 with a Python float in float32, which"
    " rounds integers above 16777216.",
)


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
            f"For Keras {keras.__version__}. Written by `python -m keras2dml support >"
            " docs/keras-support.md`; a test keeps it true. What is not compiled is refused before"
            " anything runs, with a sentence that says what to use.",
            "",
            "Sequential and functional models are compiled, including those of a subclass without a"
            " `call` of its own; a subclass with a `train_step`, `test_step`, `predict_step` or"
            " `compute_loss` is compiled for all but that. Sizes that `keras.Input` leaves open are"
            " fixed by `Keras2DML(..., input_shape=...)`, or `compile --input-shape`.",
            "",
            "| | compiled | in Keras |",
            "|---|---|---|",
            *counts,
            *(line for title, _, lines in sections for line in ("", f"## {title}", "", *lines)),
            *("", "## Numerical differences", "", *NOT_FOLLOWED),
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
        "All initializers are compiled; regularizers and constraints are below. An argument marked"
        ' "in part" is refused for some values.',
        "",
        "| layer | arguments | only at their default |",
        "|---|---|---|",
        *rows,
        "",
        "For scoring only, where they change nothing, with all arguments:"
        f" {', '.join(kind.__name__ for kind in augmentation.LAYERS)}.",
        "",
        "Masks of Masking and `mask_zero` are passed on as in Keras. A mask given in a layer's call"
        f" is compiled for {', '.join(_masked(kinds))}.",
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
        "Your own losses, functions of targets and predictions or classes with a `call()`, are"
        " compiled if they consist of operations. They may reduce a whole batch to one number, by"
        " sums, means, maxima and minima over all or over the examples; targets have the shape of"
        " the output."
    )
    lines = [*head, *rows, "", functions, "", _rest(kinds, compiled)]
    return "Losses", [kind in compiled for kind in kinds], lines


def _metrics() -> Section:
    kinds = classes_of(keras.metrics, keras.metrics.Metric)
    compiled = [kind for kind in kinds if kind in KNOWN or _is_loss(kind)]
    names = ", ".join(kind.__name__ for kind in compiled)
    functions = "every loss as a function, and functions that consist of operations, like losses"
    lines = [f"{names}; {functions}.", "", _rest(kinds, compiled)]
    return "Metrics", [kind in compiled for kind in kinds], lines


def _optimizers() -> Section:
    kinds = classes_of(keras.optimizers, keras.optimizers.Optimizer)
    names = ", ".join(kind.__name__ for kind in kinds if kind in STEPS)
    lines = [
        f"{names}: with every argument except loss_scale_factor, and every learning rate schedule.",
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
        f"{names}. OrthogonalRegularizer is compiled for kernels of Dense; the norms of a"
        " constraint are over the whole variable, or over the axes that lead to an output; an"
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
        " consist of operations, such as `glu` and `threshold` with its arguments. Keras assumes"
        " that an activation keeps the shape: a layer after one that does not is refused. A Lambda"
        " is compiled in the same way, if it consists of operations that are the same each time."
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
        "Functions of `keras.ops`, in models and in your own functions, plain operators"
        " (`+ - * / // ** @ abs()`, comparisons, `& | ^ ~`) and slices. Arrays and numbers may"
        " stand on either side. The result for an example must not depend on other examples. All"
        " is computed in float32 or float64, as Keras computes the model; comparisons are, too. A"
        " value of an argument that is not compiled, such as an `ord` of"
        " `norm` that is not a norm of vectors, is refused by name.",
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
