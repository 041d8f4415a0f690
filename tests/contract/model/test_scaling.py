"""One range for the whole sensor, the same as scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.preprocessing import MinMaxScaler

from contract.data import datasets
from contract.model.scaling import Scaling, is_dark_on_light

PIXELS = np.random.default_rng(3).integers(10, 201, (5, 8, 6, 2), dtype=np.uint8)


def test_it_scales_as_min_max_scaler_over_all_pixels_as_one_feature() -> None:
    expected = MinMaxScaler().fit_transform(PIXELS.reshape(-1, 1).astype(float))
    features = Scaling.fit(PIXELS).apply(PIXELS)
    assert features.dtype == np.float32
    assert features.shape == PIXELS.shape
    np.testing.assert_allclose(features.ravel(), expected.ravel(), atol=1e-6)


def test_a_pixel_that_was_constant_in_training_keeps_the_range_of_the_others() -> None:
    train = PIXELS.copy()
    train[:, 0, 0] = 10
    lit = train.copy()
    lit[:, 0, 0] = 200
    assert Scaling.fit(train).apply(lit).max() <= 1 + 1e-6


def test_a_data_set_of_one_value_scales_to_finite_features() -> None:
    constant = np.full((2, 3, 3, 1), 7, np.uint8)
    assert np.isfinite(Scaling.fit(constant).apply(constant)).all()


def test_the_pixels_themselves_stay_as_they_are() -> None:
    before = PIXELS.copy()
    Scaling.fit(PIXELS).apply(PIXELS)
    np.testing.assert_array_equal(PIXELS, before)


@pytest.fixture(scope="module")
def digits() -> NDArray[np.uint8]:
    return np.concatenate([datasets.sample(split).images for split in ("train", "test")])


def test_each_digit_of_the_sample_is_known_by_its_border(digits: NDArray[np.uint8]) -> None:
    assert not is_dark_on_light(digits).any()
    assert is_dark_on_light(255 - digits).all()


def test_inverted_digits_become_what_they_were(digits: NDArray[np.uint8]) -> None:
    never, auto = Scaling.fit(digits), Scaling.fit(digits, "auto")
    wanted = never.apply(digits)
    half = digits.copy()
    half[::2] = 255 - half[::2]
    before = half.copy()
    np.testing.assert_array_equal(auto.apply(half), wanted)
    np.testing.assert_array_equal(auto.apply(digits), wanted)
    np.testing.assert_array_equal(half, before)
    assert not np.array_equal(never.apply(half), wanted)


def test_a_model_of_dark_ink_has_light_ink_inverted(digits: NDArray[np.uint8]) -> None:
    dark = 255 - digits[:100]
    auto = Scaling.fit(dark, "auto")
    assert auto.ink == "dark"
    np.testing.assert_array_equal(auto.apply(digits[:100]), Scaling.fit(dark).apply(dark))


def test_the_ink_is_told_if_the_images_have_one(digits: NDArray[np.uint8]) -> None:
    assert Scaling.fit(digits).ink == "light"
    assert Scaling.fit(255 - digits).ink == "dark"
    mixed = np.concatenate([digits[:60], 255 - digits[:40]])
    assert Scaling.fit(mixed).ink is None
    assert Scaling.fit(mixed, "auto").ink == "light"


@pytest.mark.parametrize("shape", [(0, 4, 4, 1), (3, 1, 1, 1), (3, 1, 5, 3), (2, 5, 2, 4)])
@pytest.mark.parametrize("value", [0, 90, 255])
def test_what_shows_nothing_stays_as_it_is(shape: tuple[int, ...], value: int) -> None:
    blank = np.full(shape, value, np.uint8)
    auto = Scaling(1 / 255, 0.0, ink="light", invert="auto")
    np.testing.assert_array_equal(auto.apply(blank), Scaling(1 / 255, 0.0).apply(blank))
