"""Figures of an import, end to end: a made-up Verra export read, handed to a real node by the command, and looked up.

`python -m bench.imports --rows 1000000` measures it alone. Memory is that of the process that does the work, file
included; it must not be more for a longer file, so both reading and a trial of the whole import are measured twice.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console

from bench.figures import Figure, Section, compute_percentile, print_sections
from bench.parse import UNITS, make_verra_export
from bench.sizes import Sizes

START_S: Final = 60.0
FINDS: Final = 300
FIND_AIM_MS: Final = 20.0
FIND_AIM: Final = f"below {FIND_AIM_MS:g} ms"
MEMORY_AIM_MB: Final = 200
MEMORY_AIM: Final = f"below {MEMORY_AIM_MB} MB"
_READ: Final = """
import json, re, sys, time
from adapters.registry import parse_file
from cli.importing.ranges import SpilledRanges
from cli.importing.spool import Spool
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
before = peak()
started = time.perf_counter()
with Spool() as spool:
    parsed = parse_file("verra", lambda: open(sys.argv[1], "rb"), file_name="made-up.csv")
    rows = sum(1 for _ in parsed.rows(SpilledRanges(spool.database)))
seconds = time.perf_counter() - started
after = peak()
print(json.dumps({"rows": rows, "seconds": seconds, "kilobytes": after - before}))
"""
_IMPORT: Final = """
import json, re, sys, time
from cli.main import build_app
started = time.perf_counter()
try:
    build_app()(sys.argv[1:], prog_name="keeling", standalone_mode=False)
finally:
    seconds = time.perf_counter() - started
    used = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
    sys.stderr.write(json.dumps({"seconds": seconds, "kilobytes": used}))
"""


class ImportFailed(Exception):
    """A step of the measured import did not do what it should."""


class _Read(NamedTuple):
    rows: int
    seconds: float
    kilobytes: int


def measure_imports(root: Path, sizes: Sizes) -> Section:
    """As `python -m bench` shows it: as many rows as the parse of the same run."""
    return measure(root, sizes.parse_rows)


def measure(root: Path, rows: int) -> Section:
    """Read, import and look up an export of so many rows, each a lot of its own."""
    root.mkdir(parents=True, exist_ok=True)
    short, whole = (_read(_write(root, size)) for size in (max(rows // 4, 1), rows))
    environment = {**os.environ, "KEELING_HOME": str(root / "home")}
    with _node(root, environment) as node:
        tried = _import(root, environment, max(rows // 4, 1), "--dry-run")
        imported = _import(root, environment, rows)
        before, times = _processor_ms(node), _find(root, rows)
        used = (_processor_ms(node) - before) / FINDS
    ninety = compute_percentile(times, 0.99)
    peak = imported.kilobytes / 1024
    grown = (imported.kilobytes - tried.kilobytes) * 1024 / max(imported.rows - tried.rows, 1)
    figures = (
        Figure("rows read, one core", whole.rows / whole.seconds, "/s"),
        Figure("memory while reading a quarter of them", short.kilobytes / 1024, "MB"),
        Figure("memory while reading all", whole.kilobytes / 1024, "MB"),
        Figure("rows imported, read to report", rows / imported.seconds, "/s"),
        Figure("memory of trying a quarter of them, with the command", tried.kilobytes / 1024, "MB"),
        Figure("memory of the import, with the command", peak, "MB", aim=MEMORY_AIM, met=peak < MEMORY_AIM_MB),
        Figure("memory more for each further row", max(grown, 0.0), "bytes"),
        Figure("lot find, processor time of the node for each", used, "ms"),
        Figure("lot find, median", compute_percentile(times, 0.5), "ms"),
        Figure("lot find, 99 of 100", ninety, "ms", aim=FIND_AIM, met=ninety < FIND_AIM_MS),
    )
    return Section(
        "Import: a registry's file onto a ledger", f"{rows:,} rows, each a lot; one node, one core.", figures
    )


def _write(root: Path, rows: int) -> Path:
    path = root / f"made-up-{rows}.csv"
    path.write_bytes(make_verra_export(rows))
    return path


def _read(path: Path) -> _Read:
    done = subprocess.run([sys.executable, "-c", _READ, str(path)], capture_output=True, text=True, check=True)
    return _Read(**json.loads(done.stdout))


@contextmanager
def _node(root: Path, environment: Mapping[str, str]) -> Iterator[int]:
    """A network of one node, run as a process and led to by the profile `bench`; its pid. Stopped at the end."""
    made = [
        "init",
        str(root / "node"),
        "--name",
        "Bench",
        "--listen",
        "127.0.0.1:0",
        "--metrics",
        "",
        "--save-profile",
        "bench",
    ]
    _keeling(made, environment)
    process = subprocess.Popen(
        [sys.executable, "-m", "node", str(root / "node")], stdout=subprocess.PIPE, text=True, env=dict(environment)
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        address = line.strip().rpartition(" at ")[2]
        if not address:
            raise ImportFailed(f"the node did not start: {line!r}")
        profiles = root / "home" / "profiles.toml"
        lines = profiles.read_text().splitlines()
        profiles.write_text(
            "\n".join(f'address = "{address}"' if each.startswith("address") else each for each in lines) + "\n"
        )
        yield process.pid
    finally:
        process.terminate()
        process.wait(START_S)


def _processor_ms(process: int) -> float:
    """Processor time that a process has had so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def _keeling(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    command = [sys.executable, "-m", "cli.main", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(environment), check=False)
    if done.returncode:
        raise ImportFailed(f"keeling {' '.join(arguments)}: {done.stderr}")


def _import(root: Path, environment: Mapping[str, str], rows: int, *options: str) -> _Read:
    arguments = ["import", str(root / f"made-up-{rows}.csv"), "--registry", "verra", "--json", *options]
    arguments += ["--deadline", "600s", "--report", str(root / f"report-{rows}.csv")]
    command = [sys.executable, "-c", _IMPORT, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(environment), check=False)
    told = json.loads(done.stdout) if done.returncode == 0 else {}
    if told.get("rows_by_outcome", {}).get("new") != rows:
        raise ImportFailed(f"the import ended with {done.returncode}: {done.stderr[-500:]}{done.stdout[-500:]}")
    measured = json.loads(done.stderr[done.stderr.rindex("{") :])
    return _Read(rows, measured["seconds"], measured["kilobytes"])


def _find(root: Path, rows: int) -> list[float]:
    """Milliseconds of single look-ups through the API, spread over the lots."""
    from cli.session import Session
    from keeling.v1 import ledger_pb2 as pb

    os.environ["KEELING_HOME"] = str(root / "home")
    session = Session("bench")
    times = []
    for at in range(FINDS):
        first = 3_000_000_000 + (at * 7919 % rows) * UNITS + 5
        request = pb.FindLotsRequest(space="verra", first_number=str(first), last_number=str(first + 10))
        started = time.perf_counter()
        found = session.ask(session.ledger.FindLots, request)
        times.append((time.perf_counter() - started) * 1000)
        if len(found.lots) != 1:
            raise ImportFailed(f"{len(found.lots)} lots have number {first}")
    session.close()
    return times[1:]


def main(arguments: Sequence[str]) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m bench.imports", description="Figures of an import.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="keeling-bench-") as folder:
        print_sections(Console(width=120), [measure(Path(folder), chosen.rows)])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
