"""Caffe solvers and networks, converted to Keras models and compiled like any Keras model."""

from __future__ import annotations

from keras2dml.caffe.estimator import Caffe2DML

__all__ = ["Caffe2DML"]
