"""Twin proposals: where an export says that units of its registry live on, until somebody decides (units and rules §8).

An observation opens one; `Twin` accepts it, a `Notice` that closes it declines it, and the governed record `AUTO_RULE`
lists the moves that decide themselves. A proposal changes nothing: units stay as the registry shows them. It is known
by its place in the batch, so that the same row, or a part of it in a later export, opens no second one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keeling.encoding import Ref
from keeling.events import EventKind
from keeling.operations import Notice, Range
from keeling.reasons import Reason
from node.core import tables as t
from node.core.authority import check_registry
from node.core.context import Context
from node.core.fields import check_evidence
from node.core.records import Batch, Piece, Proposal, ProposalStatus
from node.core.refusal import Refused
from node.core.state import State

PROPOSAL_KIND: Final = "twin-proposal"
"""The kind of `Notice` that declines a proposal."""
AUTO_RULE: Final = "rule:twin.auto"
"""Record whose value lists what needs no person: "acr>arb car>arb", registry and destination, between spaces."""


def format_proposal(batch: Batch, first: int) -> str:
    """The name of the proposal that begins at a position: batch, and serial number of its first unit."""
    return f"{batch.name}@{batch.base + first}"


def find_proposal(tx: Context, name: str) -> tuple[Piece, Proposal]:
    """The proposal called so; raises `NOTICE_NOT_FOUND` unless it is open."""
    batch_name, _, first = name.rpartition("@")
    number = (
        tx.state.get(t.BATCH_NUMBERS, batch_name)
        if first.isascii() and first.isdecimal() and len(first) <= 60
        else None
    )
    position = int(first) - tx.batch_number(number).base if number is not None else -1
    found = tx.state.get(t.PROPOSALS, number, position) if 0 <= position < 2**63 else None
    if number is None or found is None or found.status != ProposalStatus.OPEN:
        detail = f"no open proposal is called {name!r}" if found is None else f"proposal {name} was decided before"
        raise Refused(Reason.NOTICE_NOT_FOUND, detail, proposal=name)
    return Piece(number, position, found.units), found


def open_proposals(
    tx: Context, number: int, piece: Piece, destination: str, because: str, run: str
) -> list[tuple[Piece, bool]]:
    """Record what was not proposed before; returns the new parts, and whether a rule decides them."""
    batch = tx.batch_number(number)
    version, moves = _read_rule(tx)
    decided = f"{batch.registry}>{destination}" in moves
    rule = f"{AUTO_RULE} version {version}" if decided else ""
    opened = []
    for part in list(_unproposed(tx.state, piece)):
        place = tx.next_ref
        row = Proposal(part.units, destination, because, run, ProposalStatus.OPEN, place, Ref(0, 0))
        tx.state.put(t.PROPOSALS, row, number, part.first)
        serials = f"{batch.base + part.first}..{batch.base + part.first + part.units - 1}"
        facts = {"serials": serials, "destination": destination, "because": because, "run": run, "rule": rule}
        tx.emit(EventKind.PROPOSED, format_proposal(batch, part.first), facts=facts)
        opened.append((part, decided))
    return opened


def _unproposed(state: State, piece: Piece) -> Iterator[Piece]:
    """The parts of a range that no proposal covers, whatever became of it."""
    at, end = piece.first, piece.first + piece.units
    start = t.PROPOSALS.key(piece.batch, piece.first)
    before = next(iter(state.scan(t.PROPOSALS, piece.batch, start=start, reverse=True)), None)
    if before is not None:
        at = max(at, t.PROPOSALS.parts(before[0])[1] + before[1].units)
    for key, row in state.scan(t.PROPOSALS, piece.batch, start=start):
        first = t.PROPOSALS.parts(key)[1]
        if first >= end:
            break
        if first > at:
            yield Piece(piece.batch, at, first - at)
        at = max(at, first + row.units)
    if at < end:
        yield Piece(piece.batch, at, end - at)


def _read_rule(tx: Context) -> tuple[int, list[str]]:
    """The version in force and what it lets decide itself; without one, nothing does."""
    versions = tx.state.get(t.RECORDS, AUTO_RULE) or ()
    for version in reversed(versions):
        ends = version.effective_to_ms
        if version.effective_from_ms <= tx.time_ms and (not ends or tx.time_ms < ends) and version.rule is not None:
            return version.version, version.rule.value.split()
    return 0, []


def check_accepted(tx: Context, name: str, ours: Range | None, destination: str) -> None:
    """A twin that accepts a proposal is of exactly its units; what lives elsewhere, lives where the source says."""
    piece, found = find_proposal(tx, name)
    batch = tx.batch_number(piece.batch)
    if ours is None or (ours.batch, ours.first, ours.units) != (batch.name, piece.first, piece.units):
        detail = f"proposal {name} is of {batch.name} position {piece.first}, {piece.units} units"
        raise Refused(Reason.BAD_FIELD, detail, field="ours", proposal=name)
    if destination and destination != found.destination:
        detail = f"proposal {name} is of a move to {found.destination}; decline it if the tonnes live elsewhere"
        raise Refused(Reason.BAD_FIELD, detail, field="destination", proposal=name)


def close_proposal(tx: Context, name: str, status: ProposalStatus, place: Ref) -> None:
    """Write down how an open proposal was decided, and by which event."""
    piece, found = find_proposal(tx, name)
    tx.state.put(t.PROPOSALS, found._replace(status=status, decided=place), piece.batch, piece.first)


def apply_decline(tx: Context, op: Notice) -> None:
    """The move is not so: the units stay as the registry shows them, and no later export asks again."""
    if not op.close:
        detail = "the ledger opens proposals itself; a notice can only close one"
        raise Refused(Reason.BAD_FIELD, detail, field="close")
    check_evidence(op.evidence, "declining a proposal")
    piece, found = find_proposal(tx, op.notice)
    batch = tx.batch_number(piece.batch)
    policy = tx.registry(batch.registry)
    check_registry(tx, batch.registry, (*policy.attestors, *policy.importers))
    grade = op.evidence.grade if op.evidence else ""
    facts = {"kind": PROPOSAL_KIND, "closed": "declined", "destination": found.destination, "grade": grade}
    close_proposal(tx, op.notice, ProposalStatus.DECLINED, tx.next_ref)
    tx.emit(EventKind.NOTICE, op.notice, facts=facts)
