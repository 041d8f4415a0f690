"""DataFrames of Spark train and score as the same rows in arrays do."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras.layers import Conv2D, Dense, Flatten
from oracle import WEIGHTS, examples, model, near
from pyspark.ml.linalg import Vectors
from pyspark.sql import functions as F

from keras2dml import InvalidData, Keras2DML, Keras2DMLError

pytestmark = [pytest.mark.spark, pytest.mark.systemds]

ROWS = 20
NAMES = np.array(["ant", "bee", "cat"])


def image_model(last: str = "softmax", loss: str = "sparse_categorical_crossentropy"):
    built = model((4, 3, 2), Conv2D(3, 2, activation="tanh"), Flatten(), Dense(3, last))
    built.compile(keras.optimizers.Adam(0.05), loss=loss, weighted_metrics=[])
    return built


@pytest.fixture
def features():
    return examples(image_model(), ROWS)


@pytest.fixture
def labels():
    return np.arange(ROWS) % 3


@pytest.fixture
def frame(spark, features, labels):
    """Every kind of column for the same rows."""
    rows = [
        (
            number,
            x.tolist(),
            Vectors.dense(x.transpose(2, 0, 1).ravel()),
            int(label),
            str(NAMES[label]),
            Vectors.dense(np.eye(3)[label]),
            0.5 + number,
        )
        for number, (x, label) in enumerate(zip(features, labels, strict=True))
    ]
    columns = ["id", "tensor", "features", "label", "name", "one_hot", "weight"]
    return spark.createDataFrame(rows, columns).coalesce(1)


def fitted(spark, built, *given, **how):
    ours = Keras2DML(spark, built, batch_size=6, max_iter=5, display=0)
    return ours.fit(*given, **how)


@pytest.mark.parametrize(
    ("column", "label"),
    [
        ("features", "label"),
        ("tensor", "name"),
        ("tensor", "one_hot"),
        *(
            pytest.param(*each, marks=pytest.mark.long)
            for each in (("tensor", "label"), ("features", "name"), ("features", "one_hot"))
        ),
    ],
)
def test_frame_trains_as_arrays_do(spark, frame, features, labels, column, label):
    loss = "categorical_crossentropy" if label == "one_hot" else "sparse_categorical_crossentropy"
    built = image_model(loss=loss)
    wanted = fitted(spark, built, features, np.eye(3)[labels] if label == "one_hot" else labels)
    ours = Keras2DML(spark, built, batch_size=6, max_iter=5, display=0)
    ours.set_features_col(column).set_label_col(label).fit(frame)
    for one, other in zip(
        ours.to_keras().get_weights(), wanted.to_keras().get_weights(), strict=True
    ):
        near(one, other, WEIGHTS["float64"])
    said = ours.predict(frame).orderBy("id").toPandas()
    assert {*frame.columns, "prediction", "probability"} == set(said.columns)
    probabilities = np.array([row.toArray() for row in said["probability"]])
    near(probabilities, ours.predict_proba(features), 1e-9)
    named = NAMES if label == "name" else np.arange(3)
    np.testing.assert_array_equal(said["prediction"], named[probabilities.argmax(axis=1)])
    if label != "one_hot":
        assert ours.score(frame) == wanted.score(features, labels)


def test_frame_has_weights_and_validation(spark, frame, features, labels):
    built = image_model()
    weights = 0.5 + np.arange(ROWS)
    how = {"epochs": 3, "validation_split": 0.25}
    wanted = fitted(spark, built, features, labels, sample_weight=weights, **how)
    ours = fitted(spark, built, frame, "name", sample_weight="weight", **how)
    for name, values in wanted.history.items():
        np.testing.assert_allclose(ours.history[name], values, rtol=1e-9)
    other = fitted(spark, built, frame, validation_data=frame, epochs=1)
    assert set(other.history) == {"loss", "val_loss"}


def test_numbers_are_learned(spark, frame, features):
    built = model((4, 3, 2), Flatten(), Dense(1))
    built.compile(keras.optimizers.Adam(0.1), loss="mse")
    wanted = fitted(spark, built, features, 0.5 + np.arange(ROWS))
    ours = Keras2DML(spark, built, batch_size=6, max_iter=5, display=0)
    ours.fit(frame, "weight")
    said = ours.predict(frame).orderBy("id").toPandas()["prediction"]
    near(said.to_numpy(), wanted.predict(features), 1e-9)
    assert ours.score(frame, "weight") == pytest.approx(
        wanted.score(features, 0.5 + np.arange(ROWS))
    )


def test_two_classes_of_one_output(spark, frame, features):
    built = model((4, 3, 2), Flatten(), Dense(1, "sigmoid"))
    built.compile(keras.optimizers.Adam(0.1), loss="binary_crossentropy")
    two = frame.withColumn("kind", F.when(F.col("label") == 0, "no").otherwise("yes"))
    ours = fitted(spark, built, two, "kind")
    said = ours.predict(two).orderBy("id").toPandas()["prediction"]
    np.testing.assert_array_equal(said, ours.predict(features))
    assert set(said) <= {"no", "yes"}


@pytest.mark.parametrize(
    ("changed", "label", "match"),
    [
        ({}, "kind", "no column 'kind'. It has id, tensor"),
        ({"features": "'x'"}, "label", "'features' has type string: give vectors, or arrays"),
        ({"label": "id"}, "label", "labels .* do not fit a model with 3 classes"),
        ({"name": "cast(null as string)"}, "name", "labels None do not fit a model with 3 classes"),
        ({}, "one_hot", "'one_hot' has several numbers, but the loss needs one class"),
    ],
)
def test_frame_is_refused(spark, frame, changed, label, match):
    given = frame.withColumns({name: F.expr(sql) for name, sql in changed.items()})
    with pytest.raises(InvalidData, match=match):
        fitted(spark, image_model(), given, label)


def test_broken_numbers_are_refused(spark, frame):
    broken = frame.withColumn("weight", F.when(F.col("id") == 3, float("nan")).otherwise(1.0))
    with pytest.raises(InvalidData, match="1 values that are NaN or infinite"):
        fitted(spark, image_model(), broken, sample_weight="weight")


def test_nothing_of_frames_stays_cached(spark, frame, features, labels):
    caches = spark._jsparkSession.sharedState().cacheManager()
    built, broken = image_model(), frame.withColumn("weight", F.lit(float("nan")))
    ours = fitted(spark, built, frame, epochs=1, validation_split=0.25)
    ours.fit(frame, epochs=1, validation_data=frame, validation_steps=1, batch_size=4)
    ours.evaluate(frame, steps=1)
    refused = (
        lambda: ours.fit(broken, sample_weight="weight", epochs=1),
        lambda: ours.fit(frame, validation_data=broken.drop("label"), epochs=1),
        lambda: ours.fit(frame, validation_split=1.5, epochs=1),
        lambda: ours.fit(frame.limit(0), epochs=1),
        lambda: ours.predict(frame.withColumn("features", F.array(F.lit(1.0), F.lit(2.0)))),
    )
    for call in refused:
        with pytest.raises(Keras2DMLError):
            call()
    assert caches.isEmpty()


def test_frame_is_not_collected_where_the_plan_is_distributed(spark, frame, features, labels):
    ours = Keras2DML(spark, image_model(), batch_size=6, max_iter=3, display=0)
    ours.setExecutionType("SPARK").setStatistics(True).fit(frame)
    wanted = Keras2DML(spark, image_model(), batch_size=6, max_iter=3, display=0)
    wanted.fit(features, labels)
    near(ours.to_keras().get_weights()[0], wanted.to_keras().get_weights()[0], 1e-8)
