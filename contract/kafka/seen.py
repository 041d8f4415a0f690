"""A set of recently seen ids, one bit each, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from contract.wire.reasons import printable

_BITS = 13
"""Binary logarithm of a page's number of offsets: 8,192 offsets take 1 KiB."""

_IN_PAGE = (1 << _BITS) - 1

MOST_PAGES = 100_000
"""Largest number of pages, beyond those that `most` adjacent ids fill: some 130 MB."""

_Place = tuple[bytes, int]
"""A partition, as `topic/partition`, and the number of a page of its offsets."""


@dataclass(slots=True)
class _Page:
    """The ids of 8,192 adjacent offsets; `used` is the count of new ids at its last use."""

    used: int
    bits: bytearray = field(default_factory=lambda: bytearray(1 << (_BITS - 3)))


class Seen:
    """A set of ids `topic/partition/offset` that remembers at least the last `most` of them.

    Ids of one partition are close together, so that an id takes little more than a bit. They are
    stored in pages of 8,192 offsets. A page is dropped once `most` new ids were added since its
    last use, except for the last used page of each partition. If ids are so far apart that there
    are more than MOST_PAGES pages, the least recently used ones are dropped sooner. A dropped id
    counts as new again; an id that was never added is always new.
    """

    def __init__(self, most: int) -> None:
        self._most = max(most, 1)
        self._most_pages = MOST_PAGES + (most >> _BITS)
        self._new = 0
        # Both in order of last use. A resting page is an old one that its partition used last.
        self._pages: OrderedDict[_Place, _Page] = OrderedDict()
        self._resting: OrderedDict[bytes, tuple[int, _Page]] = OrderedDict()
        self._last: dict[bytes, int] = {}
        # No page is old while fewer ids were new.
        self._none_is_old_before = self._most

    def add(self, id: bytes) -> bool:
        """Add an id; returns whether it is new. Raises ValueError if its form is wrong."""
        partition, _, digits = id.rpartition(b"/")
        if not digits.isdigit() or (digits[0] == ord("0") and digits != b"0"):
            text = id.decode("utf-8", "backslashreplace")
            message = f"{printable(text)!r} is not topic/partition/offset"
            raise ValueError(message)
        offset = int(digits)
        page = self._page(partition, offset >> _BITS)
        at, bit = (offset & _IN_PAGE) >> 3, 1 << (offset & 7)
        is_new = not page.bits[at] & bit
        if is_new:
            page.bits[at] |= bit
            self._new += 1
        page.used = self._new
        if self._new >= self._none_is_old_before:
            self._forget_old()
        if len(self._pages) + len(self._resting) > self._most_pages:
            self._forget_excess()
        return is_new

    def __len__(self) -> int:
        """The number of pages."""
        return len(self._pages) + len(self._resting)

    def _page(self, partition: bytes, number: int) -> _Page:
        """The page, marked as the most recently used one, also of its partition."""
        place = (partition, number)
        page = self._pages.get(place)
        if page is not None:
            self._pages.move_to_end(place)
        else:
            resting, page = self._resting.pop(partition, (None, None))
            if page is None or resting != number:
                page = _Page(self._new)
            self._pages[place] = page
        self._last[partition] = number
        return page

    def _forget_old(self) -> None:
        """Drop the pages since whose last use `most` ids were new, or let them rest."""
        oldest = self._new - self._most
        while (front := next(iter(self._pages.items())))[1].used <= oldest:
            (partition, number), page = front
            del self._pages[partition, number]
            if self._last[partition] == number:
                self._resting[partition] = (number, page)
        self._none_is_old_before = front[1].used + self._most

    def _forget_excess(self) -> None:
        """Drop the least recently used pages while there are too many."""
        while len(self) > self._most_pages:
            if self._resting:
                partition, _ = self._resting.popitem(last=False)
            else:
                (partition, number), _ = self._pages.popitem(last=False)
                if self._last[partition] != number:
                    continue
            del self._last[partition]
