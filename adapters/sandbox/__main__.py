"""`python -m adapters.sandbox [NAME …]`: run sandboxes until interrupted, each on a port of its own.

Prints one line for each: name, address, and where its admin side is. All of them share one clock.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time

from adapters.sandbox.catalogue import SANDBOXES
from adapters.sandbox.clock import SandboxClock


async def run(names: list[str], host: str, port: int, follows: bool) -> None:
    """Listen until SIGINT or SIGTERM. Port 0: free ones; else `port` and those after it."""
    clock = SandboxClock(time.time_ns() // 1_000_000, follows)
    sandboxes = [SANDBOXES[name](clock) for name in names]
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        for place, sandbox in enumerate(sandboxes):
            address = await sandbox.start(host, port + place if port else 0)
            print(f"sandbox {sandbox.name} at {address} (not the real registry; admin: {address}/_admin/)", flush=True)
        await stop.wait()
    finally:
        for sandbox in sandboxes:
            await sandbox.stop()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m adapters.sandbox", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SANDBOXES)}; none: all")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="of the first; 0: free ones")
    parser.add_argument("--follow", action="store_true", help="let the clock run along with the machine's")
    asked = parser.parse_args(arguments)
    unknown = [name for name in asked.names if name not in SANDBOXES]
    if unknown:
        parser.error(f"no sandbox {', '.join(unknown)}; there are {', '.join(SANDBOXES)}")
    asyncio.run(run(asked.names or list(SANDBOXES), asked.host, asked.port, asked.follow))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
