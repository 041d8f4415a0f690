"""Products of values, and attention, score and learn as Keras does."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from joining import together
from keras import layers
from oracle import agrees_and_learns, seeded

pytestmark = [pytest.mark.spark, pytest.mark.systemds]

LONG = pytest.mark.long
ALMOST_NONE = 1e-12  # of dropout, so that nothing is drawn
SEEN = np.array([[1, 1, 0], [0, 0, 0], [0, 1, 1], [1, 0, 0]])  # the second query sees nothing


def ending(*values: keras.KerasTensor) -> list[keras.KerasTensor]:
    return [layers.Dense(3, activation="softmax")(layers.Flatten()(value)) for value in values]


DOTS = [
    (((5,), (5,)), {"axes": 1}),
    (((4, 3), (2, 3)), {"axes": -1, "normalize": True}),
    (((4, 3), (4, 2)), {"axes": 1}),
    (((4, 3), (3, 2)), {"axes": (2, 1)}),
    (((3,), (2, 3, 4)), {"axes": (1, 2), "normalize": True}),
    (((2, 3, 4), (4,)), {"axes": (3, 1)}),
    (((4,), (4,)), {"axes": -1, "normalize": True}),
]


def dot(shapes: tuple[tuple[int, ...], ...], arguments: dict[str, object]) -> keras.Model:
    inputs = [keras.Input(shape) for shape in shapes]
    product = layers.Dot(**arguments)(
        [layers.Dense(shape[-1])(x) for x, shape in zip(inputs, shapes, strict=True)]
    )
    return keras.Model(inputs, ending(product))


def test_dots_score_and_learn_as_keras(spark):
    built = together({str(case): dot(*case) for case in DOTS})
    agrees_and_learns(spark, seeded(built), single=False)


ATTENTIONS = [
    (layers.Attention, {}, {}),
    (layers.Attention, {"use_scale": True, "seed": 2}, {"use_causal_mask": True}),
    (layers.Attention, {"score_mode": "concat"}, {"return_attention_scores": True}),
    (layers.Attention, {"score_mode": "concat", "use_scale": True}, {"use_causal_mask": True}),
    (layers.AdditiveAttention, {}, {"return_attention_scores": True}),
    (layers.AdditiveAttention, {"use_scale": False}, {"use_causal_mask": True}),
]


def attention(
    layer: type[keras.Layer], arguments: dict[str, object], how: dict[str, bool]
) -> keras.Model:
    query, value = keras.Input((4, 2)), keras.Input((3, 2))
    values = [layers.Dense(2)(query), layers.Dense(5)(value), layers.Dense(2)(value)]
    if not how.get("return_attention_scores"):
        values = [values[0], values[2]]
    result = layer(**arguments)(values, **how)
    return keras.Model([query, value], ending(*(result if len(values) > 2 else [result])))


def test_attention_scores_and_learns_as_keras(spark):
    cases = {str(case): attention(*case) for case in ATTENTIONS}
    agrees_and_learns(spark, seeded(together(cases)))


SCORES = {"return_attention_scores": True}
MULTI_HEAD = [
    ({"num_heads": 2, "key_dim": 3}, {}),
    ({"num_heads": 3, "key_dim": 2, "value_dim": 4, "use_bias": False}, {"use_causal_mask": True}),
    ({"num_heads": 1, "key_dim": 2, "output_shape": (2, 3)}, SCORES),
    ({"num_heads": 2, "key_dim": 2, "output_shape": 3, "attention_axes": 1}, SCORES),
]
MULTI_HEAD_LONG = [
    ({"num_heads": 2, "key_dim": 3, "sliding_window": 2, "use_gate": True}, {}),
    ({"num_heads": 2, "key_dim": 3}, {"attention_mask": SEEN}),
    ({"num_heads": 2, "key_dim": 3, "dropout": ALMOST_NONE}, {"attention_mask": SEEN[None]}),
]


def multi_head(arguments: dict[str, object], how: dict[str, object]) -> keras.Model:
    # Keras gives the scores it returns the shape of those of a sequence with itself.
    steps = 4 if how.get("return_attention_scores") else 3
    query, value = keras.Input((4, 2)), keras.Input((steps, 5))
    key = layers.Dense(3)(value)
    result = layers.MultiHeadAttention(**arguments)(layers.Dense(3)(query), value, key, **how)
    return keras.Model([query, value], ending(*(result if how is SCORES else [result])))


def within_images() -> keras.Model:
    x = keras.Input((3, 2, 4))
    image = layers.Conv2D(4, 2, padding="same")(x)
    return keras.Model(x, ending(layers.MultiHeadAttention(2, 3)(image, image)))


@pytest.mark.parametrize(
    "heads", [MULTI_HEAD, pytest.param(MULTI_HEAD_LONG, marks=LONG)], ids=["", "long"]
)
def test_multi_head_attention_scores_and_learns_as_keras(spark, heads):
    cases = {str(case): multi_head(*case) for case in heads}
    agrees_and_learns(spark, seeded(together({**cases, "images": within_images()})))


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_key_value_heads": 2, "use_gate": True},
        pytest.param(
            {"num_key_value_heads": 1, "sliding_window": 2, "use_bias": False}, marks=LONG
        ),
        pytest.param({"num_key_value_heads": 4, "dropout": ALMOST_NONE}, marks=LONG),
    ],
)
def test_heads_that_share_keys_score_and_learn_as_keras(spark, arguments):
    query, value = keras.Input((4, 3)), keras.Input((4, 3))
    attention = layers.GroupQueryAttention(3, 4, **arguments)
    both = attention(query, layers.Dense(3)(value)), attention(query, query, use_causal_mask=True)
    built = seeded(keras.Model([query, value], ending(*both)))
    agrees_and_learns(spark, built, single=False)


def test_a_block_of_a_transformer_scores_and_learns_as_keras(spark):
    numbers = keras.Input((5,))
    x = layers.Embedding(7, 4)(numbers)
    seen = layers.MultiHeadAttention(2, 2)(x, x, use_causal_mask=True)
    x = layers.LayerNormalization()(layers.Add()([x, seen]))
    wide = layers.Dense(4)(layers.Dense(6, activation="gelu")(x))
    x = layers.LayerNormalization()(layers.Add()([x, wide]))
    built = seeded(keras.Model(numbers, layers.Dense(7, activation="softmax")(x)))
    agrees_and_learns(spark, built)
