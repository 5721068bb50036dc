"""A ledger in a store: making one, where it ends, its final state as the rules read it, and which policy is in force.

What is written here once is read at every start. Executing and deciding what comes next is `node.chain`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from keeling.block import compute_header_hash, parse_header
from keeling.encoding import BYTES, TEXT, U64, record
from keeling.genesis import Genesis
from keeling.merkle import read_frontier
from keeling.policy import Policy, hash_policy, parse_policy
from keeling.votes import CERTIFICATE, make_policy
from node.archive import height_key, read_subtrees
from node.core import tables
from node.core.block import Tip
from node.core.opening import open_ledger
from node.core.state import State
from node.finality import events as ev
from node.finality.journal import JOURNAL_RECORD, Opened
from node.store.contract import Batch, Family, Reads, Store

TIP_KEY: Final = b"chain/tip"
NETWORK_KEY: Final = b"chain/network"
REBUILDING_KEY: Final = b"chain/rebuilding"
"""In META while a rebuild is under way: what is derived is incomplete."""
JOINING_KEY: Final = b"chain/joining"
"""In META while a snapshot is being put into the store, u64 its height: the state is incomplete."""
JOINED_KEY: Final = b"chain/joined"
"""In META, u64: the size of the log at the newest snapshot that was put into the store."""
PUBLISHED_KEY: Final = b"chain/published"
"""In META: the newest height whose checkpoint is published here, u64."""
REIGN_KEY: Final = b"chain/reign"
"""In META: the policy in force after the newest final block, once it is not the genesis file's any more."""


class ChainError(Exception):
    """The store, the genesis file and the ordering log do not belong together. The text says what, and what to do."""


class InForce(NamedTuple):
    """A policy in force: its file, the height that decided it, its first epoch, and the log that epoch reads."""

    file: bytes
    since: int
    epoch: int
    log: str

    @property
    def policy(self) -> Policy:
        """The file's meaning."""
        return parse_policy(self.file)

    @property
    def reign(self) -> ev.Reign:
        """The same for the finality machine."""
        votes = [validator.vote_key for validator in self.policy.validators]
        return ev.Reign(make_policy(hash_policy(self.file), votes), self.since, self.epoch)


IN_FORCE: Final = record(InForce, BYTES, U64, U64, TEXT)


class StateReader:
    """Final state of a store as the rules read it."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    def get(self, key: bytes) -> bytes | None:
        return self._reads.get(Family.STATE, key)

    def get_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        return self._reads.get_many(Family.STATE, keys)

    def scan(self, start: bytes, stop: bytes, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        return self._reads.scan(Family.STATE, start, stop, reverse=reverse)


class _Nothing:
    """The state before genesis."""

    def get(self, key: bytes) -> bytes | None:
        return None

    def get_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        return [None] * len(keys)

    def scan(self, start: bytes, stop: bytes, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        return iter(())


def create_ledger(store: Store, genesis: Genesis, vote_key: bytes | None) -> None:
    """Write the genesis state into an empty store, and open the journal of a vote key that has signed nothing yet."""
    if genesis.succeeds is not None:
        text = "with that (keeling node succeed FOLDER --before OLD), or at a snapshot (keeling node snapshot FOLDER)"
        raise ChainError(f"this network takes over the state of another: begin {text}")
    _, changes = open_ledger(State(_Nothing()), genesis)
    batch = Batch()
    for key, value in changes:
        if value is not None:
            batch.put(Family.STATE, key, value)
    batch.put(Family.META, NETWORK_KEY, genesis.network)
    batch.put(Family.META, TIP_KEY, U64.encode(0))
    if vote_key is not None:
        put_opened(batch, genesis.network, vote_key, 0)
    store.commit(batch)


def put_opened(batch: Batch, network: bytes, vote_key: bytes, height: int) -> None:
    """Begin the journal of a vote key that was made just now: nothing it signed above `height` is missing from it."""
    opened = JOURNAL_RECORD.encode(Opened(network, vote_key, height))
    batch.put(Family.JOURNAL, journal_key(0), opened)


def journal_key(number: int) -> bytes:
    """Key in JOURNAL of the record with this number."""
    return b"r" + U64.encode(number)


def is_created(store: Reads) -> bool:
    """Whether a store holds a ledger."""
    return store.get(Family.META, NETWORK_KEY) is not None


def check_store(store: Reads, genesis: Genesis) -> None:
    """Refuse, with `ChainError`, a store of another network or one that is only half there."""
    known = store.get(Family.META, NETWORK_KEY)
    if known != genesis.network:
        has = "nothing" if known is None else known.hex()
        raise ChainError(f"the store holds {has}, the genesis file is of {genesis.network.hex()}")
    if store.get(Family.META, REBUILDING_KEY) is not None:
        raise ChainError("a rebuild of this store was interrupted: run it again (keeling node rebuild FOLDER)")
    if store.get(Family.META, JOINING_KEY) is not None:
        raise ChainError("putting a snapshot into this store was interrupted: join again, it goes on from there")


def read_height(reads: Reads) -> int:
    """The newest final height of a store."""
    raw = reads.get(Family.META, TIP_KEY)
    if raw is None:
        raise ChainError("the store holds no ledger")
    return U64.decode(raw)


def read_next_due(reads: Reads) -> int | None:
    """When the next hold expires, Unix milliseconds of ledger time; None if nothing in the state waits for time."""
    prefix = tables.EXPIRIES.prefix
    first = next(iter(reads.scan(Family.STATE, prefix, tables.after(prefix), limit=1)), None)
    return None if first is None else int(tables.EXPIRIES.parts(first[0])[0])


def read_published(reads: Reads) -> int:
    """The newest height whose checkpoint is published in this store: cosignatures come a moment after finality."""
    raw = reads.get(Family.META, PUBLISHED_KEY)
    if raw is not None:
        return U64.decode(raw)
    height = read_height(reads)
    return height if reads.get(Family.BLOCKS, height_key(b"k", height)) else 0


def read_tip(reads: Reads, genesis: Genesis) -> Tip:
    """Where the chain of a store ends."""
    height = read_height(reads)
    if height == genesis.base:
        return open_ledger(State(_Nothing()), genesis)[0]
    leaf = reads.get(Family.BLOCKS, height_key(b"h", height))
    if leaf is None:
        raise ChainError(f"the store says height {height} and has no header there: rebuild it or restore a backup")
    header = parse_header(leaf)
    frontier = read_frontier(header.first_leaf + header.leaves, read_subtrees(reads))
    return Tip(header.network, header.next_policy, height, compute_header_hash(leaf), header.writes, frontier)


def read_in_force(reads: Reads, genesis: Genesis) -> InForce:
    """The policy that decides the next block."""
    raw = reads.get(Family.META, REIGN_KEY)
    if raw is not None:
        return IN_FORCE.decode(raw)
    return InForce(genesis.policy, genesis.base, 0, ev.log_name(hash_policy(genesis.policy), 0))


def read_final_tip(reads: Reads, tip: Tip, since: int) -> ev.Tip:
    """The newest final block with its certificate, as the finality machine continues from it."""
    root = tip.frontier.root()
    if tip.height == since:
        return ev.Tip(tip.height, root, None)
    raw = reads.get(Family.BLOCKS, height_key(b"c", tip.height))
    if not raw:
        raise ChainError(f"the block at {tip.height} has no certificate: restore a backup")
    return ev.Tip(tip.height, root, CERTIFICATE.decode(raw))
