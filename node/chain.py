"""The chain of one node: executes ordered entries, lets finality decide, and commits each final block in one batch.

Everything here runs on one thread and touches no network. Votes, block, log, answers, indexes and state go to the store
in a single atomic, synced write, so there is nothing a crash can separate (guarantee G8). Reading the ordering log and
answering clients are the replica's business (`node.replica`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from keeling.block import compute_header_hash, parse_header
from keeling.checkpoint import Checkpoint, cosign_checkpoint, format_final, sign_checkpoint
from keeling.ed25519 import check_signature
from keeling.encoding import U64, EncodingError
from keeling.entry import parse_entry
from keeling.genesis import Genesis
from keeling.merkle import read_frontier
from keeling.policy import Policy, parse_policy
from keeling.submission import parse_submission
from keeling.votes import CERTIFICATE, Certificate, VotePolicy, make_policy
from node.archive import ArchivedBlock, height_key, put_block, read_subtrees
from node.core import tables
from node.core.block import Block, CheckSignature, ParseSubmission, Place, Tip, execute, is_admissible
from node.core.opening import open_ledger
from node.core.state import State
from node.finality import events as ev
from node.finality.health import Health, compute_health
from node.finality.journal import JOURNAL_RECORD, GaveLock, JournalRecord, Opened, Voted
from node.finality.machine import Finality
from node.indexes import put_indexes
from node.ordering.contract import Ordered
from node.store.contract import Batch, Family, Reads, Store

TIP_KEY: Final = b"chain/tip"
NETWORK_KEY: Final = b"chain/network"
REBUILDING_KEY: Final = b"chain/rebuilding"
"""In META while a rebuild is under way: what is derived is incomplete."""
Sign = Callable[[bytes], bytes]


class ChainError(Exception):
    """The store, the genesis file and the ordering log do not belong together. The text says what, and what to do."""


class FinalBlock(NamedTuple):
    """A block that is final and durable, with its archive row."""

    block: Block
    archived: ArchivedBlock


class ValidatorKeys(NamedTuple):
    """The keys of a validator that a chain signs with; None in an observer."""

    vote_key: bytes
    vote: Sign
    log: Sign
    cosigner: Sign


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
    _, changes = open_ledger(State(_Nothing()), genesis)
    batch = Batch()
    for key, value in changes:
        if value is not None:
            batch.put(Family.STATE, key, value)
    batch.put(Family.META, NETWORK_KEY, genesis.network)
    batch.put(Family.META, TIP_KEY, U64.encode(0))
    if vote_key is not None:
        opened = JOURNAL_RECORD.encode(Opened(genesis.network, vote_key, 0))
        batch.put(Family.JOURNAL, U64.encode(0), opened)
    store.commit(batch)


def is_created(store: Reads) -> bool:
    """Whether a store holds a ledger."""
    return store.get(Family.META, NETWORK_KEY) is not None


def read_height(reads: Reads) -> int:
    """The newest final height of a store."""
    raw = reads.get(Family.META, TIP_KEY)
    if raw is None:
        raise ChainError("the store holds no ledger")
    return U64.decode(raw)


def read_tip(reads: Reads, genesis: Genesis) -> Tip:
    """Where the chain of a store ends."""
    height = read_height(reads)
    if not height:
        return open_ledger(State(_Nothing()), genesis)[0]
    leaf = reads.get(Family.BLOCKS, height_key(b"h", height))
    if leaf is None:
        raise ChainError(f"the store says height {height} and has no header there: rebuild it or restore a backup")
    header = parse_header(leaf)
    frontier = read_frontier(header.first_leaf + header.leaves, read_subtrees(reads))
    return Tip(header.network, header.next_policy, height, compute_header_hash(leaf), header.writes, frontier)


class Chain:
    """One owner calls `take` and `tick`; everybody else reads the store. Nothing is answered before it is final."""

    def __init__(self, store: Store, genesis: Genesis, keys: ValidatorKeys | None, now_ms: int) -> None:
        known = store.get(Family.META, NETWORK_KEY)
        if known != genesis.network:
            has = "nothing" if known is None else known.hex()
            raise ChainError(f"the store holds {has}, the genesis file is of {genesis.network.hex()}")
        if store.get(Family.META, REBUILDING_KEY) is not None:
            raise ChainError("a rebuild of this store was interrupted: run it again (keeling rebuild FOLDER)")
        self.store = store
        self.genesis = genesis
        self.policy: Final[Policy] = parse_policy(genesis.policy)
        self._keys = keys
        self._state = State(StateReader(store))
        self.tip = read_tip(store, genesis)
        self._pending: dict[ev.Candidate, tuple[Block, bytes]] = {}
        self._journaled: list[tuple[bytes, int]] = []
        self._next_record = 0
        self.finality = self._open_finality()
        journal = self._read_journal()
        self._outputs(self.finality.step(ev.Restarted(journal, now_ms)))

    # -- opening ----------------------------------------------------------------------------------------------------

    def _open_finality(self) -> Finality:
        votes = [validator.vote_key for validator in self.policy.validators]
        policy: VotePolicy = make_policy(self.tip.policy, votes)
        signer = None if self._keys is None else ev.Signer(self._keys.vote_key, self._keys.vote)
        # Alone, there is nobody to agree on a new epoch with: what is stalled waits for its cause to pass.
        settings = ev.Settings(self.genesis.network, signer, reseed_after_ms=None)
        height = self.tip.height
        certificate = None
        if height:
            raw = self.store.get(Family.BLOCKS, height_key(b"c", height))
            if raw is None:
                raise ChainError(f"the block at {height} has no certificate: restore a backup")
            certificate = CERTIFICATE.decode(raw)
        return Finality(settings, ev.Reign(policy, 0, 0), ev.Tip(height, self.tip.frontier.root(), certificate))

    def _read_journal(self) -> tuple[JournalRecord, ...]:
        records: list[JournalRecord] = []
        for key, raw in self.store.scan(Family.JOURNAL):
            records.append(JOURNAL_RECORD.decode(raw))
            self._next_record = U64.decode(key) + 1
            if isinstance(records[-1], Voted | GaveLock):
                self._journaled.append((key, records[-1].signed.vote.height))
        return tuple(records)

    # -- taking entries ---------------------------------------------------------------------------------------------

    @property
    def position(self) -> int:
        """The position in the ordering log of the newest final block's entry; 0 before the first."""
        if not self.tip.height:
            return 0
        leaf = self.store.get(Family.BLOCKS, height_key(b"h", self.tip.height))
        return 0 if leaf is None else parse_header(leaf).position

    def next_number(self, author: bytes, clock_ms: int) -> int:
        """A number for this author's next entry: above its last, and never used before even after a loss of state."""
        known = self._state.get(tables.AUTHORS, author)
        last = 0 if known is None else known.number
        return max(last + 1, clock_ms * 1000)

    def take(
        self,
        ordered: Ordered,
        epoch: int,
        now_ms: int,
        check: CheckSignature = check_signature,
        parse: ParseSubmission = parse_submission,
    ) -> list[FinalBlock]:
        """Execute the next entry of the log; returns the blocks that are final and durable now, in order.

        What is no entry, forged, foreign or numbered too low makes no block and is passed over.
        """
        try:
            entry = parse_entry(ordered.entry, check_signature)
        except EncodingError:
            return []
        if not is_admissible(self._state, self.tip, entry):
            return []
        before = self.tip
        block = execute(self._state, before, entry, Place(epoch, ordered.position), check, parse)
        root = block.growth.frontier.root()
        candidate = ev.Candidate(block.header.height, block.growth.frontier.size, root, entry.digest)
        self._pending[candidate] = (block, ordered.entry)
        header = compute_header_hash(block.header_leaf)
        parent = before.frontier.root()
        executed = ev.Block(candidate, parent, header, epoch, block.header.time_ms)
        self.tip = block.tip
        self.finality.step(ev.Tick(now_ms))
        return self._outputs(self.finality.step(ev.Executed(executed)))

    def tick(self, now_ms: int) -> list[FinalBlock]:
        """Time has passed: what waited for the clock may be decided now."""
        return self._outputs(self.finality.step(ev.Tick(now_ms)))

    def _outputs(self, outputs: Sequence[ev.Output]) -> list[FinalBlock]:
        """Carry out what finality decided. All that one step makes durable goes into one write."""
        batch, blocks = Batch(), list[FinalBlock]()
        for output in outputs:
            if isinstance(output, ev.Persist):
                self._put_records(batch, output.records)
            elif isinstance(output, ev.Final):
                blocks.append(self._put_final(batch, output))
        self.store.commit(batch)
        for final in blocks:
            self._state.settle(final.block.header.height)
        return blocks

    def _put_records(self, batch: Batch, records: Sequence[JournalRecord]) -> None:
        for item in records:
            key = U64.encode(self._next_record)
            batch.put(Family.JOURNAL, key, JOURNAL_RECORD.encode(item))
            self._next_record += 1
            if isinstance(item, Voted | GaveLock):
                self._journaled.append((key, item.signed.vote.height))

    def _put_final(self, batch: Batch, final: ev.Final) -> FinalBlock:
        block, entry = self._pending.pop(final.block.candidate)
        self._pending = {c: kept for c, kept in self._pending.items() if c.height > final.block.candidate.height}
        checkpoint = self._publish(block, final.certificate)
        archived = put_block(batch, block, entry, CERTIFICATE.encode(final.certificate), checkpoint)
        put_indexes(batch, block, self._state)
        batch.put(Family.META, TIP_KEY, U64.encode(block.header.height))
        self._forget_votes(batch, block.header.height)
        return FinalBlock(block, archived)

    def _forget_votes(self, batch: Batch, height: int) -> None:
        """Votes below a final height can do no harm any more; those at it stay until the next is final."""
        for key, _ in (item for item in self._journaled if item[1] < height):
            batch.delete(Family.JOURNAL, key)
        self._journaled = [item for item in self._journaled if item[1] >= height]

    def _publish(self, block: Block, certificate: Certificate) -> bytes:
        """The final checkpoint in its published form; empty where this node alone cannot complete it."""
        if self._keys is None or self.policy.quorum > 1:
            return b""
        checkpoint = Checkpoint(self.policy.origin, certificate.lock.size, certificate.lock.root)
        own = self.policy.validators[0]
        log_line = sign_checkpoint(checkpoint, own.log_key, self._keys.log)
        seconds = block.header.time_ms // 1000
        cosigned = cosign_checkpoint(checkpoint, own.cosigner_key, seconds, self._keys.cosigner)
        return format_final(checkpoint, [log_line, cosigned], self.policy)

    # -- health -----------------------------------------------------------------------------------------------------

    def health(self) -> Health:
        """Why nothing is final, or that there is nothing to decide."""
        return compute_health(self.finality)
