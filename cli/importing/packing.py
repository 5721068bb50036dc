"""Turns batch plans into operations, and operations into transactions and submissions of bounded size. Pure.

Which units are news was decided in `plan`. One batch's operations stay in one transaction where they fit, so that it
comes into being whole; where they do not, every transaction is news by itself and the rest follows on the next run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from adapters.exports import Effective, Precision
from cli.importing.model import BatchPlan, Seen
from cli.importing.plan import shows_issuance
from cli.quantities import milliseconds
from keeling.serials import print_range
from keeling.v1 import operations_pb2 as op

OBSERVATIONS_MAX: Final = 200
"""In one operation: an event is read whole to show the history of one of its units."""
TRANSACTION_BYTES_MAX: Final = 200_000
SUBMISSION_BYTES_MAX: Final = 400_000
"""Well inside the ledger's megabyte, so that a block of an import does not make others wait long."""
SUBMISSION_TRANSACTIONS_MAX: Final = 200
TEXT_MAX: Final = 256
"""Characters the ledger takes of a destination and of the words for it."""
_GRADE: Final = "C"


class Run(NamedTuple):
    """What identifies an import: the same files give the same run."""

    id: str
    registry: str
    evidence: bytes
    """SHA-256 over the digests of all rows, e-mail addresses removed before."""


class Parcel(NamedTuple):
    """The operations of one transaction, and which batch they are about; empty for a project."""

    key: str
    operations: tuple[op.RegisterProject | op.Issue | op.ExtendBatch | op.Anchor, ...]


def build_parcels(plan: BatchPlan, run: Run) -> list[Parcel]:
    """The transactions that bring one batch's news."""
    operations: list[op.Issue | op.ExtendBatch] = []
    evidence = op.Evidence(digest=run.evidence, grade=_GRADE, reference=run.id)
    layers = [list(_cut(layer)) for layer in (plan.issued, plan.shown)]
    pieces = [piece for layer in layers for piece in layer]
    if not plan.exists and pieces:
        operations.append(_issue(plan, run, pieces.pop(0), evidence))
    for piece in pieces:
        observations = [_observation(seen) for seen in piece]
        operations.append(op.ExtendBatch(batch=plan.key, observations=observations, evidence=evidence, run=run.id))
    if plan.becomes_exact:
        operations.append(
            op.ExtendBatch(
                batch=plan.key, evidence=evidence, run=run.id, exact=True, numbers_assumed=plan.assumes_numbers
            )
        )
    return list(_pack(plan.key, operations))


def build_registrations(plans: Iterable[BatchPlan], registry: str) -> list[op.RegisterProject]:
    """One registration for each project of a batch that is new here, in order.

    Without a host: a project may be in several countries, and which one is a fact of each batch.
    """
    found: dict[str, op.RegisterProject] = {}
    for plan in plans:
        if not plan.exists and plan.is_news:
            row = plan.rows[0].record
            name = name_project(registry, row.batch.project)
            text = f"{row.batch.programme} {row.batch.project}"
            found.setdefault(
                name,
                op.RegisterProject(project=name, programme=row.batch.programme, name=text),
            )
    return list(found.values())


def name_project(registry: str, project: str) -> str:
    """Our id of a registry's project: "verra:1340"."""
    return f"{registry}:{project}"


def pack_submissions(parcels: Iterable[Parcel]) -> Iterator[list[Parcel]]:
    """Group transactions into submissions of bounded size, in order."""
    group: list[Parcel] = []
    size = 0
    for parcel in parcels:
        weight = sum(operation.ByteSize() for operation in parcel.operations) + 200
        if group and (size + weight > SUBMISSION_BYTES_MAX or len(group) == SUBMISSION_TRANSACTIONS_MAX):
            yield group
            group, size = [], 0
        group.append(parcel)
        size += weight
    if group:
        yield group


def _cut(layer: Sequence[Seen]) -> Iterator[Sequence[Seen]]:
    for at in range(0, len(layer), OBSERVATIONS_MAX):
        yield layer[at : at + OBSERVATIONS_MAX]


def _pack(key: str, operations: Sequence[op.Issue | op.ExtendBatch]) -> Iterator[Parcel]:
    group: list[op.Issue | op.ExtendBatch] = []
    size = observations = 0
    for operation in operations:
        weight, seen = operation.ByteSize(), len(operation.observations)
        if group and (size + weight > TRANSACTION_BYTES_MAX or observations + seen > 2 * OBSERVATIONS_MAX):
            yield Parcel(key, tuple(group))
            group, size, observations = [], 0, 0
        group.append(operation)
        size += weight
        observations += seen
    if group:
        yield Parcel(key, tuple(group))


def _issue(plan: BatchPlan, run: Run, piece: Sequence[Seen], evidence: op.Evidence) -> op.Issue:
    rows = [row.record for row in plan.rows]
    stated = [row for row in rows if row.batch.vintage is not None]
    best = min(stated, key=lambda row: (not row.batch.vintage_exact, not shows_issuance(row)), default=None)
    issued = min((row.batch.issued for row in rows if row.batch.issued is not None), default=None)
    operation = op.Issue(
        batch=plan.key,
        project=name_project(run.registry, rows[0].batch.project),
        programme=rows[0].batch.programme,
        space=rows[0].serials.space,
        first_number=str(plan.first),
        units=plan.last - plan.first + 1,
        extent=op.Issue.AT_LEAST,
        serial_form=print_range(rows[0].serials),
        host=next((row.batch.host for row in rows if row.batch.host), ""),
        evidence=evidence,
        effective=_when(issued),
        observations=[_observation(seen) for seen in piece],
    )
    if best is not None and best.batch.vintage is not None:
        first, last = best.batch.vintage
        operation.vintage_start.CopyFrom(_day_when(first.isoformat()))
        operation.vintage_end.CopyFrom(_day_when(last.isoformat()))
    return operation


def _observation(seen: Seen) -> op.Observation:
    return op.Observation(
        first_number=str(seen.first),
        units=seen.last - seen.first + 1,
        status=op.Observation.Status.Value(seen.state),
        effective=_when(seen.effective),
        issued=_when(seen.issued),
        labels=seen.labels,
        destination=seen.destination.replace("|", "/")[:TEXT_MAX],
        because=seen.because[:TEXT_MAX],
    )


def _when(effective: Effective | None) -> op.When | None:
    if effective is None:
        return None
    precision = op.When.DATE if effective.precision is Precision.DATE else op.When.INSTANT
    return op.When(ms=milliseconds(effective.at), precision=precision)


def _day_when(day: str) -> op.When:
    from cli.quantities import parse_moment

    return op.When(ms=parse_moment(day).ms, precision=op.When.DATE)
