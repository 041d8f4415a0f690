"""What Spark has against a query, in one sentence."""

from __future__ import annotations

from digitstream.tables.sql import refusal


def test_a_query_that_is_nested_too_deeply_is_told_so() -> None:
    trace = (
        "An error occurred while calling o215.parsePlan.\n: java.lang.StackOverflowError\n\tat x"
    )
    assert refusal(RuntimeError(trace)) == (
        "Spark cannot answer that: it is nested too deeply. Use fewer levels."
    )
