"""Turns batch plans into operations, and operations into transactions and submissions of bounded size. Pure.

Which units are news was decided in `plan`. One batch's operations stay in one transaction where they fit, so that it
comes into being whole; where they do not, every transaction is news by itself and the rest follows on the next run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple, TypeVar

from adapters.exports import Effective, Precision
from adapters.naming import describe_project, name_project
from cli.importing.identity import Run
from cli.importing.model import BatchPlan, Seen
from cli.quantities import milliseconds
from keeling.v1 import operations_pb2 as op

OBSERVATIONS_MAX: Final = 200
"""In one operation: an event is read whole to show the history of one of its units."""
TRANSACTION_BYTES_MAX: Final = 200_000
SUBMISSION_BYTES_MAX: Final = 400_000
"""Well inside the ledger's megabyte, so that a block of an import does not make others wait long."""
SUBMISSION_TRANSACTIONS_MAX: Final = 200
TRIAL_TRANSACTIONS_MAX: Final = 500
TRIAL_BYTES_MAX: Final = 3_000_000
"""Well inside what one call may carry (`network.transport.CALL_BYTES_MAX`), with keys, signatures and lengths."""
TEXT_MAX: Final = 256
"""Characters the ledger takes of a destination and of the words for it."""
_GRADE: Final = "C"
_Dated = TypeVar("_Dated", op.Issue, op.ExtendBatch)


class Parcel(NamedTuple):
    """The operations of one transaction, and which batch they are about; empty for a project."""

    key: str
    operations: tuple[op.RegisterProject | op.Issue | op.ExtendBatch | op.Anchor, ...]

    @property
    def weight(self) -> int:
        """About how many bytes it takes in a submission."""
        return sum(operation.ByteSize() for operation in self.operations) + 200


def build_parcels(plan: BatchPlan, run: Run, issued: Iterable[Seen], shown: Iterable[Seen]) -> Iterator[Parcel]:
    """The transactions that bring one batch's news, `issued` before `shown`."""
    yield from _pack(plan.key, _build_operations(plan, run, issued, shown))


def _build_operations(
    plan: BatchPlan, run: Run, issued: Iterable[Seen], shown: Iterable[Seen]
) -> Iterator[op.Issue | op.ExtendBatch]:
    evidence = op.Evidence(digest=run.evidence, grade=_GRADE, reference=run.id)
    exists = plan.exists
    for piece in (piece for layer in (issued, shown) for piece in _cut(layer)):
        if not exists:
            yield _issue(plan, run, piece, evidence)
            exists = True
            continue
        observations = [_observation(seen) for seen in piece]
        yield op.ExtendBatch(batch=plan.key, observations=observations, evidence=evidence, run=run.id)
    if plan.becomes_exact:
        whole = op.ExtendBatch(
            batch=plan.key, evidence=evidence, run=run.id, exact=True, numbers_assumed=plan.assumes_numbers
        )
        yield _with_vintage(whole, plan)


def build_registration(plan: BatchPlan, registry: str) -> op.RegisterProject:
    """The registration of a batch's project.

    Without a host: a project may be in several countries, and which one is a fact of each batch.
    """
    about = plan.about
    name = name_project(registry, about.project)
    title = describe_project(about.programme, about.project)
    return op.RegisterProject(project=name, programme=about.programme, name=title)


def pack_submissions(parcels: Iterable[Parcel]) -> Iterator[list[Parcel]]:
    """Group transactions into submissions of bounded size, in order."""
    group: list[Parcel] = []
    size = 0
    for parcel in parcels:
        weight = parcel.weight
        if group and (size + weight > SUBMISSION_BYTES_MAX or len(group) == SUBMISSION_TRANSACTIONS_MAX):
            yield group
            group, size = [], 0
        group.append(parcel)
        size += weight
    if group:
        yield group


def take_for_trial(parcels: Iterable[Parcel]) -> list[Parcel]:
    """The first transactions, as many as one call carries: a trial keeps nothing from one call to the next."""
    taken: list[Parcel] = []
    size = 0
    for parcel in parcels:
        size += parcel.weight
        if taken and (size > TRIAL_BYTES_MAX or len(taken) == TRIAL_TRANSACTIONS_MAX):
            break
        taken.append(parcel)
    return taken


def _cut(layer: Iterable[Seen]) -> Iterator[list[Seen]]:
    rest = iter(layer)
    while piece := list(islice(rest, OBSERVATIONS_MAX)):
        yield piece


def _pack(key: str, operations: Iterable[op.Issue | op.ExtendBatch]) -> Iterator[Parcel]:
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
    about = plan.about
    operation = op.Issue(
        batch=plan.key,
        project=name_project(run.registry, about.project),
        programme=about.programme,
        space=about.space,
        first_number=str(plan.first),
        units=plan.last - plan.first + 1,
        extent=op.Issue.AT_LEAST,
        serial_form=about.serial_form,
        host=about.host,
        evidence=evidence,
        effective=_when(about.issued),
        observations=[_observation(seen) for seen in piece],
    )
    return _with_vintage(operation, plan)


def _with_vintage(operation: _Dated, plan: BatchPlan) -> _Dated:
    if plan.about.vintage is not None:
        first, last = plan.about.vintage
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
