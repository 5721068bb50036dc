"""`keeling hold`, `keeling capture`, `keeling release`: reservations, and how they end."""

from __future__ import annotations

import time
from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cli.choices import (
    BENEFICIARY,
    EFFECTIVE,
    EVIDENCE,
    GRADE,
    OF_BATCH,
    OF_PROGRAMME,
    POSITIONS,
    REFERENCE,
    SERIALS,
    STRATEGY,
    UNITS,
    Choice,
    Grade,
    Strategy,
    build_evidence,
    build_selection,
    build_when,
    find_positions,
    hash_beneficiary,
    parse_positions,
)
from cli.command import reads, writes
from cli.exits import Failed, misused
from cli.identifiers import format_id, make_uuid7, parse_digest, parse_id
from cli.output import Answer, Grid, facts_of
from cli.purposes import USE_ENTITY, USE_FOR, USE_SCHEME, USE_YEAR, UseFor, build_use
from cli.quantities import format_time, format_units, parse_duration, parse_units
from cli.session import Session
from cli.telling import format_place, format_range
from cli.writing import Change

if TYPE_CHECKING:
    from keeling.v1 import ledger_pb2 as pb

app = typer.Typer(help="Holds: units reserved for one purpose.", no_args_is_help=True)
ending = typer.Typer()

_HOLD = Annotated[str, typer.Argument(metavar="HOLD", help="The hold's id.")]


class HoldPurpose(StrEnum):
    """What the units are reserved for."""

    TRANSFER = "transfer"
    RETIRE = "retire"
    USE = "use"
    CANCEL = "cancel"


_PURPOSES = {
    HoldPurpose.TRANSFER: "FOR_TRANSFER",
    HoldPurpose.RETIRE: "FOR_RETIREMENT",
    HoldPurpose.USE: "FOR_USE",
    HoldPurpose.CANCEL: "FOR_CANCELLATION",
}


@writes(app, "place")
def place_hold(
    session: Session,
    units: UNITS = None,
    account: Annotated[str, typer.Option("--account", help="Whose units.")] = "",
    purpose: Annotated[HoldPurpose, typer.Option("--purpose", help="What for.")] = HoldPurpose.RETIRE,
    expires: Annotated[
        str, typer.Option("--expires", metavar="TIME", help="From now: 48h, 7d. An instructed hold never expires.")
    ] = "48h",
    to: Annotated[str, typer.Option("--to", metavar="ACCOUNT", help="Who takes them (purpose transfer).")] = "",
    buyer: Annotated[str, typer.Option("--buyer", metavar="PARTICIPANT", help="For whom they are held.")] = "",
    beneficiary: BENEFICIARY = "",
    serials: SERIALS = None,
    positions: POSITIONS = None,
    batch: OF_BATCH = None,
    programme: OF_PROGRAMME = None,
    strategy: STRATEGY = Strategy.WHOLE_LOTS_FIRST,
    mandate: Annotated[str, typer.Option("--mandate", help="Act under this mandate of the account.")] = "",
    use: USE_FOR = UseFor.NONE,
    year: USE_YEAR = 0,
    scheme: USE_SCHEME = "",
    entity: USE_ENTITY = "",
    hold: Annotated[str | None, typer.Option("--hold", metavar="UUID", help="The hold's id; default: fresh.")] = None,
) -> Change:
    """Hold units: from that block on nobody else can have them.

    An open hold ends by capture, release or expiry. Once dispatched to a registry it is INSTRUCTED, and no clock
    ends it. Its id is the idempotency key all the way to the registry.

    \b
    Example:
      keeling hold place 10,000 --account A --purpose retire --expires 48h
    """
    from keeling.v1 import operations_pb2 as op

    number = parse_id(hold) if hold else make_uuid7()
    try:
        expires_ms = time.time_ns() // 1_000_000 + parse_duration(expires)
    except ValueError as error:
        raise misused(str(error)) from error
    named = hash_beneficiary(beneficiary)
    operation = op.Hold(
        hold=number,
        account=account,
        selection=build_selection(session, Choice(units, serials, positions, batch, programme, strategy)),
        purpose=op.Hold.Purpose.Value(_PURPOSES[purpose]),
        expires_ms=expires_ms,
        to_account=to,
        beneficiary=named.digest,
        buyer=buyer,
        mandate=mandate,
        use=build_use(use, year, scheme, entity),
    )
    facts = {"hold": format_id(number), "expires": format_time(expires_ms)} | named.facts

    def tell(result: pb.TransactionResult) -> list[str]:
        batches = {move.range.batch for event in result.events for move in event.moves}
        facts["warning"] = warn_of_owner(session, account, batches)
        return [f"hold {facts['hold']} until {facts['expires']}", *filter(None, [facts["warning"]]), *named.told]

    return Change([operation], tell, facts)


