"""Figures of four validators on this machine: final transactions, latency, one of them stopped, memory with many lots.

Every node is a process of its own and so is the client, which has signed everything before. All share the cores of the
machine, and every node executes everything: divide what one node does alone by the nodes a core carries. The same is
measured with the ordering log of one of the nodes and with three NATS servers.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from bench.client import Sent, send
from bench.figures import Figure, Section, compute_percentile, with_aim
from bench.join import write_lots
from bench.ledger import GROUPS, ORIGIN, REGISTRY, Market, Person, make_founder, make_person
from bench.limits import Limits
from bench.node_process import NodeProcess
from bench.sizes import Sizes
from network.folders import NodeFolder, install_genesis
from network.founding import FoundingNode, build_genesis, list_peers, prepare_node
from network.jetstream_servers import ServersError, find_binary, start_server, wait_ready
from network.jetstream_trial import prepare_servers, read_places
from network.keys import Role, load_key_file
from network.ports import find_ports
from network.profiles import profile_of, save_profile
from node.store.rocks import RocksStore

NODES: Final = (REGISTRY, "exchange", "bank", "auditor")
"""The first keeps the ordering log where that is embedded; the last is the one that is stopped."""
IN_FLIGHT: Final = 8
"""Calls under way: two for each node, so that one waits while the other becomes final."""
FIRST_BATCH: Final = 1_000
"""The number of the first batch of the lots that were not issued: above those the load issues."""
TOGETHER_FLOOR: Final = 8_000
SINGLE_FLOOR: Final = 1_500
P50_AIM_MS: Final = 20.0
P99_AIM_MS: Final = 80.0
MEMORY_AIM: Final = 400e6


class Network(Market):
    """Four node folders below `root`, founded as operators found them, and who trades there."""

    def __init__(self, root: Path, accounts: int, ordering: str = "embedded") -> None:
        now = datetime.now(UTC)
        self.nodes = root / "nodes"
        root.mkdir()
        founding = [
            FoundingNode(
                prepare_node(self.nodes / name, ORIGIN, name, f"127.0.0.1:{find_ports()[0]}", "", now, None),
                name,
                ("registry",) if name == REGISTRY else ("group",),
            )
            for name in NODES
        ]
        self.folders = {name: NodeFolder(self.nodes / name) for name in NODES}
        registry = load_key_file(self.folders[REGISTRY].key(Role.SUBMISSION), role=Role.SUBMISSION)
        people = {name: make_person(name) for name in GROUPS}
        genesis = build_genesis(founding, [make_founder(person, ["group"]) for person in people.values()], now)
        for node in founding:
            name = node.identity.participant
            install_genesis(self.folders[name], genesis, list_peers(founding))
            save_profile(root / "home", name, profile_of(self.folders[name], node.identity))
        if ordering == "jetstream":
            prepare_servers(self.nodes, NODES, now, None)
        people[REGISTRY] = Person(REGISTRY, registry.public_key, registry.sign)
        super().__init__(root / "home", hashlib.sha256(genesis).digest(), people, accounts)

    def send(self, calls: Sequence[bytes], in_flight: int, seconds_max: float, names: Sequence[str] = NODES) -> Sent:
        """Send the calls to these nodes in turn."""
        return send(self.home, calls, in_flight, seconds_max, names)


class Loads(NamedTuple):
    """What the loads gave on one network."""

    together: Sent
    single: Sent
    light: Sent
    three: Sent | None
    """500 transactions per signature while the last node was stopped; None if that was not measured."""
    memory: tuple[int, ...]
    """Resident bytes of each node at the end."""
    cpu: float
    """Processor seconds of all nodes together under the first load."""


@contextmanager
def all_running(network: Network) -> Iterator[list[NodeProcess]]:
    """The four nodes, serving, until the block is left."""
    with ExitStack() as stack:
        processes = []
        for folder in network.folders.values():
            process = NodeProcess(folder, folder.root / "node.log")
            stack.callback(process.stop)
            processes.append(process)
        for process in processes:
            process.wait_serving()
        yield processes


@contextmanager
def servers_running(network: Network) -> Iterator[None]:
    """The network's NATS servers, ready, until the block is left."""
    places = read_places(network.nodes)
    with ExitStack() as stack:
        for place in places:
            stack.callback(_end, start_server(place))
        wait_ready(places)
        yield


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    server.wait()


