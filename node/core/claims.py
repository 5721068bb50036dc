"""Claims: units an owner shows to be his leave `unassigned@registry` (units and rules §4).

Two claims of the same serials are a discrepancy, not a race: the second is recorded beside the first and the units are
restricted. The registry's attestors decide: they lift the restriction, and the first claimant keeps the units, or they
approve the second claim again, and he gets them. Links themselves are in `node.core.accounts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from keeling.events import EventKind, Move
from keeling.operations import Evidence, RegistryPolicy
from keeling.reasons import Reason
from keeling.units import TERMINAL, UnitState, unassigned_account
from node.core import tables as t
from node.core.authority import check_attestors
from node.core.context import Context
from node.core.intervals import MarkKind, count_restrictions, erase, name_ranges, paint
from node.core.lots import check_unrestricted, move, touch_lots
from node.core.observe import DISCREPANCY_RESTRICTION, restrict_contested
from node.core.records import Batch, Discrepancy, Lot, Piece
from node.core.refusal import Refused


class Claimant(NamedTuple):
    """The account that claims, whose it is, and on what evidence."""

    number: int
    account: str
    owner: str
    registry: str
    evidence: Evidence | None


class _Sorted(NamedTuple):
    """The claimed units by what can be done with them."""

    free: list[Piece]
    contested: list[tuple[Piece, Lot]]
    decided: list[tuple[Piece, Lot, str]]
    """Parts whose contest this claim opened before, and the discrepancy's name."""


def claim_units(tx: Context, claimant: Claimant, policy: RegistryPolicy, pieces: Sequence[Piece]) -> list[Move]:
    """Move into the claiming account what nobody has, record what somebody else has; returns the moves.

    Refuses what is in the account already, ended, unseen or restricted for another reason.
    """
    found = _sort(tx, claimant, pieces)
    if found.decided:
        grade = claimant.evidence.grade if claimant.evidence else ""
        owners = [tx.account_number(lot.account).owner for _, lot, _ in found.decided]
        check_attestors(tx, policy, grade, (claimant.owner, *sorted(set(owners))), policy.capture_grade)
        _settle(tx, found.decided)
    gained = [*found.free, *(piece for piece, _, _ in found.decided)]
    check_unrestricted(tx, gained)
    for piece, lot in found.contested:
        _contest(tx, claimant, piece, lot)
    cause, moves = tx.next_ref, list[Move]()
    for piece in gained:
        moves += move(tx, piece, claimant.number, UnitState.FREE, cause)
    return moves


def _sort(tx: Context, claimant: Claimant, pieces: Sequence[Piece]) -> _Sorted:
    unassigned, _ = tx.any_account(unassigned_account(claimant.registry))
    found = _Sorted([], [], [])
    for item in pieces:
        batch, seen = tx.batch_number(item.batch), 0
        for first, lot in touch_lots(tx, item.batch, item.first, item.units):
            start = max(first, item.first)
            part = Piece(item.batch, start, min(first + lot.units, item.first + item.units) - start)
            seen += part.units
            if lot.account == unassigned and lot.state == UnitState.FREE:
                found.free.append(part)
            elif lot.account in (unassigned, claimant.number):
                _refuse(tx, batch, part, lot)
            else:
                _sort_contested(tx, claimant, batch, part, lot, found)
        if seen != item.units:
            raise Refused(Reason.UNITS_UNSEEN, f"{seen} of {item.units} units of {batch.name} were ever shown")
    return found


def _refuse(tx: Context, batch: Batch, part: Piece, lot: Lot) -> None:
    where = tx.account_number(lot.account).name
    detail = f"{batch.name} from {batch.base + part.first} is {UnitState(lot.state).name} in {where}"
    raise Refused(Reason.CLAIM_CONTESTED, detail, batch=batch.name, account=where)


def _sort_contested(tx: Context, claimant: Claimant, batch: Batch, part: Piece, lot: Lot, found: _Sorted) -> None:
    """What another account has: a claim made before is up for decision, a new one is recorded."""
    at, end = part.first, part.first + part.units
    for key, mark in sorted(
        tx.state.scan(t.MARKS, part.batch, MarkKind.CLAIM), key=lambda row: t.MARKS.parts(row[0])[3]
    ):
        _, _, name, first = t.MARKS.parts(key)
        stop = min(first + mark.units, end)
        if mark.value != claimant.account or stop <= at or first >= end:
            continue
        if lot.state != UnitState.FREE:
            _refuse(tx, batch, part, lot)
        if first > at:
            found.contested.append((part._replace(first=at, units=first - at), lot))
        start = max(first, at)
        found.decided.append((part._replace(first=start, units=stop - start), lot, name))
        at = stop
    if at < end:
        found.contested.append((part._replace(first=at, units=end - at), lot))


def _contest(tx: Context, claimant: Claimant, piece: Piece, lot: Lot) -> None:
    """Write both claims down; the units stay where they are and cannot move."""
    batch, place = tx.batch_number(piece.batch), tx.next_ref
    name = f"{DISCREPANCY_RESTRICTION}{place.height}.{place.ordinal}"
    here = f"{UnitState(lot.state).name} in {tx.account_number(lot.account).name}"
    said = f"claimed for {claimant.account}"
    source = claimant.evidence.reference if claimant.evidence else ""
    tx.state.put(t.DISCREPANCIES, Discrepancy(piece, here, said, source, lot.cause), place.height, place.ordinal)
    paint(tx.state, piece.batch, MarkKind.CLAIM, name, piece.first, piece.units, claimant.account, place)
    facts = {
        "serials": f"{batch.base + piece.first}..{batch.base + piece.first + piece.units - 1}",
        "ledger": here,
        "since": f"{lot.height}.{lot.ordinal}",
        "registry": said,
        "source": source,
        "grade": claimant.evidence.grade if claimant.evidence else "",
    }
    tx.emit(EventKind.DISCREPANCY, batch.name, facts=facts, ranges=name_ranges([(batch, piece)]))
    if lot.state not in TERMINAL:
        restrict_contested(tx, piece, place, f"also {said}")


def _settle(tx: Context, decided: Sequence[tuple[Piece, Lot, str]]) -> None:
    by_name: dict[str, list[tuple[Batch, Piece]]] = {}
    for piece, _, name in decided:
        erase(tx.state, piece.batch, MarkKind.CLAIM, name, piece.first, piece.units)
        erase(tx.state, piece.batch, MarkKind.RESTRICTION, name, piece.first, piece.units)
        by_name.setdefault(name, []).append((tx.batch_number(piece.batch), piece))
    for name, pieces in sorted(by_name.items()):
        tx.emit(EventKind.UNRESTRICTED, name, facts={"reason": "the claim was decided"}, ranges=name_ranges(pieces))
    for number in sorted({piece.batch for piece, _, _ in decided}):
        batch = tx.batch_number(number)
        tx.state.put(t.BATCHES, batch._replace(restrictions=count_restrictions(tx.state, number)), number)
