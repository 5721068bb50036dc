"""A hub beside a registry's stated limit, how soon a registry's word is final on the ledger, how soon a breaker opens.

`python -m bench.hub` measures these alone. A real node, the service with its inbound door, and sandboxes that count
strictly; that time is real is what sets this apart from the rehearsals.
"""

from __future__ import annotations

import asyncio
import base64
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import structlog
from rich.console import Console

from adapters.capabilities import Limit
from adapters.contract import Driver, Settings
from adapters.puro import SYSTEM
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.faults import Fault, FaultKind
from adapters.sandbox.puro import ACCOUNTS, KEY_ID, KEY_SECRET, PuroSandbox
from bench.figures import Figure, Section, compute_percentile, print_sections
from hub.dispatch.pacing import Pace
from hub.ledger_client import make_number
from hub.rehearsal.counters import DAY_MS, HOUR_MS, Counter, build_counters
from hub.rehearsal.world import World, open_clock, open_world
from hub.service.config import parse_config, place_paths
from hub.service.parts import Parts
from hub.service.running import Running
from keeling.v1 import operations_pb2 as op

LIMIT: Final = Limit(300, 6_000, stated=True)
"""What the registry of the first figure states. The share of a limit that is used grows with the limit."""
WINDOWS: Final = 3
EVENT_AIM_S: Final = 1.0
BREAKER_AIM_S: Final = 5.0
ONE_A_SECOND: Final = "limits = [{requests = 1, per_ms = 1000}]"
WAIT_S: Final = 60.0
BETWEEN_S: Final = 1.3
"""Between two events, so that none of them waits for a turn under the registry's own limit of 100 a minute."""


class Strict(PuroSandbox):
    """Counts in a sliding window, and answers 429 to the first call too many."""

    def __init__(self, limit: Limit) -> None:
        super().__init__(SandboxClock(follows=True))
        self.limits = (limit,)


async def measure_pace(limit: Limit) -> tuple[float, int]:
    """The share of the limit that was used after the first window, and how often it was said to be too much."""
    sandbox = Strict(limit)
    sandbox.fill()
    if SYSTEM.open is None:
        raise LookupError("Puro has no driver")
    secrets = {"key-id": KEY_ID, "key-secret": KEY_SECRET}
    adapter = SYSTEM.open(Driver.SANDBOX, Settings(await sandbox.start(), secrets.__getitem__, (ACCOUNTS[0],)))
    pace, done, span = Pace((limit,)), list[float](), limit.per_ms / 1000
    ends = time.monotonic() + WINDOWS * span

    async def call() -> None:
        while time.monotonic() < ends:
            await pace.take()
            done.append(time.monotonic())
            await adapter.changes("")

    try:
        await asyncio.gather(*(call() for _ in range(16)))
    finally:
        await adapter.close()
        await sandbox.stop()
    steady = sum(ends - (WINDOWS - 1) * span <= at < ends for at in done)
    return steady / (limit.requests * (WINDOWS - 1)), sandbox.throttled


@asynccontextmanager
async def open_hub(root: Path, limits: str = "") -> AsyncIterator[tuple[World, Counter, Running]]:
    """A node, Puro's sandbox that pushes what it decides, and the service; `limits`: a line of its file."""
    clock = open_clock(root)
    (counter,) = build_counters(1, clock.sandbox, 10_000, 100)
    secret = "whsec_" + base64.b64encode(os.urandom(24)).decode()
    async with open_world(root, clock, [counter]) as world:
        secrets = root / "secrets"
        secrets.mkdir()
        for name, text in {**counter.kind.secrets, "push": secret}.items():
            (secrets / name).write_text(text)
        config = parse_config(
            f'participant = "hub"\nlisten = "127.0.0.1:0"\n[[registries]]\nname = "puro"\n'
            f'url = "{counter.sandbox.base_url}"\nsecrets = "secrets"\npoll_ms = 0\ninbound_keys = ["push"]\n{limits}\n'
        )
        running = Running(Parts(place_paths(config, root), world.ledgers["hub"]))  # by the machine's clock
        await running.start()
        counter.sandbox.notices.url = f"http://{running.address}/inbound/puro"
        counter.sandbox.notices.secret = secret
        try:
            yield world, counter, running
        finally:
            await running.stop()


async def place(world: World, counter: Counter, first: int) -> bytes:
    """acme's units held for globex."""
    number = make_number(world.clock.now_ms())
    units = op.Range(batch=counter.stock_batch, first=counter.stock.first + first, units=10)
    hold = op.Hold(
        hold=number,
        account=counter.ledger_account,
        selection=op.Selection(ranges=[units]),
        purpose=op.Hold.FOR_RETIREMENT,
        expires_ms=world.clock.now_ms() + DAY_MS,
        buyer="globex",
    )
    await world.must("acme", hold)
    return number


