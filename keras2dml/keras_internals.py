"""Access to Keras' private attributes, which a new version of Keras may change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import keras

BOOKKEEPING = frozenset(
    (
        *("_trainable", "_called", "_inbound_nodes", "_outbound_nodes", "_losses", "_path"),
        *("_parent_path", "_layers", "_metrics", "_tracked", "_trainable_variables"),
        *("_non_trainable_variables", "_self_unconditional_checkpoint_dependencies"),
    )
)
"""The attributes in which a layer notes its calls, parts and whether it is trained."""


def layers_of(layer: Any) -> list[Any]:
    """A layer or model and all layers within it, outer layers first."""
    layers: list[Any] = layer._flatten_layers()
    return layers


def direct_layers_of(layer: Any) -> list[Any]:
    """The direct sublayers of a layer or model, each once."""
    layers: list[Any] = layer._flatten_layers(include_self=False, recursive=False)
    return layers


def layer_list_of(layer: Any) -> list[Any]:
    """The list of a layer's or model's sublayers; changing it changes their order."""
    layers: list[Any] = layer._layers
    return layers


def variables_of(layer: Any) -> list[keras.Variable]:
    """The variables of a layer without its sublayers: trainable ones first."""
    variables: list[keras.Variable] = layer._trainable_variables + layer._non_trainable_variables
    return variables


def own_metrics_of(layer: Any) -> list[keras.Metric]:
    """The metrics among the attributes of a layer or model."""
    metrics: list[keras.Metric] = layer._metrics
    return metrics


def set_trainable(layer: Any, *, trainable: bool) -> None:
    """Freeze or unfreeze a layer without its sublayers and weights, unlike its property."""
    layer._trainable = trainable


def output_shape_of(layer: keras.layers.Lambda) -> Any:
    """The argument `output_shape` of a Lambda."""
    return layer._output_shape


def takes_mask(layer: keras.Layer) -> bool:
    """Whether the call of a layer has an argument `mask`."""
    return bool(layer._call_has_mask_arg)


def attribute_of(part: Any, name: str) -> Any:
    """The attribute `name` or `_name` of a part; None if it has neither."""
    return getattr(part, name, getattr(part, f"_{name}", None))


def origin_of(tensor: Any) -> Any:
    """The origin of a symbolic tensor, a tuple that identifies it: the operation, the index of its
    call, and the index of the output.
    """
    return tensor._keras_history


def node_of(tensor: Any) -> Any:
    """The call of a layer or operation that created a symbolic tensor."""
    operation, node, _ = tensor._keras_history
    return operation._inbound_nodes[node]


def recorded_mask_of(tensor: Any) -> Any:
    """The mask that Keras attached to a symbolic tensor, or None."""
    return getattr(tensor, "_keras_mask", None)


def function_of(model: Any) -> Any:
    """The graph of a model or a function: of a Sequential model its functional one, None where it
    is not built.
    """
    return model._functional if isinstance(model, keras.Sequential) else model


def operations_of(model: Any) -> list[Any]:
    """The layers and operations in the graph of a built model."""
    operations: list[Any] = function_of(model)._operations
    return operations


def nodes_of(model: Any) -> Iterator[Any]:
    """The calls of layers and operations in the order in which they run, those that stand for
    inputs among them; none of a model that is not built.
    """
    nodes = getattr(function_of(model), "_nodes_by_depth", {})
    for depth in sorted(nodes, reverse=True):
        yield from nodes[depth]


def structure_of(model: Any, kind: Literal["inputs", "outputs"]) -> Any:
    """The lists and dicts of tensors of which a model was built; None where it has none."""
    return getattr(function_of(model), f"_{kind}_struct", None)


def loss_weights_of(model: keras.Model) -> Any:
    """The argument `loss_weights` of compile()."""
    losses = model._compile_loss
    return losses._user_loss_weights if losses else None


def users_metrics_of(model: keras.Model) -> tuple[Any, Any]:
    """The arguments `metrics` and `weighted_metrics` of compile()."""
    metrics = getattr(model, "_compile_metrics", None)
    return (metrics._user_metrics, metrics._user_weighted_metrics) if metrics else (None, None)


def compile_arguments_of(model: keras.Model) -> Any:
    """What the last call of compile() was given: another object after each call; None without."""
    return getattr(model, "_compile_config", None)


def compiled_trainable_of(model: keras.Model) -> dict[Any, bool]:
    """Which layers were trainable when compile() was called; empty where it was not."""
    state: dict[Any, bool] = getattr(model, "_compiled_trainable_state", {})
    return state


def initial_epoch_of(model: keras.Model) -> int | None:
    """The epoch with which BackupAndRestore lets a training begin."""
    epoch: int | None = model._initial_epoch
    return epoch


def build_symbolically(model: keras.Model, batch: Any) -> None:
    """Build a compiled model's metrics and optimizer for such a batch, without computing it."""
    model._symbolic_build(data_batch=batch)


