"""The models of keras.applications score as Keras does, with random weights and small images."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from oracle import agrees

pytestmark = [pytest.mark.spark, pytest.mark.systemds, pytest.mark.slow]

# The smallest image that each takes.
SIZES = {
    "VGG16": 32,
    "ResNet50": 32,
    "ResNet50V2": 32,
    "MobileNet": 32,
    "MobileNetV2": 32,
    "MobileNetV3Small": 32,
    "EfficientNetB0": 32,
    "EfficientNetV2B0": 32,
    "DenseNet121": 32,
    "InceptionV3": 75,
    "Xception": 71,
    "NASNetMobile": 32,
    "ConvNeXtTiny": 32,
}
# One of most kinds of layers; the others take longer, and show little more.
MARKS = {"MobileNetV3Small": (), "VGG16": (pytest.mark.long, pytest.mark.compute_bound)}


def stable(built: keras.Model) -> keras.Model:
    """The model with random weights under which its values neither vanish nor grow: kernels by the
    number of what they add up, scales near 1.
    """
    generator = np.random.default_rng(5)
    weights = []
    for one in built.weights:
        name, shape = one.path.rsplit("/", 1)[-1], tuple(one.shape)
        drawn = generator.normal(size=shape)
        if "kernel" in name:
            depthwise = "depthwise" in one.path
            fan = np.prod(shape[:2]) if depthwise and len(shape) == 4 else np.prod(shape[:-1])
            weights.append(drawn / np.sqrt(fan))
        elif "variance" in name or name in ("gamma",):
            weights.append(np.exp(0.2 * drawn))
        else:
            weights.append(0.1 * drawn)
    built.set_weights(weights)
    return built


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=MARKS.get(name, pytest.mark.long)) for name in SIZES],
)
def test_application_scores_as_keras(spark, name):
    size = SIZES[name]
    made = getattr(keras.applications, name)
    built = stable(made(weights=None, input_shape=(size, size + 1, 3), classes=5))
    agrees(spark, built, rows=2, sparse=False)
