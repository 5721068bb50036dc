"""The tables of consensus state: one byte of prefix, how a key is built, how a value is encoded.

Keys sort so that a scan gives what a rule needs: lots of a batch by position, holdings of an account by state, batch
and position, holds by expiry. Prefixes are part of the state's hash and never reused.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Generic, TypeVar

from keeling import encoding as e
from keeling.encoding import Codec
from node.core import records as r
from node.core.article6 import records as a6
from node.core.governance import records as g

V = TypeVar("V")


class Table(Generic[V]):
    """A family of keys with one kind of value. `ordered` tables are scanned, the others only read by key.

    `grouped` is how many parts the rows share that a rule goes through again and again; `steady` tables are read by
    every transaction and changed by few, so that rules may remember what they concluded from them (`State.concluded`).
    """

    def __init__(
        self,
        prefix: bytes,
        value: Codec[V],
        *keys: Codec[Any],
        ordered: bool = False,
        grouped: int = 0,
        steady: bool = False,
    ) -> None:
        self.prefix: Final = prefix
        self.value: Final = value
        self.encode: Final = value.encoder()
        self.ordered: Final = ordered
        self._keys = keys
        forms = [getattr(codec, "form", None) for codec in keys]
        self._struct = struct.Struct(">c" + "".join(map(str, forms))) if None not in forms else None
        self._prefixes = [self._make(n) for n in range(len(keys) + 1)]
        shared = self._prefixes[grouped]
        self.steady: Final = steady
        self.group: Final = shared.size if grouped and shared is not None else 0
        """The bytes of key that the rows of one group share; 0 where rows are not kept in groups."""
        self.whole_key: Final[Callable[..., bytes]] = self._make_whole_key()
        """`key` for all parts, the way most reads and writes go: one call into C where all parts are fixed."""

    def _make(self, parts: int) -> struct.Struct | None:
        forms = [getattr(codec, "form", None) for codec in self._keys[:parts]]
        return struct.Struct(">c" + "".join(map(str, forms))) if None not in forms else None

    def _make_whole_key(self) -> Callable[..., bytes]:
        if self._struct is not None:
            return partial(self._struct.pack, self.prefix)
        fixed = self._prefixes[len(self._keys) - 1]
        if fixed is None or self._keys[-1] is not e.TEXT:
            return self.key
        pack = partial(fixed.pack, self.prefix)
        return lambda *parts: pack(*parts[:-1]) + e.encode_name(parts[-1])

    def key(self, *parts: Any) -> bytes:
        """The key with these parts; with fewer than the table has, the prefix that all such keys share."""
        packed = self._prefixes[len(parts)]
        if packed is not None:
            return packed.pack(self.prefix, *parts)
        out = bytearray(self.prefix)
        for codec, part in zip(self._keys, parts, strict=False):
            codec.write(out, part)
        return bytes(out)

    def parts(self, key: bytes) -> tuple[Any, ...]:
        """The parts of a whole key."""
        if self._struct is not None:
            return self._struct.unpack(key)[1:]
        found, at = [], 1
        for codec in self._keys:
            part, at = codec.read(key, at)
            found.append(part)
        return tuple(found)


def after(prefix: bytes) -> bytes:
    """The first key after all that start with `prefix`."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1])


