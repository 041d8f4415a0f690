"""DataFrames are scored where their rows are, as arrays are."""

from __future__ import annotations

import datetime

import keras
import numpy as np
import pytest
from keras.layers import (
    BatchNormalization,
    Conv2D,
    Dense,
    Embedding,
    Flatten,
    Permute,
    Rescaling,
    ZeroPadding2D,
)
from oracle import examples, model, near
from pyspark.ml.linalg import Vectors
from pyspark.sql import functions as F

from keras2dml import InvalidData, Keras2DML
from keras2dml.check import check
from keras2dml.reader import read
from keras2dml.scripts import row_batches
from keras2dml.systemds import executors

pytestmark = [pytest.mark.spark, pytest.mark.systemds]

ROWS = 530


@pytest.fixture
def built():
    return model((4, 3, 2), Conv2D(3, 2, activation="tanh"), Flatten(), Dense(3, "softmax"))


@pytest.fixture
def features(built):
    return examples(built, ROWS)


@pytest.fixture
def frame(spark, features):
    """Rows in two partitions: of three batches, and of less than one."""
    moment = datetime.datetime(1888, 8, 8, 8, 8, 8, 8)
    rows = [
        (
            number,
            x.tolist(),
            Vectors.dense(x.transpose(2, 0, 1).ravel()),
            None if number % 3 else moment,
            {"number": number},
        )
        for number, x in enumerate(features)
    ]
    names = ["id", "tensor", "features", "time", "entries"]
    return spark.createDataFrame(rows, names).repartitionByRange(2, F.col("id") > 500)


@pytest.mark.parametrize("column", ["features", "tensor"])
def test_rows_keep_their_order_and_columns(spark, built, features, frame, column):
    ours = Keras2DML(spark, built, display=0).set_features_col(column)
    scored = ours.transform(frame)
    assert scored.columns == [*frame.columns, "prediction", "probability"]
    assert scored.rdd.getNumPartitions() == 2
    others = frame.drop("tensor").collect()
    assert scored.select(frame.drop("tensor").columns).collect() == others
    rows = scored.select("id", "probability").collect()
    scores = np.array([row.probability.toArray() for row in rows])
    np.testing.assert_array_equal(scores, ours.predict_proba(features[[row.id for row in rows]]))


def test_what_a_script_prepares_once_is_prepared_for_all_batches(spark, frame, features):
    built = model((4, 3, 2), Permute((3, 1, 2)), ZeroPadding2D(1), Flatten(), Dense(2))
    assert row_batches.preparation(check(read(built)))
    check_scores(Keras2DML(spark, built, display=0).transform(frame), built, features)


@pytest.mark.parametrize("place", ["SPARK", "DRIVER"])
def test_where_systemds_is_told_to_run_it_scores_the_matrix(spark, built, features, frame, place):
    ours = Keras2DML(spark, built, display=0)
    script = row_batches.render(check(read(built)))
    assert executors.can_score(ours._systemds, script)
    assert not executors.can_score(ours.setExecutionType(place)._systemds, script)
    check_scores(ours.transform(frame), built, features)


def test_sizes_of_another_model_with_the_same_names_are_not_taken(spark):
    def sized(features: int, units: int) -> keras.Model:
        keras.utils.clear_session(free_memory=False)
        return model((features,), BatchNormalization(), Dense(units, "softmax"))

    rows = np.random.default_rng(1).normal(size=(9, 6))
    Keras2DML(spark, sized(6, 4), display=0).predict_proba(rows)
    for built, width in ((sized(3, 2), 3), (sized(5, 3), 5)):
        columns = [(n, x.tolist()) for n, x in enumerate(rows[:, :width])]
        frame = spark.createDataFrame(columns, ["id", "features"])
        check_scores(Keras2DML(spark, built, display=0).transform(frame), built, rows[:, :width])


def test_what_float32_does_not_hold_is_scored_as_a_matrix(spark, frame, features):
    built = model((4, 3, 2), Rescaling(0.0, offset=16777217.0), Flatten(), Dense(2))
    ours = Keras2DML(spark, built, display=0, precision="float32")
    check_scores(ours.transform(frame), built, features, 1e-5)


def test_partitions_may_be_empty_and_names_those_inside(spark, built, features, frame):
    named = frame.withColumns({"__features_0": F.lit(1), "__OUTPUT_0": F.lit(2)})
    scored = Keras2DML(spark, built, display=0).transform(named.where("id > 500").repartition(3))
    assert scored.columns == [*named.columns, "prediction", "probability"]
    check_scores(scored, built, features)
    assert Keras2DML(spark, built, display=0).transform(frame.limit(0)).count() == 0


def test_numbers_of_an_embedding_are_looked_up(spark):
    built = model((3,), Embedding(50, 4), Flatten(), Dense(2))
    numbers = np.random.default_rng(1).integers(0, 50, (40, 3))
    frame = spark.createDataFrame([(n, x.tolist()) for n, x in enumerate(numbers)], ["id", "ids"])
    ours = Keras2DML(spark, built, display=0).set_features_col("ids")
    check_scores(ours.transform(frame), built, numbers)


def test_large_inputs_are_scored_a_few_rows_at_a_time():
    small, large = (keras.Input(shape) for shape in ((28, 28, 1), (512, 512, 3)))
    sizes = [
        row_batches.batch_size(check(read(keras.Model(x, Flatten()(x))))) for x in (small, large)
    ]
    assert sizes == [250, 5]


def check_scores(scored, built, features, distance=1e-9):
    rows = scored.select("id", "probability").collect()
    scores = np.array([row.probability.toArray() for row in rows])
    near(scores, built.predict(features[[row.id for row in rows]], verbose=0), distance)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ("if(id = 3, null, numbers)", "1 rows without 24 features in 'plain'"),
        ("if(id % 100 = 7, array(1D), numbers)", "6 rows without 24 features in 'plain'"),
        ("transform(numbers, x -> if(id = 502, null, x))", "24 values that are NaN or infinite"),
        (
            "transform(numbers, x -> if(id < 2, double('inf'), x))",
            "48 values that are NaN or infinite",
        ),
    ],
)
def test_rows_that_are_no_features_are_counted(spark, built, frame, change, match):
    numbers = frame.select("id", F.flatten(F.flatten("tensor")).alias("numbers"))
    ours = Keras2DML(spark, built, display=0).set_features_col("plain")
    stored = set(spark.sparkContext._jsc.getPersistentRDDs())
    with pytest.raises(InvalidData, match=match):
        ours.transform(numbers.select("id", F.expr(change).alias("plain")))
    assert set(spark.sparkContext._jsc.getPersistentRDDs()) <= stored


def test_a_vector_that_is_missing_is_counted(spark, built, frame):
    missing = frame.withColumn("features", F.expr("if(id = 3, null, features)"))
    with pytest.raises(InvalidData, match="1 rows without 24 features in 'features'"):
        Keras2DML(spark, built, display=0).transform(missing)