def is_tracing(callback: keras.callbacks.TensorBoard) -> bool:
    """Whether a callback profiles batches."""
    return bool(callback._should_trace)


def function_of_loss(loss: Any) -> Any:
    """The function of which a loss or metric is made; None of one that is none of a function."""
    return getattr(loss, "_fn", None)


def keywords_of_loss(loss: Any) -> dict[str, Any]:
    """The arguments with which a loss or metric calls its function."""
    keywords: dict[str, Any] = getattr(loss, "_fn_kwargs", {})
    return keywords


def reads_logits(metric: Any) -> bool:
    """Whether a metric takes predictions for logits."""
    return bool(getattr(metric, "_from_logits", False))


def has_even_thresholds(metric: Any) -> bool:
    """Whether a metric's thresholds lie as far apart, each from the next."""
    return bool(metric._thresholds_distributed_evenly)


def build_metric(metric: Any, columns: int) -> None:
    """Make a metric's variables for rows of so many columns."""
    metric._build((None, columns), (None, columns))


def learning_rate_of(optimizer: Any) -> Any:
    """An optimizer's variable, schedule or function; the property computes the schedule's rate."""
    return optimizer._learning_rate


def set_learning_rate(optimizer: Any, rate: Any) -> None:
    """Put a variable, a schedule, a function or None in its place."""
    optimizer._learning_rate = rate


def iterations_of(optimizer: Any) -> keras.Variable:
    """The variable in which an optimizer counts its steps, those without an update included."""
    return optimizer._iterations


def rate_products_of(optimizer: keras.optimizers.Nadam) -> keras.Variable:
    """The variable in which Nadam has the product of its momenta."""
    return optimizer._u_product


def excluded_from_decay(optimizer: Any) -> Any:
    """The keys of the variables that `exclude_from_weight_decay` was called with."""
    return getattr(optimizer, "_exclude_from_weight_decay", None)


def set_excluded_from_decay(optimizer: Any, keys: set[Any]) -> None:
    """Put other keys in their place."""
    optimizer._exclude_from_weight_decay = keys


def pattern_excluded_from_decay(optimizer: Any) -> Any:
    """The pattern of the names that `exclude_from_weight_decay` was called with."""
    return getattr(optimizer, "_exclude_from_weight_decay_pattern", None)


def key_of(optimizer: Any, variable: Any) -> Any:
    """By what an optimizer knows a variable."""
    return optimizer._var_key(variable)


def place_of(optimizer: Any, variable: Any) -> int:
    """The place of a variable in the lists in which an optimizer keeps its state."""
    place: int = optimizer._get_variable_index(variable)
    return place


def state_of(optimizer: Any, name: str) -> Any:
    """What an optimizer keeps of each variable as `_name`, or as `name`."""
    return getattr(optimizer, f"_{name}", None) or getattr(optimizer, name)


def is_decayed(optimizer: Any, variable: Any) -> bool:
    """Whether an optimizer's weight decay is for this variable."""
    return bool(optimizer._use_weight_decay(variable))


def is_trained_by_adam(optimizer: keras.optimizers.Muon, variable: Any) -> bool:
    """Whether Muon makes a step of Adam for this variable."""
    return bool(optimizer._should_use_adamw(variable))


def first_token_place(layer: keras.layers.IntegerLookup) -> int:
    """The index that a lookup gives the first token of its vocabulary."""
    place: int = layer._token_start_index()
    return place


def first_unknown_place(layer: keras.layers.IntegerLookup) -> int:
    """The first index that a lookup gives what is not in its vocabulary."""
    place: int = layer._oov_start_index()
    return place


def has_fixed_vocabulary(layer: keras.layers.IntegerLookup) -> bool:
    """Whether the constructor of a lookup was given a vocabulary."""
    return bool(layer._has_input_vocabulary)


def attention_window_of(layer: keras.layers.MultiHeadAttention) -> int | None:
    """The argument `sliding_window` of a MultiHeadAttention."""
    window: int | None = layer._sliding_window
    return window


def is_gated(layer: keras.layers.MultiHeadAttention) -> bool:
    """The argument `use_gate` of a MultiHeadAttention."""
    return bool(layer._use_gate)


def projection_of(
    layer: Any, kind: Literal["query", "key", "value", "gate", "output"]
) -> keras.layers.EinsumDense:
    """The layer with which attention of several heads projects what it takes, or gives."""
    return getattr(layer, f"_{kind}_dense")