def warn_of_owner(session: Session, account: str, batches: Iterable[str]) -> str:
    """What a buyer must know of units in an account whose owner can still move them at their registry; else nothing."""
    from keeling.v1 import ledger_pb2 as pb
    from keeling.v1 import operations_pb2 as op

    try:
        link = session.ask(session.ledger.GetAccount, pb.GetAccountRequest(account=account)).link
        asked = [pb.GetBatchRequest(batch=batch) for batch in sorted(batches)] if link.control == op.Link.OWNER else []
        there = any(session.ask(session.ledger.GetBatch, each).registry == link.registry for each in asked)
    except Failed as error:
        return f"whether the seller could still move it at its registry is not known: {error}"
    return f"until {link.registry} confirms, the seller could still move it there" if there else ""


@reads(app, "list")
def list_holds(
    session: Session,
    account: Annotated[str, typer.Option("--account", help="Only of this account.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Ended ones too.")] = False,
) -> Answer:
    """List holds that still hold units; with --all also those that ended.

    \b
    Example:
      keeling hold list --account A
    """
    from keeling.v1 import ledger_pb2 as pb

    request = pb.ListRequest(account=account, open_only=not everything)
    found = [hold for page in session.ask_pages(session.ledger.ListHolds, request) for hold in page.holds]
    columns = ("hold", "account", "purpose", "phase", ">held", ">captured", ">released", "until or since")
    rows = [
        (
            format_id(h.hold),
            h.account,
            h.purpose,
            h.phase,
            format_units(h.units - h.captured - h.released),
            format_units(h.captured),
            format_units(h.released),
            _clock(h),
        )
        for h in found
    ]
    return Answer({"holds": [_facts(hold) for hold in found]}, [Grid(columns, rows, "no holds")])


@reads(app, "show")
def show_hold(session: Session, hold: _HOLD) -> Answer:
    """Show one hold: its units, phase, attempts and who dispatched it.

    \b
    Example:
      keeling hold show 019a…
    """
    from keeling.v1 import ledger_pb2 as pb

    found = session.ask(session.ledger.GetHold, pb.GetHoldRequest(hold=parse_id(hold)))
    rows = [
        ("hold", format_id(found.hold)),
        ("account", f"{found.account}, placed by {found.holder}{', for ' + found.buyer if found.buyer else ''}"),
        ("purpose", f"{found.purpose}{' to ' + found.to_account if found.to_account else ''}"),
        ("phase", f"{found.phase}: {_clock(found)}"),
        ("units", f"{format_units(found.units)}"),
        ("captured", format_units(found.captured)),
        ("released", format_units(found.released)),
        ("still held", "; ".join(format_range(item) for item in found.ranges) or "nothing"),
        ("opened", format_place(found.opened)),
    ]
    if found.attempt:
        rows.append(("attempt", f"{found.attempt}, dispatched by {found.hub} at {format_time(found.dispatched_ms)}"))
    live = [item.batch for item in found.ranges] if found.phase in ("OPEN", "INSTRUCTED") else []
    warning = warn_of_owner(session, found.account, set(live)) if live else ""
    return Answer(_facts(found) | {"warning": warning}, [Grid(("", ""), rows), *([warning] if warning else [])])


