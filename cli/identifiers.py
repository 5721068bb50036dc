"""Ids as clients make them: UUIDv7 (RFC 9562 §5.7), and how people type ids and cursors. Pure, but for the defaults.

That an id is kept before it is sent is the business of `outbox`.
"""

from __future__ import annotations

import os
import re
import time
import uuid
from typing import Final

from cli.exits import misused

_CURSOR: Final = re.compile(r"([0-9]{1,19})\.([0-9]{1,9})", re.ASCII)


def make_uuid7(now_ms: int | None = None, randomness: bytes | None = None) -> bytes:
    """Return 16 bytes: 48 bits of milliseconds since 1970, then version, variant and 74 random bits."""
    now_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    randomness = os.urandom(10) if randomness is None else randomness
    value = bytearray(now_ms.to_bytes(6, "big") + randomness)
    value[6] = 0x70 | value[6] & 0x0F
    value[8] = 0x80 | value[8] & 0x3F
    return bytes(value)


def format_id(value: bytes) -> str:
    """Write 16 bytes in the usual form with hyphens; anything else in hex."""
    return str(uuid.UUID(bytes=value)) if len(value) == 16 else value.hex()


def parse_id(text: str) -> bytes:
    """Read an id in any usual form, with or without hyphens."""
    try:
        return uuid.UUID(text).bytes
    except ValueError as error:
        raise misused(f"{text!r} is no id", "write 32 hex digits, with or without hyphens") from error


def parse_digest(text: str) -> bytes:
    """Read a SHA-256 in hex."""
    try:
        value = bytes.fromhex(text)
    except ValueError as error:
        raise misused(f"{text!r} is not hex", "write the 64 hex digits of a SHA-256") from error
    if len(value) != 32:
        raise misused(f"{text!r} has {len(value)} bytes", "write the 64 hex digits of a SHA-256")
    return value


def parse_cursor(text: str) -> tuple[int, int]:
    """Read "1200.3": height and ordinal of an event."""
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise misused(f"{text!r} is no place in the ledger", "write HEIGHT.ORDINAL, such as 1200.3")
    return int(found[1]), int(found[2])
