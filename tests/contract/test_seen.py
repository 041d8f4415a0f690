"""Ids are new once, in bounded memory, and never old by mistake."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.seen import Seen

PLACES = st.tuples(st.sampled_from(["a/0", "a/1", "b/0"]), st.integers(0, 1 << 18))


def id_of(place: tuple[str, int]) -> bytes:
    return "/".join(map(str, place)).encode()


@given(st.lists(PLACES | PLACES.map(lambda place: (place[0], place[1] % 9)), max_size=60))
def test_an_id_is_new_once(places: list[tuple[str, int]]) -> None:
    seen, known = Seen(1 << 30), set()
    for place in places:
        assert seen.add(id_of(place)) == (place not in known)
        known.add(place)


@given(st.lists(PLACES, max_size=60))
def test_what_was_never_added_is_new_however_little_is_remembered(
    places: list[tuple[str, int]],
) -> None:
    seen = Seen(1)
    assert all(seen.add(id_of(place)) for place in dict.fromkeys(places))


def test_the_oldest_are_forgotten() -> None:
    seen = Seen(2 << 16)
    for offset in range(3 << 16):
        assert seen.add(b"t/0/%d" % offset)
    assert len(seen._pages) == 2
    assert not seen.add(b"t/0/%d" % (1 << 16))
    assert not seen.add(b"t/0/%d" % (3 * (1 << 16) - 1))
    assert seen.add(b"t/0/0")


@pytest.mark.parametrize("id", [b"", b"t/0/", b"t/0/x"])
def test_another_form_is_refused(id: bytes) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        Seen(9).add(id)
