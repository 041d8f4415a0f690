"""What an estimator says of a path that it cannot write to."""

from __future__ import annotations

import pytest
from keras.layers import Dense
from oracle import model

from keras2dml import InvalidData

pytestmark = [pytest.mark.spark, pytest.mark.systemds]


@pytest.mark.parametrize("export", ["save", "save_compiled", "to_onnx"])
def test_a_path_that_cannot_be_written_is_reported(run, tmp_path, export):
    (tmp_path / "text").write_text("")
    path = tmp_path / "text" / "under"
    sentence = rf"{path} cannot be written \(.+\): give a path that can be written\."
    with pytest.raises(InvalidData, match=sentence):
        getattr(run(model((3,), Dense(2))), export)(path)
