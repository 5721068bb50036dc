"""An asyncio event loop whose time is virtual: nothing waits, a timer that is due next moves the clock to itself.

The order of what runs is a function of the program alone, so a run is repeated by its seed. Tasks carry the name of
the simulated node that made them, so that a crash can end exactly those.
"""

from __future__ import annotations

import asyncio
import contextvars
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

OWNER: contextvars.ContextVar[str] = contextvars.ContextVar("owner", default="")
"""The simulated process a task belongs to; tasks made by a task belong to the same."""


class Deadlock(AssertionError):
    """Everything waits for something and no timer will ever fire."""


class _Instant(selectors.BaseSelector):
    """A selector that waits for no file and, asked to wait for time, moves the loop's clock instead."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._inner = selectors.DefaultSelector()  # the loop registers its self-pipe

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Deadlock("no task can go on and no timer is set")
        if timeout > 0:
            self._loop.pass_time()
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def get_map(self) -> Any:
        return self._inner.get_map()

    def close(self) -> None:
        self._inner.close()


class VirtualLoop(asyncio.SelectorEventLoop):
    """Seconds since the loop was made, and only as many as anybody waited for."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_Instant(self))
        self._tasks: dict[str, list[asyncio.Task[Any]]] = {}
        self.errors: list[BaseException] = []
        """What tasks raised that nobody awaited."""
        self.set_task_factory(self._make_task)
        self.set_exception_handler(self._note_error)

    def time(self) -> float:
        return self._now

    def pass_time(self) -> None:
        """Go to the next timer."""
        self._now = max(self._now, self._scheduled[0].when())  # type: ignore[attr-defined]

    def spawn(self, owner: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run `work`, and everything it starts, as the process `owner`."""
        context = contextvars.copy_context()
        context.run(OWNER.set, owner)
        return context.run(lambda: self.create_task(work))

    def kill(self, owner: str) -> None:
        """End every task of the process, in the order they were made."""
        for task in self._tasks.pop(owner, []):
            task.cancel()

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        """Run `main` to its end, then end whatever is left."""
        asyncio.set_event_loop(self)
        try:
            self.run_until_complete(main)
        finally:
            for owner in list(self._tasks):
                self.kill(owner)
            self.run_until_complete(asyncio.sleep(0))
            asyncio.set_event_loop(None)
            self.close()

    def _make_task(self, loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **options)
        tasks = self._tasks.setdefault(OWNER.get(), [])
        tasks.append(task)
        if len(tasks) > 1000:
            tasks[:] = [known for known in tasks if not known.done()]
        return task

    def _note_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.errors.append(error if isinstance(error, BaseException) else RuntimeError(context["message"]))

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        raise RuntimeError(f"a simulated node asked for a thread, for {func}: give it a way to run work inline")
