"""Builders after Keras' examples of reinforcement learning."""

from __future__ import annotations

import keras
from keras import layers, ops
from keras.layers import Conv2D, Dense

from builders.vision import compiled


def actor_critic():
    inputs = keras.Input((4,))
    common = Dense(12, activation="relu")(inputs)
    outputs = [Dense(2, activation="softmax")(common), Dense(1)(common)]
    losses = ["sparse_categorical_crossentropy", keras.losses.Huber()]
    return compiled(keras.Model(inputs, outputs), losses, keras.optimizers.Adam(0.01))


def deep_q_network():
    model = keras.Sequential(
        [
            keras.Input((4, 20, 20)),
            layers.Lambda(lambda x: ops.transpose(x, [0, 2, 3, 1]), output_shape=(20, 20, 4)),
            Conv2D(4, 8, strides=4, activation="relu"),
            Conv2D(6, 2, strides=2, activation="relu"),
            layers.Flatten(),
            Dense(8, activation="relu"),
            Dense(4, activation="linear"),
        ]
    )
    adam = keras.optimizers.Adam(learning_rate=0.00025, clipnorm=1.0)
    return compiled(model, keras.losses.Huber(), adam)


def policy_actor():
    bound = 2.0
    last = keras.initializers.RandomUniform(minval=-0.003, maxval=0.003)
    inputs = keras.Input((3,))
    x = Dense(12, activation="relu")(Dense(12, activation="relu")(inputs))
    outputs = Dense(1, activation="tanh", kernel_initializer=last)(x) * bound
    return compiled(keras.Model(inputs, outputs), "mse", keras.optimizers.Adam(0.001))


def policy_critic():
    state, action = keras.Input((3,)), keras.Input((1,))
    x = Dense(8, activation="relu")(Dense(6, activation="relu")(state))
    x = layers.Concatenate()([x, Dense(8, activation="relu")(action)])
    x = Dense(12, activation="relu")(Dense(12, activation="relu")(x))
    return compiled(keras.Model([state, action], Dense(1)(x)), "mse", keras.optimizers.Adam(0.002))


BUILDERS = (actor_critic, deep_q_network, policy_actor, policy_critic)
