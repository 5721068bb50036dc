"""The life of corresponding adjustments: TRIGGERED, REPORTED, CONSISTENT or INCONSISTENT, IN_BTR, FINAL.

Adjustments are triggered by actions; what is submitted here are the steps of a Party's annual report on the actions of
a year, and the end of an NDC period. The life of one adjustment follows from both and is computed, never stored. What a
balance is, is in `balance`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from keeling.encoding import Ref
from keeling.events import EventKind
from keeling.operations import FinaliseAdjustment, ReportAdjustment, ReportAdjustmentStep, When
from keeling.reasons import Reason
from node.core import tables as t
from node.core.article6.actions import format_adjustment, parse_adjustment
from node.core.article6.calendar import year_of
from node.core.article6.governed import check_authority, check_party, check_year, find_party
from node.core.article6.records import Adjustment, AdjustmentKey, PartyYear, ReportStep
from node.core.context import Context
from node.core.fields import check_evidence, check_when
from node.core.refusal import Refused

Step = ReportAdjustmentStep
VERSION: Final = re.compile(r"([1-9][0-9]{0,5})\.([0-9]{1,6})", re.ASCII)
"""Version of a submission: X.Y, the first is 1.0."""
NAMED_MAX: Final = 500
"""Adjustments one result may name as inconsistent."""
YEARS_MAX: Final = 30
"""Years of one NDC period."""
STEPS_MAX: Final = 1_000
"""Steps of one Party's report on one year."""

_AFTER: Final = {
    Step.CONSISTENT: (Step.REPORTED,),
    Step.INCONSISTENT: (Step.REPORTED,),
    Step.IN_BTR: (Step.CONSISTENT, Step.INCONSISTENT),
}


class LifeStep(NamedTuple):
    """What an adjustment became, and where on the ledger."""

    state: str
    at: Ref


def check_report_fields(op: ReportAdjustment) -> None:
    check_party(op.party, "party")
    _check_needed_year(op.reported_year, "reported_year")
    if not VERSION.fullmatch(op.version):
        raise Refused(Reason.BAD_FIELD, f"{op.version!r} is no version: X.Y, first 1.0", field="version")
    if op.step not in list(Step) or op.step == Step.STEP_UNSPECIFIED:
        raise Refused(Reason.MISSING_FIELD, "say which step of the report this is", field="step")
    if op.adjustments and op.step != Step.INCONSISTENT:
        raise Refused(Reason.BAD_FIELD, "only an INCONSISTENT result names adjustments", field="adjustments")
    if len(op.adjustments) > NAMED_MAX or len(set(op.adjustments)) != len(op.adjustments):
        raise Refused(Reason.BAD_FIELD, f"{NAMED_MAX} adjustments at most, each once", field="adjustments")
    if op.date is None:
        raise Refused(Reason.MISSING_FIELD, "the step has a date", field="date")
    check_when(op.date, "date")
    check_evidence(op.evidence, "a step of a report")


def _check_needed_year(year: int, field: str) -> None:
    if not year:
        raise Refused(Reason.MISSING_FIELD, f"{field} names a calendar year", field=field)
    check_year(year, field)


def apply_report(tx: Context, op: ReportAdjustment) -> None:
    """One step of the report. A version is submitted once; results and the transparency report follow their version."""
    find_party(tx, op.party)
    for name in op.adjustments:
        key = parse_adjustment(name)
        if key is None or key.party != op.party or tx.state.get(t.ADJUSTMENTS, *key) is None:
            raise Refused(Reason.ADJUSTMENT_NOT_FOUND, f"{op.party} has no adjustment {name!r}", adjustment=name)
    check_authority(tx, op.party)
    steps = tx.state.get(t.REPORTS, op.party, op.reported_year) or ()
    _check_order(op, steps)
    place = tx.next_ref
    digest = op.evidence.digest if op.evidence else b""
    step = ReportStep(op.version, op.step, op.adjustments, digest, op.date or When(), place)
    tx.state.put(t.REPORTS, (*steps, step), op.party, op.reported_year)
    facts = {
        "party": op.party,
        "year": op.reported_year,
        "version": op.version,
        "step": Step(op.step).name,
        "adjustments": " ".join(op.adjustments),
        "document": digest.hex(),
        "reference": op.evidence.reference if op.evidence else "",
    }
    tx.emit(EventKind.ADJUSTMENT_REPORTED, f"{op.party}-{op.reported_year}", op.date, facts=facts)


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return int(major), int(minor)


