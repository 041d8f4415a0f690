"""DataFrames are scored where their rows are, as arrays are."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from keras.layers import Conv2D, Dense, Flatten, Permute, ZeroPadding2D
from oracle import examples, model, near
from pyspark.ml.linalg import Vectors
from pyspark.sql import functions as F

from keras2dml import InvalidData, Keras2DML
from keras2dml.check import check
from keras2dml.reader import read
from keras2dml.scripts import executors as scripts
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
    assert scripts.preparation(check(read(built)))
    ours = Keras2DML(spark, built, display=0)
    rows = ours.transform(frame).select("id", "probability").collect()
    scores = np.array([row.probability.toArray() for row in rows])
    near(scores, built.predict(features[[row.id for row in rows]], verbose=0), 1e-9)


def test_where_systemds_is_told_to_run_it_scores_the_matrix(spark, built, features, frame):
    ours = Keras2DML(spark, built, display=0).setExecutionType("SPARK")
    assert not executors.can_score(ours._systemds, ours._open_scorer().model.script)
    rows = ours.transform(frame).select("id", "probability").collect()
    scores = np.array([row.probability.toArray() for row in rows])
    near(scores, built.predict(features[[row.id for row in rows]], verbose=0), 1e-9)


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
    with pytest.raises(InvalidData, match=match):
        ours.transform(numbers.select("id", F.expr(change).alias("plain")))
