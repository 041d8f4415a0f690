"""Builders after Keras' examples of segmentation, restoration and rendering of images, of points
and of videos.
"""

from __future__ import annotations

import keras
from keras import layers, ops
from keras.layers import BatchNormalization, Conv2D, Dense, UpSampling2D

from builders.vision import RATE, SPARSE, compiled


def deeplabv3():
    def convolved(x, filters=6, size=3, rate=1, use_bias=False):
        conv = Conv2D(filters, size, dilation_rate=rate, padding="same", use_bias=use_bias)
        return ops.nn.relu(BatchNormalization()(conv(x)))

    inputs = keras.Input((16, 16, 3))
    low = convolved(layers.MaxPooling2D()(convolved(inputs, 4)), 4)
    deep = convolved(layers.MaxPooling2D()(low), 6)
    pooled = layers.AveragePooling2D(pool_size=(4, 4))(deep)
    pooled = UpSampling2D((4, 4), interpolation="bilinear")(convolved(pooled, 6, 1, use_bias=True))
    parts = [convolved(deep, 6, 1), *(convolved(deep, 6, 3, rate) for rate in (2, 3)), pooled]
    x = convolved(layers.Concatenate(axis=-1)(parts), 6, 1)
    x = UpSampling2D((2, 2), interpolation="bilinear")(x)
    x = convolved(layers.Concatenate(axis=-1)([x, convolved(low, 4, 1)]))
    x = UpSampling2D((2, 2), interpolation="bilinear")(convolved(x))
    outputs = Conv2D(4, 1, padding="same")(x)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return compiled(keras.Model(inputs, outputs), loss, keras.optimizers.Adam(0.001))


def unet_xception():
    inputs = keras.Input((16, 16, 3))
    x = Conv2D(4, 3, strides=2, padding="same")(inputs)
    before = x = layers.Activation("relu")(BatchNormalization()(x))
    for filters in (6, 8):
        for _ in range(2):
            x = layers.SeparableConv2D(filters, 3, padding="same")(layers.Activation("relu")(x))
            x = BatchNormalization()(x)
        x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
        before = x = layers.add([x, Conv2D(filters, 1, strides=2, padding="same")(before)])
    for filters in (8, 6, 4):
        for _ in range(2):
            x = layers.Conv2DTranspose(filters, 3, padding="same")(layers.Activation("relu")(x))
            x = BatchNormalization()(x)
        around = Conv2D(filters, 1, padding="same")(UpSampling2D(2)(before))
        before = x = layers.add([UpSampling2D(2)(x), around])
    outputs = Conv2D(3, 3, activation="softmax", padding="same")(x)
    return compiled(keras.Model(inputs, outputs), SPARSE, keras.optimizers.Adam(1e-4))


def unet():
    def twice(x, filters):
        for _ in range(2):
            x = Conv2D(
                filters, 3, padding="same", activation="relu", kernel_initializer="he_normal"
            )(x)
        return x

    x = inputs = keras.Input((12, 12, 3))
    kept = []
    for filters in (4, 6):
        kept.append(twice(x, filters))
        x = layers.Dropout(RATE)(layers.MaxPool2D(2)(kept[-1]))
    x = twice(x, 8)
    for filters in (6, 4):
        x = layers.Conv2DTranspose(filters, 3, 2, padding="same")(x)
        x = twice(layers.Dropout(RATE)(layers.concatenate([x, kept.pop()])), filters)
    outputs = Conv2D(3, 1, padding="same", activation="softmax")(x)
    return compiled(keras.Model(inputs, outputs))


