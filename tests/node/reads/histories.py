"""Random lives of a `trading_world`, and what they must look like to readers, worked out position by position."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from google.protobuf.message import Message
from hypothesis import strategies as st

from keeling.encoding import Ref
from keeling.events import Event, EventKind, Move
from keeling.units import UnitState
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from node.core.holds import LIVE, HoldPhase
from node.core.intervals import MarkKind
from node.core.records import Hold
from node.store.contract import Batch, Family
from node.store.memory import MemoryStore
from tests.node.reads.trading_world import (
    DAY_MS,
    DIGEST,
    TRADERS,
    IndexedWorld,
    issue,
    opened,
    place_hold,
    ranges,
    transfer,
    units,
    when,
)

HOLD_MS = 60_000
DAYS = range(20_700, 20_720)
EVERYBODY = (*TRADERS, "reg", "hub")


class Step(NamedTuple):
    """What happens next; the numbers mean what the kind makes of them."""

    kind: str
    who: int
    other: int
    size: int
    day: int


KINDS = ("give", "pass_on", "give_ranges", "hold", "release", "capture", "retire", "restrict", "lift", "issue", "wait")
FURTHER_KINDS = ("dispatch", "confirm", "show_more", "attest", "deposit")
STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from((*KINDS, *FURTHER_KINDS)),
        st.integers(0, 2),
        st.integers(0, 2),
        st.integers(1, 400),
        st.integers(0, len(DAYS)),
    ),
    min_size=1,
    max_size=25,
)


def start() -> IndexedWorld:
    """A world of one's own, as it opens."""
    known = opened()
    world = known.clone()
    assert isinstance(world, IndexedWorld)
    world.store = MemoryStore()
    world.store.commit(_content(known))
    return world


def _content(world: IndexedWorld) -> Batch:
    batch = Batch()
    for family in Family:
        for key, value in world.store.scan(family):
            batch.put(family, key, value)
    return batch


