"""A setting in one line: from it come its field, its flag, its variable and its line in a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any

from contract.settings.rules import Rule

PREFIX = "DIGITSTREAM_"
_KEY = "setting"


@dataclass(frozen=True)
class Setting:
    """A setting as its field declares it, and as each source of settings spells it."""

    name: str
    default: Any
    rule: Rule
    help: str
    unset: str
    """What holds where the default is nothing, in words."""

    @property
    def flag(self) -> str:
        """On the command line."""
        return f"--{self.key}"

    @property
    def variable(self) -> str:
        """In the environment."""
        return PREFIX + self.name.upper()

    @property
    def key(self) -> str:
        """In digitstream.toml."""
        return self.name.replace("_", "-")

    @property
    def shown_default(self) -> str:
        """The default as a text that the rule reads, or in words."""
        return self.unset if self.default in (None, "") else self.rule.write(self.default)


def setting(default: Any, rule: Rule, help: str, *, unset: str = "none") -> Any:
    """The field of a setting: its default, the rule of its values, and what it does, in a sentence
    with its unit. `unset` tells what holds if the default is None or an empty text.
    """
    return field(default=default, metadata={_KEY: (rule, help, unset)})


def settings_of(kind: type) -> Iterator[Setting]:
    """The settings that a class of them declares or inherits."""
    for declared in fields(kind):
        if _KEY in declared.metadata:
            yield Setting(declared.name, _default(declared), *declared.metadata[_KEY])


def _default(declared: Field[Any]) -> Any:
    assert declared.default is not MISSING  # noqa: S101
    return declared.default
