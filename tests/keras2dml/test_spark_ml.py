"""Spark ML takes the estimator: pipelines, cross-validation, saved and loaded."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras.layers import Dense
from oracle import model, near
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.evaluation import MulticlassClassificationEvaluator, RegressionEvaluator
from pyspark.ml.feature import StandardScaler, VectorAssembler
from pyspark.ml.tuning import CrossValidator, CrossValidatorModel, ParamGridBuilder
from sklearn.datasets import load_iris

from keras2dml import Keras2DML, Keras2DMLClassifier, Keras2DMLModel, Keras2DMLRegressor

pytestmark = [pytest.mark.spark, pytest.mark.systemds]

PARTS = ["a", "b", "c", "d"]


@pytest.fixture
def iris(spark):
    features, labels = load_iris(return_X_y=True)
    rows = [
        (number, *map(float, x), int(y), float(x.sum()))
        for number, (x, y) in enumerate(zip(features, labels, strict=True))
    ]
    return spark.createDataFrame(rows, ["id", *PARTS, "label", "sum"]).coalesce(1)


def prepared(*stages):
    assembled = VectorAssembler(inputCols=PARTS, outputCol="raw")
    scaled = StandardScaler(inputCol="raw", outputCol="features", withMean=True)
    return Pipeline(stages=[assembled, scaled, *stages])


def classifying():
    built = model((4,), Dense(16, "tanh"), Dense(3, "softmax"))
    built.compile(keras.optimizers.Adam(0.05), loss="sparse_categorical_crossentropy")
    return built


def test_pipeline_learns_and_is_kept(spark, iris, tmp_path):
    classifier = Keras2DMLClassifier(classifying(), batchSize=20, epochs=8, predictionCol="said")
    fitted = prepared(classifier).fit(iris)
    made = fitted.transform(iris)
    evaluator = MulticlassClassificationEvaluator(metricName="accuracy", predictionCol="said")
    assert evaluator.evaluate(made) > 0.9
    assert len(fitted.stages[-1].history["loss"]) == 8
    rows = made.orderBy("id").toPandas()
    wanted = fitted.stages[-1].keras_model.predict(np.stack(rows["features"]), verbose=0)
    near(np.stack(rows["probability"]), wanted, 1e-9)
    np.testing.assert_array_equal(rows["said"], wanted.argmax(axis=1))
    fitted.save(str(tmp_path / "kept"))
    again = PipelineModel.load(str(tmp_path / "kept"))
    assert again.stages[-1].uid == fitted.stages[-1].uid
    other = again.transform(iris).orderBy("id").toPandas()
    np.testing.assert_array_equal(np.stack(other["probability"]), np.stack(rows["probability"]))
    np.testing.assert_array_equal(other["said"], rows["said"])
    np.testing.assert_array_equal(
        again.stages[-1].keras_model.get_weights()[0],
        fitted.stages[-1].keras_model.get_weights()[0],
    )


def test_frame_trains_as_keras2dml_does(spark, iris):
    built = classifying()
    ready = prepared().fit(iris).transform(iris)
    trained = Keras2DMLClassifier(built, batchSize=20, epochs=2, seed=3, weightDecay=0.01)
    ours = Keras2DML(spark, built, batch_size=20, weight_decay=0.01, seed=3, display=0)
    rows = ready.orderBy("id").toPandas()
    ours.fit(np.stack(rows["features"]), rows["label"], epochs=2)
    near(trained.fit(ready).keras_model.get_weights()[0], ours.to_keras().get_weights()[0], 1e-8)


@pytest.mark.long
def test_params_are_searched(iris, tmp_path):
    classifier = Keras2DMLClassifier(classifying(), batchSize=20, epochs=1)
    grid = ParamGridBuilder().addGrid(classifier.epochs, [1, 6]).build()
    search = CrossValidator(
        estimator=prepared(classifier),
        estimatorParamMaps=grid,
        evaluator=MulticlassClassificationEvaluator(metricName="accuracy"),
        numFolds=2,
        seed=1,
    ).fit(iris)
    few, many = search.avgMetrics
    assert many > few
    assert len(search.bestModel.stages[-1].history["loss"]) == 6
    search.save(str(tmp_path / "search"))
    assert CrossValidatorModel.load(str(tmp_path / "search")).avgMetrics == search.avgMetrics


def test_names_are_predicted(spark, iris):
    names = iris.selectExpr("*", "element_at(array('x', 'y', 'z'), int(label + 1)) as name")
    classifier = Keras2DMLClassifier(classifying(), batchSize=20, epochs=5, labelCol="name")
    made = prepared(classifier).fit(names).transform(names)
    assert made.where("name = prediction").count() > 130


def test_numbers_are_predicted(iris):
    built = model((4,), Dense(1))
    built.compile(keras.optimizers.Adam(0.2), loss="mse")
    regressor = Keras2DMLRegressor(built, batchSize=20, epochs=40, labelCol="sum", weightCol="a")
    fitted = prepared(regressor).fit(iris)
    evaluator = RegressionEvaluator(metricName="r2", labelCol="sum")
    assert evaluator.evaluate(fitted.transform(iris)) > 0.95


def test_estimator_is_kept(tmp_path):
    classifier = Keras2DMLClassifier(classifying(), epochs=3, labelCol="kind", trainAlgo="batch")
    classifier.save(str(tmp_path / "kept"))
    again = Keras2DMLClassifier.load(str(tmp_path / "kept"))
    assert again.extractParamMap() == classifier.extractParamMap()
    np.testing.assert_array_equal(
        again.keras_model.get_weights()[0], classifier.keras_model.get_weights()[0]
    )
    assert again.keras_model.compiled
    with pytest.raises(AttributeError, match="size"):
        classifier.setParams(size=3)


def test_model_is_loaded_by_its_class(iris, tmp_path):
    fitted = prepared(Keras2DMLClassifier(classifying(), batchSize=50)).fit(iris).stages[-1]
    fitted.save(str(tmp_path / "kept"))
    assert Keras2DMLModel.load(str(tmp_path / "kept")).classes.tolist() == [0, 1, 2]
