"""Sends readings that became dead letters again, each with the id of the original reading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from contract.errors import ProgramError
from contract.home.checkpoint import Positions
from contract.kafka.connection import Kafka
from contract.quantities import quantity
from contract.wire.bounds import is_cut
from contract.wire.events import DeadLetter, Replay, Source
from contract.wire.headers import ID
from contract.wire.messages import Message
from contract.wire.reasons import TOO_LARGE, TOO_MANY_HEADERS, UNANSWERABLE, UNREADABLE, BadReading
from contract.wire.topics import Topics
from digitstream.accounts.topic_reader import TopicReader
from digitstream.dead_letters import raw_records
from digitstream.dead_letters.listing import Selection, letters
from producers.pacing import stop_on_signals
from producers.sending import OUTWAITED_MS, Delivery, Unanswered, Undelivered

MOST_ATTEMPTS = 5
"""Most times that a reading is sent by default, including by its device."""

SCORED = "has a score already"
SENT = "was sent again already"
EXHAUSTED = "was sent {times}, the most that --most-attempts allows"
GONE = "is no longer where it lay, and its letter was too large to hold it"
STRAY = "came by the topic of replays without naming its reading"
REFUSED = "is larger than the topic of replays takes"
STOPPED = "was still to be sent when the command was stopped"
CROWDED = "had more headers than a reading may have"

# The reasons for which a letter may lack its reading's bytes.
_BARE = (TOO_LARGE, UNREADABLE, UNANSWERABLE)


class ReplayFailed(ProgramError):
    """Kafka stopped taking replays; running the command again sends the rest."""

    retriable = True


@dataclass(frozen=True)
class ReplaySummary:
    """What became of the selected readings: sent, or left for a reason.

    `by_reason` counts the sent ones by their letters' reasons, `left` the others by the sentence
    that says why. With `dry_run` nothing was sent.
    """

    sent: int
    by_reason: dict[str, int]
    left: dict[str, int]
    dry_run: bool


@dataclass(frozen=True)
class _Case:
    """A reading's newest letter: what decides whether to send it, and the letter's place."""

    attempt: int
    slug: str
    is_selected: bool
    is_stray: bool
    partition: int
    offset: int


def replay(
    reader: TopicReader,
    topics: Topics,
    kafka: Kafka,
    selection: Selection,
    most: int = MOST_ATTEMPTS,
    *,
    dry_run: bool = False,
) -> ReplaySummary:
    """Send the readings whose newest letter is selected to the topic of replays, each once.

    Ctrl-C or SIGTERM ends the sending: it waits for what was sent and leaves the rest. A second run
    sends nothing twice, as it reads the topics of replays and of answers first. Two runs at a time
    may send a reading twice; its answers then have one id. Skips records that are no letters.
    Raises TopicMissing, BrokerUnavailable and ReplayFailed.
    """
    left: Counter[str] = Counter()
    newest = _newest(reader, topics, selection)
    cases = {first: case for first, case in newest.items() if case.is_selected}
    left.update(_drop_excluded(cases, most))
    left.update(_drop_sent(reader, topics, cases))
    left.update(_drop_scored(reader, topics, cases))
    reasons: Counter[str] = Counter()
    with stop_on_signals() as stop, raw_records.open_sender(kafka, topics.replays) as sender:
        for replays in _replays(reader, topics, cases, left):
            if stop.is_set():
                left[STOPPED] = len(cases) - reasons.total() - left[REFUSED] - left[GONE]
                left = +left  # drops zero counts
                break
            try:
                messages = [] if dry_run else [replay.message() for replay in replays]
                answers = sender.send(messages) or [True] * len(replays)
            except Undelivered as error:
                expected = len(cases) - left[REFUSED] - left[GONE]
                raise _failure(error, sender.acknowledged, expected, topics.replays) from error
            for sent, is_acknowledged in zip(replays, answers, strict=True):
                if is_acknowledged:
                    reasons[cases[sent.first].slug] += 1
                else:
                    left[REFUSED] += 1
    return ReplaySummary(
        reasons.total(), dict(reasons.most_common()), dict(left.most_common()), dry_run
    )


def _newest(reader: TopicReader, topics: Topics, selection: Selection) -> dict[Source, _Case]:
    """By reading its newest letter."""
    cases: dict[Source, _Case] = {}
    for stored in letters(reader, topics):
        letter = stored.letter
        case = cases.get(letter.first)
        if case is None or letter.attempt >= case.attempt:
            cases[letter.first] = _Case(
                attempt=letter.attempt,
                slug=letter.slug,
                is_selected=selection.matches(stored),
                is_stray=letter.source.topic == topics.replays and letter.replay_of is None,
                partition=stored.partition,
                offset=stored.offset,
            )
    return cases


def _drop_excluded(cases: dict[Source, _Case], most: int) -> Iterator[str]:
    """Remove the cases that may not be sent whatever the topics hold; yields the reason of each."""
    for first, case in list(cases.items()):
        if case.is_stray:
            why = STRAY
        elif case.attempt >= most:
            why = EXHAUSTED.format(times=quantity(case.attempt, "time"))
        elif case.slug == TOO_MANY_HEADERS:
            why = CROWDED
        else:
            continue
        del cases[first]
        yield why


def _drop_sent(reader: TopicReader, topics: Topics, cases: dict[Source, _Case]) -> Iterator[str]:
    """Remove the cases sent again after their newest letter; yields the reason of each."""
    for records in reader.records(topics.replays) if cases else ():
        for record in records:
            try:
                replay = Replay.of(None, None, record.headers)
            except BadReading:
                continue  # it has a dead letter of its own
            case = cases.get(replay.first)
            if case is not None and replay.attempt > case.attempt:
                del cases[replay.first]
                yield SENT


def _drop_scored(reader: TopicReader, topics: Topics, cases: dict[Source, _Case]) -> Iterator[str]:
    """Remove the cases that have a score; yields the reason of each."""
    ids = {first.id.encode(): first for first in cases}
    for records in reader.records(topics.scores) if cases else ():
        for record in records:
            names = [value for name, value in record.headers if name == ID]
            if record.value and len(names) == 1 and names[0] in ids:
                del cases[ids.pop(names[0])]
                yield SCORED


def _replays(
    reader: TopicReader, topics: Topics, cases: dict[Source, _Case], left: Counter[str]
) -> Iterator[list[Replay]]:
    """The readings to send, some at a time; last those whose letters lack their bytes."""
    bare: list[DeadLetter] = []
    start: Positions = {}
    for case in cases.values():
        start[case.partition] = min(case.offset, start.get(case.partition, case.offset))
    places = {(case.partition, case.offset) for case in cases.values()}
    for records in reader.records(topics.dead_letters, start) if cases else ():
        replays = []
        for record in records:
            if (record.partition, record.offset) in places:
                letter = DeadLetter.of(record.key, record.value, record.headers)
                if letter.slug in _BARE and letter.value is None:
                    bare.append(letter)
                else:
                    replays.append(_again(letter))
        yield replays
    for letter in bare:
        original = raw_records.read_original(reader, letter.source)
        if original is not None and is_cut(*original):
            left[REFUSED] += 1
            continue
        whole = _whole(original, letter)
        if whole is None:
            left[GONE] += 1
        else:
            yield [_again(whole)]


def _again(letter: DeadLetter) -> Replay:
    return Replay(letter.first, letter.attempt + 1, letter.key, letter.value, letter.headers)


def _whole(original: Message | None, letter: DeadLetter) -> DeadLetter | None:
    """The letter with everything its reading held, which is at its place in the topic; None if the
    reading is no longer there.
    """
    if original is None:
        return None
    headers = tuple(original.headers)
    if letter.replay_of is not None:
        try:
            headers = Replay.of(*original).headers
        except BadReading:
            return None
    # A letter that is too large by its key and headers alone has neither.
    if letter.key not in (None, original.key) or letter.headers not in ((), headers):
        return None
    return replace(letter, key=original.key, value=original.value, headers=headers)


def _failure(error: Undelivered, sent_before: int, expected: int, topic: str) -> ReplayFailed:
    """The error for a Kafka that stopped taking replays after `sent_before` of them."""
    chunk = error.deliveries[topic]
    acknowledged = sent_before + chunk.acknowledged
    delivery = Delivery(acknowledged, expected - acknowledged - chunk.unknown, chunk.unknown)
    silent = f"no answer for {OUTWAITED_MS // 1000} s"
    cause = silent if isinstance(error, Unanswered) else str(error.__cause__)
    return ReplayFailed(
        f"Kafka stopped taking replays ({cause}): {delivery}. The dead letters are "
        f"still in their topic, so no reading is lost. Run the same command again: it checks what "
        f"Kafka has, and sends what is missing."
    )
