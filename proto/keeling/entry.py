"""Entries: what one node hands to the ordering log, signed (design §4.2).

An entry names its network, author, the author's own number and clock, and carries the submissions' exact bytes. Whether
an entry makes a block is a function of entry and state (`node.core.block`); here are only its bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from keeling.encoding import BYTES, BYTES32, BYTES64, U64, EncodingError, listing, record

DOMAIN: Final = b"keeling/entry/v1\n"
MAX_ENTRY_BYTES: Final = 1 << 20


class Entry(NamedTuple):
    """`author` is the node's entry key; `clock_ms` its clock when it made the entry; numbers only ever grow."""

    network: bytes
    author: bytes
    number: int
    clock_ms: int
    submissions: tuple[bytes, ...]


class SignedEntry(NamedTuple):
    """An entry and its author's signature; `digest` names the exact signed bytes."""

    entry: Entry
    signature: bytes
    digest: bytes


ENTRY: Final = record(Entry, BYTES32, BYTES32, U64, U64, listing(BYTES))


def format_entry(entry: Entry, sign: Callable[[bytes], bytes]) -> bytes:
    """The signed bytes of an entry."""
    body = ENTRY.encode(entry)
    return body + sign(DOMAIN + hashlib.sha256(body).digest())


def parse_entry(data: bytes, check: Callable[[bytes, bytes, bytes], bool]) -> SignedEntry:
    """Parse an entry and check its signature with `check(key, signature, message)`; raises `EncodingError`."""
    if len(data) > MAX_ENTRY_BYTES:
        raise EncodingError(f"an entry of {len(data)} bytes; {MAX_ENTRY_BYTES} are allowed")
    body, signature = data[:-64], data[-64:]
    entry = ENTRY.decode(body)
    BYTES64.encode(signature)
    if not check(entry.author, signature, DOMAIN + hashlib.sha256(body).digest()):
        raise EncodingError("the entry's signature does not verify under its author's key")
    return SignedEntry(entry, signature, hashlib.sha256(data).digest())


def compute_size(submissions: Sequence[bytes]) -> int:
    """The bytes an entry with these submissions takes, signature included."""
    return 32 + 32 + 8 + 8 + 4 + sum(4 + len(s) for s in submissions) + 64
