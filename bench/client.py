"""A client in its own process: `python -m bench.client HOME CALLS IN_FLIGHT SECONDS_MAX [PROFILE ...]`, figures as JSON
on stdout.

Sends calls that were signed before, so many at a time, and reads every receipt; with several profiles each of those
under way at a time has a node of its own, in turn. A transaction that is not accepted ends
the run with its reason: a load of refusals would measure something else. How the calls were made is in `bench.ledger`.
"""

from __future__ import annotations

import json
import os

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from keeling.v1 import ledger_pb2
from network.profiles import choose_profile, open_destination
from network.transport import open_channel

SUBMIT = f"/{ledger_pb2.DESCRIPTOR.services_by_name['Ledger'].full_name}/Submit"
CONNECT_S = 20.0


class Sent(NamedTuple):
    """What a client measured: transactions accepted, seconds from first call to last receipt, each call's latency."""

    transactions: int
    seconds: float
    latencies: tuple[float, ...]
    client_cpu_seconds: float

    @property
    def rate(self) -> float:
        """Final transactions per second."""
        return self.transactions / self.seconds


class Refused(Exception):
    """The node did not accept what it should have."""


def send(home: Path, calls: Sequence[bytes], in_flight: int, seconds_max: float, profiles: Sequence[str] = ()) -> Sent:
    """Send the calls from a new process and wait for it; to the default profile if none is named.

    Raises `Refused` with what it said.
    """
    path = home / f"calls-{time.monotonic_ns()}"
    with path.open("wb") as file:
        for call in calls:
            file.write(len(call).to_bytes(4, "big") + call)
    try:
        command = [
            sys.executable,
            "-m",
            "bench.client",
            str(home),
            str(path),
            str(in_flight),
            str(seconds_max),
            *profiles,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds_max + 120)
    finally:
        path.unlink()
    if done.returncode:
        raise Refused(done.stderr.strip() or f"the client ended with {done.returncode}")
    values: dict[str, Any] = json.loads(done.stdout)
    return Sent(**{**values, "latencies": tuple(values["latencies"])})


class _Sender:
    """Shared by the sending threads; `calls` and what is counted are guarded by the lock."""

    def __init__(self, calls: Iterator[bytes], until: float) -> None:
        self._calls = calls
        self._until = until
        self._lock = threading.Lock()
        self.latencies: list[float] = []
        self.transactions = 0
        self.failure: BaseException | None = None

    def run(self, submit: Any) -> None:
        try:
            while (call := self._next()) is not None:
                started = time.perf_counter()
                response = submit(call)
                took = time.perf_counter() - started
                _check(response)
                with self._lock:
                    self.latencies.append(took)
                    self.transactions += len(response.results)
        except BaseException as error:  # noqa: BLE001 - told by the thread that waits for this one
            self.failure = error

    def _next(self) -> bytes | None:
        with self._lock:
            if self.failure is not None or time.perf_counter() > self._until:
                return None
            return next(self._calls, None)


def _check(response: Any) -> None:
    for result in response.results:
        if result.reason:
            raise Refused(f"{result.reason_name}: {result.detail}")


def _read_calls(path: Path) -> list[bytes]:
    data, calls, at = path.read_bytes(), list[bytes](), 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        calls.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return calls


def main(arguments: Sequence[str]) -> int:
    """The process `send` starts."""
    import grpc

    home, path, in_flight, seconds_max = Path(arguments[0]), Path(arguments[1]), int(arguments[2]), float(arguments[3])
    names: Sequence[str | None] = arguments[4:] or [None]
    calls = _read_calls(path)
    with ExitStack() as stack:
        submits: list[Any] = []
        for name in names:
            channel = stack.enter_context(open_channel(open_destination(choose_profile(home, name))))
            grpc.channel_ready_future(channel).result(timeout=CONNECT_S)
            submits.append(channel.unary_unary(SUBMIT, None, ledger_pb2.SubmitResponse.FromString))
        started, cpu = time.perf_counter(), time.process_time()
        sender = _Sender(iter(calls), started + seconds_max)
        threads = [threading.Thread(target=sender.run, args=(submits[i % len(submits)],)) for i in range(in_flight)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - started
        if sender.failure is not None:
            print(f"{type(sender.failure).__name__}: {sender.failure}", file=sys.stderr)
            return 1
    sent = Sent(sender.transactions, seconds, tuple(sender.latencies), time.process_time() - cpu)
    print(json.dumps(sent._asdict()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
