"""Convolution and Deconvolution, with the same padding on opposite sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras2dml.caffe.fillers import filled
from keras2dml.caffe.layers.caffe_layer import registered
from keras2dml.caffe.network import FIRST, Network, image_of, reads
from keras2dml.caffe.phases import named
from keras2dml.caffe.weights import Blob
from keras2dml.graph import Shape
from keras2dml.rules import LOWERINGS, Refusal
from keras2dml.rules import layers as _rules  # noqa: F401  (they fill LOWERINGS)
from keras2dml.rules.windows import Pair

LAST, FIRST_AGAIN = (0, 2, 3, 1), (0, 3, 1, 2)


@registered
class CaffeConvolution(keras.layers.Conv2D):  # type: ignore[misc]
    """A Conv2D of images with channels first that computes with channels last. On a CPU TensorFlow
    has no gradients for channels first; and if the output is as wide as there are filters, Keras
    3.15 adds the bias along the width.
    """

    def call(self, inputs: Any) -> Any:
        """The filtered images."""
        last, kernel, convolved = ops.transpose(inputs, LAST), self.kernel, ops.conv
        channels = inputs.shape[1]
        if self.groups == channels > 1 and self.strides[0] == self.strides[1]:
            # The same result, which TensorFlow computes in a single step on a CPU.
            kernel = ops.reshape(kernel, (*kernel.shape[:2], channels, self.filters // channels))
            convolved = ops.depthwise_conv
        settings = (self.strides, self.padding, "channels_last", self.dilation_rate)
        return _with_bias(self, convolved(last, kernel, *settings))


@registered
class CaffeDeconvolution(keras.layers.Conv2DTranspose):  # type: ignore[misc]
    """A Conv2DTranspose that computes with channels last, for the same reasons."""

    def call(self, inputs: Any) -> Any:
        """The upsampled images."""
        return _with_bias(
            self,
            ops.conv_transpose(
                ops.transpose(inputs, LAST),
                self.kernel,
                list(self.strides),
                self.padding,
                self.output_padding,
                "channels_last",
                self.dilation_rate,
            ),
        )


def _with_bias(layer: Any, out: Any) -> Any:
    """Images with channels last plus a bias, as images with channels first."""
    return ops.transpose(out + layer.bias if layer.use_bias else out, FIRST_AGAIN)


# They have the rules of their Keras base classes.
LOWERINGS[CaffeConvolution] = LOWERINGS[keras.layers.Conv2D]
LOWERINGS[CaffeDeconvolution] = LOWERINGS[keras.layers.Conv2DTranspose]


@reads("Convolution")
def convolution(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """A Conv2D after a ZeroPadding2D."""
    param, x = layer.convolution_param, image_of(layer, inputs[0])
    pad, strides = _pair(param, "pad", 0), _pair(param, "stride", 1)
    channels, filters = x.shape[1], param.num_output
    if channels % param.group or filters % param.group:
        reason = (
            f"{named(layer)} has group: {param.group}, {channels} channels and {filters} filters:"
            " give a group that divides both."
        )
        raise Refusal(reason)
    if any(pad):
        around = keras.layers.ZeroPadding2D(
            pad, data_format=FIRST, name=network.reserve_name(layer, "_pad")
        )
        x = around(x)
    shape = (filters, channels // param.group, *_kernel(param))
    keras_layer = network.sharing.keras_layer(
        layer,
        1 + param.bias_term,
        lambda: CaffeConvolution(
            filters,
            strides=strides,
            dilation_rate=_pair(param, "dilation", 1),
            groups=param.group,
            **_filters(network, layer, shape),
        ),
    )
    return _apply(network, layer, keras_layer, x, shape)


@reads("Deconvolution")
def deconvolution(network: Network, layer: Any, inputs: Sequence[Any]) -> Any:
    """A Conv2DTranspose before a Cropping2D that removes the padding."""
    param, x = layer.convolution_param, image_of(layer, inputs[0])
    if param.group != 1 or set(param.dilation) - {1}:
        reason = f"{named(layer)} has group or dilation. Only 1 is compiled: leave them out."
        raise Refusal(reason)
    shape = (x.shape[1], param.num_output, *_kernel(param))
    keras_layer = network.sharing.keras_layer(
        layer,
        1 + param.bias_term,
        lambda: CaffeDeconvolution(
            param.num_output, strides=_pair(param, "stride", 1), **_filters(network, layer, shape)
        ),
    )
    out = _apply(network, layer, keras_layer, x, shape)
    pad = _pair(param, "pad", 0)
    if any(pad):
        cut = keras.layers.Cropping2D(
            pad, data_format=FIRST, name=network.reserve_name(layer, "_cut")
        )
        out = cut(out)
    return out


def _apply(network: Network, layer: Any, keras_layer: Any, x: Any, shape: Shape) -> Any:
    """Apply a layer to a tensor, and register its blobs."""
    out = keras_layer(x)
    blobs = [Blob(keras_layer.kernel, shape, (2, 3, 1, 0))]
    if keras_layer.use_bias:
        filters = layer.convolution_param.num_output
        blobs.append(Blob(keras_layer.bias, (filters,), (0,)))
    network.add_blobs(layer, blobs)
    return out


def _filters(network: Network, layer: Any, shape: Shape) -> dict[str, Any]:
    """The arguments of both convolutions, for a blob of this shape."""
    param = layer.convolution_param
    weight, bias = network.regularizers(layer)
    return {
        "kernel_size": shape[2:],
        "padding": "valid",
        "data_format": FIRST,
        "use_bias": param.bias_term,
        "name": network.reserve_name(layer),
        "kernel_initializer": filled(layer, param.weight_filler, shape),
        "bias_initializer": filled(layer, param.bias_filler, (param.num_output,)),
        "kernel_regularizer": weight,
        "bias_regularizer": bias,
    }


def _kernel(param: Any) -> Pair:
    return _pair(param, "kernel", 0, "kernel_size")


def _pair(param: Any, name: str, default: int, repeated: str = "") -> Pair:
    """Height and width of a setting that is given once, twice, or as `_h` and `_w`."""
    if name != "dilation" and (param.HasField(f"{name}_h") or param.HasField(f"{name}_w")):
        return int(getattr(param, f"{name}_h")), int(getattr(param, f"{name}_w"))
    sizes = list(getattr(param, repeated or name)) or [default]
    return int(sizes[0]), int(sizes[-1])
