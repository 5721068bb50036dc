"""Projects and batches: `RegisterProject`, `Issue`, `ExtendBatch` (units and rules §1, §7, §8).

A NATIVE batch is issued whole, with its levies computed by the programme's record. A MIRRORED batch may be known only
in part: its extent is AT_LEAST what was seen, and positions nobody has shown belong to no one.
"""

from __future__ import annotations

import re
from typing import Final

from keeling.events import EventKind, Move
from keeling.operations import (
    ExtendBatch,
    Issue,
    IssueExtent,
    Levy,
    LevyRounding,
    Programme,
    Range,
    RegisterProject,
    When,
)
from keeling.reasons import Reason
from keeling.units import NATIVE, Purpose, UnitState, unassigned_account
from node.core import tables as t
from node.core.article6.levies import check_levies_taken, find_levies
from node.core.authority import check_registry
from node.core.context import Context
from node.core.fields import check_evidence, check_length, check_name, check_text, check_when
from node.core.intervals import MarkKind, paint
from node.core.limits import ALIGNMENT, UNITS_MAX
from node.core.lots import create
from node.core.numbering import settle_numbers
from node.core.observe import DECIMAL, check_observations, find_extent, observe
from node.core.programmes import find_link
from node.core.records import Batch, Piece, Project, Space
from node.core.refusal import Refused

_NO_DATE: Final = When()


def check_project_fields(op: RegisterProject) -> None:
    check_name(op.project, "project")
    check_text(op.name, "name", "a project has a name")
    _check_host(op.host)


def _check_host(host: str) -> None:
    if host and not re.fullmatch(r"[A-Z]{2,3}", host):
        raise Refused(Reason.BAD_FIELD, f"host {host!r} is not an ISO 3166-1 code", field="host")


def apply_register_project(tx: Context, op: RegisterProject) -> None:
    """What is issued for."""
    programme = tx.programme(op.programme)
    if tx.state.get(t.PROJECTS, op.project) is not None:
        raise Refused(Reason.PROJECT_EXISTS, f"a project is called {op.project}", project=op.project)
    _check_issuer(tx, programme)
    tx.state.put(t.PROJECTS, Project(op.programme, op.name, op.host), op.project)
    tx.emit(EventKind.PROJECT_REGISTERED, op.project, facts={"programme": op.programme, "host": op.host})


def _check_issuer(tx: Context, programme: Programme) -> None:
    """The programme's registry has signed; for an outside registry one of its importers may instead."""
    check_registry(tx, programme.registry, () if programme.native else tx.registry(programme.registry).importers)


def check_issue_fields(op: Issue) -> None:
    check_name(op.batch, "batch")
    check_text(op.space, "space", "a batch names its serial space")
    if not DECIMAL.fullmatch(op.first_number):
        raise Refused(Reason.BAD_FIELD, f"first number {op.first_number!r} is not decimal", field="first_number")
    if op.extent not in (IssueExtent.EXACT, IssueExtent.AT_LEAST):
        raise Refused(Reason.MISSING_FIELD, "the extent is EXACT or AT_LEAST", field="extent")
    if not 0 < op.units <= UNITS_MAX:
        raise Refused(Reason.UNITS_MUST_BE_POSITIVE, f"{op.units} units; 1 to {UNITS_MAX}", field="units")
    if op.extent == IssueExtent.AT_LEAST and not op.observations:
        raise Refused(Reason.MISSING_FIELD, "AT_LEAST says which units were seen", field="observations")
    if op.extent == IssueExtent.EXACT and op.observations:
        detail = "an EXACT batch is issued whole; extend it with what was observed since"
        raise Refused(Reason.BAD_FIELD, detail, field="observations")
    check_observations(op.observations)
    check_length(op.serial_form, "serial_form")
    _check_host(op.host)
    _check_vintage(op)
    check_evidence(op.evidence)
    check_when(op.effective, "effective")
    check_levies_taken(op)


