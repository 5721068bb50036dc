"""`keeling import`: load a registry's public export. The work is in `cli.importing`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.command import reads
from cli.exits import ExitCode, misused
from cli.output import Answer, Grid
from cli.quantities import format_quantity, format_units
from cli.session import Session

if TYPE_CHECKING:
    from cli.importing.report import Report
    from cli.importing.run import Source
    from cli.writing import Hand

app = typer.Typer()


@reads(app, "import")
def import_files(
    session: Session,
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Exports of one registry; several are one run.")],
    registry: Annotated[
        str,
        typer.Option("--registry", help="verra, gold_standard, acr, car, art, cercarbono, isometric, arb."),
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
    key: Annotated[
        Path | None, typer.Option("--as", metavar="KEYFILE", help="An importer's key; default: the profile's.")
    ] = None,
) -> Answer:
    """Load exports: every row ends as lot, evidence, duplicate or refused, and the sums equal the file's.

    Only news is handed in, under names that come from the registry: running the same files again changes nothing, and
    an import that was stopped goes on where it was. Active units lie in unassigned@REGISTRY, not tradable until an
    account claims them (keeling account link). Files that complete each other, such as issuances and retirements, are
    best given together.

    \b
    Example:
      keeling import transactions.csv --registry verra --dry-run
      keeling import transactions.csv --registry verra
      keeling import issuances.csv retirements.csv --registry gold_standard --strict
    """
    from cli.failures import code_of
    from cli.importing import run
    from cli.writing import load_hand

    source = run.read_source(registry, files)
    plans = run.make_plans(session, source)
    planned = run.build_report(source, plans)
    hand = load_hand(session, key)
    outcome = run.Outcome({}, 0, 0, 0)
    if dry_run or strict:
        outcome = run.try_out(session, run.pack_all(session, source, plans, hand), hand)
    settled = run.settle_report(planned, outcome)
    stopped = strict and (outcome.reason or _has_refused(settled))
    if not dry_run and not stopped:
        with _progress() as progress:
            outcome = run.hand_in_all(session, source, plans, hand, progress)
        settled = run.settle_report(planned, outcome)
    path = _write_report(source, settled, report, dry_run)
    facts = _keep_report(session, source, settled, None if dry_run or stopped or not outcome.transactions else hand)
    write_page(page, facts)
    answer = add_findings(_tell(source, settled, path, dry_run or bool(stopped), outcome.transactions), facts)
    if stopped:
        complaint = "REFUSED_ROWS: --strict, and some rows are refused: nothing was taken"
        return answer._replace(code=ExitCode.REFUSED, complaint=complaint)
    if outcome.reason:
        return answer._replace(code=code_of(outcome.reason), complaint=_complain(outcome.refused))
    return answer


def _has_refused(report: Report) -> bool:
    return any(line.verdict.fate == "refused" for line in report.lines)


def _complain(refused: Any) -> str:
    key, verdict = next(iter(refused.items()), ("", None))
    if verdict is None:
        return "the ledger refused to register projects"
    return f"{verdict.reason}: {len(refused)} batches were refused, the first is {key}: {verdict.detail}"


def _write_report(source: Source, report: Report, wanted: Path | None, dry_run: bool) -> Path | None:
    """Write every row's fate to a new file: no report is ever overwritten."""
    from cli.importing.report import format_csv
    from network.files import write_new_file

    if wanted is None and dry_run:
        return None
    names = [wanted] if wanted else [Path(f"import-{source.run.id[:12]}{tail}.csv") for tail in _tails()]
    for path in names:
        try:
            write_new_file(path, format_csv(report), 0o644)
        except FileExistsError:
            continue
        return path
    raise misused(f"{names[0]} exists already", "choose another name with --report; the import itself is done")


def _keep_report(session: Session, source: Source, report: Report, hand: Hand | None) -> dict[str, Any]:
    """The report as facts. Of an import that changed something it is kept here, and its digest on the ledger."""
    from cli.importing import run, shelved
    from cli.importing.page import build_report_input
    from hub.reports.summary import digest_report, summarise

    disagreements = run.find_disagreements(session, source)
    given = (source.registry, source.run.id, report, source.notes, disagreements, source.emails_removed)
    facts = summarise(build_report_input(*given))
    if hand is not None:
        shelved.keep(source.run.id, facts)
        run.anchor_report(session, source, digest_report(facts), hand)
    return facts


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


def _tell(source: Source, report: Report, path: Path | None, dry_run: bool, transactions: int) -> Answer:
    from cli.importing.report import facts_of_report, tell_report
    from keeling.units import unassigned_account

    facts = facts_of_report(report)
    account = unassigned_account(source.registry)
    facts |= {
        "run": source.run.id,
        "registry": source.registry,
        "files": list(source.names),
        "evidence": source.run.evidence.hex(),
        "notes": list(source.notes),
        "dry_run": dry_run,
        "transactions": 0 if dry_run else transactions,
        "report": str(path) if path else None,
        "account": account,
    }
    lines: list[str | Grid] = [*tell_report(facts), *source.notes]
    lines.append(f"run {source.run.id}" + (" (nothing was changed)" if dry_run else ""))
    if facts["batches"]:
        lines.append(f"active units are in {account}: not tradable until claimed (keeling account link)")
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
