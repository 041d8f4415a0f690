"""Builders after Keras' generative examples: encoders, decoders, generators, discriminators and the
networks that remove noise.
"""

from __future__ import annotations

import keras
from keras import layers, ops, random
from keras.layers import BatchNormalization, Conv2D, Conv2DTranspose, Dense, LeakyReLU

from builders.vision import RATE, compiled


class Sampling(layers.Layer):
    """A draw from a normal distribution."""

    def call(self, inputs):
        mean, log_variance = inputs
        return mean + ops.exp(0.5 * log_variance) * random.normal(ops.shape(mean))


def vae_encoder():
    x = inputs = keras.Input((12, 12, 1))
    for filters in (4, 6):
        x = Conv2D(filters, 3, activation="relu", strides=2, padding="same")(x)
    x = Dense(8, activation="relu")(layers.Flatten()(x))
    mean, variance = Dense(2, name="z_mean")(x), Dense(2, name="z_log_var")(x)
    return compiled(keras.Model(inputs, Sampling()([mean, variance])), "mse")


def vae_decoder():
    inputs = keras.Input((2,))
    x = layers.Reshape((3, 3, 6))(Dense(3 * 3 * 6, activation="relu")(inputs))
    for filters in (6, 4):
        x = Conv2DTranspose(filters, 3, activation="relu", strides=2, padding="same")(x)
    outputs = Conv2DTranspose(1, 3, activation="sigmoid", padding="same")(x)
    return compiled(keras.Model(inputs, outputs), "binary_crossentropy")


def dcgan_discriminator():
    model = keras.Sequential([keras.Input((16, 16, 3))])
    for filters in (4, 6, 6):
        model.add(Conv2D(filters, kernel_size=4, strides=2, padding="same"))
        model.add(LeakyReLU(negative_slope=0.2))
    model.add(layers.Flatten())
    model.add(layers.Dropout(RATE))
    model.add(Dense(1, activation="sigmoid"))
    return compiled(model, keras.losses.BinaryCrossentropy(), keras.optimizers.Adam(1e-4))


def dcgan_generator():
    model = keras.Sequential([keras.Input((6,)), Dense(3 * 3 * 6), layers.Reshape((3, 3, 6))])
    for filters in (6, 8):
        model.add(Conv2DTranspose(filters, kernel_size=4, strides=2, padding="same"))
        model.add(LeakyReLU(negative_slope=0.2))
    model.add(Conv2D(3, kernel_size=5, padding="same", activation="sigmoid"))
    return compiled(model, "mse", keras.optimizers.Adam(1e-4))


def conditional_discriminator():
    model = keras.Sequential([keras.Input((14, 14, 11))])
    for filters in (4, 6):
        model.add(Conv2D(filters, 3, strides=2, padding="same"))
        model.add(LeakyReLU(negative_slope=0.2))
    model.add(layers.GlobalMaxPooling2D())
    model.add(Dense(1))
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    return compiled(model, loss, keras.optimizers.Adam(3e-4))


def wasserstein_discriminator():
    x = inputs = keras.Input((12, 12, 1))
    x = layers.ZeroPadding2D(2)(x)
    for filters, rate in ((4, None), (6, RATE), (8, RATE)):
        x = LeakyReLU(0.2)(Conv2D(filters, 5, strides=2, padding="same", use_bias=True)(x))
        x = x if rate is None else layers.Dropout(rate)(x)
    outputs = Dense(1)(layers.Dropout(RATE)(layers.Flatten()(x)))

    def apart(truth, prediction):
        return ops.mean(truth * prediction)

    adam = keras.optimizers.Adam(learning_rate=0.0002, beta_1=0.5, beta_2=0.9)
    return compiled(keras.Model(inputs, outputs), apart, adam)


def wasserstein_generator():
    inputs = keras.Input((6,))
    x = LeakyReLU(0.2)(BatchNormalization()(Dense(4 * 4 * 6, use_bias=False)(inputs)))
    x = layers.Reshape((4, 4, 6))(x)
    for filters, activation in ((4, LeakyReLU(0.2)), (1, layers.Activation("tanh"))):
        x = Conv2D(filters, 3, padding="same", use_bias=False)(layers.UpSampling2D(2)(x))
        x = activation(BatchNormalization()(x))
    return compiled(keras.Model(inputs, layers.Cropping2D(2)(x)), "mae")


