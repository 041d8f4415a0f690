"""What a codec takes is what its JSON Schemas take, for every event, and nothing else happens."""

from __future__ import annotations

import base64
import calendar
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NoReturn

import jsonschema
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from contract.choices import Engine
from contract.errors import BadEvent
from contract.wire import headers as names
from contract.wire import reasons
from contract.wire.events import (
    ENGINES,
    DeadLetter,
    Label,
    Model,
    Reading,
    Replay,
    Score,
    Source,
    Times,
)
from contract.wire.headers import Header
from contract.wire.images import RAW
from contract.wire.messages import Message
from contract.wire.progress import Agreement, Lag, Progress
from contract.wire.reasons import BadReading
from contract.wire.values.strict_json import loads
from tests.contract.wire.mutations import mutated, mutated_headers
from tests.contract.wire.test_schemas import KNOWN, SCHEMAS

NOW = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
PLACE, REPLAY = Source("digits.readings", 1, 42), Source("digits.replays", 0, 7)
MODEL = Model("digits", "2", "onnx")
TIMES = Times(NOW, NOW, NOW)
SCORE = Score("a-1", "d", 3, 0.75, (0.25, 0.75), MODEL, PLACE, TIMES)
LETTER = DeadLetter("decode", "empty: x", REPLAY, 2, b"d", b"x", (("stage", None),), PLACE)
LAG = Lag(5, 0.25, None, 100, -1.5)
OPINIONS = {"shadow": Agreement(4, 3)}
PROGRESS = Progress("scoring", 3, NOW, 2, 1, 1, 1.5, 2.0, {"score": 3}, MODEL, LAG, OPINIONS)
READING = Reading("a-1", "d", NOW, RAW, b"\0", "/devices/d")
STRUCTURED = {
    "specversion": "1.0",
    "id": "1",
    "source": "/d",
    "type": "t",
    "time": "2026-01-31T12:00:00Z",
    "datacontenttype": "image/png",
    "data_base64": base64.b64encode(b"pixels").decode(),
}


# The schemas' side, with a parser and rules of its own.


def is_time(text: object) -> bool:
    form = r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]+)?"
    match = re.fullmatch(form + r"([Zz]|[+-]([0-9]{2}):([0-9]{2}))", str(text))
    if match is None:
        return not isinstance(text, str)
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    ahead = [int(part or 0) for part in match.groups()[8:]]
    return (
        1 <= month <= 12
        and 1 <= day <= calendar.monthrange(year, month)[1]
        and (hour, minute, second) <= (23, 59, 60)
        and minute <= 59
        and second <= 60
        and ahead[0] <= 23
        and ahead[1] <= 59
    )


def ecma_pattern(_: Any, pattern: str, instance: object, __: Any) -> Iterator[Exception]:
    """As ECMA-262 has it, not Python: `$` is the end, not a line break before it."""
    if isinstance(instance, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match")


FORMATS = jsonschema.FormatChecker(())
FORMATS.checks("date-time")(is_time)
Validator = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"pattern": ecma_pattern})


def is_valid(schema: str, instance: object) -> bool:
    checked = Validator(SCHEMAS[schema], registry=KNOWN, format_checker=FORMATS)
    return bool(checked.is_valid(instance))


def is_valid_json(schema: str, value: bytes | None) -> bool:
    """Whether the value is I-JSON that keeps a schema."""

    def refuse(constant: str) -> NoReturn:
        raise ValueError(constant)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        for name, member in pairs:
            for text in (name, member):
                if isinstance(text, str):
                    text.encode()
        if len({name for name, _ in pairs}) < len(pairs):
            raise ValueError(pairs)
        return dict(pairs)

    try:
        text = (value or b"").decode()
        return is_valid(schema, json.loads(text, parse_constant=refuse, object_pairs_hook=unique))
    except (ValueError, RecursionError):
        return False


def are_valid_headers(schema: str, headers: list[Header], ours: frozenset[str]) -> bool:
    """Whether the headers of these names are there once at most, UTF-8, and keep a schema."""
    known = [(name, value) for name, value in headers if name in ours]
    try:
        texts = {name: (b"\xff" if value is None else value).decode() for name, value in known}
    except UnicodeDecodeError:
        return False
    return len(texts) == len(known) and is_valid(schema, texts)


# Both sides agree.


def check_agreement(of: Callable[..., Any], message: Message, valid: bool) -> None:
    """The codec takes what is valid and refuses the rest with its own error; what it takes comes
    back as it is."""
    try:
        event = of(*message)
    except (BadEvent, BadReading):
        assert not valid, message
    else:
        assert valid, message
        assert of(*event.message()) == event


