"""`keeling adjust`: the ledgers of Parties, and the steps of their annual reports on adjustments.

Adjustments are triggered by what happens to authorized units, so there is no command that makes one.
"""

from __future__ import annotations

import csv
import io
import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.authorizing import DATE, DOCUMENT, parse_years
from cli.choices import Grade, build_when, require_evidence
from cli.command import reads, writes
from cli.exits import misused
from cli.output import Answer, Grid, facts_of
from cli.quantities import format_units
from cli.session import Session
from cli.telling import format_place, format_when
from cli.writing import Change

if TYPE_CHECKING:
    from keeling.v1 import ledger_pb2 as pb

adjust_app = typer.Typer(help="Corresponding adjustments and the ledgers of Parties.", no_args_is_help=True)

_CODE = Annotated[str, typer.Argument(metavar="PARTY", help="Three letters, such as GHA.")]


class Method(StrEnum):
    """How corresponding adjustments are applied (2/CMA.3 annex para 7)."""

    AVERAGING = "averaging"
    TRAJECTORY = "trajectory"
    MULTI_YEAR = "multi-year"


class Step(StrEnum):
    """Steps of a Party's annual report."""

    REPORTED = "reported"
    CONSISTENT = "consistent"
    INCONSISTENT = "inconsistent"
    IN_BTR = "in-btr"


@reads(adjust_app, "balance")
def balance(
    session: Session,
    party: _CODE,
    year: Annotated[str | None, typer.Option("--year", metavar="YEARS", help="2025 or 2021-2025.")] = None,
    inventory: Annotated[
        Path | None, typer.Option("--inventory", metavar="FILE", help="Emissions: lines of year,value, or JSON.")
    ] = None,
    method: Annotated[Method | None, typer.Option("--method", help="Default: the one on the Party's record.")] = None,
    metric: Annotated[str, typer.Option("--metric", help="Another metric than tonnes of CO2 equivalent.")] = "",
    at_height: Annotated[int, typer.Option("--at-height", metavar="N", help="What was known at that height.")] = 0,
    as_of: Annotated[str | None, typer.Option("--as-of", metavar="DATE", help="What was effective then.")] = None,
    details: Annotated[bool, typer.Option("--details", help="With every adjustment and its life.")] = False,
) -> Answer:
    """Show what a Party first transferred (by vintage) and used (by year of use), and its balance if it can be said.

    Without inventory or method the balance is INDETERMINATE, with the reason; the sums are always there.

    \b
    Example:
      keeling adjust balance GHA --year 2021-2025 --inventory inventory.csv --method averaging
    """
    from keeling.v1 import ledger_pb2 as pb
    from keeling.v1 import operations_pb2 as op

    first, last = parse_years(year) if year else (0, 0)
    request = pb.GetPartyYearsRequest(
        party=party,
        first_year=first,
        last_year=last,
        at_height=at_height,
        as_of=build_when(as_of),
        method=op.Party.Method.Value(method.name) if method else op.Party.METHOD_UNSPECIFIED,
        metric=metric,
        adjustments=details,
    )
    for of_year, value in _read_inventory(inventory).items() if inventory else ():
        request.inventory.add(year=of_year, value=value)
    found = session.ask(session.ledger.GetPartyYears, request)
    return Answer(facts_of(found), _tell_years(found))


def _read_inventory(path: Path) -> dict[int, str]:
    """Emissions by year: a JSON object, or lines of year and value."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
        if text.lstrip()[:1] == "{":
            return {int(year): str(value) for year, value in json.loads(text, parse_float=str, parse_int=str).items()}
        lines = [line for line in csv.reader(io.StringIO(text)) if any(cell.strip() for cell in line)]
        return {int(line[0]): line[1].strip() for line in lines if line[0].strip().lower() != "year"}
    except (ValueError, IndexError, AttributeError) as error:
        raise misused(f"{path} has no emissions by year: {error}", "write lines such as 2025,98.5") from error


def _tell_years(found: pb.PartyYears) -> list[str | Grid]:
    columns = ("year", ">first transferred", ">used", ">emissions", ">balance", ">adjustment", ">cumulative", "")
    rows = [
        (
            f"{row.year}{' final' if row.final else ''}",
            format_units(row.first_transferred),
            format_units(row.used),
            row.emissions or "-",
            row.balance or "INDETERMINATE",
            row.adjustment or "-",
            f"{row.cumulative:,}",
            row.why,
        )
        for row in found.rows
    ]
    period = f" {found.ndc_first_year} - {found.ndc_last_year}" if found.ndc_first_year else ""
    said = f"{found.final}, by what is known now" if found.final else found.why
    end = f"at the end of the period{period}: {said}"
    told: list[str | Grid] = [
        f"{found.party}, method {found.method or 'not said'}; {found.basis}",
        Grid(columns, rows),
        end,
    ]
    if found.adjustments:
        lines = [
            (
                item.adjustment,
                item.side.lower(),
                format_units(item.units),
                item.authorization,
                format_when(item.effective),
                " > ".join(f"{step.state} {format_place(step.at)}" for step in item.life),
            )
            for item in found.adjustments
        ]
        told.append(Grid(("adjustment", "side", ">units", "authorization", "effective", "life"), lines))
    return told


@writes(adjust_app, "report")
def report(
    session: Session,
    party: _CODE,
    year: Annotated[int, typer.Option("--year", help="The year of the actions.")],
    version: Annotated[str, typer.Option("--version", help="Of the submission: 1.0, 1.1 …")],
    step: Annotated[Step, typer.Option("--step", help="What happened to it.")],
    date: DATE,
    document: DOCUMENT,
    adjustment: Annotated[
        list[str] | None, typer.Option("--adjustment", help="Inconsistent: only these; may be repeated.")
    ] = None,
) -> Change:
    """Record a step of a Party's annual report: submitted, its result, in the transparency report.

    \b
    Example:
      keeling adjust report GHA --year 2025 --version 1.0 --step reported --date 2026-04-10 --document aef.xlsx
    """
    from keeling.v1 import operations_pb2 as op

    operation = op.ReportAdjustment(
        party=party,
        reported_year=year,
        version=version,
        step=op.ReportAdjustment.Step.Value(step.name),
        adjustments=adjustment or (),
        date=build_when(date),
        evidence=require_evidence(document, Grade.A),
    )
    return Change([operation], lambda _: [f"{party} {year} {version}: {step.value}"])


@writes(adjust_app, "finalise")
def finalise(
    session: Session,
    party: _CODE,
    years: Annotated[str, typer.Option("--years", metavar="YEARS", help="The NDC period: 2021-2025.")],
    document: DOCUMENT,
) -> Change:
    """Make the adjustments of a period final: none of them can ever change, and none can be added.

    \b
    Example:
      keeling adjust finalise GHA --years 2021-2025 --document btr.pdf
    """
    from keeling.v1 import operations_pb2 as op

    first, last = parse_years(years)
    evidence = require_evidence(document, Grade.A)
    operation = op.FinaliseAdjustment(party=party, first_year=first, last_year=last, evidence=evidence)
    return Change([operation], lambda _: [f"{party} {first} to {last} is final"])
