"""A checkpoint with something that Spark would wait for is refused before Spark sees it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from streaming.checkpoint import CheckpointUnusable, check_regular, claimed


def test_a_pipe_in_a_checkpoint_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "scoring"
    (folder / "offsets").mkdir(parents=True)
    (folder / "offsets" / "0").write_text("v1")
    linked = tmp_path / "linked"
    linked.symlink_to(folder)  # as whoever keeps checkpoints on another disk does
    check_regular(linked)
    os.mkfifo(folder / "metadata")
    (folder / "offsets" / "1").symlink_to("/etc/passwd")
    for place in (folder, linked):
        with (
            pytest.raises(CheckpointUnusable, match=r"metadata is a named pipe.*1 is a symbolic"),
            claimed(None, place, time.sleep),  # type: ignore[arg-type]
        ):
            pytest.fail("Spark would wait")
