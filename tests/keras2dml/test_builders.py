"""Builders after Keras' code examples: which are compiled, and that these score and train as Keras.

Refused is what an example computes in classes of its own, and what takes texts.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest
from builders import control, generative, images, series, structured, text, vision
from oracle import FORWARD, WEIGHTS, alone, complaints, listed, near, stable, wanted

from keras2dml import Keras2DML

FIELDS = (vision, images, text, series, structured, generative, control)
BUILDERS = {builder.__name__: builder for field in FIELDS for builder in field.BUILDERS}
REFUSED = {
    "vision_transformer": ("Patches", "PatchEncoder"),
    "mlp_mixer": ("Patches", "MixerLayer"),
    "super_resolution": ("DepthToSpace",),
    "pointnet": ("activity_regularizer Orthogonal", "The regularizer Orthogonal"),
    "text_transformer": ("TokenAndPositionEmbedding", "TransformerBlock"),
    "transformer_seq2seq": ("PositionalEmbedding", "TransformerDecoder"),
    "wide_and_deep": ("StringLookup",),
    "deep_and_cross": ("StringLookup",),
    "gated_residual_network": ("GatedResidualNetwork",),
    "collaborative_filtering": ("Recommender",),
    "vae_encoder": ("Sampling",),
    "miniature_gpt": ("CausalBlock",),
}
COMPILED = [name for name in BUILDERS if name not in REFUSED]
SHORT = ("siamese_contrastive",)
# TensorFlow pools volumes, and finds the largest of scores, in float32 only.
SINGLE = ("volumetric_classifier", "eeg_convnet")
# Keras interpolates in float32, whatever the model computes in.
INTERPOLATED = (
    *("learnable_resizer", "deeplabv3", "fully_convolutional_network", "mirnet"),
    *("boundary_aware_segmentation", "diffusion_network"),
)
ROWS, NUMBERS = 5, 12  # examples, and the numbers that stand for words and categories


def drawn(built: keras.Model) -> list[np.ndarray]:
    """Examples for each input, by its type."""
    generator = np.random.default_rng(11)
    numbers = {
        "bool": lambda shape: np.arange(np.prod(shape)).reshape(shape) % 5 < 3,
        "int": lambda shape: generator.integers(0, NUMBERS, shape),
        "float": lambda shape: generator.normal(size=shape),
    }
    return [
        numbers[str(tensor.dtype).rstrip("3264")]((ROWS, *tensor.shape[1:]))
        for tensor in built.inputs
    ]


def test_at_least_sixty_builders_are_compiled():
    assert len(BUILDERS) == sum(len(field.BUILDERS) for field in FIELDS) == 74
    assert len(COMPILED) >= 60


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask:UserWarning")
def test_refusals_state_their_reason(name):
    reasons = " ".join(complaints(BUILDERS[name]()))
    assert all(part in reasons for part in REFUSED[name]), reasons


@pytest.mark.spark
@pytest.mark.systemds
@pytest.mark.parametrize(
    "name",
    [name if name in SHORT else pytest.param(name, marks=pytest.mark.long) for name in COMPILED],
)
def test_builder_scores_and_trains_as_keras(spark, name):
    if name in SINGLE:
        keras.config.set_floatx("float32")
    precision = "float32" if name in (*SINGLE, *INTERPOLATED) else "float64"
    built = stable(BUILDERS[name]())
    features = drawn(built)
    losses = built.loss if isinstance(built.loss, list) else [built.loss]
    targets = [
        wanted(tensor.shape[1:], ROWS, loss)
        for tensor, loss in zip(built.outputs, losses, strict=True)
    ]
    ours = Keras2DML(spark, built, batch_size=ROWS, max_iter=1, display=0)
    scores = listed(built(alone(features), training=False))
    for score, expected in zip(ours.outputs(alone(features)), scores, strict=True):
        near(score, expected, FORWARD[precision])
    ours.fit(alone(features), alone(targets))
    built.run_eagerly = True
    loss = built.train_on_batch(alone(features), alone(targets), return_dict=True)["loss"]
    near(np.array(ours.iterations[-1].loss), np.asarray(loss), 1e-6)
    for weight, expected in zip(ours.to_keras().get_weights(), built.get_weights(), strict=True):
        near(weight, expected, WEIGHTS[precision])