async def wait_for(world: World, kind: str, after: int) -> int:
    """The height of the next event of a kind."""

    async def read() -> int:
        async for page in world.ledgers["globex"].watch((after, 0)):
            for event in page.events:
                if event.kind == kind and event.place.height > after:
                    return event.place.height
        raise LookupError("the stream of events ended")

    return await asyncio.wait_for(read(), WAIT_S)


async def height_of(world: World) -> int:
    return (await world.ledgers["globex"].status()).height


async def measure_events(root: Path, times: int) -> list[float]:
    """Seconds from the registry's decision to the final event here, each decision by itself, told by webhook."""
    took: list[float] = []
    async with open_hub(root) as (world, counter, _):
        if not isinstance(counter.sandbox, PuroSandbox):
            raise LookupError("the first registry of a rehearsal is not Puro")
        counter.sandbox.approval_ms = HOUR_MS
        for ordinal in range(times):
            height = await height_of(world)
            number = await place(world, counter, ordinal * 10)
            await asyncio.wait_for(_wait_for_order(counter, number.hex()), WAIT_S)
            await asyncio.sleep(BETWEEN_S)
            reference = next(o.reference for o in counter.sandbox.desk.orders.values() if o.key == number.hex())
            began = time.perf_counter()
            counter.sandbox.desk.postpone(reference, world.clock.now_ms())
            await wait_for(world, "RETIRED", height)
            took.append(time.perf_counter() - began)
    return took


async def _wait_for_order(counter: Counter, key: str) -> None:
    while all(order.key != key for order in counter.sandbox.desk.orders.values()):
        await asyncio.sleep(0.02)


async def measure_breaker(root: Path, limits: str = "") -> float:
    """Seconds from the first call that fails to the stop being final on the ledger."""
    async with open_hub(root, limits) as (world, counter, _):
        counter.sandbox.faults.add(Fault(FaultKind.MAINTENANCE, times=-1))
        for ordinal in range(8):
            await place(world, counter, ordinal * 10)
        height, seen = await height_of(world), counter.sandbox.requests
        while counter.sandbox.requests == seen == 0:
            await asyncio.sleep(0.005)
        began = time.perf_counter()
        await wait_for(world, "LINK_STATE", max(height - 8, 1))
        return time.perf_counter() - began


def measure_hub(root: Path, times: int) -> Section:
    """The figures of a hub, from so many decisions of a registry; `root` is made."""
    root.mkdir(parents=True, exist_ok=True)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory((root / "log").open("w")))
    share, throttled = asyncio.run(measure_pace(LIMIT))
    (root / "events").mkdir()
    took = asyncio.run(measure_events(root / "events", times))
    stopped = []
    for name, limits in (("breaker", ""), ("slow-breaker", ONE_A_SECOND)):
        (root / name).mkdir()
        stopped.append(asyncio.run(measure_breaker(root / name, limits)))
    median, tail = compute_percentile(took, 0.5), compute_percentile(took, 0.95)
    stated = f"{LIMIT.requests} calls in {LIMIT.per_ms // 1000} s"
    figures = (
        Figure(
            f"share of a limit used, {stated}",
            share * 100,
            "%",
            aim=">= 95 % without a 429",
            met=share >= 0.95 and not throttled,
            note=f"429 met {throttled} times",
        ),
        Figure(
            "registry's decision to final event, p50", median, "s", aim=f"< {EVENT_AIM_S:g} s", met=median < EVENT_AIM_S
        ),
        Figure("the same, p95", tail, "s", note=f"{times} decisions, one at a time, by webhook"),
        Figure(
            "first failing call to link stopped on the ledger",
            stopped[0],
            "s",
            aim=f"< {BREAKER_AIM_S:g} s",
            met=stopped[0] < BREAKER_AIM_S,
        ),
        Figure(
            "the same, at one call a second",
            stopped[1],
            "s",
            aim=f"< {BREAKER_AIM_S:g} s",
            met=stopped[1] < BREAKER_AIM_S,
        ),
    )
    about = (
        "The limit: a sandbox with a strict sliding window, two windows after the first. The decision: a webhook is "
        "verified, the hub asks about the instruction, and the capture is final on a node of one validator. The "
        "breaker: everything answers 503, eight holds wait, under the registry's own limit of 100 calls a minute."
    )
    return Section("Hub", about, figures)


def main() -> int:
    """Entry point."""
    with tempfile.TemporaryDirectory(prefix="keeling-bench-hub-") as folder:
        print_sections(Console(width=120), [measure_hub(Path(folder), 20)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
