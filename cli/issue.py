"""`keeling issue`: units of one project and vintage come into being, with the levies their programme asks for."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli.choices import EFFECTIVE, EVIDENCE, GRADE, REFERENCE, Grade, build_evidence, build_when
from cli.command import writes
from cli.exits import misused
from cli.output import Grid
from cli.quantities import format_units, milliseconds, parse_units
from cli.session import Session
from cli.writing import Change, Hand, load_hand, send

if TYPE_CHECKING:
    from keeling.v1 import ledger_pb2 as pb
    from keeling.v1 import operations_pb2 as op

app = typer.Typer()

_TO = Annotated[
    str, typer.Option("--to", metavar="ACCOUNT", help="Receives the net units; default: PARTICIPANT/issued, of yours.")
]
_QUANTITY = Annotated[int, typer.Option("--quantity", parser=parse_units, help="How many units, levies included.")]
_OBSERVED = Annotated[
    str, typer.Option("--observed", metavar="SERIALS", help="Units an outside registry shows as active, instead.")
]
_HOST = Annotated[str, typer.Option("--host", metavar="CODE", help="Host Party; registers the project if it is new.")]


@writes(app, "issue")
def issue(
    session: Session,
    programme: Annotated[str, typer.Option("--programme", help="Under whose rules: keeling record list.")],
    activity: Annotated[str, typer.Option("--activity", help="The project's id under the programme.")],
    vintage: Annotated[str, typer.Option("--vintage", metavar="YEAR|FROM/TO", help="2024, or two days with a slash.")],
    quantity: _QUANTITY = "0",  # type: ignore[assignment]
    to: _TO = "",
    host: _HOST = "",
    batch: Annotated[str, typer.Option("--batch", help="Its name; default: PROGRAMME:ACTIVITY-VINTAGE.")] = "",
    space: Annotated[str, typer.Option("--space", help="Serial space; default: one of its own for the batch.")] = "",
    first: Annotated[int, typer.Option("--first", parser=parse_units, help="Number of the first unit.")] = "1",  # type: ignore[assignment]
    ndc_year: Annotated[int, typer.Option("--ndc-year", help="The year in the host's NDC; 0: not said.")] = 0,
    serial_form: Annotated[
        str, typer.Option("--serial-form", metavar="SERIAL", help="Any serial of the batch, to print the others like.")
    ] = "",
    observed: _OBSERVED = "",
    evidence: EVIDENCE = None,
    grade: GRADE = Grade.D,
    reference: REFERENCE = "",
    effective: EFFECTIVE = None,
) -> Change:
    """Issue units. Levies are computed by the programme's record and rounding; the answer names the rule.

    Approved by the programme's registry, and by a verifier where the programme asks for one. With --observed the units
    are those of an outside registry whose files `keeling import` does not read; a link claims them. Where a serial
    alone does not say how many units it is (Isometric), give --quantity too.

    \b
    Example:
      keeling issue --programme A64 --activity 0007 --host MMR --vintage 2024 --quantity 7125
      keeling issue --programme CORC --activity 643002 --host FI --vintage 2024 --evidence list.pdf \\
        --observed PURO_PR_CORC100+_FI_643002_2024_40980b1a-cff7-4c78-9cc5-a3a2f18c7e04_1-1000000
    """
    from keeling.v1 import operations_pb2 as op

    start, end = parse_vintage(vintage)
    if not (quantity or observed):
        raise misused("say how many units come into being, or which ones a registry shows", "--quantity, --observed")
    opening = [] if observed else find_missing_accounts(session, programme, to)
    account = to or f"{session.profile.participant}/issued"
    project = f"{programme}:{activity}"
    name = batch or f"{project}-{vintage.replace('/', '..')}"
    said = build_evidence(evidence, grade, reference)
    numbers = {"space": space or name, "first_number": str(first), "units": quantity, "serial_form": serial_form}
    dates = {"vintage_start": start, "vintage_end": end, "ndc_year": ndc_year, "effective": build_when(effective)}
    about = {"batch": name, "project": project, "programme": programme, "account": account, "evidence": said}
    operation = op.Issue(extent=op.Issue.EXACT, **about, **numbers, **dates)  # type: ignore[arg-type]
    if observed:
        _observe(operation, observed, quantity or None)
    wanted = [op.RegisterProject(project=project, programme=programme, name=project, host=host)] if host else []
    projects = find_new_projects(session, wanted, load_hand(session, None)) if host else []
    return Change([*opening, *projects, operation], lambda result: _tell(result, name))


def _observe(operation: op.Issue, serials: str, units: int | None) -> None:
    """Make the issue one of a mirrored batch, of which these units were seen. Raises `Failed`.

    `units`: how many they are, where the serial alone does not say; elsewhere it must agree.
    """
    from keeling.serials import SerialError, parse
    from keeling.v1 import operations_pb2 as op

    try:
        seen = parse(serials, units=units)
    except SerialError as error:
        raise misused(f"{serials!r}: {error}") from error
    operation.account = ""
    operation.extent = op.Issue.AT_LEAST
    operation.space, operation.first_number, operation.units = seen.space, str(seen.first), seen.units
    operation.serial_form = serials
    operation.observations.append(
        op.Observation(first_number=str(seen.first), units=seen.units, status=op.Observation.ACTIVE)
    )


def find_missing_accounts(session: Session, programme: str, to: str) -> list[op.OpenAccount]:
    """What opens the accounts an issuance needs and nobody has opened: the receiver's default, and those of levies."""
    from keeling.v1 import ledger_pb2 as pb
    from keeling.v1 import operations_pb2 as op

    own = session.profile.participant
    records = [
        record for page in session.ask_pages(session.ledger.ListRecords, pb.ListRequest()) for record in page.records
    ]
    ours = [r.programme for r in records if r.id == programme and r.programme.registry == own]
    wanted = [levy.account for levy in ours[-1].levies] if ours else []
    if not to:
        wanted.append(f"{own}/issued")
    pages = session.ask_pages(session.ledger.ListAccounts, pb.ListRequest())
    known = {account.account for page in pages for account in page.accounts} if wanted else set()
    return [op.OpenAccount(account=name, owner=own) for name in dict.fromkeys(wanted) if name not in known]


