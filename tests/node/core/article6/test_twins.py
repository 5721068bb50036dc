"""Double identity: an authorized tonne that lives on as another is first transferred once, and keeps its number."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeling.events import Event, EventKind
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from node.core.article6.stretches import Stretch, read_stretches
from node.core.block import Answer
from node.core.lots import find_lot
from node.core.twins import LIVES_AS, read_twins
from tests.node.core.article6.parties import Parties, accepted, date, evidence, programme, terms
from tests.node.core.article6.test_invariants import check_reports


def twin(world: Parties, form: op.Twin.Form.ValueType, ours: op.Range, theirs: op.Range | None = None) -> None:
    message = op.Twin(form=form, ours=ours, evidence=evidence("ours"), their_evidence=evidence("theirs"))
    if theirs is not None:
        message.theirs.CopyFrom(theirs)
    accepted(world.run("ghana-co", message, approvals=["reg", "swiss-co"]))


def look(world: Parties, batch: str, first: int, units: int) -> list[Stretch]:
    return read_stretches(world.state, world.row(t.BATCH_NUMBERS, batch), first, units)


def ready() -> Parties:
    world = Parties(programme("NAT"))
    accepted(world.issue("b", 100))
    accepted(world.issue("n", 100, programme="NAT", project="n"))
    accepted(world.authorize())
    return world


def test_the_authorization_and_the_number_go_with_the_tonne() -> None:
    world = ready()
    twin(world, op.Twin.WRAP, op.Range(batch="b", first=10, units=20), op.Range(batch="n", first=50, units=20))
    (moved,) = look(world, "n", 50, 20)
    assert (moved.authorization, moved.version) == ("GHA-1", 0)
    (before,) = look(world, "b", 15, 1)
    assert moved.itmo is not None
    assert before.itmo is not None
    assert moved.itmo.number_at(55) == before.itmo.number_at(15)
    accepted(world.send("gh", "ch", 0, None, op.Range(batch="n", first=55, units=5)))
    assert world.sums("GHA", 2023) == (5, 0)
    action = world.events_of(EventKind.ITMO_ACTION)[-1]
    assert (action.fact("first_id"), action.fact("last_id")) == ("16", "20"), "the number it had before"


def test_what_was_first_transferred_before_is_not_transferred_again_after() -> None:
    world = ready()
    accepted(world.send("gh", "ch", 0, None, op.Range(batch="b", first=0, units=10)))
    accepted(world.send("ch", "gh", 0, None, op.Range(batch="b", first=0, units=10)))
    twin(world, op.Twin.CONVERT, op.Range(batch="b", first=5, units=10), op.Range(batch="n", first=0, units=10))
    accepted(world.send("gh", "ch", 0, None, op.Range(batch="n", first=0, units=10)))
    assert world.sums("GHA", 2023) == (15, 0), "five of the ten had been first transferred"


def test_what_was_first_transferred_as_a_twin_stays_so_when_it_is_unwrapped() -> None:
    world = ready()
    twin(world, op.Twin.WRAP, op.Range(batch="b", first=10, units=20), op.Range(batch="n", first=50, units=20))
    accepted(world.send("gh", "ch", 0, None, op.Range(batch="n", first=55, units=5)))
    accepted(world.send("ch", "gh", 0, None, op.Range(batch="n", first=55, units=5)))
    twin(world, op.Twin.UNWRAP, op.Range(batch="b", first=10, units=20))
    assert [(s.first, s.units, bool(s.version)) for s in look(world, "b", 10, 20)] == [
        (10, 5, False),
        (15, 5, True),
        (20, 10, False),
    ]
    accepted(world.send("gh", "ch", 0, None, op.Range(batch="b", first=10, units=20)))
    assert world.sums("GHA", 2023) == (20, 0)


def test_units_of_two_registries_are_reported_with_the_underlying_unit() -> None:
    world = Parties(programme("GS", underlying="GS"), programme("NAT"))
    accepted(world.issue("g", 100, programme="GS", project="g", first_number="5001"))
    accepted(world.issue("n", 100, programme="NAT", project="n"))
    twin(world, op.Twin.CONVERT, op.Range(batch="g", first=0, units=100), op.Range(batch="n", first=0, units=100))
    accepted(world.authorize(terms=terms(batches=["n"])))
    accepted(world.send("gh", "ch", 0, None, op.Range(batch="n", first=30, units=10)))
    action = world.events_of(EventKind.ITMO_ACTION)[-1]
    assert [action.fact(name) for name in ("underlying", "first_unit", "last_unit")] == ["GS", "5031", "5040"]


def test_a_tonne_that_goes_home_when_it_is_unwrapped_is_transferred_back() -> None:
    world = ready()
    twin(world, op.Twin.WRAP, op.Range(batch="b", first=10, units=20), op.Range(batch="n", first=50, units=20))
    accepted(world.send("gh", "ch", 0, None, op.Range(batch="n", first=50, units=20)))
    twin(world, op.Twin.UNWRAP, op.Range(batch="b", first=15, units=5))
    action = world.events_of(EventKind.ITMO_ACTION)[-1]
    said = [action.fact(name) for name in ("from_party", "to_party", "first_id", "last_id", "first_transfer")]
    assert said == ["CHE", "GHA", "16", "20", ""]
    assert world.sums("GHA", 2023) == (20, 0)


def test_authorizations_in_pieces_all_come_back() -> None:
    world = Parties(programme("NAT"))
    accepted(world.issue("b", 100))
    accepted(world.send("gh", "gh2", 0, None, op.Range(batch="b", first=50, units=50)))
    accepted(world.authorize())
    accepted(world.send("gh2", "gh", 0, None, op.Range(batch="b", first=50, units=50)))
    accepted(world.issue("n", 100, programme="NAT", project="n"))
    twin(world, op.Twin.WRAP, op.Range(batch="b", first=0, units=100), op.Range(batch="n", first=0, units=100))
    accepted(world.send("gh", "ch", 0, None, op.Range(batch="n", first=0, units=100)))
    twin(world, op.Twin.UNWRAP, op.Range(batch="b", first=0, units=100))
    accepted(world.send("gh", "ch", 0, None, op.Range(batch="b", first=0, units=100)))
    assert world.sums("GHA", 2023) == (100, 0), "given in two pieces, first transferred once"


def test_what_was_authorized_as_a_twin_is_authorized_when_it_is_unwrapped() -> None:
    world = Parties(programme("NAT"))
    accepted(world.issue("b", 100))
    accepted(world.issue("n", 100, programme="NAT", project="n"))
    twin(world, op.Twin.WRAP, op.Range(batch="b", first=0, units=10), op.Range(batch="n", first=50, units=10))
    accepted(world.authorize(terms=terms("authorization", batches=["n"])))
    assert world.sums("GHA", 2023) == (100, 0)
    twin(world, op.Twin.UNWRAP, op.Range(batch="b", first=0, units=10))
    (back,) = look(world, "b", 0, 10)
    assert (back.authorization, back.version) == ("GHA-1", 1)
    accepted(world.authorize("GHA-2", terms=terms("authorization", batches=["b"])))
    assert world.sums("GHA", 2023) == (190, 0), "the ten are under the first one, and counted"


def mirrored() -> Parties:
    """A copy for each test of what is made once."""
    return _mirrored().clone()


@cache
def _mirrored() -> Parties:
    """Batch `m` of an outside registry, nobody's; `k` of the national registry, in Ghana."""
    policy = op.RegistryPolicy(
        scheme="opaque", attestors=["reg"], importers=["reg"], capture_grade="B", attestors_needed=1
    )
    world = Parties(
        programme("NAT"),
        programme("GS", registry="gs", native=False, underlying="GS"),
        op.SetRecord(id="registry:gs", version=1, source="a test", registry=policy),
    )
    accepted(world.issue("b", SIZE))
    accepted(world.issue("n", SIZE, programme="NAT", project="n"))
    accepted(world.issue("k", SIZE, programme="NAT", project="n"))
    accepted(world.issue("m", SIZE, programme="GS", project="m", account="", first_number="0", evidence=evidence()))
    return world


