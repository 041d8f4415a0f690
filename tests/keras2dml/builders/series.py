"""Builders after Keras' examples of time series, sounds and videos as sequences."""

from __future__ import annotations

import keras
from keras import layers
from keras.layers import BatchNormalization, Conv1D, Conv1DTranspose, Dense, Dropout

from builders.vision import RATE, SPARSE, compiled


def fully_convolutional_classifier():
    x = inputs = keras.Input((14, 1))
    for _ in range(3):
        x = Conv1D(filters=5, kernel_size=3, padding="same")(x)
        x = layers.ReLU()(BatchNormalization()(x))
    outputs = Dense(3, activation="softmax")(layers.GlobalAveragePooling1D()(x))
    return compiled(keras.Model(inputs, outputs), metrics=["sparse_categorical_accuracy"])


def transformer_classifier():
    x = inputs = keras.Input((12, 1))
    for _ in range(2):
        y = layers.MultiHeadAttention(key_dim=4, num_heads=2, dropout=RATE)(x, x)
        y = layers.LayerNormalization(epsilon=1e-6)(Dropout(RATE)(y))
        before = y + x
        y = Dropout(RATE)(Conv1D(filters=3, kernel_size=1, activation="relu")(before))
        y = Conv1D(filters=inputs.shape[-1], kernel_size=1)(y)
        x = layers.LayerNormalization(epsilon=1e-6)(y) + before
    x = layers.GlobalAveragePooling1D(data_format="channels_last")(x)
    x = Dropout(RATE)(Dense(6, activation="relu")(x))
    model = keras.Model(inputs, Dense(2, activation="softmax")(x))
    return compiled(model, SPARSE, keras.optimizers.Adam(learning_rate=1e-4))


def anomaly_autoencoder():
    about = {"kernel_size": 7, "padding": "same", "strides": 2}
    model = keras.Sequential(
        [
            keras.Input((16, 1)),
            Conv1D(filters=6, activation="relu", **about),
            Dropout(RATE),
            Conv1D(filters=4, activation="relu", **about),
            Conv1DTranspose(filters=4, activation="relu", **about),
            Dropout(RATE),
            Conv1DTranspose(filters=6, activation="relu", **about),
            Conv1DTranspose(filters=1, kernel_size=7, padding="same"),
        ]
    )
    return compiled(model, "mse", keras.optimizers.Adam(learning_rate=0.001))


def weather_lstm():
    inputs = keras.Input((10, 7))
    outputs = Dense(1)(layers.LSTM(6)(inputs))
    return compiled(keras.Model(inputs, outputs), "mse", keras.optimizers.Adam(0.001))


def eeg_convnet():
    x = inputs = keras.Input((40, 1))
    for filters in (4, 6, 8):
        x = Conv1D(filters, kernel_size=3, strides=2, activation="relu", padding="same")(x)
        x = BatchNormalization()(x)
    x = Dropout(RATE)(Conv1D(8, kernel_size=3, strides=2, activation="relu", padding="same")(x))
    x = layers.Flatten()(x)
    for units in (10, 8):
        x = Dense(units, activation="relu", kernel_regularizer=keras.regularizers.L2(0.01))(x)
        x = Dropout(RATE)(x)
    model = keras.Model(inputs, Dense(4, activation="softmax")(x))
    metrics = [keras.metrics.TopKCategoricalAccuracy(k=3), keras.metrics.Precision()]
    return compiled(model, keras.losses.CategoricalCrossentropy(), metrics=metrics)


def speaker_recognition():
    x = inputs = keras.Input((32, 1), name="input")
    for filters, count in ((3, 2), (4, 2), (6, 3)):
        same = Conv1D(filters, 1, padding="same")(x)
        for _ in range(count - 1):
            x = layers.Activation("relu")(Conv1D(filters, 3, padding="same")(x))
        x = layers.Add()([Conv1D(filters, 3, padding="same")(x), same])
        x = layers.MaxPool1D(pool_size=2, strides=2)(layers.Activation("relu")(x))
    x = layers.Flatten()(layers.AveragePooling1D(pool_size=3, strides=3)(x))
    x = Dense(6, activation="relu")(Dense(8, activation="relu")(x))
    return compiled(keras.Model(inputs, Dense(4, activation="softmax")(x)))


def accent_recognition():
    x = inputs = keras.Input((16,), name="embedding")
    for units in (12, 10, 8):
        x = Dropout(RATE)(Dense(units, activation="relu")(x))
    model = keras.Model(inputs, Dense(6, activation="softmax")(x))
    metrics = ["accuracy", keras.metrics.AUC()]
    return compiled(model, "categorical_crossentropy", keras.optimizers.Adam(1e-4), metrics=metrics)


def wavenet():
    inputs = keras.Input((16, 1))
    x, skipped = Conv1D(4, 2, padding="causal")(inputs), []
    for rate in (1, 2, 4):
        gate = Conv1D(4, 2, padding="causal", dilation_rate=rate, activation="sigmoid")(x)
        y = Conv1D(4, 2, padding="causal", dilation_rate=rate, activation="tanh")(x)
        y = layers.Multiply()([y, gate])
        skipped.append(Conv1D(4, 1)(y))
        x = layers.Add()([x, Conv1D(4, 1)(y)])
    y = Conv1D(4, 1, activation="relu")(layers.ReLU()(layers.Add()(skipped)))
    return compiled(keras.Model(inputs, Conv1D(5, 1, activation="softmax")(y)))


def video_gru():
    frames, mask = keras.Input((6, 8)), keras.Input((6,), dtype="bool")
    x = layers.GRU(6, return_sequences=True)(frames, mask=mask)
    x = Dense(5, activation="relu")(Dropout(RATE)(layers.GRU(4)(x)))
    outputs = Dense(4, activation="softmax")(x)
    return compiled(keras.Model([frames, mask], outputs))


def video_convolution():
    """The (2 + 1)-dimensional one: images, then time."""

    def convolved(x, filters, size):
        x = layers.Conv3D(filters, (1, size, size), padding="same")(x)
        x = layers.Conv3D(filters, (3, 1, 1), padding="same")(x)
        return layers.ReLU()(BatchNormalization()(x))

    inputs = keras.Input((4, 8, 8, 3))
    x = convolved(inputs, 4, 3)
    y = layers.LayerNormalization()(layers.Conv3D(4, 3, padding="same")(x))
    x = layers.GlobalAveragePooling3D()(layers.add([x, y]))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return compiled(keras.Model(inputs, Dense(5)(x)), loss)


BUILDERS = (
    fully_convolutional_classifier,
    transformer_classifier,
    anomaly_autoencoder,
    weather_lstm,
    eeg_convnet,
    speaker_recognition,
    accent_recognition,
    wavenet,
    video_gru,
    video_convolution,
)
