"""Double identity: an authorized tonne that lives on as another is first transferred once, and keeps its number."""

from __future__ import annotations

from keeling.events import EventKind
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from node.core.article6.stretches import Stretch, read_stretches
from tests.node.core.article6.parties import Parties, accepted, evidence, programme, terms


def twin(world: Parties, form: int, ours: op.Range, theirs: op.Range | None = None) -> None:
    message = op.Twin(form=form, ours=ours, evidence=evidence("ours"), their_evidence=evidence("theirs"))
    if theirs is not None:
        message.theirs.CopyFrom(theirs)
    accepted(world.run("ghana-co", message, approvals=["reg"]))


def look(world: Parties, batch: str, first: int, units: int) -> list[Stretch]:
    number = world.state.get(t.BATCH_NUMBERS, batch)
    assert number is not None
    return read_stretches(world.state, number, first, units)


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
    assert moved.itmo is not None
    assert moved.itmo.number_at(55) == look(world, "b", 15, 1)[0].itmo.number_at(15)  # type: ignore[union-attr]
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
