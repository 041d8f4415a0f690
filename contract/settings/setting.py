"""Settings as dataclass fields that carry their rule and help text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, TypeVar, dataclass_transform

from contract.settings.rules import Rule

T = TypeVar("T")
PREFIX = "DIGITSTREAM_"
_KEY = "setting"


@dataclass(frozen=True)
class Setting:
    """A setting as its field declares it, with its name in each source of settings."""

    name: str
    default: Any
    rule: Rule
    help: str
    unset: str
    """Describes the default where that is None or an empty text."""

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return f"--{self.key}"

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return PREFIX + self.name.upper()

    @property
    def key(self) -> str:
        """Its name in digitstream.toml."""
        return self.name.replace("_", "-")

    @property
    def default_text(self) -> str:
        """The default as text: a value that the rule reads, or a description."""
        return self.unset if self.default in (None, "") else self.rule.write(self.default)


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(field,))
def settings_class(kind: type[T]) -> type[T]:
    """Make a frozen dataclass of settings. It has no equality or text, which nobody needs and each
    start of a command would pay for, and a text could show secrets.
    """
    return dataclass(frozen=True, eq=False, repr=False, match_args=False)(kind)


def setting(default: Any, rule: Rule, help: str, *, unset: str = "none") -> Any:
    """A dataclass field for a setting. `help` says in one sentence what it does, with its unit;
    `unset` describes the default if that is None or an empty text.
    """
    return field(default=default, metadata={_KEY: (rule, help, unset)})


def settings_of(kind: type) -> Iterator[Setting]:
    """The settings that a settings class declares or inherits."""
    for declared in fields(kind):
        if _KEY in declared.metadata:
            yield Setting(declared.name, _default(declared), *declared.metadata[_KEY])


def _default(declared: Field[Any]) -> Any:
    assert declared.default is not MISSING  # noqa: S101
    return declared.default
