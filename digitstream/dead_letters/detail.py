"""Shows one dead letter in full."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from contract.errors import UsageError
from contract.wire.events import Source
from contract.wire.topics import Topics
from digitstream.accounts.topic_reader import TopicReader
from digitstream.dead_letters import ascii_art
from digitstream.dead_letters.listing import ListedLetter, Selection, Stored, letters


class NoSuchLetter(UsageError):
    """The named reading has no dead letter."""


@dataclass(frozen=True)
class Detail:
    """A dead letter in full; bytes that are not UTF-8 become escapes.

    `picture` is the image in block characters, `dump` the bytes in hex if there is no image.
    `earlier` are the earlier letters of the same reading.
    """

    letter: ListedLetter
    reading: str
    headers: list[tuple[str, str | None]]
    picture: str | None
    dump: str | None
    value_base64: str | None
    earlier: list[ListedLetter]


def read_detail(reader: TopicReader, topics: Topics, id: Source) -> Detail:
    """Read the newest dead letter of the reading at `id`, or whose replay is at `id`.

    Raises NoSuchLetter and TopicMissing.
    """
    first = _first_place(reader, topics, id)
    selection = Selection(ids=frozenset({first}))
    matching = [stored for stored in letters(reader, topics) if selection.matches(stored)]
    matching.sort(key=lambda stored: (stored.letter.attempt, stored.time))
    # A query that starts over answers again: the last answer to each record is enough.
    *earlier, newest = {stored.letter.source: stored for stored in matching}.values()
    return _detail(newest, [ListedLetter.of(stored) for stored in earlier])


def _first_place(reader: TopicReader, topics: Topics, id: Source) -> Source:
    """The place of the reading as it came from its device."""
    selection = Selection(ids=frozenset({id}))
    matching = [stored for stored in letters(reader, topics) if selection.matches(stored)]
    if matching:
        return max(matching, key=lambda stored: stored.time).letter.first
    message = (
        f"{topics.dead_letters} has no dead letter of {id.id}. An ID is the topic/partition/offset "
        f"of a reading that could not be scored. `digitstream dead-letters list` shows them."
    )
    raise NoSuchLetter(message)


def _detail(stored: Stored, earlier: list[ListedLetter]) -> Detail:
    letter = stored.letter
    picture = ascii_art.drawn(letter.value)
    return Detail(
        letter=ListedLetter.of(stored),
        reading=letter.first.id,
        headers=[(name, None if value is None else text(value)) for name, value in letter.headers],
        picture=picture,
        dump=ascii_art.dumped(letter.value) if letter.value and picture is None else None,
        value_base64=None if letter.value is None else base64.b64encode(letter.value).decode(),
        earlier=earlier,
    )


def text(value: bytes) -> str:
    """Bytes from outside as text."""
    return value.decode("utf-8", "backslashreplace")
