"""Which units a file has shown already: finds rows of one file that claim the same units twice.

Kept per space as one integer a range in sorted chunks, about 60 bytes a row, because a file may have a million rows in
any order. Ranges the ledger knows are not here, nor a book that is kept on disk.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Final, NamedTuple, Protocol

from keeling.serials import SerialRange

_STATE_BITS: Final = 4
_ROW_BITS: Final = 32
_SIZE_BITS: Final = 64
_SIZE_SHIFT: Final = _STATE_BITS + _ROW_BITS
_FIRST_SHIFT: Final = _SIZE_SHIFT + _SIZE_BITS
_SIZE_MASK: Final = (1 << _SIZE_BITS) - 1
_CHUNK_RANGES_MAX: Final = 2000


class Clash(NamedTuple):
    """An earlier row that holds some of the same units."""

    row: int
    first: int
    last: int
    state: int
    """What `add` was told about the earlier row."""


class RangeBook(Protocol):
    """The disjoint ranges of the rows so far, wherever they are kept."""

    def add(self, serials: SerialRange, row: int, state: int) -> Clash | None:
        """Remember the row's range, or return the earlier row it clashes with and remember nothing.

        A range may hold at most 2**63 units, a file 2**32 rows, and a state is a number from 0 to 15. Of several rows
        it clashes with the one with the lowest numbers is told.
        """


class SeenRanges:
    """A `RangeBook` in memory."""

    def __init__(self) -> None:
        self._spaces: Final[dict[str, _Space]] = {}

    def add(self, serials: SerialRange, row: int, state: int) -> Clash | None:
        """See `RangeBook`."""
        space = self._spaces.get(serials.space)
        if space is None:
            space = self._spaces[serials.space] = _Space()
        return space.add(serials.first, serials.last, row << _STATE_BITS | state)

    def find(self, serials: SerialRange) -> Clash | None:
        """Return the row it would clash with, and remember nothing."""
        space = self._spaces.get(serials.space)
        return None if space is None else space.find(serials.first, serials.last)


class _Space:
    """Ranges as integers (first, size, row, state), sorted, in chunks so that inserting stays cheap."""

    def __init__(self) -> None:
        self._chunks: Final[list[list[int]]] = [[]]
        self._lows: Final[list[int]] = [0]

    def find(self, first: int, last: int) -> Clash | None:
        key = (first << _SIZE_BITS | last - first) << _SIZE_SHIFT
        place = max(bisect_right(self._lows, key) - 1, 0)
        return self._clash_at(place, bisect_left(self._chunks[place], key), first, last)

    def add(self, first: int, last: int, row_and_state: int) -> Clash | None:
        key = (first << _SIZE_BITS | last - first) << _SIZE_SHIFT | row_and_state
        place = bisect_right(self._lows, key) - 1
        chunk = self._chunks[place]
        at = bisect_left(chunk, key)
        if (clash := self._clash_at(place, at, first, last)) is not None:
            return clash
        chunk.insert(at, key)
        if len(chunk) > _CHUNK_RANGES_MAX:
            half = len(chunk) // 2
            self._chunks.insert(place + 1, chunk[half:])
            self._lows.insert(place + 1, chunk[half])
            del chunk[half:]
        return None

    def _clash_at(self, place: int, at: int, first: int, last: int) -> Clash | None:
        chunk = self._chunks[place]
        if at or place:
            below = chunk[at - 1] if at else self._chunks[place - 1][-1]
            if (below >> _FIRST_SHIFT) + (below >> _SIZE_SHIFT & _SIZE_MASK) >= first:
                return _clash(below)
        if at < len(chunk) or place + 1 < len(self._chunks):
            above = chunk[at] if at < len(chunk) else self._chunks[place + 1][0]
            if above >> _FIRST_SHIFT <= last:
                return _clash(above)
        return None


def _clash(key: int) -> Clash:
    first = key >> _FIRST_SHIFT
    row = key >> _STATE_BITS & ((1 << _ROW_BITS) - 1)
    return Clash(row, first, first + (key >> _SIZE_SHIFT & _SIZE_MASK), key & ((1 << _STATE_BITS) - 1))
