"""One range for the whole sensor, the same as scikit-learn's."""

from __future__ import annotations

import numpy as np
from sklearn.preprocessing import MinMaxScaler

from contract.scaling import Scaling

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
