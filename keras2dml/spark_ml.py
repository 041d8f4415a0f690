"""A Keras model as Spark ML estimator and transformer, for a Pipeline or a CrossValidator."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
from pyspark.ml import Estimator, Model
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.param.shared import (
    HasFeaturesCol,
    HasLabelCol,
    HasPredictionCol,
    HasProbabilityCol,
    HasSeed,
    HasWeightCol,
)
from pyspark.ml.util import (
    DefaultParamsReader,
    DefaultParamsWriter,
    MLReadable,
    MLReader,
    MLWritable,
    MLWriter,
)
from pyspark.sql import DataFrame, SparkSession

from keras2dml.compilation import fresh
from keras2dml.data.frames import Columns
from keras2dml.estimators.keras2dml import Keras2DML
from keras2dml.estimators.scorer import CompiledModel, Scorer

_KERAS, _DML = "model.keras", "dml"


class _Columns(HasFeaturesCol, HasLabelCol, HasPredictionCol, HasProbabilityCol, HasWeightCol):
    """The names of the columns, as in Spark ML's classifiers."""

    @property
    def _columns(self) -> Columns:
        return Columns(
            self.getFeaturesCol(),
            self.getLabelCol(),
            self.getWeightCol() if self.isDefined(self.weightCol) else None,
            self.getPredictionCol(),
            self.getProbabilityCol(),
        )


class _Keras2DMLEstimator(
    Estimator["Keras2DMLModel"], _Columns, HasSeed, MLReadable[Any], MLWritable
):
    """The common base of classifier and regressor."""

    batchSize: Param[int] = Param(
        Params._dummy(), "batchSize", "rows of a step", TypeConverters.toInt
    )
    epochs: Param[int] = Param(
        Params._dummy(), "epochs", "passes over all rows", TypeConverters.toInt
    )
    weightDecay: Param[float] = Param(
        Params._dummy(), "weightDecay", "factor of L2 on all kernels", TypeConverters.toFloat
    )
    trainAlgo: Param[str] = Param(
        Params._dummy(), "trainAlgo", "SystemML's train_algo", TypeConverters.toString
    )

    inputShape: Param[Any] = Param(
        Params._dummy(), "inputShape", "sizes of an open input", TypeConverters.toListInt
    )

    def __init__(self, keras_model: keras.Model, **params: Any) -> None:
        """`keras_model` is compiled as for Keras2DML; `params` are Spark ML's: featuresCol,
        labelCol, weightCol, predictionCol, probabilityCol, seed, and batchSize, epochs,
        weightDecay, trainAlgo, inputShape.
        """
        super().__init__()
        self.keras_model = keras_model
        self._setDefault(batchSize=64, epochs=1, weightDecay=0.0, trainAlgo="minibatch", seed=42)
        self.setParams(**params)

    def setParams(self, **params: Any) -> Self:
        """Set params by name; raises AttributeError for an unknown one."""
        return self._set(**params)

    def _fit(self, dataset: DataFrame) -> Keras2DMLModel:
        columns = self._columns
        estimator = Keras2DML(
            dataset.sparkSession,
            self.keras_model,
            tuple(self.getOrDefault(self.inputShape)) if self.isDefined(self.inputShape) else None,
            batch_size=self.getOrDefault(self.batchSize),
            weight_decay=self.getOrDefault(self.weightDecay),
            seed=self.getSeed(),
            display=0,
        )
        estimator.set(train_algo=self.getOrDefault(self.trainAlgo))
        estimator.set_features_col(columns.features).set_label_col(columns.label)
        estimator.fit(dataset, epochs=self.getOrDefault(self.epochs), sample_weight=columns.weight)
        classes = estimator._classes[0] if estimator.classifies else None
        model = Keras2DMLModel(estimator.compiled(), estimator.to_keras(), classes)
        model.history = estimator.history
        return self._copyValues(model)

    def write(self) -> MLWriter:
        """A writer for the Keras model and the params."""
        return _Writer(self, {})

    @classmethod
    def read(cls) -> MLReader[Any]:
        """What loads it."""
        return _EstimatorReader(cls)


