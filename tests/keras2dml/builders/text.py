"""Builders after Keras' examples of natural language; words are numbers below 12."""

from __future__ import annotations

import keras
from keras import layers, ops
from keras.layers import LSTM, Dense, Dropout, Embedding

from builders.vision import RATE, SPARSE, compiled

WORDS = 12


def tokens(length):
    return keras.Input((length,), dtype="int64")


def text_convnet():
    inputs = tokens(20)
    x = Dropout(RATE)(Embedding(WORDS, 6)(inputs))
    for _ in range(2):
        x = layers.Conv1D(6, 4, padding="valid", activation="relu", strides=2)(x)
    x = Dropout(RATE)(Dense(6, activation="relu")(layers.GlobalMaxPooling1D()(x)))
    outputs = Dense(1, activation="sigmoid", name="predictions")(x)
    return compiled(keras.Model(inputs, outputs), "binary_crossentropy", metrics=["accuracy"])


def bidirectional_lstm():
    inputs = tokens(7)
    x = layers.Bidirectional(LSTM(4, return_sequences=True))(Embedding(WORDS, 5)(inputs))
    outputs = Dense(1, activation="sigmoid")(layers.Bidirectional(LSTM(4))(x))
    return compiled(keras.Model(inputs, outputs), "binary_crossentropy")


class TransformerBlock(layers.Layer):
    """Attention and a feed-forward network, each added to what it takes."""

    def __init__(self, width, heads, units):
        super().__init__()
        self.attention = layers.MultiHeadAttention(num_heads=heads, key_dim=width)
        self.network = keras.Sequential([Dense(units, activation="relu"), Dense(width)])
        self.normal, self.normal2 = layers.LayerNormalization(), layers.LayerNormalization()

    def call(self, x):
        x = self.normal(x + self.attention(x, x))
        return self.normal2(x + self.network(x))


class TokenAndPositionEmbedding(layers.Layer):
    """A vector for each word, and one for each place."""

    def __init__(self, length, words, width):
        super().__init__()
        self.words, self.places = Embedding(words, width), Embedding(length, width)
        self.length = length

    def call(self, x):
        return self.words(x) + self.places(ops.arange(self.length))


def text_transformer():
    inputs = tokens(8)
    x = TransformerBlock(6, 2, 6)(TokenAndPositionEmbedding(8, WORDS, 6)(inputs))
    x = Dropout(RATE)(layers.GlobalAveragePooling1D()(x))
    outputs = Dense(2, activation="softmax")(Dense(6, activation="relu")(x))
    return compiled(keras.Model(inputs, outputs))


def pretrained_embeddings():
    inputs = tokens(30)
    x = Embedding(WORDS, 6, trainable=False)(inputs)
    for _ in range(2):
        x = layers.MaxPooling1D(2)(layers.Conv1D(6, 3, activation="relu")(x))
    x = layers.GlobalMaxPooling1D()(layers.Conv1D(6, 3, activation="relu")(x))
    outputs = Dense(4, activation="softmax")(Dropout(RATE)(Dense(6, activation="relu")(x)))
    return compiled(keras.Model(inputs, outputs), SPARSE, "rmsprop", metrics=["acc"])


def character_lstm():
    model = keras.Sequential([keras.Input((6, WORDS)), LSTM(8), Dense(WORDS, activation="softmax")])
    optimizer = keras.optimizers.RMSprop(learning_rate=0.01)
    return compiled(model, "categorical_crossentropy", optimizer)


def addition_rnn():
    model = keras.Sequential([keras.Input((7, WORDS)), LSTM(8), layers.RepeatVector(4)])
    model.add(LSTM(8, return_sequences=True))
    model.add(Dense(WORDS, activation="softmax"))
    return compiled(model, "categorical_crossentropy", metrics=["accuracy"])


def seq2seq_lstm():
    source, target = keras.Input((5, WORDS)), keras.Input((4, WORDS))
    _, hidden, cell = LSTM(6, return_state=True)(source)
    decoder = LSTM(6, return_sequences=True, return_state=True)
    outputs, _, _ = decoder(target, initial_state=[hidden, cell])
    model = keras.Model([source, target], Dense(WORDS, activation="softmax")(outputs))
    return compiled(model, "categorical_crossentropy", "rmsprop", metrics=["accuracy"])


