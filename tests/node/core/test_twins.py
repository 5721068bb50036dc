"""Whatever is wrapped, converted, unwrapped, split, moved and ended: of a unit and its twins exactly one lives (G1)."""

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from keeling.events import EVENT
from keeling.units import UnitState
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from node.core.lots import find_lot
from node.core.twins import LIVES_AS, SUPERSEDED, WAS, Twinned, read_twins
from tests.fakes.world import World
from tests.node.core.cases_ends import buffer, reverse
from tests.node.core.cases_twins import BOTH, CONVERT, UNWRAP, WRAP, outside, twin
from tests.node.core.sample import evidence, give, sample_world, seen, some

BATCHES = {"vcs": 1, "nat": 0, "itmo": 0, "partly": 1}
SIZE = 24


def states(world: World, batch: str) -> dict[int, UnitState]:
    """The state of each position that tests touch."""
    number = world.row(t.BATCH_NUMBERS, batch)
    found = {at: find_lot(world.state, number, at) for at in range(BATCHES[batch], BATCHES[batch] + SIZE)}
    return {at: UnitState(lot[1].state) for at, lot in found.items() if lot is not None}


def links(world: World, batch: str, layer: str) -> Iterator[tuple[int, Twinned, int]]:
    """Every position with a twin: position, pair, position of the twin."""
    number = world.row(t.BATCH_NUMBERS, batch)
    for pair in read_twins(world.state, number, layer, 0, 2**40):
        for offset in range(pair.units):
            yield pair.first + offset, pair, pair.other_first + offset


def check_one_lives(world: World) -> None:
    known = {name: states(world, name) for name in BATCHES}
    forward = {(b, at): (p.pair, p.batch, other) for b in BATCHES for at, p, other in links(world, b, LIVES_AS)}
    backward = {(b, at): (p.pair, p.batch, other) for b in BATCHES for at, p, other in links(world, b, WAS)}
    for (batch, at), (pair, name, other) in forward.items():
        assert known[batch][at] in SUPERSEDED
        if name:
            assert backward[name, other] == (pair, batch, at)
    for (batch, at), (pair, name, other) in backward.items():
        assert not name or forward[name, other] == (pair, batch, at)
    for batch, found in known.items():
        for at, state in found.items():
            assert state != UnitState.IMMOBILISED or (batch, at) in forward
    for start in forward:
        steps, place = 0, start
        while place in forward and forward[place][1]:
            place, steps = forward[place][1:], steps + 1
            assert steps < len(BATCHES) * SIZE
        if place not in forward:
            assert known[place[0]][place[1]] not in SUPERSEDED


def itmo_world() -> World:
    world = sample_world()
    issue = op.Issue(
        batch="itmo", project="project-NAT", programme="NAT", space="itmo", first_number="1", units=500,
        extent=op.Issue.EXACT, account="A",
    )  # fmt: skip
    world.must("reg", issue)
    return world


SIDE = st.tuples(st.sampled_from(["vcs", "nat", "itmo"]), st.integers(0, 15), st.integers(1, 8))


def side(drawn: tuple[str, int, int], units: int | None = None) -> tuple[str, int, int]:
    batch, at, size = drawn
    return batch, BATCHES[batch] + at, units or size


Step = tuple[str, tuple[str, ...], op.Twin | op.Transfer | op.Retire | op.Buffer | op.Reverse]


@st.composite
def steps(draw: st.DrawFn) -> Step:
    kind = draw(st.sampled_from(["pair", "pair", "pair", "outside", "unwrap", "move", "retire", "buffer", "reverse"]))
    ours = draw(SIDE)
    named = side(ours)
    if kind == "pair":
        form = draw(st.sampled_from([WRAP, CONVERT]))
        return "alice", BOTH, twin(form, named, side(draw(SIDE), named[2]))
    if kind == "outside":
        return "alice", BOTH, outside(draw(st.sampled_from([WRAP, CONVERT])), named)
    if kind == "unwrap":
        return "alice", BOTH, twin(UNWRAP, named, None)
    if kind == "move":
        return "alice", (), give("A", "A-OTHER", 0, named)
    if kind == "retire":
        account = draw(st.sampled_from(["A", "A-OTHER"]))
        return "alice", (), op.Retire(account=account, selection=some(0, named))
    if kind == "buffer":
        account = "L1" if named[0] == "vcs" else "A"
        return "reg", BOTH, buffer(draw(st.sampled_from([1, 2, 3])), named, account=account)
    return "reg", ("verra", "alice"), reverse(height=draw(st.integers(39, 50)))


