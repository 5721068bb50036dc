"""The bytes of the embedded log: a segment file is a header and the records of consecutive positions.

Pure: bytes in, bytes out. Which files there are and when they are synced is decided in `embedded`.

A header is the magic, u32 length and u32 CRC-32 of its body, the body (`SegmentHeader` in the canonical encoding) and
an end byte. A record is u32 length and u32 CRC-32 of the entry, u32 CRC-32 over its position and those eight bytes, the
entry, and an end byte. The end byte is not zero, so a record of which a disk kept only the size, or only the beginning,
is told from one that was whole once and is damaged now: the first was never promised to anyone and is cut, the second
may have been and is refused.
"""

from __future__ import annotations

import struct
from array import array
from typing import Final, NamedTuple
from zlib import crc32

from keeling.encoding import BYTES32, TEXT, U64, EncodingError, record
from node.ordering.contract import LogDamaged, LogId

_MAGIC: Final = b"KEELORD1"
_END: Final = b"\x1e"
_SIZES: Final = struct.Struct(">II")
_RECORD: Final = struct.Struct(">III")
_PLACED: Final = struct.Struct(">QII")

RECORD_OVERHEAD: Final = _RECORD.size + len(_END)
"""Bytes of a record beside its entry."""


class SegmentHeader(NamedTuple):
    """What a segment file belongs to."""

    epoch: int
    name: str
    first: int
    """Position of its first record."""
    before: bytes
    """Digest of the entry before that."""

    @property
    def log(self) -> LogId:
        return LogId(self.epoch, self.name)


_HEADER: Final = record(SegmentHeader, U64, TEXT, U64, BYTES32)


class Records(NamedTuple):
    """Where the records of a segment are."""

    ends: array[int]
    """Offset behind each record, in the order of positions."""
    torn: bool
    """Whether an incomplete record follows the last one."""


def format_header(header: SegmentHeader) -> bytes:
    body = _HEADER.encode(header)
    return _MAGIC + _SIZES.pack(len(body), crc32(body)) + body + _END


def parse_header(data: bytes, file: str) -> tuple[SegmentHeader, int]:
    """The header at the start of `data` and the offset behind it; `LogDamaged`, naming `file`, if there is none."""
    body_at = len(_MAGIC) + _SIZES.size
    if not data.startswith(_MAGIC) or len(data) < body_at:
        raise LogDamaged(f"{file} does not begin as a log segment")
    size, checksum = _SIZES.unpack_from(data, len(_MAGIC))
    end = body_at + size
    body = data[body_at:end]
    if crc32(body) != checksum or data[end : end + 1] != _END:
        raise LogDamaged(f"{file} has a damaged header")
    try:
        return _HEADER.decode(body), end + len(_END)
    except EncodingError as error:
        raise LogDamaged(f"{file} has a header this release cannot read: {error}") from error


def is_unfinished(data: bytes, header: SegmentHeader) -> bool:
    """Whether `data` is what a crash may leave of a file that was to begin with `header` and nothing more yet."""
    written = data.rstrip(b"\x00")
    whole = format_header(header)
    return len(written) < len(whole) and whole.startswith(written)


def format_record(position: int, entry: bytes) -> bytes:
    checksum = crc32(entry)
    placed = crc32(_PLACED.pack(position, len(entry), checksum))
    return _RECORD.pack(len(entry), checksum, placed) + entry + _END


def parse_record(data: bytes, at: int, end: int, position: int, file: str) -> bytes:
    """The entry of the whole record from offset `at` to `end`; `LogDamaged` with its place if it is not that."""
    length, checksum, placed = _RECORD.unpack_from(data, at)
    entry = data[at + _RECORD.size : end - len(_END)]
    if (
        crc32(_PLACED.pack(position, length, checksum)) != placed
        or len(entry) != length
        or crc32(entry) != checksum
        or data[end - len(_END) : end] != _END
    ):
        raise LogDamaged(f"the entry at position {position} is damaged ({file}, offset {at})")
    return entry


def find_records(data: bytes, at: int, first: int, file: str) -> Records:
    """Check all records of a segment from offset `at` on, the first being of position `first`.

    Raises `LogDamaged` for a record that was whole once. Whether an incomplete one may follow, the caller knows.
    """
    ends: array[int] = array("Q")
    while at < len(data):
        position = first + len(ends)
        end = _find_end(data, at, position)
        if end is None:
            return Records(ends, torn=True)
        parse_record(data, at, end, position, file)
        ends.append(end)
        at = end
    return Records(ends, torn=False)


def _find_end(data: bytes, at: int, position: int) -> int | None:
    """The offset behind the record at `at`, right or damaged; None if it was never written to its end."""
    if len(data) - at >= _RECORD.size:
        length, checksum, placed = _RECORD.unpack_from(data, at)
        end: int = at + length + RECORD_OVERHEAD
        sizes_hold = crc32(_PLACED.pack(position, length, checksum)) == placed
        if sizes_hold and end <= len(data) and data[end - 1 : end] == _END:
            return end
        written = at + len(data[at:].rstrip(b"\x00"))
        if sizes_hold:
            return None if written < end else end
        return None if written < at + _RECORD.size else min(end, len(data))
    return None