def play(world: IndexedWorld, steps: Sequence[Step]) -> Iterator[IndexedWorld]:
    """Take the steps, one block each, yielding after each. A step that the rules refuse is a block without events."""
    for number, step in enumerate(steps):
        if step.kind == "wait":
            world.later(HOLD_MS // 2)
            world.block()
        else:
            by, operation = _operation(world, number, step)
            world.run(by, operation, approvals=EVERYBODY)
        yield world


def _operation(world: IndexedWorld, number: int, step: Step) -> tuple[str, Message]:
    """What the step does in the world as it is: with units that are there and holds that live, if any do."""
    giver, taker, third = (TRADERS[(step.who + turn) % 3] for turn in (0, 1 + step.other % 2, 2 - step.other % 2))
    effective = when(DAYS[step.day]) if step.day < len(DAYS) else None
    chosen = _pick_free(world, giver, step.size)
    if chosen is None or step.kind == "issue":
        return "reg", issue(f"nat-{number + 2}", 10_000 * (number + 1), step.size, giver, effective)
    match step.kind:
        case "give":
            return giver, transfer(giver, taker, units(step.size % 50 + 1), effective)
        case "give_ranges":
            return giver, transfer(giver, taker, chosen, effective)
        case "pass_on":
            pairs = ((giver, taker), (taker, third))
            legs = [op.UnitLeg(from_account=a, to_account=b, selection=chosen) for a, b in pairs]
            return giver, op.Transfer(units=legs, effective=effective)
        case "retire":
            return giver, op.Retire(account=giver, selection=units(step.size % 20 + 1), effective=effective)
        case "restrict":
            return "reg", op.Restrict(restriction=f"r{step.other}", ranges=chosen.ranges, reason="asked")
        case "lift":
            return "reg", _lift(world, step, chosen)
        case "show_more" | "attest":
            return "hub", _news(number, step, effective)
        case "deposit":
            return "reg", op.Buffer(action=op.Buffer.DEPOSIT, account=giver, selection=chosen)
    return _hold_operation(world, number, step, giver, chosen)


def _news(number: int, step: Step, effective: op.When | None) -> Message:
    """What the outside registry shows of its batch: more of it, or something else than the ledger has."""
    status = (op.Observation.ACTIVE, op.Observation.RETIRED, op.Observation.BUFFER)[step.other]
    first, size = 1_001 + step.size % 120, step.size % 30 + 1
    evidence = op.Evidence(digest=DIGEST, grade="C", reference=f"export {number}")
    if step.kind == "attest":
        item = op.Range(batch="out-1", first=first % 90 + 1_001, units=size % 10 + 1)
        return op.Attest(
            attestation=f"n{number}",
            registry="verra",
            range=item,
            status=status,
            effective=effective,
            evidence=evidence,
        )
    seen = op.Observation(first_number=str(first), units=size, status=status, effective=effective, issued=effective)
    return op.ExtendBatch(batch="out-1", observations=[seen], evidence=evidence, run=f"run {number}")


def _hold_operation(
    world: IndexedWorld, number: int, step: Step, giver: str, chosen: op.Selection
) -> tuple[str, Message]:
    """Something with a live hold, or a new one. Odd sizes are about units of the outside registry."""
    account = "alice/verra" if step.size % 2 else giver
    live = _live_holds(world, account)
    by = "hub" if step.size % 2 else giver
    if not live or step.kind == "hold":
        free = _pick_free(world, account, step.size) or chosen
        return account[:5].strip("/"), place_hold(f"h{number}", account, free, world.now_ms + HOLD_MS)
    held, hold = live[step.size % len(live)]
    evidence = op.Evidence(digest=DIGEST, grade="B", reference=f"R-{number}")
    if step.kind == "release":
        return by, op.Release(hold=held, units=min(step.size % 5, 3), reason="asked", evidence=evidence)
    if by == "hub" and hold.phase == HoldPhase.OPEN:
        return by, op.Dispatch(hold=held, attempt=1, instruction=DIGEST)
    effective = when(DAYS[step.day]) if step.day < len(DAYS) else None
    return by, op.Capture(hold=held, ranges=_part(world, hold), evidence=evidence, effective=effective)


def _pick_free(world: IndexedWorld, account: str, size: int) -> op.Selection | None:
    """A part of one of the account's free lots; None where it has none."""
    number = world.state.get(t.ACCOUNT_NUMBERS, account)
    rows = list(world.state.scan(t.HOLDINGS, number, UnitState.FREE))
    if not rows:
        return None
    key, holding = rows[size % len(rows)]
    _, _, batch, first = t.HOLDINGS.parts(key)
    offset = size * 7 % holding.units
    found = world.state.get(t.BATCHES, batch)
    assert found is not None
    return ranges(found.name, (first + offset, min(size % 40 + 1, holding.units - offset)))


def _live_holds(world: IndexedWorld, account: str) -> list[tuple[bytes, Hold]]:
    number = world.state.get(t.ACCOUNT_NUMBERS, account)
    holds = ((t.HOLDS.parts(key)[0], hold) for key, hold in world.state.scan(t.HOLDS))
    return [(held, hold) for held, hold in holds if hold.account == number and hold.phase in LIVE]


def _part(world: IndexedWorld, hold: Hold) -> list[op.Range]:
    """The first half of what a hold still holds."""
    piece = hold.pieces[0]
    batch = world.state.get(t.BATCHES, piece.batch)
    assert batch is not None
    return [op.Range(batch=batch.name, first=piece.first, units=piece.units // 2 + 1)]


def _lift(world: IndexedWorld, step: Step, chosen: op.Selection) -> op.Unrestrict:
    """Lift a restriction that is there, if any is."""
    rows = [(key, mark) for key, mark in world.state.scan(t.MARKS) if t.MARKS.parts(key)[1] == MarkKind.RESTRICTION]
    if not rows:
        return op.Unrestrict(restriction="r0", ranges=chosen.ranges, reason="answered")
    key, mark = rows[step.size % len(rows)]
    number, _, name, first = t.MARKS.parts(key)
    batch = world.state.get(t.BATCHES, number)
    assert batch is not None
    part = op.Range(batch=batch.name, first=first, units=mark.units // 2 + 1)
    return op.Unrestrict(restriction=name, ranges=[part], reason="answered")


def events_of(world: IndexedWorld) -> Iterator[tuple[Ref, int, Event]]:
    """Every event with its place and the ledger time of its block, as the writer had them."""
    for block in world.blocks:
        for ordinal, event in enumerate(block.events):
            yield Ref(block.header.height, ordinal), block.header.time_ms, event


def trace_positions(world: IndexedWorld) -> dict[tuple[str, int], list[Ref]]:
    """For every position ever seen, the events that moved it, oldest first, each once."""
    traces: dict[tuple[str, int], list[Ref]] = {}
    for place, _, event in events_of(world):
        for move in event.moves:
            for position in range(move.first, move.first + move.units):
                trace = traces.setdefault((move.batch, position), [])
                if trace[-1:] != [place]:
                    trace.append(place)
    return traces


def sum_units(world: IndexedWorld, last_height: int, until_ms: int | None) -> dict[tuple[str, str, int], int]:
    """Units by account, batch and state that events up to a height, effective by a moment, left there."""
    sums: dict[tuple[str, str, int], int] = {}
    for place, _, event in events_of(world):
        since = event.effective.ms // DAY_MS * DAY_MS if event.effective.precision == 1 else event.effective.ms
        if place.height > last_height or (until_ms is not None and since > until_ms):
            continue
        for move in event.moves:
            for account, state, sign in ((move.from_account, move.from_state, -1), (move.to_account, move.to_state, 1)):
                if account:
                    key = (account, move.batch, state)
                    sums[key] = sums.get(key, 0) + sign * move.units
    return {key: count for key, count in sums.items() if count}


def unseen_and_restricted(
    world: IndexedWorld, last_height: int, until_ms: int | None
) -> tuple[int, dict[tuple[str, str], int]]:
    """What was unseen, and by account and batch what of its FREE units was restricted, position by position."""
    restricted: dict[str, set[tuple[str, int]]] = {}
    extents: dict[str, int] = {}
    shown, moves = 0, list[Move]()
    for place, _, event in events_of(world):
        since = event.effective.ms // DAY_MS * DAY_MS if event.effective.precision == 1 else event.effective.ms
        if place.height > last_height or (until_ms is not None and since > until_ms):
            continue
        about = {(item.batch, at) for item in event.ranges for at in range(item.first, item.first + item.units)}
        if event.kind == EventKind.RESTRICTED:
            restricted[event.subject] = restricted.get(event.subject, set()) | about
        elif event.kind == EventKind.UNRESTRICTED:
            restricted[event.subject] = restricted.get(event.subject, set()) - about
        elif event.kind in (EventKind.ISSUED, EventKind.EXTENDED):
            extents[event.ranges[0].batch] = event.ranges[0].units
            shown += sum(move.units for move in event.moves if not move.from_account)
        moves += event.moves
    stopped = set().union(*restricted.values())
    found: dict[tuple[str, str], int] = {}
    for move in moves:
        units = sum((move.batch, at) in stopped for at in range(move.first, move.first + move.units))
        for account, state, sign in ((move.from_account, move.from_state, -1), (move.to_account, move.to_state, 1)):
            if account and state == UnitState.FREE:
                found[account, move.batch] = found.get((account, move.batch), 0) + sign * units
    return sum(extents.values()) - shown, {key: units for key, units in found.items() if units}


_ALL_KINDS = (*KINDS, *FURTHER_KINDS)
LONG_LIFE = [
    Step(_ALL_KINDS[i % len(_ALL_KINDS)], i % 3, (i // 3 + 1) % 3, 1 + i * 37 % 90, i * 7 % (len(DAYS) + 1))
    for i in range(200)
]


@cache
def long_life() -> IndexedWorld:
    """One fixed life with every kind of step, for tests that need a long one: nobody may write into it."""
    world = start()
    for _ in play(world, LONG_LIFE):
        continue
    return world
