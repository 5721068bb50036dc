"""Tasks beside the node's main work, as long as it runs: one that fails is said in the log, and stops nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

import structlog

log = structlog.get_logger()


def run_beside(stack: AsyncExitStack, what: str, work: Coroutine[Any, Any, None]) -> None:
    """Run `work` until it ends or the stack is closed."""
    task = asyncio.create_task(work)
    watch(what, task)
    stack.callback(task.cancel)


def watch(what: str, task: asyncio.Task[Any]) -> None:
    """Say it when a task that nobody waits for fails."""

    def tell(ended: asyncio.Task[Any]) -> None:
        if not ended.cancelled() and (error := ended.exception()) is not None:
            log.error("does not go on", what=what, error=str(error), kind=type(error).__name__)

    task.add_done_callback(tell)
