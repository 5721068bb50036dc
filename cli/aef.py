"""`keeling aef`: the tables of the agreed electronic format: made from the ledger, checked, taken as evidence."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.choices import build_when
from cli.command import reads, works, writes
from cli.exits import ExitCode, Failed, misused
from cli.output import Answer, Grid
from cli.session import Session
from cli.writing import Change

if TYPE_CHECKING:
    from hub.aef.check import Finding
    from hub.aef.layout import Report
    from hub.aef.ledger import Logged
    from keeling.v1 import ledger_pb2 as pb

aef_app = typer.Typer(help="Tables of the agreed electronic format (AEF) of Article 6.2.", no_args_is_help=True)

FINDINGS_SHOWN_MAX = 50
"""More findings are counted, not listed; `--json` has them all."""


class Format(StrEnum):
    """How a report is written."""

    JSON = "json"
    CSV = "csv"
    XLSX = "xlsx"


class Edition(StrEnum):
    """Editions of the template."""

    CURRENT = "2026-02"
    EARLIER = "2024"


_FILE = Annotated[Path, typer.Argument(metavar="FILE", help="A report: XLSX, CSV or JSON.")]
_AGAINST = Annotated[
    Path | None, typer.Option("--against", metavar="FILE", help="The other Party's report: do transfers match?")
]


@reads(aef_app, "export")
def export(
    session: Session,
    party: Annotated[str, typer.Option("--party", metavar="PARTY", help="Whose report: three letters.")],
    year: Annotated[int, typer.Option("--year", help="The year of the actions, 1 January to 31 December UTC.")],
    layout: Annotated[Format, typer.Option("--format", help="How it is written.")] = Format.XLSX,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to; default: standard output.")
    ] = None,
    version: Annotated[
        str | None, typer.Option("--version", help="A submitted version is rebuilt as it was; default: the next.")
    ] = None,
    date: Annotated[str | None, typer.Option("--date", metavar="DATE", help="Of the submission.")] = None,
    at_height: Annotated[int, typer.Option("--at-height", metavar="N", help="From what was known then.")] = 0,
    edition: Annotated[Edition, typer.Option("--edition", help="Of the template.")] = Edition.CURRENT,
) -> Answer | None:
    """Make a Party's report on a year from the ledger's events. The same ledger gives the same bytes.

    \b
    Example:
      keeling aef export --party GHA --year 2025 --format xlsx -o gha-2025.xlsx
      keeling aef export --party GHA --year 2025 --version 1.0 -o as-submitted.xlsx
    """
    from hub.aef.build import ReportError, Stated, build_report
    from hub.aef.layout import EDITIONS, SHEETS
    from hub.aef.ledger import read_picture
    from hub.aef.write import FORMATS
    from keeling.genesis import parse_genesis
    from keeling.operations import When

    genesis = parse_genesis(session.profile.genesis.expanduser().read_bytes())
    log = list(_read_log(session, at_height))
    picture = read_picture(genesis.records, log)
    submitted = {item.version: item for item in picture.submitted.get((party, year), ())}
    if version in submitted and not at_height:
        place = submitted[version].place
        picture = read_picture(genesis.records, [item for item in log if item.place <= place])
    when = build_when(date)
    stated = Stated(version, When(when.ms, when.precision) if when is not None else None)
    try:
        report = build_report(picture, party, year, stated, EDITIONS[edition.value])
    except ReportError as error:
        raise Failed(ExitCode.NOT_FOUND, str(error), reason="PARTY_NOT_FOUND") from error
    data = FORMATS[layout.value](report)
    if output is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        return None
    output.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    rows = [(sheet.title, str(len(report.rows(sheet)))) for sheet in SHEETS]
    facts = {"file": str(output), "sha256": digest, "rows": {f"table{s.number}": len(report.rows(s)) for s in SHEETS}}
    return Answer(facts, [f"{output}: SHA-256 {digest}", Grid(("table", ">rows"), rows)])


def _read_log(session: Session, at_height: int) -> Iterator[Logged]:
    """Every event from the first block on, up to a height."""
    from keeling.v1 import ledger_pb2 as pb

    for page in session.ask_stream(session.ledger.Watch, pb.WatchRequest(until_now=True), session.deadline_ms):
        for event in page.events:
            if at_height and event.place.height > at_height:
                return
            yield convert_event(event)


def convert_event(message: pb.Event) -> Logged:
    """An event as it came from a node, without what its units did: reports read facts only."""
    from hub.aef.ledger import Logged
    from keeling.encoding import Ref
    from keeling.events import Event, EventKind
    from keeling.operations import When

    when = When(message.effective.ms, message.effective.precision)
    facts = tuple((fact.name, fact.value) for fact in message.facts)
    event = Event(EventKind[message.kind], message.transaction, message.subject, when, (), (), facts)
    return Logged(Ref(message.place.height, message.place.ordinal), message.time_ms, event)


@works(aef_app, "check")
def check(file: _FILE, against: _AGAINST = None) -> Answer:
    """Check a report for consistency: each finding names its table, row and rule. Needs no node.

    \b
    Example:
      keeling aef check gha-2025.xlsx
      keeling aef check gha-2025.xlsx --against che-2025.xlsx
    """
    report = _read_report(file)
    found = _find(report, against)
    told: list[str | Grid] = [f"{file}: {_name(report)}"]
    if not found:
        return Answer(_facts(report, found), [*told, "consistent: nothing was found"])
    rows = [(str(item.table), str(item.row or "missing"), item.rule, item.text) for item in found[:FINDINGS_SHOWN_MAX]]
    more = f"and {len(found) - len(rows)} more" if len(found) > len(rows) else ""
    return Answer(
        _facts(report, found), [*told, Grid((">table", ">row", "rule", "finding"), rows), more], ExitCode.REFUSED
    )


@writes(aef_app, "import")
def import_report(session: Session, file: _FILE, against: _AGAINST = None) -> Change:
    """Check a report of anybody's and, if nothing is wrong with it, put its digest on the ledger as evidence.

    \b
    Example:
      keeling aef import che-2025.xlsx --against gha-2025.xlsx
    """
    from keeling.v1 import operations_pb2 as op

    report = _read_report(file)
    found = _find(report, against)
    if found:
        more = f"; and {len(found) - 1} more" if len(found) > 1 else ""
        advice = f"see all: keeling aef check {file}"
        raise Failed(ExitCode.REFUSED, f"{file}: {found[0]}{more}", reason="AEF_INCONSISTENT", advice=advice)
    digest = hashlib.sha256(file.read_bytes()).digest()
    anchor = op.Anchor(kind="evidence", name=f"aef/{_name(report)}", digest=digest)
    return Change([anchor], lambda _: [f"{_name(report)}: consistent; {digest.hex()} is on record"], _facts(report, []))


def _read_report(file: Path) -> Report:
    from hub.aef.read import AefError, parse_report

    try:
        return parse_report(file.read_bytes())
    except AefError as error:
        raise misused(f"{file}: {error}") from error


def _find(report: Report, against: Path | None) -> list[Finding]:
    from hub.aef.check import check_report
    from hub.aef.match import match_reports

    found = check_report(report)
    return found + match_reports(report, _read_report(against)) if against is not None else found


def _name(report: Report) -> str:
    from hub.aef.layout import SUBMISSION, cell

    names = ("ParticipatingParty", "ReportedYear", "SubmissionVersion")
    return "/".join(cell(SUBMISSION, report.submission, name) for name in names)


def _facts(report: Report, found: list[Finding]) -> dict[str, object]:
    from hub.aef.layout import SHEETS
    from hub.aef.match import sum_adjustments

    sums = (
        [
            {"party": party, "year": year, "side": side, "units": units}
            for (party, year, side), units in sorted(sum_adjustments(report).items())
        ]
        if not found
        else []
    )
    return {
        "report": _name(report),
        "edition": report.edition.name,
        "rows": {f"table{sheet.number}": len(report.rows(sheet)) for sheet in SHEETS},
        "sums": sums,
        "findings": [item._asdict() for item in found],
    }
