"""Figures of a real node: throughput with and without shared signatures, latency, bytes, memory, growth of history.

The node runs in its own process and so does its client; both share the machine, as the figures say.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from bench.client import Sent, send
from bench.figures import Figure, Section, compute_percentile, with_aim
from bench.ledger import PER_CALL, Ledger, Load
from bench.limits import Limits
from bench.node_process import NodeProcess, measure_folder, running
from bench.sizes import Sizes
from network.ports import find_ports
from node.core import tables
from node.store.contract import Family
from node.store.rocks import RocksStore

IN_FLIGHT: Final = 4
"""Calls the client has under way: enough that one waits while another is executed."""
TOGETHER_AIM: Final = 40_000
SINGLE_AIM: Final = 0.6


class Together(NamedTuple):
    """What the load of 500 transactions per signature gave."""

    first: Sent
    later: Sent
    light: Sent
    grown_by: int
    load: Load
    disk: int
    memory_start: int
    memory_first: int
    memory_later: int
    workers: int
    node_cpu: float


class Single(NamedTuple):
    """What the load of one signature per transaction gave, and the folder it left behind."""

    sent: Sent
    load: Load
    disk: int
    node_cpu: float


def open_ledger(root: Path, accounts: int) -> Ledger:
    """A new node folder below `root`, and what its people will sign."""
    root.mkdir()
    return Ledger(root, find_ports()[0], accounts)


def measure_together(ledger: Ledger, sizes: Sizes) -> Together:
    """500 transactions per signature, then one at a time, then ten times the history and the same again."""
    with running(ledger.folder) as node:
        memory_start = node.read_memory()
        send(ledger.home, ledger.make_opening(), 1, sizes.seconds_max)
        before = measure_folder(ledger.folder.data)
        load = ledger.make_together(sizes.calls)
        first, cpu = _send_counting(node, ledger, load, sizes)
        disk, memory_first = measure_folder(ledger.folder.data) - before, node.read_memory()
        light = send(ledger.home, ledger.make_single(sizes.light, 1).calls, 1, sizes.seconds_max)
        growth = send(ledger.home, ledger.make_together(sizes.growth).calls, IN_FLIGHT, sizes.seconds_max)
        later = send(ledger.home, ledger.make_together(sizes.calls).calls, IN_FLIGHT, sizes.seconds_max)
        memory_later, workers = node.read_memory(), node.read_worker_memory()
    return Together(
        first, later, light, growth.transactions, load, disk, memory_start, memory_first, memory_later, workers, cpu
    )


def measure_single(ledger: Ledger, sizes: Sizes) -> Single:
    """500 submissions of one transaction and one signature each in a call."""
    with running(ledger.folder) as node:
        send(ledger.home, ledger.make_opening(), 1, sizes.seconds_max)
        before = measure_folder(ledger.folder.data)
        load = ledger.make_single(sizes.single_calls)
        sent, cpu = _send_counting(node, ledger, load, sizes)
        return Single(sent, load, measure_folder(ledger.folder.data) - before, cpu)


def _send_counting(node: NodeProcess, ledger: Ledger, load: Load, sizes: Sizes) -> tuple[Sent, float]:
    cpu = node.read_cpu_seconds()
    sent = send(ledger.home, load.calls, IN_FLIGHT, sizes.seconds_max)
    return sent, node.read_cpu_seconds() - cpu


def measure_id_bytes(data: Path) -> float:
    """Bytes of key and value that the state keeps for one remembered id. The node must have stopped."""
    store = RocksStore.open(data / "store")
    try:
        size = rows = 0
        for key, value in store.scan(Family.STATE, tables.IDS.prefix, tables.after(tables.IDS.prefix)):
            size, rows = size + len(key) + len(value), rows + 1
        return size / rows
    finally:
        store.close()


def describe_together(done: Together, limits: Limits, peer_rate: float | None, id_bytes: float) -> list[Section]:
    """The sections of the first node."""
    first, light = done.first, done.light
    rate = Figure("final transactions, 500 per signature", first.rate, "/s", peer_rate, "PostgreSQL, 500 a commit:")
    busy = done.node_cpu / first.seconds
    throughput = (
        with_aim(rate, TOGETHER_AIM, f"≥ {TOGETHER_AIM:,}/s"),
        rate._replace(name="the same", beside=limits.bare_rows, versus="their rows alone, one core:"),
        Figure("call of 500, p50", compute_percentile(first.latencies, 0.5) * 1e3, "ms", note=f"{IN_FLIGHT} in flight"),
        Figure("call of 500, p99", compute_percentile(first.latencies, 0.99) * 1e3, "ms"),
        Figure("processor time of the node process", busy, "cores"),
        Figure("processor time of the client", first.client_cpu_seconds / first.seconds, "cores"),
        Figure(f"the same after {done.grown_by:,} more", done.later.rate, "/s", first.rate, "before:"),
    )
    floor = (limits.append_p50 + limits.call_p50) * 1e3
    latency = (
        Figure("submit to receipt, p50", compute_percentile(light.latencies, 0.5) * 1e3, "ms", floor, "append + call"),
        Figure("submit to receipt, p99", compute_percentile(light.latencies, 0.99) * 1e3, "ms", floor, "append + call"),
    )
    own = done.load.transaction_bytes / done.load.transactions
    space = (
        Figure("disk per transaction", done.disk / first.transactions, "B", own, "its own bytes"),
        Figure("state per remembered id", id_bytes, "B", 16.0, "the id"),
        Figure("memory of the node, just started", done.memory_start / 1e6, "MB"),
        Figure(f"memory after {first.transactions:,} transactions", done.memory_first / 1e6, "MB"),
        Figure(f"memory after {done.grown_by:,} more", done.memory_later / 1e6, "MB"),
        Figure("memory of its signature workers", done.workers / 1e6, "MB"),
    )
    return [
        Section("Node: 500 transactions per signature", "One validator, a client in its own process.", throughput),
        Section("Node: one transaction at a time", "The node waits 3 ms for company before it orders one.", latency),
        Section("Node: space", "Disk: everything below the data folder, as allotted.", space),
    ]


def describe_single(done: Single, limits: Limits, peer_rate: float | None) -> Section:
    """The section of the second node."""
    rate = Figure("final transactions, one signature each", done.sent.rate, "/s", limits.verify, "Ed25519, one core:")
    figures = [
        with_aim(rate, SINGLE_AIM, f"≥ {SINGLE_AIM:.0%} of the limit", of_ratio=True),
        Figure("disk per transaction", done.disk / done.sent.transactions, "B"),
        Figure("processor time of the node process", done.node_cpu / done.sent.seconds, "cores"),
    ]
    if peer_rate is not None:
        figures.insert(1, rate._replace(name="the same", beside=peer_rate, versus="PostgreSQL, 1 a commit:"))
    about = f"{PER_CALL} submissions of one transaction a call. PostgreSQL checks no signatures."
    return Section("Node: one signature per transaction", about, tuple(figures))