@writes(app, "dispatch")
def dispatch_hold(
    session: Session,
    hold: _HOLD,
    instruction: Annotated[
        str, typer.Option("--instruction", metavar="SHA256", help="Digest of what will be sent to the registry.")
    ],
    attempt: Annotated[int, typer.Option("--attempt", help="1, 2, …: the first dispatch of an attempt wins.")] = 1,
    lookup: Annotated[
        str | None, typer.Option("--lookup", metavar="SHA256", help="From attempt 2: the look-up that found nothing.")
    ] = None,
) -> Change:
    """Record that the registry is about to be instructed; final before the first byte leaves. For hubs.

    \b
    Example:
      keeling hold dispatch 019a… --instruction 3b7d…
    """
    from keeling.v1 import operations_pb2 as op

    operation = op.Dispatch(
        hold=parse_id(hold),
        attempt=attempt,
        instruction=parse_digest(instruction),
        lookup=parse_digest(lookup) if lookup else b"",
    )
    return Change([operation], lambda _: [f"attempt {attempt} is yours: send it"])


@writes(ending, "capture")
def capture(
    session: Session,
    hold: _HOLD,
    serials: SERIALS = None,
    positions: POSITIONS = None,
    evidence: EVIDENCE = None,
    grade: GRADE = Grade.B,
    reference: REFERENCE = "",
    effective: EFFECTIVE = None,
) -> Change:
    """Complete a hold with what the registry really used; without serials, exactly what is held.

    Units of an outside registry need its attestor's signature, evidence and reference; native ones, the holder's.

    \b
    Example:
      keeling capture 019a… --evidence answer.json --reference RET-2026-118 --as attestor.key
    """
    from keeling.v1 import operations_pb2 as op

    ranges = [parse_positions(text) for text in positions or ()]
    ranges += find_positions(session, serials or ())
    operation = op.Capture(
        hold=parse_id(hold),
        ranges=ranges,
        evidence=build_evidence(evidence, grade, reference),
        effective=build_when(effective),
    )
    return Change([operation], lambda _: [f"captured{', reference ' + reference if reference else ''}"])


@writes(ending, "release")
def release(
    session: Session,
    hold: _HOLD,
    units: Annotated[int, typer.Option("--units", parser=parse_units, help="How many; 0: all that is held.")] = "0",  # type: ignore[assignment]
    reason: Annotated[str, typer.Option("--reason", help="Why; needed once the registry was instructed.")] = "",
    evidence: EVIDENCE = None,
    grade: GRADE = Grade.D,
    reference: REFERENCE = "",
) -> Change:
    """Let held units go. Once instructed, only on the registry's evidence or two operators' word.

    A registry that did not say no may still do what it was told: take it back there first (keeling hub withdraw). Units
    that it ends after all are restricted here, whoever has them by then.

    \b
    Example:
      keeling release 019a…
      keeling release 019a… --units 4,000 --reason "registry refused" --evidence answer.json --grade B
    """
    from keeling.v1 import operations_pb2 as op

    proof = build_evidence(evidence, grade, reference)
    operation = op.Release(hold=parse_id(hold), units=units, reason=reason, evidence=proof)
    return Change([operation], lambda _: ["released"], warning=warn_of_order(session, operation.hold))


def warn_of_order(session: Session, hold: bytes) -> str:
    """What those who end a hold must know while its order stands at the registry; else nothing."""
    from keeling.v1 import ledger_pb2 as pb

    try:
        found = session.ask(session.ledger.GetHold, pb.GetHoldRequest(hold=hold))
    except Failed:
        return ""  # handing it in says what is wrong
    if found.phase != "INSTRUCTED":
        return ""
    since = format_time(found.dispatched_ms)
    return (
        f"warning: {found.registry} was instructed at {since} and may still do it, unless it said no; "
        f"to take it back there first: keeling hub withdraw {format_id(hold)}"
    )


def _clock(hold: pb.HoldInfo) -> str:
    if hold.phase == "INSTRUCTED":
        return f"instructed, outcome open since {format_time(hold.dispatched_ms)}"
    return f"expires {format_time(hold.expires_ms)}" if hold.phase == "OPEN" else "ended"


def _facts(hold: pb.HoldInfo) -> dict[str, object]:
    left = hold.units - hold.captured - hold.released
    return facts_of(hold) | {"hold": format_id(hold.hold), "opened": format_place(hold.opened), "still_held": left}
