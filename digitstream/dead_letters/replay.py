"""Sends readings that became dead letters again, each under the id of the reading that it was."""

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
from digitstream.dead_letters.listing import Wanted, letters
from producers.pacing import stop_on_signals
from producers.sending import OUTWAITED_MS, Delivery, Unanswered, Undelivered

MOST_ATTEMPTS = 5
"""How often a reading is sent at most, its device's own time included, unless told otherwise."""

SCORED = "has a score already"
SENT = "was sent again already"
EXHAUSTED = "was sent {times}, the most that --most-attempts allows"
GONE = "is no longer where it lay, and its letter was too large to hold it"
STRAY = "came by the topic of replays without naming its reading"
REFUSED = "is larger than the topic of replays takes"
STOPPED = "was still to be sent when the command was stopped"
CROWDED = "had more headers than a reading may have"

# What a letter may lack its reading's bytes for.
_BARE = (TOO_LARGE, UNREADABLE, UNANSWERABLE)


class ReplayFailed(ProgramError):
    """Kafka stopped taking replays; the same command sends those that it did not take."""

    retriable = True


@dataclass(frozen=True)
class Replayed:
    """What became of the letters that were wanted, by reading: sent, or left for a reason.

    `by_reason` counts what was sent by the letters' reasons, `left` what was not by the sentence
    that says why. With `dry_run` nothing was sent.
    """

    sent: int
    by_reason: dict[str, int]
    left: dict[str, int]
    dry_run: bool


@dataclass(frozen=True)
class _Case:
    """A reading's newest letter: what decides on it, and where the letter lies."""

    attempt: int
    slug: str
    wanted: bool
    stray: bool
    partition: int
    offset: int


def replay(
    reader: TopicReader,
    topics: Topics,
    kafka: Kafka,
    wanted: Wanted,
    most: int = MOST_ATTEMPTS,
    *,
    dry_run: bool = False,
) -> Replayed:
    """Send the readings whose newest letter is wanted to the topic of replays, each once.

    Ctrl-C or SIGTERM ends the sending: what was sent is awaited, the rest is left. Run again it
    sends nothing twice: what was sent is on that topic, and what has been answered is
    on the others. Two that run at once may; the answers then have one id. Raises TopicMissing,
    BrokerUnavailable and ReplayFailed. What is no letter is passed over.
    """
    left: Counter[str] = Counter()
    cases = {first: case for first, case in _newest(reader, topics, wanted).items() if case.wanted}
    left.update(_ruled_out(cases, most))
    left.update(_sent_already(reader, topics, cases))
    left.update(_scored_already(reader, topics, cases))
    reasons: Counter[str] = Counter()
    with stop_on_signals() as stop, raw_records.sending(kafka, topics.replays) as sender:
        for replays in _replays(reader, topics, cases, left):
            if stop.is_set():
                left[STOPPED] = len(cases) - reasons.total() - left[REFUSED] - left[GONE]
                left = +left  # without what counts none
                break
            try:
                taken = sender.send([] if dry_run else [again.message() for again in replays])
            except Undelivered as trouble:
                wanted_count = len(cases) - left[REFUSED] - left[GONE]
                raise _failed(trouble, sender.taken, wanted_count, topics.replays) from trouble
            for again, is_taken in zip(replays, taken or [True] * len(replays), strict=True):
                if is_taken:
                    reasons[cases[again.first].slug] += 1
                else:
                    left[REFUSED] += 1
    return Replayed(reasons.total(), dict(reasons.most_common()), dict(left.most_common()), dry_run)


def _newest(reader: TopicReader, topics: Topics, wanted: Wanted) -> dict[Source, _Case]:
    """Reading -> its newest letter."""
    found: dict[Source, _Case] = {}
    for stored in letters(reader, topics):
        letter = stored.letter
        known = found.get(letter.first)
        if known is None or letter.attempt >= known.attempt:
            found[letter.first] = _Case(
                attempt=letter.attempt,
                slug=letter.slug,
                wanted=wanted.takes(stored),
                stray=letter.source.topic == topics.replays and letter.replay_of is None,
                partition=stored.partition,
                offset=stored.offset,
            )
    return found


