from __future__ import annotations

from collections.abc import Callable
from threading import Event

import pytest

from digitstream.machine import needs
from streaming.archive import archiving
from streaming.archive.tables import TABLES
from tests.digitstream.conftest import Run


@pytest.mark.parametrize("is_stopped", [True, False])
def test_an_archive_that_is_stopped_before_its_end_says_so(
    run: Run, monkeypatch: pytest.MonkeyPatch, is_stopped: bool
) -> None:
    def archived(
        *_: object, stop: Event, progress: Callable[[int], object], **__: object
    ) -> archiving.Summary:
        progress(1234)
        if is_stopped:
            stop.set()  # as a signal does
        return archiving.Summary(**{table.name: 1 for table in TABLES})

    monkeypatch.setattr(archiving, "run", archived)
    monkeypatch.setattr(needs, "fetch_delta", list)
    code, report, said = run("archive", "--available-now", "--bootstrap-servers", "127.0.0.1:8")
    assert "1,234 rows so far" in said and report.startswith("Rows added to the tables: 1 to ")
    assert (code, "Run it again for the rest" in said) == ((1, True) if is_stopped else (0, False))
