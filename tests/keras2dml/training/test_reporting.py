"""What a user sees while a model trains."""

from __future__ import annotations

import io

from rich.console import Console

from keras2dml.training.reporting import Display


def test_an_epoch_is_one_line_of_a_log_however_long():
    log = io.StringIO()
    logs = {f"val_measure_{number}": 0.25 for number in range(12)}
    Display(1, 0, Console(file=log, width=80)).show_epoch(1, 3, logs)
    (line,) = log.getvalue().splitlines()
    assert line.startswith("Epoch 1/3 - val_measure_0: 0.2500 - ") and line.endswith("0.2500")