def fully_convolutional_network():
    x = inputs = keras.Input((16, 16, 3))
    pools = []
    for filters in (4, 6, 8):
        x = Conv2D(filters, 3, padding="same", activation="relu")(x)
        pools.append(layers.MaxPooling2D(2)(x))
        x = pools[-1]
    x = Conv2D(8, 7, padding="same", activation="relu")(x)
    x = Conv2D(8, 1, padding="same", activation="relu")(layers.Dropout(RATE)(x))
    x = Conv2D(4, 1, padding="same", activation="linear")(x)
    for pool in reversed(pools[:-1]):
        score = Conv2D(4, 1, padding="same", activation="linear")(pool)
        x = layers.Add()([UpSampling2D(2, interpolation="bilinear")(x), score])
    x = UpSampling2D(2, interpolation="bilinear")(x)
    outputs = Conv2D(4, 1, activation="softmax", padding="same")(x)
    return compiled(keras.Model(inputs, outputs), keras.losses.SparseCategoricalCrossentropy())


def denoising_autoencoder():
    x = inputs = keras.Input((12, 12, 1))
    for _ in range(2):
        x = Conv2D(4, 3, activation="relu", padding="same")(x)
        x = layers.MaxPooling2D(2, padding="same")(x)
    for _ in range(2):
        x = layers.Conv2DTranspose(4, 3, strides=2, activation="relu", padding="same")(x)
    outputs = Conv2D(1, 3, activation="sigmoid", padding="same")(x)
    return compiled(keras.Model(inputs, outputs), "binary_crossentropy")


def mirnet():
    def fused(x, y, channels=4):
        total = layers.Add()([x, y])
        pooled = layers.GlobalAveragePooling2D()(total)
        pooled = ops.reshape(pooled, (-1, 1, 1, channels))
        compact = Conv2D(1, 1, activation="relu")(pooled)
        one, two = (ops.nn.softmax(Conv2D(channels, 1)(compact), axis=-1) for _ in range(2))
        return layers.Add()([x * one, y * two])

    def attended(x, channels=4):
        y = Conv2D(channels, 3, padding="same")(x)
        y = Conv2D(channels, 3, padding="same")(layers.ReLU()(y))
        largest, mean = ops.max(y, axis=-1, keepdims=True), ops.mean(y, axis=-1, keepdims=True)
        spatial = Conv2D(1, 1, activation="sigmoid")(ops.concatenate([mean, largest], axis=-1))
        pooled = ops.expand_dims(ops.expand_dims(layers.GlobalAveragePooling2D()(y), 1), 1)
        pooled = Conv2D(channels, 1, activation="sigmoid")(Conv2D(1, 1, activation="relu")(pooled))
        both = layers.Concatenate(axis=-1)([y * spatial, y * pooled])
        return layers.Add()([x, Conv2D(channels, 1)(both)])

    inputs = keras.Input((8, 8, 3))
    top = x = Conv2D(4, 3, padding="same")(inputs)
    down = layers.MaxPooling2D()(Conv2D(4, 3, padding="same", activation="relu")(x))
    top, down = attended(top), attended(down)
    x = attended(fused(top, UpSampling2D(2, interpolation="bilinear")(down)))
    outputs = layers.Add()([inputs, Conv2D(3, 3, padding="same")(x)])

    def charbonnier(truth, prediction):
        return ops.mean(ops.sqrt(ops.square(truth - prediction) + 1e-3**2))

    return compiled(keras.Model(inputs, outputs), charbonnier, keras.optimizers.Adam(1e-4))


def zero_dce():
    def convolved(x, filters=4, activation="relu"):
        return Conv2D(filters, 3, strides=1, activation=activation, padding="same")(x)

    inputs = keras.Input((10, 10, 3))
    one = convolved(inputs)
    two = convolved(one)
    three = convolved(two)
    four = convolved(three)
    five = convolved(layers.Concatenate(axis=-1)([four, three]))
    six = convolved(layers.Concatenate(axis=-1)([five, two]))
    outputs = convolved(layers.Concatenate(axis=-1)([six, one]), 24, "tanh")
    return compiled(keras.Model(inputs, outputs), "mse", keras.optimizers.Adam(1e-4))


class DepthToSpace(layers.Layer):
    """Channels as pixels."""

    def call(self, x):
        x = ops.reshape(x, (-1, 8, 8, 2, 2, 1))
        return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, 16, 16, 1))


