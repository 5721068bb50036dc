"""What an outside registry shows of its units, laid beside what the ledger has (units and rules §4, §8).

News is taken, what is known changes nothing, and a contradiction is recorded with both sides and restricted, never
resolved by guessing. Imports and attestations share this file; who may bring news is checked by them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from keeling.encoding import Ref
from keeling.events import EventKind, Move
from keeling.operations import Evidence, Observation, ObservationStatus, Range, When
from keeling.reasons import Reason
from keeling.units import TERMINAL, UnitState, unassigned_account
from node.core import tables as t
from node.core.context import Context
from node.core.fields import check_text, check_when
from node.core.intervals import MarkKind, covers, erase, join_ranges, name_ranges, paint
from node.core.limits import LOTS_MAX, TEXT_MAX
from node.core.lots import create, move_all, touch_lots
from node.core.proposals import open_proposals
from node.core.records import Batch, Claim, Discrepancy, Lot, Piece
from node.core.refusal import Refused
from node.core.twins import convert_by_rule

DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,59}", re.ASCII)
STATES: Final = {
    ObservationStatus.ACTIVE: UnitState.FREE,
    ObservationStatus.ENDED: UnitState.ENDED,
    ObservationStatus.RETIRED: UnitState.RETIRED,
    ObservationStatus.CANCELLED: UnitState.CANCELLED,
    ObservationStatus.BUFFER: UnitState.BUFFER,
    ObservationStatus.PENDING: UnitState.PENDING,
    ObservationStatus.CONVERTED: UnitState.CONVERTED,
}
_MOVED: Final = (ObservationStatus.ENDED, ObservationStatus.CANCELLED, ObservationStatus.CONVERTED)
_LIVE: Final = (UnitState.FREE, UnitState.HELD, UnitState.INSTRUCTED)
_WRAPPED: Final = (UnitState.FREE, UnitState.CANCELLED, UnitState.CONVERTED, UnitState.ENDED)
"""How registries show units that live on under another identity: blocked but active, or gone; never retired."""


DISCREPANCY_RESTRICTION: Final = "discrepancy/"
"""Restrictions that a discrepancy lays are called so, with the place of its event: new names every time."""


class Seen(NamedTuple):
    """One observation in positions of its batch."""

    first: int
    units: int
    state: UnitState
    effective: When | None
    issued: When | None
    labels: tuple[str, ...]
    destination: str = ""
    because: str = ""


class Parts(NamedTuple):
    """What an observation says of positions the ledger already has, by what has to be done with each part."""

    news: list[tuple[int, int]]
    contradictions: list[tuple[int, int, Lot]]
    agreed: list[tuple[int, int]]


def check_observations(observations: Sequence[Observation]) -> None:
    if len(observations) > LOTS_MAX:
        raise Refused(Reason.TOO_MANY_RANGES, f"{len(observations)} observations; {LOTS_MAX} are allowed")
    if sum([len(seen.labels) for seen in observations]) > LOTS_MAX:
        raise Refused(Reason.TOO_MANY_RANGES, f"more than {LOTS_MAX} labels", field="observations.labels")
    at = -1
    for seen in sorted(observations, key=lambda o: (len(o.first_number), o.first_number)):
        if not DECIMAL.fullmatch(seen.first_number) or seen.units <= 0:
            raise Refused(Reason.BAD_FIELD, f"{seen.first_number!r} + {seen.units} is no range", field="observations")
        if seen.status not in STATES:
            raise Refused(Reason.MISSING_FIELD, "an observation says its status", field="observations.status")
        if int(seen.first_number) <= at:
            raise Refused(Reason.RANGES_OVERLAP, f"number {seen.first_number} is observed twice")
        if any(not label or len(label) > TEXT_MAX for label in seen.labels):
            raise Refused(Reason.BAD_FIELD, f"a label has 1 to {TEXT_MAX} characters", field="observations.labels")
        if seen.destination or seen.because:
            _check_destination(seen)
        check_when(seen.effective, "observations.effective")
        check_when(seen.issued, "observations.issued")
        at = int(seen.first_number) + seen.units - 1


def _check_destination(seen: Observation) -> None:
    check_text(seen.destination, "observations.destination", "where the tonnes live on")
    check_text(seen.because, "observations.because", "the source's words for it")
    if "|" in seen.destination:
        raise Refused(Reason.BAD_FIELD, "a destination has no |", field="observations.destination")
    if seen.status not in _MOVED:
        detail = "only units that ended at their registry live on elsewhere"
        raise Refused(Reason.BAD_FIELD, detail, field="observations.status")


def find_extent(observations: Sequence[Observation]) -> tuple[int, int]:
    """The lowest and the highest number that was seen."""
    firsts = [(int(seen.first_number), seen.units) for seen in observations]
    return min(first for first, _ in firsts), max(first + units - 1 for first, units in firsts)


def observe(
    tx: Context, number: int, observations: Sequence[Observation], evidence: Evidence | None, run: str = ""
) -> None:
    """Take the news in the observations; the extent already covers them."""
    batch = tx.batch_number(number)
    seen = [
        Seen(
            int(o.first_number) - batch.base,
            o.units,
            STATES[ObservationStatus(o.status)],
            o.effective,
            o.issued,
            o.labels,
            o.destination,
            o.because,
        )
        for o in sorted(observations, key=lambda o: (len(o.first_number), o.first_number))
    ]
    grade = evidence.grade if evidence else ""
    _create_unseen(tx, number, batch, seen, grade, run)
    apply_news(tx, number, seen, grade, run)
    labelled: dict[str, list[tuple[int, int]]] = {}
    for item in seen:
        for label in item.labels:
            labelled.setdefault(label, []).append((item.first, item.units))
    for label, ranges in sorted(labelled.items()):
        for first, units in join_ranges(ranges):
            if not covers(tx.state, number, MarkKind.LABEL, label, first, units, grade):
                paint(tx.state, number, MarkKind.LABEL, label, first, units, grade, tx.next_ref)
    for item in seen:
        if item.destination:
            _propose(tx, number, item, evidence, run)


def _propose(tx: Context, number: int, item: Seen, evidence: Evidence | None, run: str) -> None:
    """Queue for a person where the tonnes live on, or decide it where a rule does."""
    whole = Piece(number, item.first, item.units)
    for part, by_rule in open_proposals(tx, number, whole, item.destination, item.because, run):
        if by_rule:
            convert_by_rule(tx, part, item.destination, item.because, item.effective, evidence)


def _create_unseen(tx: Context, number: int, batch: Batch, seen: Sequence[Seen], grade: str, run: str) -> None:
    """Positions nobody had shown become lots in the registry's unassigned account, as of their issuance."""
    account = tx.any_account(unassigned_account(batch.registry))[0]
    by_date: dict[When, list[Piece]] = {}
    for item in seen:
        gaps = _gaps(tx, number, item)
        by_date.setdefault(item.issued or batch.issued_at, []).extend(Piece(number, at, units) for at, units in gaps)
    created = 0
    for issued, pieces in sorted(by_date.items()):
        if not pieces:
            continue
        cause, moves = tx.next_ref, list[Move]()
        for piece in pieces:
            moves.append(create(tx, number, batch, piece, account, UnitState.FREE, cause))
            created += piece.units
        for first, units in join_ranges([piece[1:] for piece in pieces]):
            paint(tx.state, number, MarkKind.GRADE, "", first, units, grade, cause)
        extent = [Range(batch.name, batch.low, batch.high - batch.low + 1)]
        tx.emit(EventKind.EXTENDED, batch.name, issued, moves, facts={"run": run, "grade": grade}, ranges=extent)
    if created:
        tx.state.put(t.BATCHES, tx.batch_number(number)._replace(seen=batch.seen + created), number)


