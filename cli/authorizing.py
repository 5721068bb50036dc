"""The terms of an authorization as options of a command, and in words. What they mean is decided by the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from cli.exits import ExitCode, Failed, misused
from cli.quantities import format_units, parse_units

if TYPE_CHECKING:
    from keeling.v1 import operations_pb2 as op


class Purpose(StrEnum):
    """What outcomes are authorized for."""

    NDC = "ndc"
    OIMP = "oimp"
    IMP = "imp"
    OP = "op"
    NDC_AND_OIMP = "ndc-and-oimp"
    NDC_AND_IMP = "ndc-and-imp"
    NDC_AND_OP = "ndc-and-op"


class FirstTransfer(StrEnum):
    """What the first transfer is, for other international mitigation purposes."""

    AUTHORIZATION = "authorization"
    ISSUANCE = "issuance"
    USE_OR_CANCELLATION = "use-or-cancellation"
    INTERNATIONAL_TRANSFER = "first-international-transfer"


_MANY = "may be repeated"
PARTY = Annotated[str, typer.Option("--party", metavar="PARTY", help="The Party that acts: three letters.")]
APPROACH = Annotated[str, typer.Option("--approach", metavar="CA0004", help="The cooperative approach.")]
DATE = Annotated[str, typer.Option("--date", metavar="DATE", help="Of the document.")]
DOCUMENT = Annotated[
    str, typer.Option("--document", metavar="FILE|SHA256", help="The document; only its digest travels.")
]
PURPOSE = Annotated[Purpose | None, typer.Option("--purpose", help="What for.")]
FIRST_TRANSFER = Annotated[
    FirstTransfer | None, typer.Option("--first-transfer", help="For OIMP: what the first transfer is.")
]
BATCHES = Annotated[list[str] | None, typer.Option("--batch", metavar="NAME", help=f"In scope; {_MANY}.")]
PROJECTS = Annotated[list[str] | None, typer.Option("--project", metavar="NAME", help=f"In scope; {_MANY}.")]
PROGRAMMES = Annotated[list[str] | None, typer.Option("--programme", metavar="NAME", help=f"In scope; {_MANY}.")]
VINTAGES = Annotated[str | None, typer.Option("--vintages", metavar="YEARS", help="Only these: 2021-2025.")]
TIMEFRAME = Annotated[
    str | None, typer.Option("--timeframe", metavar="YEARS", help="When they may be transferred and used: 2021-2030.")
]
CAP = Annotated[int | None, typer.Option("--cap", parser=parse_units, metavar="UNITS", help="Most units under it.")]
FOR_PARTIES = Annotated[
    list[str] | None, typer.Option("--for-party", metavar="PARTY", help=f"Who may acquire; none: any; {_MANY}.")
]
ENTITIES = Annotated[
    list[str] | None,
    typer.Option("--entity", metavar="PARTICIPANT|NAME|COUNTRY|NUMBER", help=f"An authorized entity; {_MANY}."),
]
CONDITIONAL = Annotated[
    bool | None, typer.Option("--conditional/--unconditional", help="Nothing leaves until an amendment lifts it.")
]
CONDITIONS = Annotated[str | None, typer.Option("--conditions", metavar="TEXT", help="Terms and conditions; public.")]
OIMP = Annotated[str | None, typer.Option("--oimp", metavar="TEXT", help="For what exactly: CORSIA.")]
NON_GHG = Annotated[str | None, typer.Option("--non-ghg-metric", metavar="TEXT", help="Another metric than tonnes.")]
SECTORS = Annotated[
    list[str] | None, typer.Option("--sector", metavar="TEXT", help=f"As the AEF lists them; at least one; {_MANY}.")
]
ACTIVITIES = Annotated[
    list[str] | None, typer.Option("--activity", metavar="TEXT", help=f"Activity type as AEF lists it; {_MANY}.")
]
MITIGATION = Annotated[
    str | None,
    typer.Option("--mitigation-type", metavar="TEXT", help="Emission reductions, Removals, or as the AEF has both."),
]
NOTES = Annotated[str | None, typer.Option("--notes", metavar="TEXT", help="Additional explanatory information.")]


class Given(NamedTuple):
    """The terms a command line names; None: not named."""

    purpose: Purpose | None
    first_transfer: FirstTransfer | None
    batch: list[str] | None
    project: list[str] | None
    programme: list[str] | None
    vintages: str | None
    timeframe: str | None
    cap: int | None
    for_party: list[str] | None
    entity: list[str] | None
    conditional: bool | None
    conditions: str | None
    oimp: str | None
    non_ghg_metric: str | None
    sector: list[str] | None
    activity: list[str] | None
    mitigation_type: str | None
    notes: str | None


def parse_years(text: str) -> tuple[int, int]:
    """Read "2025" or "2021-2025"."""
    first, dash, last = text.partition("-")
    years = (first.strip(), last.strip() if dash else first.strip())
    if not all(len(year) == 4 and year.isascii() and year.isdigit() for year in years) or years[0] > years[1]:
        raise misused(f"{text!r} is no year and no range of years", "write 2025 or 2021-2025")
    return int(years[0]), int(years[1])


def build_terms(authorization: str, known: op.AuthorizationTerms, given: Given) -> op.AuthorizationTerms:
    """The known terms with everything that is named replaced; refused where a report has no cell for a word."""
    from hub.aef.terms import find_unreportable
    from keeling.v1 import operations_pb2 as op

    terms = op.AuthorizationTerms()
    terms.CopyFrom(known)
    if given.purpose is not None:
        terms.purpose = op.AuthorizationTerms.Purpose.Value(given.purpose.name)
    if given.first_transfer is not None:
        terms.first_transfer = op.AuthorizationTerms.FirstTransfer.Value(given.first_transfer.name)
    if given.vintages is not None:
        terms.vintage_from, terms.vintage_to = parse_years(given.vintages)
    if given.timeframe is not None:
        terms.first_year, terms.last_year = parse_years(given.timeframe)
    if given.entity is not None:
        del terms.entities[:]
        terms.entities.extend(_build_entity(text) for text in given.entity)
    lists = {
        "batches": given.batch,
        "projects": given.project,
        "programmes": given.programme,
        "parties": given.for_party,
        "sectors": given.sector,
        "activity_types": given.activity,
    }
    for name, items in lists.items():
        if items is not None:
            field = getattr(terms, name)
            del field[:]
            field.extend(items)
    for name in ("cap", "conditional", "conditions", "oimp", "non_ghg_metric", "mitigation_type", "notes"):
        value = getattr(given, name)
        if value is not None:
            setattr(terms, name, value)
    odd = find_unreportable(authorization, terms)
    if odd:
        advice = "a report in the agreed electronic format could not say it"
        raise Failed(ExitCode.REFUSED, "; ".join(map(str, odd)), reason="AEF_INCONSISTENT", advice=advice)
    return terms


def _build_entity(text: str) -> op.AuthorizedEntity:
    from keeling.v1 import operations_pb2 as op

    parts = [part.strip() for part in text.split("|")]
    if len(parts) != 4:
        advice = 'write "PARTICIPANT|NAME|COUNTRY|NUMBER"; PARTICIPANT may be empty'
        raise misused(f"{text!r} is no authorized entity", advice)
    return op.AuthorizedEntity(participant=parts[0], name=parts[1], country=parts[2], identification=parts[3])


def describe_terms(terms: op.AuthorizationTerms) -> list[tuple[str, str]]:
    """One version's terms, a line each; what is not said is left out."""
    from keeling.v1 import operations_pb2 as op

    scope = [*terms.batches, *terms.projects, *terms.programmes]
    rows: Sequence[tuple[str, str]] = (
        ("purpose", op.AuthorizationTerms.Purpose.Name(terms.purpose).replace("_", " ")),
        ("first transfer", _describe_first_transfer(terms)),
        ("scope", ", ".join(scope)),
        ("vintages", _years(terms.vintage_from, terms.vintage_to)),
        ("time frame", _years(terms.first_year, terms.last_year)),
        ("cap", format_units(terms.cap) if terms.cap else ""),
        ("for Parties", ", ".join(terms.parties) or "any"),
        ("for entities", ", ".join(f"{item.name} ({item.country})" for item in terms.entities) or "any"),
        ("for", terms.oimp),
        ("conditional", "yes" if terms.conditional else "no"),
        ("conditions", terms.conditions),
        ("metric", terms.non_ghg_metric or "GHG"),
        ("sectors", "; ".join(terms.sectors)),
        ("activities", "; ".join(terms.activity_types)),
        ("mitigation type", terms.mitigation_type),
        ("notes", terms.notes),
    )
    return [row for row in rows if row[1]]


def _describe_first_transfer(terms: op.AuthorizationTerms) -> str:
    """The moment that counts: for use towards an NDC it is never a matter of choice."""
    from keeling.v1 import operations_pb2 as op

    international = "first international transfer"
    chosen = op.AuthorizationTerms.FirstTransfer.Name(terms.first_transfer).replace("_", " ").lower()
    if terms.first_transfer in (
        op.AuthorizationTerms.FIRST_TRANSFER_UNSPECIFIED,
        op.AuthorizationTerms.INTERNATIONAL_TRANSFER,
    ):
        return international
    also_ndc = op.AuthorizationTerms.Purpose.Name(terms.purpose).startswith("NDC")
    return f"{international}, or {chosen}, whichever happens first" if also_ndc else chosen


def _years(first: int, last: int) -> str:
    return f"{first} - {last}" if first else ""
