"""Counts with their nouns."""

from __future__ import annotations


def quantity(count: int, noun: str, plural: str = "", form: str = "") -> str:
    """`1 dead letter`, `2 dead letters`, `0 dead letters`; `form` is the number's format spec.

    The plural defaults to the noun with an s.
    """
    return f"{count:{form}} {noun if count == 1 else plural or f'{noun}s'}"