SIZE = 12
OBSERVED = op.Observation
PAIRS = {"b": "n", "m": "k"}


def show(world: Parties, first: int, units: int, status: op.Observation.Status.ValueType) -> Answer:
    item = op.Observation(first_number=str(first), units=units, status=status)
    item.effective.CopyFrom(date(2025, 6, 1))
    return world.run("reg", op.ExtendBatch(batch="m", observations=[item], evidence=evidence(), run="r2"))


def convert(world: Parties, batch: str, first: int, units: int) -> Answer:
    ours, theirs = (op.Range(batch=name, first=first, units=units) for name in (batch, PAIRS[batch]))
    message = op.Twin(form=op.Twin.CONVERT, ours=ours, theirs=theirs, evidence=evidence(), their_evidence=evidence())
    return world.run("ghana-co", message, approvals=["reg", "swiss-co"])


@pytest.mark.parametrize("status", [OBSERVED.CANCELLED, OBSERVED.ENDED, OBSERVED.CONVERTED])
def test_units_that_had_ended_at_their_registry_bring_their_authorization_to_the_twin(
    status: op.Observation.Status.ValueType,
) -> None:
    world = mirrored()
    accepted(world.authorize(terms=terms(batches=["m"])))
    accepted(show(world, 4, 5, status))
    accepted(convert(world, "m", 4, 5))
    assert [(s.authorization, s.version) for s in look(world, "k", 4, 5)] == [("GHA-1", 0)]
    accepted(world.send("gh", "ch", 0, None, op.Range(batch="k", first=4, units=5)))
    action = world.events_of(EventKind.ITMO_ACTION)[-1]
    said = [action.fact(name) for name in ("first_id", "last_id", "underlying", "first_unit", "last_unit")]
    assert said == ["5", "9", "GS", "4", "8"], "one identifier, and the unit it was"
    assert world.sums("GHA", 2023) == (5, 0)