class Keras2DMLClassifier(_Keras2DMLEstimator):
    """Trains a Keras classifier on a DataFrame; labels are numbers from 0, or names."""


class Keras2DMLRegressor(_Keras2DMLEstimator):
    """Trains a Keras model with a single number as its output on a DataFrame."""


class Keras2DMLModel(Model, _Columns, MLReadable[Any], MLWritable):
    """A trained model: `transform` adds a column with the class or the number, and one with the
    model's output vector. `history` is that of Keras.
    """

    def __init__(
        self,
        compiled: CompiledModel,
        keras_model: keras.Model,
        classes: np.ndarray | None = None,
    ) -> None:
        """`classes` are a classifier's labels."""
        super().__init__()
        self.compiled, self.keras_model, self.classes = compiled, keras_model, classes
        self.history: Mapping[str, list[Any]] = {}

    def _transform(self, dataset: DataFrame) -> DataFrame:
        scorer = Scorer(dataset.sparkSession, self.compiled)
        try:
            return scorer.frame(dataset, self._columns, self.classes)
        finally:
            scorer.close()

    def write(self) -> MLWriter:
        """A writer for the compiled model, the Keras model, the classes and the params."""
        about = {"classes": None if self.classes is None else self.classes.tolist()}
        return _Writer(self, about)

    @classmethod
    def read(cls) -> MLReader[Any]:
        """What loads it."""
        return _ModelReader(cls)


class _Writer(MLWriter):
    """Writes params and metadata like Spark ML, and the model's files beside them."""

    def __init__(self, instance: Any, about: dict[str, Any]) -> None:
        super().__init__()
        self.instance, self.about = instance, about

    def saveImpl(self, path: str) -> None:
        spark = SparkSession.active()
        DefaultParamsWriter.saveMetadata(self.instance, path, spark.sparkContext, self.about)
        with tempfile.TemporaryDirectory(prefix="keras2dml-") as folder:
            _ready(self.instance.keras_model).save(Path(folder, _KERAS))
            if isinstance(self.instance, Keras2DMLModel):
                self.instance.compiled.save(Path(folder, _DML))
            _copy_folder(spark, folder, f"{path}/model", outward=True)


class _EstimatorReader(MLReader[Any]):
    def __init__(self, kind: type) -> None:
        super().__init__()
        self.kind = kind

    def load(self, path: str) -> Any:
        spark = SparkSession.active()
        metadata = DefaultParamsReader.loadMetadata(path, spark.sparkContext)
        with tempfile.TemporaryDirectory(prefix="keras2dml-") as folder:
            _copy_folder(spark, f"{path}/model", folder, outward=False)
            instance = self.load_instance(Path(folder, "model"), metadata)
        instance._resetUid(metadata["uid"])
        DefaultParamsReader.getAndSetParams(instance, metadata)
        return instance

    def load_instance(self, folder: Path, metadata: Mapping[str, Any]) -> Any:
        """The instance, without its params."""
        return self.kind(keras.models.load_model(folder / _KERAS))


class _ModelReader(_EstimatorReader):
    def load_instance(self, folder: Path, metadata: Mapping[str, Any]) -> Any:
        """The instance, without its params."""
        classes = metadata["classes"]
        return self.kind(
            CompiledModel.load(folder / _DML),
            keras.models.load_model(folder / _KERAS),
            None if classes is None else np.array(classes),
        )


def _ready(model: keras.Model) -> keras.Model:
    """The model, or a copy of it with a built optimizer: Keras loads no optimizer that is not
    built, and warns.
    """
    if not model.compiled or model.optimizer.built:
        return model
    copy = fresh(model)
    copy.set_weights(model.get_weights())
    copy.optimizer.build(copy.trainable_variables)
    return copy


def _copy_folder(spark: SparkSession, source: str, target: str, *, outward: bool) -> None:
    """Copy a folder between this machine and a Hadoop path."""
    jvm: Any = spark._jvm
    paths = jvm.org.apache.hadoop.fs.Path(source), jvm.org.apache.hadoop.fs.Path(target)
    there = paths[1] if outward else paths[0]
    system = there.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())
    (system.copyFromLocalFile if outward else system.copyToLocalFile)(*paths)
