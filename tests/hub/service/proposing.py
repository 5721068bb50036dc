"""A running hub at Ghana's registry, to whose account in the ledger's care Kenya proposes 500 ITMOs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

from adapters.national_62 import SYSTEM
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.national_62 import ACCOUNT, NationalSandbox
from hub.ledger_client import LedgerClient
from hub.service.config import HubConfig, parse_config, place_paths
from hub.service.parts import Parts
from hub.service.running import Running
from keeling.serials import parse
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from tests.adapters.article6_stand import secrets_for
from tests.hub.dispatch.test_slow_registries import Scene, open_scene, open_world
from tests.hub.memory_ledger import MemoryLedger
from tests.hub.service.test_running import TOKENS

HOUR_MS = 3_600_000
LOT = parse("CA0004-KEN01-KEN-1-2023 - CA0004-KEN01-KEN-500-2023")
PROPOSER = "KEN01:ETS-1"


class WatchedLedger(MemoryLedger):
    """The ledger in memory, which has no news."""

    async def watch(self, after: tuple[int, int]) -> AsyncIterator[pb.WatchResponse]:
        await asyncio.Event().wait()
        yield pb.WatchResponse()

    async def status(self) -> pb.Status:
        return pb.Status(height=1)


class Embassy(NamedTuple):
    """Everything of one test."""

    scene: Scene
    sandbox: NationalSandbox
    config: HubConfig
    file: Path

    @asynccontextmanager
    async def hub(self) -> AsyncIterator[tuple[Running, Parts]]:
        """A hub that remembers what is in its folder; the file names the address where it is served."""
        ledger = cast(LedgerClient, self.scene.ledger)
        parts = Parts(self.config, ledger, lambda: self.scene.world.now_ms)
        running = Running(parts)
        await running.start()
        try:
            self.file.write_text(self.file.read_text().replace("127.0.0.1:0", running.address))
            yield running, parts
        finally:
            await running.stop()

    def our_units(self) -> int:
        """What of the proposed units is in our account there."""
        rows = self.sandbox.book.touch(LOT)
        return sum(row.serials.units for row in rows if row.account == ACCOUNT)

    def decisions(self) -> set[str]:
        """The names of the answers that were handed in to the ledger."""
        said: list[Any] = [each for each in self.scene.ledger.said if isinstance(each, op.Anchor)]
        return {each.name for each in said if each.name.startswith("proposal/")}


@asynccontextmanager
async def open_embassy(root: Path) -> AsyncIterator[Embassy]:
    serials = NationalSandbox(SandboxClock()).fill(1_000)
    world = open_world("national_62", serials, {"alice/it": ACCOUNT}, HOUR_MS, op.Link.CUSTODY)
    sandbox = NationalSandbox(SandboxClock(world.now_ms))
    sandbox.fill(1_000)
    sandbox.book.issue(world.now_ms, LOT, PROPOSER)
    secrets = secrets_for(sandbox)
    async with open_scene(SYSTEM, sandbox, world, secrets) as scene:
        scene.ledger = WatchedLedger(world, "hub")
        sandbox.propose("KEN-77", PROPOSER, ACCOUNT, (LOT,))
        (root / "national").mkdir()
        for name, text in secrets.items():
            (root / "national" / name).write_text(text)
        lines = ['participant = "hub"', 'listen = "127.0.0.1:0"', "[[registries]]", 'name = "national_62"']
        lines += [f'url = "{sandbox.base_url}"', 'secrets = "national"', "poll_ms = 200", "reconcile_ms = 0"]
        for role, token in TOKENS.items():
            lines += ["[[callers]]", f'name = "{role}"', f'role = "{role}"', f'token = "{role}.token"']
            (root / f"{role}.token").write_text(token)
        file = root / "group.toml"
        file.write_text("\n".join(lines))
        yield Embassy(scene, sandbox, place_paths(parse_config(file.read_text()), root), file)
