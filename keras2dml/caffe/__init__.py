"""Caffe's solvers and networks, read as Keras models and compiled as these are."""

from __future__ import annotations

from keras2dml.caffe.estimator import Caffe2DML

__all__ = ["Caffe2DML"]
