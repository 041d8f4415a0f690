"""A checkpoint with something that Spark would wait for is refused before Spark sees it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from contract.home.checkpoint import lock_of
from streaming.spark.locks import CheckpointUnusable, LockUnusable, check_regular, claim, hold_lock


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
            claim(None, place, time.sleep),  # type: ignore[arg-type]
        ):
            pytest.fail("Spark would wait")


def test_a_checkpoint_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").touch()
    with (
        pytest.raises(CheckpointUnusable, match=r"cannot be written: Not a directory.* --home\."),
        claim(None, tmp_path / "checkpoints" / "scoring", time.sleep),  # type: ignore[arg-type]
    ):
        pytest.fail("nothing can be noted there")


def test_each_query_has_its_own_lock() -> None:
    names = ("scoring", "digits.v1", "digits.v2")
    assert [lock_of(Path(name)).name for name in names] == [f"{name}.lock" for name in names]


@pytest.mark.spark
def test_a_lock_that_cannot_be_opened_is_one_sentence(spark: SparkSession, tmp_path: Path) -> None:
    with (
        pytest.raises(LockUnusable, match=r"cannot be opened: .*Is a directory.* another place\."),
        hold_lock(spark, tmp_path, time.sleep),
    ):
        pytest.fail("nobody holds it")
