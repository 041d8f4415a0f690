"""Models that nobody thought of score and learn as Keras does."""

from __future__ import annotations

import keras
import pytest
from hypothesis import HealthCheck, given, note, settings
from models import Recipe, recipes
from oracle import agrees, learns

pytestmark = [
    pytest.mark.spark,
    pytest.mark.systemds,
    pytest.mark.slow,
    # Keras draws seeds for layers, whose weights are set after.
    pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies"),
]

COUNT = 300
# What was found, as small as it became.
KEPT = [
    Recipe((2, 2, 2), (("Activation", {"activation": "leaky_relu"}),), 2, "huber", "Adagrad"),
    Recipe((2, 3), (("attention", {"num_heads": 1, "key_dim": 2}),), 2, "huber", "Adagrad"),
]


def as_keras(spark, recipe: Recipe) -> None:
    keras.utils.clear_session()
    built = recipe.model()
    agrees(spark, built, rows=3)
    learns(spark, built, loss=recipe.loss, optimizer=recipe.optimized(), steps=2)


@settings(
    max_examples=COUNT,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(recipe=recipes())
def test_random_model_is_as_keras(spark, recipe):
    note(repr(recipe))
    as_keras(spark, recipe)


@pytest.mark.parametrize("recipe", KEPT, ids=str)
def test_model_that_was_found_is_as_keras(spark, recipe):
    as_keras(spark, recipe)