EVENTS: dict[str, tuple[Any, str]] = {
    "score": (SCORE, "score-attributes.schema.json"),
    "label": (Label("a-1", 3, NOW), "timed-attributes.schema.json"),
    "progress": (PROGRESS, "timed-attributes.schema.json"),
}


@pytest.mark.parametrize("name", EVENTS)
@given(data=st.data())
def test_events_of_json(name: str, data: st.DataObject) -> None:
    event, schema = EVENTS[name]
    key, value, headers = event.message()
    body = data.draw(mutated(json.loads(value)))
    sent = data.draw(st.just(headers) | mutated_headers(headers))
    valid = is_valid_json(f"{name}.schema.json", body)
    valid &= are_valid_headers(schema, sent, names.ATTRIBUTES)
    check_agreement(type(event).of, Message(key, body, sent), valid)


def changed(event: Any, *path: Any, to: object) -> bytes:
    body = json.loads(event.message().value)
    place = body
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = to
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    "value",
    [
        changed(SCORE, "confidence", to="0.75"),
        changed(SCORE, "confidence", to=None),
        changed(SCORE, "confidence", to=True),
        changed(SCORE, "confidence", to=float("nan")),
        changed(SCORE, "source", "offset", to="zz"),
        changed(SCORE, "source", "offset", to=-1),
        changed(SCORE, "source", "topic", to="a/b"),
        changed(SCORE, "probabilities", to=[10**400]),
        changed(SCORE, "probabilities", to=[0.5, 10**400]),
        changed(SCORE, "probabilities", to="01"),
        changed(SCORE, "probabilities", to=[1.0]),
        changed(SCORE, "times", "broker", to=None),
        changed(SCORE, "times", "device", to=""),
        changed(SCORE, "model", "engine", to="abacus"),
        changed(SCORE, "id", to="\ud800"),
        changed(SCORE, "id", to=""),
    ],
)
def test_what_is_no_score_is_refused(value: bytes) -> None:
    with pytest.raises(BadEvent, match="does not hold a score"):
        Score.of(b"d", value, SCORE.message().headers)
    assert not is_valid_json("score.schema.json", value)


def test_the_engines_are_those_of_the_settings() -> None:
    assert set(ENGINES) == set(Engine.__args__) - {"auto"}


@given(mutated_headers(READING.message().headers))
@example([*READING.message().headers[1:], ("ce_specversion", b"0.3")])
def test_a_readings_attributes(sent: list[Header]) -> None:
    valid = are_valid_headers("attributes.schema.json", sent, names.ATTRIBUTES)
    check_agreement(supported_reading, Message(b"d", b"x", sent), valid)


def supported_reading(key: bytes | None, value: bytes | None, headers: list[Header]) -> Reading:
    """The reading in a record; one of a content type that is no image's is not looked at."""
    try:
        return Reading.of(key, value, headers)
    except BadReading as exc:
        assume(not exc.reason.startswith(reasons.UNSUPPORTED_CONTENT_TYPE))
        raise


@given(mutated(STRUCTURED) | mutated({**STRUCTURED, "data": [0]}))
def test_a_structured_reading(value: bytes) -> None:
    attributes = ("id", "source", "type", "time", "datacontenttype")
    try:
        event = loads(value)
        for name in attributes if isinstance(event, dict) else ():
            str(event.get(name)).encode()
        valid = is_valid("structured-reading.schema.json", event)
    except ValueError:
        valid = False
    sent: list[Header] = [("content-type", b"application/cloudevents+json")]
    check_agreement(supported_reading, Message(b"d", value, sent), valid)


@given(mutated_headers(LETTER.message().headers))
def test_a_dead_letter(sent: list[Header]) -> None:
    ours = frozenset(SCHEMAS["dead-letter.schema.json"]["properties"])
    valid = are_valid_headers("dead-letter.schema.json", sent, ours)
    check_agreement(DeadLetter.of, Message(b"d", b"x", sent), valid)


@given(mutated_headers(Replay(PLACE, 2, b"d", b"x", (("a", None), ("b", b""))).message().headers))
def test_a_replay(sent: list[Header]) -> None:
    ours = ("replay-of", "attempt", "null-headers")
    valid = tuple(name for name, _ in sent[:3]) == ours
    valid &= are_valid_headers("replay.schema.json", sent[:3], frozenset(ours))
    check_agreement(Replay.of, Message(b"d", b"x", sent), valid)
