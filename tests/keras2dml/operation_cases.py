"""Uses of Keras' operations on h, a value (N, 4, 3), and g, another one of its shape."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, ops
from keras.applications import densenet, mobilenet, vgg16

NUMBERS = np.linspace(-1.0, 2.0, 12).reshape(4, 3)
KERNEL = np.linspace(-0.5, 1.0, 21).reshape(3, 7)


def positive(h):
    return ops.abs(h) + 0.5


def bent(h):
    return ops.tanh(h) * 0.9


ARITHMETIC = {
    "add": lambda h, g: h + g + 1 + NUMBERS[0] + NUMBERS,
    "subtract": lambda h, g: (2 - h) - ops.subtract(NUMBERS, g) - (h - NUMBERS[:, :1]) - g,
    "multiply": lambda h, g: h * g * 2.5 * NUMBERS[None] * NUMBERS[0],
    "divide": lambda h, g: h / 255 + 2 / positive(g) + h / positive(g) + h / (NUMBERS + 4),
    "divide_numbers": lambda h, g: ops.divide(NUMBERS, positive(h)) + ops.true_divide(h, 3),
    "divide_no_nan": lambda h, g: (
        ops.divide_no_nan(h, positive(g) * ops.cast(g > 0, "float64"))
        + ops.divide_no_nan(h, ops.cast(NUMBERS > 0, "float64"))
    ),
    "power": lambda h, g: (
        h**2 + h**3 + positive(h) ** 0.5 + 2.0**h + positive(h) ** g + positive(h) ** NUMBERS[0]
    ),
    "floor_divide": lambda h, g: h // 0.5 + h * (h // (NUMBERS + 3)) + h // positive(g),
    "maximum": lambda h, g: (
        ops.maximum(h, g) + ops.maximum(0.0, h) + ops.maximum(h, 0.0) + ops.maximum(h, NUMBERS)
    ),
    "minimum": lambda h, g: (
        ops.minimum(h, g) + ops.minimum(0.25, h) + ops.minimum(h, 0.25) + ops.minimum(NUMBERS, h)
    ),
    "logaddexp": lambda h, g: ops.logaddexp(h, g) + ops.logaddexp(h, 1.0),
    "compared": lambda h, g: (
        h * ops.cast(h > g, "float64")
        + g * ops.cast(h >= 0, "float64")
        + ops.cast(ops.less(0.5, g), "float64")
        + h * ops.cast(g <= NUMBERS, "float64")
        + ops.cast(ops.equal(h, 0), "float64")
        + ops.cast(h != g, "float64")
    ),
    "logical": lambda h, g: (
        h * ops.cast((h > 0) & (g > 0), "float64")
        + g * ops.cast((h > 0) | (g > 0), "float64")
        + h * ops.cast((h > 0) ^ ~(g > 0), "float64")
    ),
    "where": lambda h, g: (
        ops.where(h > 0, h, g) + ops.where(g > 0, 1.0, h) + ops.where(NUMBERS > 0, h, 0.0)
    ),
    "clip": lambda h, g: (
        ops.clip(h, -0.5, 0.75) + ops.clip(g, 0, np.inf) + ops.clip(h * g, -1, 1.5)
    ),
    "filled": lambda h, g: (
        ops.zeros_like(h) + ops.ones_like(g) * h + ops.full_like(h, 3.0) + ops.full_like(g, 0.5)
    ),
    "stopped": lambda h, g: ops.stop_gradient(h) * g,
    "broadcast": lambda h, g: h * g[:, :1] + h[:, :, :1] * g[:, 1:2] + h[:, :1, :1] * NUMBERS,
}
ELEMENTWISE = {
    "roots": lambda h, g: ops.sqrt(positive(h)) + ops.rsqrt(positive(g)) + ops.square(h),
    "logarithms": lambda h, g: (
        ops.log(positive(h))
        + ops.log2(positive(h))
        + ops.log10(positive(g))
        + ops.log1p(ops.abs(h))
    ),
    "exponentials": lambda h, g: ops.exp(h) + ops.exp2(g) + ops.expm1(h),
    "signs": lambda h, g: abs(h) + h * ops.sign(g) - (-h) + ops.absolute(g),
    "circular": lambda h, g: (
        ops.sin(h) + ops.cos(g) + ops.tan(bent(h)) + ops.arcsin(bent(h)) + ops.arccos(bent(g))
    ),
    "hyperbolic": lambda h, g: ops.sinh(h) + ops.cosh(g) + ops.tanh(h) + ops.arctan(g),
    "angles": lambda h, g: ops.deg2rad(h) + ops.rad2deg(g) + ops.reciprocal(positive(h)),
    "error_function": lambda h, g: ops.erf(h) + ops.erf(g * 0.1),
    "steps": lambda h, g: (
        h * ops.floor(g) + g * ops.ceil(h) + h * ops.trunc(g * 3) + h * ops.round(g * 2)
    ),
    "decimals": lambda h, g: (
        h * ops.round(g, 1) + g * ops.cast(ops.cast(h * 3, "int32"), "float64")
    ),
    "bits": lambda h, g: h * ops.cast(ops.cast(ops.relu(g), "bool"), "float64"),
    "relu": lambda h, g: (
        ops.relu(h) + ops.relu6(g * 5) + ops.leaky_relu(h) + ops.leaky_relu(g, 0.3)
    ),
    "activations": lambda h, g: (
        ops.sigmoid(h) + ops.silu(g) + ops.softplus(h) + ops.softsign(g) + ops.selu(h) + ops.elu(g)
    ),
    "hard": lambda h, g: (
        ops.hard_sigmoid(h) + ops.hard_silu(g) + ops.hard_tanh(h) + ops.elu(g, 0.5)
    ),
    "gelu": lambda h, g: ops.gelu(h) + ops.gelu(g, approximate=False),
    "celu": lambda h, g: ops.celu(ops.relu(h)) + ops.celu(g, 0.7) + keras.activations.celu(h),
    "shrink": lambda h, g: (
        ops.hard_shrink(h, 0.25)
        + ops.soft_shrink(g, 0.25)
        + ops.tanh_shrink(h)
        + ops.soft_shrink(g)
    ),
    "plus": lambda h, g: (
        ops.squareplus(h) + ops.squareplus(g, 0.5) + ops.sparse_plus(h) + ops.sparse_sigmoid(g)
    ),
    "threshold": lambda h, g: ops.threshold(h, 0.25, -1.0) + ops.log_sigmoid(g),
    "of_activations": lambda h, g: (
        keras.activations.relu(h, 0.2, 1.5, 0.1)
        + keras.activations.relu(g, max_value=1.0)
        + keras.activations.gelu(h)
        + keras.activations.relu(h, negative_slope=0.1)
    ),
}
REDUCTIONS = {
    "sum": lambda h, g: ops.sum(h, axis=-1) + ops.sum(g, axis=2),
    "mean": lambda h, g: (
        ops.mean(h, axis=1, keepdims=True) + ops.mean(g, axis=(1, 2), keepdims=True)
    ),
    "all_axes": lambda h, g: ops.mean(h, axis=(-1, -2)) * ops.sum(g, (1, 2)),
    "extremes": lambda h, g: (
        ops.max(h, axis=-1) + ops.min(g, axis=2) + ops.amax(g, axis=-1, keepdims=True)[..., 0]
    ),
    "initial": lambda h, g: ops.max(h, axis=1, initial=0.5) + ops.min(g, axis=1, initial=0.0),
    "ties": lambda h, g: ops.max(ops.relu(h), axis=1) + ops.min(ops.relu(g), axis=1),
    "prod": lambda h, g: ops.prod(h, axis=1) + ops.prod(ops.relu(g), axis=-2),
    "moments": lambda h, g: ops.var(h, axis=1) + ops.std(g, axis=1) + ops.average(h, axis=1),
    "logsumexp": lambda h, g: ops.logsumexp(h, axis=-1) + ops.ptp(g, axis=-1),
    "counts": lambda h, g: (
        h[:, 0] * ops.cast(ops.any(g > 0.5, axis=1), "float64")
        + g[:, 0] * ops.cast(ops.all(h > -0.5, axis=1), "float64")
        + h[:, 1] * ops.cast(ops.count_nonzero(ops.relu(g), axis=1), "float64")
    ),
    "places": lambda h, g: (
        h[:, 0] * ops.cast(ops.argmax(g, axis=1), "float64")
        + h[:, 1] * ops.cast(ops.argmin(ops.relu(g), axis=1), "float64")
    ),
    "norms": lambda h, g: (
        ops.norm(h, axis=-1) + ops.norm(g, ord=1, axis=-1) + ops.norm(g, ord=np.inf, axis=2)
    ),
    "matrix_norm": lambda h, g: h / ops.norm(g, axis=(1, 2), keepdims=True),
    "normalize": lambda h, g: ops.normalize(h) + ops.normalize(g, axis=1),
    "softmax": lambda h, g: ops.softmax(h) + ops.softmax(g, axis=1) + ops.log_softmax(h, axis=-1),
    "sparsemax": lambda h, g: ops.sparsemax(h) + ops.sparsemax(g, axis=1),
    "glu": lambda h, g: ops.glu(h, axis=1) + keras.activations.glu(g, axis=-2),
}
MOVING = {
    "slices": lambda h, g: (
        h[:, 0] + g[:, -1] + h[:, 1:3][:, 0] + g[:, ::-1][:, 2] + h[:, ::2, :][:, 1]
    ),
    "last": lambda h, g: h[..., :2] + g[:, :, 1:] + h[..., ::-1][..., :2] + g[..., 0:1],
    "new_axis": lambda h, g: h[:, None] * g[:, :, None][:, :2, :, :, None][..., 0],
    "reshape": lambda h, g: (
        ops.reshape(h, (-1, 2, 6)) + ops.reshape(g, (-1, 2, 3, 2)).reshape((-1, 2, 6))
    ),
    "transpose": lambda h, g: (
        ops.transpose(h, (0, 2, 1)) + ops.swapaxes(g, 1, -1) + ops.moveaxis(h, 2, 1)
    ),
    "squeeze": lambda h, g: (
        ops.squeeze(h[:, :1], axis=1) + ops.squeeze(ops.expand_dims(g[:, 1], -1), -1)
    ),
    "concatenate": lambda h, g: ops.concatenate([h, g, h[:, :1]], axis=1),
    "append": lambda h, g: ops.append(h, g, axis=-1) + ops.concatenate([g, h], -1),
    "stack": lambda h, g: (
        ops.stack([h, g], axis=1) + ops.stack([g, h, h], axis=-1)[:, None, ..., 0]
    ),
    "hstack": lambda h, g: ops.hstack([h, g]),
    "split": lambda h, g: ops.split(h, 2, axis=1)[0] * ops.split(g, [2], axis=1)[1],
    "unstack": lambda h, g: ops.unstack(h, axis=1)[2] + ops.unstack(g, axis=-1)[0][:, :3],
    "flip": lambda h, g: (
        ops.flip(h, axis=1) + ops.roll(g, 1, axis=1) + ops.roll(h, (1, 2), axis=(1, 2))
    ),
    "repeat": lambda h, g: ops.repeat(h, 2, axis=1) + ops.tile(g, (1, 2, 1)),
    "pad": lambda h, g: (
        ops.pad(h, ((0, 0), (1, 2), (0, 0)))
        + ops.pad(g, ((0, 0), (2, 1), (0, 0)), constant_values=1.5)
        + ops.pad(h, ((0, 0), (2, 1), (0, 0)), mode="reflect")
    ),
    "take": lambda h, g: ops.take(h, [2, 0, 0], axis=1) + ops.take(g, np.array([1, 1, 3]), axis=1),
    "triangles": lambda h, g: ops.tril(h) + ops.triu(g, k=1) + ops.rot90(h, axes=(1, 2))[:, :1, :3],
    "diagonal": lambda h, g: ops.diagonal(h, axis1=1, axis2=2) + ops.diagonal(g, 0, 2, 1),
    "copied": lambda h, g: ops.copy(h) + ops.convert_to_tensor(g) + ops.cast(h, "float64"),
}
PRODUCTS = {
    "matmul": lambda h, g: ops.matmul(h, ops.transpose(g, (0, 2, 1))) + h @ g.reshape((-1, 3, 4)),
    "matmul_array": lambda h, g: h @ KERNEL + ops.matmul(g, KERNEL),
    "array_matmul": lambda h, g: (
        ops.matmul(KERNEL.T, ops.transpose(h, (0, 2, 1)))
        + ops.matmul(KERNEL[0, :4], g)[..., :1, None]
    ),
    "matmul_vector": lambda h, g: ops.matmul(h, KERNEL[:, 0]) + g[:, 0] @ KERNEL[:, :4],
    "matmul_batch": lambda h, g: (
        h.reshape((-1, 2, 2, 3)) @ g.reshape((-1, 2, 3, 2))
        + h.reshape((-1, 1, 4, 3))[:, :, :2] @ g.reshape((-1, 2, 3, 2))
        + h.reshape((-1, 2, 2, 3)) @ KERNEL[:, :4].reshape(2, 3, 2)
    ),
    "dot": lambda h, g: (
        ops.dot(h, KERNEL) + ops.dot(2.0, g)[:, :, :1] + ops.dot(g, KERNEL[:, 1])[..., None]
    ),
    "tensordot": lambda h, g: (
        ops.tensordot(h, KERNEL, 1) + ops.tensordot(g, NUMBERS, ((1, 2), (0, 1)))[:, None, None]
    ),
    "einsum": lambda h, g: (
        ops.einsum("bij,bkj->bik", h, g)
        + ops.einsum("bij,jk->bik", h, KERNEL[:, :4])
        + ops.einsum("bij->bji", g)[:, :1, :]
    ),
    "einsum_sums": lambda h, g: (
        ops.einsum("bij->bj", h) + ops.einsum("bij,bij->bj", h, g) + ops.einsum("bij,bkj->bj", h, g)
    ),
    "einsum_arrays": lambda h, g: (
        ops.einsum("bij,ij->bj", h, NUMBERS)
        + ops.einsum("bij,ij->bij", g, NUMBERS)[:, 0]
        + ops.einsum("bij,ijk->bik", h, KERNEL[:, :4].reshape(4, 3, 1))[..., 0][:, :3]
    ),
    "einsum_ellipsis": lambda h, g: (
        ops.einsum("...ij,jk->...ik", h, KERNEL)
        + ops.einsum("bi,bj,ik->bjk", h[:, 0], g[..., 0], KERNEL)
    ),
    "outer": lambda h, g: ops.einsum("bi,bj->bij", h[:, 0], g[:, :, 1]),
}
KINDS = {
    "arithmetic": ARITHMETIC,
    "elementwise": ELEMENTWISE,
    "reductions": REDUCTIONS,
    "moving": MOVING,
    "products": PRODUCTS,
}
COMMON = {
    "scaled": lambda h, g: h / 255 + 2 / positive(g) - g * NUMBERS + (1 - h) ** 2,
    "slices": lambda h, g: h[:, 0] + g[..., 1, :] + h[:, ::-1, :][:, -1],
    "moved": lambda h, g: (
        ops.reshape(ops.transpose(h, (0, 2, 1)), (-1, 4, 3)) + ops.squeeze(ops.expand_dims(g, 1), 1)
    ),
    "joined": lambda h, g: (
        ops.concatenate([h[..., :2], g], -1)[..., :3] + ops.stack([g, h], 1)[:, 0]
    ),
    "twice": lambda h, g: ops.concatenate([h, h], -1)[..., 1:4],
    "reduced": lambda h, g: ops.mean(h, axis=-1) + ops.sum(g, axis=2) + ops.max(h, axis=(-1,)),
    "multiplied": lambda h, g: ops.matmul(h, KERNEL) + ops.einsum("bij,jk->bik", g, KERNEL),
    "elements": lambda h, g: (
        ops.relu(h) + ops.softmax(g, axis=1) + ops.log(ops.exp(h) + ops.sqrt(positive(g)))
    ),
    "bounded": lambda h, g: (
        ops.maximum(h, 0.0)
        + ops.minimum(g, h)
        + abs(g)
        + ops.clip(h, -0.5, 0.5)
        + ops.power(positive(g), 1.5)
    ),
    "chosen": lambda h, g: ops.where(h > 0, g, 0.1 * h),
    "preprocessed": lambda h, g: (
        vgg16.preprocess_input(ops.reshape(h, (-1, 2, 2, 3))) / 100
        + densenet.preprocess_input(ops.reshape(g, (-1, 2, 2, 3)))
        + mobilenet.preprocess_input(ops.reshape(h, (-1, 2, 2, 3)))
    ),
}
# What is taken of numbers among which many are where a function bends, or are equal.
TIES = {
    "maximum": lambda h: ops.maximum(0.0, h) + 2 * ops.maximum(h, 1.0) + ops.maximum(h, -h),
    "minimum": lambda h: ops.minimum(0.0, h) + 2 * ops.minimum(h, 1.0) + ops.minimum(h, -h),
    "clip": lambda h: ops.clip(h, -1, 2) + ops.hard_tanh(h) + ops.relu6(h),
    "reduced": lambda h: (
        h * ops.max(h, axis=-1, keepdims=True)
        - 3 * h * ops.min(ops.relu(h), axis=-1, keepdims=True)
    ),
    "initial": lambda h: h * ops.max(h, axis=-1, keepdims=True, initial=3.0),
    "prod": lambda h: h * ops.prod(h[:, 4:8], axis=1, keepdims=True),
    "where": lambda h: ops.where(h >= 1, h * h, h) + abs(h) + ops.sign(h) * h,
    "shrink": lambda h: ops.hard_shrink(h, 1) + ops.soft_shrink(h, 1) + ops.threshold(h, 1, 0.5),
    "exponential": lambda h: ops.elu(h) + ops.elu(h, 0.5) + ops.selu(h) + ops.celu(h, 0.5),
    "relu": lambda h: ops.relu(h) + ops.leaky_relu(h) + keras.activations.relu(h, 0.1, 3.0, 1.0),
    "hard": lambda h: ops.hard_sigmoid(h) + ops.sparse_plus(h) + ops.sparse_sigmoid(h),
    "hard_silu": lambda h: layers.Activation("hard_silu")(h) + layers.Activation("celu")(h),
    "rounded": lambda h: h * ops.round(h / 2) + h * ops.floor(h) + h * (h // 2),
}
