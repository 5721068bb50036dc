"""Twins: one tonne under two identities, of which exactly one lives (units and rules §1, guarantee G1).

A pair is two marks that name each other: `LIVES_AS` on the superseded positions, `WAS` on those the tonne lives under,
each with the place of the event that made the pair and the offset to the other side. Marks lie over positions, so every
split keeps its part of the pair for free. A unit lives as at most one other and was at most one other, so that chains
have one end: the live one. Which conversions are proposed, and by whom they are decided, is not here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from keeling.encoding import Ref
from keeling.events import EventKind, Move
from keeling.operations import Evidence, Range, Reverse, Twin, TwinForm, When
from keeling.reasons import Reason
from keeling.units import UnitState
from node.core import tables as t
from node.core.article6.carrying import carry_all
from node.core.authority import check_attestors, check_owner, check_registry
from node.core.context import Context
from node.core.fields import check_evidence, check_length, check_ranges, check_text, check_when
from node.core.intervals import MarkKind, erase, name_ranges, paint, read_layer
from node.core.lots import check_available, check_unrestricted, move, touch_lots
from node.core.proposals import check_accepted, close_proposal, format_proposal
from node.core.records import Account, Batch, Claim, Lot, Piece, ProposalStatus
from node.core.refusal import Refused
from node.core.state import State

LIVES_AS: Final = "lives-as"
"""Layer of marks on superseded positions: the identity the tonne has now."""
WAS: Final = "was"
"""Layer of marks on the positions the tonne has now: the identity it had before."""
SUPERSEDED: Final = (UnitState.IMMOBILISED, UnitState.CONVERTED)
_CONVERTIBLE_ENDS: Final = (UnitState.CANCELLED, UnitState.CONVERTED, UnitState.ENDED)


class Twinned(NamedTuple):
    """A range of positions and the range that is the same tonnes: on this ledger (`batch`), or `outside` of it."""

    first: int
    units: int
    pair: Ref
    batch: str
    """Empty: the other side is no batch of this ledger."""
    other_first: int
    destination: str
    identifier: str


class _Side(NamedTuple):
    """One side that is on this ledger."""

    piece: Piece
    batch: Batch
    lots: list[tuple[int, Lot]]


# -- the two marks of a pair


def _format_here(pair: Ref, batch: str, offset: int) -> str:
    return f"{pair.height}.{pair.ordinal}|{batch}|{offset:+d}"


def _format_outside(pair: Ref, destination: str, identifier: str) -> str:
    return f"{pair.height}.{pair.ordinal}||{destination}|{identifier}"


def read_twins(state: State, batch: int, layer: str, first: int, units: int) -> list[Twinned]:
    """The parts of a range that are twins (`LIVES_AS` or `WAS`), in order, each with its other side cut to the part."""
    found = []
    for at, mark in read_layer(state, batch, MarkKind.TWIN, layer, first, units):
        start = max(at, first)
        size = min(at + mark.units, first + units) - start
        place, name, rest = mark.value.split("|", 2)
        height, ordinal = place.split(".")
        pair = Ref(int(height), int(ordinal))
        if name:
            found.append(Twinned(start, size, pair, name, start + int(rest), "", ""))
        else:
            destination, identifier = rest.split("|", 1)
            found.append(Twinned(start, size, pair, "", 0, destination, identifier))
    return found


# -- the operation


def check_twin_fields(op: Twin) -> None:
    if op.form not in (TwinForm.WRAP, TwinForm.CONVERT, TwinForm.UNWRAP):
        raise Refused(Reason.MISSING_FIELD, "a twin is made by WRAP or CONVERT and ended by UNWRAP", field="form")
    sides = [side for side in (op.ours, op.theirs) if side is not None]
    if not sides or (op.form != TwinForm.CONVERT and op.ours is None):
        raise Refused(Reason.MISSING_FIELD, "name the units of this ledger that are meant", field="ours")
    check_ranges(sides, "ours, theirs")
    if op.form == TwinForm.UNWRAP:
        if op.theirs is not None or op.destination or op.identifier:
            detail = "the other side is on record: give only the units that live again"
            raise Refused(Reason.BAD_FIELD, detail, field="theirs")
    elif len(sides) == 2:
        if sides[0].units != sides[1].units:
            detail = f"{sides[0].units} and {sides[1].units} units are not the same tonnes"
            raise Refused(Reason.BAD_FIELD, detail, field="theirs.units")
        if op.destination:
            detail = "both sides are on this ledger: there is no other destination"
            raise Refused(Reason.BAD_FIELD, detail, field="destination")
        check_length(op.identifier, "identifier")
    else:
        check_text(op.destination, "destination", "the registry or network of the side that is outside")
        check_text(op.identifier, "identifier", "the full identifier of the side that is outside")
        if "|" in op.destination:
            raise Refused(Reason.BAD_FIELD, "a destination has no |", field="destination")
    check_evidence(op.evidence, "a twin")
    check_evidence(op.their_evidence, "a twin, for its other side,")
    check_length(op.proposal, "proposal")
    check_when(op.effective, "effective")


def apply_twin(tx: Context, op: Twin) -> None:
    """Both registries say that two identities are one tonne; from here on exactly one of them lives."""
    if op.form == TwinForm.UNWRAP:
        _apply_unwrap(tx, op)
        return
    ours, theirs = _find_side(tx, op.ours), _find_side(tx, op.theirs)
    if op.proposal:
        check_accepted(tx, op.proposal, op.ours, op.destination)
    _check_word(tx, ours, op.evidence, op.destination)
    _check_word(tx, theirs, op.their_evidence, op.destination)
    if ours is not None:
        _check_owner(tx, op, ours)
        _check_supersedable(tx, ours, op.form)
    if theirs is not None:
        _check_lives(tx, theirs)
    for side in (ours, theirs):
        if side is not None:
            _check_seen(side)
    if ours is not None and theirs is not None and ours.batch.grain != theirs.batch.grain:
        grains = f"{ours.batch.grain} and {theirs.batch.grain}"
        raise Refused(Reason.MIXED_GRAINS, f"units of {grains} are not the same tonnes", grains=grains)
    state = UnitState.IMMOBILISED if op.form == TwinForm.WRAP else UnitState.CONVERTED
    if op.proposal:
        close_proposal(tx, op.proposal, ProposalStatus.ACCEPTED, tx.next_ref)
    _join(tx, op, ours, theirs, state)


def convert_by_rule(
    tx: Context, piece: Piece, destination: str, because: str, effective: When | None, evidence: Evidence | None
) -> None:
    """Convert what a proposal is of, if nobody has claimed it and all of it ended; else it waits for a person."""
    side = _find_side(tx, Range(tx.batch_number(piece.batch).name, piece.first, piece.units)) or _nobody()
    twinned = read_twins(tx.state, piece.batch, LIVES_AS, piece.first, piece.units)
    if twinned or _account_of(tx, side).owner or not _ended_unclaimed(side):
        return
    name = format_proposal(side.batch, piece.first)
    close_proposal(tx, name, ProposalStatus.BY_RULE, tx.next_ref)
    op = Twin(None, None, evidence, TwinForm.CONVERT, None, destination, because, effective, name)
    _join(tx, op, side, None, UnitState.CONVERTED)


def _join(tx: Context, op: Twin, ours: _Side | None, theirs: _Side | None, state: UnitState) -> None:
    pair, moves = tx.next_ref, list[Move]()
    if ours is not None and any(lot.state != state for _, lot in ours.lots):
        account = ours.lots[0][1].account
        moves = move(tx, ours.piece, account, state, pair)
        if ours.lots[0][1].state == UnitState.FREE and state == UnitState.CONVERTED:
            # What had ended before keeps the claim of the event that ended it: that one is what a reversal names.
            claim = Claim(account, state, (ours.piece,), b"", tx.time_ms, ())
            tx.state.put(t.CLAIMS, claim, pair.height, pair.ordinal)
    for side, other, layer in ((ours, theirs, LIVES_AS), (theirs, ours, WAS)):
        if side is None:
            continue
        if other is None:
            value = _format_outside(pair, op.destination, op.identifier)
        else:
            value = _format_here(pair, other.batch.name, other.piece.first - side.piece.first)
        paint(tx.state, side.piece.batch, MarkKind.TWIN, layer, side.piece.first, side.piece.units, value, pair)
    grades = [evidence.grade for evidence in (op.evidence, op.their_evidence) if evidence is not None]
    references = [evidence.reference for evidence in (op.evidence, op.their_evidence) if evidence is not None]
    facts = {
        "form": TwinForm(op.form).name,
        "superseded": _describe(ours) or f"{op.destination} {op.identifier}",
        "lives as": _describe(theirs) or f"{op.destination} {op.identifier}",
        "identifier": op.identifier,
        "grades": ", ".join(grades),
        "references": ", ".join(filter(None, references)),
        "proposal": op.proposal,
    }
    subject = (ours or theirs or _nobody()).batch.name
    sides = [(side.batch, side.piece) for side in (ours, theirs) if side is not None]
    tx.emit(EventKind.TWINNED, subject, op.effective, moves, facts=facts, ranges=name_ranges(sides))


def _nobody() -> _Side:
    raise LookupError("check_twin_fields runs first: one side is on this ledger")


def _describe(side: _Side | None) -> str:
    if side is None:
        return ""
    first = side.batch.base + side.piece.first
    return f"{side.batch.name} {first}..{first + side.piece.units - 1}"


# -- what must be true before


def _find_side(tx: Context, named: Range | None) -> _Side | None:
    if named is None:
        return None
    number, batch = tx.batch(named.batch)
    return _Side(Piece(number, named.first, named.units), batch, touch_lots(tx, number, named.first, named.units))


def _account_of(tx: Context, side: _Side) -> Account:
    """The account of the side's first lot; that all are in it is checked with their state."""
    if not side.lots:
        where = _describe(side)
        raise Refused(Reason.UNITS_UNSEEN, f"{where} were never shown by an export", part=where)
    return tx.account_number(side.lots[0][1].account)