def _check_vintage(op: Issue | ExtendBatch) -> None:
    for when, field in ((op.vintage_start, "vintage_start"), (op.vintage_end, "vintage_end")):
        check_when(when, field)
    if op.vintage_start and op.vintage_end and op.vintage_end.ms < op.vintage_start.ms:
        raise Refused(Reason.BAD_FIELD, "the vintage ends before it starts", field="vintage_end")


def apply_issue(tx: Context, op: Issue) -> None:
    """A batch comes into being, with its units where they belong."""
    programme = tx.programme(op.programme)
    project = tx.state.get(t.PROJECTS, op.project)
    if project is None or project.programme != op.programme:
        detail = f"no project of {op.programme} is called {op.project!r}"
        raise Refused(Reason.PROJECT_NOT_FOUND, detail, project=op.project)
    if tx.state.get(t.BATCH_NUMBERS, op.batch) is not None:
        raise Refused(Reason.BATCH_EXISTS, f"a batch is called {op.batch}", batch=op.batch)
    number = _find_receiver(tx, op, programme)
    receivers = [tx.account(levy.account)[0] for levy in programme.levies] if programme.native else []
    _check_issuer(tx, programme)
    _check_verifier(tx, op, programme)
    if op.account and not programme.native:
        find_link(tx.account_number(number), programme.registry)
    batch_number, batch = _create_batch(tx, op, programme, project)
    if op.extent == IssueExtent.AT_LEAST:
        grade = op.evidence.grade if op.evidence else ""
        facts = {"extent": "AT_LEAST", "space": op.space, "grade": grade}
        tx.emit(EventKind.ISSUED, op.batch, op.effective, facts=facts, ranges=[_extent(batch)])
        observe(tx, batch_number, op.observations, op.evidence, op.evidence.reference if op.evidence else "")
    else:
        levied = find_levies(op, programme, project, compute_levies)
        _issue_whole(tx, op, programme, batch_number, batch, number, receivers, levied)


def _find_receiver(tx: Context, op: Issue, programme: Programme) -> int:
    """The account the units go to: MIRRORED units of nobody's to unassigned@registry."""
    if programme.native and (not op.account or op.extent != IssueExtent.EXACT):
        detail = "a NATIVE batch is issued here: EXACT, into a named account"
        raise Refused(Reason.MISSING_FIELD, detail, field="account, extent")
    if op.account and op.extent != IssueExtent.EXACT:
        detail = "units that were merely seen go to unassigned@registry until they are claimed"
        raise Refused(Reason.BAD_FIELD, detail, field="account")
    if op.account:
        return tx.account(op.account)[0]
    return tx.any_account(unassigned_account(programme.registry))[0]


def _check_verifier(tx: Context, op: Issue, programme: Programme) -> None:
    if not programme.verifier_needed:
        return
    signed = [s.participant for s in tx.signers if s.purposes & Purpose.APPROVE]
    if not any("verifier" in tx.member(name).roles for name in signed):
        raise Refused(Reason.NEEDS_VERIFIER, f"{op.programme} asks for a verifier's approval", programme=op.programme)
    if op.evidence is None or len(op.evidence.digest) != 32:
        detail = f"{op.programme} asks for the evidence root of what was verified"
        raise Refused(Reason.MISSING_FIELD, detail, field="evidence.digest")


