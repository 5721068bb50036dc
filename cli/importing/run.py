"""One import from files to report: read, look up, plan, hand in, and tell what became of every row.

Decisions are in `plan` and `packing`; rows lie in the `spool`, a few thousand of them in memory at a time. An import
may be stopped anywhere: it looks before it submits, so running it again goes on where it stopped and ends in the same
state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from adapters.registry import find_adapter, parse_file
from adapters.tabular import count_emails
from cli.exits import ExitCode, Failed
from cli.identifiers import make_uuid7
from cli.importing.big import WINDOW_ROWS, plan_big
from cli.importing.identity import Run, RunBuilder
from cli.importing.lookup import Ledger, NodeLedger, look_up
from cli.importing.model import Fate, SourceRow, Verdict
from cli.importing.packing import Parcel, build_parcels, build_registration, pack_submissions, take_for_trial
from cli.importing.plan import plan_batch
from cli.importing.ranges import SpilledRanges
from cli.importing.report import judge
from cli.importing.spool import Spool, SpooledBatch
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

Choose = Callable[[list[op.RegisterProject]], Iterable[op.RegisterProject]]
"""Which of some projects' registrations the ledger needs."""

ROUNDS_MAX: Final = 3
"""Times a batch is planned again because somebody else came in between."""
_AGAIN: Final = frozenset({Reason.BATCH_EXISTS, Reason.BLOCK_IS_FULL})
"""Others were quicker: the batch is there by now, or the block had no room left. What is left to do is planned anew."""
_STANDING: Final = frozenset({Reason.ACCEPTED, Reason.PROJECT_EXISTS})
_PROJECTS_ASKED_AT_ONCE: Final = 200
_PROJECTS_KEPT: Final = 20_000


class Source(NamedTuple):
    """The files of an import, read and understood; their rows are in the spool."""

    registry: str
    names: tuple[str, ...]
    notes: tuple[str, ...]
    spool: Spool
    run: Run
    emails_removed: Mapping[str, int]
    """By file."""


class Outcome(NamedTuple):
    """What the ledger said. `refused` is the first batch it did not take, if any; `reason` the first reason or 0."""

    refused: tuple[str, Verdict] | None
    refused_batches: int
    reason: int
    transactions: int


def read_source(spool: Spool, registry: str, paths: Sequence[Path], as_of: str = "") -> Source:
    """Read the files into the spool; `FileError` names the first that cannot be read, before anything is handed in."""
    notes: list[str] = []
    emails: dict[str, int] = {}
    name = find_adapter(registry).name
    run = RunBuilder(name)
    for at, path in enumerate(paths):
        parsed = parse_file(registry, lambda path=path: path.open("rb"), file_name=path.name)  # type: ignore[misc]
        emails[path.name] = count_emails(lambda path=path: path.open("rb"))  # type: ignore[misc]
        notes += [f"{path.name}: {note}" for note in parsed.notes]
        spool.add(at, run.watch(parsed.rows(SpilledRanges(spool.database))))
    names = tuple(path.name for path in paths)
    return Source(name, names, tuple(notes), spool, run.build(as_of), emails)


def plan_all(ledger: Ledger, spool: Spool, run: Run, batches: Iterable[SpooledBatch] | None = None) -> None:
    """Plan the batches of a run, or some of them, from the spool into the spool."""
    account = unassigned_account(run.registry)
    for group in _group(spool.batches() if batches is None else batches):
        if group[0].rows > WINDOW_ROWS:
            plan_big(ledger, spool, group[0], account, run.as_of)
            continue
        rows = {batch.key: spool.units(batch.number) for batch in group}
        known = look_up(ledger, {key: [row for _, row in found] for key, found in rows.items()})
        for batch in group:
            found = rows[batch.key]
            plan = plan_batch(batch.key, [row for _, row in found], known[batch.key], account, run.as_of)
            spool.put_verdicts((at, verdict) for (at, _), verdict in zip(found, plan.verdicts, strict=True))
            news = [*((False, seen) for seen in plan.issued), *((True, seen) for seen in plan.shown)]
            spool.put_news(batch.number, news)
            spool.put_plan(batch.number, plan)


def _group(batches: Iterable[SpooledBatch]) -> Iterator[list[SpooledBatch]]:
    """Batches side by side as long as their rows fit in memory together; one that does not fit is alone."""
    group: list[SpooledBatch] = []
    rows = 0
    for batch in batches:
        if group and rows + batch.rows > WINDOW_ROWS:
            yield group
            group, rows = [], 0
        group.append(batch)
        rows += batch.rows
    if group:
        yield group


def read_lines(spool: Spool) -> Iterator[tuple[SourceRow, Verdict]]:
    """Every row in file order, with its verdict."""
    for source, verdict in spool.lines():
        decided = judge(source.record) or verdict
        if decided is None:
            raise LookupError(f"row {source.record.source.row} was not planned")
        yield source, decided


