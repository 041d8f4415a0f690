"""A cheap health check of queries, for probes that run every few seconds: no JVM, no Kafka.

`python -m digitstream.alive score-scoring` checks the heartbeat of the query `scoring` in
DIGITSTREAM_HOME. It exits with 1 and a sentence if that is missing or older than two minutes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from contract.home import heartbeat

LIMIT_SECONDS = 120.0
"""Longer than loading and trying a model takes."""


def main(names: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """What is wrong with the queries of these names; None if all are alive."""
    home = Path(environ.get("DIGITSTREAM_HOME", ".digitstream"))
    return " ".join(heartbeat.stale_messages(home, names, LIMIT_SECONDS)) or None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
