"""Every event survives its message; whatever else comes as a reading costs one named reason."""

from __future__ import annotations

import base64
import json
import pickle
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import BadEvent
from contract.wire import headers, images
from contract.wire.events import DeadLetter, Label, Model, Reading, Score, Source, Times
from contract.wire.headers import Header
from contract.wire.progress import Agreement, Lag, Progress
from contract.wire.reasons import REASONS, BadReading

NOON = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)

READING = Reading(
    id="a-1",
    device="device-007",
    time=NOON,
    content_type=images.RAW,
    payload=b"\x00\xff",
    source="/devices/device-007",
)
SCORE = Score(
    id="a-1",
    device="device-007",
    prediction=3,
    confidence=0.75,
    probabilities=(0.25, 0.75),
    model=Model("digits", "2", "onnx"),
    source=Source("digits.readings", 1, 42),
    times=Times(NOON, NOON, NOON),
)
LETTER = DeadLetter(
    stage="decode",
    reason="empty: the record has no value",
    source=SCORE.source,
    attempt=1,
    key=b"\xff",
    value=b"\x00",
    headers=(("stage", b"theirs"), ("stage", None), ("original-", b""), ("", b"\xff")),
)
PROGRESS = Progress(
    query="scoring",
    batch=3,
    time=NOON,
    rows=10,
    scored=9,
    dead_letters=1,
    input_per_s=10.5,
    processed_per_s=20.0,
    durations_ms={"score": 12},
    model=SCORE.model,
    lag=Lag(7, 0.5, None, None, 3600.0),
    opinions={"shadow": Agreement(4, 3)},
)


@pytest.mark.parametrize(
    "event",
    [
        READING,
        replace(READING, device=None, time=None, payload=None),
        Label("a-1", 3, NOON),
        Label("a-1", "dréi", NOON),
        SCORE,
        replace(SCORE, device=None, times=Times(None, NOON, NOON), prediction="drei"),
        LETTER,
        replace(LETTER, key=None, value=None, headers=()),
        PROGRESS,
        replace(PROGRESS, model=None),
    ],
    ids=lambda event: type(event).__name__,
)
def test_an_event_comes_back_as_it_was_sent(event: Any) -> None:
    assert type(event).of(*event.message()) == event


def test_a_score_is_known_by_where_its_reading_lies() -> None:
    sent = dict(SCORE.message().headers)
    assert sent[headers.ID] == b"digits.readings/1/42"
    assert SCORE.message().key == b"device-007"


def test_a_dead_letter_keeps_key_value_and_headers_untouched() -> None:
    key, value, sent = LETTER.message()
    assert (key, value) == (LETTER.key, LETTER.value)
    assert sent[:6] == [
        ("stage", b"decode"),
        ("reason", b"empty: the record has no value"),
        ("topic", b"digits.readings"),
        ("partition", b"1"),
        ("offset", b"42"),
        ("attempt", b"1"),
    ]
    assert sent[6:] == [
        ("original-stage", b"theirs"),
        ("original-stage", None),
        ("original-original-", b""),
        ("original-", b"\xff"),
    ]


GOOD: dict[str, bytes | None] = {
    "ce_id": b"1",
    "ce_source": b"/d",
    "ce_type": b"t",
    "content-type": b"image/png",
}


def reading(value: bytes | None = b"x", key: bytes | None = None, **changed: Any) -> Reading:
    """The reading in a record with good headers but for those changed (`_` for `-`)."""
    named = {name.replace("content_type", "content-type"): text for name, text in changed.items()}
    return Reading.of(key, value, list((GOOD | named).items()))


def refuses(slug: str, value: bytes | None = b"x", sent: list[Header] | None = None) -> str:
    with pytest.raises(BadReading) as caught:
        Reading.of(None, value, sent if sent is not None else list(GOOD.items()))
    assert (caught.value.slug, caught.value.stage) == (slug, REASONS[slug])
    return caught.value.reason


def test_only_four_headers_are_needed_in_any_order_among_any_others() -> None:
    others: list[Header] = [("trace", None), ("CE_ID", b""), ("trace", b"\xff"), ("", None)]
    taken = Reading.of(None, None, [*others, *reversed(GOOD.items())])
    assert taken == Reading("1", None, None, "image/png", None, "/d", "t")


@pytest.mark.parametrize("text", [b"Image/PNG", b"image/png; charset=x", b" image/png ;"])
def test_case_and_parameters_of_a_content_type_do_not_matter(text: bytes) -> None:
    assert reading(content_type=text).content_type == "image/png"


@pytest.mark.parametrize(
    ("key", "device"),
    [(None, None), (b"", ""), ("drüben".encode(), "drüben"), (b"\xffx", "\\xffx")],
)
def test_any_key_names_a_device(key: bytes | None, device: str | None) -> None:
    assert reading(key=key).device == device


def test_another_version_of_cloud_events_is_refused() -> None:
    assert reading(ce_specversion=b"1.0").id == "1"
    for text in (b"0.3", b"1.0.2", b"", None, b"\xff"):
        assert "specversion" in refuses(
            "bad-header", sent=[*GOOD.items(), ("ce_specversion", text)]
        )


@pytest.mark.parametrize("name", headers.REQUIRED)
def test_a_header_that_is_needed_is_there_once_and_says_something(name: str) -> None:
    others: list[Header] = [(key, text) for key, text in GOOD.items() if key != name]
    assert refuses("missing-header", sent=others) == f"missing-header: {name} is required"
    for text in (b"", None, b"\xff\xfe"):
        assert name in refuses("bad-header", sent=[*others, (name, text)])
    assert "2 times" in refuses("repeated-header", sent=[*others, (name, b"1"), (name, b"1")])
    refuses("repeated-header", sent=[*others, (name, None), (name, b"1")])