def parse_vintage(text: str) -> tuple[op.When, op.When]:
    """First and last day of "2024" or of "2024-01-01/2024-06-30"."""
    from keeling.v1 import operations_pb2 as op

    parts = text.split("/")
    try:
        if re.fullmatch(r"\d{4}", text, re.ASCII):
            days = [date(int(text), 1, 1), date(int(text), 12, calendar.monthrange(int(text), 12)[1])]
        else:
            days = [date.fromisoformat(part) for part in parts]
    except ValueError as error:
        raise misused(f"{text!r} is no vintage: {error}", "write 2024 or 2024-01-01/2024-06-30") from error
    if len(days) != 2 or days[1] < days[0]:
        raise misused(f"{text!r} is no vintage", "write 2024 or 2024-01-01/2024-06-30")
    first, last = [milliseconds(datetime(day.year, day.month, day.day, tzinfo=UTC)) for day in days]
    return op.When(ms=first, precision=op.When.DATE), op.When(ms=last, precision=op.When.DATE)


def find_new_projects(
    session: Session, registrations: list[op.RegisterProject], hand: Hand
) -> list[op.RegisterProject]:
    """Those of the registrations whose project the ledger does not have, found by asking for a dry run."""
    from cli.identifiers import make_uuid7
    from cli.transactions import build_transaction
    from keeling.reasons import Reason
    from keeling.submission import MAX_TRANSACTIONS, format_submission

    new: list[op.RegisterProject] = []
    for at in range(0, len(registrations), MAX_TRANSACTIONS):
        part = registrations[at : at + MAX_TRANSACTIONS]
        items = [(build_transaction(make_uuid7(), hand.participant, [each]), ()) for each in part]
        raw = format_submission(session.network, hand.signer.public_key, items, hand.signer.sign)
        results = send(session, [raw], dry_run=True)
        new += [each for each, result in zip(part, results, strict=True) if result.reason != Reason.PROJECT_EXISTS]
    return new


def _tell(result: pb.TransactionResult, name: str) -> list[str | Grid]:
    told: list[str | Grid] = []
    for event in result.events:
        stated = {fact.name: fact.value for fact in event.facts}
        if stated.get("rule"):
            told.append(f"rule {stated['rule']}")
        told += [f"  {key}: {value}" for key, value in stated.items() if key.startswith("levy ")]
        net = [move.range.units for move in event.moves if move.to_state == "FREE"]
        if event.moves:
            gross = sum(move.range.units for move in event.moves)
            told.append(f"batch {name}: {format_units(gross)} units, of which {format_units(net[-1])} net")
    return told