def _gaps(tx: Context, number: int, item: Seen) -> list[tuple[int, int]]:
    """The ranges of an observation in which no lot is."""
    gaps, at, end = [], item.first, item.first + item.units
    for first, lot in touch_lots(tx, number, item.first, item.units):
        if first > at:
            gaps.append((at, first - at))
        at = first + lot.units
    if at < end:
        gaps.append((at, end - at))
    return gaps


def apply_news(tx: Context, number: int, seen: Sequence[Seen], grade: str, run: str) -> None:
    """What changed at the registry changes here while nobody has claimed the units; else both sides are kept."""
    batch = tx.batch_number(number)
    unassigned = tx.any_account(unassigned_account(batch.registry))[0]
    by_change: dict[tuple[UnitState, When], list[tuple[int, int]]] = {}
    clashes: list[tuple[Seen, int, int, Lot]] = []
    agreed: list[tuple[int, int]] = []
    for item in seen:
        parts = _compare(tx, number, item, unassigned)
        when = item.effective or When(tx.time_ms, 2)
        by_change.setdefault((item.state, when), []).extend(parts.news)
        clashes += [(item, first, units, lot) for first, units, lot in parts.contradictions]
        agreed += parts.agreed
    for first, units in join_ranges(agreed):
        # What the registry said before is history now; should it say so again, that is a new contradiction.
        erase(tx.state, number, MarkKind.REGISTRY_STATE, "", first, units)
    for (state, when), changed in sorted(by_change.items()):
        if changed:
            cause, moves = tx.next_ref, list[Move]()
            pieces = [Piece(number, first, units) for first, units in sorted(changed)]
            moves += move_all(tx, pieces, unassigned, state, cause)
            if state in TERMINAL:
                claim = Claim(unassigned, state, tuple(pieces), b"", tx.time_ms, ())
                tx.state.put(t.CLAIMS, claim, cause.height, cause.ordinal)
            tx.emit(
                EventKind.ATTESTED, batch.name, when, moves, facts={"run": run, "grade": grade, "status": state.name}
            )
    for item, first, units, lot in clashes:
        open_discrepancy(tx, number, Piece(number, first, units), lot, item.state.name, run)


