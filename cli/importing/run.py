"""One import from files to report: read, look up, plan, hand in, and tell what became of every row.

Decisions are in `plan` and `packing`. An import may be stopped anywhere: it looks before it submits, so running it
again goes on where it stopped and ends in the same state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from adapters.exports import Record, UnitRow
from adapters.registry import find_adapter, parse_file
from adapters.tabular import count_emails
from cli.exits import ExitCode, Failed
from cli.identifiers import make_uuid7
from cli.importing.lookup import look_up
from cli.importing.model import BatchPlan, Fate, KnownBatch, SourceRow, UnitSource, Verdict
from cli.importing.packing import Parcel, Run, build_parcels, build_registrations, pack_submissions
from cli.importing.plan import plan_batch
from cli.importing.report import Line, Report, judge, replace_verdicts
from cli.issue import find_new_projects
from cli.session import Session
from cli.transactions import build_transaction
from cli.writing import Hand, send
from hub.reports.model import Disagreement
from keeling.reasons import Reason
from keeling.submission import format_submission
from keeling.units import unassigned_account
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op

ROUNDS_MAX: Final = 3
"""Times a batch is planned again because somebody else brought it in between."""
_STANDING: Final = frozenset({Reason.ACCEPTED, Reason.PROJECT_EXISTS})
_DRY_RUN_TRANSACTIONS_MAX: Final = 500


class Source(NamedTuple):
    """The files of an import, read and understood."""

    registry: str
    names: tuple[str, ...]
    notes: tuple[str, ...]
    rows: tuple[SourceRow, ...]
    run: Run
    emails_removed: Mapping[str, int]
    """By file."""

    def batches(self) -> dict[str, list[UnitSource]]:
        """Rows that name units, by batch, in file order."""
        found: dict[str, list[UnitSource]] = {}
        for row in self.rows:
            if isinstance(row.record, UnitRow):
                found.setdefault(row.record.batch.key, []).append(UnitSource(row.file, row.record))
        return found


class Outcome(NamedTuple):
    """What the ledger said. `refused` are batches it did not take; `reason` the first reason, 0 for none."""

    refused: Mapping[str, Verdict]
    reason: int
    transactions: int
    height: int


def read_source(registry: str, paths: Sequence[Path]) -> Source:
    """Read the files; `FileError` names the first that cannot be read, before anything is handed in."""
    rows: list[SourceRow] = []
    notes: list[str] = []
    emails: dict[str, int] = {}
    for at, path in enumerate(paths):
        raw = path.read_bytes()
        parsed = parse_file(registry, raw, file_name=path.name)
        emails[path.name] = count_emails(raw)
        notes += [f"{path.name}: {note}" for note in parsed.notes]
        rows += [SourceRow(at, record) for record in parsed.rows()]
    name = find_adapter(registry).name
    run = identify_run(name, [row.record for row in rows])
    return Source(name, tuple(path.name for path in paths), tuple(notes), tuple(rows), run, emails)


def identify_run(registry: str, records: Iterable[Record]) -> Run:
    """The run of these rows: the same rows of the same registry give the same id, on any machine."""
    evidence = hashlib.sha256(b"".join(record.source.digest for record in records)).digest()
    digest = hashlib.sha256(b"keeling/import/v1\n" + registry.encode("utf-8") + b"\n" + evidence)
    return Run(digest.digest()[:16].hex(), registry, evidence)


def plan_all(source: Source, known: Mapping[str, KnownBatch], keys: Iterable[str] | None = None) -> list[BatchPlan]:
    """Plans for the batches of a file, or for some of them."""
    account, batches = unassigned_account(source.registry), source.batches()
    return [plan_batch(key, batches[key], known[key], account) for key in (batches if keys is None else keys)]


def build_report(source: Source, plans: Sequence[BatchPlan]) -> Report:
    """Every row with its verdict, in file order."""
    verdicts = {
        (row.file, row.record.source.row): verdict
        for plan in plans
        for row, verdict in zip(plan.rows, plan.verdicts, strict=True)
    }
    lines = [Line(row, judge(row.record) or verdicts[row.file, row.record.source.row]) for row in source.rows]
    return Report(source.names, tuple(lines), tuple(plans))


def make_plans(session: Session, source: Source) -> list[BatchPlan]:
    """Look up what the ledger knows, and plan."""
    return plan_all(source, look_up(session, source.batches()))


def pack_all(session: Session, source: Source, plans: Sequence[BatchPlan], hand: Hand) -> list[Parcel]:
    """All transactions of the news in these plans: new projects first."""
    registrations = build_registrations(plans, source.registry)
    parcels = [Parcel("", (each,)) for each in find_new_projects(session, registrations, hand)]
    return [*parcels, *(parcel for plan in plans if plan.is_news for parcel in build_parcels(plan, source.run))]


def try_out(session: Session, parcels: Sequence[Parcel], hand: Hand) -> Outcome:
    """What the ledger would say of the first 500 transactions, changing nothing."""
    some = parcels[:_DRY_RUN_TRANSACTIONS_MAX]
    if not some:
        return Outcome({}, 0, 0, 0)
    submissions = [_format(session, group, hand) for group in pack_submissions(some)]
    results = send(session, submissions, dry_run=True)
    refused = dict(_refusals(some, results))
    reason = next((result.reason for result in results if result.reason not in _STANDING), 0)
    return Outcome(refused, reason, len(parcels), 0)


def hand_in_all(
    session: Session, source: Source, plans: list[BatchPlan], hand: Hand, progress: Callable[[int, int], None]
) -> Outcome:
    """Submit all news; batches that came into being in between are planned again. `progress(done, all)`."""
    refused: dict[str, Verdict] = {}
    pending, sent, height, reason = list(plans), 0, 0, 0
    for _ in range(ROUNDS_MAX):
        parcels = pack_all(session, source, pending, hand)
        done, again = 0, list[str]()
        for group in pack_submissions(parcels):
            results = _submit(session, group, hand)
            done, sent = done + len(group), sent + len(group)
            height = max([height, *(result.place.height for result in results)])
            for key, verdict in _refusals(group, results):
                if verdict.reason == Reason.BATCH_EXISTS.name:
                    again.append(key)
                else:
                    refused[key] = verdict
                    reason = reason or Reason[verdict.reason]
            progress(done, len(parcels))
        if not again:
            return Outcome(refused, reason, sent, height)
        batches = source.batches()
        known = look_up(session, {key: batches[key] for key in again})
        pending = plan_all(source, known, again)
    text = "another import brings the same batches right now"
    raise Failed(ExitCode.REFUSED, text, reason=Reason.BATCH_EXISTS.name, advice="run this one again when it is done")


def anchor_report(session: Session, source: Source, digest: bytes, hand: Hand) -> bool:
    """Put the digest of a run's report on record; False where the ledger did not take it."""
    anchor = op.Anchor(kind="reconciliation", name=name_anchor(source.run.id), digest=digest)
    return _submit(session, [Parcel("", (anchor,))], hand)[0].reason == Reason.ACCEPTED


