"""Assumed numbers of a whole issuance, settled by what later exports show: no unit comes or goes."""

from collections.abc import Callable

import pytest

from keeling.reasons import Reason
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from node.core.intervals import MarkKind, read_layer
from tests.fakes.world import World
from tests.node.core.conservation import check_conservation
from tests.node.core.sample import evidence, issue, ranges, sample_world, seen

RETIRED, BUFFER = op.Observation.RETIRED, op.Observation.BUFFER


def assumed(status: int = op.Observation.ACTIVE) -> World:
    """A batch of 100, numbers taken to be 1 to 100, under a label."""
    world = sample_world()
    whole = issue("c", "VCS", 100, "", extent=op.Issue.AT_LEAST, observations=[seen(1, 100, status, labels=["tax"])])
    world.must("importer", whole, op.ExtendBatch(batch="c", evidence=evidence("C"), exact=True, numbers_assumed=True))
    return world


def show(*observations: op.Observation) -> op.ExtendBatch:
    return op.ExtendBatch(batch="c", observations=observations, evidence=evidence("C"), run="r2")


def extent(world: World) -> tuple[int, int, bool, int, bool]:
    number = world.state.get(t.BATCH_NUMBERS, "c")
    batch = world.state.get(t.BATCHES, number)
    assert batch is not None
    return batch.low, batch.high, batch.exact, batch.seen, world.state.get(t.ASSUMED, number) is not None


def lots(world: World) -> list[tuple[int, int, int]]:
    number = world.state.get(t.BATCH_NUMBERS, "c")
    return [(t.LOTS.parts(key)[1], lot.units, lot.state) for key, lot in world.state.scan(t.LOTS, number)]


def test_number_zero_turns_the_last_unit_into_the_first() -> None:
    world = assumed()
    assert extent(world) == (1, 100, True, 100, True)
    world.must("importer", show(seen(0, 40, RETIRED)))
    check_conservation(world.state)
    assert extent(world) == (0, 99, True, 100, False)
    assert lots(world) == [(0, 40, 7), (40, 60, 2)]
    number = world.state.get(t.BATCH_NUMBERS, "c")
    labels = [t.MARKS.parts(key)[2:] for key, _ in world.state.scan(t.MARKS, number, 1)]
    assert labels == [("tax", 0)]


@pytest.mark.parametrize(("first", "units", "still"), [(1, 99, True), (60, 40, True), (61, 40, False), (1, 100, False)])
def test_only_the_last_number_proves_that_they_count_from_one(first: int, units: int, still: bool) -> None:
    world = assumed()
    world.must("importer", show(seen(first, units, RETIRED)))
    assert extent(world) == (1, 100, True, 100, still)


def test_buffer_units_are_renumbered_too() -> None:
    world = assumed(BUFFER)
    world.must("importer", show(seen(0, 1, BUFFER)))
    check_conservation(world.state)
    assert lots(world) == [(0, 100, 5)]


def claimed(world: World) -> None:
    link = op.Link(account="M", registry="verra", registry_account="9", hub="hub", control=op.Link.OWNER,
                   claims=ranges(("c", 100, 1)), evidence=evidence("C"))  # fmt: skip
    world.must("mallory", link, approvals=("importer",))


def ended(world: World) -> None:
    world.must("importer", show(seen(100, 1, RETIRED)))


def contradicted(world: World) -> None:
    claimed(world)
    world.must("importer", show(seen(100, 1, RETIRED)))


@pytest.mark.parametrize("touch", [claimed, ended, contradicted])
def test_a_unit_that_anybody_has_touched_keeps_its_number(touch: Callable[[World], None]) -> None:
    world = assumed()
    touch(world)
    before = lots(world)
    answer = world.run("importer", show(seen(0, 40, RETIRED)))
    assert answer.refusal is not None
    assert answer.refusal.reason == Reason.OUTSIDE_EXTENT
    assert lots(world) == before


def test_a_restricted_unit_is_renumbered_and_stays_restricted() -> None:
    world = assumed()
    world.must("verra", op.Restrict(restriction="f", reason="r", ranges=ranges(("c", 90, 11))))
    world.must("importer", show(seen(0, 40, RETIRED)))
    check_conservation(world.state)
    number = world.row(t.BATCH_NUMBERS, "c")
    layer = read_layer(world.state, number, MarkKind.RESTRICTION, "f", 0, 101)
    assert [(at, mark.units) for at, mark in layer] == [(0, 1), (90, 10)]
    assert world.row(t.BATCHES, number).restrictions == 2


def test_both_ends_at_once_are_one_unit_too_many() -> None:
    world = assumed()
    answer = world.run("importer", show(seen(0, 1, RETIRED), seen(100, 1, RETIRED)))
    assert answer.refusal is not None
    assert answer.refusal.reason == Reason.OUTSIDE_EXTENT


def test_numbers_are_assumed_of_whole_issuances_only() -> None:
    world = sample_world()
    wrong = op.ExtendBatch(batch="partly", observations=[seen(1, 1)], evidence=evidence(), numbers_assumed=True)
    answer = world.run("importer", wrong)
    assert answer.refusal is not None
    assert answer.refusal.reason == Reason.BAD_FIELD
