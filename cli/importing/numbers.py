"""Whole numbers of any length as a database keeps and sorts them: small ones as integers, long ones as bytes."""

from __future__ import annotations

from typing import Final

_SMALL_BITS: Final = 63
_LENGTH_BYTES: Final = 2


def pack_number(number: int) -> int | bytes:
    """A number from 0 for a column without a type: integers sort before bytes there, and longer bytes after shorter."""
    if number.bit_length() <= _SMALL_BITS:
        return number
    size = (number.bit_length() + 7) // 8
    return size.to_bytes(_LENGTH_BYTES, "big") + number.to_bytes(size, "big")


def unpack_number(packed: int | bytes) -> int:
    """The number again."""
    return packed if isinstance(packed, int) else int.from_bytes(packed[_LENGTH_BYTES:], "big")
