"""One dead letter in full, with what it holds made visible."""

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
    """No dead letter answers the reading that was named."""


@dataclass(frozen=True)
class Detail:
    """A dead letter in full; of bytes that are no UTF-8 texts have escapes.

    `picture` is the image in block characters, `dump` the bytes in hex where there is none.
    `earlier` are the letters of the same reading before this one.
    """

    letter: ListedLetter
    reading: str
    headers: list[tuple[str, str | None]]
    picture: str | None
    dump: str | None
    value_base64: str | None
    earlier: list[ListedLetter]


def read_detail(reader: TopicReader, topics: Topics, id: Source) -> Detail:
    """The newest dead letter of the reading that lies, or whose replay lies, at `id`.

    Raises NoSuchLetter and TopicMissing.
    """
    first = _first_place(reader, topics, id)
    wanted = Selection(ids=frozenset({first}))
    found = [stored for stored in letters(reader, topics) if wanted.takes(stored)]
    found.sort(key=lambda stored: (stored.letter.attempt, stored.time))
    # A query that starts anew answers again: the last answer to each record is enough.
    *earlier, newest = {stored.letter.source: stored for stored in found}.values()
    return _detail(newest, [ListedLetter.of(stored) for stored in earlier])


def _first_place(reader: TopicReader, topics: Topics, id: Source) -> Source:
    """Where the reading lay when it came from its device."""
    wanted = Selection(ids=frozenset({id}))
    matching = [stored for stored in letters(reader, topics) if wanted.takes(stored)]
    if matching:
        return max(matching, key=lambda stored: stored.time).letter.first
    message = (
        f"{topics.dead_letters} holds no dead letter of {id.id}. An ID is topic/partition/offset "
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
    """Foreign bytes as text."""
    return value.decode("utf-8", "backslashreplace")