def _check_word(tx: Context, side: _Side | None, evidence: Evidence | None, destination: str) -> None:
    """The registry of the side has signed, or who may speak for it; a side outside, if it has a policy record here."""
    if side is None:
        version = tx.version(f"registry:{destination}")
        if version is not None and version.registry is not None:
            check_registry(tx, destination, (*version.registry.attestors, *version.registry.importers))
        return
    if side.batch.native:
        check_registry(tx, tx.programme(side.batch.programme).registry)
        return
    policy = tx.registry(side.batch.registry)
    owner = _account_of(tx, side).owner
    if owner:
        grade = evidence.grade if evidence else ""
        check_attestors(tx, policy, grade, (owner,), policy.capture_grade)
    else:
        check_registry(tx, side.batch.registry, (*policy.attestors, *policy.importers))


def _check_owner(tx: Context, op: Twin | Reverse, side: _Side) -> None:
    """Who has the units asked for it; units nobody has claimed have no one to ask."""
    account = _account_of(tx, side)
    if account.owner:
        check_owner(tx, account, op, side.piece.units)


def _check_supersedable(tx: Context, side: _Side, form: int) -> None:
    """FREE units of one account; or, converting, units of nobody's that ended at their registry already."""
    known = read_twins(tx.state, side.piece.batch, LIVES_AS, side.piece.first, side.piece.units)
    if known:
        _refuse_known(side, known[0])
    number, account = side.lots[0][1].account, _account_of(tx, side)
    if form == TwinForm.CONVERT and not account.owner and _ended_unclaimed(side):
        check_unrestricted(tx, [side.piece])
        return
    check_available(tx, number, account.name, [side.piece])


