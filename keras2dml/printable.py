"""Makes untrusted names safe to show in a terminal, a page or a comment."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with unprintable characters escaped, including line breaks."""
    return "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]
