"""Each kind of fault is what its name says to whoever reads the reading."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from contract.errors import SettingsError
from contract.wire import images
from contract.wire.events import Reading
from contract.wire.messages import Message
from contract.wire.reasons import BadReading
from producers.faults import DUPLICATE, GOOD, KINDS, NAMES, Faults

PIXELS = np.random.default_rng(5).integers(0, 256, (8, 6, 1), dtype=np.uint8)
NOW = datetime(2026, 1, 31, tzinfo=UTC)

SLUGS = {
    "malformed": {"malformed"},
    "wrong-shape": {"wrong-shape"},
    "empty": {"empty"},
    "oversized": {"oversized"},
    "not-an-image": {"not-an-image"},
    "bad-headers": {"missing-header", "repeated-header", "bad-header"},
    "duplicate": {"good"},
}


def good(content_type: str) -> Message:
    payload = images.encode(PIXELS, content_type)
    return Reading("a", "device-001", NOW, content_type, payload, "/devices/device-001").message()


def slug(message: Message) -> str:
    try:
        reading = Reading.of(*message)
        images.decode(reading.payload, reading.content_type, (8, 6, 1))
    except BadReading as exc:
        return exc.slug
    return "good"


@pytest.mark.parametrize("content_type", [images.RAW, images.PNG, images.JSON])
@pytest.mark.parametrize("kind", NAMES)
def test_a_fault_is_found_for_what_it_is(kind: str, content_type: str) -> None:
    found = {slug(KINDS[kind](good(content_type), PIXELS, chance)) for chance in range(100)}
    assert found == SLUGS[kind]


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        ("", {}),
        ("malformed=1%", {"malformed": 0.01}),
        ("malformed=0.01, empty=2.5%", {"malformed": 0.01, "empty": 0.025}),
        ("7%", dict.fromkeys(NAMES, 0.01)),
        ("duplicate=1", {"duplicate": 1.0}),
    ],
)
def test_shares_are_read_from_text(text: str, shares: dict[str, float]) -> None:
    assert Faults.parse(text).shares == pytest.approx(shares)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("malformed", "'malformed' is no share"),
        ("malformd=1%", "'malformd' is none of the kinds malformed, wrong-shape"),
        ("empty=nan", "'nan' is no share"),
        ("empty=-1%", "'-1%' is no share"),
        ("empty=101%", "'101%' is no share"),
        ("empty=1%%", "'1%%' is no share"),
        ("empty=1%,1%", "'' is none of the kinds"),
        ("empty=1%,empty=2%", "empty is repeated"),
        ("empty=0.6,malformed=0.6", "more than 100%"),
        ("x=1%,empty=y", "'x' is none of the kinds .*; 'y' is no share"),
    ],
)
def test_what_cannot_be_obeyed_is_told(text: str, match: str) -> None:
    with pytest.raises(SettingsError, match=match):
        Faults.parse(text)


def test_kinds_are_drawn_in_their_shares_and_the_same_for_a_seed() -> None:
    faults = Faults.parse("empty=10%,duplicate=20%")
    kinds = faults.draw(100_000, np.random.default_rng(1))
    counts = dict(zip(*np.unique(kinds, return_counts=True), strict=True))
    assert counts.keys() == {GOOD, 1 + NAMES.index("empty"), DUPLICATE}
    assert counts[1 + NAMES.index("empty")] == pytest.approx(10_000, rel=0.05)
    assert counts[DUPLICATE] == pytest.approx(20_000, rel=0.05)
    np.testing.assert_array_equal(kinds, faults.draw(100_000, np.random.default_rng(1)))


def test_all_or_none_can_be_faulty() -> None:
    rng = np.random.default_rng(1)
    assert not Faults.parse("").draw(1000, rng).any()
    assert set(Faults.parse("100%").draw(10_000, rng)) == set(range(1, len(NAMES) + 1))