@pytest.mark.parametrize("definition", ["authorization", "issuance"])
def test_what_was_first_transferred_before_it_ended_is_not_transferred_again_as_a_twin(definition: str) -> None:
    world = mirrored()
    accepted(world.authorize(terms=terms(definition, batches=["m"])))
    accepted(show(world, 4, 5, OBSERVED.CONVERTED))
    accepted(convert(world, "m", 4, 5))
    accepted(world.send("gh", "ch", 0, None, op.Range(batch="k", first=4, units=5)))
    accepted(world.cancel("ch", 5))
    assert world.sums("GHA", 2023) == (SIZE, 0)


def test_a_cancellation_that_was_a_conversion_is_withdrawn() -> None:
    world = mirrored()
    accepted(world.authorize(terms=terms("use or cancellation", batches=["m"])))
    accepted(show(world, 4, 5, OBSERVED.CANCELLED))
    assert world.sums("GHA", 2023) == (5, 0)
    accepted(convert(world, "m", 5, 4))
    assert world.sums("GHA", 2023) == (1, 0), "only one of the five was really cancelled"
    selection = op.Selection(ranges=[op.Range(batch="k", first=5, units=4)])
    accepted(world.run("ghana-co", op.Cancel(account="gh", selection=selection, kind=op.Cancel.VOLUNTARY)))
    assert world.sums("GHA", 2023) == (5, 0), "now the others are, as what they live on as"


def test_both_identities_were_first_transferred_before_anybody_said_that_they_are_one() -> None:
    world = mirrored()
    accepted(world.authorize(terms=terms("authorization", batches=["b"])))
    accepted(world.authorize("GHA-2", terms=terms("authorization", batches=["n"])))
    assert world.sums("GHA", 2023) == (2 * SIZE, 0)
    accepted(convert(world, "b", 3, 4))
    assert world.sums("GHA", 2023) == (2 * SIZE - 4, 0), "the first transfer of what lives no more is withdrawn"
    event = world.events_of(EventKind.ACTION_WITHDRAWN)[-1]
    assert (event.subject, event.fact("skip"), event.fact("units")) == ("GHA-1", "3", "4")
    assert [s.authorization for s in look(world, "n", 3, 4)] == ["GHA-2"]


