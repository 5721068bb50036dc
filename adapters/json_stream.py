"""Reading a long JSON list record by record, so that memory is bounded by the largest record and not by the file.

The standard library's decoder reads each record, so a value is what it would be if the whole text were read at once.
What the records mean, and what is said about a file that is no JSON, is in `documents`.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, NoReturn

RECORD_CHARACTERS_MAX: Final = 1 << 24
"""Of one record. A record that does not end within it is refused."""
_CHUNK_BYTES: Final = 1 << 16
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_AFTER_VALUE: Final = frozenset(" \t\n\r,]}:")


def stream_records(stream: BinaryIO, chunk_bytes: int = _CHUNK_BYTES) -> Iterator[Any]:
    """Yield the items of a list, or of the list under "data" of an object, or else the one object there is.

    Numbers are the text they were. Raises `ValueError` for what is no JSON in UTF-8, if need be after some records, and
    `RecursionError` for what is nested too deeply.
    """
    reader = _Reader(stream, chunk_bytes)
    if reader.peek() == "[":
        yield from reader.items()
    elif reader.peek() == "{":
        yield from _of_object(reader)
    else:
        yield reader.value()
    if reader.peek():
        raise ValueError("there is more behind its end")


def _of_object(reader: _Reader) -> Iterator[Any]:
    rest: dict[str, Any] = {}
    listed = False
    reader.take("{")
    more = reader.peek() != "}"
    while more:
        if reader.peek() != '"':
            raise ValueError("a name in it is no text")
        name = reader.value()
        reader.take(":")
        if listed and name == "data":
            raise ValueError("it has data twice")
        if name == "data" and reader.peek() == "[":
            listed = True
            yield from reader.items()
        else:
            rest[name] = reader.value()
        more = reader.peek() == ","
        if more:
            reader.take(",")
    reader.take("}")
    if not listed:
        yield rest


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


_DECODER: Final = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_refuse_constant)


class _Reader:
    """The text from some place on; what was read is let go."""

    def __init__(self, stream: BinaryIO, chunk_bytes: int) -> None:
        self._stream: Final = stream
        self._chunk_bytes: Final = chunk_bytes
        self._decoder: Final = codecs.getincrementaldecoder("utf-8-sig")()
        self._text = ""
        self._at = 0
        self._ended = False

    def peek(self) -> str:
        """The next character that is no space, or nothing at the end."""
        while True:
            found = _SPACE.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read_more():
                return ""

    def take(self, character: str) -> None:
        """Go past a character that must be next."""
        found = self.peek()
        if found != character:
            raise ValueError(f"{character!r} is missing before {found!r}" if found else f"it ends before {character!r}")
        self._at += 1

    def items(self) -> Iterator[Any]:
        """The values of a list, from its bracket to its bracket."""
        self.take("[")
        if self.peek() == "]":
            self.take("]")
            return
        yield self.value()
        while self.peek() == ",":
            self.take(",")
            yield self.value()
        self.take("]")

    def value(self) -> Any:
        """The value that begins here."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except ValueError as error:
                if not self._read_more():
                    raise ValueError(error.msg if isinstance(error, json.JSONDecodeError) else str(error)) from error
                continue
            whole = end < len(self._text) and self._text[end] in _AFTER_VALUE
            if whole or not self._read_more():
                self._at = end
                return value

    def _read_more(self) -> bool:
        """Read as much again as is waiting, so that a long record is tried a few times and not many."""
        if self._ended:
            return False
        waiting = len(self._text) - self._at
        if waiting > RECORD_CHARACTERS_MAX:
            raise OverlongRecordError(f"a record does not end within {RECORD_CHARACTERS_MAX} characters")
        raw = self._stream.read(max(self._chunk_bytes, waiting))
        self._text = self._text[self._at :] + self._decoder.decode(raw, final=not raw)
        self._at = 0
        self._ended = not raw
        return True


class OverlongRecordError(ValueError):
    """A record is longer than any we read."""