PROGRESS: Final = Table(b"!", r.PROGRESS)
PARTICIPANTS: Final = Table(b"p", r.PARTICIPANT, e.TEXT, ordered=True, steady=True)
KEYS: Final = Table(b"k", r.KEY, e.BYTES32, ordered=True, steady=True)
AUTHORS: Final = Table(b"v", r.AUTHOR, e.BYTES32, ordered=True)
RECORDS: Final = Table(b"r", r.VERSIONS, e.TEXT, ordered=True, steady=True)
ACCOUNTS: Final = Table(b"a", r.ACCOUNT, e.U32, ordered=True, steady=True)
ACCOUNT_NUMBERS: Final = Table(b"A", r.NUMBER, e.TEXT, steady=True)
CONDITIONS: Final = Table(b"L", r.CONDITION, e.TEXT, e.U8, ordered=True, steady=True)
MANDATES: Final = Table(b"M", r.MANDATE, e.U32, e.TEXT, ordered=True)
PROJECTS: Final = Table(b"j", r.PROJECT, e.TEXT, ordered=True)
BATCHES: Final = Table(b"b", r.BATCH, e.U32, ordered=True, steady=True)
BATCH_NUMBERS: Final = Table(b"B", r.NUMBER, e.TEXT, steady=True)
SPACES: Final = Table(b"s", r.SPACE, e.TEXT, e.NATURAL, ordered=True)
LOTS: Final = Table(b"l", r.LOT, e.U32, e.U64, ordered=True)
HOLDINGS: Final = Table(b"h", r.HOLDING, e.U32, e.U8, e.U32, e.U64, ordered=True, grouped=3)
TOTALS: Final = Table(b"t", r.TOTAL, e.U32, e.U8, e.U32, ordered=True)
MARKS: Final = Table(b"m", r.MARK, e.U32, e.U8, e.TEXT, e.U64, ordered=True)
HOLDS: Final = Table(b"o", r.HOLD, e.BYTES16, ordered=True)
EXPIRIES: Final = Table(b"e", r.EMPTY, e.U64, e.BYTES16, ordered=True)
IDS: Final = Table(b"i", r.DECIDED, e.BYTES16, e.TEXT, ordered=True)
CASH: Final = Table(b"c", r.AMOUNT, e.U32, e.TEXT, ordered=True)
CURRENCIES: Final = Table(b"C", r.CURRENCY, e.TEXT, ordered=True)
CLAIMS: Final = Table(b"w", r.CLAIM, e.U64, e.U32)
ATTESTATIONS: Final = Table(b"T", r.ATTESTED, e.TEXT, e.TEXT)
NOTICES: Final = Table(b"N", r.NOTICE, e.TEXT, ordered=True)
DISCREPANCIES: Final = Table(b"d", r.DISCREPANCY, e.U64, e.U32, ordered=True)
ASSUMED: Final = Table(b"u", r.EMPTY, e.U32)
"""Batches whose units are counted but whose numbers nobody has shown; see `node.core.numbering`."""
PROPOSALS: Final = Table(b"q", r.PROPOSAL, e.U32, e.U64, ordered=True)
ANCHORS: Final = Table(b"n", r.ANCHORED, e.TEXT, e.TEXT, ordered=True)

PARTY_OF: Final = Table(b"0", a6.PARTY_CODE, e.TEXT)
AUTHORIZATIONS: Final = Table(b"1", a6.AUTHORIZATION, e.TEXT, ordered=True)
TERMS: Final = Table(b"2", a6.TERMS, e.TEXT, e.U32, ordered=True)
SCOPES: Final = Table(b"3", a6.EMPTY, e.U8, e.TEXT, e.TEXT, ordered=True, steady=True)
COVERED: Final = Table(b"4", a6.EMPTY, e.TEXT, e.U32, ordered=True)
COVERED_BATCHES: Final = Table(b"5", a6.EMPTY, e.U32)
PROGRAMME_BATCHES: Final = Table(b"6", a6.EMPTY, e.TEXT, e.TEXT, e.U32, ordered=True)
ITMOS: Final = Table(b"7", a6.ITMO_RANGE, e.TEXT, e.U64, ordered=True)
ACTIONS: Final = Table(b"8", a6.ACTION, e.U64, e.U32)
ACTIONS_OF: Final = Table(b"9", a6.EMPTY, e.U64, e.U32, e.U32, ordered=True)
ADJUSTMENTS: Final = Table(b"x", a6.ADJUSTMENT, e.TEXT, e.U16, e.U8, e.U64, e.U32, ordered=True)
PARTY_YEARS: Final = Table(b"y", a6.PARTY_YEAR, e.TEXT, e.U16, ordered=True)
REPORTS: Final = Table(b"z", a6.REPORT, e.TEXT, e.U16, ordered=True)

VALIDATORS: Final = Table(b"V", g.VALIDATOR, e.TEXT, ordered=True)
CONTACTS: Final = Table(b"D", g.CONTACT, e.TEXT, ordered=True)
POLICY: Final = Table(b"P", g.POLICY)
SCHEDULE: Final = Table(b"R", g.SCHEDULE)
MOTIONS: Final = Table(b"Q", g.MOTION, e.TEXT, ordered=True)
ATTESTED: Final = Table(b"S", g.ATTESTED, e.U64, ordered=True)

ALL: Final[tuple[Table[Any], ...]] = tuple(value for value in globals().values() if isinstance(value, Table))
