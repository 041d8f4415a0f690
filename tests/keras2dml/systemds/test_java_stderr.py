"""What a JVM writes to stderr is passed on, but for what it says at every start."""

from __future__ import annotations

import subprocess
import threading

import pytest

from keras2dml.systemds.java_stderr import NOTE, launch


@pytest.mark.parametrize(
    ("printed", "passed"),
    [
        (f"{NOTE.decode()}\\n", ""),
        (f"{NOTE.decode()}\\nWARNING: another\\nKilled", "WARNING: another\nKilled"),
        (f"first\\n{NOTE.decode()}, more\\n", f"first\n{NOTE.decode()}, more\n"),
    ],
)
def test_only_the_note_on_the_vector_module_is_removed(
    capfd: pytest.CaptureFixture[str], printed: str, passed: str
) -> None:
    before = {*threading.enumerate()}
    process = launch(subprocess.Popen, ["sh", "-c", f"printf '{printed}' >&2"])
    assert process.wait() == 0
    for thread in {*threading.enumerate()} - before:
        thread.join()
    assert capfd.readouterr().err == passed


def test_a_process_that_does_not_start_leaves_nothing_open() -> None:
    before = threading.active_count()
    with pytest.raises(FileNotFoundError):
        launch(subprocess.Popen, ["/no/such/program"])
    assert threading.active_count() == before
