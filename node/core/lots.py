"""Lots: ranges of positions, cut and moved. Conservation (guarantee G1) rests on this file.

`move_all` is the only function that changes who has which units in which state; holdings and totals are kept in step
with lots here and nowhere else. Whether a movement is allowed is decided by the rules that call it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import islice
from typing import Final, NamedTuple

from keeling.encoding import Ref
from keeling.events import NOWHERE, Move
from keeling.reasons import Reason
from keeling.units import TERMINAL, UnitState
from node.core import tables as t
from node.core.context import Context
from node.core.intervals import find_restriction, overlaps, restricted_ranges
from node.core.limits import LOTS_MAX, UNITS_MAX
from node.core.records import NO_HOLD, Batch, Holding, Lot, Piece, Total, make
from node.core.refusal import Refused
from node.core.state import State

_NO_TOTAL: Final = Total(0, 0)
_lot_key: Final = t.LOTS.whole_key
_holding_key: Final = t.HOLDINGS.whole_key
_total_key: Final = t.TOTALS.whole_key


def find_lot(state: State, batch: int, position: int) -> tuple[int, Lot] | None:
    """The lot that contains a position, with its first position; None where nothing was seen."""
    lot = state.get(t.LOTS, batch, position)
    if lot is not None:
        return position, lot
    for key, before in state.scan(t.LOTS, batch, start=t.LOTS.key(batch, position), reverse=True):
        first = t.LOTS.parts(key)[1]
        return (first, before) if first + before.units > position else None
    return None


def find_lots(state: State, batch: int, first: int, units: int) -> list[tuple[int, Lot]]:
    """The lots that share a position with the range, in order. Gaps are positions nobody has shown."""
    found = find_lot(state, batch, first)
    if found is not None and found[0] + found[1].units >= first + units:
        return [found]
    lots = [found] if found is not None else []
    start = t.LOTS.key(batch, first + 1)
    for key, lot in state.scan(t.LOTS, batch, start=start):
        at = t.LOTS.parts(key)[1]
        if at >= first + units:
            break
        lots.append((at, lot))
        if len(lots) > LOTS_MAX:
            detail = f"the range touches more than {LOTS_MAX} lots; name at most as many units as end before {at}"
            raise Refused(Reason.TOO_MANY_LOTS, detail, limit=LOTS_MAX)
    return lots


def touch_lots(tx: Context, batch: int, first: int, units: int) -> list[tuple[int, Lot]]:
    """`find_lots` inside a transaction, counted against what one transaction may touch."""
    whole = tx.state.get_key(t.LOTS, _lot_key(batch, first))
    # One lot that begins there and is large enough: what most transfers name.
    found = [(first, whole)] if whole is not None and whole.units >= units else find_lots(tx.state, batch, first, units)
    tx.touch(len(found))
    return found


def subtract(piece: Piece, others: Sequence[Piece]) -> list[Piece]:
    """The parts of a piece that lie in none of the others (which are sorted and disjoint)."""
    parts, at, end = [], piece.first, piece.first + piece.units
    start = max(bisect_right(others, (piece.batch, piece.first, UNITS_MAX)) - 1, 0)
    for other in islice(others, start, None):
        stop = other.first + other.units
        if (other.batch, other.first) >= (piece.batch, end):
            break
        if other.batch != piece.batch or stop <= at:
            continue
        if other.first > at:
            parts.append(piece._replace(first=at, units=other.first - at))
        at = max(at, stop)
    if at < end:
        parts.append(piece._replace(first=at, units=end - at))
    return parts


Counts = dict[tuple[int, int, int], tuple[int, int]]
"""What a movement adds to totals: (account, state, batch) -> (units, lots). Kept apart from the lots so that moving
thousands of pieces between two accounts writes each total once."""


def _add(counts: Counts, account: int, unit_state: int, batch: int, units: int, lots: int) -> None:
    parts = (account, unit_state, batch)
    known = counts.get(parts)
    counts[parts] = (units, lots) if known is None else (known[0] + units, known[1] + lots)


def _write_totals(state: State, counts: Counts) -> None:
    rows: list[tuple[bytes, Total | None]] = []
    for parts, (units, lots) in counts.items():
        if units or lots:
            key = _total_key(*parts)
            total = state.get_key(t.TOTALS, key) or _NO_TOTAL
            left = total.lots + lots
            rows.append((key, make(Total, (total.units + units, left)) if left else None))
    state.write(t.TOTALS, rows)


def _put(state: State, counts: Counts, batch: int, first: int, lot: Lot) -> None:
    units, account, unit_state, height, ordinal, _ = lot
    state.put_key(t.LOTS, _lot_key(batch, first), lot)
    held = make(Holding, (units, height, ordinal))
    state.put_key(t.HOLDINGS, _holding_key(account, unit_state, batch, first), held)
    _add(counts, account, unit_state, batch, units, 1)


def create(
    tx: Context, number: int, batch: Batch, piece: Piece, account: int, unit_state: UnitState, cause: Ref
) -> Move:
    """Bring unseen positions into being as one lot. The caller has checked that no lot is there."""
    lot = Lot(piece.units, account, unit_state, cause.height, cause.ordinal, NO_HOLD)
    counts: Counts = {}
    _put(tx.state, counts, number, piece.first, lot)
    _write_totals(tx.state, counts)
    name = tx.account_name(account)
    return Move(batch.name, piece.first, piece.units, "", UnitState.NONE, NOWHERE, name, unit_state)


def move(
    tx: Context, piece: Piece, to_account: int, to_state: UnitState, cause: Ref, hold: bytes = NO_HOLD
) -> list[Move]:
    """`move_all` for one piece."""
    return move_all(tx, (piece,), to_account, to_state, cause, hold)


def move_all(
    tx: Context, pieces: Sequence[Piece], to_account: int, to_state: UnitState, cause: Ref, hold: bytes = NO_HOLD
) -> list[Move]:
    """Put every position of each piece into one account and state, as one lot. The pieces must be seen completely.

    Lots that reach beyond a piece are cut; their rests keep account, state and cause.
    """
    moves: list[Move] = []
    counts: Counts = {}
    taker = _Taker(to_account, tx.account_name(to_account), to_state, cause, hold)
    for piece in pieces:
        _move_piece(tx, counts, piece, taker, moves)
    _write_totals(tx.state, counts)
    return moves


class _Taker(NamedTuple):
    """Where the pieces of one movement go."""

    account: int
    name: str
    state: int
    cause: Ref
    hold: bytes


def _move_piece(tx: Context, counts: Counts, piece: Piece, taker: _Taker, moves: list[Move]) -> None:
    state = tx.state
    number, start, units = piece
    end, missing = start + units, units
    batch_name = tx.batch_number(number).name
    to_account, to_name, to_state, cause, hold = taker
    lots: list[tuple[bytes, Lot | None]] = []
    held: list[tuple[bytes, Holding | None]] = []
    for first, lot in touch_lots(tx, number, start, units):
        size, account, unit_state, height, ordinal, _ = lot
        stop, at, rests = first + size, first, 0
        if first < start:
            at, rests = start, 1
            lots.append((_lot_key(number, first), make(Lot, (start - first, *lot[1:]))))
            rest = make(Holding, (start - first, height, ordinal))
            held.append((_holding_key(account, unit_state, number, first), rest))
        else:
            held.append((_holding_key(account, unit_state, number, first), None))
            if first > start:
                lots.append((_lot_key(number, first), None))
        if stop > end:
            rests += 1
            lots.append((_lot_key(number, end), make(Lot, (stop - end, *lot[1:]))))
            rest = make(Holding, (stop - end, height, ordinal))
            held.append((_holding_key(account, unit_state, number, end), rest))
            stop = end
        found = stop - at
        missing -= found
        _add(counts, account, unit_state, number, -found, rests - 1)
        before, giver = make(Ref, (height, ordinal)), tx.account_name(account)
        moves.append(make(Move, (batch_name, at, found, giver, unit_state, before, to_name, to_state)))
    if missing:
        raise AssertionError(f"moving {units} positions of batch {number} found only {units - missing} of them")
    lots.append((_lot_key(number, start), make(Lot, (units, to_account, to_state, *cause, hold))))
    held.append((_holding_key(to_account, to_state, number, start), make(Holding, (units, *cause))))
    _add(counts, to_account, to_state, number, units, 1)
    state.write(t.LOTS, lots)
    state.write(t.HOLDINGS, held)


def renumber(tx: Context, number: int, old: int, new: int, cause: Ref) -> None:
    """Give the unit at position `old` the free position `new` below it: same account and state, so nothing moves.

    It joins the lot that begins right after `new` if that is alike.
    """
    state, found = tx.state, find_lot(tx.state, number, old)
    if found is None:
        raise AssertionError(f"no unit is at position {old}")
    counts: Counts = {}
    first, lot = found
    _remove(state, counts, number, first, lot)
    if first < old:
        _put(state, counts, number, first, lot._replace(units=old - first))
    if first + lot.units > old + 1:
        _put(state, counts, number, old + 1, lot._replace(units=first + lot.units - old - 1))
    single = lot._replace(units=1, height=cause.height, ordinal=cause.ordinal)
    after = state.get(t.LOTS, number, new + 1)
    if after is not None and after[1:3] == lot[1:3] and after.hold == lot.hold:
        _remove(state, counts, number, new + 1, after)
        single = after._replace(units=after.units + 1)
    _put(state, counts, number, new, single)
    _write_totals(state, counts)


def _remove(state: State, counts: Counts, batch: int, first: int, lot: Lot) -> None:
    state.delete(t.LOTS, batch, first)
    state.delete(t.HOLDINGS, lot.account, lot.state, batch, first)
    _add(counts, lot.account, lot.state, batch, -lot.units, -1)


def check_available(tx: Context, account: int, name: str, pieces: Sequence[Piece]) -> None:
    """Every position is seen, FREE, in this account and unrestricted; refuses with the first reason against it."""
    restricted = False
    for piece in pieces:
        batch = tx.batch_number(piece.batch)
        restricted = restricted or batch.restrictions > 0
        at = piece.first
        for first, lot in touch_lots(tx, piece.batch, piece.first, piece.units):
            if first > at:
                break
            if lot.account != account:
                where = _describe(batch, max(first, piece.first), min(first + lot.units, piece.first + piece.units))
                raise Refused(Reason.UNITS_NOT_OWNED, f"{where} not in account {name}", account=name, part=where)
            if lot.state != UnitState.FREE:
                _refuse_state(batch, piece, first, lot)
            at = first + lot.units
        if at < piece.first + piece.units:
            where = _describe(batch, at, piece.first + piece.units)
            raise Refused(Reason.UNITS_UNSEEN, f"{where} were never shown by an export", part=where)
    if restricted:
        check_unrestricted(tx, pieces)


def check_unrestricted(tx: Context, pieces: Sequence[Piece]) -> None:
    """No restriction lies on any of the pieces."""
    stopped: dict[int, list[tuple[int, int]]] = {}
    for piece in pieces:
        number = piece.batch
        batch = tx.batch_number(number)
        if not batch.restrictions:
            continue
        if number not in stopped:
            stopped[number] = restricted_ranges(tx.state, number, batch)
        if not overlaps(stopped[number], piece.first, piece.units):
            continue
        restricted = find_restriction(tx.state, number, piece.first, piece.units)
        if restricted is not None:
            restriction, at, mark = restricted
            where = _describe(batch, at, at + mark.units)
            detail = f"{where} restricted by {restriction}: {mark.value}"
            raise Refused(Reason.UNITS_RESTRICTED, detail, restriction=restriction, part=where)


def _refuse_state(batch: Batch, piece: Piece, first: int, lot: Lot) -> None:
    where = _describe(batch, max(first, piece.first), min(first + lot.units, piece.first + piece.units))
    values = {"part": where, "state": UnitState(lot.state).name}
    if lot.state == UnitState.HELD:
        raise Refused(Reason.UNITS_HELD, f"{where} held by {lot.hold.hex()}", hold=lot.hold.hex(), **values)
    if lot.state == UnitState.INSTRUCTED:
        detail = f"{where} instructed at the registry by hold {lot.hold.hex()}"
        raise Refused(Reason.UNITS_INSTRUCTED, detail, hold=lot.hold.hex(), **values)
    if lot.state in TERMINAL:
        raise Refused(Reason.UNITS_ENDED, f"{where} are {UnitState(lot.state).name}", **values)
    raise Refused(Reason.UNITS_NOT_FREE, f"{where} are {UnitState(lot.state).name}", **values)


def _describe(batch: Batch, start: int, stop: int) -> str:
    """A range by its serial numbers, as a person knows it."""
    return f"{batch.name} {batch.base + start}..{batch.base + stop - 1}"
