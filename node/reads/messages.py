"""Records and events as the messages clients get. Only layout: nothing is looked up or decided here."""

from __future__ import annotations

from collections.abc import Callable

from keeling.encoding import Ref
from keeling.events import Event, EventKind
from keeling.operations import InitialReport, When
from keeling.units import UnitState
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from node.core import records as r
from node.core.records import Batch, Lot
from node.reads.serials import print_serials

PrintSerials = Callable[[str, int, int], str]
"""The registry's text for (batch name, first position, units); empty where it is not known."""


def convert_place(place: Ref) -> pb.Place:
    return pb.Place(height=place.height, ordinal=place.ordinal)


def convert_when(when: When) -> op.When | None:
    """The moment; None where the source gave none."""
    if when == When():
        return None
    return op.When(ms=when.ms, precision=when.precision)  # type: ignore[arg-type]


def convert_event(event: Event, place: Ref, time_ms: int, serials: PrintSerials | None = None) -> pb.Event:
    """An event at its place; `time_ms` is the ledger time of its block."""
    message = pb.Event(
        kind=EventKind(event.kind).name,
        transaction=event.transaction,
        subject=event.subject,
        time_ms=time_ms,
    )
    message.place.height, message.place.ordinal = place.height, place.ordinal
    message.effective.ms, message.effective.precision = event.effective.ms, event.effective.precision  # type: ignore[assignment]
    for batch, first, units, giver, from_state, cause, taker, to_state in event.moves:
        move = message.moves.add(
            from_account=giver,
            from_state=UnitState(from_state).name,
            to_account=taker,
            to_state=UnitState(to_state).name,
        )
        move.range.batch, move.range.first, move.range.units = batch, first, units
        move.cause.height, move.cause.ordinal = cause.height, cause.ordinal
        if serials is not None:
            move.serials = serials(batch, first, units)
    for cash in event.cash:
        message.cash.add(**cash._asdict())
    for name, value in event.facts:
        message.facts.add(name=name, value=value)
    for batch, first, units in event.ranges:
        about = message.ranges.add()
        about.range.batch, about.range.first, about.range.units = batch, first, units
        if serials is not None:
            about.serials = serials(batch, first, units)
    return message


def convert_lot(batch: Batch, first: int, lot: Lot, account: str) -> pb.Lot:
    """A lot of a batch; its account by name."""
    message = convert_gap(batch, first, lot.units)
    message.account, message.state = account, UnitState(lot.state).name
    message.hold = lot.hold if lot.hold != r.NO_HOLD else b""
    message.cause.height, message.cause.ordinal = lot.height, lot.ordinal
    return message


def convert_gap(batch: Batch, first: int, units: int) -> pb.Lot:
    """A range of a batch without account and state: positions nobody has shown."""
    number = batch.base + first
    return pb.Lot(
        range=op.Range(batch=batch.name, first=first, units=units),
        first_number=str(number),
        last_number=str(number + units - 1),
        serials=print_serials(batch, first, units),
    )


def convert_policy(policy: r.Policy) -> op.AccountPolicy:
    rules = [
        op.ApprovalRule(operations=rule.operations, from_units=rule.from_units, approvals=rule.approvals)
        for rule in policy.rules
    ]
    return op.AccountPolicy(
        approvers=policy.approvers, rules=rules, delay_ms=policy.delay_ms, incoming_approved=policy.incoming_approved
    )


def convert_link(account: str, link: r.Link) -> op.Link:
    """The link as the account's owner set it; claims are in the events."""
    return op.Link(
        account=account,
        registry=link.registry,
        registry_account=link.registry_account,
        hub=link.hub,
        control=link.control,  # type: ignore[arg-type]
    )


def convert_mandate(account: str, name: str, mandate: r.Mandate) -> op.GrantMandate:
    """A mandate with what is left of it: `units_total` is how many units it still covers."""
    return op.GrantMandate(
        account=account,
        mandate=name,
        grantee=mandate.grantee,
        operations=mandate.operations,
        units_each=mandate.units_each,
        units_total=mandate.units_left,
        programme=mandate.programme,
        price_min=mandate.price_min,
        price_max=mandate.price_max,
        currency=mandate.currency,
        until_ms=mandate.until_ms,
    )


def convert_record(name: str, record: r.RecordVersion) -> op.SetRecord:
    """One version of a governed record."""
    message = op.SetRecord(id=name, version=record.version, source=record.source)
    if record.effective_from_ms:
        message.effective_from.ms = record.effective_from_ms
        message.effective_from.precision = op.When.INSTANT
    if record.effective_to_ms:
        message.effective_to.ms = record.effective_to_ms
        message.effective_to.precision = op.When.INSTANT
    if record.programme is not None:
        fields = record.programme._asdict()
        fields["levies"] = [op.Levy(**levy._asdict()) for levy in record.programme.levies]
        message.programme.CopyFrom(op.Programme(**fields))
    if record.registry is not None:
        message.registry.CopyFrom(op.RegistryPolicy(**record.registry._asdict()))
    if record.rule is not None:
        message.rule.CopyFrom(op.Rule(value=record.rule.value))
    if record.party is not None:
        message.party.CopyFrom(op.Party(**record.party._asdict()))
    if record.approach is not None:
        fields = record.approach._asdict()
        fields["initial_reports"] = [convert_initial_report(item) for item in record.approach.initial_reports]
        message.approach.CopyFrom(op.CooperativeApproach(**fields))
    return message


def convert_initial_report(report: InitialReport) -> op.InitialReport:
    """A Party's initial report under Article 6.2, as an approach's record names it."""
    message = op.InitialReport(party=report.party, digest=report.digest, reference=report.reference)
    submitted = convert_when(report.submitted or When())
    if submitted is not None:
        message.submitted.CopyFrom(submitted)
    return message
