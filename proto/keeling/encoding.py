"""The canonical encoding: the one way this ledger turns values it hashes or signs into bytes.

Whatever a node generates and hashes (leaves, headers, votes, state) is encoded here and never with protobuf, whose
bytes differ between versions. Here live the primitives and their composition; the records themselves live beside their
meaning. The rules (docs/formats.md) are: integers big endian at a fixed width; bytes and text behind a u32 length, text
in strict UTF-8; a list behind a u32 count; an optional value behind one byte 00 or 01; a record is its fields in order,
nothing between them. Every value has exactly one encoding, and `decode` refuses all others.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, Generic, NamedTuple, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class EncodingError(ValueError):
    """The value has no canonical encoding, or the bytes are not one."""


class Codec(ABC, Generic[T]):
    """Encodes a `T` to its only byte form and back."""

    @abstractmethod
    def write(self, out: bytearray, value: T) -> None:
        """Append the encoding of `value` to `out`."""

    @abstractmethod
    def read(self, data: bytes, at: int) -> tuple[T, int]:
        """Return the value that starts at offset `at` and the offset after it."""

    def encode(self, value: T) -> bytes:
        out = bytearray()
        self.write(out, value)
        return bytes(out)

    def encoder(self) -> Callable[[T], bytes]:
        """`encode` by itself, as quick as it can be made: for what is written by the thousand."""
        return self.encode

    def decode(self, data: bytes) -> T:
        """Return the value whose encoding is exactly `data`; raise `EncodingError` otherwise."""
        value, end = self.read(data, 0)
        if end != len(data):
            raise EncodingError(f"{len(data) - end} bytes after the end of the value")
        return value


class _Integer(Codec[int]):
    def __init__(self, form: str) -> None:
        self.form: Final = form
        self._struct = struct.Struct(">" + form)

    def encode(self, value: int) -> bytes:
        try:
            return self._struct.pack(value)
        except struct.error as error:
            raise EncodingError(f"{value!r} does not fit {8 * self._struct.size} bits") from error

    def write(self, out: bytearray, value: int) -> None:
        try:
            out += self._struct.pack(value)
        except struct.error as error:
            raise EncodingError(f"{value!r} does not fit {8 * self._struct.size} bits") from error

    def read(self, data: bytes, at: int) -> tuple[int, int]:
        try:
            return self._struct.unpack_from(data, at)[0], at + self._struct.size
        except struct.error as error:
            raise EncodingError(f"the bytes end inside an integer at offset {at}") from error


class _Bool(Codec[bool]):
    form: Final = "?"

    def write(self, out: bytearray, value: bool) -> None:
        out.append(1 if value else 0)

    def read(self, data: bytes, at: int) -> tuple[bool, int]:
        mark = data[at : at + 1]
        if mark not in (b"\x00", b"\x01"):
            raise EncodingError(f"a truth value at offset {at} is neither 00 nor 01")
        return mark == b"\x01", at + 1


class _Fixed(Codec[bytes]):
    def __init__(self, size: int) -> None:
        self.size: Final = size
        self.form: Final = f"{size}s"

    def write(self, out: bytearray, value: bytes) -> None:
        if len(value) != self.size:
            raise EncodingError(f"expected {self.size} bytes, got {len(value)}")
        out += value

    def read(self, data: bytes, at: int) -> tuple[bytes, int]:
        end = at + self.size
        if end > len(data):
            raise EncodingError(f"the bytes end inside a value of {self.size} bytes at offset {at}")
        return data[at:end], end


_READ_LENGTH: Final = struct.Struct(">I").unpack_from
_LENGTH: Final = struct.Struct(">I").pack
"""The u32 before bytes, texts and lists, written without going through a codec: it is half of all that is written."""


class _Bytes(Codec[bytes]):
    def write(self, out: bytearray, value: bytes) -> None:
        out += _LENGTH(len(value))
        out += value

    def read(self, data: bytes, at: int) -> tuple[bytes, int]:
        try:
            (size,) = _READ_LENGTH(data, at)
        except struct.error as error:
            raise EncodingError(f"the bytes end inside an integer at offset {at}") from error
        at += 4
        end = at + size
        if end > len(data):
            raise EncodingError(f"the bytes end inside a value of {size} bytes at offset {at}")
        return data[at:end], end


class _Text(Codec[str]):
    def write(self, out: bytearray, value: str) -> None:
        try:
            raw = value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise EncodingError("the text is not Unicode that UTF-8 can carry") from error
        out += _LENGTH(len(raw))
        out += raw

    def read(self, data: bytes, at: int) -> tuple[str, int]:
        raw, end = BYTES.read(data, at)
        try:
            return raw.decode("utf-8"), end
        except UnicodeDecodeError as error:
            raise EncodingError(f"text at offset {at} is not UTF-8") from error


class _Natural(Codec[int]):
    """A whole number from 0 of any size: a u16 byte count, then its shortest big-endian form. Sorts as numbers do."""

    def write(self, out: bytearray, value: int) -> None:
        if value < 0:
            raise EncodingError(f"{value} is below zero")
        raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
        U16.write(out, len(raw))
        out += raw

    def read(self, data: bytes, at: int) -> tuple[int, int]:
        size, at = U16.read(data, at)
        raw = data[at : at + size]
        if len(raw) != size or raw[:1] == b"\x00":
            raise EncodingError(f"no shortest-form number at offset {at}")
        return int.from_bytes(raw, "big"), at + size


class _Optional(Codec[T | None]):
    def __init__(self, inner: Codec[T]) -> None:
        self._inner = inner

    def write(self, out: bytearray, value: T | None) -> None:
        BOOL.write(out, value is not None)
        if value is not None:
            self._inner.write(out, value)

    def read(self, data: bytes, at: int) -> tuple[T | None, int]:
        present, at = BOOL.read(data, at)
        return self._inner.read(data, at) if present else (None, at)


class _List(Codec[tuple[T, ...]]):
    def __init__(self, inner: Codec[T]) -> None:
        self._inner = inner

    def write(self, out: bytearray, value: Sequence[T]) -> None:
        out += _LENGTH(len(value))
        write = self._inner.write
        for item in value:
            write(out, item)

    def read(self, data: bytes, at: int) -> tuple[tuple[T, ...], int]:
        count, at = U32.read(data, at)
        if count > len(data) - at:
            raise EncodingError(f"a list at offset {at} claims {count} items, more than there are bytes")
        items, read = [], self._inner.read
        for _ in range(count):
            item, at = read(data, at)
            items.append(item)
        return tuple(items), at


class _Record(Codec[T]):
    """Fields in order."""

    def __init__(self, make: Callable[..., T], fields: Sequence[Codec[Any]]) -> None:
        self._make = make
        self._fields = tuple(fields)
        self._writes = tuple([field.write for field in fields])
        self._reads = tuple([field.read for field in fields])

    def write(self, out: bytearray, value: T) -> None:
        # NamedTuples come with as many items as there are fields; a plain tuple of another length is a mistake.
        for write, item in zip(self._writes, value, strict=True):  # type: ignore[call-overload]
            write(out, item)

    def read(self, data: bytes, at: int) -> tuple[T, int]:
        items = []
        for read in self._reads:
            item, at = read(data, at)
            items.append(item)
        return self._make(*items), at


class _Packed(Codec[T]):
    """A record whose fields all have a fixed width: one `struct` call."""

    def __init__(self, make: Callable[..., T], fields: Sequence[_Integer | _Fixed | _Bool]) -> None:
        self._make = make
        self._fields = tuple(fields)
        self._sizes = tuple((i, f.size) for i, f in enumerate(fields) if isinstance(f, _Fixed))
        self._checks = tuple((i, f) for i, f in enumerate(fields) if not isinstance(f, _Integer))
        self._struct = struct.Struct(">" + "".join(f.form for f in fields))
        self._pack = self._struct.pack
        self.size: Final = self._struct.size

    def encode(self, value: T) -> bytes:
        for i, size in self._sizes:
            if len(value[i]) != size:  # type: ignore[index]
                raise EncodingError(f"expected {size} bytes, got {len(value[i])}")  # type: ignore[index]
        try:
            return self._pack(*value)  # type: ignore[misc]
        except struct.error as error:
            raise EncodingError(f"{value!r} does not fit its record") from error

    def encoder(self) -> Callable[[T], bytes]:
        pack = self._pack
        if len(self._sizes) > 1:
            return self._encoder_of_many()
        at, size = self._sizes[0] if self._sizes else (0, 0)

        def encode(value: Any) -> bytes:
            if size and len(value[at]) != size:
                return self.encode(value)  # which says what is wrong
            try:
                return pack(*value)
            except struct.error:
                return self.encode(value)

        return encode

    def _encoder_of_many(self) -> Callable[[T], bytes]:
        pack, pick = self._pack, itemgetter(*(at for at, _ in self._sizes))
        sizes = [size for _, size in self._sizes]

        def encode(value: Any) -> bytes:
            if list(map(len, pick(value))) != sizes:
                return self.encode(value)  # which says what is wrong
            try:
                return pack(*value)
            except struct.error:
                return self.encode(value)

        return encode

    def write(self, out: bytearray, value: T) -> None:
        out += self.encode(value)

    def read(self, data: bytes, at: int) -> tuple[T, int]:
        try:
            items = self._struct.unpack_from(data, at)
        except struct.error as error:
            raise EncodingError(f"the bytes end inside a record at offset {at}") from error
        for i, field in self._checks:
            if isinstance(field, _Bool):
                field.read(data, at + struct.calcsize(">" + "".join(f.form for f in self._fields[:i])))
        return self._make(*items), at + self.size


U8: Final = _Integer("B")
U16: Final = _Integer("H")
U32: Final = _Integer("I")
U64: Final = _Integer("Q")
I64: Final = _Integer("q")
BOOL: Final = _Bool()
BYTES16: Final = _Fixed(16)
BYTES32: Final = _Fixed(32)
BYTES64: Final = _Fixed(64)
BYTES: Final = _Bytes()
TEXT: Final = _Text()
NATURAL: Final = _Natural()

NAMES_KEPT_MAX: Final = 16_384
NAME_MAX: Final = 64
_encode_short: Final = lru_cache(NAMES_KEPT_MAX)(TEXT.encode)


def encode_name(name: str) -> bytes:
    """`TEXT.encode`. The same names come again and again, so those of usual length are kept: a few megabytes."""
    return _encode_short(name) if len(name) <= NAME_MAX else TEXT.encode(name)


def optional(inner: Codec[T]) -> Codec[T | None]:
    """A value that may be absent: 00, or 01 and the value."""
    return _Optional(inner)


def listing(inner: Codec[T]) -> Codec[tuple[T, ...]]:
    """Any number of values: a u32 count, then each."""
    return _List(inner)


def record(make: type[T], *fields: Codec[Any]) -> Codec[T]:
    """The fields of the NamedTuple `make`, in order."""
    names = getattr(make, "_fields", None)
    if names is None or len(names) != len(fields):
        raise EncodingError(f"{make.__name__} has {names}, {len(fields)} field codecs were given")
    if all(isinstance(field, (_Integer, _Fixed, _Bool)) for field in fields):
        return _Packed(make, fields)  # type: ignore[arg-type]
    return _Record(make, fields)


class Ref(NamedTuple):
    """A place on the ledger: the `ordinal`-th transaction or event of the block at `height`."""

    height: int
    ordinal: int


REF: Final = record(Ref, U64, U32)
