"""Whatever goes wrong at the door is answered as a problem of RFC 9457, and tells outside no more than it should."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from hub.inbound import server
from hub.inbound.refusals import STATUS, Refusal
from hub.inbound.server import read_body
from hub.service.problems import TYPE, Handler, Problem, answer_problems

SECRET = "what nobody outside should read"


async def take(request: web.Request) -> web.Response:
    body = await read_body(request, 1_000)
    if isinstance(body, Refusal):
        raise Problem(STATUS[body.why], body.why.value, body.detail)
    if body == b"fail":
        raise KeyError(SECRET)
    return web.json_response({"bytes": len(body)})


@asynccontextmanager
async def serve(handler: Handler = take) -> AsyncIterator[int]:
    app = web.Application(middlewares=[answer_problems])
    app.add_routes([web.post("/take", handler)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def ask(port: int, head: bytes, body: bytes = b"", *, ends: bool = False) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer; status 0: there was none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head + b"\r\nHost: hub\r\nConnection: close\r\n\r\n" + body)
    if ends:
        writer.close()
        return 0, {}, b""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in lines}
    said = await reader.readexactly(int(headers["content-length"]))
    writer.close()
    return int(first.split()[1]), headers, said


@pytest.mark.parametrize(
    ("head", "body", "status", "name"),
    [
        (b"POST /take HTTP/1.1\r\nContent-Length: 4", b"fail", 500, "internal-error"),
        (b"POST /take HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: 4", b"nope", 400, "bad-body"),
        (b"POST /take HTTP/1.1\r\nContent-Length: 2000", b"", 413, "too-large"),
        (b"GET /take HTTP/1.1", b"", 405, "method-not-allowed"),
        (b"GET /elsewhere HTTP/1.1", b"", 404, "no-such-path"),
    ],
)
def test_every_error_is_a_problem(head: bytes, body: bytes, status: int, name: str) -> None:
    async def run() -> None:
        async with serve() as port:
            with capture_logs() as logs:
                found, headers, said = await ask(port, head, body)
            told: dict[str, Any] = json.loads(said)
            assert (found, told["status"], told["title"]) == (status, status, name)
            assert headers["content-type"].startswith(TYPE)
            assert SECRET.encode() not in said
            assert [each["log_level"] for each in logs] == (["error"] if status == 500 else [])
            assert (headers.get("allow") == "POST") is (status == 405)

    asyncio.run(run())


def test_a_body_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "BODY_S", 0.05)

    async def run() -> None:
        async with serve() as port:
            status, _, said = await ask(port, b"POST /take HTTP/1.1\r\nContent-Length: 10", b"ab")
            assert (status, json.loads(said)["title"]) == (408, "too-slow")

    asyncio.run(run())


def test_who_hangs_up_is_no_error_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    gone = asyncio.Event()

    async def hear(request: web.Request) -> web.Response:
        try:
            return await take(request)
        finally:
            gone.set()

    async def run() -> None:
        async with serve(hear) as port:
            with capture_logs() as logs:
                await ask(port, b"POST /take HTTP/1.1\r\nContent-Length: 10", b"ab", ends=True)
                await gone.wait()
                assert (await ask(port, b"POST /take HTTP/1.1\r\nContent-Length: 2", b"ab"))[0] == 200
        assert (logs, caplog.records) == ([], [])

    asyncio.run(run())
