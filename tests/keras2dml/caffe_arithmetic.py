"""Caffe's documented arithmetic in NumPy, layer by layer: what networks score in the TEST phase.

Written after the formulas, and not after the code that it is compared with. Blobs are (N, C, H, W).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Blobs = Sequence[np.ndarray]
DATA = ("Data", "DummyData", "HDF5Data", "ImageData", "Input", "MemoryData", "WindowData")
NOTHING = ("Accuracy", "HDF5Output", "Silence")


def scored(
    layers: Sequence[Any], learned: Mapping[str, Blobs], example: str, x: np.ndarray
) -> dict[str, np.ndarray]:
    """Every blob of a network by its name, of the input that is called `example`. A loss stands for
    what it takes for probabilities or numbers.
    """
    blobs = {example: x}
    for layer in layers:
        if layer.type in (*DATA, *NOTHING):
            continue
        bottoms = [blobs[name] for name in layer.bottom if name in blobs]
        tops = KINDS[layer.type](layer, bottoms, learned.get(layer.name, ()))
        parts = tops if isinstance(tops, list) else [tops]
        blobs.update(zip(layer.top, parts, strict=False))
    return blobs


def windows(
    x: np.ndarray, kernel: Any, stride: Any, pad: Any, *, mean: bool, floor: bool = False
) -> np.ndarray:
    """Pooling, window by window."""
    sizes = x.shape[2:]
    kernel, stride, pad = (np.broadcast_to(side, 2) for side in (kernel, stride, pad))
    rooms = [size + 2 * p - k for size, p, k in zip(sizes, pad, kernel, strict=True)]
    counts = [
        (math.floor if floor else math.ceil)(room / s) + 1
        for room, s in zip(rooms, stride, strict=True)
    ]
    if pad.any():
        counts = [
            n - ((n - 1) * s >= size + p)
            for n, s, size, p in zip(counts, stride, sizes, pad, strict=True)
        ]
    out = np.zeros((*x.shape[:2], *counts))
    for row in range(counts[0]):
        for column in range(counts[1]):
            begins = np.array([row, column]) * stride - pad
            ends = np.minimum(begins + kernel, np.array(sizes) + pad)
            area = np.prod(ends - begins)
            (top, left), (bottom, right) = np.maximum(begins, 0), np.minimum(ends, sizes)
            part = x[:, :, top:bottom, left:right]
            out[:, :, row, column] = part.sum((2, 3)) / area if mean else part.max((2, 3))
    return out


def local_response(x: np.ndarray, size: int, alpha: float, beta: float, k: float) -> np.ndarray:
    """LRN over neighbouring channels."""
    half, squares = size // 2, x**2
    sums = np.zeros_like(x)
    for channel in range(x.shape[1]):
        part = squares[:, max(0, channel - half) : channel + half + 1]
        sums[:, channel] = part.sum(axis=1)
    return x / (k + alpha / size * sums) ** beta


def local_response_within(x: np.ndarray, size: int, alpha: float, beta: float) -> np.ndarray:
    """LRN over neighbouring places of a channel."""
    means = windows(x**2, size, 1, size // 2, mean=True)
    return x / (1 + alpha * means) ** beta


def probabilities(x: np.ndarray, axis: int = 1) -> np.ndarray:
    """Softmax along an axis."""
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


def _sides(about: Any, name: str, both: str, default: int) -> Any:
    if about.HasField(f"{name}_h") or about.HasField(f"{name}_w"):
        return getattr(about, f"{name}_h"), getattr(about, f"{name}_w")
    value = getattr(about, both)
    listed = list(value) if hasattr(value, "append") else [value]
    return (listed or [default])[0], (listed or [default])[-1]


def _convolution(layer: Any, bottoms: Blobs, blobs: Blobs) -> np.ndarray:
    about, (x,) = layer.convolution_param, bottoms
    weight, group = blobs[0], about.group
    top, left = _sides(about, "pad", "pad", 0)
    down, along = _sides(about, "stride", "stride", 1)
    wide = (list(about.dilation) or [1])[0], (list(about.dilation) or [1])[-1]
    x = np.pad(x, ((0, 0), (0, 0), (top, top), (left, left)))
    filters, channels, height, width = weight.shape
    spans = (height - 1) * wide[0] + 1, (width - 1) * wide[1] + 1
    view = np.lib.stride_tricks.sliding_window_view(x, spans, axis=(2, 3))
    view = view[:, :, ::down, ::along, :: wide[0], :: wide[1]]
    parts = []
    for number in range(group):
        inputs = view[:, number * channels : (number + 1) * channels]
        kernels = weight[number * filters // group : (number + 1) * filters // group]
        parts.append(np.tensordot(inputs, kernels, ((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2))
    out = np.concatenate(parts, axis=1)
    return out + blobs[1].reshape(-1, 1, 1) if about.bias_term else out


def _deconvolution(layer: Any, bottoms: Blobs, blobs: Blobs) -> np.ndarray:
    about, (x,) = layer.convolution_param, bottoms
    weight = blobs[0]
    top, left = _sides(about, "pad", "pad", 0)
    down, along = _sides(about, "stride", "stride", 1)
    height, width = weight.shape[2:]
    rows, columns = x.shape[2:]
    full = np.zeros(
        (len(x), weight.shape[1], (rows - 1) * down + height, (columns - 1) * along + width)
    )
    for row in range(rows):
        for column in range(columns):
            stamp = np.tensordot(x[:, :, row, column], weight, 1)
            at = row * down, column * along
            full[:, :, at[0] : at[0] + height, at[1] : at[1] + width] += stamp
    out = full[:, :, top : full.shape[2] - top, left : full.shape[3] - left]
    return out + blobs[1].reshape(-1, 1, 1) if about.bias_term else out


def _inner_product(layer: Any, bottoms: Blobs, blobs: Blobs) -> np.ndarray:
    about, (x,) = layer.inner_product_param, bottoms
    axis = about.axis % x.ndim
    weight = blobs[0] if about.transpose else blobs[0].T
    out = x.reshape(*x.shape[:axis], -1) @ weight
    return out + blobs[1] if about.bias_term else out


def _pooling(layer: Any, bottoms: Blobs, blobs: Blobs) -> np.ndarray:
    about, (x,) = layer.pooling_param, bottoms
    if about.global_pooling:
        return x.mean((2, 3), keepdims=True) if about.pool else x.max((2, 3), keepdims=True)
    sides = (
        _sides(about, "kernel", "kernel_size", 0),
        _sides(about, "stride", "stride", 1),
        _sides(about, "pad", "pad", 0),
    )
    return windows(x, *sides, mean=bool(about.pool), floor=bool(about.round_mode))


def _lrn(layer: Any, bottoms: Blobs, blobs: Blobs) -> np.ndarray:
    about, (x,) = layer.lrn_param, bottoms
    if about.norm_region:
        return local_response_within(x, about.local_size, about.alpha, about.beta)
    return local_response(x, about.local_size, about.alpha, about.beta, about.k)


def _by_channel(vector: np.ndarray, x: np.ndarray) -> np.ndarray:
    return vector.reshape(-1, *(1 for _ in x.shape[2:]))


def _batch_norm(layer: Any, bottoms: Blobs, blobs: Blobs) -> np.ndarray:
    (x,), (mean, variance, count) = bottoms, blobs
    factor = 0.0 if count[0] == 0 else 1 / count[0]
    root = np.sqrt(variance * factor + layer.batch_norm_param.eps)
    return (x - _by_channel(mean * factor, x)) / _by_channel(root, x)


def _scale(layer: Any, bottoms: Blobs, blobs: Blobs) -> np.ndarray:
    (x,) = bottoms
    out = x * _by_channel(blobs[0], x)
    return out + _by_channel(blobs[1], x) if layer.scale_param.bias_term else out


def _eltwise(layer: Any, bottoms: Blobs, blobs: Blobs) -> np.ndarray:
    about = layer.eltwise_param
    factors = list(about.coeff) or [1.0] * len(bottoms)
    if about.operation == 1:
        return sum(factor * blob for factor, blob in zip(factors, bottoms, strict=True))
    return np.prod(bottoms, axis=0) if about.operation == 0 else np.max(bottoms, axis=0)


def _slice(layer: Any, bottoms: Blobs, blobs: Blobs) -> list[np.ndarray]:
    about = layer.slice_param
    axis = about.slice_dim if about.HasField("slice_dim") else about.axis
    return np.split(bottoms[0], list(about.slice_point) or len(layer.top), axis)


def _flatten(layer: Any, bottoms: Blobs, blobs: Blobs) -> np.ndarray:
    about, (x,) = layer.flatten_param, bottoms
    axis, end = about.axis % x.ndim, about.end_axis % x.ndim
    return x.reshape(*x.shape[:axis], -1, *x.shape[end + 1 :])


def _reshape(layer: Any, bottoms: Blobs, blobs: Blobs) -> np.ndarray:
    about, (x,) = layer.reshape_param, bottoms
    begin = about.axis if about.axis >= 0 else x.ndim + 1 + about.axis
    end = x.ndim if about.num_axes < 0 else begin + about.num_axes
    sizes = [size or x.shape[begin + at] for at, size in enumerate(about.shape.dim)]
    return x.reshape(*x.shape[:begin], *sizes, *x.shape[end:])


def _padding(layer: Any, bottoms: Blobs, blobs: Blobs) -> np.ndarray:
    about = layer.padding_param
    edges = ((about.top_pad, about.bottom_pad), (about.left_pad, about.right_pad))
    return np.pad(bottoms[0], ((0, 0), (0, 0), *edges))


def _power(layer: Any, bottoms: Blobs, blobs: Blobs) -> np.ndarray:
    about = layer.power_param
    return (about.shift + about.scale * bottoms[0]) ** about.power


def _exponential(layer: Any, bottoms: Blobs, blobs: Blobs) -> np.ndarray:
    about = layer.exp_param
    return (about.base if about.base > 0 else math.e) ** (about.shift + about.scale * bottoms[0])


def _logarithm(layer: Any, bottoms: Blobs, blobs: Blobs) -> np.ndarray:
    about = layer.log_param
    unit = math.log(about.base) if about.base > 0 else 1.0
    return np.log(about.shift + about.scale * bottoms[0]) / unit


def _elu(layer: Any, bottoms: Blobs, blobs: Blobs) -> np.ndarray:
    (x,) = bottoms
    return np.where(x > 0, x, layer.elu_param.alpha * (np.exp(np.minimum(x, 0)) - 1))


def _contrastive(layer: Any, bottoms: Blobs, blobs: Blobs) -> np.ndarray:
    return ((bottoms[0] - bottoms[1]) ** 2).sum(1, keepdims=True)


def _of(function: Callable[[np.ndarray], np.ndarray]) -> Callable[..., np.ndarray]:
    return lambda layer, bottoms, blobs: function(bottoms[0])


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


KINDS: dict[str, Callable[[Any, Blobs, Blobs], Any]] = {
    "AbsVal": _of(np.abs),
    "BNLL": _of(lambda x: np.log(1 + np.exp(x))),
    "BatchNorm": _batch_norm,
    "Concat": lambda layer, bottoms, blobs: np.concatenate(bottoms, layer.concat_param.axis),
    "ContrastiveLoss": _contrastive,
    "Convolution": _convolution,
    "Deconvolution": _deconvolution,
    "Dropout": _of(lambda x: x),
    "ELU": _elu,
    "Eltwise": _eltwise,
    "EuclideanLoss": _of(lambda x: x),
    "Exp": _exponential,
    "Flatten": _flatten,
    "InnerProduct": _inner_product,
    "LRN": _lrn,
    "Log": _logarithm,
    "PReLU": lambda layer, bottoms, blobs: np.where(
        bottoms[0] > 0, bottoms[0], bottoms[0] * _by_channel(blobs[0], bottoms[0])
    ),
    "Padding": _padding,
    "Pooling": _pooling,
    "Power": _power,
    "ReLU": lambda layer, bottoms, blobs: np.where(
        bottoms[0] > 0, bottoms[0], np.float32(layer.relu_param.negative_slope) * bottoms[0]
    ),
    "Reshape": _reshape,
    "Scale": _scale,
    "Sigmoid": _of(_sigmoid),
    "SigmoidCrossEntropyLoss": _of(_sigmoid),
    "Slice": _slice,
    "Softmax": lambda layer, bottoms, blobs: probabilities(bottoms[0], layer.softmax_param.axis),
    "SoftmaxWithLoss": _of(probabilities),
    "Split": lambda layer, bottoms, blobs: [bottoms[0]] * len(layer.top),
    "TanH": _of(np.tanh),
    "Threshold": lambda layer, bottoms, blobs: np.where(
        bottoms[0] > layer.threshold_param.threshold, 1.0, 0.0
    ),
}