def name_anchor(run: str) -> str:
    """The name under which reports of a run are anchored."""
    return f"import/{run}"


def find_disagreements(session: Session, source: Source) -> list[Disagreement]:
    """Open disagreements about units of the batches in these files."""
    keys = source.batches()
    pages = session.ask_pages(session.ledger.ListDiscrepancies, pb.ListRequest(open_only=True))
    found = [each for page in pages for each in page.discrepancies if each.range.batch in keys]
    return [
        Disagreement(
            f"{each.place.height}.{each.place.ordinal}",
            each.range.batch,
            each.serials,
            each.range.units,
            keys[each.range.batch][0].record.grain.name,
            each.ledger,
            each.claimed,
            each.source,
            each.restricted,
        )
        for each in found
    ]


def _submit(session: Session, group: Sequence[Parcel], hand: Hand) -> Sequence[pb.TransactionResult]:
    try:
        return send(session, [_format(session, group, hand)])
    except Failed as failed:
        if failed.code not in (ExitCode.OUTCOME_UNKNOWN, ExitCode.UNREACHABLE):
            raise
        unknown = failed.code is ExitCode.OUTCOME_UNKNOWN
        text = "the outcome of the last part is unknown" if unknown else failed.text
        advice = "run the same import again: it goes on where it stopped and takes nothing twice"
        raise Failed(failed.code, f"the import stopped: {text}", reason=failed.reason, advice=advice) from failed


def _format(session: Session, group: Sequence[Parcel], hand: Hand) -> bytes:
    items = [(build_transaction(make_uuid7(), hand.participant, list(each.operations)), ()) for each in group]
    return format_submission(session.network, hand.signer.public_key, items, hand.signer.sign)


def _refusals(group: Sequence[Parcel], results: Sequence[pb.TransactionResult]) -> Iterable[tuple[str, Verdict]]:
    """The batches of a group that were not taken. A project that is there already is none."""
    for parcel, result in zip(group, results, strict=True):
        if result.reason not in _STANDING and parcel.key:
            yield parcel.key, Verdict(Fate.REFUSED, result.reason_name, result.detail)


def settle_report(report: Report, outcome: Outcome) -> Report:
    """The report with the ledger's refusals on the rows they concern."""
    return report._replace(lines=tuple(replace_verdicts(report.lines, outcome.refused)))