def super_resolution():
    about = {"activation": "relu", "kernel_initializer": "orthogonal", "padding": "same"}
    x = inputs = keras.Input((8, 8, 1))
    for filters, size in ((6, 5), (6, 3), (4, 3), (4, 3)):
        x = Conv2D(filters, size, **about)(x)
    return compiled(keras.Model(inputs, DepthToSpace()(x)), keras.losses.MeanSquaredError())


def next_frame_conv_lstm():
    x = inputs = keras.Input((3, 8, 8, 1))
    for size in (5, 3, 1):
        x = layers.ConvLSTM2D(
            filters=3, kernel_size=size, padding="same", return_sequences=True, activation="relu"
        )(x)
        x = BatchNormalization()(x) if size > 1 else x
    outputs = layers.Conv3D(filters=1, kernel_size=3, activation="sigmoid", padding="same")(x)
    return compiled(keras.Model(inputs, outputs), "binary_crossentropy")


def radiance_field():
    x = inputs = keras.Input((6, 15))
    for number in range(5):
        x = Dense(units=8, activation="relu")(x)
        if number % 4 == 0 and number > 0:
            x = layers.concatenate([x, inputs], axis=-1)
    return compiled(keras.Model(inputs, Dense(units=4)(x)), "mse")


class Orthogonal(keras.regularizers.Regularizer):
    """How far matrices are from being orthogonal."""

    def __call__(self, x):
        x = ops.reshape(x, (-1, 3, 3))
        products = ops.tensordot(x, x, axes=(2, 2))
        return ops.sum(0.001 * ops.square(ops.reshape(products, (-1, 3, 3)) - ops.eye(3)))


def pointnet():
    def convolved(x, filters):
        x = layers.Conv1D(filters, kernel_size=1, padding="valid")(x)
        return layers.Activation("relu")(BatchNormalization(momentum=0.0)(x))

    inputs = keras.Input((10, 3))
    x = layers.GlobalMaxPooling1D()(convolved(convolved(inputs, 4), 6))
    x = Dense(9, kernel_initializer="zeros", activity_regularizer=Orthogonal())(x)
    x = convolved(layers.Dot(axes=(2, 1))([inputs, layers.Reshape((3, 3))(x)]), 6)
    outputs = Dense(4, activation="softmax")(layers.GlobalMaxPooling1D()(x))
    return compiled(keras.Model(inputs, outputs), SPARSE, keras.optimizers.Adam(0.001))


def boundary_aware_segmentation():
    def block(x, filters, rate=1):
        y = layers.Activation("relu")(
            BatchNormalization()(Conv2D(filters, 3, dilation_rate=rate, padding="same")(x))
        )
        y = BatchNormalization()(Conv2D(filters, 3, padding="same")(y))
        same = x if x.shape[-1] == filters else Conv2D(filters, 1)(x)
        return layers.Activation("relu")(layers.add([y, same]))

    def head(x, size):
        x = Conv2D(1, 3, padding="same")(x)
        x = UpSampling2D(size, interpolation="bilinear")(x) if size > 1 else x
        return layers.Activation("sigmoid")(x)

    inputs = keras.Input((8, 8, 3))
    one = block(Conv2D(4, 3, padding="same")(inputs), 4)
    two = block(layers.MaxPool2D(2, 2)(one), 6)
    bridge = block(layers.MaxPool2D(2, 2)(two), 6, rate=2)
    x = block(layers.concatenate([UpSampling2D(2, interpolation="bilinear")(bridge), two]), 4)
    y = block(layers.concatenate([UpSampling2D(2, interpolation="bilinear")(x), one]), 4)
    outputs = [head(y, 1), head(x, 2), head(bridge, 4)]
    return compiled(keras.Model(inputs, outputs), ["binary_crossentropy"] * 3)


BUILDERS = (
    deeplabv3,
    unet_xception,
    unet,
    fully_convolutional_network,
    denoising_autoencoder,
    mirnet,
    zero_dce,
    super_resolution,
    next_frame_conv_lstm,
    radiance_field,
    pointnet,
    boundary_aware_segmentation,
)
