"""Builders after Keras' examples of image and video classification: their layers, small widths.

Dropout has a rate of 0 in all of these, for Keras and SystemDS draw other numbers.
"""

from __future__ import annotations

import keras
from keras import layers, ops
from keras.layers import BatchNormalization, Conv2D, Dense, Dropout, MaxPooling2D

RATE = 0.0
SPARSE = "sparse_categorical_crossentropy"


def compiled(model, loss=SPARSE, optimizer="adam", **arguments):
    model.compile(optimizer, loss, **arguments)
    return model


def simple_convnet():
    return compiled(
        keras.Sequential(
            [
                keras.Input((12, 12, 1)),
                Conv2D(4, 3, activation="relu"),
                MaxPooling2D(2),
                Conv2D(6, 3, activation="relu"),
                MaxPooling2D(),
                layers.Flatten(),
                Dropout(RATE),
                Dense(5, activation="softmax"),
            ]
        ),
        "categorical_crossentropy",
        metrics=["accuracy"],
    )


def small_xception():
    inputs = keras.Input((20, 20, 3))
    x = Conv2D(4, 3, strides=2, padding="same")(layers.Rescaling(1 / 255)(inputs))
    before = x = layers.Activation("relu")(BatchNormalization()(x))
    for size in (6, 8):
        for _ in range(2):
            x = layers.SeparableConv2D(size, 3, padding="same")(layers.Activation("relu")(x))
            x = BatchNormalization()(x)
        x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
        before = x = layers.add([x, Conv2D(size, 1, strides=2, padding="same")(before)])
    x = BatchNormalization()(layers.SeparableConv2D(10, 3, padding="same")(x))
    x = layers.GlobalAveragePooling2D()(layers.Activation("relu")(x))
    outputs = Dense(1, activation=None)(Dropout(RATE)(x))
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    return compiled(keras.Model(inputs, outputs), loss, keras.optimizers.Adam(3e-4))


def convmixer():
    def activated(x):
        return BatchNormalization()(layers.Activation("gelu")(x))

    inputs = keras.Input((12, 12, 3))
    x = activated(Conv2D(6, 2, strides=2)(layers.Rescaling(scale=1 / 255)(inputs)))
    for _ in range(2):
        before = x
        x = layers.Add()([activated(layers.DepthwiseConv2D(3, padding="same")(x)), before])
        x = activated(Conv2D(6, 1)(x))
    outputs = Dense(4, activation="softmax")(layers.GlobalAvgPool2D()(x))
    adam = keras.optimizers.AdamW(learning_rate=0.001, weight_decay=0.0001)
    return compiled(keras.Model(inputs, outputs), SPARSE, adam)


def transformer(x, heads, width, units, activation):
    normal = layers.LayerNormalization(epsilon=1e-6)(x)
    x = layers.Add()([layers.MultiHeadAttention(heads, width, dropout=RATE)(normal, normal), x])
    y = layers.LayerNormalization(epsilon=1e-6)(x)
    for size in units:
        y = Dropout(RATE)(Dense(size, activation=activation)(y))
    return layers.Add()([y, x])


def mobilevit():
    def convolved(x, filters, size=3, strides=2):
        conv = Conv2D(
            filters, size, strides=strides, activation=keras.activations.swish, padding="same"
        )
        return conv(x)

    def inverted(x, wide, filters, strides=1):
        y = keras.activations.swish(BatchNormalization()(Conv2D(wide, 1, use_bias=False)(x)))
        if strides == 2:
            y = layers.ZeroPadding2D(((0, 1), (0, 1)))(y)
        padding = "same" if strides == 1 else "valid"
        depthwise = layers.DepthwiseConv2D(3, strides=strides, padding=padding, use_bias=False)
        y = keras.activations.swish(BatchNormalization()(depthwise(y)))
        y = BatchNormalization()(Conv2D(filters, 1, use_bias=False)(y))
        return layers.Add()([y, x]) if x.shape[-1] == filters and strides == 1 else y

    def block(x, width):
        local = convolved(convolved(x, width, strides=1), width, 1, 1)
        patches = local.shape[1] * local.shape[2] // 4
        y = layers.Reshape((4, patches, width))(local)
        y = transformer(y, 2, width, (width * 2, width), keras.activations.swish)
        y = layers.Reshape((*local.shape[1:-1], width))(y)
        y = layers.Concatenate(axis=-1)([x, convolved(y, x.shape[-1], 1, 1)])
        return convolved(y, width, strides=1)

    inputs = keras.Input((16, 16, 3))
    x = convolved(layers.Rescaling(scale=1 / 255)(inputs), 4)
    x = inverted(inverted(x, 8, 4), 8, 6, strides=2)
    x = convolved(block(inverted(x, 12, 6), 8), 12, 1, 1)
    outputs = Dense(5, activation="softmax")(layers.GlobalAvgPool2D()(x))
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    return compiled(keras.Model(inputs, outputs), loss, keras.optimizers.Adam(0.002))