def measure_loads(network: Network, sizes: Sizes, stops: bool) -> Loads:
    """Run all loads, the one with three of four nodes last."""
    with all_running(network) as processes:
        network.send(network.make_opening(), 1, sizes.seconds_max, NODES[1:2])
        load, before = network.make_together(sizes.network_calls), _read_cpu(processes)
        together = network.send(load.calls, IN_FLIGHT, sizes.seconds_max)
        cpu = _read_cpu(processes) - before
        single = network.send(network.make_single(sizes.network_single).calls, IN_FLIGHT, sizes.seconds_max)
        light = network.send(network.make_single(sizes.light, 1).calls, 1, sizes.seconds_max, NODES[1:2])
        memory = tuple(process.read_memory() for process in processes)
        three = None
        if stops:
            processes[-1].stop()
            load = network.make_together(sizes.network_calls)
            three = network.send(load.calls, IN_FLIGHT, sizes.seconds_max, NODES[:-1])
    return Loads(together, single, light, three, memory, cpu)


def measure_memory(network: Network, lots: int, sizes: Sizes) -> list[int]:
    """Resident bytes of each node that has this many more lots, after a load."""
    for folder in network.folders.values():
        store = RocksStore.open(folder.data / "store")
        try:
            write_lots(store, lots, FIRST_BATCH)
        finally:
            store.close()
    with all_running(network) as processes:
        network.send(network.make_together(sizes.network_calls).calls, IN_FLIGHT, sizes.seconds_max)
        return [process.read_memory() for process in processes]


def measure_network(root: Path, sizes: Sizes, limits: Limits) -> list[Section]:
    """Everything about networks; without NATS servers, that part is left out and named."""
    root.mkdir()
    embedded = Network(root / "embedded", sizes.accounts)
    loads = measure_loads(embedded, sizes, stops=True)
    memory = measure_memory(embedded, sizes.join_lots, sizes)
    about = f"Four validators and a client share {os.cpu_count()} cores; every node executes everything."
    sections = [
        Section("Network: four validators, embedded ordering", about, _describe(loads, limits)),
        _describe_memory(memory, sizes.join_lots, loads),
    ]
    try:
        find_binary()
    except ServersError as error:
        return [*sections, Section("Network: four validators, JetStream R3", f"Left out: {error}", ())]
    streamed = Network(root / "streamed", sizes.accounts, "jetstream")
    with servers_running(streamed):
        loads = measure_loads(streamed, sizes, stops=False)
    about = "The same, ordered by three NATS servers on the same machine that sync every message."
    return [*sections, Section("Network: four validators, JetStream R3", about, _describe(loads, limits))]


def _describe(loads: Loads, limits: Limits) -> tuple[Figure, ...]:
    together = Figure("final transactions, 500 per signature", loads.together.rate, "/s")
    single = Figure(
        "final transactions, one signature each", loads.single.rate, "/s", limits.verify, "Ed25519, one core:"
    )
    # An entry, two rounds of votes and a block on the disk of a quorum before it is answered.
    floor = (2 * limits.append_p50 + 4 * limits.call_p50) * 1e3
    beside = "2 appends + 4 calls"
    p50, p99 = (compute_percentile(loads.light.latencies, share) * 1e3 for share in (0.5, 0.99))
    busy = loads.cpu / loads.together.seconds
    found = [
        with_aim(together, TOGETHER_FLOOR, f"≥ {TOGETHER_FLOOR:,}/s"),
        Figure("call of 500, p50", compute_percentile(loads.together.latencies, 0.5) * 1e3, "ms"),
        Figure("processor time of the four nodes", busy, "cores"),
        Figure("processor time a transaction, all nodes", loads.cpu / loads.together.transactions * 1e6, "µs"),
        with_aim(single, SINGLE_FLOOR, f"≥ {SINGLE_FLOOR:,}/s"),
        Figure("submit to final, p50", p50, "ms", floor, beside, f"≤ {P50_AIM_MS:g} ms", p50 <= P50_AIM_MS),
        Figure("submit to final, p99", p99, "ms", floor, beside, f"≤ {P99_AIM_MS:g} ms", p99 <= P99_AIM_MS),
    ]
    if loads.three is not None:
        found.append(
            Figure("500 per signature, three of four", loads.three.rate, "/s", loads.together.rate, "all four:")
        )
    return tuple(found)


def _describe_memory(memory: Sequence[int], lots: int, loads: Loads) -> Section:
    most = Figure(f"memory of the largest node, {lots:,} lots", max(memory) / 1e6, "MB")
    figures = (
        Figure("memory of the largest node, after the loads", max(loads.memory) / 1e6, "MB"),
        most._replace(aim=f"< {MEMORY_AIM / 1e6:g} MB", met=max(memory) < MEMORY_AIM),
    )
    return Section("Network: memory", "Resident bytes of a node process, without its signature workers.", figures)


def _read_cpu(processes: Sequence[NodeProcess]) -> float:
    return sum(process.read_cpu_seconds() for process in processes)