def test_what_had_ended_as_the_twin_is_cancelled_when_the_pair_is_known() -> None:
    world = mirrored()
    accepted(world.authorize(terms=terms("use or cancellation", batches=["b"])))
    accepted(world.send("gh", "gh2", 0, None, op.Range(batch="n", first=0, units=SIZE)))
    retire = op.Retire(account="gh2", selection=op.Selection(ranges=[op.Range(batch="n", first=2, units=3)]))
    accepted(world.run("ghana-co", retire))
    accepted(convert(world, "b", 0, SIZE))
    assert world.actions()[-1] == ("CANCEL", "first", 3)
    assert world.sums("GHA", 2023) == (3, 0)


# -- whatever is done to both identities


ranges = st.sampled_from([(0, 6), (3, 6), (0, SIZE)])
forms = st.sampled_from([op.Twin.WRAP, op.Twin.CONVERT])
abroad = st.sampled_from(["gh", "ch", "se"])
step = st.one_of(
    st.tuples(
        st.just("authorize"),
        st.sampled_from(["b", "n", "m", "k"]),
        st.sampled_from(["", "authorization", "use or cancellation"]),
    ),
    *(st.tuples(st.just("pair"), forms, st.just(batch), ranges) for batch in PAIRS),
    *(st.tuples(st.just("unwrap"), ranges) for _ in PAIRS),
    *(st.tuples(st.just("send"), st.just(batch), abroad, ranges) for batch in ("b", "n", "k")),
    st.tuples(st.just("cancel"), st.sampled_from(["b", "n", "k"]), ranges),
    st.tuples(st.just("show"), st.sampled_from([2, 3, 4, 7]), ranges),
    st.tuples(st.just("reverse"), st.integers(0, 5)),
)
EVERYBODY = ("reg", "swiss-co", "swedish-co")


def perform(world: Parties, item: tuple[Any, ...], number: int) -> None:
    """One step, which the ledger takes or refuses."""
    kind, *rest = item
    if kind == "authorize":
        purpose = {"purpose": op.AuthorizationTerms.NDC_AND_OIMP} if rest[1] else {}
        world.authorize(f"GHA-{number}", date(2025), terms=terms(rest[1], batches=[rest[0]], **purpose))
    elif kind == "pair":
        form, batch, (first, units) = rest
        ours, theirs = (op.Range(batch=name, first=first, units=units) for name in (batch, PAIRS[batch]))
        pair = op.Twin(form=form, ours=ours, theirs=theirs, evidence=evidence(), their_evidence=evidence())
        world.run("ghana-co", pair, approvals=EVERYBODY)
    elif kind == "unwrap":
        ours = op.Range(batch="b", first=rest[0][0], units=rest[0][1])
        undone = op.Twin(form=op.Twin.UNWRAP, ours=ours, evidence=evidence(), their_evidence=evidence())
        world.run("ghana-co", undone, approvals=EVERYBODY)
    elif kind == "show":
        status, (first, units) = rest
        show(world, first, units, status)
    elif kind == "reverse":
        places = [place for place, _ in world.log() if world.state.get(t.CLAIMS, *place) is not None]
        if places:
            place = places[rest[0] % len(places)]
            back = op.Reverse(height=place.height, ordinal=place.ordinal, reason="error", evidence=evidence())
            world.run("reg", back, approvals=("ghana-co", *EVERYBODY[1:]))
    else:
        batch, (first, units) = rest[0], rest[-1]
        lot = find_lot(world.state, world.row(t.BATCH_NUMBERS, batch), first)
        assert lot is not None
        account = world.row(t.ACCOUNTS, lot[1].account).name
        part = op.Range(batch=batch, first=first, units=units)
        if kind == "send":
            world.send(account, rest[1], 0, date(2025, 3, 1), part)
        else:
            selection = op.Selection(ranges=[part])
            world.run(
                world.owners[account],
                op.Cancel(account=account, selection=selection, kind=op.Cancel.VOLUNTARY, effective=date(2025, 6, 1)),
            )