class PositionalEmbedding(TokenAndPositionEmbedding):
    """The embedding of a sequence-to-sequence model, which hands its mask on."""

    def compute_mask(self, inputs, mask=None):
        return ops.not_equal(inputs, 0)


class TransformerDecoder(layers.Layer):
    """Attention to what is before, then to the encoder's outputs."""

    def __init__(self, width, heads):
        super().__init__()
        self.before = layers.MultiHeadAttention(num_heads=heads, key_dim=width)
        self.encoder = layers.MultiHeadAttention(num_heads=heads, key_dim=width)

    def call(self, inputs):
        x, encoded = inputs
        x = x + self.before(x, x, use_causal_mask=True)
        return x + self.encoder(x, encoded)


def transformer_seq2seq():
    source, target = tokens(6), tokens(5)
    encoded = TransformerBlock(6, 2, 8)(PositionalEmbedding(6, WORDS, 6)(source))
    x = TransformerDecoder(6, 2)([PositionalEmbedding(5, WORDS, 6)(target), encoded])
    outputs = Dense(WORDS, activation="softmax")(Dropout(RATE)(x))
    return compiled(keras.Model([source, target], outputs), SPARSE, "rmsprop")


def multi_label_mlp():
    model = keras.Sequential(
        [
            keras.Input((30,)),
            Dense(10, activation="relu"),
            Dense(8, activation="relu"),
            Dense(5, activation="sigmoid"),
        ]
    )
    return compiled(model, "binary_crossentropy", metrics=["binary_accuracy"])


def active_learning_lstm():
    model = keras.Sequential(
        [
            tokens(9),
            Embedding(WORDS, 6),
            layers.Bidirectional(LSTM(4, return_sequences=True)),
            layers.GlobalMaxPool1D(),
            Dense(6, activation="relu"),
            Dropout(RATE),
            Dense(1, activation="sigmoid"),
        ]
    )
    metrics = [keras.metrics.BinaryAccuracy(), keras.metrics.FalseNegatives()]
    return compiled(model, "binary_crossentropy", "rmsprop", metrics=metrics)


def memory_network():
    story, question = tokens(8), tokens(3)
    memory = Dropout(RATE)(Embedding(WORDS, 5)(story))
    answer = Dropout(RATE)(Embedding(WORDS, 3)(story))
    asked = Dropout(RATE)(Embedding(WORDS, 5)(question))
    match = layers.Activation("softmax")(layers.dot([memory, asked], axes=(2, 2)))
    x = layers.Permute((2, 1))(layers.add([match, answer]))
    x = Dropout(RATE)(LSTM(6)(layers.concatenate([x, asked])))
    outputs = layers.Activation("softmax")(Dense(WORDS)(x))
    return compiled(keras.Model([story, question], outputs), SPARSE, "rmsprop")


def question_answering_rnn():
    story, question = tokens(8), tokens(3)
    told = LSTM(5)(Embedding(WORDS, 5)(story))
    asked = LSTM(5)(Embedding(WORDS, 5)(question))
    outputs = Dense(WORDS, activation="softmax")(layers.concatenate([told, asked]))
    return compiled(keras.Model([story, question], outputs), "categorical_crossentropy")


def fasttext():
    model = keras.Sequential([tokens(10), Embedding(WORDS, 6)])
    model.add(layers.GlobalAveragePooling1D())
    model.add(Dense(1, activation="sigmoid"))
    return compiled(model, "binary_crossentropy", metrics=["accuracy"])


BUILDERS = (
    text_convnet,
    bidirectional_lstm,
    text_transformer,
    pretrained_embeddings,
    character_lstm,
    addition_rnn,
    seq2seq_lstm,
    transformer_seq2seq,
    multi_label_mlp,
    active_learning_lstm,
    memory_network,
    question_answering_rnn,
    fasttext,
)