def _ended_unclaimed(side: _Side) -> bool:
    """All of the side is in one account and ended there in a way that can turn out to be a conversion."""
    number = side.lots[0][1].account
    return all(lot.account == number and lot.state in _CONVERTIBLE_ENDS for _, lot in side.lots)


def _check_lives(tx: Context, side: _Side) -> None:
    """Not superseded itself, and no other identity's twin already; whoever has it and whatever became of it."""
    for layer in (LIVES_AS, WAS):
        known = read_twins(tx.state, side.piece.batch, layer, side.piece.first, side.piece.units)
        if known:
            _refuse_known(side, known[0])
    for _, lot in side.lots:
        if lot.state in SUPERSEDED:
            values = {"part": _describe(side), "state": UnitState(lot.state).name}
            raise Refused(Reason.UNITS_NOT_FREE, f"{values['part']} do not live: {values['state']}", **values)


def _refuse_known(side: _Side, known: Twinned) -> None:
    first = side.batch.base + known.first
    part = f"{side.batch.name} {first}..{first + known.units - 1}"
    other = known.batch or f"{known.destination} {known.identifier}"
    detail = f"{part} and {other} are twins since {known.pair.height}.{known.pair.ordinal}"
    raise Refused(Reason.TWIN_EXISTS, detail, part=part, other=other)


