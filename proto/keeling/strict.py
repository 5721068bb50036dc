"""Numbers, base64 and hex in text, in the one form a log's files may carry them.

Python's own parsers are too kind for text that is signed: `int` takes `1_000` and Arabic digits, base64 decoders take
spare bits and drop line ends. Whatever is read here has exactly one spelling. What the values mean is said where they
are used. Source: RFC 4648 §4 and the C2SP transparency-log formats; the size limit of numbers is this project's own.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

NUMBER_MAX: Final = 2**63 - 1
"""The largest tree size, leaf index or time that any format here may carry."""

HASH_BYTES: Final = 32
"""SHA-256."""

_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_CONTROL: Final = re.compile(rb"[\x00-\x09\x0b-\x1f]")
_HEX: Final = re.compile(r"(?:[0-9a-f]{2})*", re.ASCII)


class FormatError(ValueError):
    """The bytes or the value break the grammar of the format; the message says which rule and where."""


def check_number(value: int, what: str) -> None:
    """Refuse a number outside 0 … 2^63−1; `what` names it in the message."""
    if not 0 <= value <= NUMBER_MAX:
        raise FormatError(f"{what} {value} is not between 0 and 2^63-1")


def parse_decimal(text: str, what: str) -> int:
    """Return the number that `text` spells in ASCII digits, without sign or leading zero, at most 2^63−1."""
    if _DECIMAL.fullmatch(text) is None:
        raise FormatError(f"{what} {text[:40]!r} is not a plain decimal number")
    value = int(text)
    check_number(value, what)
    return value


def format_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def parse_base64(text: str, what: str) -> bytes:
    """Return the bytes whose only spelling in padded standard base64 is `text`."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise FormatError(f"{what} {text[:80]!r} is not base64") from error
    if format_base64(data) != text:
        raise FormatError(f"{what} {text[:80]!r} is not the canonical base64 of its bytes")
    return data


def parse_hash(text: str, what: str) -> bytes:
    """Return the 32 bytes that `text` spells in base64."""
    data = parse_base64(text, what)
    if len(data) != HASH_BYTES:
        raise FormatError(f"{what} has {len(data)} bytes, a hash has {HASH_BYTES}")
    return data


def parse_hex(text: str, what: str) -> bytes:
    """Return the bytes that `text` spells in lower-case hex."""
    if _HEX.fullmatch(text) is None:
        raise FormatError(f"{what} {text[:80]!r} is not lower-case hex")
    return bytes.fromhex(text)


def decode_text(data: bytes, what: str) -> str:
    """Return `data` as text; refuse what is not UTF-8 or holds a control character other than the newline.

    The control characters are the bytes below 20 hex, as in signed notes.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"{what} is not UTF-8 at byte {error.start}") from error
    if found := _CONTROL.search(data):
        raise FormatError(f"{what} holds the control character {found[0].hex()} at byte {found.start()}")
    return text