def _compare(tx: Context, number: int, item: Seen, unassigned: int) -> Parts:
    news: list[tuple[int, int]] = []
    contradictions: list[tuple[int, int, Lot]] = []
    agreed: list[tuple[int, int]] = []
    end = item.first + item.units
    for first, lot in touch_lots(tx, number, item.first, item.units):
        start = max(first, item.first)
        units = min(first + lot.units, end) - start
        if _agrees(lot, item.state, lot.account == unassigned):
            agreed.append((start, units))
        elif lot.account == unassigned and lot.state not in TERMINAL and lot.state != UnitState.IMMOBILISED:
            news.append((start, units))
        elif not _already_open(tx, number, start, units, item.state.name):
            contradictions.append((start, units, lot))
    return Parts(news, contradictions, agreed)


def _agrees(lot: Lot, said: UnitState, unclaimed: bool) -> bool:
    if lot.state == said or (lot.state in TERMINAL and said in TERMINAL):
        return True
    if lot.state == UnitState.IMMOBILISED:
        return said in _WRAPPED
    if unclaimed:
        return False
    if said == UnitState.FREE:
        return lot.state in _LIVE
    return lot.state == UnitState.INSTRUCTED and said in TERMINAL


def _already_open(tx: Context, number: int, first: int, units: int, said: str) -> bool:
    return covers(tx.state, number, MarkKind.REGISTRY_STATE, "", first, units, said)


def open_discrepancy(tx: Context, number: int, piece: Piece, lot: Lot, said: str, source: str) -> Ref:
    """Record that registry and ledger disagree; live units are restricted until somebody resolves it."""
    batch = tx.batch_number(number)
    ranges = name_ranges([(batch, piece)])
    here = f"{UnitState(lot.state).name} in {tx.account_number(lot.account).name}"
    place = tx.next_ref
    paint(tx.state, number, MarkKind.REGISTRY_STATE, "", piece.first, piece.units, said, place)
    tx.state.put(t.DISCREPANCIES, Discrepancy(piece, here, said, source, lot.cause), place.height, place.ordinal)
    serials = f"{batch.base + piece.first}..{batch.base + piece.first + piece.units - 1}"
    since = f"{lot.height}.{lot.ordinal}"
    facts = {"serials": serials, "ledger": here, "since": since, "registry": said, "source": source}
    tx.emit(EventKind.DISCREPANCY, batch.name, facts=facts, ranges=ranges)
    if lot.state not in TERMINAL:
        restrict_contested(tx, piece, place, f"registry says {said}")
    return place


def restrict_contested(tx: Context, piece: Piece, place: Ref, reason: str) -> None:
    """Restrict what the discrepancy at a place is about, until somebody resolves it."""
    batch, name = tx.batch_number(piece.batch), f"{DISCREPANCY_RESTRICTION}{place.height}.{place.ordinal}"
    paint(tx.state, piece.batch, MarkKind.RESTRICTION, name, piece.first, piece.units, reason, place)
    tx.state.put(t.BATCHES, batch._replace(restrictions=batch.restrictions + 1), piece.batch)
    tx.emit(EventKind.RESTRICTED, name, facts={"reason": reason}, ranges=name_ranges([(batch, piece)]))
