"""What is refused, and why: one row, one rule, in the order in which the checks come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from keeling.reasons import Reason
from keeling.v1 import operations_pb2 as op
from node.core.block import Answer
from tests.node.core.article6.parties import (
    TERMS,
    Parties,
    accepted,
    approach,
    date,
    evidence,
    party,
    programme,
    terms,
)

Step = Callable[[Parties], Answer]
STATE = op.CooperativeApproach


def reason_of(answer: Answer) -> Reason | None:
    return answer.refusal.reason if answer.refusal else None


def ready() -> Parties:
    world = Parties()
    accepted(world.issue())
    return world


def authorized(**fields: Any) -> Callable[[], Parties]:
    def make() -> Parties:
        world = ready()
        accepted(world.authorize(terms=terms(fields.pop("first", ""), **fields)))
        return world

    return make


def put(record: op.SetRecord) -> Step:
    return lambda world: world.run("reg", record)


def amend(version: int = 2, **fields: Any) -> Step:
    def step(world: Parties) -> Answer:
        made = fields.get("terms") or terms(**fields)
        message = op.AmendAuthorization(
            authorization="GHA-1", version=version, terms=made, date=date(2024), evidence=evidence()
        )
        return world.run("gha-epa", message)

    return step


def revoke(by: str = "gha-epa", name: str = "GHA-1") -> Step:
    message = op.RevokeAuthorization(authorization=name, reason="why", date=date(2024), evidence=evidence())
    return lambda world: world.run(by, message)


def report(version: str, step: op.ReportAdjustment.Step.ValueType, by: str = "gha-epa", **fields: Any) -> Step:
    made: dict[str, Any] = {
        "party": "GHA",
        "reported_year": 2025,
        "date": date(2026, 4, 10),
        "evidence": evidence(),
    } | fields
    return lambda world: world.run(by, op.ReportAdjustment(version=version, step=step, **made))


REPORT = op.ReportAdjustment

AUTHORIZING: list[tuple[str, Step, Reason | None]] = [
    ("the id has no slash", lambda w: w.authorize("GHA/1"), Reason.BAD_FIELD),
    ("a scope is named", lambda w: w.authorize(terms=TERMS(purpose=TERMS.NDC)), Reason.MISSING_FIELD),
    ("a purpose is named", lambda w: w.authorize(terms=TERMS(batches=["b"])), Reason.MISSING_FIELD),
    (
        "NDC use has no choice of first transfer",
        lambda w: w.authorize(terms=terms(first_transfer=TERMS.ISSUANCE)),
        Reason.BAD_FIELD,
    ),
    (
        "OIMP asks for a definition",
        lambda w: w.authorize(terms=terms(purpose=TERMS.OIMP)),
        Reason.MISSING_FIELD,
    ),
    (
        "first international transfer is no definition for OIMP alone",
        lambda w: w.authorize(terms=terms(purpose=TERMS.OIMP, first_transfer=TERMS.INTERNATIONAL_TRANSFER)),
        Reason.MISSING_FIELD,
    ),
    (
        "what is conditional is not transferred at once",
        lambda w: w.authorize(terms=terms("authorization", conditional=True)),
        Reason.BAD_FIELD,
    ),
    ("both years of a time frame", lambda w: w.authorize(terms=terms(first_year=2021)), Reason.BAD_FIELD),
    ("a batch that is named exists", lambda w: w.authorize(terms=terms(batches=["x"])), Reason.BATCH_NOT_FOUND),
    ("a project that is named exists", lambda w: w.authorize(terms=terms(projects=["x"])), Reason.PROJECT_NOT_FOUND),
    ("only the host's authority", lambda w: w.authorize(by="che-bafu"), Reason.NOT_IN_SCOPE),
    (
        "another Party's word is not the host's",
        lambda w: w.run(
            "che-bafu",
            op.Authorize(
                authorization="X", party="GHA", approach="CA0004", terms=terms(), date=date(2024), evidence=evidence()
            ),
        ),
        Reason.NOT_PERMITTED,
    ),
    ("vintages fit", lambda w: w.authorize(terms=terms(vintage_from=2021, vintage_to=2022)), Reason.NOT_IN_SCOPE),
    ("all is well", lambda w: w.authorize(), None),
]


@pytest.mark.parametrize(("name", "step", "reason"), AUTHORIZING, ids=[row[0] for row in AUTHORIZING])
def test_authorizing(name: str, step: Step, reason: Reason | None) -> None:
    assert reason_of(step(ready())) == reason


def test_an_authorization_is_made_once() -> None:
    world = authorized()()
    assert reason_of(world.authorize()) == Reason.AUTHORIZATION_EXISTS


ACTING: list[tuple[str, Callable[[], Parties], Step, Reason | None]] = [
    (
        "only to Parties it names",
        authorized(parties=["CHE"]),
        lambda w: w.send("gh", "se", 1),
        Reason.PARTY_NOT_AUTHORIZED,
    ),
    ("to a Party it names", authorized(parties=["CHE"]), lambda w: w.send("gh", "ch", 1), None),
    (
        "only to entities it names",
        authorized(
            entities=[op.AuthorizedEntity(participant="swedish-co", name="S", country="SWE", identification="1")]
        ),
        lambda w: w.send("gh", "ch", 1),
        Reason.ENTITY_NOT_AUTHORIZED,
    ),
    ("never where no Party is known", authorized(), lambda w: w.send("gh", "nw", 1), Reason.PARTY_UNKNOWN),
    (
        "within the time frame",
        authorized(first_year=2021, last_year=2024),
        lambda w: w.send("gh", "ch", 1),
        Reason.OUTSIDE_TIME_FRAME,
    ),
    (
        "not while it is conditional",
        authorized(conditional=True),
        lambda w: w.send("gh", "ch", 1),
        Reason.AUTHORIZATION_CONDITIONAL,
    ),
    (
        "inside the host nothing is asked",
        authorized(conditional=True, parties=["SWE"]),
        lambda w: w.send("gh", "gh2", 1),
        None,
    ),
    (
        "NDC units are no OIMP units",
        authorized(),
        lambda w: w.use("gh", 1, kind=op.Purposeful.OIMP),
        Reason.PURPOSE_NOT_AUTHORIZED,
    ),
    (
        "CORSIA units are for CORSIA",
        authorized(first="authorization", oimp="CORSIA"),
        lambda w: w.use("gh", 1, kind=op.Purposeful.OIMP, scheme="voluntary"),
        Reason.PURPOSE_NOT_AUTHORIZED,
    ),
]


@pytest.mark.parametrize(("name", "make", "step", "reason"), ACTING, ids=[row[0] for row in ACTING])
def test_acting(name: str, make: Callable[[], Parties], step: Step, reason: Reason | None) -> None:
    assert reason_of(step(make())) == reason


def test_oimp_units_cannot_be_used_towards_an_ndc() -> None:
    world = authorized(first="use or cancellation")()
    accepted(world.send("gh", "ch", 10))
    assert reason_of(world.use("ch", 10)) == Reason.PURPOSE_NOT_AUTHORIZED


def test_units_without_an_authorization_are_of_use_to_their_host_alone() -> None:
    world = ready()
    accepted(world.send("gh", "ch", 10))
    assert reason_of(world.use("ch", 10)) == Reason.NOT_AUTHORIZED
    accepted(world.use("gh", 10))
    assert world.actions() == []


def test_a_hold_is_refused_before_anything_can_be_sent() -> None:
    world = authorized(parties=["SWE"])()
    hold = op.Hold(
        hold=b"h" * 16,
        account="gh",
        selection=op.Selection(units=5),
        purpose=op.Hold.FOR_TRANSFER,
        expires_ms=world.now_ms + 1000,
        to_account="ch",
    )
    assert reason_of(world.run("ghana-co", hold)) == Reason.PARTY_NOT_AUTHORIZED
    hold.purpose = op.Hold.FOR_USE
    hold.to_account = ""
    hold.use.CopyFrom(op.Purposeful(kind=op.Purposeful.OIMP))
    assert reason_of(world.run("ghana-co", hold)) == Reason.PURPOSE_NOT_AUTHORIZED


CHANGING: list[tuple[str, Step, Reason | None]] = [
    ("the next version", amend(3), Reason.AUTHORIZATION_VERSION_NOT_NEXT),
    ("a cap above what is under it", amend(cap=999), Reason.CAP_TOO_LOW),
    ("the metric stays", amend(non_ghg_metric="MWh"), Reason.BAD_FIELD),
    ("it exists", revoke(name="GHA-2"), Reason.AUTHORIZATION_NOT_FOUND),
    ("only the host's authority revokes", revoke("che-bafu"), Reason.NOT_PERMITTED),
    ("all is well", amend(cap=1000), None),
]


@pytest.mark.parametrize(("name", "step", "reason"), CHANGING, ids=[row[0] for row in CHANGING])
def test_changing(name: str, step: Step, reason: Reason | None) -> None:
    assert reason_of(step(authorized()())) == reason


def test_what_is_revoked_is_revoked_once() -> None:
    world = authorized()()
    accepted(revoke()(world))
    assert reason_of(revoke()(world)) == Reason.AUTHORIZATION_REVOKED
    assert reason_of(amend()(world)) == Reason.AUTHORIZATION_REVOKED


GOVERNING: list[tuple[str, Step, Reason | None]] = [
    ("a Party's record has its name", put(party("KEN", "gha-epa")), Reason.PARTICIPANT_STAYS_IN_PARTY),
    ("an authority has the role", put(party("KEN", "nowhere-co")), Reason.NOT_PERMITTED),
    ("a registry is KEN01", put(party("KEN", "reg", itmo_registry="KEN1")), Reason.BAD_FIELD),
    ("UN01 is the exception", put(party("CHE", "che-bafu", "swiss-co", version=2, itmo_registry="UN01")), None),
    ("nobody is dropped", put(party("CHE", "che-bafu", version=2)), Reason.PARTICIPANT_STAYS_IN_PARTY),
    (
        "nobody is moved",
        put(party("CHE", "che-bafu", "swiss-co", "ghana-co", version=2)),
        Reason.PARTICIPANT_STAYS_IN_PARTY,
    ),
    (
        "one method for the whole NDC period",
        put(party("CHE", "che-bafu", "swiss-co", version=2, method=op.Party.MULTI_YEAR)),
        Reason.METHOD_IS_FIXED,
    ),
    (
        "another method in the next period",
        put(
            party(
                "CHE",
                "che-bafu",
                "swiss-co",
                version=2,
                method=op.Party.MULTI_YEAR,
                ndc_first_year=2026,
                ndc_last_year=2030,
            )
        ),
        None,
    ),
    (
        "active only with every initial report",
        put(approach("CA0009", reported=("GHA", "CHE"))),
        Reason.INITIAL_REPORT_MISSING,
    ),
    ("a draft needs none", put(approach("CA0009", state=STATE.DRAFT, reported=())), None),
    (
        "what is active is no draft again",
        put(approach(state=STATE.DRAFT, version=2)),
        Reason.APPROACH_STEP_OUT_OF_ORDER,
    ),
    ("an approach is called CA0004", put(approach("CA4")), Reason.BAD_FIELD),
]


@pytest.mark.parametrize(("name", "step", "reason"), GOVERNING, ids=[row[0] for row in GOVERNING])
def test_governing(name: str, step: Step, reason: Reason | None) -> None:
    assert reason_of(step(Parties())) == reason


def test_an_approach_is_suspended_and_resumed_and_ended_for_ever() -> None:
    world = authorized()()
    accepted(world.run("reg", approach(state=STATE.SUSPENDED, version=2)))
    assert reason_of(world.send("gh", "ch", 1)) == Reason.APPROACH_NOT_ACTIVE
    assert reason_of(world.authorize("GHA-2")) == Reason.APPROACH_NOT_ACTIVE
    accepted(world.run("reg", approach(version=3)))
    accepted(world.send("gh", "ch", 1))
    accepted(world.run("reg", approach(state=STATE.COMPLETED, version=4)))
    assert reason_of(world.run("reg", approach(version=5))) == Reason.APPROACH_STEP_OUT_OF_ORDER


def test_no_activity_before_the_initial_report() -> None:
    world = Parties(approach(state=STATE.DRAFT, reported=("GHA",)))
    accepted(world.issue())
    assert reason_of(world.authorize()) == Reason.APPROACH_NOT_ACTIVE
    assert reason_of(world.run("reg", approach(version=2, reported=("GHA",)))) == Reason.INITIAL_REPORT_MISSING
    accepted(world.run("reg", approach(version=2)))
    accepted(world.authorize())


def test_a_vintage_over_two_years_needs_its_ndc_year() -> None:
    world = Parties()
    span: dict[str, Any] = {"vintage_start": date(2023), "vintage_end": date(2024, 12, 31)}
    accepted(world.issue(**span))
    assert reason_of(world.authorize()) == Reason.VINTAGE_YEAR_UNKNOWN
    accepted(world.issue("c", ndc_year=2024, **span))
    accepted(world.authorize(terms=terms(batches=["c"])))


def test_kilograms_do_not_come_under_an_authorization_of_tonnes() -> None:
    world = Parties(programme("KG", grain="KG_CO2E"))
    accepted(world.issue(programme="KG"))
    assert reason_of(world.authorize()) == Reason.NOT_IN_SCOPE


REPORTING: list[tuple[str, list[tuple[Step, Reason | None]]]] = [
    ("the first is 1.0", [(report("1.1", REPORT.REPORTED), Reason.REPORT_STEP_OUT_OF_ORDER)]),
    ("a result follows a report", [(report("1.0", REPORT.CONSISTENT), Reason.REPORT_STEP_OUT_OF_ORDER)]),
    ("only its authority", [(report("1.0", REPORT.REPORTED, by="che-bafu"), Reason.NOT_PERMITTED)]),
    (
        "a version is submitted once, and a later one is higher",
        [
            (report("1.0", REPORT.REPORTED), None),
            (report("1.0", REPORT.REPORTED), Reason.REPORT_STEP_OUT_OF_ORDER),
            (report("1.1", REPORT.CONSISTENT), Reason.REPORT_STEP_OUT_OF_ORDER),
            (report("1.0", REPORT.INCONSISTENT), None),
            (report("1.10", REPORT.REPORTED), None),
            (report("1.9", REPORT.REPORTED), Reason.REPORT_STEP_OUT_OF_ORDER),
            (report("1.10", REPORT.CONSISTENT), None),
            (report("1.10", REPORT.IN_BTR), None),
            (report("1.10", REPORT.IN_BTR), Reason.REPORT_STEP_OUT_OF_ORDER),
        ],
    ),
    (
        "only known adjustments are inconsistent",
        [
            (report("1.0", REPORT.REPORTED), None),
            (report("1.0", REPORT.INCONSISTENT, adjustments=["GHA-2023-FT-9.9"]), Reason.ADJUSTMENT_NOT_FOUND),
            (report("1.0", REPORT.CONSISTENT, adjustments=["GHA-2023-FT-9.9"]), Reason.BAD_FIELD),
        ],
    ),
]


@pytest.mark.parametrize(("name", "steps"), REPORTING, ids=[row[0] for row in REPORTING])
def test_reporting(name: str, steps: list[tuple[Step, Reason | None]]) -> None:
    world = Parties()
    assert [reason_of(step(world)) for step, _ in steps] == [reason for _, reason in steps]
