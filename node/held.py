"""Rows in INDEX about holds: those of an account, whatever became of them, and those that still hold units.

They follow from the rows of holds in the state alone: from what a block changes there, in the batch that makes it
final, or from a whole state where a store began with one (a snapshot, a successor's, one of an earlier release).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Final

from keeling.encoding import TEXT
from node.core import tables as t
from node.core.holds import LIVE
from node.core.state import State
from node.core.tables import after
from node.ledger import StateReader
from node.store.contract import Batch, Family, Store

AccountOfHold = Callable[[bytes], str]
"""The name of the account a hold was placed in. It never changes."""

INDEXED_KEY: Final = b"index/holds"
"""In META: the rows here are complete. A store that takes over a state loses it, and its next start makes the rows."""
HOLDS_PER_COMMIT: Final = 20_000


def hold_key(account: str, hold: bytes = b"") -> bytes:
    """Key of a hold of an account, whatever became of it; without an id, the prefix of all of the account's."""
    return b"h" + TEXT.encode(account) + hold


def live_key(hold: bytes = b"") -> bytes:
    """Key of a hold that still holds units; without an id, the prefix of all of them."""
    return b"o" + hold


def live_of_key(account: str, hold: bytes = b"") -> bytes:
    """The same of one account."""
    return b"O" + TEXT.encode(account) + hold


def holds_of(state: State) -> AccountOfHold:
    """The accounts of holds, from the state."""

    def find(hold_id: bytes) -> str:
        hold = state.get(t.HOLDS, hold_id)
        account = None if hold is None else state.get(t.ACCOUNTS, hold.account)
        if account is None:
            raise LookupError(f"an event names hold {hold_id.hex()}, which is not in the state")
        return account.name

    return find


def put_holds(batch: Batch, changes: Sequence[tuple[bytes, bytes | None]], account_of_hold: AccountOfHold) -> None:
    """Add the rows of the holds among changes of the state, which are in the order of their keys."""
    prefix = t.HOLDS.prefix
    for key, raw in changes[bisect_left(changes, (prefix,)) : bisect_left(changes, (after(prefix),))]:
        if raw is not None:
            (hold_id,) = t.HOLDS.parts(key)
            account = account_of_hold(hold_id)
            batch.put(Family.INDEX, hold_key(account, hold_id), b"")
            if t.HOLDS.value.decode(raw).phase in LIVE:
                batch.put(Family.INDEX, live_key(hold_id), b"")
                batch.put(Family.INDEX, live_of_key(account, hold_id), b"")
            else:
                batch.delete(Family.INDEX, live_key(hold_id))
                batch.delete(Family.INDEX, live_of_key(account, hold_id))


def complete_holds(store: Store) -> None:
    """Make the rows from the final state where a store came by its state without blocks; else nothing is done."""
    if store.get(Family.META, INDEXED_KEY) is not None:
        return
    account_of_hold = holds_of(State(StateReader(store)))
    prefix, batch = t.HOLDS.prefix, Batch()
    for row in store.scan(Family.STATE, prefix, after(prefix)):
        put_holds(batch, (row,), account_of_hold)
        if len(batch) >= HOLDS_PER_COMMIT:
            store.commit(batch)
            batch = Batch()
    batch.put(Family.META, INDEXED_KEY, b"")
    store.commit(batch)
