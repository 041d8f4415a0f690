"""Generates docs/settings.md: `python -m contract.settings.page > docs/settings.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from contract.settings.programs import (
    Archiving,
    History,
    Producing,
    Querying,
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
    "tables": History,
    "archive": Archiving,
    "sql": Querying,
}

_HEAD = """# Settings

Each setting has one name, which works as a flag (`--max-latency 500ms`), as an environment variable
(`DIGITSTREAM_MAX_LATENCY=500ms`) and as a line of `digitstream.toml` in the working directory
(`max-latency = "500ms"`). A flag overrides the variable, the variable overrides the file, and the
file overrides the default. The file and the environment may contain settings of any program.
Unknown names and invalid values are reported before anything starts, all at once. A command has
flags only for the settings that it uses; `--help` lists them. HOME is the value of `home`, PREFIX
that of `prefix`.
"""


def page() -> Iterator[str]:
    """The lines of the page."""
    yield from _HEAD.splitlines()
    above: dict[str, Setting] = {}
    for title, kind in PROGRAMS.items():
        settings = [setting for setting in settings_of(kind) if above.get(setting.name) != setting]
        yield from ("", f"## {title}", "")
        yield "| setting | what it does | value | default |"
        yield "|---|---|---|---|"
        yield from map(_row, settings)
        above |= {setting.name: setting for setting in settings}


def _row(setting: Setting) -> str:
    default = setting.default_text
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
