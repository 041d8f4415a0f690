"""Which ids were seen before: a bit each, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from contract.wire.reasons import shown

_BITS = 13
"""Offsets of a page, as a power of two: 8,192 offsets are 1 KiB."""

_IN_PAGE = (1 << _BITS) - 1

MOST_PAGES = 100_000
"""Pages that are kept at most beyond those that `most` adjacent ids fill: some 130 MB."""

_Place = tuple[bytes, int]
"""A partition, as `topic/partition`, and the number of a page of its offsets."""


@dataclass(slots=True)
class _Page:
    """The ids of 8,192 adjacent offsets; `used` is how many ids were new until its last use."""

    used: int
    bits: bytearray = field(default_factory=lambda: bytearray(1 << (_BITS - 3)))


class Seen:
    """A set of ids `topic/partition/offset` that remembers at least the last `most` of them.

    Ids of one partition lie close together, so that an id costs little more than a bit. They are
    kept in pages of 8,192 offsets. A page is forgotten once `most` other ids were new since it was
    used last, but a partition keeps the page that it used last. Where ids lie so far apart that
    there are more than MOST_PAGES pages, the least recently used ones are forgotten sooner. What is
    forgotten counts as new again; what was never added is always new.
    """

    def __init__(self, most: int) -> None:
        self._most = max(most, 1)
        self._most_pages = MOST_PAGES + (most >> _BITS)
        self._new = 0
        # Both in the order of their last use. A page rests if it is old, but its partition's last.
        self._pages: OrderedDict[_Place, _Page] = OrderedDict()
        self._resting: OrderedDict[bytes, tuple[int, _Page]] = OrderedDict()
        self._last: dict[bytes, int] = {}
        # No page is old before so many ids were new.
        self._none_is_old_before = self._most

    def add(self, id: bytes) -> bool:
        """Whether the id is new; it no longer is. Raises ValueError for one of another form."""
        partition, _, digits = id.rpartition(b"/")
        if not digits.isdigit() or (digits[0] == ord("0") and digits != b"0"):
            text = id.decode("utf-8", "backslashreplace")
            message = f"{shown(text)!r} is not topic/partition/offset"
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
            self._forget_some()
        return is_new

    def __len__(self) -> int:
        """How many pages there are."""
        return len(self._pages) + len(self._resting)

    def _page(self, partition: bytes, number: int) -> _Page:
        """The page, from now on the most recently used one, of its partition too."""
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
        """Drop the pages since whose last use enough ids were new, or let them rest."""
        oldest = self._new - self._most
        while (front := next(iter(self._pages.items())))[1].used <= oldest:
            (partition, number), page = front
            del self._pages[partition, number]
            if self._last[partition] == number:
                self._resting[partition] = (number, page)
        self._none_is_old_before = front[1].used + self._most

    def _forget_some(self) -> None:
        """Drop the least recently used pages if there are too many."""
        while len(self) > self._most_pages:
            if self._resting:
                partition, _ = self._resting.popitem(last=False)
            else:
                (partition, number), _ = self._pages.popitem(last=False)
                if self._last[partition] != number:
                    continue
            del self._last[partition]
