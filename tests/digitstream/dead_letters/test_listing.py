"""Dead letters are listed, shown and sent again, each once, whatever they hold."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from kafka import KafkaProducer

from contract.errors import SettingsError
from contract.kafka.clients import arguments
from contract.settings.programs import Settings
from contract.wire import images
from contract.wire.events import DeadLetter, Replay, Source
from contract.wire.messages import Message
from contract.wire.topics import Topics
from digitstream.accounts.topic_reader import TopicReader, open_reader
from digitstream.dead_letters import listing as dead_letters
from digitstream.dead_letters.detail import NoSuchLetter, read_detail
from digitstream.dead_letters.listing import Selection, read_listing
from digitstream.dead_letters.raw_records import LARGEST, open_sender
from digitstream.dead_letters.replay import ReplaySummary, replay
from digitstream.kafka.server import Broker
from tests.digitstream.conftest import Run
from tests.streaming.wire import messages

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ODD = (("x", b"\xff"), ("attempt", b"9"), ("replay-of", b"a/0/0"), ("", b""))
"""Headers that a device may well have sent."""

Again = Callable[..., ReplaySummary]


class Wire:
    """Letters, scores and replays as the scoring query writes them, on topics of one test."""

    def __init__(self, settings: Settings, producer: KafkaProducer) -> None:
        self.settings, self.topics, self._producer = settings, settings.topics, producer

    def put(self, topic: str, *sent: Message, part: int = 0) -> None:
        for each in sent:
            self._producer.send(topic, each.value, each.key, each.headers, part)
        self._producer.flush()

    def at(self, offset: int, part: int = 0) -> Source:
        return Source(self.topics.readings, part, offset)

    def letter(self, offset: int, reason: str = "empty: x", **other: object) -> DeadLetter:
        letter = DeadLetter("decode", reason, self.at(offset), 1, b"d", b"xx", ODD)
        return replace(letter, **other)

    def letters(self, *letters: DeadLetter) -> None:
        with open_sender(self.settings.kafka, self.topics.dead_letters) as sender:
            assert all(sender.send([each.message() for each in letters]))

    def score(self, first: Source) -> None:
        self.put(self.topics.scores, Message(None, b"{}", [("ce_id", first.id.encode())]))

    @property
    def replays(self) -> list[Replay]:
        return [Replay.of(*each) for each in messages(self.settings, self.topics.replays)]


@pytest.fixture
def wire(kafka_broker: Broker, topics: Topics) -> Iterator[Wire]:
    prefix = topics.readings.removesuffix(".readings")
    settings = Settings(bootstrap_servers=kafka_broker.bootstrap_servers, prefix=prefix)
    producer = KafkaProducer(**arguments(settings.kafka), max_request_size=LARGEST)
    yield Wire(settings, producer)
    producer.close()


@pytest.fixture
def reader(wire: Wire) -> Iterator[TopicReader]:
    with open_reader(wire.settings.kafka) as made:
        yield made


@pytest.fixture
def again(wire: Wire, reader: TopicReader) -> Again:
    """Replays what is wanted (all, else)."""

    def replayed(wanted: Selection | None = None, **options: object) -> ReplaySummary:
        return replay(reader, wire.topics, wire.settings.kafka, wanted or Selection(), **options)

    return replayed


@pytest.mark.kafka
def test_a_replay_is_the_reading_as_it_came_with_its_first_place(wire: Wire, again: Again) -> None:
    wire.letters(
        wire.letter(0),
        wire.letter(1, key=None, value=None, headers=()),
        wire.letter(2, key=b"\xff", value=b""),
    )
    found = again()
    assert (found.sent, found.by_reason, found.left) == (3, {"empty": 3}, {})
    assert sorted(wire.replays, key=lambda each: each.first) == [
        Replay(wire.at(0), 2, b"d", b"xx", ODD),
        Replay(wire.at(1), 2, None, None, ()),
        Replay(wire.at(2), 2, b"\xff", b"", ODD),
    ]


@pytest.mark.kafka
def test_a_letter_is_sent_again_once_however_often_it_is_asked_for(
    wire: Wire, again: Again
) -> None:
    wire.letters(wire.letter(0), wire.letter(1))
    assert again(dry_run=True).sent == 2
    assert not wire.replays
    assert again().sent == 2
    found = again()
    assert (found.sent, found.left) == (0, {"was sent again already": 2})
    # The replay of the first one fails, too: that letter may be sent again, as the third attempt.
    place = Source(wire.topics.replays, 0, 0)
    wire.letters(wire.letter(0, source=place, attempt=2, replay_of=wire.at(0)))
    assert again().sent == 1
    assert again().sent == 0
    assert [(each.first.offset, each.attempt) for each in wire.replays].count((0, 3)) == 1
    assert len(wire.replays) == 3


@pytest.mark.kafka
def test_a_reading_with_a_score_is_not_sent_again(wire: Wire, again: Again) -> None:
    wire.letters(wire.letter(0), wire.letter(1))
    wire.score(wire.at(1))
    found = again()
    assert (found.sent, found.left) == (1, {"has a score already": 1})
    assert [each.first for each in wire.replays] == [wire.at(0)]


@pytest.mark.kafka
def test_a_reading_goes_round_no_more_often_than_allowed(wire: Wire, again: Again) -> None:
    for attempt in range(1, 5):
        source = wire.at(0) if attempt == 1 else Source(wire.topics.replays, 0, attempt)
        first = None if attempt == 1 else wire.at(0)
        wire.letters(wire.letter(0, source=source, attempt=attempt, replay_of=first))
        if attempt < 3:
            assert again(most=3).sent == 1
    found = again(most=3)
    assert found.sent == 0
    assert found.left == {"was sent 4 times, the most that --most-attempts allows": 1}
    assert again(most=5).sent == 1


@pytest.mark.kafka
def test_only_what_is_wanted_is_sent_again(wire: Wire, again: Again) -> None:
    wire.letters(
        wire.letter(0),
        wire.letter(1, reason="malformed: x"),
        wire.letter(2, reason="wrong-shape: x", stage="validate"),
        wire.letter(3),
    )
    assert again(Selection(reason="malformed")).by_reason == {"malformed": 1}
    assert again(Selection(stage="validate")).by_reason == {"wrong-shape": 1}
    assert again(Selection(ids=frozenset({wire.at(3)}))).by_reason == {"empty": 1}
    assert again(Selection(since=datetime.now(UTC) + timedelta(hours=1))).sent == 0
    assert again(Selection(since=datetime.now(UTC) - timedelta(hours=1))).by_reason == {"empty": 1}
    assert sorted(each.first.offset for each in wire.replays) == [0, 1, 2, 3]


@pytest.mark.kafka
def test_what_was_too_large_for_its_letter_is_fetched_from_its_place(
    wire: Wire, again: Again
) -> None:
    big = bytes(1 << 19)
    wire.put(wire.topics.readings, *[Message(b"d", big, list(ODD))] * 2)
    bare = {"reason": "too-large: x", "stage": "publish", "value": None}
    wire.letters(
        wire.letter(0, **bare),
        wire.letter(1, **bare, key=b"another"),
        wire.letter(7, **bare),
    )
    found = again()
    assert found.by_reason == {"too-large": 1}
    assert found.left == {"is no longer where it lay, and its letter was too large to hold it": 2}
    assert wire.replays == [Replay(wire.at(0), 2, b"d", big, ODD)]
    # And again, now from the topic of replays, where it begins with headers of ours.
    place = Source(wire.topics.replays, *_place(wire))
    wire.letters(wire.letter(0, **bare, source=place, attempt=2, replay_of=wire.at(0)))
    assert again().by_reason == {"too-large": 1}
    assert sorted(wire.replays, key=lambda each: each.attempt)[1] == Replay(
        wire.at(0), 3, b"d", big, ODD
    )


def _place(wire: Wire) -> tuple[int, int]:
    """Where the only replay lies."""
    with open_reader(wire.settings.kafka) as reader:
        return next((part, 0) for part, end in reader.end(wire.topics.replays).items() if end)


@pytest.mark.kafka
def test_what_came_as_no_reading_of_any_device_is_left(wire: Wire, again: Again) -> None:
    wire.letters(
        wire.letter(0, source=Source(wire.topics.replays, 0, 3)),
        wire.letter(1, source=Source("other.readings", 0, 3)),
    )
    found = again()
    assert found.left == {"came by the topic of replays without naming its reading": 1}
    # A query may read other topics besides: their readings are as good as ours.
    assert [each.first for each in wire.replays] == [Source("other.readings", 0, 3)]


@pytest.mark.kafka
def test_a_letter_is_shown_in_full_with_those_before_it(wire: Wire, reader: TopicReader) -> None:
    image = np.zeros((4, 6, 1), np.uint8)
    image[1:3, 2:4] = 255
    place = Source(wire.topics.replays, 0, 3)
    wire.letters(
        wire.letter(0, value=images.encode(image, images.PNG), headers=ODD, key=b"\x1b[31m\xff"),
        wire.letter(1, value=b"\x00\x01hello" * 90),
        wire.letter(0, source=place, attempt=2, replay_of=wire.at(0), reason="malformed: x"),
    )
    found = read_detail(reader, wire.topics, place)
    assert read_detail(reader, wire.topics, wire.at(0)) == found
    assert (found.reading, found.letter.attempt, found.letter.reason) == (
        wire.at(0).id,
        2,
        "malformed: x",
    )
    assert [each.attempt for each in found.earlier] == [1]
    hexes = read_detail(reader, wire.topics, wire.at(1))
    assert hexes.picture is None and hexes.dump is not None
    assert hexes.dump.startswith("00000000  00 01 68 65 6c 6c 6f 00 01")
    assert hexes.dump.endswith("... 118 more bytes")
    with pytest.raises(NoSuchLetter, match="no dead letter of nowhere/0/1"):
        read_detail(reader, wire.topics, Source("nowhere", 0, 1))


@pytest.mark.kafka
def test_the_commands_take_anything_and_do_nothing_to_a_terminal(
    wire: Wire,
    run: Run,
) -> None:
    image = np.zeros((4, 6, 1), np.uint8)
    image[1:3, 2:4] = 255
    odd = wire.letter(0, value=images.encode(image, images.PNG), headers=ODD, key=b"[/x]\x1b[31m")
    wire.letters(odd, wire.letter(1, reason="malformed: [/no markup]"))
    where = ("--bootstrap-servers", str(wire.settings.bootstrap_servers))
    where += ("--prefix", wire.settings.prefix)
    code, report, _ = run("dead-letters", "list", "--reason", "empty", *where)
    assert code == 0 and "[/x]\\x1b[31m" in report and "\x1b" not in report
    assert json.loads(run("dead-letters", "list", *where, "--json")[1])["total"] == 2
    code, report, _ = run("dead-letters", "show", wire.at(0).id, *where)
    assert code == 0 and "    ████    \n" in report and "\x1b" not in report
    assert re.search(r"header x +\\xff", report)
    found = json.loads(run("dead-letters", "show", wire.at(0).id, *where, "--json")[1])
    assert found["headers"][:2] == [["x", "\\xff"], ["attempt", "9"]]
    code, report, _ = run("dead-letters", "replay", wire.at(1).id, *where)
    assert (code, report) == (0, "1 reading was sent again.\n  1 malformed\n")
    code, report, _ = run("dead-letters", "replay", *where, "--dry-run", "--json")
    assert json.loads(report) == {
        "sent": 1,
        "by_reason": {"empty": 1},
        "left": {"was sent again already": 1},
        "dry_run": True,
    }
    for words, says in (
        (("replay", "--reason", "emty"), "No dead letter has the reason 'emty'"),
        (("list", "--since", "yesterday"), "--since 'yesterday' is not a time"),
        (("show", "7"), "'7' is not the ID of a reading"),
    ):
        code, report, said = run("dead-letters", *words, *where)
        assert (code, report) == (1, "") and says in said and "Traceback" not in said


@pytest.mark.kafka
def test_the_list_is_of_what_is_wanted(wire: Wire, reader: TopicReader) -> None:
    wire.letters(*[wire.letter(n) for n in range(5)], wire.letter(5, reason="malformed: x"))
    found = read_listing(reader, wire.topics, last=2, selection=Selection(reason="empty"))
    assert (found.total, found.by_reason) == (5, [("decode", "empty", 5)])
    assert len(found.letters) == 2


@pytest.mark.parametrize(
    ("text", "hours"), [("2h", 2), ("90m", 1.5), ("1d", 24), ("2026-03-01T11:00:00Z", 1)]
)
def test_since_is_how_long_ago_or_when(text: str, hours: float) -> None:
    assert dead_letters.parse_since(text, NOW) == NOW - timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "2", "2 h", "-2h", "999999d", "2026-03-01T11:00:00"])
def test_since_is_nothing_else(text: str) -> None:
    with pytest.raises(SettingsError, match="is not a time"):
        dead_letters.parse_since(text, NOW)
