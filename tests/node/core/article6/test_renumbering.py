"""Numbers that were assumed and turn out to be others: what Article 6 and authorities said of a tonne goes with it.

A tonne is known by its ITMO number here, whatever its position is: of each number at most one first transfer stands.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from keeling.events import EventKind
from keeling.reasons import Reason
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from node.core.article6.records import AdjustmentKey, Side
from node.core.article6.stretches import read_stretches
from node.core.intervals import MarkKind, read_layer
from tests.node.core.article6.parties import TERMS, Parties, accepted, date, evidence, programme, terms
from tests.node.core.article6.test_invariants import check_reports
from tests.node.core.conservation import check_conservation

SIZE = 12
ACTIVE, RETIRED = op.Observation.ACTIVE, op.Observation.RETIRED
DEFINITIONS = ("", "authorization", "issuance", "use or cancellation")


def counted(units: int = SIZE, underlying: str = "") -> Parties:
    """A copy for each test of what is made once."""
    return _counted(units, underlying).clone()


@cache
def _counted(units: int, underlying: str) -> Parties:
    """A batch of a registry that says how many units there are, and the numbers only of those that were retired."""
    policy = op.RegistryPolicy(
        scheme="opaque", attestors=["reg"], importers=["reg"], capture_grade="B", attestors_needed=1
    )
    world = Parties(
        programme("CERC", registry="cerc", native=False, underlying=underlying),
        op.SetRecord(id="registry:cerc", version=1, source="a test", registry=policy),
    )
    whole: dict[str, Any] = {"programme": "CERC", "account": "", "extent": op.Issue.AT_LEAST, "evidence": evidence()}
    accepted(world.issue("b", units, observations=[seen(1, units, ACTIVE)], **whole))
    known = op.ExtendBatch(batch="b", evidence=evidence(), exact=True, numbers_assumed=True)
    accepted(world.run("reg", known))
    for account in ("gh", "ch"):
        link(world, account)
    return world


def link(world: Parties, account: str, *claims: op.Range) -> Any:
    message = op.Link(
        account=account, registry="cerc", registry_account="pool", hub="reg", control=op.Link.CUSTODY, claims=claims
    )
    message.evidence.CopyFrom(evidence())
    return world.run(world.owners[account], message, approvals=["reg"])


def seen(first: int, units: int, status: op.Observation.Status.ValueType) -> op.Observation:
    return op.Observation(first_number=str(first), units=units, status=status)


def show(world: Parties, first: int, units: int) -> Any:
    message = op.ExtendBatch(batch="b", observations=[seen(first, units, RETIRED)], evidence=evidence(), run="r2")
    return world.run("reg", message)


def restrict(world: Parties, first: int, units: int) -> Any:
    part = op.Range(batch="b", first=first, units=units)
    return world.run("reg", op.Restrict(restriction="freeze", reason="a court", ranges=[part]))


def numbers(world: Parties) -> dict[int, int]:
    """ITMO number -> position of every unit under an authorization."""
    found: dict[int, int] = {}
    for stretch in read_stretches(world.state, 1, 0, SIZE + 2):
        for at in range(stretch.first, stretch.stop):
            if stretch.itmo is not None:
                assert stretch.itmo.number_at(at) not in found, "two units have one number"
                found[stretch.itmo.number_at(at)] = at
    return found


def transferred(world: Parties) -> set[int]:
    """The numbers whose first transfer stands, by the marks."""
    found = set[int]()
    for stretch in read_stretches(world.state, 1, 0, SIZE + 2):
        if stretch.version and stretch.itmo is not None:
            found |= {stretch.itmo.number_at(at) for at in range(stretch.first, stretch.stop)}
    return found


def test_the_unit_keeps_its_authorization_its_first_transfer_and_its_number() -> None:
    world = counted(100)
    accepted(world.authorize(terms=terms("authorization")))
    assert world.sums("GHA", 2023) == (100, 0)
    accepted(show(world, 0, 40))
    check_conservation(world.state)
    assert [(s.first, s.units, s.version) for s in read_stretches(world.state, 1, 0, 102) if s.authorization] == [
        (0, 1, 1),
        (1, 99, 1),
    ]
    first = read_stretches(world.state, 1, 0, 1)[0]
    assert first.itmo is not None
    assert first.itmo.number_at(0) == 100, "the number it was given when it was taken to be unit 100"
    assert world.sums("GHA", 2023) == (100, 0)
    event = next(e for e in world.events_of(EventKind.EXTENDED) if e.fact("assumed before"))
    assert (event.fact("numbers"), event.fact("assumed before"), event.fact("renumbered")) == (
        "0..99",
        "1..100",
        "100 0",
    )


def test_the_number_is_still_taken() -> None:
    world = counted()
    accepted(world.authorize())
    accepted(show(world, 0, 1))
    rows = [(t.ITMOS.parts(key)[1], *row) for key, row in world.state.scan(t.ITMOS, "CA0004-GHA01-GHA-2023")]
    assert rows == [(1, 1, 1, SIZE - 1), (SIZE, 1, 0, 1)]


def test_a_restriction_goes_with_the_unit_and_the_events_say_so() -> None:
    world = counted()
    accepted(restrict(world, SIZE, 1))
    accepted(show(world, 0, 1))
    layer = read_layer(world.state, 1, MarkKind.RESTRICTION, "freeze", 0, SIZE + 1)
    assert [(at, mark.units, mark.value) for at, mark in layer] == [(0, 1, "a court")]
    batch = world.state.get(t.BATCHES, 1)
    assert batch is not None
    assert batch.restrictions == 1
    kinds = (EventKind.RESTRICTED, EventKind.UNRESTRICTED)
    said = [(e.kind, e.ranges[0].first) for block in world.blocks[-1:] for e in block.events if e.kind in kinds]
    assert said == [(EventKind.UNRESTRICTED, SIZE), (EventKind.RESTRICTED, 0)]


def test_a_revocation_still_reaches_the_unit() -> None:
    world = counted()
    accepted(world.authorize())
    revocation = op.RevokeAuthorization(authorization="GHA-1", reason="why", date=date(2026), evidence=evidence())
    accepted(world.run("gha-epa", revocation))
    accepted(show(world, 0, 1))
    batch = world.state.get(t.BATCHES, 1)
    assert batch is not None
    layer = read_layer(world.state, 1, MarkKind.RESTRICTION, "authorization/GHA-1", 0, SIZE + 1)
    assert [(at, mark.units) for at, mark in layer] == [(0, SIZE)]
    assert batch.restrictions == 1


def test_who_has_the_last_number_keeps_it_and_the_export_is_refused_with_the_reason() -> None:
    world = counted()
    accepted(world.authorize())
    accepted(link(world, "ch", op.Range(batch="b", first=SIZE, units=1)))
    assert world.sums("GHA", 2023) == (1, 0)
    answer = show(world, 0, 1)
    assert answer.refusal.reason == Reason.OUTSIDE_EXTENT
    assert answer.refusal.detail == (
        "b was taken to count from 1; 0 is shown now, so its last unit would not be 12, and that one is in ch:"
        " a person decides"
    )


# -- whatever comes in whatever order


part = st.tuples(st.integers(0, SIZE), st.integers(1, 5))
step = st.one_of(
    st.tuples(st.just("authorize"), st.sampled_from(DEFINITIONS), st.integers(0, SIZE)),
    st.tuples(st.just("claim"), st.sampled_from(["gh", "ch"]), part),
    st.tuples(st.just("send"), st.sampled_from([("gh", "ch"), ("ch", "gh")]), part),
    st.tuples(st.just("show"), part),
    st.tuples(st.just("show"), st.tuples(st.just(0), st.integers(1, 3))),
    st.tuples(st.just("show"), st.just((0, 1))),
    st.tuples(st.just("restrict"), part),
    st.tuples(st.just("reverse"), st.integers(0, 5)),
)


def perform(world: Parties, item: tuple[Any, ...], number: int) -> None:
    """One step, which the ledger takes or refuses."""
    kind, *rest = item
    if kind == "authorize":
        both = {"purpose": TERMS.NDC_AND_OIMP} if rest[0] == "use or cancellation" else {}
        world.authorize(f"GHA-{number}", date(2025), terms=terms(rest[0], cap=rest[1], **both))
    elif kind == "claim":
        first, units = rest[1]
        link(world, rest[0], op.Range(batch="b", first=first, units=units))
    elif kind == "send":
        (giver, taker), (first, units) = rest
        world.send(giver, taker, 0, None, op.Range(batch="b", first=first, units=units))
    elif kind == "show":
        show(world, *rest[0])
    elif kind == "restrict":
        restrict(world, *rest[0])
    else:
        places = [place for place, _ in world.log() if world.state.get(t.CLAIMS, *place) is not None]
        if places:
            place = places[rest[0] % len(places)]
            world.run(
                "reg", op.Reverse(height=place.height, ordinal=place.ordinal, reason="error", evidence=evidence())
            )


def count_first_transfers(world: Parties) -> Counter[int]:
    """By ITMO number, how many first transfers stand by the events."""
    found: Counter[int] = Counter()
    firsts: dict[str, int] = {}
    for place, event in world.log():
        if event.kind == EventKind.ITMO_ACTION and event.fact("first_transfer"):
            first = firsts[f"{place.height}.{place.ordinal}"] = int(event.fact("first_id"))
            found.update(range(first, first + int(event.fact("units"))))
        elif event.kind == EventKind.ACTION_WITHDRAWN and event.fact("action") in firsts:
            first = firsts[event.fact("action")] + int(event.fact("skip") or 0)
            found.subtract(range(first, first + int(event.fact("units"))))
    return found


def check_once(world: Parties, before: dict[int, int]) -> None:
    check_conservation(world.state)
    known = numbers(world)
    assert before.keys() <= known.keys(), "a tonne lost its number"
    moved = {number for number, at in before.items() if known[number] != at}
    assert len(moved) <= 1
    by_events = count_first_transfers(world)
    assert set(by_events.values()) <= {0, 1}, "first transferred twice"
    assert {number for number, times in by_events.items() if times} == transferred(world)
    hosts = 0
    for key_bytes, item in world.state.scan(t.ADJUSTMENTS):
        if AdjustmentKey(*t.ADJUSTMENTS.parts(key_bytes)).side == Side.HOST:
            hosts += item.units - sum(withdrawn.units for withdrawn in item.withdrawn)
    assert hosts == len(transferred(world)) == world.sums("GHA", 2023)[0]
    assert sum(a.covered for _, a in world.state.scan(t.AUTHORIZATIONS)) == len(known)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(DEFINITIONS), st.lists(step, min_size=2, max_size=10))
def test_a_tonne_is_first_transferred_at_most_once_whatever_number_it_turns_out_to_have(
    definition: str, steps: list[tuple[Any, ...]]
) -> None:
    world = counted()
    perform(world, ("authorize", definition, 0), 99)
    for i, item in enumerate(steps):
        before, restricted = numbers(world), _restricted(world)
        perform(world, item, i)
        check_once(world, before)
        assert item[0] == "restrict" or _restricted(world) == restricted, "a freeze does not come off by itself"
    check_reports(world)


def _restricted(world: Parties) -> int:
    layer = read_layer(world.state, 1, MarkKind.RESTRICTION, "freeze", 0, SIZE + 2)
    return sum(mark.units for _, mark in layer)