def _create_batch(tx: Context, op: Issue, programme: Programme, project: Project) -> tuple[int, Batch]:
    first = int(op.first_number)
    base = first if programme.native else first - first % ALIGNMENT
    low = first - base
    high = low + op.units - 1
    if high > UNITS_MAX:
        detail = f"serials {first}..{first + op.units - 1} cross a multiple of {ALIGNMENT}"
        raise Refused(Reason.OUTSIDE_EXTENT, detail, batch=op.batch)
    if op.observations:
        seen_low, seen_high = find_extent(op.observations)
        if seen_low < base + low or seen_high > base + high:
            detail = f"{op.batch} is {base + low}..{base + high}; the export shows {seen_low}..{seen_high}"
            raise Refused(Reason.OUTSIDE_EXTENT, detail, batch=op.batch)
    check_space(tx, op.space, base + low, base + high)
    progress = tx.state.get(t.PROGRESS)
    if progress is None:
        raise LookupError("the state has no progress row")
    number = progress.batches + 1
    batch = Batch(
        name=op.batch,
        programme=op.programme,
        project=op.project,
        registry=NATIVE if programme.native else programme.registry,
        native=programme.native,
        grain=programme.grain,
        scheme=programme.scheme,
        space=op.space,
        serial_form=op.serial_form,
        base=base,
        low=low,
        high=high,
        exact=op.extent == IssueExtent.EXACT,
        seen=op.units if op.extent == IssueExtent.EXACT else 0,
        vintage_start=op.vintage_start or _NO_DATE,
        vintage_end=op.vintage_end or _NO_DATE,
        ndc_year=op.ndc_year,
        host=op.host or project.host,
        restrictions=0,
        issued=tx.next_ref,
        issued_at=op.effective or When(tx.time_ms, 2),
    )
    tx.state.put(t.PROGRESS, progress._replace(batches=number))
    tx.state.put(t.BATCHES, batch, number)
    tx.state.put(t.BATCH_NUMBERS, number, op.batch)
    tx.state.put(t.SPACES, Space(number, base + high), op.space, base + low)
    tx.state.put(t.PROGRAMME_BATCHES, b"", op.programme, op.project, number)
    return number, batch


def check_space(tx: Context, space: str, first: int, last: int, own: int = 0) -> None:
    """No other batch of the space has a number in first .. last (guarantee G1)."""
    before = next(iter(tx.state.scan(t.SPACES, space, start=t.SPACES.key(space, last + 1), reverse=True)), None)
    while before is not None:
        key, found = before
        start = t.SPACES.parts(key)[1]
        if found.batch != own:
            if found.last >= first:
                other = tx.batch_number(found.batch).name
                shared = f"{max(first, start)}..{min(last, found.last)}"
                detail = f"batch {other} of space {space} has {shared}"
                raise Refused(Reason.SERIALS_OVERLAP, detail, batch=other, serials=shared)
            return
        before = next(iter(tx.state.scan(t.SPACES, space, start=key, reverse=True)), None)


def _issue_whole(
    tx: Context,
    op: Issue,
    programme: Programme,
    number: int,
    batch: Batch,
    account: int,
    receivers: list[int],
    levied: list[int],
) -> None:
    """One lot for the project, and one for each levy of a NATIVE batch, from the lowest positions on."""
    if sum(levied) >= op.units:
        detail = f"levies of {sum(levied)} leave nothing of {op.units}"
        raise Refused(Reason.LEVY_EXCEEDS_ISSUANCE, detail, levies=sum(levied), units=op.units)
    cause, position = tx.next_ref, batch.low
    moves: list[Move] = []
    stated = {"extent": "EXACT", "space": op.space, "rule": op.programme if any(levied) else ""}
    for levy, receiver, units in zip(programme.levies, receivers or [account] * len(levied), levied, strict=True):
        if units:
            state = UnitState.CANCELLED if levy.cancelled else UnitState.FREE
            moves.append(create(tx, number, batch, Piece(number, position, units), receiver, state, cause))
            stated[f"levy {levy.name}"] = (
                f"{units} ({levy.basis_points} basis points, {LevyRounding(levy.rounding).name})"
            )
            position += units
    rest = Piece(number, position, batch.high - position + 1)
    moves.append(create(tx, number, batch, rest, account, UnitState.FREE, cause))
    if not batch.native and op.evidence is not None and op.evidence.grade:
        stated["grade"] = op.evidence.grade
        paint(tx.state, number, MarkKind.GRADE, "", batch.low, op.units, op.evidence.grade, cause)
    tx.emit(EventKind.ISSUED, op.batch, op.effective, moves, facts=stated, ranges=[_extent(batch)])


