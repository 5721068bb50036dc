"""Rows in INDEX that readers need and the rules do not: what touched an account when, how a batch's extent and
restrictions came to be, which holds an account has, and where old ids were decided.

Everything here is made from a block alone, in the batch that makes it final, and is made again with the state by
`node.rebuild`; the rows of holds, which can also be made from a state, are in `node.held`. Consensus state is in
`node.core.tables`; how rows become answers is in `node.reads`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from keeling.encoding import I64, TEXT, U8, U32, U64, listing, record
from keeling.events import Event, EventKind
from keeling.operations import WhenPrecision
from node.archive import ArchivedBlock
from node.core import tables as t
from node.core.block import Block
from node.core.records import DECIDED, Decided
from node.core.state import State
from node.core.tables import after
from node.held import AccountOfHold, holds_of, put_holds
from node.store.contract import Batch, Family, Reads

DAY_MS: Final = 86_400_000


class Delta(NamedTuple):
    """Units that came to (or left) one batch and state of an account. `since_ms` is when that took effect.

    A source that says only the day means all of it: `since_ms` is then its start in UTC.
    """

    batch: str
    state: int
    since_ms: int
    units: int


class Touched(NamedTuple):
    """What one block did to one account: the ordinals of its events, and the units by batch, state and date."""

    events: tuple[int, ...]
    deltas: tuple[Delta, ...]


class Grown(NamedTuple):
    """The extent of a batch since an event, in units, and how many of them the event showed for the first time."""

    since_ms: int
    extent: int
    shown: int


class Change(IntEnum):
    """What can happen to restrictions; numbers are in rows."""

    BEGUN = 1
    ENDED = 2
    RENUMBERED = 3
    """No restriction in particular: the unit at position `first` is known to be the one at position `to`."""


class Limited(NamedTuple):
    """A restriction that began, or ended, on positions of a batch."""

    since_ms: int
    change: int
    restriction: str
    first: int
    units: int
    to: int = 0


_GROWN: Final = listing(record(Grown, I64, U64, U64))
_LIMITED: Final = listing(record(Limited, I64, U8, TEXT, U64, U64, U64))
_TOUCHED: Final = record(Touched, listing(U32), listing(record(Delta, TEXT, U8, I64, I64)))
_DELTA_TAIL: Final = struct.Struct(">Bqq")
_COUNT: Final = struct.Struct(">I")

_ABOUT_ACCOUNT: Final = frozenset(
    {
        EventKind.ACCOUNT_OPENED,
        EventKind.POLICY_SET,
        EventKind.ACCOUNT_CLOSED,
        EventKind.LINKED,
        EventKind.MANDATE_GRANTED,
        EventKind.MANDATE_REVOKED,
    }
)
"""Kinds whose subject is an account that need not be in any of their moves."""
_ABOUT_HOLD: Final = frozenset({EventKind.DISPATCHED, EventKind.CAPTURED, EventKind.RELEASED, EventKind.HOLD_EXPIRED})
_LINK_OF: Final = "account:"
RENUMBERED: Final = "renumbered"
"""Fact of an EXTENDED event: "100 0" says that the unit at position 100 has been the one at position 0 all along."""
_EXTENDS: Final = frozenset({EventKind.ISSUED, EventKind.EXTENDED})
_LIMITS: Final = frozenset({EventKind.RESTRICTED, EventKind.UNRESTRICTED})


# -- keys


def account_key(account: str, height: int | None = None) -> bytes:
    """Key of what a block did to an account; without a height, the prefix of all of the account's."""
    prefix = b"a" + TEXT.encode(account)
    return prefix if height is None else prefix + U64.encode(height)


def batch_key(batch: str) -> bytes:
    """Key of the newest height at which units of a batch moved."""
    return b"b" + TEXT.encode(batch)


def extent_key(batch: str = "", height: int | None = None) -> bytes:
    """Key of how a block changed what is known of a batch; without a height, the prefix of its rows, or of all."""
    prefix = b"e" + TEXT.encode(batch) if batch else b"e"
    return prefix if height is None else prefix + U64.encode(height)


def restriction_key(batch: str, height: int) -> bytes:
    """Key of the restrictions that began or ended in a block on positions of a batch."""
    return b"r" + TEXT.encode(batch) + U64.encode(height)


