"""What waits for a person: moves that exports propose, and disagreements with both sides shown."""

from __future__ import annotations

from typing import Final

from keeling.encoding import Ref
from keeling.events import EventKind
from keeling.units import TERMINAL
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from node.core.intervals import MarkKind, read_layer
from node.core.observe import DISCREPANCY_RESTRICTION
from node.core.proposals import format_proposal
from node.core.records import Batch, Discrepancy, Proposal, ProposalStatus
from node.reads.custody import Archive
from node.reads.errors import NotKept
from node.reads.messages import convert_event, convert_place
from node.reads.pages import open_page, read_rows
from node.reads.restrictions import read_ends
from node.reads.serials import print_serials
from node.reads.view import ReadState
from node.store.contract import Reads

_TERMINAL: Final = frozenset(state.name for state in TERMINAL)


def list_proposals(view: Reads, request: pb.ListRequest) -> pb.ListProposalsResponse:
    """Twin proposals in order of batch and position: all, or those still open."""
    state = ReadState(view)
    page = open_page(state.height, request.page_size, request.page_token, "proposals", str(request.open_only))
    keep = (lambda _, row: row.status == ProposalStatus.OPEN) if request.open_only else None
    rows, last = read_rows(state, t.PROPOSALS, [t.PROPOSALS.key()], page, keep)
    response = pb.ListProposalsResponse(next_page_token=page.token(last), height=state.height)
    for key, row in rows:
        number, first = t.PROPOSALS.parts(key)
        response.proposals.append(_convert_proposal(state.batch(number), first, row))
    return response


def _convert_proposal(batch: Batch, first: int, row: Proposal) -> pb.ProposalInfo:
    message = pb.ProposalInfo(
        proposal=format_proposal(batch, first),
        range=op.Range(batch=batch.name, first=first, units=row.units),
        first_number=str(batch.base + first),
        last_number=str(batch.base + first + row.units - 1),
        serials=print_serials(batch, first, row.units),
        registry=batch.registry,
        destination=row.destination,
        because=row.because,
        run=row.source,
        status=ProposalStatus(row.status).name,
        opened=convert_place(row.opened),
    )
    if row.decided.height:
        message.decided.CopyFrom(convert_place(row.decided))
    return message


def list_discrepancies(view: Reads, request: pb.ListRequest) -> pb.ListDiscrepanciesResponse:
    """Disagreements, oldest first: all, or those that still stand. Events this node dropped are left out."""
    state, ends = ReadState(view), Ends(view)
    page = open_page(state.height, request.page_size, request.page_token, "discrepancies", str(request.open_only))
    found: dict[bytes, tuple[bool, bool]] = {}

    def keep(key: bytes, row: Discrepancy) -> bool:
        found[key] = _stands(state, ends, Ref(*t.DISCREPANCIES.parts(key)), row)
        return found[key][0] or not request.open_only

    rows, last = read_rows(state, t.DISCREPANCIES, [t.DISCREPANCIES.key()], page, keep)
    response = pb.ListDiscrepanciesResponse(next_page_token=page.token(last), height=state.height)
    archive = Archive(view)
    for key, row in rows:
        place = Ref(*t.DISCREPANCIES.parts(key))
        message = _convert_discrepancy(state, archive, place, row, found[key])
        if not message.open:
            _add_end(archive, ends, message)
        response.discrepancies.append(message)
    return response


class Ends:
    """At which height each discrepancy last ended on some units, by batch: each read once for a request."""

    def __init__(self, view: Reads) -> None:
        self._view = view
        self._known: dict[str, dict[str, int]] = {}

    def find(self, batch: str, name: str) -> int | None:
        """None: it never did, as far as this node keeps what happened."""
        if batch not in self._known:
            self._known[batch] = read_ends(self._view, batch, DISCREPANCY_RESTRICTION, ReadState(self._view).height)
        return self._known[batch].get(name)


def _name(place: Ref | pb.Place) -> str:
    return f"{DISCREPANCY_RESTRICTION}{place.height}.{place.ordinal}"


def _add_end(archive: Archive, ends: Ends, message: pb.DiscrepancyInfo) -> None:
    """What closed it, where that is kept here."""
    name = _name(message.place)
    height = ends.find(message.range.batch, name)
    if height is None or not archive.has_room(height):
        return
    try:
        closed = archive.find(height, EventKind.UNRESTRICTED, name)
    except NotKept:
        return
    if closed is not None:
        message.closed.CopyFrom(closed)


def _stands(state: ReadState, ends: Ends, place: Ref, row: Discrepancy) -> tuple[bool, bool]:
    """Whether it is open, and whether it restricts units: its marks are taken off when it is resolved.

    One of units that had ended restricts nothing. What the registry says of them is one mark, whichever of several
    disagreements laid it: there the one is over that was closed.
    """
    number, first, units = row.piece
    name = _name(place)
    restricted = bool(read_layer(state, number, MarkKind.RESTRICTION, name, first, units))
    claimed = bool(read_layer(state, number, MarkKind.CLAIM, name, first, units))
    if restricted or claimed or row.ledger.partition(" ")[0] not in _TERMINAL:
        return restricted or claimed, restricted
    said = read_layer(state, number, MarkKind.REGISTRY_STATE, "", first, units)
    stands = any(mark.value == row.registry for _, mark in said)
    return stands and ends.find(state.batch(number).name, name) is None, False


def _convert_discrepancy(
    state: ReadState, archive: Archive, place: Ref, row: Discrepancy, stands: tuple[bool, bool]
) -> pb.DiscrepancyInfo:
    batch = state.batch(row.piece.batch)
    first, units = row.piece.first, row.piece.units
    message = pb.DiscrepancyInfo(
        place=convert_place(place),
        range=op.Range(batch=batch.name, first=first, units=units),
        first_number=str(batch.base + first),
        last_number=str(batch.base + first + units - 1),
        serials=print_serials(batch, first, units),
        ledger=row.ledger,
        claimed=row.registry,
        source=row.source,
        open=stands[0],
        restricted=stands[1],
    )
    for field, at in (("since", row.since), ("found", place)):
        try:
            event, time_ms = archive.read(at) if archive.has_room(at.height) else (None, 0)
        except NotKept:
            continue
        if event is not None:
            getattr(message, field).CopyFrom(convert_event(event._replace(moves=()), at, time_ms))
    return message
