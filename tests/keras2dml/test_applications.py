"""The models of keras.applications score as Keras does, with random weights and small images."""

from __future__ import annotations

import keras
import pytest
from oracle import agrees, stable

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


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=MARKS.get(name, pytest.mark.long)) for name in SIZES],
)
def test_application_scores_as_keras(spark, name):
    size = SIZES[name]
    made = getattr(keras.applications, name)
    built = stable(made(weights=None, input_shape=(size, size + 1, 3), classes=5))
    agrees(spark, built, rows=2, sparse=False, single=name not in MARKS)