def old_id_key(state_key: bytes) -> bytes:
    """Key of an id that left the state's window, from its key there."""
    return b"i" + state_key[len(t.IDS.prefix) :]


# -- writing


def put_indexes(batch: Batch, block: Block, state: State) -> None:
    """Add a final block's rows to its batch. `state` is one that knows the block's holds; later ones do too."""
    account_of_hold = holds_of(state)
    put_events(batch, block.header.height, block.events, account_of_hold)
    put_holds(batch, block.changes, account_of_hold)
    for key, decided in block.forgotten:
        batch.put(Family.INDEX, old_id_key(key), DECIDED.encode(decided))


def put_events(batch: Batch, height: int, events: Sequence[Event], account_of_hold: AccountOfHold) -> None:
    """Add the rows of one block's events, in their order, to a batch."""
    touched: dict[str, list[int]] = {}
    units: dict[tuple[str, str, int, int], int] = {}
    batches: dict[str, None] = {}
    about: list[Event] = []
    for ordinal, event in enumerate(events):
        moves = event.moves
        if moves:
            since = since_ms(event)
            for name, _, count, giver, from_state, _, taker, to_state in moves:
                if giver:
                    source = (giver, name, from_state, since)
                    units[source] = units.get(source, 0) - count
                    known = touched.get(giver)
                    if known is None:
                        touched[giver] = [ordinal]
                    elif known[-1] != ordinal:
                        known.append(ordinal)
                target = (taker, name, to_state, since)
                units[target] = units.get(target, 0) + count
                known = touched.get(taker)
                if known is None:
                    touched[taker] = [ordinal]
                elif known[-1] != ordinal:
                    known.append(ordinal)
                batches[name] = None
        if event.ranges:
            about.append(event)
        if event.kind != EventKind.TRANSFERRED or event.cash:
            for account in _other_accounts(event, account_of_hold):
                known = touched.setdefault(account, [])
                if not known or known[-1] != ordinal:
                    known.append(ordinal)
    _put_touched(batch, height, touched, units)
    for name in batches:
        batch.put(Family.INDEX, batch_key(name), U64.encode(height))
    if about:
        _put_ranges(batch, height, about)


def _put_ranges(batch: Batch, height: int, events: Sequence[Event]) -> None:
    """Rows of what happened to extents and restrictions, in the order of the events."""
    grown: dict[str, list[Grown]] = {}
    limited: dict[str, list[Limited]] = {}
    for event in events:
        since = since_ms(event)
        if event.kind in _EXTENDS:
            for name, _, size in event.ranges:
                shown = sum(move.units for move in event.moves if not move.from_account)
                grown.setdefault(name, []).append(Grown(since, size, shown))
            renumbered = event.fact(RENUMBERED)
            if renumbered:
                old, new = renumbered.split(" ")
                limited.setdefault(event.subject, []).append(
                    Limited(since, Change.RENUMBERED, "", int(old), 1, int(new))
                )
        elif event.kind in _LIMITS:
            change = Change.BEGUN if event.kind == EventKind.RESTRICTED else Change.ENDED
            for name, first, size in event.ranges:
                limited.setdefault(name, []).append(Limited(since, change, event.subject, first, size))
    for name, extents in grown.items():
        batch.put(Family.INDEX, extent_key(name, height), _GROWN.encode(tuple(extents)))
    for name, changes in limited.items():
        batch.put(Family.INDEX, restriction_key(name, height), _LIMITED.encode(tuple(changes)))


def since_ms(event: Event) -> int:
    """The moment from which an event counts by its source: a day counts from its start in UTC."""
    when = event.effective
    return when.ms - when.ms % DAY_MS if when.precision == WhenPrecision.DATE else when.ms


def _other_accounts(event: Event, account_of_hold: AccountOfHold) -> Iterator[str]:
    """The accounts an event is about besides those its units move between."""
    for cash in event.cash:
        if cash.from_account:
            yield cash.from_account
        if cash.to_account:
            yield cash.to_account
    if event.kind in _ABOUT_ACCOUNT:
        yield event.subject
    elif event.kind == EventKind.LINK_STATE and event.subject.startswith(_LINK_OF):
        yield event.subject.removeprefix(_LINK_OF)
    elif event.kind in _ABOUT_HOLD and not event.moves:
        yield account_of_hold(bytes.fromhex(event.subject))


