"""docs/keras-support.md is what the rules say."""

from __future__ import annotations

from pathlib import Path

from keras2dml.__main__ import main

PAGE = Path(__file__).parents[3] / "docs" / "keras-support.md"


def test_the_page_is_what_the_rules_say(capsys):
    """Written anew by `python -m keras2dml support > docs/keras-support.md`."""
    assert main(["support"]) == 0
    assert capsys.readouterr().out == PAGE.read_text(encoding="utf-8")