def _ruled_out(cases: dict[Source, _Case], most: int) -> Iterator[str]:
    """Take out the cases that may not be sent whatever the topics hold; yields why, for each."""
    for first, case in list(cases.items()):
        if case.stray:
            why = STRAY
        elif case.attempt >= most:
            why = EXHAUSTED.format(times=quantity(case.attempt, "time"))
        elif case.slug == TOO_MANY_HEADERS:
            why = CROWDED
        else:
            continue
        del cases[first]
        yield why


def _sent_already(reader: TopicReader, topics: Topics, cases: dict[Source, _Case]) -> Iterator[str]:
    """Take out the cases that were sent again since their newest letter; yields why, for each."""
    for records in reader.records(topics.replays) if cases else ():
        for record in records:
            try:
                known = Replay.of(None, None, record.headers)
            except BadReading:
                continue  # it has a dead letter of its own
            case = cases.get(known.first)
            if case is not None and known.attempt > case.attempt:
                del cases[known.first]
                yield SENT


def _scored_already(
    reader: TopicReader, topics: Topics, cases: dict[Source, _Case]
) -> Iterator[str]:
    """Take out the cases that have a score; yields why, for each."""
    ids = {first.id.encode(): first for first in cases}
    for records in reader.records(topics.scores) if cases else ():
        for record in records:
            named = [value for name, value in record.headers if name == ID]
            if record.value and len(named) == 1 and named[0] in ids:
                del cases[ids.pop(named[0])]
                yield SCORED


def _replays(
    reader: TopicReader, topics: Topics, cases: dict[Source, _Case], left: Counter[str]
) -> Iterator[list[Replay]]:
    """The readings to send, some at a time; last those that their letter lacks."""
    bare: list[DeadLetter] = []
    start: Positions = {}
    for case in cases.values():
        start[case.partition] = min(case.offset, start.get(case.partition, case.offset))
    places = {(case.partition, case.offset) for case in cases.values()}
    for records in reader.records(topics.dead_letters, start) if cases else ():
        found = []
        for record in records:
            if (record.partition, record.offset) in places:
                letter = DeadLetter.of(record.key, record.value, record.headers)
                if letter.slug in _BARE and letter.value is None:
                    bare.append(letter)
                else:
                    found.append(_again(letter))
        yield found
    for letter in bare:
        original = raw_records.original(reader, letter.source)
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


def _whole(found: Message | None, letter: DeadLetter) -> DeadLetter | None:
    """The letter with all that its reading held, which is what lies at its place; None if it lies
    there no longer.
    """
    if found is None:
        return None
    headers = tuple(found.headers)
    if letter.replay_of is not None:
        try:
            headers = Replay.of(*found).headers
        except BadReading:
            return None
    # A letter that is too large by its key and headers alone has neither.
    if letter.key not in (None, found.key) or letter.headers not in ((), headers):
        return None
    return replace(letter, key=found.key, value=found.value, headers=headers)


def _failed(trouble: Undelivered, taken: int, wanted: int, topic: str) -> ReplayFailed:
    """That Kafka stopped taking replays when it had taken so many."""
    chunk = trouble.deliveries[topic]
    acknowledged = taken + chunk.acknowledged
    delivery = Delivery(acknowledged, wanted - acknowledged - chunk.unknown, chunk.unknown)
    silent = f"no answer for {OUTWAITED_MS // 1000} s"
    cause = silent if isinstance(trouble, Unanswered) else str(trouble.__cause__)
    return ReplayFailed(
        f"Kafka stopped taking replays ({cause}): {delivery}. The dead letters are "
        f"where they were, so no reading is lost. Run the same command again: it looks at what "
        f"Kafka has by then, and sends what is missing."
    )