def _check_order(op: ReportAdjustment, steps: Sequence[ReportStep]) -> None:
    last = steps[-1] if steps else None
    here = f"the report of {op.party} on {op.reported_year}"
    if len(steps) >= STEPS_MAX:
        raise Refused(Reason.REPORT_STEP_OUT_OF_ORDER, f"{here} has {STEPS_MAX} steps already")
    said = f"{last.version} {Step(last.step).name}" if last else "not submitted"
    detail = f"{here} is {said}; {op.version} {Step(op.step).name} cannot follow"
    if op.step == Step.REPORTED:
        if last is not None and _version(op.version) <= _version(last.version):
            raise Refused(Reason.REPORT_STEP_OUT_OF_ORDER, detail, version=last.version)
        if last is None and _version(op.version) != (1, 0):
            raise Refused(Reason.REPORT_STEP_OUT_OF_ORDER, f"{detail}: the first is 1.0", version="")
    elif last is None or op.version != last.version or last.step not in _AFTER[Step(op.step)]:
        raise Refused(Reason.REPORT_STEP_OUT_OF_ORDER, detail, version=last.version if last else "")


# -- the end of a period


def check_finalise_fields(op: FinaliseAdjustment) -> None:
    check_party(op.party, "party")
    _check_needed_year(op.first_year, "first_year")
    _check_needed_year(op.last_year, "last_year")
    if not 0 <= op.last_year - op.first_year < YEARS_MAX:
        detail = f"{op.first_year} - {op.last_year}: years in order, {YEARS_MAX} at most"
        raise Refused(Reason.BAD_FIELD, detail, field="last_year")
    check_evidence(op.evidence, "the end of a period")


def apply_finalise(tx: Context, op: FinaliseAdjustment) -> None:
    """Every adjustment of these years is in a transparency report; from here on none can change or be added."""
    find_party(tx, op.party)
    check_authority(tx, op.party)
    place = tx.next_ref
    for year in range(op.first_year, op.last_year + 1):
        ledger = tx.state.get(t.PARTY_YEARS, op.party, year) or PartyYear((), (), None)
        if ledger.final is not None:
            raise Refused(Reason.YEAR_IS_FINAL, f"{op.party} {year} is final", party=op.party, year=year)
        for acted in ledger.actions:
            _check_in_btr(tx, op.party, year, acted.year, acted.height)
        tx.state.put(t.PARTY_YEARS, ledger._replace(final=place), op.party, year)
    facts = {
        "party": op.party,
        "first_year": op.first_year,
        "last_year": op.last_year,
        "document": op.evidence.digest.hex() if op.evidence else "",
    }
    tx.emit(EventKind.ADJUSTMENT_FINAL, f"{op.party}-{op.first_year}-{op.last_year}", facts=facts)


def _check_in_btr(tx: Context, party: str, year: int, acted: int, height: int) -> None:
    """The report on the year of the actions carries the newest of them, and is in the transparency report."""
    steps = tx.state.get(t.REPORTS, party, acted) or ()
    last = steps[-1] if steps else None
    reported = [step.at.height for step in steps if step.step == Step.REPORTED]
    if last is None or last.step != Step.IN_BTR or max(reported, default=0) < height:
        detail = f"{party} {year}: its report on the actions of {acted} is not yet in a transparency report"
        raise Refused(Reason.REPORT_STEP_OUT_OF_ORDER, detail, party=party, year=acted)


# -- reading


def compute_life(
    key: AdjustmentKey, adjustment: Adjustment, steps: Sequence[ReportStep], final: Ref | None
) -> list[LifeStep]:
    """Everything an adjustment became, in order. `steps` are the report's on the year of its action."""
    place = Ref(key.height, key.ordinal)
    life, name, carried = [LifeStep("TRIGGERED", place)], format_adjustment(key), False
    for step in steps:
        if step.at < place:
            continue
        if step.step == Step.REPORTED:
            carried = True
        if carried:
            consistent = step.step == Step.INCONSISTENT and step.named and name not in step.named
            life.append(LifeStep("CONSISTENT" if consistent else Step(step.step).name, step.at))
    if final is not None:
        life.append(LifeStep("FINAL", final))
    return life


def year_acted(adjustment: Adjustment) -> int:
    """The year in whose report an adjustment stands: that of its action."""
    return year_of(adjustment.effective.ms)
