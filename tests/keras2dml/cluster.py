"""A program of its own: trains on more rows than its driver could hold, scores them, and tells what
came of it.

`python cluster.py FOLDER` writes `weights.npz`, `scores.npz` and `plan.txt` there, and prints
statistics.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
from pyspark.ml.functions import array_to_vector
from pyspark.sql import functions as F

from keras2dml import Keras2DML, spark_session

# 400 MB of doubles; the driver has 480 MB, of which SystemDS plans with 70 %.
ROWS, FEATURES = 250_000, 200
SCORED = 100
"""Of so many rows the scores are written."""


def model() -> keras.Model:
    """A model whose weights are the same in every process."""
    keras.config.set_floatx("float64")
    built = keras.Sequential([keras.Input((FEATURES,)), keras.layers.Dense(3, "softmax")])
    kernel = np.sin(np.arange(FEATURES * 3.0)).reshape(FEATURES, 3) / 10
    built.set_weights([kernel, np.zeros(3)])
    built.compile(keras.optimizers.SGD(0.5), loss="sparse_categorical_crossentropy")
    return built


def main(folder: Path) -> None:
    spark = spark_session(
        "cluster", "local-cluster[1,1,2048]", conf={"spark.driver.memory": "480m"}
    )
    cells = F.transform(
        F.sequence(F.lit(0), F.lit(FEATURES - 1)), lambda j: (F.col("id") * 7 + j * 13) % 11
    )
    frame = spark.range(ROWS).select(
        array_to_vector(F.transform(cells, lambda cell: cell / 11.0)).alias("features"),
        (F.col("id") % 3).alias("label"),
    )
    ours = Keras2DML(spark, model(), batch_size=ROWS, max_iter=2, display=0).setStatistics(True)
    (folder / "plan.txt").write_text(ours.explain(ROWS, training=True), encoding="utf-8")
    ours.fit(frame)
    np.savez(folder / "weights.npz", *ours.to_keras().get_weights())
    scored = ours.setStatistics(False).transform(frame)
    rows = scored.select("probability").limit(SCORED).collect()
    scores = np.array([row.probability.toArray() for row in rows])
    np.savez(folder / "scores.npz", scores, scored.count())
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
