"""A TCP proxy between two parties of a test: cuts a link, or swallows what one side says, at the moment wanted."""

from __future__ import annotations

import asyncio


class Proxy:
    """Forwards connections to `target`, "host:port". Use it as an asynchronous context."""

    def __init__(self, target: str) -> None:
        self.target = target
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.cut_off = False
        self.answers_lost = False
        """While set, what the target says does not arrive, and nobody notices."""
        self.calls_lost = False
        """While set, what is said to the target does not arrive."""

    @property
    def address(self) -> str:
        assert self._server is not None
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """End every connection and take no new one."""
        self.cut_off = True
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def heal(self) -> None:
        """Take connections again."""
        self.cut_off = self.answers_lost = self.calls_lost = False

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.cut_off:
            writer.transport.abort()
            return
        host, _, port = self.target.rpartition(":")
        try:
            target_reader, target_writer = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.transport.abort()
            return
        self._writers += [writer, target_writer]
        for source, sink, answers in ((reader, target_writer, False), (target_reader, writer, True)):
            task = asyncio.create_task(self._pump(source, sink, answers))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, answers: bool) -> None:
        try:
            while data := await source.read(65_536):
                if not (self.answers_lost if answers else self.calls_lost):
                    sink.write(data)
                    await sink.drain()
        except OSError as error:
            _ = error  # the connection ended, as a cut one does
        sink.transport.abort()
