"""Finds the records for which a function raises, by bisection."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

Result = TypeVar("Result")


class Span(NamedTuple):
    """A range of records by number: the first, and one past the last."""

    begin: int
    end: int


def bisected(
    count: int,
    attempt: Callable[[Span], Result],
    fatal: type[Exception] | tuple[type[Exception], ...] = (),
) -> tuple[list[Result], dict[int, Exception]]:
    """The results of `attempt` for `count` records, span by span in their order, and the errors for
    single records, by number.

    `attempt` has already raised for all records; a span for which it raises is tried again in two
    halves. Errors of the types in `fatal` are raised at once.
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
    """The second half and the first half, without empty ones."""
    middle = (span.begin + span.end) // 2
    both = Span(middle, span.end), Span(span.begin, middle)
    return [half for half in both if half.begin < half.end]
