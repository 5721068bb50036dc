"""Nothing that is sent to a hub's HTTP door is answered with an error of ours: junk in every place of every route."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from structlog.testing import capture_logs

from hub.service.routes import ROUTES, Route
from tests.hub.service.test_running import TOKENS, open_stage

WORDS = (
    b"",
    b"\xff\xfe",
    b"%00",
    b"%ff%fe",
    b"..%2f..%2fetc%2fpasswd",
    b"%F0%9F%8C%8D",
    b"a" * 3_000,
    b"-1",
    b"9" * 4_400,
    b"1e400",
    b"0" * 32,
    b"%7B%22",
    b"1.1",
    b"9" * 20 + b".1",
    b"9" * 4_400 + b".1",
    b"1." + b"9" * 4_400,
    b"puro",
)
BODIES = (
    b"",
    b"\xff\xfe\x00",
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b"[" * 20_000,
    b'{"units": 1e999999999}',
    b'{"units": -1, "account": "\\ud800"}',
    b'{"account": 7, "units": "1", "purpose": [], "expires_ms": {}}',
    b'{"action": "accept", "because": "\\u0000"}',
    b'{"because": "' + b"x" * 60_000 + b'"}',
    b'{"a": ' * 5_000 + b"1" + b"}" * 5_000,
    b"x" * 70_000,
)
HEADERS = (b"Authorization", b"Idempotency-Key", b"Last-Event-ID", b"Accept", b"Content-Type", b"Content-Length")


class Junk(NamedTuple):
    """A request, byte by byte."""

    method: str
    target: bytes
    headers: dict[bytes, bytes]
    body: bytes = b""

    def encode(self) -> bytes:
        sent = {b"Content-Length": str(len(self.body)).encode(), **self.headers}
        lines = [self.method.encode() + b" " + self.target + b" HTTP/1.1", b"Host: hub", b"Connection: close"]
        return b"\r\n".join([*lines, *(name + b": " + value for name, value in sent.items()), b"", self.body])


def make_junk(route: Route) -> Iterator[Junk]:
    """Every place of a route, one at a time, with every word; the rest as it should be."""
    said = {
        b"Authorization": b"Bearer " + TOKENS["operator"].encode(),
        b"Idempotency-Key": b"01890a5d-ac96-774b-bcce-b302099a8057",
        b"Content-Type": b"application/json",
    }
    good = re.sub(r"{\w+}", "puro", route.path).encode()
    for word in WORDS:
        if "{" in route.path:
            yield Junk(route.method, re.sub(rb"{\w+}", lambda _, word=word: word, route.path.encode()), said)  # type: ignore[misc]
        for name in route.query:
            yield Junk(route.method, good + b"?" + name.encode() + b"=" + word, said)
        for header in HEADERS:
            yield Junk(route.method, good, {**said, header: word})
        yield Junk(route.method, good, {**said, b"Authorization": b"Bearer " + word})
    for body in BODIES if route.method == "POST" else ():
        yield Junk(route.method, good, said, body)


async def ask(address: str, junk: Junk) -> int:
    """The status of the answer; 0: the line was closed without one."""
    host, _, port = address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(junk.encode())
        line = await asyncio.wait_for(reader.readline(), 20)
    except ConnectionError:
        return 0
    finally:
        writer.close()
    return int(line.split()[1]) if line else 0


def test_no_junk_anywhere_is_an_error_of_ours(tmp_path: Path) -> None:
    async def run() -> None:
        async with open_stage(tmp_path) as stage, stage.hub() as running:
            door = [Junk("POST", b"/inbound/" + word, {}, body) for word in WORDS for body in BODIES]
            with capture_logs() as logs:
                every = [*door, *(junk for route in ROUTES for junk in make_junk(route))]
                broken = [junk.encode()[:200] for junk in every if await ask(running.address, junk) >= 500]
            assert broken == []
            assert [each for each in logs if each["log_level"] == "error"] == []

    asyncio.run(run())
