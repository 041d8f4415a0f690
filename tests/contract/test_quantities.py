"""Counts agree with their nouns."""

from __future__ import annotations

import pytest

from contract.quantities import quantity


@pytest.mark.parametrize(
    ("count", "nouns", "text"),
    [
        (0, ("dead letter",), "0 dead letters"),
        (1, ("dead letter",), "1 dead letter"),
        (2, ("dead letter",), "2 dead letters"),
        (1, ("reading was", "readings were"), "1 reading was"),
        (2, ("micro-batch", "micro-batches"), "2 micro-batches"),
        (1234, ("row", "", ","), "1,234 rows"),
    ],
)
def test_a_noun_agrees_with_its_count(count: int, nouns: tuple[str, ...], text: str) -> None:
    assert quantity(count, *nouns) == text