def tonnes(event: Event, skip: int, units: int) -> list[tuple[str, int]]:
    """Of an action, each tonne: the pair it can belong to, and its place there."""
    names = {**{name: name for name in PAIRS}, **{theirs: ours for ours, theirs in PAIRS.items()}}
    first = int(event.fact("position")) + skip
    return [(names[event.fact("batch")], at) for at in range(first, first + units)]


def count_first_transfers(world: Parties) -> Counter[tuple[str, int]]:
    """By tonne, how many first transfers stand by the events, under whichever identity."""
    found: Counter[tuple[str, int]] = Counter()
    actions = {}
    for place, event in world.log():
        if event.kind == EventKind.ITMO_ACTION and event.fact("first_transfer"):
            actions[f"{place.height}.{place.ordinal}"] = event
            found.update(tonnes(event, 0, int(event.fact("units"))))
        elif event.kind == EventKind.ACTION_WITHDRAWN and event.fact("action") in actions:
            skip, units = int(event.fact("skip") or 0), int(event.fact("units"))
            found.subtract(tonnes(actions[event.fact("action")], skip, units))
    return found


def paired_now(world: Parties) -> set[tuple[str, int]]:
    found = set[tuple[str, int]]()
    for batch in PAIRS:
        for pair in read_twins(world.state, world.row(t.BATCH_NUMBERS, batch), LIVES_AS, 0, SIZE):
            found |= {(batch, at) for at in range(pair.first, pair.first + pair.units)}
    return found


@settings(max_examples=50, deadline=None)
@given(st.lists(step, min_size=8, max_size=14))
def test_one_tonne_is_first_transferred_once_under_whichever_identity(steps: list[tuple[Any, ...]]) -> None:
    world, paired = mirrored(), set[tuple[str, int]]()
    for i, batch in enumerate(("b", "m")):
        perform(world, ("authorize", batch, ("", "use or cancellation")[i]), 90 + i)
    perform(world, ("show", OBSERVED.CANCELLED, (0, 6)), 0)
    perform(world, ("pair", op.Twin.WRAP, "b", (0, SIZE)), 0)
    for i, item in enumerate(steps):
        perform(world, item, i)
        paired |= paired_now(world)
        by_tonne = count_first_transfers(world)
        assert all(times in (0, 1) or (times == 2 and tonne not in paired) for tonne, times in by_tonne.items())
        assert sum(by_tonne.values()) == world.sums("GHA", 2023)[0]
        assert sum(a.transferred for _, a in world.state.scan(t.AUTHORIZATIONS)) == sum(by_tonne.values())
    check_reports(world)


def test_units_of_several_origins_are_an_action_for_each() -> None:
    """Two pairs side by side, a third from elsewhere, then units that were nothing else before."""
    world = Parties(programme("GS", underlying="GS"), programme("NAT"))
    accepted(world.issue("g", 100, programme="GS", project="g", first_number="5001"))
    accepted(world.issue("n", 100, programme="NAT", project="n"))
    for ours, theirs in ((0, 0), (10, 10), (50, 20)):
        pair = (op.Range(batch=name, first=at, units=10) for name, at in (("g", ours), ("n", theirs)))
        twin(world, op.Twin.CONVERT, *pair)
    accepted(world.authorize(terms=terms(batches=["n"])))
    accepted(world.send("gh", "ch", 0, None, op.Range(batch="n", first=0, units=40)))
    names = ("first_id", "last_id", "underlying", "first_unit", "last_unit")
    actions = [event for event in world.events_of(EventKind.ITMO_ACTION) if event.fact("first_transfer")]
    assert [[event.fact(name) for name in names] for event in actions] == [
        ["1", "20", "GS", "5001", "5020"],
        ["21", "30", "GS", "5051", "5060"],
        ["31", "40", "", "", ""],
    ]
    assert world.sums("GHA", 2023) == (40, 0)