def pack_news(spool: Spool, run: Run, batches: Iterable[SpooledBatch], choose: Choose = list) -> Iterator[Parcel]:
    """All transactions of the news of these batches; a project that is new comes before its batches.

    `choose` says which of some registrations the ledger needs.
    """
    registered: dict[str, None] = {}
    rest = iter(batches)
    while group := [(batch, spool.plan(batch.number)) for batch in islice(rest, _PROJECTS_ASKED_AT_ONCE)]:
        news = [(batch, plan) for batch, plan in group if plan.is_news]
        wanted: dict[str, op.RegisterProject] = {}
        for _, plan in news:
            registration = build_registration(plan, run.registry)
            if not plan.exists and registration.project not in registered:
                wanted.setdefault(registration.project, registration)
        yield from (Parcel("", (each,)) for each in choose(list(wanted.values())))
        if len(registered) > _PROJECTS_KEPT:
            registered.clear()
        registered |= dict.fromkeys(wanted)
        for batch, plan in news:
            yield from build_parcels(plan, run, spool.news(batch.number, False), spool.news(batch.number, True))


def _pack(session: Session, source: Source, batches: Iterable[SpooledBatch], hand: Hand) -> Iterator[Parcel]:
    return pack_news(
        source.spool, source.run, batches, lambda some: find_new_projects(session, some, hand) if some else []
    )


def try_out(session: Session, source: Source, hand: Hand) -> Outcome:
    """What the ledger would say of the first transactions, as many as a call carries, changing nothing."""
    some = take_for_trial(_pack(session, source, source.spool.batches(), hand))
    if not some:
        return Outcome(None, 0, 0, 0)
    results = send(session, [_format(session, group, hand) for group in pack_submissions(some)], dry_run=True)
    tried = _Tried(source.spool)
    tried.add(some, results)
    return tried.outcome()


def hand_in_all(session: Session, source: Source, hand: Hand, progress: Callable[[int, int], None]) -> Outcome:
    """Submit all news; batches that came into being in between are planned again. `progress(done, all)` in batches."""
    tried, spool = _Tried(source.spool), source.spool
    pending: Iterable[SpooledBatch] = spool.batches()
    size = spool.batches_size()
    for _ in range(ROUNDS_MAX):
        tried.again = {}
        for group in pack_submissions(_pack(session, source, pending, hand)):
            tried.add(group, _submit(session, group, hand))
            progress(spool.place_of(group[-1].key), size)
        if not tried.again:
            return tried.outcome()
        pending = [found[0] for key in tried.again if (found := spool.batch_named(key)) is not None]
        for batch in pending:
            spool.forget_plan(batch.number)
        plan_all(NodeLedger(session), spool, source.run, pending)
    text = "another import brings the same batches right now"
    raise Failed(ExitCode.REFUSED, text, reason=Reason.BATCH_EXISTS.name, advice="run this one again when it is done")


class _Tried:
    """What came of transactions so far."""

    def __init__(self, spool: Spool) -> None:
        self._spool: Final = spool
        self._first: tuple[str, Verdict] | None = None
        self._refused = 0
        self._reason = 0
        self._transactions = 0
        self.again: dict[str, None] = {}
        """Batches to be planned again."""

    def add(self, group: Sequence[Parcel], results: Sequence[pb.TransactionResult]) -> None:
        """Look at the results of transactions. A project that is there already is no refusal."""
        self._transactions += len(group)
        for parcel, result in zip(group, results, strict=True):
            if result.reason in _STANDING:
                continue
            if result.reason in _AGAIN and parcel.key:
                self.again[parcel.key] = None
                continue
            self._reason = self._reason or result.reason
            if parcel.key:
                verdict = Verdict(Fate.REFUSED, result.reason_name, result.detail)
                self._refused += self._spool.refuse(parcel.key, verdict)
                self._first = self._first or (parcel.key, verdict)

    def outcome(self) -> Outcome:
        """All of it."""
        return Outcome(self._first, self._refused, self._reason, self._transactions)


def anchor_report(session: Session, source: Source, digest: bytes, hand: Hand) -> bool:
    """Put the digest of a run's report on record; False where the ledger did not take it."""
    anchor = op.Anchor(kind="reconciliation", name=name_anchor(source.run.id), digest=digest)
    return _submit(session, [Parcel("", (anchor,))], hand)[0].reason == Reason.ACCEPTED


def is_anchored(session: Session, run: str) -> bool:
    """Whether a report of this run is on record. Reads the ledger's events from the first one on."""
    for answer in session.ask_stream(session.ledger.Watch, pb.WatchRequest(until_now=True)):
        if any(event.kind == "ANCHORED" and event.subject == name_anchor(run) for event in answer.events):
            return True
    return False


def name_anchor(run: str) -> str:
    """The name under which reports of a run are anchored."""
    return f"import/{run}"


def find_disagreements(session: Session, spool: Spool) -> Iterator[Disagreement]:
    """Open disagreements about units of the batches in these files."""
    for page in session.ask_pages(session.ledger.ListDiscrepancies, pb.ListRequest(open_only=True)):
        for each in page.discrepancies:
            if (found := spool.batch_named(each.range.batch)) is not None:
                place = f"{each.place.height}.{each.place.ordinal}"
                sides = (each.ledger, each.claimed, each.source, each.restricted)
                where = (each.range.batch, each.serials, each.range.first, each.range.units)
                yield Disagreement(place, *where, found[1], *sides)


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