class Patches(layers.Layer):
    """Squares of an image, one behind the other."""

    def call(self, images):
        rows = ops.reshape(images, (-1, 3, 4, 3, 4, 3))
        return ops.reshape(ops.transpose(rows, (0, 1, 3, 2, 4, 5)), (-1, 9, 48))


class PatchEncoder(layers.Layer):
    """Patches in a space of their own, with where they were."""

    def build(self, shape):
        self.projection, self.places = Dense(8), layers.Embedding(9, 8)

    def call(self, patches):
        return self.projection(patches) + self.places(ops.expand_dims(ops.arange(9), 0))


def vision_transformer():
    inputs = keras.Input((12, 12, 3))
    x = transformer(PatchEncoder()(Patches()(inputs)), 2, 8, (16, 8), "gelu")
    x = layers.Flatten()(layers.LayerNormalization(epsilon=1e-6)(x))
    outputs = Dense(5)(Dense(16, activation="gelu")(Dropout(RATE)(x)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return compiled(keras.Model(inputs, outputs), loss)


class MixerLayer(layers.Layer):
    """Mixes the patches, then the channels."""

    def build(self, shape):
        _, patches, width = shape
        self.normal = layers.LayerNormalization(epsilon=1e-6)
        self.patches = keras.Sequential([Dense(patches, "gelu"), Dense(patches)])
        self.channels = keras.Sequential([Dense(width, "gelu"), Dense(width)])

    def call(self, x):
        mixed = ops.transpose(self.patches(ops.transpose(self.normal(x), (0, 2, 1))), (0, 2, 1))
        return x + mixed + self.channels(self.normal(x + mixed))


def mlp_mixer():
    inputs = keras.Input((12, 12, 3))
    x = Dense(8)(Patches()(inputs))
    for _ in range(2):
        x = MixerLayer()(x)
    outputs = Dense(5, activation="softmax")(layers.GlobalAveragePooling1D()(x))
    return compiled(keras.Model(inputs, outputs))


def transfer_learning():
    backbone = keras.applications.MobileNet(
        alpha=0.25, include_top=False, weights=None, input_shape=(32, 32, 3)
    )
    backbone.trainable = False
    inputs = keras.Input((32, 32, 3))
    x = layers.GlobalAveragePooling2D()(backbone(inputs, training=False))
    outputs = Dense(4, activation="softmax")(Dropout(RATE)(BatchNormalization()(x)))
    return compiled(keras.Model(inputs, outputs), "categorical_crossentropy")


def volumetric_classifier():
    inputs = keras.Input((10, 10, 8, 1))
    x = inputs
    for filters in (3, 4):
        x = layers.Conv3D(filters=filters, kernel_size=3, padding="same", activation="relu")(x)
        x = BatchNormalization()(layers.MaxPool3D(pool_size=2)(x))
    x = Dense(units=8, activation="relu")(layers.GlobalAveragePooling3D()(x))
    outputs = Dense(units=1, activation="sigmoid")(Dropout(RATE)(x))
    rate = keras.optimizers.schedules.ExponentialDecay(1e-4, 100000, 0.96, staircase=True)
    model = keras.Model(inputs, outputs)
    return compiled(model, "binary_crossentropy", keras.optimizers.Adam(rate))


def residual_network():
    def layer(x, filters, strides=1, size=3, activation="relu"):
        x = Conv2D(
            filters,
            size,
            strides=strides,
            padding="same",
            kernel_initializer="he_normal",
            kernel_regularizer=keras.regularizers.L2(1e-4),
        )(x)
        return layers.Activation(activation)(BatchNormalization()(x))

    inputs = keras.Input((12, 12, 3))
    x = layer(inputs, 4)
    for filters, strides in ((4, 1), (8, 2)):
        y = layer(layer(x, filters, strides), filters, activation="linear")
        same = x if strides == 1 else layer(x, filters, strides, 1, "linear")
        x = layers.Activation("relu")(layers.add([y, same]))
    outputs = Dense(4, activation="softmax")(layers.Flatten()(layers.AveragePooling2D(6)(x)))
    return compiled(keras.Model(inputs, outputs), "categorical_crossentropy")


def learnable_resizer():
    inputs = keras.Input((12, 12, 3))
    naive = layers.Resizing(8, 8, interpolation="bilinear")(inputs)
    x = layers.LeakyReLU(negative_slope=0.2)(Conv2D(4, 7, padding="same")(inputs))
    x = BatchNormalization()(layers.LeakyReLU(negative_slope=0.2)(Conv2D(4, 1)(x)))
    x = before = layers.Resizing(8, 8, interpolation="bilinear")(x)
    y = BatchNormalization()(Conv2D(4, 3, padding="same", use_bias=False)(x))
    y = Conv2D(4, 3, padding="same", use_bias=False)(layers.LeakyReLU(negative_slope=0.2)(y))
    x = layers.Add()([BatchNormalization()(y), x])
    x = layers.Add()([before, BatchNormalization()(Conv2D(4, 3, padding="same")(x))])
    x = layers.Add()([naive, Conv2D(3, 7, padding="same")(x)])
    x = layers.GlobalAveragePooling2D()(Conv2D(6, 3, strides=2, activation="relu")(x))
    model = keras.Model(inputs, Dense(2, activation="softmax")(x))
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    return compiled(model, loss, "sgd")


def siamese_contrastive():
    def distance(vectors):
        x, y = vectors
        squares = ops.sum(ops.square(x - y), axis=1, keepdims=True)
        return ops.sqrt(ops.maximum(squares, keras.backend.epsilon()))

    def contrastive(truth, prediction):
        margin = ops.square(ops.maximum(1 - prediction, 0))
        return ops.mean((1 - truth) * ops.square(prediction) + truth * margin)

    image = keras.Input((14, 14, 1))
    x = Conv2D(4, 5, activation="tanh")(BatchNormalization()(image))
    x = Conv2D(6, 3, activation="tanh")(layers.AveragePooling2D(2)(x))
    x = BatchNormalization()(layers.Flatten()(layers.AveragePooling2D(2)(x)))
    embedding = keras.Model(image, Dense(6, activation="tanh")(x))
    one, two = keras.Input((14, 14, 1)), keras.Input((14, 14, 1))
    apart = layers.Lambda(distance, output_shape=(1,))([embedding(one), embedding(two)])
    outputs = Dense(1, activation="sigmoid")(BatchNormalization()(apart))
    return compiled(keras.Model([one, two], outputs), contrastive, "rmsprop")


def metric_embedding():
    x = inputs = keras.Input((16, 16, 3))
    for filters in (4, 6, 8):
        x = Conv2D(filters, 3, strides=2 if filters < 8 else 1, activation="relu")(x)
    x = Dense(8)(layers.GlobalAveragePooling2D()(x))
    return compiled(keras.Model(inputs, layers.UnitNormalization()(x)), "cosine_similarity")


def few_shot_convnet():
    x = inputs = keras.Input((14, 14, 1))
    for _ in range(3):
        x = layers.ReLU()(BatchNormalization()(Conv2D(4, 3, strides=2, padding="same")(x)))
    model = keras.Model(inputs, Dense(5, activation="softmax")(layers.Flatten()(x)))
    return compiled(model, SPARSE, keras.optimizers.SGD(learning_rate=0.003))


BUILDERS = (
    simple_convnet,
    small_xception,
    convmixer,
    mobilevit,
    vision_transformer,
    mlp_mixer,
    transfer_learning,
    volumetric_classifier,
    residual_network,
    learnable_resizer,
    siamese_contrastive,
    metric_embedding,
    few_shot_convnet,
)
