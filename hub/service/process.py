"""The process of a hub: logs as JSON lines on standard error, and serving until SIGINT or SIGTERM."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable

import structlog

from hub.service.config import HubConfig
from hub.service.parts import Parts
from hub.service.running import Running, open_door, open_ledger
from network.keys import read_passphrase


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
    async with open_ledger(config, passphrase) as ledger:
        running = Running(Parts(config, ledger), door)
        try:
            await running.start()
            told(running.address, running.grpc_address)
            await stopping.wait()
        finally:
            await running.stop()