def _put_touched(
    batch: Batch, height: int, touched: dict[str, list[int]], units: dict[tuple[str, str, int, int], int]
) -> None:
    """One row per account: written by hand in the form of `_TOUCHED`, because every transaction pays for it."""
    deltas: dict[str, list[bytes]] = {}
    heads: dict[str, bytes] = {}
    pack_delta, pack_count = _DELTA_TAIL.pack, _COUNT.pack
    for (account, name, state, since), count in units.items():
        if count:
            head = heads.get(name)
            if head is None:
                head = heads[name] = TEXT.encode(name)
            row = head + pack_delta(state, since, count)
            known = deltas.get(account)
            if known is None:
                deltas[account] = [row]
            else:
                known.append(row)
    tail, put = U64.encode(height), batch.put
    for account, ordinals in touched.items():
        raw = account.encode()
        own = deltas.get(account, [])
        own.sort()
        events = b"".join(map(pack_count, ordinals))
        value = b"".join((pack_count(len(ordinals)), events, pack_count(len(own)), *own))
        put(Family.INDEX, b"".join((b"a", pack_count(len(raw)), raw, tail)), value)


def archived_event_bytes(block: ArchivedBlock) -> Iterator[bytes]:
    """All events of a block in their order, encoded: the sweeps', then each transaction's."""
    yield from block.sweeps
    for submission in block.submissions:
        for answer in submission.answers:
            yield from answer.events


# -- reading


def scan_account(
    reads: Reads, account: str, first: int, last: int, most: int | None = None
) -> Iterator[tuple[int, Touched]]:
    """What the blocks `first` .. `last` did to an account, by height."""
    for key, raw in reads.scan(Family.INDEX, account_key(account, first), account_key(account, last + 1), limit=most):
        yield U64.decode(key[-8:]), _TOUCHED.decode(raw)


def scan_accounts(reads: Reads, start: bytes, last: int) -> Iterator[tuple[str, int, Touched]]:
    """The same of every account from the key `start` on, account by account."""
    for key, raw in reads.scan(Family.INDEX, max(start, b"a"), after(b"a")):
        height = U64.decode(key[-8:])
        if height <= last:
            yield TEXT.decode(key[1:-8]), height, _TOUCHED.decode(raw)


def scan_extents(reads: Reads, last: int, batch: str = "") -> Iterator[tuple[str, Grown]]:
    """How the extent of a batch, or of all of them batch by batch, came to be up to a height."""
    prefix = extent_key(batch)
    for key, raw in reads.scan(Family.INDEX, prefix, after(prefix)):
        if U64.decode(key[-8:]) <= last:
            name = batch or TEXT.decode(key[1:-8])
            for grown in _GROWN.decode(raw):
                yield name, grown


def scan_restrictions(reads: Reads, batch: str, last: int) -> Iterator[Limited]:
    """What restrictions began and ended on a batch up to a height, in order."""
    for _, change in scan_restrictions_placed(reads, batch, last):
        yield change


def scan_restrictions_placed(reads: Reads, batch: str, last: int) -> Iterator[tuple[int, Limited]]:
    """The same, each with the height at which it was known."""
    for key, raw in reads.scan(Family.INDEX, restriction_key(batch, 0), restriction_key(batch, last + 1)):
        for change in _LIMITED.decode(raw):
            yield U64.decode(key[-8:]), change


def read_last_touched(reads: Reads, account: str) -> int:
    """The newest height at which something was done to an account; 0: never."""
    prefix = account_key(account)
    newest = next(iter(reads.scan(Family.INDEX, prefix, after(prefix), reverse=True, limit=1)), None)
    return 0 if newest is None else U64.decode(newest[0][-8:])


def read_last_moved(reads: Reads, batch: str) -> int:
    """The newest height at which units of a batch moved; 0: never."""
    raw = reads.get(Family.INDEX, batch_key(batch))
    return 0 if raw is None else U64.decode(raw)


def read_old_id(reads: Reads, transaction_id: bytes, participant: str) -> Decided | None:
    """Where an id that the state has forgotten was decided."""
    raw = reads.get(Family.INDEX, old_id_key(t.IDS.key(transaction_id, participant)))
    return None if raw is None else DECIDED.decode(raw)
