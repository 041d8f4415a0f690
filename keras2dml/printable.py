"""Names from elsewhere, as a terminal, a page or a comment may show them."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with what is no printable character escaped, line breaks among it."""
    return "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]
