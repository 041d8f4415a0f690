"""Models that nobody thought of score and learn as Keras does."""

from __future__ import annotations

import keras
import pytest
from hypothesis import HealthCheck, given, note, seed, settings
from models import Recipe, recipes
from oracle import agrees_and_learns

pytestmark = [
    pytest.mark.spark,
    pytest.mark.systemds,
    pytest.mark.slow,
    # Keras draws seeds for layers, whose weights are set after.
    pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies"),
]

COUNT, PARTS = 300, 20
# What was found, as small as it became.
KEPT = [
    Recipe((2, 2, 2), (("Activation", {"activation": "leaky_relu"}),), 2, "huber", "Adagrad"),
    Recipe(
        (2, 5),
        (("Activation", {"activation": "relu"}), ("BatchNormalization", {"momentum": 0.9})),
        *(2, "binary_crossentropy", "Adagrad"),
    ),
    Recipe((2,), (("BatchNormalization", {"momentum": 0.9}),) * 2, 2, "huber", "Adagrad"),
    Recipe((2, 2), (("SimpleRNN", {"units": 2}),), 2, "binary_crossentropy", "Adagrad"),
    Recipe((2, 3), (("attention", {"num_heads": 1, "key_dim": 2}),), 2, "huber", "Adagrad"),
]


def as_keras(spark, recipe: Recipe) -> None:
    keras.utils.clear_session(free_memory=False)
    built = recipe.model()
    optimizer = recipe.optimized()
    agrees_and_learns(
        spark, built, loss=recipe.loss, optimizer=optimizer, steps=2, rest=2, single=False
    )


@pytest.mark.parametrize(
    "part", [0, *(pytest.param(part, marks=pytest.mark.long) for part in range(1, PARTS))]
)
def test_random_models_are_as_keras(spark, part):
    @seed(part)
    @settings(
        max_examples=COUNT // PARTS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(recipe=recipes())
    def each(recipe: Recipe) -> None:
        note(repr(recipe))
        as_keras(spark, recipe)

    each()


@pytest.mark.parametrize("recipe", KEPT, ids=str)
def test_model_that_was_found_is_as_keras(spark, recipe):
    as_keras(spark, recipe)
