"""Writes a training to a run of MLflow."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from contract.errors import RegistryUnavailable
from contract.model.bundle import FILE_BYTES, FILES, Bundle

BUNDLE = "bundle"
PLOTS = "plots"
"""The folders of a run's artifacts."""

_ID = re.compile(r"[0-9a-f]{32}")

TEST = "test_"
"""Prefix of the names of a bundle's own metrics."""

METRICS_A_CALL = 1000
"""Maximum number of metrics that MLflow accepts in a call."""


def check_listing(client: Any, run: str) -> None:
    """Raise RegistryUnavailable if a server lists more for a run's bundle than a bundle may
    have.
    """
    count, pending = 0, [BUNDLE]
    while pending:
        for entry in client.list_artifacts(run, pending.pop()):
            count += 1
            if count > FILES or (entry.file_size or 0) > FILE_BYTES:
                message = (
                    f"The registry's bundle of run {run} was not fetched: it is larger than a "
                    f"bundle may be, {FILES:,} files of {FILE_BYTES:,} bytes. Train again, or "
                    f"choose another version with `digitstream models promote VERSION`."
                )
                raise RegistryUnavailable(message)
            if entry.is_dir:
                pending.append(entry.path)


def log(
    client: Any,
    run: str,
    bundle: Bundle,
    parameters: Mapping[str, object],
    history: Sequence[Mapping[str, float]],
) -> None:
    """Log the bundle, its plots, the parameters and the metrics: those of the training at each
    step, and the bundle's own, on test images, as `test_NAME` at the last step.
    """
    from mlflow.entities import Metric, Param  # noqa: PLC0415  (see Registry._client)

    now = int(time.time() * 1000)
    metrics = [
        Metric(name, float(value), now, step)
        for step, row in enumerate(history)
        for name, value in row.items()
    ]
    last = max(len(history) - 1, 0)
    metrics += [
        Metric(f"{TEST}{name}", float(value), now, last)
        for name, value in bundle.manifest.metrics.items()
    ]
    settings = [Param(name, str(value)) for name, value in parameters.items()]
    client.log_batch(run, params=settings)
    for start in range(0, len(metrics), METRICS_A_CALL):
        client.log_batch(run, metrics=metrics[start : start + METRICS_A_CALL])
    client.log_artifacts(run, str(bundle.folder), BUNDLE)
    for plot in bundle.plots:
        client.log_artifact(run, str(plot), PLOTS)


def is_named(run: object) -> bool:
    """Whether this is a run id as MLflow makes them; it is used as the name of a folder."""
    return isinstance(run, str) and _ID.fullmatch(run) is not None
