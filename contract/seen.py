"""Which ids were seen before: a bit each, in bounded memory."""

from __future__ import annotations

_BITS = 16
"""Offsets of a page, as a power of two: 64 Ki offsets are 8 KiB."""

_IN_PAGE = (1 << _BITS) - 1


class Seen:
    """A set of ids `topic/partition/offset` that forgets its oldest pages beyond `most` ids.

    Offsets of one partition lie close together, so that an id costs little more than a bit. What is
    forgotten counts as new again; what was never added is always new.
    """

    def __init__(self, most: int) -> None:
        self._pages: dict[tuple[bytes, int], bytearray] = {}
        self._most = max(most >> _BITS, 1)

    def add(self, id: bytes) -> bool:
        """Whether the id is new; it no longer is. Raises ValueError for one of another form."""
        partition, _, number = id.rpartition(b"/")
        offset = int(number)
        place = (partition, offset >> _BITS)
        page = self._pages.get(place)
        if page is None:
            page = self._pages[place] = bytearray(1 << (_BITS - 3))
            if len(self._pages) > self._most:
                del self._pages[next(iter(self._pages))]
        at, bit = (offset & _IN_PAGE) >> 3, 1 << (offset & 7)
        if page[at] & bit:
            return False
        page[at] |= bit
        return True
