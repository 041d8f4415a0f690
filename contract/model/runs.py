"""What a run of MLflow keeps of a training."""

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
"""How the names of a bundle's own metrics begin."""

METRICS_A_CALL = 1000
"""As many metrics as MLflow takes at once."""


def check_listing(client: Any, run: str) -> None:
    """Raise RegistryUnavailable if a server has more for a run's bundle than a bundle may hold."""
    count, pending = 0, [BUNDLE]
    while pending:
        for entry in client.list_artifacts(run, pending.pop()):
            count += 1
            if count > FILES or (entry.file_size or 0) > FILE_BYTES:
                message = (
                    f"The registry's bundle of run {run} is not fetched: it is larger than a "
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
    """Keep the bundle, its plots, the parameters and the metrics: those of the training step by
    step, and the bundle's own, on images held out, once, as `test_NAME` at the last step.
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
    """Whether this is the id of a run, as MLflow makes them; it becomes the name of a folder."""
    return isinstance(run, str) and _ID.fullmatch(run) is not None
