"""A running hub at one registry's sandbox over the ledger in memory, with a file that commands can read."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple, cast

from adapters.contract import Driver, Settings
from adapters.icm import SYSTEM as ICM
from adapters.sandbox import uk_ets as uk_sandbox
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.icm import BUYER, PLANT, TOKEN, IcmSandbox
from adapters.uk_ets import SYSTEM as UK_ETS
from hub.ledger_client import LedgerClient
from hub.service.config import HubConfig, parse_config, place_paths
from hub.service.parts import Parts
from hub.service.running import Running
from keeling.serials import parse
from keeling.v1 import operations_pb2 as op
from tests.hub.dispatch.test_slow_registries import SECRETS, UK_START, UNITS, Scene, open_scene, open_world
from tests.hub.dispatch.trading import BLOCK, SETTLING_MS, START_MS, Market
from tests.hub.service.proposing import WatchedLedger
from tests.hub.service.test_running import TOKENS


class Office(NamedTuple):
    """Everything of one test."""

    scene: Scene
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
            listen = f'listen = "{running.address}"'
            self.file.write_text(re.sub("^listen = .*$", listen, self.file.read_text(), flags=re.MULTILINE))
            yield running, parts
        finally:
            await running.stop()


def _configure(root: Path, scene: Scene, secrets: Mapping[str, str]) -> Office:
    scene.ledger = WatchedLedger(scene.world, "hub")
    name = scene.adapter.name
    (root / name).mkdir()
    for secret, text in secrets.items():
        (root / name / secret).write_text(text)
    lines = ['participant = "hub"', 'listen = "127.0.0.1:0"', "[[registries]]", f'name = "{name}"']
    lines += [f'url = "{scene.sandbox.base_url}"', f'secrets = "{name}"', "poll_ms = 200", "reconcile_ms = 0"]
    for role, token in TOKENS.items():
        lines += ["[[callers]]", f'name = "{role}"', f'role = "{role}"', f'token = "{role}.token"']
        (root / f"{role}.token").write_text(token)
    file = root / "group.toml"
    file.write_text("\n".join(lines))
    return Office(scene, place_paths(parse_config(file.read_text()), root), file)


@asynccontextmanager
async def open_uk_office(root: Path) -> AsyncIterator[Office]:
    """A Friday before a bank holiday, 12:30; the second representative approves at once."""
    serials = parse(f"UKA-10000002000-{10_000_002_000 + UNITS - 1}")
    accounts = {"alice/uk": uk_sandbox.OURS, "bob/uk": uk_sandbox.OUTSIDE}
    world = open_world("uk_ets", serials, accounts, 600_000, op.Link.CUSTODY)
    world.later(UK_START + 1_800_000 - world.now_ms)
    world.block()
    sandbox = uk_sandbox.UkEtsSandbox(SandboxClock(world.now_ms), approval_ms=0)
    sandbox.fill(UNITS)
    secrets = {name: SECRETS[name] for name in ("initiator", "approver")}
    async with open_scene(UK_ETS, sandbox, world) as scene:
        yield _configure(root, scene, secrets)


@asynccontextmanager
async def open_icm_office(root: Path) -> AsyncIterator[tuple[Office, Market]]:
    """A plant with 1,000 certificates, a week before January's session of 2027."""
    world = open_world("icm", parse(BLOCK), {"alice/icm": PLANT, "bob/icm": BUYER}, SETTLING_MS, op.Link.CUSTODY)
    world.later(START_MS - world.now_ms)
    world.block()
    sandbox = IcmSandbox(SandboxClock(world.now_ms))
    sandbox.fill(1_000)
    assert ICM.open is not None
    adapter = ICM.open(Driver.SANDBOX, Settings(await sandbox.start(), {"token": TOKEN}.__getitem__))
    market = Market(world, sandbox, adapter)
    try:
        yield _configure(root, market, {"token": TOKEN}), market
    finally:
        await adapter.close()
        await sandbox.stop()
