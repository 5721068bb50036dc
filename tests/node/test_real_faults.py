"""Four validators as real processes under load, one fault after the other.

Nothing acknowledged is lost, no unit is made or lost, finality resumes, and all four end with the same state. Nothing
is left running.

The storms by seed are in `tests.simulator`; here are real signals, sockets, disks and the operating system.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import struct
import time
import urllib.request
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import pytest

from keeling.v1 import ledger_pb2 as pb
from network.jetstream_servers import PID, ServerPlace
from network.jetstream_trial import read_places, start_servers, stop_servers
from network.rehearsal import create_clock
from tests.fakes.process_network import VALIDATORS, Load, ProcessNetwork
from tests.fakes.proxy import Proxy

HOST, VICTIM = VALIDATORS[0], VALIDATORS[-1]
"""The first keeps the ordering log; between the last and the others lie proxies, and its clock is moved by hand."""
SOME = 12
"""So many transactions are acknowledged between the moments of a fault."""
HOUR_MS = 3_600_000
TICK_S = 0.01


class Scene:
    """A network with load on it, and the levers of the faults."""

    def __init__(self, network: ProcessNetwork, load: Load, proxies: list[Proxy], clock: Path | None) -> None:
        self.network = network
        self.load = load
        self.proxies = proxies
        self.clock = clock
        self.clock_off_ms = 0

    async def go_on(self) -> None:
        """Some more become final."""
        await self.load.wait_more(SOME)

    async def keep_clock(self) -> None:
        """Move the victim's clock with the time of day, and by how much it is off."""
        assert self.clock is not None
        with self.clock.open("r+b", buffering=0) as file:
            while True:
                os.pwrite(file.fileno(), struct.pack("<q", time.time_ns() // 1_000_000 + self.clock_off_ms), 0)
                await asyncio.sleep(TICK_S)


async def be_killed(scene: Scene, name: str) -> None:
    scene.network.kill(name)
    await scene.go_on()
    await scene.network.start(name)


async def be_stopped_and_continued(scene: Scene, name: str) -> None:
    process = scene.network.processes[name]
    process.send_signal(signal.SIGSTOP)
    await scene.go_on()
    process.send_signal(signal.SIGCONT)


async def have_no_disk_left(scene: Scene, name: str) -> None:
    """No file of the node may grow beyond what its newest log has now: to it the disk is full."""
    data = scene.network.folders[name].data
    size = max(path.stat().st_size for path in (data / "store").rglob("*.log"))
    process = scene.network.processes[name].pid
    resource.prlimit(process, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    assert await scene.network.wait_ended(name) == 1
    assert "stopped: " in scene.network.read_log(name)
    await scene.go_on()
    await scene.network.start(name)


async def be_cut_off(scene: Scene, name: str) -> None:
    for proxy in scene.proxies:
        proxy.cut()
    await scene.go_on()
    for proxy in scene.proxies:
        proxy.heal()


async def be_heard_by_nobody(scene: Scene, name: str) -> None:
    """Connections stand, and nothing arrives; they end only then."""
    for proxy in scene.proxies:
        proxy.answers_lost = proxy.calls_lost = True
    await scene.go_on()
    for proxy in scene.proxies:
        proxy.cut()
        proxy.heal()


async def have_its_clock_jump(scene: Scene, name: str) -> None:
    for off_ms in (HOUR_MS, -HOUR_MS, 0):
        scene.clock_off_ms = off_ms
        await scene.go_on()
        status = await scene.network.client(HOST).ledger.GetStatus(pb.GetStatusRequest())
        assert abs(status.time_ms - time.time_ns() // 1_000_000) < HOUR_MS // 2


Fault = Callable[[Scene, str], Awaitable[None]]
FAULTS: list[tuple[Fault, str]] = [
    (be_stopped_and_continued, VICTIM),
    (have_no_disk_left, VICTIM),
    (be_cut_off, VICTIM),
    (have_its_clock_jump, VICTIM),
    (be_killed, HOST),
    (be_killed, VICTIM),
    (be_heard_by_nobody, VICTIM),
    (be_stopped_and_continued, HOST),
]
QUICK = FAULTS[:5]


async def play(root: Path, faults: list[tuple[Fault, str]]) -> None:
    """One fault after the other on one network; it recovers from each before the next."""
    network = ProcessNetwork(root, "rehearsal.example/faults")
    async with AsyncExitStack() as stack:
        proxies = await lay_proxies(network, stack)
        network.clocks[VICTIM] = root / "clock"
        create_clock(root / "clock", time.time_ns() // 1_000_000)
        try:
            load = Load(network)
            scene = Scene(network, load, proxies, root / "clock")
            clock = asyncio.create_task(scene.keep_clock())
            stack.callback(clock.cancel)
            await network.start()
            await load.open()
            clients = [asyncio.create_task(load.run(name)) for name in VALIDATORS]
            for fault, name in faults:
                await fault(scene, name)
                await scene.go_on()
                await network.wait_caught_up()
            await finish(network, load, clients)
        finally:
            network.kill_all()


async def finish(network: ProcessNetwork, load: Load, clients: list[asyncio.Task[None]]) -> None:
    """Let everybody finish; then everything must be there, everywhere, once."""
    load.stop()
    await asyncio.gather(*clients)
    await network.wait_level(max(height for _, height, _ in load.acknowledged.values()))
    await load.check()
    await network.stop()
    await network.wait_gone()
    assert len(network.digest_states()) == 1


async def lay_proxies(network: ProcessNetwork, stack: AsyncExitStack) -> list[Proxy]:
    """Whatever is said to the victim or by it passes a proxy."""
    proxies = []
    away: dict[str, str] = {}
    for name in VALIDATORS[:-1]:
        there = await stack.enter_async_context(Proxy(network.address_of(name)))
        here = await stack.enter_async_context(Proxy(network.address_of(VICTIM)))
        away[name] = there.address
        network.route(name, {VICTIM: here.address})
        proxies += [there, here]
    network.route(VICTIM, away)
    return proxies


def find_leader(root: Path) -> ServerPlace:
    """The server that leads the stream of the ordering log, as the servers themselves say."""
    places = read_places(root)
    with urllib.request.urlopen(f"{places[0].monitoring}/jsz?accounts=true&streams=true", timeout=5) as answer:
        said = json.load(answer)
    streams = [stream for account in said["account_details"] for stream in account.get("stream_detail", ())]
    (leader,) = {stream["cluster"]["leader"] for stream in streams}
    return next(place for place in places if place.name == leader)


def test_one_fault_after_the_other_loses_nothing(tmp_path: Path) -> None:
    asyncio.run(asyncio.wait_for(play(tmp_path / "net", QUICK), 200))


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(4))
def test_many_faults_in_any_order_lose_nothing(tmp_path: Path, seed: int) -> None:
    faults = Random(seed).choices(FAULTS, k=16)
    asyncio.run(asyncio.wait_for(play(tmp_path / "net", faults), 1700))


def test_the_leader_of_the_nats_servers_is_killed_under_load(tmp_path: Path) -> None:
    root = tmp_path / "net"
    network = ProcessNetwork(root, ordering="jetstream")

    async def walk() -> None:
        try:
            load = Load(network)
            await network.start()
            await load.open()
            clients = [asyncio.create_task(load.run(name)) for name in VALIDATORS]
            await load.wait_more(SOME)
            place = find_leader(root)
            os.kill(int((place.folder / PID).read_text()), signal.SIGKILL)
            await load.wait_more(SOME)
            start_servers(root)
            await load.wait_more(SOME)
            await finish(network, load, clients)
        finally:
            network.kill_all()

    start_servers(root)
    try:
        asyncio.run(asyncio.wait_for(walk(), 150))
    finally:
        stop_servers(root)
