"""Finds the records for which something raises, among those for which it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

Result = TypeVar("Result")


class Span(NamedTuple):
    """Records by their numbers: the first, and the one after the last."""

    begin: int
    end: int


def bisected(
    count: int,
    attempt: Callable[[Span], Result],
    fatal: type[Exception] | tuple[type[Exception], ...] = (),
) -> tuple[list[Result], dict[int, Exception]]:
    """What the attempt makes of `count` records, span by span in their order, and what it raises
    for single ones, by their numbers.

    For all of them it has raised already; it is asked for halves of what it raises for. What is
    `fatal` ends that at once.
    """
    results: list[Result] = []
    faults: dict[int, Exception] = {}
    pending = _halves(Span(0, count))
    while pending:
        span = pending.pop()
        try:
            results.append(attempt(span))
        except fatal:
            raise
        except Exception as fault:
            if span.end - span.begin == 1:
                faults[span.begin] = fault
            else:
                pending += _halves(span)
    return results, faults


def _halves(span: Span) -> list[Span]:
    """What is not empty of the second half, and of the first."""
    middle = (span.begin + span.end) // 2
    both = Span(middle, span.end), Span(span.begin, middle)
    return [half for half in both if half.begin < half.end]
