"""A registry that says nothing for days, on a real node: no clock ends what was instructed, and people are told."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from adapters.sandbox.faults import Fault, FaultKind
from hub.ledger_client import digest_of, make_number
from hub.rehearsal.counters import DAY_MS, HOUR_MS, MINUTE_MS, Counter, build_counters
from hub.rehearsal.hubs import Hub
from hub.rehearsal.world import World, open_clock, open_world
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op

UNITS = 100


async def place(world: World, counter: Counter, expires_in_ms: int, first: int = 0) -> bytes:
    number = make_number(world.clock.now_ms())
    units = op.Range(batch=counter.stock_batch, first=counter.stock.first + first, units=UNITS)
    hold = op.Hold(
        hold=number,
        account=counter.ledger_account,
        selection=op.Selection(ranges=[units]),
        purpose=op.Hold.FOR_RETIREMENT,
        expires_ms=world.clock.now_ms() + expires_in_ms,
        buyer="globex",
    )
    await world.must("acme", hold)
    return number


async def touch(world: World) -> None:
    """A block: ledger time is that of its newest one."""
    await world.must("hub", op.Anchor(kind="evidence", name=make_number(world.clock.now_ms()).hex(), digest=bytes(32)))


@pytest.mark.parametrize("restarted", [False, True])
def test_a_hold_near_its_end_outlives_it_through_three_days_of_silence(tmp_path: Path, restarted: bool) -> None:
    async def read(world: World, hold: bytes) -> pb.HoldInfo:
        return await world.ledgers["globex"].hold(hold)

    async def play() -> None:
        clock = open_clock(tmp_path)
        (counter,) = build_counters(1, clock.sandbox, 10_000, 100)
        counter.sandbox.approval_ms = 10 * HOUR_MS  # type: ignore[attr-defined]
        async with open_world(tmp_path, clock, [counter]) as world:
            hub = Hub(world, [counter], digest_of, random.Random(1))
            sent, unsent = await place(world, counter, MINUTE_MS), b""
            await hub.dispatcher.step()
            assert (await read(world, sent)).phase == "INSTRUCTED"
            counter.sandbox.faults.add(Fault(FaultKind.MAINTENANCE, times=-1))
            unsent = await place(world, counter, MINUTE_MS, UNITS)
            for _ in range(3 * 24):
                clock.advance(HOUR_MS)
                await touch(world)
                if restarted:
                    await hub.close()
                    hub = Hub(world, [counter], digest_of, random.Random(1))
                await hub.dispatcher.step()
                assert (await read(world, sent)).phase == "INSTRUCTED"
            assert (await read(world, unsent)).phase == "EXPIRED", "what no registry was told of ends by its clock"
            (line,) = hub.dispatcher.backlog()
            assert (line.hold, line.late) == (sent, True)
            assert line.alert.startswith("long overdue: ask the registry itself")
            assert line.alert.endswith("(keeling release)")
            assert clock.now_ms() - line.since_ms >= 3 * DAY_MS
            counter.sandbox.faults.clear()
            for _ in range(30):
                clock.advance(HOUR_MS)
                await hub.dispatcher.step()
            assert (await read(world, sent)).phase == "CAPTURED", "the registry had done it all along"
            assert counter.sandbox.book.effects() == {sent.hex(): UNITS}
            assert hub.dispatcher.backlog() == []
            await hub.close()

    asyncio.run(play())
