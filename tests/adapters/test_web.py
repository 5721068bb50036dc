"""What can come of one call, as values: statuses, times to wait, JSON that is none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import Throttled, Unauthorised, Unavailable, Unknown, WrongShape
from adapters.web import BODY_BYTES_MAX, Line, Reply, format_json, parse_json, parse_retry_after

JSON = "application/json"


def call(respond: Callable[[], web.StreamResponse], *, writes: bool) -> Any:
    """What `Line` makes of a server that answers so."""

    async def handle(_: web.Request) -> web.StreamResponse:
        return respond()

    async def run() -> Any:
        app = web.Application()
        app.router.add_route("*", "/x", handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        line = Line(f"http://127.0.0.1:{runner.addresses[0][1]}", 5_000)
        try:
            return await (line.write("/x", b"{}") if writes else line.read("/x"))
        finally:
            await line.close()
            await runner.cleanup()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("status", "kind", "headers", "written", "read"),
    [
        (200, JSON, {}, Reply, Reply),
        (201, "application/problem+json", {}, Reply, Reply),
        (404, JSON, {}, Reply, Reply),
        (200, "text/html", {}, WrongShape, WrongShape),
        (404, "text/html", {}, WrongShape, WrongShape),
        (302, JSON, {"Location": "/login"}, WrongShape, WrongShape),
        (401, JSON, {}, Unauthorised, Unauthorised),
        (429, "text/html", {"Retry-After": "5"}, Throttled, Throttled),
        (503, JSON, {"Retry-After": "5"}, Unavailable, Unavailable),
        (503, JSON, {}, Unknown, Unavailable),
        (503, "application/problem+json", {"Retry-After": "soon"}, Unknown, Unavailable),
        (503, "text/html", {"Retry-After": "5"}, Unavailable, Unavailable),
        (503, "text/html", {}, Unknown, Unavailable),
        (500, JSON, {}, Unknown, Unavailable),
        (502, "text/html", {}, Unknown, Unavailable),
    ],
)
def test_every_status_is_a_value(status: int, kind: str, headers: dict[str, str], written: type, read: type) -> None:
    def respond() -> web.Response:
        return web.Response(status=status, body=b'{"a": 1}', content_type=kind, headers=headers)

    assert isinstance(call(respond, writes=True), written)
    assert isinstance(call(respond, writes=False), read)


def test_a_flood_is_not_read_to_its_end() -> None:
    flood = b" " * (BODY_BYTES_MAX + 70_000)
    answer = call(lambda: web.Response(body=flood, content_type=JSON), writes=False)
    assert isinstance(answer, WrongShape)
    assert answer.evidence == b""


def test_silence_after_sending_is_unknown_and_before_is_unavailable() -> None:
    async def run() -> None:
        never = asyncio.Event()

        async def handle(_: web.Request) -> web.Response:
            await never.wait()
            return web.Response()

        app = web.Application()
        app.router.add_route("*", "/x", handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        line = Line(f"http://127.0.0.1:{runner.addresses[0][1]}", 50)
        assert isinstance(await line.write("/x", b"{}"), Unknown)
        assert isinstance(await line.read("/x"), Unavailable)
        never.set()
        await runner.cleanup()
        assert isinstance(await line.write("/x", b"{}"), Unavailable)
        await line.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("text", "date", "ms"),
    [
        (None, None, None),
        ("3600", None, 3_600_000),
        ("0", None, 0),
        ("-1", None, None),
        ("soon", None, None),
        ("1e9", None, None),
        ("9" * 30, None, 366 * 86_400_000),
        ("9" * 5_000, None, 366 * 86_400_000),
        ("Fri, 31 Dec 9999 00:00:00 GMT", "Fri, 20 Mar 2026 10:00:00 GMT", 366 * 86_400_000),
        ("Fri, 20 Mar 2026 10:00:10 GMT", "Fri, 20 Mar 2026 10:00:00 GMT", 10_000),
        ("Fri, 20 Mar 2026 09:00:00 GMT", "Fri, 20 Mar 2026 10:00:00 GMT", 0),
    ],
)
def test_retry_after(text: str | None, date: str | None, ms: int | None) -> None:
    assert parse_retry_after(text, date) == ms


@given(st.text(max_size=40))
def test_any_retry_after_is_a_time_or_nothing(text: str) -> None:
    found = parse_retry_after(text, "Fri, 20 Mar 2026 10:00:00 GMT")
    assert found is None or found >= 0


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"1e99999999999999999999", b"NaN", b'{"a": Infinity}', b'{"a":1,"a":2}', b"[" * 100_000, b"\xff"]
)
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_json(raw)


def test_numbers_are_exact_and_spelling_is_one() -> None:
    assert parse_json(b'{"b": 0.1, "a": 12345678901234567890}') == {"a": 12345678901234567890, "b": Decimal("0.1")}
    assert format_json({"b": 1, "a": "é"}) == '{"a":"é","b":1}'.encode()
