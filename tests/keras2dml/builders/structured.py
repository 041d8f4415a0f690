"""Builders after Keras' examples of tables, graphs and recommendation."""

from __future__ import annotations

import keras
from keras import layers, ops
from keras.layers import BatchNormalization, Dense, Dropout, Embedding

from builders.vision import RATE, compiled

CATEGORIES = 12
BINARY = keras.losses.BinaryCrossentropy


def categories(count, dtype="int32"):
    return [keras.Input((1,), dtype=dtype) for _ in range(count)]


def imbalanced_mlp():
    model = keras.Sequential([keras.Input((12,))])
    for rate in (None, RATE, RATE):
        model.add(Dense(10, activation="relu"))
        if rate is not None:
            model.add(Dropout(rate))
    model.add(Dense(1, activation="sigmoid"))
    metrics = [keras.metrics.FalseNegatives(), keras.metrics.Precision(), keras.metrics.Recall()]
    return compiled(model, "binary_crossentropy", keras.optimizers.Adam(1e-2), metrics=metrics)


def network(units, activation, normalization):
    parts = []
    for size in units:
        parts += [normalization(), Dense(size, activation=activation), Dropout(RATE)]
    return keras.Sequential(parts)


def tab_mlp():
    names, numbers = categories(3), keras.Input((4,))
    vectors = [layers.Flatten()(Embedding(CATEGORIES, 4)(name)) for name in names]
    x = layers.concatenate([*vectors, numbers])
    for _ in range(2):
        x = network([16], keras.activations.gelu, layers.LayerNormalization)(x)
    x = network([16, 8], keras.activations.selu, BatchNormalization)(x)
    outputs = Dense(units=1, activation="sigmoid")(x)
    adam = keras.optimizers.AdamW(learning_rate=0.001, weight_decay=0.0001)
    return compiled(keras.Model([*names, numbers], outputs), BINARY(), adam)


def tab_transformer():
    names, numbers = categories(3), keras.Input((4,))
    vectors = [layers.Flatten()(Embedding(CATEGORIES, 4)(name)) for name in names]
    x = ops.stack(vectors, axis=1)
    for _ in range(2):
        attended = layers.MultiHeadAttention(num_heads=2, key_dim=4, dropout=RATE)(x, x)
        x = layers.LayerNormalization(epsilon=1e-6)(layers.Add()([attended, x]))
        y = network([4], keras.activations.gelu, layers.LayerNormalization)(x)
        x = layers.LayerNormalization(epsilon=1e-6)(layers.Add()([y, x]))
    normal = layers.LayerNormalization(epsilon=1e-6)(numbers)
    x = layers.concatenate([layers.Flatten()(x), normal])
    x = network([16, 8], keras.activations.selu, BatchNormalization)(x)
    outputs = Dense(units=1, activation="sigmoid")(x)
    adam = keras.optimizers.AdamW(learning_rate=0.001, weight_decay=0.0001)
    return compiled(keras.Model([*names, numbers], outputs), BINARY(), adam)


def named(names, mode):
    words = [f"area {number}" for number in range(CATEGORIES)]
    return [
        layers.StringLookup(vocabulary=words, num_oov_indices=0, output_mode=mode)(name)
        for name in names
    ]


def wide_and_deep():
    names, numbers = categories(2, "string"), keras.Input((4,))
    wide = BatchNormalization()(layers.concatenate([*named(names, "multi_hot"), numbers]))
    vectors = [Embedding(CATEGORIES, 4)(name) for name in named(names, "int")]
    x = layers.concatenate([*(layers.Flatten()(vector) for vector in vectors), numbers])
    for units in (8, 8):
        x = Dropout(RATE)(layers.ReLU()(BatchNormalization()(Dense(units)(x))))
    outputs = Dense(7, activation="softmax")(layers.concatenate([wide, x]))
    return compiled(keras.Model([*names, numbers], outputs))


def deep_and_cross():
    names, numbers = categories(2, "string"), keras.Input((4,))
    vectors = [Embedding(CATEGORIES, 4)(name) for name in named(names, "int")]
    first = layers.concatenate([*(layers.Flatten()(vector) for vector in vectors), numbers])
    cross = deep = first
    for units in (8, 8):
        cross = first * Dense(cross.shape[-1])(cross) + cross
        deep = Dropout(RATE)(layers.ReLU()(BatchNormalization()(Dense(units)(deep))))
    x = layers.concatenate([BatchNormalization()(cross), deep])
    return compiled(keras.Model([*names, numbers], Dense(7, activation="softmax")(x)))


class GatedResidualNetwork(layers.Layer):
    """A network with a gate, added to what it takes."""

    def build(self, shape):
        self.first, self.second = Dense(shape[-1], activation="elu"), Dense(shape[-1])
        self.gate, self.normal = Dense(shape[-1], activation="sigmoid"), layers.LayerNormalization()

    def call(self, inputs):
        x = self.second(self.first(inputs))
        return self.normal(inputs + x * self.gate(x))


def gated_residual_network():
    inputs = keras.Input((8,))
    outputs = Dense(1, activation="sigmoid")(GatedResidualNetwork()(Dense(6)(inputs)))
    return compiled(keras.Model(inputs, outputs), BINARY())


def graph_baseline():
    """The feed-forward network of a graph's nodes: each block is added to the one before."""

    def block(x):
        for units in (6, 6):
            x = Dense(units, activation="gelu")(Dropout(RATE)(BatchNormalization()(x)))
        return x

    inputs = keras.Input((14,))
    x = block(inputs)
    for _ in range(3):
        x = layers.Add()([x, block(x)])
    model = keras.Model(inputs, Dense(5)(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return compiled(model, loss, keras.optimizers.Adam(0.01))


class Recommender(keras.Model):
    """A product of a user's and a film's vector, with a bias for each."""

    def __init__(self):
        super().__init__()
        penalty = keras.regularizers.l2(1e-6)
        self.users = Embedding(CATEGORIES, 5, embeddings_regularizer=penalty)
        self.films = Embedding(CATEGORIES, 5, embeddings_regularizer=penalty)
        self.user_bias, self.film_bias = Embedding(CATEGORIES, 1), Embedding(CATEGORIES, 1)

    def call(self, inputs):
        users, films = inputs[:, 0], inputs[:, 1]
        product = ops.tensordot(self.users(users), self.films(films), 2)
        return ops.nn.sigmoid(product + self.user_bias(users) + self.film_bias(films))


def collaborative_filtering():
    model = Recommender()
    model(keras.Input((2,), dtype="int32"))
    return compiled(model, BINARY(), keras.optimizers.Adam(learning_rate=0.001))


def node_embedding():
    target, context = keras.Input((1,), dtype="int32"), keras.Input((1,), dtype="int32")
    embedding = Embedding(CATEGORIES, 5, embeddings_initializer="he_normal")
    vectors = [layers.Flatten()(embedding(nodes)) for nodes in (target, context)]
    model = keras.Model([target, context], layers.Dot(axes=1)(vectors))
    return compiled(model, BINARY(from_logits=True), keras.optimizers.Adam(0.001))


BUILDERS = (
    imbalanced_mlp,
    tab_mlp,
    tab_transformer,
    wide_and_deep,
    deep_and_cross,
    gated_residual_network,
    graph_baseline,
    collaborative_filtering,
    node_embedding,
)
