"""`python -m node FOLDER`: run the node of a folder until it is told to stop. With a word before it (`backup`,
`rebuild`, `prune`, `join`, `succeed` and others), work on one.

The `keeling` command starts this: nobody else imports the node.
"""

from __future__ import annotations

import os

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

import asyncio
import contextlib
import gc
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import structlog
import uvloop

from keeling.genesis import GenesisError, describe_succession
from keeling.snapshot import SnapshotRefused
from keeling.strict import FormatError
from network.certificates import CertificateError
from network.config import load_config
from network.folders import FolderRefused, NodeFolder, locked
from network.keys import KeyFileError, read_passphrase
from network.rehearsal import RehearsalClock, check_rehearsal
from network.settings import ConfigError
from node.arriving import join_from_peers
from node.core.governance.versions import UnknownRules
from node.joining import JoinFailed
from node.ledger import ChainError
from node.operate import (
    OperatorError,
    backup_folder,
    begin_successor,
    list_parts_of,
    may_run,
    prune_folder,
    rebuild_folder,
    take_new_keys,
    take_stock_of,
)
from node.ordering.contract import OrderingError
from node.server import Node, clock_ms
from node.snapshots import SnapshotError
from node.store.contract import StoreError

USAGE = (
    "usage: python -m node [backup | rebuild | prune | join | stock | succeed | rekey | rehearse] FOLDER "
    "[TARGET | --dry-run | --never-signed | OLD | CLOCK]"
)
REFUSALS = (
    ChainError,
    CertificateError,
    ConfigError,
    FolderRefused,
    FormatError,
    GenesisError,
    JoinFailed,
    KeyFileError,
    OperatorError,
    OrderingError,
    SnapshotError,
    SnapshotRefused,
    StoreError,
    UnknownRules,
    OSError,
)


def _configure_log() -> None:
    processors: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.JSONRenderer(),
    ]
    structlog.configure(processors=processors, logger_factory=structlog.PrintLoggerFactory(sys.stderr))


async def rehearse(folder: NodeFolder, clock: Path) -> int:
    """Serve with a clock that somebody moves by hand, until they let go of standard input. Rehearsals only."""
    check_rehearsal(load_config(folder.config).origin)
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), stopping.set)
    return await run(folder, RehearsalClock(clock).now_ms, stopping)


async def run(folder: NodeFolder, clock: Callable[[], int] = clock_ms, stopping: asyncio.Event | None = None) -> int:
    """Serve until SIGINT or SIGTERM; 1 when the node stopped itself."""
    config = load_config(folder.config)
    node = Node(config, read_passphrase(), clock)
    stopping = stopping or asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    try:
        await node.start()
        # Decoded state is many long-lived objects without cycles; looking through them costs a fifth of the time.
        gc.freeze()
        gc.set_threshold(100_000, 50, 1_000)
        print(f"serving {config.origin} at {node.address}", flush=True)
        failed = asyncio.create_task(node.wait_failed())
        asked = asyncio.create_task(stopping.wait())
        await asyncio.wait([failed, asked], return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if not failed.done():
            failed.cancel()
            return 0
        print(f"stopped: {failed.result()}", file=sys.stderr)
        return 1
    finally:
        await node.stop()


def _progress(height: int) -> None:
    print(f"rebuilt to height {height}", file=sys.stderr)


def _chunk(done: int, total: int) -> None:
    print(f"chunk {done} of {total}", file=sys.stderr)


def main(arguments: list[str]) -> int:
    """Entry point; every refusal is one line and exit code 1."""
    _configure_log()
    try:
        match arguments:
            case ["backup", folder, target]:
                height = backup_folder(NodeFolder(Path(folder)), Path(target))
                print(f"{target}: everything to height {height}, without keys and vote journal")
            case ["rebuild", folder]:
                with locked(NodeFolder(Path(folder))):
                    height = rebuild_folder(NodeFolder(Path(folder)), _progress)
                print(f"state rebuilt from the log to height {height}")
            case ["prune", folder, *option] if option in ([], ["--dry-run"]):
                with locked(NodeFolder(Path(folder))):
                    plan = prune_folder(NodeFolder(Path(folder)), bool(option))
                words = "would be forgotten" if option else "forgotten"
                size = plan.entry_bytes + plan.answer_bytes
                print(f"blocks {plan.first} to {plan.below - 1}: {size} bytes of entries and answers {words}")
                print(f"kept: all proofs, and the snapshots of {' and '.join(map(str, plan.kept))}")
            case ["join", folder, *option] if option in ([], ["--never-signed"]):
                with locked(NodeFolder(Path(folder))):
                    config = load_config(NodeFolder(Path(folder)).config)
                    arrived = asyncio.run(join_from_peers(config, read_passphrase(), bool(option), _chunk))
                for peer, wrong in arrived.passed_over.items():
                    print(f"passed over {peer}: {wrong}", file=sys.stderr)
                print(f"at the snapshot of height {arrived.height}; the node catches up the rest when it runs")
                if not arrived.votes:
                    print("it will observe: its vote key may have signed before, have it replaced")
            case ["stock", folder]:
                with locked(NodeFolder(Path(folder))):
                    origin, found = take_stock_of(NodeFolder(Path(folder)))
                    listed = list_parts_of(NodeFolder(Path(folder)))
                print(json.dumps({"origin": origin, "participants": listed} | describe_succession(found)))
            case ["stock", folder, "--dry-run"]:
                print(json.dumps({"participants": list_parts_of(NodeFolder(Path(folder)))}))
            case ["succeed", folder, place]:
                with locked(NodeFolder(Path(folder))):
                    height = begin_successor(NodeFolder(Path(folder)), Path(place))
                print(f"begun with the state of height {height}; next: keeling node run {folder}")
            case ["rekey", folder]:
                with (
                    contextlib.nullcontext() if may_run(NodeFolder(Path(folder))) else locked(NodeFolder(Path(folder)))
                ):
                    parts = take_new_keys(NodeFolder(Path(folder)))
                print(f"in use now: new keys for {', '.join(parts)}; destroy the old ones, which end in .old")
            case ["rehearse", folder, clock]:
                with locked(NodeFolder(Path(folder))):
                    return uvloop.run(rehearse(NodeFolder(Path(folder)), Path(clock)))
            case [folder]:
                with locked(NodeFolder(Path(folder))):
                    return uvloop.run(run(NodeFolder(Path(folder))))
            case _:
                print(USAGE, file=sys.stderr)
                return 2
    except REFUSALS as error:
        print(f"cannot go on: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
