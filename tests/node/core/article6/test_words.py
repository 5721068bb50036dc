"""Words of authorizations: taken from governed lists where there are any, whoever hands them in and by which door."""

from __future__ import annotations

from typing import Any

import pytest

from keeling.aef_words import LISTS, SEPARATOR
from keeling.reasons import Reason
from keeling.v1 import operations_pb2 as op
from network.standard_records import build_standard_records
from node.core.refusal import Refusal
from tests.node.core.article6.parties import Parties, accepted, date, evidence, terms

WORDS = [each for each in build_standard_records("natreg") if each.id in LISTS]


def authorize(world: Parties, **changed: Any) -> Refusal | None:
    said = terms()
    del said.sectors[:]
    said.sectors.extend(changed.pop("sectors", ["Waste management"]))
    for field, value in changed.items():
        if isinstance(value, list):
            getattr(said, field).extend(value)
        else:
            setattr(said, field, value)
    refused: Refusal | None = world.authorize(terms=said).refusal
    return refused


def test_a_new_network_has_the_lists() -> None:
    assert {each.id: tuple(each.rule.value.split(SEPARATOR)) for each in WORDS} == LISTS


@pytest.mark.parametrize(
    ("changed", "reason", "told"),
    [
        ({"sectors": []}, Reason.MISSING_FIELD, "terms.sectors is empty; aef:sectors has: Agriculture; Building"),
        ({"sectors": ["Cookstoves"]}, Reason.BAD_FIELD, "'Cookstoves' is not in aef:sectors, which has: Agriculture"),
        ({"activity_types": ["CO2 usage"]}, Reason.BAD_FIELD, "'CO2 usage' is not in aef:activity-types, which has"),
        ({"mitigation_type": ""}, Reason.MISSING_FIELD, "terms.mitigation_type is empty; aef:mitigation-types has"),
        ({"mitigation_type": "Both"}, Reason.BAD_FIELD, "'Both' is not in aef:mitigation-types, which has: Emission"),
    ],
)
def test_another_word_is_refused_with_those_there_are(changed: dict[str, Any], reason: Reason, told: str) -> None:
    world, free = Parties(*WORDS), Parties()
    for each in (world, free):
        accepted(each.issue())
    refused = authorize(world, **changed)
    assert refused is not None
    assert (refused.reason, refused.detail[: len(told)]) == (reason, told)
    assert authorize(free, **changed) is None, "without a record any word is taken"


def test_an_amendment_is_held_to_the_list_that_is_in_force_then() -> None:
    world = Parties(*WORDS)
    accepted(world.issue())
    assert authorize(world, activity_types=["Solar"]) is None
    version = op.SetRecord(id="aef:sectors", version=2, source="a later list", rule=op.Rule(value="Oceans; Energy"))
    accepted(world.run("reg", version))
    said = terms(notes="amended")
    message = op.AmendAuthorization(authorization="GHA-1", version=2, terms=said, date=date(2024), evidence=evidence())
    refused = world.run("gha-epa", message).refusal
    assert refused is not None
    assert refused.detail == "'Waste management' is not in aef:sectors, which has: Oceans; Energy"
    del said.sectors[:]
    said.sectors.append("Oceans")
    message.terms.CopyFrom(said)
    accepted(world.run("gha-epa", message))