@pytest.mark.parametrize("text", [b"", b"noon", b"2026-02-30T00:00:00Z", None, b"\xff"])
def test_a_device_may_have_no_clock_but_not_a_broken_one(text: bytes | None) -> None:
    assert "ce_time" in refuses("bad-header", sent=[*GOOD.items(), ("ce_time", text)])
    times: list[Header] = [("ce_time", b"2026-01-31T12:00:00Z")] * 2
    refuses("repeated-header", sent=[*GOOD.items(), *times])


STRUCTURED: Header = ("content-type", b"application/cloudevents+json; charset=utf-8")
EVENT = {"specversion": "1.0", "id": "1", "source": "/d", "type": "t"}


def structured(**fields: object) -> Reading:
    return Reading.of(b"k", json.dumps(EVENT | fields).encode(), [STRUCTURED])


def test_structured_mode_carries_everything_in_the_value() -> None:
    pixels = {"pixels": [[0, 1]]}
    taken = structured(time="2026-01-31T12:00:00.123456Z", data=pixels)
    assert taken == Reading(
        "1", "k", NOON, "application/json", json.dumps(pixels).encode(), "/d", "t"
    )
    raw = structured(
        time=None, datacontenttype="Image/PNG", data_base64=base64.b64encode(b"\xff").decode()
    )
    assert (raw.content_type, raw.payload, raw.time) == ("image/png", b"\xff", None)
    assert structured(datacontenttype="text/plain", data="é").payload == "é".encode()
    assert structured(data=None).payload is None


@pytest.mark.parametrize(
    ("value", "slug"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b"{", "malformed"),
        (b"[]", "malformed"),
        (b"\xff", "malformed"),
        (b"[" * 100_000, "malformed"),
        (b'{"id": NaN}', "malformed"),
        (b"{}", "missing-header"),
        (json.dumps(EVENT | {"id": None}).encode(), "missing-header"),
        (json.dumps(EVENT | {"id": 1}).encode(), "bad-header"),
        (json.dumps(EVENT | {"id": ""}).encode(), "bad-header"),
        (json.dumps(EVENT | {"id": "\ud800"}).encode(), "bad-header"),
        (json.dumps(EVENT | {"time": "noon"}).encode(), "bad-header"),
        (json.dumps(EVENT | {"time": 0}).encode(), "bad-header"),
        (json.dumps(EVENT | {"datacontenttype": []}).encode(), "bad-header"),
        (json.dumps(EVENT).encode(), "empty"),
        (json.dumps(EVENT | {"specversion": "0.3", "data": 1}).encode(), "bad-header"),
        (json.dumps(EVENT | {"specversion": None, "data": 1}).encode(), "bad-header"),
        (json.dumps(EVENT | {"data": 1, "data_base64": ""}).encode(), "malformed"),
        (json.dumps(EVENT | {"data_base64": "a"}).encode(), "malformed"),
        (json.dumps(EVENT | {"data_base64": "ABCD=="}).encode(), "malformed"),
        (json.dumps(EVENT | {"data_base64": "ABCD="}).encode(), "malformed"),
        (json.dumps(EVENT | {"data_base64": "é"}).encode(), "malformed"),
        (json.dumps(EVENT | {"data_base64": 1}).encode(), "malformed"),
    ],
)
def test_structured_mode_is_refused_with_a_reason(value: bytes | None, slug: str) -> None:
    refuses(slug, value, [STRUCTURED])


NAMES = st.sampled_from([*headers.REQUIRED, headers.TIME, "other"])
TEXTS = st.none() | st.binary(max_size=8) | st.sampled_from([*GOOD.values(), STRUCTURED[1]])
EVENTS = st.dictionaries(
    st.sampled_from([*EVENT, "time", "data", "data_base64", "datacontenttype"]),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just([[]]),
)


@given(
    key=st.none() | st.binary(max_size=4),
    value=st.none() | st.binary(max_size=20) | EVENTS.map(lambda event: json.dumps(event).encode()),
    sent=st.lists(st.tuples(NAMES, TEXTS)) | st.just([STRUCTURED]),
)
def test_any_record_is_a_reading_or_a_bad_one(
    key: bytes | None, value: bytes | None, sent: list[Header]
) -> None:
    try:
        taken = Reading.of(key, value, sent)
        images.decode(taken.payload, taken.content_type, (2, 2, 1))
    except BadReading as exc:
        assert exc.reason.isascii() and exc.reason.isprintable()


def test_a_reason_is_short_and_printable_whatever_the_record_held() -> None:
    hostile = "\u202e\x1b[31m\n\ud800" + "x" * 10_000
    reason = BadReading("malformed", hostile).reason
    assert reason.startswith(r"malformed: \u202e\x1b[31m\n\ud800xxx")
    assert len(reason) <= 240


def test_a_bad_reading_crosses_processes() -> None:
    sent = BadReading("empty", "x\ty")
    received = pickle.loads(pickle.dumps(sent))
    assert (received.slug, received.stage, received.reason) == ("empty", "decode", sent.reason)


@pytest.mark.parametrize("event", [Label("a", 3, NOON), SCORE, LETTER, PROGRESS])
@pytest.mark.parametrize("value", [None, b"", b"[]", b"{}", b'{"times": 1}', b'{"model": []}'])
def test_what_we_did_not_write_is_no_event_of_ours(event: Any, value: bytes | None) -> None:
    with pytest.raises(BadEvent, match="does not hold a"):
        type(event).of(None, value, [])
