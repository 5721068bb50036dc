"""A reader that does not keep up is ended with a reason and never skipped."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google.rpc import code_pb2

from keeling.v1 import ledger_pb2 as pb
from node.ledger_service import LedgerService
from node.verify import Verifier
from tests.fakes.memory_ordering import MemoryEngine
from tests.fakes.world import World
from tests.node.test_chain import admitted, new_store, story, with_replica, world

__all__ = ["world"]


class Ended(Exception):
    """What gRPC raises in a handler that ended its call."""


class StuckContext:
    """A call whose reader takes `taken` messages and then nothing."""

    def __init__(self, taken: int) -> None:
        self.taken = taken
        self.sent: list[pb.WatchResponse] = []
        self.code: object = None
        self.text = ""

    async def write(self, message: pb.WatchResponse) -> None:
        if len(self.sent) >= self.taken:
            await asyncio.Event().wait()
        self.sent.append(message)

    async def abort_with_status(self, status: Any) -> None:
        self.code, self.text = status.code, status.details
        raise Ended


@pytest.mark.parametrize("taken", [0, 1])
def test_a_reader_that_stops_taking_is_ended_with_a_reason(world: World, taken: int) -> None:
    async def scenario() -> None:
        store = new_store(world)
        replica = await with_replica(world, store, MemoryEngine())
        verifier = Verifier(1)
        service = LedgerService(
            replica, store, verifier, "reg", world.node.key, lambda: world.now_ms, slow_reader_s=0.05
        )
        await replica.submit(admitted(world, replica.chain, story(world)[:2]))
        context = StuckContext(taken)
        watching = asyncio.create_task(service.Watch(pb.WatchRequest(), context))
        while taken and not context.sent:
            await asyncio.sleep(0)
        await replica.submit(admitted(world, replica.chain, story(world)[2:3]))
        with pytest.raises(Ended):
            await watching
        assert context.code.value[0] == code_pb2.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]
        assert "resume" in context.text
        assert len(context.sent) == taken
        await replica.stop()
        verifier.close()

    asyncio.run(scenario())
