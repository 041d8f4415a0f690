"""Regularizers and constraints of variables: DML functions of the matrix that stores a variable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from keras2dml.graph import Parameter, Scalar, Weight
from keras2dml.rules.arguments import strengths
from keras2dml.traits import Trait

SUMS = (keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2)
NORMS = (keras.constraints.MaxNorm, keras.constraints.MinMaxNorm, keras.constraints.UnitNorm)


@dataclass(frozen=True)
class Regularizer:
    """The function for the penalty of a matrix W, and its gradient."""

    function: str
    constants: Mapping[str, Scalar]
    traits: frozenset[Trait] = frozenset()


@dataclass(frozen=True)
class Constraint:
    """The function that constrains W after each step, and the function for the norms of W."""

    function: str
    norms: str | None = None
    constants: Mapping[str, Scalar] = field(default_factory=dict)


def regularizer_of(parameter: Parameter) -> tuple[Regularizer | None, list[str]]:
    """The regularizer of a trained parameter, or the complaint about it."""
    regularizer = parameter.weight.variable.regularizer
    if regularizer is None or not parameter.trainable:
        return None, []
    kind, weight = type(regularizer), parameter.weight
    if kind in SUMS:
        factors = strengths(regularizer)
        traits = frozenset([Trait.KINK_ON_JAX] if factors["l1"] else [])
        return Regularizer("l1_l2_penalty", factors, traits), []
    if kind is keras.regularizers.OrthogonalRegularizer and weight.matrix == weight.shape:
        factor = {"factor": float(regularizer.factor)}
        return Regularizer(f"orthogonal_{regularizer.mode}_penalty", factor), []
    return None, [
        f"{_named(parameter)} has the regularizer {kind.__name__}. Only L1, L2 and L1L2 are"
        " compiled, and OrthogonalRegularizer for kernels of Dense: use one of these."
    ]


def constraint_of(parameter: Parameter) -> tuple[Constraint | None, list[str]]:
    """The constraint of a trained parameter, or the complaint about it."""
    constraint = parameter.weight.variable.constraint
    if constraint is None or not parameter.trainable:
        return None, []
    kind = type(constraint)
    if kind is keras.constraints.NonNeg:
        return Constraint("non_negative"), []
    if kind not in NORMS:
        return None, [
            f"{_named(parameter)} has the constraint {kind.__name__}. Only MaxNorm, MinMaxNorm,"
            " NonNeg and UnitNorm are compiled: use one of these."
        ]
    norms = _norms(parameter.weight, constraint.axis)
    if norms is None:
        axes = list(range(len(parameter.weight.shape) - 1))
        return None, [
            f"{_named(parameter)} has {kind.__name__}(axis={constraint.axis!r}). For a variable of"
            f" shape {parameter.weight.shape} the norms over these axes are not those of rows or"
            f" columns: use axis={axes}."
        ]
    if kind is keras.constraints.UnitNorm:
        return Constraint("with_unit_norms", norms), []
    constants = {
        "min_value": float(getattr(constraint, "min_value", 0.0)),
        "max_value": float(constraint.max_value),
        "rate": float(getattr(constraint, "rate", 1.0)),
    }
    return Constraint("within_norms", norms, constants), []


def _norms(weight: Weight, axis: Any) -> str | None:
    """The function for norms over these axes of Keras' variable, if they are of rows or columns."""
    rank = len(weight.shape)
    axes = {place % rank for place in np.atleast_1d(axis)} if rank else set()
    sizes = tuple(1 if place in axes else size for place, size in enumerate(weight.shape))
    groups = np.arange(np.prod(sizes)).reshape(sizes)
    stored = weight.to_dml(np.broadcast_to(groups, weight.shape))
    count = len(np.unique(stored))
    if count == 1:
        return "whole_norm"
    if count == len(stored) and (stored == stored[:, :1]).all():
        return "row_norms"
    return "column_norms" if count == len(stored.T) and (stored == stored[:1]).all() else None


def _named(parameter: Parameter) -> str:
    return f"Layer {parameter.layer!r}: its {parameter.role}"


def penalties_of(
    parameters: Iterable[Parameter],
) -> tuple[dict[str, Regularizer], dict[str, Constraint], list[str]]:
    """The regularizers and constraints of parameters by their names, and complaints about them."""
    regularizers: dict[str, Regularizer] = {}
    constraints: dict[str, Constraint] = {}
    complaints: list[str] = []
    for parameter in parameters:
        regularizer, about_regularizer = regularizer_of(parameter)
        constraint, about_constraint = constraint_of(parameter)
        if regularizer:
            regularizers[parameter.name] = regularizer
        if constraint:
            constraints[parameter.name] = constraint
        complaints += [*about_regularizer, *about_constraint]
    return regularizers, constraints, complaints
