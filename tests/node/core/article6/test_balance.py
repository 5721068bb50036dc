"""Balances by the sheet's vectors, and the ways in which there is none; the life of one adjustment."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeling.encoding import Ref
from keeling.events import EventKind
from keeling.operations import PartyMethod, When
from keeling.reasons import Reason
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from node.core.article6.actions import format_adjustment, parse_adjustment
from node.core.article6.adjustments import LifeStep, compute_life, year_acted
from node.core.article6.balance import YearSums, compute_balance, format_fraction, parse_fraction
from node.core.article6.records import AdjustmentKey, Side
from tests.node.core.article6.parties import Parties, accepted, date, evidence, terms

VECTORS = json.loads((Path(__file__).parents[3] / "vectors" / "article6.json").read_text())["balances"]
SUMS = [YearSums(2021, 5, 0), YearSums(2022, 4, 1)]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_vectors(vector: dict[str, Any]) -> None:
    years: list[int] = vector["years"]
    sums = [YearSums(*row) for row in zip(years, vector["first_transferred"], vector["used"], strict=True)]
    inventory = {y: Fraction(e) for y, e in zip(years, vector["emissions"], strict=True)}
    method = PartyMethod[vector["method"]]
    found = compute_balance(sums, inventory, method, vector["first_year"], vector["last_year"], True)
    assert [format_fraction(row.balance) for row in found.rows if row.balance is not None] == vector["balance"]
    assert [format_fraction(row.adjustment) for row in found.rows if row.adjustment is not None] == vector["adjustment"]
    assert [row.cumulative for row in found.rows] == vector["cumulative"]
    assert found.final is not None
    assert format_fraction(found.final) == vector["final"]
    assert not any(row.why for row in found.rows)


def test_another_metric_has_the_opposite_signs() -> None:
    inventory = {2021: Fraction(50), 2022: Fraction(60)}
    found = compute_balance(SUMS, inventory, PartyMethod.MULTI_YEAR, 2021, 2022, ghg=False)
    assert [row.balance for row in found.rows] == [45, 57]
    assert found.final == -8


@pytest.mark.parametrize(
    ("inventory", "method", "first", "last", "why"),
    [
        ({}, PartyMethod.AVERAGING, 2021, 2022, "no emissions were given for 2021"),
        (
            {2021: Fraction(1)},
            PartyMethod.METHOD_UNSPECIFIED,
            2021,
            2022,
            "no method of corresponding adjustment was given",
        ),
        ({2021: Fraction(1)}, PartyMethod.AVERAGING, 0, 0, "the NDC period is not on record"),
        ({2021: Fraction(1)}, PartyMethod.AVERAGING, 2022, 2025, "2021 is outside the NDC period 2022 - 2025"),
    ],
)
def test_without_inventory_or_method_there_is_no_balance_and_a_reason(
    inventory: dict[int, Fraction], method: PartyMethod, first: int, last: int, why: str
) -> None:
    row = compute_balance(SUMS, inventory, method, first, last, True).rows[0]
    assert (row.balance, row.why) == (None, why)
    assert (row.first_transferred, row.used) == (5, 0), "the sums are always there"


def test_the_end_of_a_period_waits_for_all_its_years() -> None:
    found = compute_balance(SUMS, {}, PartyMethod.AVERAGING, 2021, 2023, True)
    assert (found.final, found.why) == (None, "the period 2021 - 2023 is not complete: 2023 is missing")


@given(st.fractions(min_value=-(10**9), max_value=10**9), st.integers(0, 6))
def test_printed_fractions_are_the_nearest(value: Fraction, scale: int) -> None:
    read = parse_fraction(format_fraction(value, scale))
    assert read is not None
    assert abs(read - value) <= Fraction(1, 2 * 10**scale)


@pytest.mark.parametrize("text", ["", "-", "1.", ".5", "1,5", "1e3", "٣", "+1", "9" * 41])
def test_what_is_no_number_is_not_read(text: str) -> None:
    assert parse_fraction(text) is None


def test_adjustments_have_names_that_are_read_back() -> None:
    key = AdjustmentKey("GHA", 2023, Side.USER, 1200, 4)
    assert format_adjustment(key) == "GHA-2023-USE-1200.4"
    assert parse_adjustment("GHA-2023-USE-1200.4") == key
    for text in ("", "GHA-2023-USE", "GHA-2023-X-1.1", "GHA-x-FT-1.1", "GHA-2023-FT-1", "GHA-99999-FT-1.1"):
        assert parse_adjustment(text) is None


# -- the life of adjustments


def life_of(world: Parties, code: str) -> list[list[str]]:
    """Of each adjustment of a Party, in order, what it became."""
    found = []
    for key_bytes, adjustment in world.state.scan(t.ADJUSTMENTS, code):
        key = AdjustmentKey(*t.ADJUSTMENTS.parts(key_bytes))
        steps = world.state.get(t.REPORTS, code, year_acted(adjustment)) or ()
        ledger = world.state.get(t.PARTY_YEARS, code, key.year)
        found.append([step.state for step in compute_life(key, adjustment, steps, ledger.final if ledger else None)])
    return found


def report(world: Parties, version: str, step: op.ReportAdjustment.Step.ValueType, *named: str) -> None:
    message = op.ReportAdjustment(
        party="GHA",
        reported_year=2025,
        version=version,
        step=step,
        adjustments=named,
        date=date(2026, 4, 10),
        evidence=evidence(),
    )
    accepted(world.run("gha-epa", message))


def finalise(world: Parties, first: int = 2021, last: int = 2025) -> Reason | None:
    message = op.FinaliseAdjustment(party="GHA", first_year=first, last_year=last, evidence=evidence())
    answer = world.run("gha-epa", message)
    return answer.refusal.reason if answer.refusal else None


def test_the_life_of_an_adjustment_from_triggered_to_final() -> None:
    step = op.ReportAdjustment
    world = Parties()
    accepted(world.issue())
    accepted(world.authorize())
    accepted(world.send("gh", "ch", 100))
    assert life_of(world, "GHA") == [["TRIGGERED"]]
    report(world, "1.0", step.REPORTED)
    assert finalise(world) == Reason.REPORT_STEP_OUT_OF_ORDER
    accepted(world.send("gh", "ch", 50))
    assert life_of(world, "GHA") == [["TRIGGERED", "REPORTED"], ["TRIGGERED"]], "a late one waits for the next version"
    report(world, "1.0", step.INCONSISTENT)
    report(world, "1.1", step.REPORTED)
    first = next(e.subject for e in world.events_of(EventKind.ADJUSTED))
    report(world, "1.1", step.INCONSISTENT, first)
    assert [life[-1] for life in life_of(world, "GHA")] == ["INCONSISTENT", "CONSISTENT"]
    report(world, "1.2", step.REPORTED)
    report(world, "1.2", step.CONSISTENT)
    report(world, "1.2", step.IN_BTR)
    assert finalise(world) is None
    assert life_of(world, "GHA")[0][-3:] == ["CONSISTENT", "IN_BTR", "FINAL"]
    assert finalise(world) == Reason.YEAR_IS_FINAL
    refused = world.send("gh", "ch", 1)
    assert refused.refusal is not None
    assert refused.refusal.reason == Reason.YEAR_IS_FINAL, "nothing can be added to a year that is final"


def test_what_was_adjusted_after_the_report_keeps_a_period_open() -> None:
    step = op.ReportAdjustment
    world = Parties()
    accepted(world.issue())
    accepted(world.authorize())
    accepted(world.send("gh", "ch", 100))
    for kind in (step.REPORTED, step.CONSISTENT, step.IN_BTR):
        report(world, "1.0", kind)
    accepted(world.send("gh", "ch", 1))
    assert finalise(world) == Reason.REPORT_STEP_OUT_OF_ORDER


def test_a_reversal_takes_its_units_out_of_both_adjustments() -> None:
    world = Parties()
    accepted(world.issue())
    accepted(world.authorize())
    accepted(world.authorize("GHA-2", terms=terms("use or cancellation")))
    accepted(world.send("gh", "ch", 100))
    used = accepted(world.use("ch", 100))
    assert used.refusal is None
    place = next(p for p, e in world.log() if e.kind == EventKind.USED)
    reversal = op.Reverse(height=place.height, ordinal=place.ordinal, reason="error", evidence=evidence())
    reversal.ranges.append(op.Range(batch="b", first=0, units=30))
    accepted(world.run("reg", reversal))
    assert world.sums("CHE", 2025) == (0, 70)
    assert world.sums("GHA", 2023) == (100, 0), "the first transfer happened and stays"
    accepted(world.use("ch", 30))
    assert world.sums("CHE", 2025) == (0, 100)
    key, adjustment = next(iter(world.state.scan(t.ADJUSTMENTS, "CHE")))
    assert (adjustment.units, sum(item.units for item in adjustment.withdrawn)) == (100, 30)
    made = AdjustmentKey(*t.ADJUSTMENTS.parts(key))
    life = compute_life(made, adjustment, (), None)
    assert life == [LifeStep("TRIGGERED", Ref(made.height, made.ordinal))]
    assert adjustment.effective == When(date(2025, 12, 1).ms, op.When.DATE)