@given(st.lists(steps(), min_size=1, max_size=10))
@settings(max_examples=60, deadline=None)
def test_exactly_one_of_a_unit_and_its_twins_lives(sequence: list[Step]) -> None:
    world = itmo_world()
    for by, approvals, operation in sequence:
        world.run(by, operation, approvals=approvals)
        check_one_lives(world)


def test_splits_keep_the_pair_and_its_identifier() -> None:
    world = itmo_world()
    world.must("alice", twin(WRAP, ("vcs", 100, 50), ("itmo", 10, 50), identifier="CA0001-GHA01-11-60"), approvals=BOTH)
    world.must("alice", give("A", "A-OTHER", 0, ("itmo", 20, 5)))
    world.must("alice", op.Retire(account="A-OTHER", selection=some(0, ("itmo", 22, 2))))
    number = world.row(t.BATCH_NUMBERS, "itmo")
    (found,) = read_twins(world.state, number, WAS, 22, 2)
    assert (found.batch, found.other_first, found.units) == ("vcs", 112, 2)
    event = EVENT.decode(world.blocks[-3].submissions[0].answers[0].events[0])
    assert event.fact("identifier") == "CA0001-GHA01-11-60"
    assert event.moves[0].to_state == UnitState.IMMOBILISED


def test_registry_that_shows_wrapped_units_as_active_contradicts_nothing_but_retired_ones_do() -> None:
    world = sample_world()
    world.must("importer", outside(WRAP, ("partly", 1, 100)))
    active = op.ExtendBatch(batch="partly", observations=[seen(1, 50)], evidence=evidence("C"))
    world.must("importer", active)
    assert not list(world.state.scan(t.DISCREPANCIES))
    retired = op.ExtendBatch(batch="partly", observations=[seen(1, 50, op.Observation.RETIRED)], evidence=evidence("C"))
    world.must("importer", retired)
    ((_, discrepancy),) = world.state.scan(t.DISCREPANCIES)
    assert (discrepancy.registry, discrepancy.ledger) == ("RETIRED", "IMMOBILISED in unassigned@verra")


def test_conversion_of_cancelled_units_is_undone_by_reversing_their_cancellation() -> None:
    world = sample_world()
    gone = op.ExtendBatch(batch="partly", observations=[seen(1, 50, op.Observation.CANCELLED)], evidence=evidence("C"))
    world.must("importer", gone)
    height = world.tip.height
    world.must("importer", outside(CONVERT, ("partly", 1, 50)))
    world.must("verra", reverse(("partly", 1, 50), height=height, ordinal=0))
    number = world.row(t.BATCH_NUMBERS, "partly")
    assert states(world, "partly")[1] == UnitState.FREE
    assert not read_twins(world.state, number, LIVES_AS, 1, 50)


def test_reversal_of_a_conversion_ends_what_lived_instead() -> None:
    world = itmo_world()
    world.must("alice", twin(CONVERT, ("vcs", 1, 10), ("itmo", 0, 10)), approvals=BOTH)
    undo = reverse(("vcs", 1, 10), height=world.tip.height)
    assert str(world.run("verra", undo).refusal).startswith("NOT_PERMITTED: reg")
    world.must("verra", undo, approvals=("reg", "alice"))
    assert states(world, "vcs")[1] == UnitState.FREE
    assert states(world, "itmo")[0] == UnitState.CONVERTED
