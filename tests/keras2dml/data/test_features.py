"""X as users bring it: arrays, lists, tables and sparse matrices as numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from keras2dml import InvalidData
from keras2dml.data.features import numbers


@pytest.mark.parametrize(
    ("data", "match"),
    [
        ([["a"]], "X is not an array of numbers"),
        (
            pd.DataFrame({"a": pd.array([1, None], "Int64"), "b": ["1", "2"]}),
            r"X has 1 values that are missing \(NA\): clean or drop them",
        ),
        (pd.Series([1, pd.NA, pd.NA], dtype=object), r"X has 2 values that are missing \(NA\)"),
        (pd.DataFrame({"a": [object()]}), "X is not an array of numbers"),
        (np.array([["1", "2"]]), r"X is not an array of numbers \(it has strings\): give numpy"),
        (np.array([[1, "2"]], dtype=object), r"\(it has strings\)"),
        (np.array(["2026-01-01"], "M8[D]"), r"\(it has dates or times\)"),
        (None, "X is None: give an array with a row for each example"),
        (7, "X is a single number: give an array"),
    ],
)
def test_what_is_no_number_is_refused(data, match):
    with pytest.raises(InvalidData, match=match):
        numbers(data, "X")


def test_nullable_columns_without_missing_values_are_numbers():
    table = pd.DataFrame({"a": [1, 2], "b": [True, False]}).astype({"a": "Int64", "b": "boolean"})
    np.testing.assert_array_equal(numbers(table, "X"), [[1, 1], [2, 0]])
