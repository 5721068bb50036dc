"""The rows of a transfer without the ledger: packed, sorted, hashed and put by a loop that decides and checks nothing.

What the state of the design costs in this language on this machine whatever the rules do: a ceiling for executing.
Rows and sizes are those of `bench.ledger`'s load: a lot cut in two, what two accounts hold and their totals, the id,
the event and its leaf.
"""

from __future__ import annotations

import hashlib
import struct
import time
from pathlib import Path
from typing import Final

from node.core import tables as t
from node.store.contract import Batch, Family
from node.store.rocks import RocksStore

PER_BLOCK: Final = 500
ACCOUNTS: Final = 1_000
_LOT: Final = struct.Struct(">QIBQI16s")
_HOLDING: Final = struct.Struct(">QQI")
_TOTAL: Final = struct.Struct(">QI")
_DECIDED: Final = struct.Struct(">32sQII")
_EVENT: Final = struct.Struct(">QIQQ32s64x")
_PLACE: Final = struct.Struct(">QI")
_LENGTHS: Final = struct.Struct(">II")
_PARTICIPANT: Final = b"\0\0\0\5group"
_SUBMITTED: Final = bytes(280)
"""A transaction's bytes, about."""


def measure_bare_rows(folder: Path, seconds: float) -> float:
    """Transfers per second of processor time on one core. `folder` is new, and on the disk that the node will use."""
    store = RocksStore.create(folder)
    try:
        height, started, until = 0, time.thread_time(), time.perf_counter() + max(seconds, 0.02)
        while not height or time.perf_counter() < until:
            height += 1
            store.commit(_make_block(height))
        return height * PER_BLOCK / (time.thread_time() - started)
    finally:
        store.close()


def _make_block(height: int) -> Batch:
    """What 500 transfers write: STATE rows in the order of their keys, as they are hashed, and the events."""
    lot, holding, total = t.LOTS.whole_key, t.HOLDINGS.whole_key, t.TOTALS.whole_key
    rows: dict[bytes, bytes | None] = {}
    events: list[tuple[bytes, bytes]] = []
    for ordinal in range(PER_BLOCK):
        giver, taker = (height * 7 + ordinal) % ACCOUNTS, (height * 13 + ordinal * 31) % ACCOUNTS
        first, units = height * PER_BLOCK * 100 + ordinal * 100, ordinal % 99 + 1
        digest = hashlib.sha256(_SUBMITTED).digest()
        held = _HOLDING.pack(units, height, ordinal)
        rows[lot(1, first)] = _LOT.pack(units, taker, 1, height, ordinal, bytes(16))
        rows[lot(1, first + units)] = _LOT.pack(100 - units, giver, 1, height, ordinal, bytes(16))
        rows[holding(giver, 1, 1, first)] = None
        rows[holding(giver, 1, 1, first + units)] = held
        rows[holding(taker, 1, 1, first)] = held
        rows[total(giver, 1, 1)] = rows[total(taker, 1, 1)] = _TOTAL.pack(units, 3)
        place = _PLACE.pack(height, ordinal)
        rows[b"".join((b"i", digest[:8], place[4:], _PARTICIPANT))] = _DECIDED.pack(digest, height, ordinal, 0)
        event = _EVENT.pack(height, ordinal, first, units, digest)
        events.append((place, hashlib.sha256(event).digest() + event + _SUBMITTED))
    ordered, written, batch = sorted(rows.items()), hashlib.sha256(), Batch()
    for key, value in ordered:
        written.update(_LENGTHS.pack(len(key), 0 if value is None else len(value)) + key + (value or b""))
    batch.update(Family.STATE, ordered)
    batch.update(Family.EVENTS, events)
    batch.put(Family.META, b"writes", written.digest())
    return batch
