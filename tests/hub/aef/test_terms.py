"""Whatever words an authorization is let through with, the reports that name it are consistent; the rest is named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.aef import nomenclature as n
from hub.aef.build import build_report
from hub.aef.check import check_report
from hub.aef.layout import EARLIER, Report
from hub.aef.match import match_reports
from hub.aef.read import parse_report
from hub.aef.terms import find_unreportable
from hub.aef.write import FORMATS
from keeling.v1 import operations_pb2 as op
from tests.hub.aef.samples import busy_world, picture_of
from tests.node.core.article6.parties import Parties, accepted, date, terms

TERMS = op.AuthorizationTerms


def is_let_through(text: str) -> bool:
    return not find_unreportable("GHA-CHE-1", terms(notes=text))


TEXTS = st.one_of(
    st.sampled_from(
        ["", "CORSIA", " x", "a; b", "=1+1", "007", "1e5", 'say "x", y', "Table 3 Actions", "N/A", "_x0041_"]
    ),
    st.text(max_size=12),
    st.text(st.sampled_from("NA \t\r\n\x00\u2028\ufeff,;\"'|é√𝟙"), max_size=5),
).filter(is_let_through)
"""Whatever a command line may hand over and a term may be."""
NUMBERS = TEXTS.filter(lambda text: bool(text) and ";" not in text)
ENTITIES = st.builds(
    op.AuthorizedEntity,
    name=TEXTS.filter(bool),
    country=st.sampled_from(["CHE", "GHA"]),
    identification=NUMBERS,
    conditions=TEXTS,
    change_conditions=TEXTS,
    notes=TEXTS,
)


@st.composite
def any_terms(draw: st.DrawFn) -> op.AuthorizationTerms:
    """Terms of Ghana for batch `b`, with every word that a person types."""
    purpose = draw(st.sampled_from([TERMS.NDC, TERMS.OIMP, TERMS.IMP, TERMS.OP, TERMS.NDC_AND_OIMP, TERMS.NDC_AND_OP]))
    made = TERMS(
        purpose=purpose,
        batches=["b"],
        sectors=draw(st.lists(st.sampled_from(n.SECTORS), min_size=1, max_size=3, unique=True)),
        activity_types=draw(st.lists(st.sampled_from(n.ACTIVITY_TYPES), max_size=3, unique=True)),
        mitigation_type=draw(st.sampled_from(n.MITIGATION_TYPES)),
        parties=draw(st.sampled_from([[], ["CHE"], ["CHE", "SWE"]])),
        cap=draw(st.sampled_from([0, 700, 5000])),
        conditions=draw(TEXTS),
        notes=draw(TEXTS),
        gwp=draw(TEXTS),
        non_ghg_metric=draw(TEXTS),
        entities=draw(st.lists(ENTITIES, max_size=2, unique_by=lambda each: each.identification)),
    )
    if draw(st.booleans()):
        made.first_year, made.last_year = 2021, 2030
    if purpose != TERMS.NDC:
        made.first_transfer = draw(st.sampled_from([TERMS.AUTHORIZATION, TERMS.ISSUANCE, TERMS.USE_OR_CANCELLATION]))
        made.oimp = draw(TEXTS)
    return made


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9 -]{0,9}", fullmatch=True).filter(lambda name: name.strip() != "NA")


def check_everything(report: Report) -> None:
    """Consistent; every format gives the same bytes twice, and the same report back."""
    assert [str(found) for found in check_report(report)] == []
    for name, write in FORMATS.items():
        data = write(report)
        assert write(report) == data, name
        assert parse_report(data) == report, name
        assert check_report(parse_report(data)) == [], name


@settings(max_examples=20, deadline=None)
@given(NAMES, any_terms())
def test_what_is_let_through_is_reported_consistently(name: str, said: op.AuthorizationTerms) -> None:
    """Acceptance walk 2, step 27: authorized, sent abroad, cancelled; both Parties' reports, in both editions."""
    assert find_unreportable(name, said) == []
    world = Parties()
    accepted(world.issue("b", 1000, 2023))
    accepted(world.authorize(name, date(2025), terms=said))
    world.send("gh", "ch", 300, date(2025, 3, 14))
    world.use("ch", 100, 2025, date(2025, 4, 1))
    world.cancel("gh", 50, when=date(2025, 5, 1))
    picture = picture_of(world)
    for party in ("GHA", "CHE"):
        check_everything(build_report(picture, party, 2025))
        assert check_report(build_report(picture, party, 2025, edition=EARLIER)) == []


def test_a_busy_ledger_is_reported_consistently_by_every_party_and_both_sides_agree() -> None:
    picture = picture_of(busy_world())
    reports = {party: build_report(picture, party, 2025) for party in ("GHA", "CHE", "SWE")}
    for report in reports.values():
        check_everything(report)
    assert match_reports(reports["GHA"], reports["CHE"]) == []


def entity(**said: str) -> list[op.AuthorizedEntity]:
    return [op.AuthorizedEntity(**({"name": "Swiss Co", "country": "CHE", "identification": "CHE-123"} | said))]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"sectors": ["Cookstoves"]}, "sector: 'Cookstoves' is not in the nomenclature (one of: Agriculture; Building"),
        ({"activity_types": ["CO2 usage"]}, "activity type: 'CO2 usage' is not in the nomenclature (one of: Afforesta"),
        ({"mitigation_type": "Emission reduction"}, "mitigation type: 'Emission reduction' is not in the nomenclature"),
        ({"mitigation_type": ""}, "mitigation type: none is named (one of: Emission reductions; Removals; Emission"),
        ({"notes": "NA"}, "notes: 'NA' says nothing in a report; leave it out"),
        ({"conditions": "first\nsecond"}, r"conditions: 'first\nsecond' has a sign that no cell keeps: U+000A"),
        ({"non_ghg_metric": " "}, "non ghg metric: ' ' says nothing in a report"),
        ({"entities": entity(identification="1; 2")}, "identification of an entity: '1; 2' has a semicolon"),
        ({"entities": entity(name="NA")}, "name of an entity: 'NA' says nothing in a report"),
    ],
)
def test_what_no_cell_takes_is_named_with_the_words_that_are_allowed(changed: dict[str, Any], told: str) -> None:
    made = terms()
    if "sectors" in changed:
        del made.sectors[:]
    for field, value in changed.items():
        if isinstance(value, list):
            getattr(made, field).extend(value)
        else:
            setattr(made, field, value)
    (found,) = find_unreportable("GHA-CHE-1", made)
    assert str(found).startswith(told)


def test_what_a_report_needs_is_missed_and_what_is_right_is_let_through() -> None:
    assert find_unreportable("GHA-CHE-1", terms()) == []
    assert [each.term for each in find_unreportable("NA", op.AuthorizationTerms())] == [
        "authorization",
        "sector",
        "mitigation type",
    ]
