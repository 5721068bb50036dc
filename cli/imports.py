"""`keeling import`: load a registry's public export. The work is in `cli.importing`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.command import reads
from cli.exits import ExitCode, misused
from cli.output import Answer, Grid
from cli.quantities import format_quantity, format_units
from cli.session import Session

if TYPE_CHECKING:
    from cli.importing.run import Outcome, Source
    from cli.writing import Hand

app = typer.Typer()
_NAME_CHARACTERS: Final = 23
"""Of a run's name: the day and twelve digits."""


@reads(app, "import")
def import_files(
    session: Session,
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Exports of one registry; several are one run.")],
    registry: Annotated[
        str,
        typer.Option("--registry", help="verra, gold_standard, acr, car, art, cercarbono, isometric, arb, cdop, cadt."),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be taken; change nothing.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Take nothing if any row is refused.")] = False,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="Where every row's fate goes; default: by the run's id."),
    ] = None,
    page: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the report as one page that stands alone.")
    ] = None,
    as_of: Annotated[
        str, typer.Option("--as-of", metavar="DATE", help="The day of the export; default: the latest any row states.")
    ] = "",
    key: Annotated[
        Path | None, typer.Option("--as", metavar="KEYFILE", help="An importer's key; default: the profile's.")
    ] = None,
) -> Answer:
    """Load exports: every row ends as lot, evidence, duplicate or refused, and the sums equal the file's.

    Only news is handed in, under names that come from the registry: running the same files again changes nothing, and
    an import that was stopped goes on where it was. Of an export that is older than what the ledger knows, only what
    was not known is taken. Active units lie in unassigned@REGISTRY, not tradable until an
    account claims them (keeling account link). Files that complete each other, such as issuances and retirements, are
    best given together.

    \b
    Example:
      keeling import transactions.csv --registry verra --dry-run
      keeling import transactions.csv --registry verra
      keeling import issuances.csv retirements.csv --registry gold_standard --strict
    """
    from cli.importing import run
    from cli.importing.lookup import NodeLedger
    from cli.importing.spool import Spool
    from cli.writing import load_hand

    with Spool() as spool:
        source = run.read_source(spool, registry, files, _parse_day(as_of))
        run.plan_all(NodeLedger(session), spool, source.run)
        hand = load_hand(session, key)
        outcome = run.Outcome(None, 0, 0, 0)
        if dry_run or strict:
            outcome = run.try_out(session, source, hand)
        stopped = bool(strict and (outcome.reason or spool.has_refused()))
        if not dry_run and not stopped:
            spool.forget_refusals()
            with _progress() as progress:
                outcome = run.hand_in_all(session, source, hand, progress)
        told, facts, path = _report(session, source, report, dry_run)
        if not dry_run and not stopped and (outcome.transactions or _is_new_evidence(session, source, told)):
            _keep_report(session, source, facts, hand)
    write_page(page, facts)
    answer = add_findings(_tell(source, told, path, dry_run or stopped, outcome.transactions), facts)
    return _conclude(answer, outcome, stopped)


def _conclude(answer: Answer, outcome: Outcome, stopped: bool) -> Answer:
    """The answer with its exit code, and with what went wrong."""
    from cli.failures import code_of

    if stopped:
        complaint = "REFUSED_ROWS: --strict, and some rows are refused: nothing was taken"
        return answer._replace(code=ExitCode.REFUSED, complaint=complaint)
    if outcome.reason:
        return answer._replace(code=code_of(outcome.reason), complaint=_complain(outcome))
    return answer


def _parse_day(text: str) -> str:
    from datetime import date

    if not text:
        return ""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise misused(f"{text!r} is no day", "write it as YYYY-MM-DD") from error


def _complain(outcome: Outcome) -> str:
    if outcome.refused is None:
        return "the ledger refused to register projects"
    key, verdict = outcome.refused
    return f"{verdict.reason}: {outcome.refused_batches} batches were refused, the first is {key}: {verdict.detail}"


