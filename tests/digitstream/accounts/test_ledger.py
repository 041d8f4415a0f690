"""The counting by itself: any answers, in any order, against a count by hand."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from digitstream.accounts.ledger import Kind, Ledger, runs

READINGS, REPLAYS = {0: (0, 6), 1: (10, 14)}, {0: (0, 5)}
PLACES = st.tuples(st.sampled_from([0, 1, 2]), st.integers(0, 15))
KINDS = st.sampled_from(["score", "dead letter"])


def columns(rows: list[tuple[int, ...]], width: int) -> np.ndarray:
    return np.array(rows, np.int64).reshape(-1, width)


def inside(place: tuple[int, int], spans: dict[int, tuple[int, int]]) -> bool:
    begin, end = spans.get(place[0], (0, 0))
    return begin <= place[1] < end


@given(
    st.lists(st.tuples(KINDS, PLACES), max_size=30),
    st.lists(st.tuples(KINDS, st.integers(0, 6)), max_size=12),
    st.lists(PLACES, min_size=7, max_size=7),
)
def test_any_answers_are_counted_as_by_hand(
    plain: list[tuple[Kind, tuple[int, int]]],
    again: list[tuple[Kind, int]],
    firsts: list[tuple[int, int]],
) -> None:
    ledger = Ledger(READINGS, REPLAYS)
    for kind, place in plain:
        ledger.note_answers(kind, columns([place], 2))
    for kind, offset in again:
        ledger.note_replay_answers(kind, columns([(0, offset, *firsts[offset])], 4))
    found = {
        part: ledger.readings.account(
            part, np.empty(0, np.int64), None, ledger.duplicate_ids().get(part, 0)
        )
        for part in READINGS
    }
    for part, (begin, end) in READINGS.items():
        own = [place for _, place in plain if place[0] == part and inside(place, READINGS)]
        answers = Counter(offset for _, offset in own)
        scored = {place[1] for kind, place in plain if kind == "score" and place[0] == part}
        scored &= set(range(begin, end))
        dead = set(answers) - scored
        sent = {firsts[at][1] for _, at in again if firsts[at][0] == part} & set(range(begin, end))
        saved = {firsts[at][1] for kind, at in again if kind == "score" and firsts[at][0] == part}
        ids: dict[int, set[object]] = defaultdict(set)
        for kind, at in again:
            if kind == "score" and firsts[at][0] == part and at < 5:
                ids[firsts[at][1]].add(at)
        each = found[part]
        assert each.produced == end - begin
        assert (each.scored, each.dead_lettered) == (len(scored), len(dead))
        assert each.duplicates == sum(answers.values()) - len(answers)
        last = max(answers, default=begin - 1)
        gaps = [at for at in range(begin, last) if at not in answers]
        assert (each.missing, each.in_flight) == (len(gaps), end - 1 - last)
        assert [at for low, high in each.gaps for at in range(low, high + 1)] == gaps
        assert (each.replayed, each.recovered) == (len(sent), len(saved & dead))
        repeated = sum(len(ids[at]) - 1 + (at in scored) for at in ids if ids[at])
        assert each.duplicate_ids == repeated


@given(st.sets(st.integers(0, 60)))
def test_runs_cover_what_they_are_made_of(offsets: set[int]) -> None:
    found = runs(np.array(sorted(offsets), np.int64))
    assert sorted(at for first, last in found for at in range(first, last + 1)) == sorted(offsets)
    assert all(second[0] > first[1] + 1 for first, second in pairwise(found))
