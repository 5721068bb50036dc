"""Levies of Article 6.4: rounding is a record, exemptions are records, and what a registry states is checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeling.operations import Levy, LevyRounding
from keeling.reasons import Reason
from keeling.v1 import operations_pb2 as op
from node.core.issuance import compute_levies
from tests.node.core.article6.parties import Parties, a64_levies, accepted, evidence, programme

VECTORS = json.loads((Path(__file__).parents[3] / "vectors" / "article6.json").read_text())["levies"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["units"]))
@pytest.mark.parametrize("rounding", ["DOWN", "UP", "HALF_UP"])
def test_small_numbers(vector: dict[str, Any], rounding: str) -> None:
    levies = tuple(Levy("", points, "A", False, LevyRounding[rounding]) for points in (500, 200))
    found = compute_levies(levies, vector["units"])
    assert found == [vector["sop"][rounding], vector["omge"][rounding]]


@given(st.integers(2, 10**12))
def test_three_parts_tile_the_issuance_and_the_minimum_is_a_minimum(units: int) -> None:
    levies = (Levy("", 500, "A", False, LevyRounding.UP), Levy("", 200, "B", True, LevyRounding.UP))
    adaptation, mitigation = compute_levies(levies, units)
    assert adaptation + mitigation <= units
    assert mitigation * 100 >= units * 2
    assert mitigation * 100 < units * 2 + 100


@pytest.mark.parametrize(
    ("units", "reason"), [(7125, None), (3, None), (2, Reason.LEVY_EXCEEDS_ISSUANCE), (1, Reason.LEVY_EXCEEDS_ISSUANCE)]
)
def test_one_unit_leaves_nothing(units: int, reason: Reason | None) -> None:
    world = Parties(programme("A64", a64_levies()))
    answer = world.issue("a", units, programme="A64")
    assert (answer.refusal.reason if answer.refusal else None) == reason


@pytest.mark.parametrize(("exempt", "sop"), [(("GHA",), 0), (("p",), 0), (("KEN", "q"), 357)])
def test_exemptions_are_records(exempt: tuple[str, ...], sop: int) -> None:
    world = Parties(programme("A64", a64_levies(exempt=exempt)))
    answer = accepted(world.issue("a", 7125, programme="A64"))
    assert answer.refusal is None
    moved = {move.to_account: move.units for event in world.blocks[-1].events for move in event.moves}
    assert moved == {"gh": 7125 - sop - 143, "OMGE": 143} | ({"AF": sop} if sop else {})


def mirrored() -> Parties:
    record = programme("A64M", a64_levies(), registry="un", native=False)
    policy = op.RegistryPolicy(
        scheme="a64er", attestors=["reg"], importers=["reg"], capture_grade="B", attestors_needed=1
    )
    return Parties(record, op.SetRecord(id="registry:un", version=1, source="a test", registry=policy))


@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        ({"SOP": 357, "OMGE": 143}, None),
        ({"SOP": 357, "OMGE": 500}, None),
        ({"SOP": 356, "OMGE": 143}, Reason.LEVIES_DISAGREE),
        ({"SOP": 358, "OMGE": 143}, Reason.LEVIES_DISAGREE),
        ({"SOP": 357, "OMGE": 142}, Reason.LEVIES_DISAGREE),
        ({"SOP": 357}, Reason.LEVIES_DISAGREE),
        ({"SOP": 357, "OMGE": 143, "TAX": 1}, Reason.LEVIES_DISAGREE),
        ({}, None),
    ],
)
def test_what_a_registry_says_it_levied_is_checked(stated: dict[str, int], reason: Reason | None) -> None:
    world = mirrored()
    levies = [op.LevyTaken(name=name, units=units) for name, units in stated.items()]
    answer = world.issue("a", 7125, programme="A64M", account="", levies=levies, evidence=evidence())
    assert (answer.refusal.reason if answer.refusal else None) == reason
    if reason is None:
        cancelled = sum(m.units for e in world.blocks[-1].events for m in e.moves if m.to_state == 9)
        assert cancelled == stated.get("OMGE", 0)


def test_a_native_issuance_computes_its_levies() -> None:
    world = Parties(programme("A64", a64_levies()))
    answer = world.issue("a", 7125, programme="A64", levies=[op.LevyTaken(name="SOP", units=357)])
    assert answer.refusal is not None
    assert answer.refusal.reason == Reason.BAD_FIELD