def _check_seen(side: _Side) -> None:
    end = side.piece.first + side.piece.units
    seen = sum(min(first + lot.units, end) - max(first, side.piece.first) for first, lot in side.lots)
    if seen != side.piece.units:
        detail = f"{seen} of {side.piece.units} units of {_describe(side)} were ever shown"
        raise Refused(Reason.UNITS_UNSEEN, detail, part=_describe(side))


# -- the end of a pair


def _apply_unwrap(tx: Context, op: Twin) -> None:
    ours = _find_side(tx, op.ours) or _nobody()
    pairs = read_twins(tx.state, ours.piece.batch, LIVES_AS, ours.piece.first, ours.piece.units)
    if sum(pair.units for pair in pairs) != ours.piece.units:
        raise Refused(Reason.TWIN_NOT_FOUND, f"not all of {_describe(ours)} lives as something else")
    _check_word(tx, ours, op.evidence, "")
    for _, lot in ours.lots:
        if lot.state != UnitState.IMMOBILISED:
            detail = f"{_describe(ours)} was converted for good: only a reversal brings it back"
            raise Refused(Reason.UNITS_ENDED, detail, part=_describe(ours), state=UnitState(lot.state).name)
    check_unrestricted(tx, [ours.piece])
    ended = end_twins(tx, [ours.piece], op, op.their_evidence)
    cause, moves = tx.next_ref, list[Move]()
    for first, lot in ours.lots:
        start, end = max(first, ours.piece.first), ours.piece.first + ours.piece.units
        part = ours.piece._replace(first=start, units=min(first + lot.units, end) - start)
        moves += move(tx, part, lot.account, UnitState.FREE, cause)
    for piece, account in ended:
        moves += move(tx, piece, account, UnitState.CONVERTED, cause)
    facts = {"form": TwinForm(op.form).name, "lives again": _describe(ours), "pairs": _name_pairs(pairs)}
    sides = [(ours.batch, ours.piece), *((tx.batch_number(piece.batch), piece) for piece, _ in ended)]
    tx.emit(EventKind.TWINNED, ours.batch.name, op.effective, moves, facts=facts, ranges=name_ranges(sides))


def _name_pairs(pairs: Iterable[Twinned]) -> str:
    return ", ".join(dict.fromkeys(f"{pair.pair.height}.{pair.pair.ordinal}" for pair in pairs))


def end_twins(
    tx: Context, pieces: Sequence[Piece], op: Twin | Reverse, evidence: Evidence | None
) -> list[tuple[Piece, int]]:
    """Take superseded units out of their pairs; returns what must be CONVERTED with it: the pieces they lived as.

    Those must be FREE and unrestricted, their registry has signed, and their owner gives them up. What Article 6 says
    of the tonne goes back with it.
    """
    ended: list[tuple[Piece, int]] = []
    for piece in pieces:
        for pair in read_twins(tx.state, piece.batch, LIVES_AS, piece.first, piece.units):
            if pair.batch:
                other = _find_side(tx, Range(pair.batch, pair.other_first, pair.units)) or _nobody()
                account = _account_of(tx, other)
                _check_word(tx, other, evidence, "")
                _check_owner(tx, op, other)
                check_available(tx, other.lots[0][1].account, account.name, [other.piece])
                ended.append((other.piece, other.lots[0][1].account))
                carry_all(tx, other.piece.batch, other.piece.first, pair.units, piece.batch, pair.first)
                erase(tx.state, other.piece.batch, MarkKind.TWIN, WAS, other.piece.first, other.piece.units)
            else:
                _check_word(tx, None, evidence, pair.destination)
        erase(tx.state, piece.batch, MarkKind.TWIN, LIVES_AS, piece.first, piece.units)
    return ended
