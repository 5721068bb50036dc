"""Events: what a transaction or a sweep changed, in names anyone can read, encoded canonically and covered by proofs.

Every event says what moved, from where to where, in which state, and which earlier event had put the units there, so
that the custody chain of any position can be walked back event by event to its issuance without an index. Who may
cause an event, and when, is decided in `node.core`.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from keeling.encoding import I64, REF, TEXT, U8, U32, U64, Codec, EncodingError, Ref, encode_name, listing, record
from keeling.operations import Range, When

SWEEP: Final = 0xFFFFFFFF
"""The transaction number of events that no transaction caused: expiries at the start of a block."""

NOWHERE: Final = Ref(0, 0)


class EventKind(IntEnum):
    """What happened. Operations share their number; what a block does by itself follows from 200."""

    ADMITTED = 1
    SUSPENDED = 2
    REPLACED = 3
    KEY_ROTATED = 4
    VALIDATORS_SET = 5
    RECORD_SET = 6
    VERSION_DECIDED = 7
    MOTION_OPENED = 8
    MOTION_APPROVED = 9
    ACCOUNT_OPENED = 10
    POLICY_SET = 11
    ACCOUNT_CLOSED = 12
    LINKED = 13
    MANDATE_GRANTED = 14
    MANDATE_REVOKED = 15
    PROJECT_REGISTERED = 20
    ISSUED = 21
    EXTENDED = 22
    MARKED = 30
    UNMARKED = 31
    RESTRICTED = 32
    UNRESTRICTED = 33
    NOTICE = 34
    TRANSFERRED = 40
    HELD = 41
    DISPATCHED = 42
    CAPTURED = 43
    RELEASED = 44
    RETIRED = 50
    USED = 51
    CANCELLED = 52
    TWINNED = 53
    BUFFERED = 54
    REVERSED = 55
    AUTHORIZED = 60
    AUTHORIZATION_AMENDED = 61
    AUTHORIZATION_REVOKED = 62
    RECOGNISED = 63
    ADJUSTMENT_REPORTED = 64
    ADJUSTMENT_FINAL = 65
    ATTESTED = 70
    LINK_STATE = 71
    ANCHORED = 72
    CASH_ISSUED = 80
    CASH_REDEEMED = 81
    STATE_ATTESTED = 90
    READY = 91
    HOLD_EXPIRED = 200
    DISCREPANCY = 201
    LEVIED = 202
    PROPOSED = 203
    ITMO_ACTION = 210
    ADJUSTED = 211
    ACTION_WITHDRAWN = 212
    AUTHORIZATION_EXHAUSTED = 213
    POLICY_CHANGED = 220
    VERSION_ACTIVATED = 221
    SNAPSHOT = 222


class Move(NamedTuple):
    """Positions `first` .. `first + units - 1` of a batch changed account or state. `cause` is the event before."""

    batch: str
    first: int
    units: int
    from_account: str
    from_state: int
    cause: Ref
    to_account: str
    to_state: int


class CashMove(NamedTuple):
    """Minor units of a currency, of which one has 10 ** `scale`; an empty account is the bank that owes it."""

    from_account: str
    to_account: str
    currency: str
    amount: int
    scale: int


class Event(NamedTuple):
    """One thing that happened. `effective` is what its source claims; height and ledger time are the block's.

    `ranges` are positions that it is about without moving them: what a mark, a restriction or a notice was laid on or
    taken from, joined where they touch; of ISSUED and EXTENDED the whole extent that the batch has since.
    """

    kind: int
    transaction: int
    subject: str
    effective: When
    moves: tuple[Move, ...] = ()
    cash: tuple[CashMove, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    ranges: tuple[Range, ...] = ()

    def fact(self, name: str) -> str:
        """The value of the fact `name`, or the empty text."""
        return next((value for key, value in self.facts if key == name), "")


class _Fact(NamedTuple):
    name: str
    value: str


class _MoveCodec(Codec[Move]):
    """`record(Move, ...)` with each run of fixed fields in one `struct` call: moves are most of what is encoded."""

    _PLAIN: Final = record(Move, TEXT, U64, U64, TEXT, U8, REF, TEXT, U8)
    _RANGE: Final = struct.Struct(">QQ")
    _FROM: Final = struct.Struct(">BQI")

    def write(self, out: bytearray, value: Move) -> None:
        batch, first, units, giver, from_state, cause, taker, to_state = value
        try:
            out += b"".join(
                (
                    encode_name(batch),
                    self._RANGE.pack(first, units),
                    encode_name(giver),
                    self._FROM.pack(from_state, *cause),
                    encode_name(taker),
                    _STATE[to_state],
                )
            )
        except (struct.error, IndexError):
            self._PLAIN.write(out, value)

    def read(self, data: bytes, at: int) -> tuple[Move, int]:
        return self._PLAIN.read(data, at)


_LENGTH: Final = struct.Struct(">I").pack
_THREE_EMPTY: Final = _LENGTH(0) * 3
_STATE: Final = [bytes([state]) for state in range(256)]

MOVE: Final = _MoveCodec()
CASH_MOVE: Final = record(CashMove, TEXT, TEXT, TEXT, U64, U8)
_RANGE: Final = record(Range, TEXT, U64, U64)
WHEN: Final = record(When, I64, U8)


class _AfterMoves(NamedTuple):
    """The end of an event."""

    cash: tuple[CashMove, ...]
    facts: tuple[tuple[str, str], ...]
    ranges: tuple[Range, ...]


_HEAD: Final = struct.Struct(">BI")


class _EventCodec(Codec[Event]):
    """`record(Event, ...)` written without a call per field: every transaction encodes one at least."""

    _PLAIN: Final = record(
        Event,
        *(U8, U32, TEXT, WHEN, listing(MOVE), listing(CASH_MOVE), listing(record(_Fact, TEXT, TEXT)), listing(_RANGE)),
    )
    _WHEN: Final = struct.Struct(">qBI")

    def write(self, out: bytearray, value: Event) -> None:
        kind, transaction, subject, effective, moves, cash, facts, ranges = value
        before = len(out)
        try:
            out += _HEAD.pack(kind, transaction)
            out += encode_name(subject)
            out += self._WHEN.pack(*effective, len(moves))
            for move in moves:
                MOVE.write(out, move)
            if not (cash or facts or ranges):
                out += _THREE_EMPTY
                return
            out += _LENGTH(len(cash))
            for paid in cash:
                CASH_MOVE.write(out, paid)
            out += _LENGTH(len(facts))
            for name, stated in facts:
                TEXT.write(out, name)
                TEXT.write(out, stated)
            out += _LENGTH(len(ranges))
            for about in ranges:
                _RANGE.write(out, about)
        except struct.error:
            del out[before:]
            self._PLAIN.write(out, value)

    def read(self, data: bytes, at: int) -> tuple[Event, int]:
        return self._PLAIN.read(data, at)


EVENT: Final = _EventCodec()
EVENTS: Final = listing(EVENT)
_AFTER_MOVES: Final = record(_AfterMoves, listing(CASH_MOVE), listing(record(_Fact, TEXT, TEXT)), listing(_RANGE))
_READ_LENGTH: Final = struct.Struct(">I").unpack_from
_READ_NUMBERS: Final = struct.Struct(">QQ").unpack_from
_FROM_BYTES: Final = struct.calcsize(">BQI")


def decode_event_of(data: bytes, batch: str, first: int, stop: int) -> Event:
    """The event with those of its moves that share a position `first` .. `stop` - 1 of a batch; the rest is skipped.

    An import moves hundreds of lots in one event, of which a chain of custody asks about one. Raises `EncodingError`.
    """
    name, moves = batch.encode("utf-8"), list[Move]()
    try:
        kind, transaction = _HEAD.unpack_from(data)
        subject, at = TEXT.read(data, _HEAD.size)
        effective, at = WHEN.read(data, at)
        (size,) = _READ_LENGTH(data, at)
        at += 4
        for _ in range(size):
            begin, middle = at, at + 4 + _READ_LENGTH(data, at)[0]
            low, units = _READ_NUMBERS(data, middle)
            at = middle + 16
            at += 4 + _READ_LENGTH(data, at)[0] + _FROM_BYTES
            at += 4 + _READ_LENGTH(data, at)[0] + 1
            if low < stop and first < low + units and data[begin + 4 : middle] == name:
                moves.append(MOVE.read(data, begin)[0])
    except struct.error as error:
        raise EncodingError(f"the bytes of an event end too early: {error}") from error
    rest = _AFTER_MOVES.decode(data[at:])
    return Event(kind, transaction, subject, effective, tuple(moves), rest.cash, rest.facts, rest.ranges)


def compute_events_digest(encoded: Sequence[bytes]) -> bytes:
    """SHA-256 over the encoded events of one transaction, one after the other."""
    return hashlib.sha256(b"".join(encoded)).digest()