def _extent(batch: Batch) -> Range:
    return Range(batch.name, batch.low, batch.high - batch.low + 1)


def compute_levies(levies: tuple[Levy, ...], units: int) -> list[int]:
    """Whole units of each levy, in order, each of the gross issuance, rounded as its record says."""
    amounts = []
    for levy in levies:
        whole, rest = divmod(units * levy.basis_points, 10_000)
        up = levy.rounding == LevyRounding.UP and rest
        half_up = levy.rounding == LevyRounding.HALF_UP and 2 * rest >= 10_000
        amounts.append(whole + (1 if up or half_up else 0))
    return amounts


def check_extend_fields(op: ExtendBatch) -> None:
    if not op.observations and not op.exact:
        raise Refused(Reason.MISSING_FIELD, "nothing was observed", field="observations")
    if op.numbers_assumed and not op.exact:
        raise Refused(Reason.BAD_FIELD, "only the numbers of a whole issuance are assumed", field="numbers_assumed")
    if (op.vintage_start or op.vintage_end) and not op.exact:
        raise Refused(Reason.BAD_FIELD, "only a whole issuance states the vintage", field="vintage_start")
    _check_vintage(op)
    check_observations(op.observations)
    check_evidence(op.evidence, "an import")
    check_length(op.run, "run")


def apply_extend(tx: Context, op: ExtendBatch) -> None:
    """News of a MIRRORED batch from an export: unseen units become lots, the extent may grow, never shrink."""
    number, batch = tx.batch(op.batch)
    if batch.native:
        raise Refused(Reason.BAD_FIELD, f"{batch.name} is NATIVE: this ledger is its registry", batch=batch.name)
    check_registry(tx, batch.registry, tx.registry(batch.registry).importers)
    _grow(tx, number, batch, op)
    observe(tx, number, op.observations, op.evidence, op.run)
    if op.exact and not batch.exact:
        whole, facts = tx.batch_number(number)._replace(exact=True), {"run": op.run, "extent": "EXACT"}
        stated = (op.vintage_start or batch.vintage_start, op.vintage_end or batch.vintage_end)
        if stated != (batch.vintage_start, batch.vintage_end):
            whole = whole._replace(vintage_start=stated[0], vintage_end=stated[1])
            facts |= {"vintage_start": str(stated[0].ms), "vintage_end": str(stated[1].ms)}
        tx.state.put(t.BATCHES, whole, number)
        if op.numbers_assumed:
            tx.state.put(t.ASSUMED, b"", number)
        tx.emit(EventKind.EXTENDED, batch.name, facts=facts)


def _grow(tx: Context, number: int, batch: Batch, op: ExtendBatch) -> None:
    if not op.observations:
        return
    seen_low, seen_high = find_extent(op.observations)
    low, high = seen_low - batch.base, seen_high - batch.base
    if tx.state.get(t.ASSUMED, number) is not None:
        batch = settle_numbers(tx, number, batch, low, high)
    if batch.low <= low and high <= batch.high:
        return
    if batch.exact or low < 0 or high > UNITS_MAX:
        detail = f"{batch.name} is {batch.base + batch.low}..{batch.base + batch.high}"
        raise Refused(Reason.OUTSIDE_EXTENT, f"{detail}; the export shows {batch.base + low}..{batch.base + high}")
    grown = batch._replace(low=min(low, batch.low), high=max(high, batch.high))
    check_space(tx, batch.space, grown.base + grown.low, grown.base + grown.high, number)
    tx.state.delete(t.SPACES, batch.space, batch.base + batch.low)
    tx.state.put(t.SPACES, Space(number, grown.base + grown.high), batch.space, grown.base + grown.low)
    tx.state.put(t.BATCHES, grown, number)


def count_unseen(tx: Context, number: int) -> int:
    """Positions inside the extent that no evidence has shown."""
    batch = tx.batch_number(number)
    return batch.high - batch.low + 1 - batch.seen
