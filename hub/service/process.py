"""The process of a hub: its folder, logs as JSON lines on standard error, and serving until SIGINT or SIGTERM."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from adapters.systems import CannotOpenError
from hub.service.config import HubConfig
from hub.service.parts import Parts
from hub.service.rpc import Door
from hub.service.running import Running, open_door, open_ledger
from network.keys import read_passphrase


@contextmanager
def claim_folder(folder: Path) -> Iterator[None]:
    """Hold a hub's folder for this process. Raises `CannotOpenError` where another has it, or it cannot be one.

    It is let go with the process, however that ends; the file `lock` means nothing by itself, and may be deleted.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CannotOpenError(f"{folder} cannot be used: {error.strerror}") from error
    with os.fdopen(descriptor, "r+b"):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CannotOpenError(f"{folder} is in use by another hub: give each a folder of its own") from error
        yield


async def serve(config: HubConfig, told: Callable[[str, str], None]) -> None:
    """Run a hub; `told` hears where it serves HTTP and gRPC.

    Raises what it cannot be started for, before a port opens.
    """
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    passphrase = read_passphrase()
    door = open_door(config, passphrase)
    with claim_folder(config.folder):
        await _serve(config, passphrase, door, stopping, told)


async def _serve(
    config: HubConfig,
    passphrase: str | None,
    door: Door | None,
    stopping: asyncio.Event,
    told: Callable[[str, str], None],
) -> None:
    async with open_ledger(config, passphrase) as ledger:
        running = Running(Parts(config, ledger), door)
        try:
            await running.start()
            told(running.address, running.grpc_address)
            await stopping.wait()
        finally:
            await running.stop()
