"""Signature checks ahead of execution, in other processes, so that the one writer thread does not wait for them.

`Verifier.check_many` answers for a call's signatures together; what verified is remembered until its block is done, and
`Verifier.check` is the function execution asks. The rule itself is `keeling.ed25519.check_signature`, and nothing else.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Final, Protocol

from keeling.ed25519 import check_signature

Claim = tuple[bytes, bytes, bytes]
"""(public key, signature, message)."""

INLINE_MAX: Final = 4
"""Fewer signatures than this are checked where they are: handing them over costs more than 60 us each."""
REMEMBERED_MAX: Final = 200_000


class Signatures(Protocol):
    """What a replica needs of a verifier."""

    async def check_many(self, claims: Sequence[Claim]) -> list[bool]: ...

    def check(self, public_key: bytes, signature: bytes, message: bytes) -> bool: ...

    def forget(self, claims: Iterable[Claim]) -> None: ...


def check_all(claims: Sequence[Claim]) -> list[bool]:
    """The answer for each claim, in order. Runs in a worker process."""
    return [check_signature(*claim) for claim in claims]


def _start_worker() -> None:
    """Worker processes are stopped by their node, not by the keyboard, and do not outlive one that was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_node, daemon=True).start()


def _end_with_node() -> None:
    node = multiprocessing.parent_process()
    if node is not None:
        node.join()
        os._exit(0)


class Verifier:
    """Owned by one node. `workers` 0 means one fewer than the machine has cores, and at least one."""

    def __init__(self, workers: int = 0) -> None:
        count = workers or max(1, (os.cpu_count() or 2) - 1)
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["node.verify"])
        self._pool = ProcessPoolExecutor(count, mp_context=context, initializer=_start_worker)
        self._good: set[Claim] = set()

    async def start(self) -> None:
        """Start the workers now, so that the first caller does not wait for a process to begin."""
        await asyncio.get_running_loop().run_in_executor(self._pool, check_all, ())

    async def check_many(self, claims: Sequence[Claim]) -> list[bool]:
        """Check all; those that verify are remembered for `check`."""
        unknown = [claim for claim in claims if claim not in self._good]
        if len(unknown) <= INLINE_MAX:
            answers = check_all(unknown)
        else:
            answers = await asyncio.get_running_loop().run_in_executor(self._pool, check_all, unknown)
        if len(self._good) + len(unknown) > REMEMBERED_MAX:
            self._good.clear()
        self._good.update(claim for claim, good in zip(unknown, answers, strict=True) if good)
        return [claim in self._good for claim in claims]

    def check(self, public_key: bytes, signature: bytes, message: bytes) -> bool:
        """Whether the signature verifies: from memory if it was checked ahead."""
        return (public_key, signature, message) in self._good or check_signature(public_key, signature, message)

    def forget(self, claims: Iterable[Claim]) -> None:
        """Their block is done."""
        self._good.difference_update(claims)

    def close(self) -> None:
        """Stop the workers."""
        self._pool.shutdown(cancel_futures=True)
