"""What the machine can do at most, measured in the same run: signatures, hashes, synced appends, calls, bare rows.

The yardsticks of `bench.node_figures` and the others. Nothing of the ledger is measured here.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from bench.bare_rows import measure_bare_rows
from bench.echo import measure_round_trips
from bench.figures import Figure, Section, compute_percentile
from keeling import ed25519

APPEND_BYTES: Final = 150_000
"""An entry of 500 transactions."""


class Limits(NamedTuple):
    """Rates per second on one core, and latencies in seconds."""

    verify: float
    sha256: float
    append_p50: float
    append_p99: float
    call_p50: float
    bare_rows: float
    """Transfers per second whose rows are packed, hashed and put and nothing else."""


def measure_limits(folder: Path, config: Path, home: Path, seconds: float) -> Limits:
    """Measure each for about `seconds`. `folder` is on the disk that the node will use."""
    appends = measure_appends(folder, seconds)
    calls = measure_round_trips(config, home, seconds)
    p50, p99 = compute_percentile(appends, 0.5), compute_percentile(appends, 0.99)
    bare = measure_bare_rows(folder / "bare-rows", seconds)
    return Limits(measure_verify(seconds), measure_sha256(seconds), p50, p99, compute_percentile(calls, 0.5), bare)


def measure_verify(seconds: float) -> float:
    """Ed25519 signatures checked per second by the rule of `keeling.ed25519`, on one core."""
    seed = bytes(range(32))
    key = ed25519.public_key(seed)
    claims = [(key, ed25519.sign(seed, message), message) for message in (bytes([i]) * 54 for i in range(64))]
    return _measure_rate(lambda: all(ed25519.check_signature(*claim) for claim in claims), len(claims), seconds)


def measure_sha256(seconds: float) -> float:
    """SHA-256 digests of 65 bytes (a Merkle node) per second, on one core."""
    data, sha256 = bytes(65), hashlib.sha256

    def work() -> bool:
        for _ in range(1000):
            sha256(data).digest()
        return True

    return _measure_rate(work, 1000, seconds)


def measure_appends(folder: Path, seconds: float) -> list[float]:
    """Seconds of each append of 150 KB followed by fdatasync."""
    path, data, took = folder / "appends", os.urandom(APPEND_BYTES), list[float]()
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        until = time.perf_counter() + max(seconds, 0.02)
        while not took or time.perf_counter() < until:
            started = time.perf_counter()
            os.write(descriptor, data)
            os.fdatasync(descriptor)
            took.append(time.perf_counter() - started)
    finally:
        os.close(descriptor)
        path.unlink()
    return took


def _measure_rate(work: Callable[[], bool], amount: int, seconds: float) -> float:
    """Things done per second of processor time. Processor time, because others may use the machine as well."""
    done, started, until = 0, time.process_time(), time.perf_counter() + seconds
    while not done or time.perf_counter() < until:
        if not work():
            raise ArithmeticError("a limit was measured on work that failed")
        done += amount
    return done / (time.process_time() - started)


def describe_limits(limits: Limits, verify_after: float) -> Section:
    """The limits as a section. `verify_after` is the rate of signatures measured again at the end of the run."""
    figures = (
        Figure("Ed25519 verify, one core", limits.verify, "/s", verify_after, "again at the end"),
        Figure("SHA-256 of 65 bytes, one core", limits.sha256, "/s"),
        Figure("rows of a transfer, packed, hashed and put", limits.bare_rows, "/s"),
        Figure("append 150 KB + fdatasync, p50", limits.append_p50 * 1e3, "ms"),
        Figure("append 150 KB + fdatasync, p99", limits.append_p99 * 1e3, "ms"),
        Figure("unary gRPC over mutual TLS, p50", limits.call_p50 * 1e3, "ms"),
    )
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    about = f"{cores} cores; load average {load:.1f} at the end of the run, of which this run is 1 to 2."
    return Section("Limits of this machine", about, figures)
