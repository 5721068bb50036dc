"""Events in their exact order, page by page from a cursor: what Watch sends. Waiting for new ones is the service's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from keeling.encoding import U64, Ref
from keeling.events import EVENT
from keeling.reasons import Reason
from keeling.v1 import ledger_pb2 as pb
from node.archive import ARCHIVED_BLOCK, ArchivedBlock, read_archive
from node.indexes import archived_event_bytes, scan_account
from node.reads.errors import BeyondFinal, NotKept
from node.reads.messages import convert_event
from node.reads.serials import serials_of
from node.reads.view import ReadState
from node.store.contract import Family, Reads

PAGE_BYTES_MAX: Final = 1 << 20
"""Encoded events of one page, the last one apart: the message stays below the 4 MiB that gRPC takes by default."""
BLOCKS_MAX: Final = 100
"""Blocks read for one page of an account's events: a full one takes some milliseconds."""


class EventPage(NamedTuple):
    """Events after a cursor, and the (height, ordinal) up to which everything has been given."""

    events: list[pb.Event]
    cursor: tuple[int, int]


def read_events(view: Reads, after: tuple[int, int] | None, account: str = "", most: int = 1_000) -> EventPage:
    """The next events after a cursor (None: from the beginning), at most `most`, of one account or all.

    In a block the sweeps' events come first, then each transaction's, in order. There are no events in a page only at
    the end. The cursor names the last event given, or at the end the last of the newest block (ordinal 0 where it has
    none), so that waiting readers do not fall behind what the node keeps.
    Raises `NotFound` for an unknown account, `BeyondFinal` and `NotKept` for a cursor that cannot be continued.
    """
    state = ReadState(view)
    if account:
        state.account_named(account)
    height, ordinal = after or (0, 0)
    start = Ref(height, ordinal + 1) if height else Ref(1, 0)
    _check_cursor(state, height, ordinal)
    blocks = _blocks_of(state, account, start) if account else _blocks(state, start)
    events: list[pb.Event] = []
    cursor, size = (height, ordinal), 0
    for at, time_ms, encoded, wanted in blocks:
        for each in wanted:
            if len(events) == most or size >= PAGE_BYTES_MAX:
                return EventPage(events, cursor)
            size += len(encoded[each])
            events.append(_convert(state, encoded[each], Ref(at, each), time_ms))
            cursor = (at, each)
        cursor = max(cursor, (at, max(len(encoded) - 1, 0)))
    return EventPage(events, cursor)


def _check_cursor(state: ReadState, height: int, ordinal: int) -> None:
    """The cursor is at an event (or an empty block) of a final block, and what follows it is kept."""
    if height > state.height:
        detail = f"the cursor {height}.{ordinal} is beyond the newest final height {state.height}"
        raise BeyondFinal(Reason.BEYOND_FINAL, detail, newest=state.height)
    if height == 0:
        if state.height and state.view.get(Family.EVENTS, U64.encode(1)) is None:
            raise _not_kept(state, 1)
        return
    block = read_archive(state.view, height)
    if block is None:
        raise _not_kept(state, height)
    size = sum(1 for _ in archived_event_bytes(block))
    if ordinal >= max(size, 1):
        detail = f"the cursor {height}.{ordinal} is at no event: block {height} has {size}"
        raise BeyondFinal(Reason.BEYOND_FINAL, detail, newest=state.height)


def _not_kept(state: ReadState, height: int) -> NotKept:
    oldest = next((U64.decode(key) for key, _ in state.view.scan(Family.EVENTS, limit=1)), state.height + 1)
    detail = f"events of block {height} are not kept here; the oldest kept are of block {oldest}"
    return NotKept(Reason.NOT_KEPT, detail, oldest=oldest)


_Block = tuple[int, int, list[bytes], list[int]]
"""Height, ledger time, encoded events, the ordinals wanted of them."""


def _blocks(state: ReadState, start: Ref) -> Iterator[_Block]:
    """Every block from `start` on."""
    low = U64.encode(start.height)
    for key, raw in state.view.scan(Family.EVENTS, low):
        height, block = U64.decode(key), ARCHIVED_BLOCK.decode(raw)
        encoded = list(archived_event_bytes(block))
        yield height, block.time_ms, encoded, list(range(start.ordinal if height == start.height else 0, len(encoded)))


def _blocks_of(state: ReadState, account: str, start: Ref) -> Iterator[_Block]:
    """The blocks from `start` on in which something happened to an account, and then the newest."""
    read, last = 0, 0
    for height, touched in scan_account(state.view, account, start.height, state.height, BLOCKS_MAX):
        read, last = read + 1, height
        block = _read(state, height)
        wanted = [each for each in touched.events if height > start.height or each >= start.ordinal]
        yield height, block.time_ms, list(archived_event_bytes(block)), wanted
    if read < BLOCKS_MAX and last < state.height:
        block = _read(state, state.height)
        yield state.height, block.time_ms, list(archived_event_bytes(block)), []


def _read(state: ReadState, height: int) -> ArchivedBlock:
    block = read_archive(state.view, height)
    if block is None:
        raise _not_kept(state, height)
    return block


def _convert(state: ReadState, encoded: bytes, place: Ref, time_ms: int) -> pb.Event:
    return convert_event(EVENT.decode(encoded), place, time_ms, serials_of(state))
