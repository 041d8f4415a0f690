"""docs/keras-support.md is what the rules say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "keras-support.md"


def test_the_page_is_what_the_rules_say():
    """Written by `python -m keras2dml support > docs/keras-support.md`; in a Python of its own, in
    which only that has been imported.
    """
    command = [sys.executable, "-m", "keras2dml", "support"]
    page = subprocess.run(command, capture_output=True, check=True, encoding="utf-8").stdout
    assert page == PAGE.read_text(encoding="utf-8")