def _report(
    session: Session, source: Source, wanted: Path | None, dry_run: bool
) -> tuple[dict[str, Any], dict[str, Any], Path | None]:
    """Go through all rows once: the command's facts, the owner's report, and every row's fate in a file."""
    from cli.importing import page, run
    from cli.importing.report import RowWriter, Tally
    from hub.reports.summary import Summary
    from network.files import open_new_file

    summary, tally = Summary(source.registry, source.run.id, source.names, source.notes), Tally(source.names)
    path = _choose_path(source, wanted, dry_run)
    with open_new_file(path, 0o644) if path else nullcontext() as file:
        writer = RowWriter(source.names, file.write) if file else None
        for row, verdict in run.read_lines(source.spool):
            tally.add(row, verdict)
            summary.add_row(page.build_row(source.names, row, verdict))
            if writer is not None:
                writer.add(row, verdict)
        if writer is not None:
            writer.flush()
    for _, plan in source.spool.plans():
        summary.add_batch(page.build_batch(plan))
    for each in run.find_disagreements(session, source.spool):
        summary.add_disagreement(each)
    facts = tally.facts(plan for _, plan in source.spool.plans())
    return facts, summary.finish(source.emails_removed), path


def _choose_path(source: Source, wanted: Path | None, dry_run: bool) -> Path | None:
    """Where every row's fate is written; nowhere for a trial. No report is ever overwritten."""
    if wanted is None and dry_run:
        return None
    names = [wanted] if wanted else [Path(f"import-{source.run.id[:_NAME_CHARACTERS]}{tail}.csv") for tail in _tails()]
    path = next((name for name in names if not name.exists()), None)
    if path is None:
        raise misused(f"{names[0]} exists already", "choose another name with --report; the import itself is done")
    return path


def _is_new_evidence(session: Session, source: Source, facts: dict[str, Any]) -> bool:
    """Whether the files have rows that are only evidence, and their report is not on record."""
    from cli.importing import run

    return bool(facts["rows_by_outcome"]["evidence"]) and not run.is_anchored(session, source.run.id)


def _keep_report(session: Session, source: Source, facts: dict[str, Any], hand: Hand) -> None:
    """Keep the report of an import that brought something, and its digest on the ledger.

    Rows without serials leave nothing else there: by this digest their file can be shown to be the one of the day.
    """
    from cli.importing import run, shelved
    from hub.reports.summary import digest_report

    shelved.keep(source.run.id, facts)
    run.anchor_report(session, source, digest_report(facts), hand)


def write_page(path: Path | None, facts: dict[str, Any]) -> None:
    """Write the one page to a new file, if one is wanted."""
    if path is None:
        return
    from hub.reports.html import format_html
    from network.files import write_new_file

    try:
        write_new_file(path, format_html(facts).encode("utf-8"), 0o644)
    except FileExistsError as error:
        raise misused(f"{path} exists already", "choose another name; nothing was overwritten") from error


def add_findings(answer: Answer, facts: dict[str, Any]) -> Answer:
    """The answer with what to fix first."""
    rows = [
        (
            str(at),
            each["title"],
            tell_units(each["units"]),
            format_units(each["rows"]) if each["rows"] else "",
            each["action"],
        )
        for at, each in enumerate(facts["first"], 1)
    ]
    told = [Grid(("", "fix first", ">units", ">rows", "how"), rows)] if rows else []
    return answer._replace(facts=answer.facts | {"first": facts["first"]}, sections=[*answer.sections, *told])


def tell_units(units: dict[str, int]) -> str:
    """Units of several grains, never added."""
    return ", ".join(format_quantity(amount, grain) for grain, amount in units.items())


def _tails() -> list[str]:
    return ["", *(f"-{number}" for number in range(2, 1000))]


def _tell(source: Source, facts: dict[str, Any], path: Path | None, dry_run: bool, transactions: int) -> Answer:
    from adapters.documents import DocumentAdapter
    from adapters.registry import find_adapter
    from cli.importing.report import tell_report
    from keeling.units import unassigned_account

    of_many = isinstance(find_adapter(source.registry), DocumentAdapter)  # each batch is of the registry that issued it
    account = "" if of_many else unassigned_account(source.registry)
    facts |= {
        "run": source.run.id,
        "registry": source.registry,
        "files": list(source.names),
        "as_of": source.run.as_of,
        "evidence": source.run.evidence.hex(),
        "notes": list(source.notes),
        "dry_run": dry_run,
        "transactions": 0 if dry_run else transactions,
        "report": str(path) if path else None,
        "account": account,
    }
    lines: list[str | Grid] = [*tell_report(facts), *source.notes]
    lines.append(f"the files know up to {source.run.as_of}" if source.run.as_of else "no row of the files has a date")
    lines.append(f"run {source.run.id}" + (" (nothing was changed)" if dry_run else ""))
    if facts["batches"]:
        place = account or "unassigned@ and the registry of their batch"
        lines.append(f"active units are in {place}: not tradable until claimed (keeling account link)")
    if path is not None:
        lines.append(f"every row's fate: {path}")
    return Answer(facts, lines)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error where somebody watches; silent otherwise."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("handing in", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
