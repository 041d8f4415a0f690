"""docs/settings.md: every setting. `python -m contract.settings.page` writes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from contract.settings.programs import (
    Archiving,
    Asking,
    History,
    Producing,
    Rescoring,
    Settings,
    Training,
)
from contract.settings.setting import Setting, settings_of

PROGRAMS: dict[str, type[Settings]] = {
    "All programs": Settings,
    "train": Training,
    "produce": Producing,
    "score": Rescoring,
    "tables, and whatever reads them": History,
    "archive": Archiving,
    "sql": Asking,
}

_HEAD = """# Settings

Each setting has one name. It is a flag (`--max-latency 500ms`), an environment variable
(`DIGITSTREAM_MAX_LATENCY=500ms`) and a line of `digitstream.toml` in the working directory
(`max-latency = "500ms"`). A flag goes before the variable, that before the file, and that before
the default. The file and the environment may hold settings of any program. Names and values that
are wrong are told before anything starts, all of them at once. Not every command has a flag for
every setting: `--help` lists those that it has.
"""


def page() -> Iterator[str]:
    """The page's lines."""
    yield from _HEAD.splitlines()
    above: dict[str, Setting] = {}
    for title, kind in PROGRAMS.items():
        settings = [each for each in settings_of(kind) if above.get(each.name) != each]
        yield from ("", f"## {title}", "")
        yield "| setting | what it does | value | default |"
        yield "|---|---|---|---|"
        yield from map(_row, settings)
        above |= {each.name: each for each in settings}


def _row(setting: Setting) -> str:
    default = setting.shown_default
    is_value = setting.default not in (None, "")
    cells = (
        f"`{setting.key}`",
        setting.help,
        setting.rule.must_be,
        f"`{default}`" if is_value else default,
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    sys.stdout.write("\n".join(page()) + "\n")
