"""One HTTP call to a registry, and everything that can come of it as a value of the contract.

The only place where the foreign library's errors and HTTP statuses are translated. What a good answer's JSON means is
each adapter's own. Nothing here repeats a call, sleeps, or logs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

import aiohttp

from adapters.contract import (
    Throttled,
    Unauthorised,
    Unavailable,
    Unknown,
    WrongShape,
)

BODY_BYTES_MAX: Final = 16 << 20
"""A longer answer is nothing we asked for."""
_WAIT_MAX_S: Final = 366 * 86_400
_DIGITS_MAX: Final = 12
"""Of seconds: more of them say no more than that it is far too long."""
_THROTTLED: Final = 429
_CLOSED: Final = 503
_JSON: Final = ("application/json", "application/problem+json")


class Reply(NamedTuple):
    """An answer in the registry's language: status 2xx or 4xx, and JSON; None where a good answer says nothing."""

    status: int
    json: Any
    body: bytes
    headers: Mapping[str, str]

    @property
    def good(self) -> bool:
        return self.status // 100 == 2


class Line:
    """The connection to one registry's server; opened at the first call."""

    def __init__(self, base_url: str, timeout_ms: int) -> None:
        self._base_url = base_url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout_ms / 1000)
        self._session: aiohttp.ClientSession | None = None

    async def read(
        self, path: str, *, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply | Throttled | Unauthorised | Unavailable | WrongShape:
        """Ask something that has no effect."""
        found = await self._call("GET", path, params, headers or {}, None)
        return Unavailable(found.detail) if isinstance(found, Unknown) else found

    async def write(
        self, path: str, body: bytes, *, headers: Mapping[str, str] | None = None, method: str = "POST"
    ) -> Reply | Throttled | Unauthorised | Unavailable | WrongShape | Unknown:
        """Say something that has an effect. Unknown and WrongShape leave open whether it had."""
        said = {"Content-Type": "application/json", **(headers or {})}
        return await self._call(method, path, None, said, body)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _call(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> Reply | Throttled | Unauthorised | Unavailable | WrongShape | Unknown:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        url = self._base_url + path
        try:
            async with self._session.request(
                method, url, params=params, headers=headers, data=body, allow_redirects=False
            ) as response:
                raw = await _read_body(response)
                return _judge(response.status, response.headers, raw)
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL) as error:
            return Unavailable(f"no connection: {error}")
        except TimeoutError:
            return Unknown("no answer in time")
        except (aiohttp.ClientError, OSError) as error:
            return Unknown(f"the connection broke: {error or type(error).__name__}")


async def _read_body(response: aiohttp.ClientResponse) -> bytes | None:
    """The whole body; None: it is too long."""
    raw = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        raw += chunk
        if len(raw) > BODY_BYTES_MAX:
            return None
    return bytes(raw)


def _judge(
    status: int, headers: Mapping[str, str], raw: bytes | None
) -> Reply | Throttled | Unauthorised | Unavailable | WrongShape | Unknown:
    wait_ms = parse_retry_after(headers.get("Retry-After"), headers.get("Date"))
    if status == _THROTTLED:
        return Throttled(wait_ms, "429")
    if status == 401:
        return Unauthorised(_excerpt(raw))
    if raw is None:
        return WrongShape(f"more than {BODY_BYTES_MAX} bytes")
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if status == _CLOSED and wait_ms is not None:  # without it a gateway may have lost patience with what goes on
        return Unavailable("503: closed", wait_ms)
    if status // 100 == 5:
        return Unknown(f"{status}: {_excerpt(raw)}")
    if status // 100 not in (2, 4):
        return WrongShape(f"status {status}", raw)
    if status // 100 == 2 and not raw:
        return Reply(status, None, b"", dict(headers))
    if kind not in _JSON:
        return WrongShape(f"{status} with {kind or 'no content type'}: {_excerpt(raw)}", raw)
    try:
        found = parse_json(raw)
    except ValueError as error:
        return WrongShape(f"{status} with JSON that cannot be read: {error}", raw)
    return Reply(status, found, raw, dict(headers))


def parse_json(raw: bytes) -> Any:
    """Read JSON with exact numbers; raises `ValueError`, also for NaN, a name said twice, and too deep nesting."""
    try:
        return json.loads(
            raw, parse_float=_read_decimal, parse_constant=_refuse_constant, object_pairs_hook=_build_object
        )
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def format_json(value: Any) -> bytes:
    """JSON of one spelling: sorted names, no spaces, UTF-8; half a surrogate pair stays the escape it came as."""
    said = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return said.encode("utf-8", "backslashreplace")


def parse_retry_after(text: str | None, date: str | None = None) -> int | None:
    """Milliseconds to wait (RFC 9110 §10.2.3: seconds, or an HTTP date, taken against the server's `Date`); a year at
    most."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:_DIGITS_MAX]), _WAIT_MAX_S) * 1000
    try:
        until = parsedate_to_datetime(text)
        since = parsedate_to_datetime(date) if date else datetime.now(UTC)
        return min(max(0, int((until - since).total_seconds())), _WAIT_MAX_S) * 1000
    except (ValueError, TypeError, OverflowError):
        return None


def _read_decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"{text[:40]} is beyond any number") from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _excerpt(raw: bytes | None) -> str:
    return (raw or b"")[:120].decode("utf-8", "replace")