def patch_discriminator():
    normal = keras.initializers.RandomNormal(stddev=0.02)
    inputs = keras.Input((16, 16, 3))
    x = Conv2D(4, 4, strides=2, padding="same", kernel_initializer=normal)(inputs)
    x = LeakyReLU(0.2)(x)
    for filters, strides in ((6, 2), (8, 1)):
        x = Conv2D(filters, 4, strides=strides, padding="same", use_bias=False)(x)
        x = LeakyReLU(0.2)(layers.GroupNormalization(groups=1)(x))
    outputs = Conv2D(1, 4, strides=1, padding="same", kernel_initializer=normal)(x)
    adam = keras.optimizers.Adam(learning_rate=2e-4, beta_1=0.5)
    return compiled(keras.Model(inputs, outputs), keras.losses.MeanSquaredError(), adam)


class CausalBlock(layers.Layer):
    """A transformer's block in which no word sees those behind it."""

    def __init__(self, width, heads):
        super().__init__()
        self.attention, self.normal = layers.MultiHeadAttention(heads, width), Dense(width)

    def call(self, x):
        places = ops.arange(x.shape[1])
        seen = ops.expand_dims(places[:, None] >= places[None], 0)
        return self.normal(x + self.attention(x, x, attention_mask=seen))


def miniature_gpt():
    inputs = keras.Input((8,), dtype="int32")
    x = CausalBlock(6, 2)(layers.Embedding(12, 6)(inputs))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return compiled(keras.Model(inputs, Dense(12)(x)), loss)


def diffusion_network():
    def sinusoidal(x):
        frequencies = ops.exp(ops.linspace(ops.log(1.0), ops.log(1000.0), 4))
        speeds = ops.cast(2.0 * 3.141592653589793 * frequencies, x.dtype)
        return ops.concatenate([ops.sin(speeds * x), ops.cos(speeds * x)], axis=3)

    def block(x, width):
        same = x if x.shape[3] == width else Conv2D(width, kernel_size=1)(x)
        x = BatchNormalization(center=False, scale=False)(x)
        x = Conv2D(width, kernel_size=3, padding="same", activation="swish")(x)
        return layers.Add()([Conv2D(width, kernel_size=3, padding="same")(x), same])

    images, variances = keras.Input((8, 8, 3)), keras.Input((1, 1, 1))
    noise = layers.Lambda(sinusoidal, output_shape=(1, 1, 8))(variances)
    noise = layers.UpSampling2D(size=8, interpolation="nearest")(noise)
    x = layers.Concatenate()([Conv2D(4, kernel_size=1)(images), noise])
    kept = []
    for width in (4, 6):
        x = block(x, width)
        kept.append(x)
        x = layers.AveragePooling2D(pool_size=2)(x)
    x = block(x, 8)
    for width in (6, 4):
        x = layers.UpSampling2D(size=2, interpolation="bilinear")(x)
        x = block(layers.Concatenate()([x, kept.pop()]), width)
    outputs = Conv2D(3, kernel_size=1, kernel_initializer="zeros")(x)
    adam = keras.optimizers.AdamW(learning_rate=1e-3, weight_decay=1e-4)
    return compiled(keras.Model([images, variances], outputs), "mae", adam)


def coupling_network():
    about = {"kernel_regularizer": keras.regularizers.l2(0.01)}
    inputs = keras.Input((2,))
    scale, shift = inputs, inputs
    for _ in range(3):
        scale = Dense(6, activation="relu", **about)(scale)
        shift = Dense(6, activation="relu", **about)(shift)
    outputs = [
        Dense(2, activation="tanh", **about)(scale),
        Dense(2, activation="linear", **about)(shift),
    ]
    return compiled(keras.Model(inputs, outputs), ["mse", "mse"])


def vq_encoder():
    inputs = keras.Input((12, 12, 1))
    x = Conv2D(4, 3, activation="relu", strides=2, padding="same")(inputs)
    x = Conv2D(6, 3, activation="relu", strides=2, padding="same")(x)
    return compiled(keras.Model(inputs, Conv2D(5, 1, padding="same")(x)), "mse")


def style_decoder():
    model = keras.Sequential([keras.Input((4, 4, 8))])
    for filters in (6, 4):
        for _ in range(2):
            model.add(Conv2D(filters, 3, padding="same", activation="relu"))
        model.add(layers.UpSampling2D())
    model.add(Conv2D(3, 3, padding="same", activation="sigmoid"))
    return compiled(model, "mse", keras.optimizers.Adam(1e-5))


BUILDERS = (
    vae_encoder,
    vae_decoder,
    dcgan_discriminator,
    dcgan_generator,
    conditional_discriminator,
    wasserstein_discriminator,
    wasserstein_generator,
    patch_discriminator,
    miniature_gpt,
    diffusion_network,
    coupling_network,
    vq_encoder,
    style_decoder,
)
