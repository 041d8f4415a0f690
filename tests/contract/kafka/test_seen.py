"""Ids are new once, in bounded memory, and never old by mistake."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contract.kafka import seen as module
from contract.kafka.seen import Seen

PAGE = 1 << 13
OFFSETS = st.integers(0, 9) | st.integers(0, 9 * PAGE) | st.integers(0, 9).map(PAGE.__mul__)
PLACES = st.tuples(st.sampled_from(["a/0", "a/1", "b/0"]), OFFSETS)


def id_of(place: tuple[str, int]) -> bytes:
    return "/".join(map(str, place)).encode()


class Model:
    """The same by its definition, with a set for each page and no order but that of use."""

    def __init__(self, most: int, most_pages: int) -> None:
        self.most, self.most_pages = most, most_pages
        self.pages: dict[tuple[str, int], set[int]] = {}
        self.used: dict[tuple[str, int], tuple[int, int]] = {}
        self.new = self.calls = 0

    def add(self, place: tuple[str, int]) -> bool:
        partition, offset = place
        page = (partition, offset // PAGE)
        ids = self.pages.setdefault(page, set())
        is_new = offset not in ids
        ids.add(offset)
        self.new += is_new
        self.calls += 1
        self.used[page] = (self.new, self.calls)
        for each in list(self.pages):
            last = max((n for n in self.pages if n[0] == each[0]), key=lambda n: self.used[n][1])
            if each != last and self.new - self.used[each][0] >= self.most:
                del self.pages[each]
        while len(self.pages) > self.most_pages:
            del self.pages[min(self.pages, key=lambda page: self.used[page][1])]
        return is_new


@example([("a/0", 0), ("a/1", 0), ("a/1", PAGE)], 1, 2)
@given(st.lists(PLACES, max_size=80), st.integers(1, 40), st.integers(1, 20))
def test_it_remembers_what_a_simple_model_does(
    places: list[tuple[str, int]], most: int, most_pages: int
) -> None:
    with patch.object(module, "MOST_PAGES", most_pages):
        seen = Seen(most)
    model = Model(most, most_pages)
    for place in places:
        assert seen.add(id_of(place)) == model.add(place)
        assert len(seen) == len(model.pages)


@given(st.lists(PLACES, max_size=80), st.integers(1, 40))
def test_the_last_ids_are_never_new_however_far_apart(
    places: list[tuple[str, int]], most: int
) -> None:
    seen, added = Seen(most), list[tuple[str, int]]()
    for place in places:
        is_new = seen.add(id_of(place))
        assert not (is_new and place in added[-most:])
        assert is_new or place in added
        if is_new:
            added.append(place)


@given(st.lists(PLACES, max_size=60))
def test_what_was_never_added_is_new_however_little_is_remembered(
    places: list[tuple[str, int]],
) -> None:
    seen = Seen(1)
    assert all(seen.add(id_of(place)) for place in dict.fromkeys(places))


def test_partitions_in_turn_keep_a_page_each() -> None:
    seen = Seen(1)
    ids = [b"t/%d/%d" % (number % 7, number // 7) for number in range(7 * 100)]
    assert all(map(seen.add, ids))
    assert not any(map(seen.add, ids))


def test_ids_that_lie_far_apart_cost_a_quiet_partition_nothing() -> None:
    seen = Seen(100_000_000)
    assert seen.add(b"quiet/0/5")
    assert all(seen.add(b"t/0/%d" % (number << 16)) for number in range(2_000))
    assert not seen.add(b"quiet/0/5")
    assert not any(seen.add(b"t/0/%d" % (number << 16)) for number in range(2_000))


def test_a_page_in_use_outlives_one_that_came_later() -> None:
    seen = Seen(10)
    for number in range(100):
        seen.add(b"t/0/0")
        assert seen.add(b"t/0/%d" % ((number + 1) * PAGE))
    assert not seen.add(b"t/0/0")
    assert seen.add(b"t/0/%d" % PAGE)


def test_the_oldest_are_forgotten() -> None:
    seen = Seen(2 * PAGE)
    for offset in range(3 * PAGE):
        assert seen.add(b"t/0/%d" % offset)
    assert len(seen) == 2
    assert not seen.add(b"t/0/%d" % PAGE)
    assert not seen.add(b"t/0/%d" % (3 * PAGE - 1))
    assert seen.add(b"t/0/0")


def test_memory_is_bounded_whatever_the_ids_are() -> None:
    with patch.object(module, "MOST_PAGES", 50):
        seen = Seen(1_000_000)
    for number in range(400):
        assert seen.add(b"%d/0/%d" % (number % 300, number * PAGE))
    assert len(seen) == 50 + (1_000_000 >> 13)
    assert len(seen._last) <= len(seen)


@pytest.mark.parametrize(
    "id", [b"", b"t/0/", b"t/0/x", b"t/0/-1", b"t/0/1_0", b"t/0/07", b"t/0/ 7"]
)
def test_another_form_is_refused(id: bytes) -> None:
    with pytest.raises(ValueError, match="is not topic/partition/offset"):
        Seen(9).add(id)
