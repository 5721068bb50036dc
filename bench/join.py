"""How long a node takes to join a ledger of many lots: a snapshot over gRPC, every chunk checked, into a store.

The lots are written into the state of a ledger of one validator; its snapshot is made, attested and served as any
other. Both ends run in this process and share its one core, so two machines are faster. Catching up the blocks after
the snapshot is another figure: it depends on how many there are.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import grpc.aio

from bench.figures import Figure, Section
from keeling import ed25519
from keeling.encoding import U64
from keeling.entry import Entry, format_entry, parse_entry
from keeling.genesis import Founder, Genesis, Validator, format_genesis, parse_genesis
from keeling.note import KeyType, NoteKey
from keeling.operations import KeyGrant
from keeling.policy import Policy, format_policy
from keeling.policy import Validator as PolicyValidator
from keeling.submission import format_submission, format_transaction
from keeling.v1 import operations_pb2 as op
from keeling.v1 import snapshots_pb2_grpc as rpc
from keeling.v1 import transaction_pb2 as pb
from keeling.votes import CERTIFICATE, Certificate, Signature, Step, Vote, vote_message
from node.archive import put_block
from node.attesting import format_attestation
from node.core import tables as t
from node.core.block import Place, execute
from node.core.governance.snapshots import INTERVAL_RECORD
from node.core.records import NO_HOLD, Holding, Lot
from node.core.state import State
from node.joining import fetch_snapshot, install_snapshot
from node.ledger import TIP_KEY, StateReader, create_ledger, read_height, read_tip
from node.snapshot_service import RemoteSource, SnapshotService
from node.snapshots import Made, Shelf, keep_proofs
from node.store.contract import Batch, Family
from node.store.rocks import RocksStore

AIM_S = 15.0
START_MS = 1_795_000_000_000
ROWS_PER_COMMIT = 100_000
SEEDS = {role: bytes([number]) * 32 for number, role in enumerate(("person", "entry", "vote", "log", "cosigner"), 1)}
KEYS = {role: ed25519.public_key(seed) for role, seed in SEEDS.items()}


class Times(NamedTuple):
    """Seconds of each step, those of the processor for fetching and installing, and how much it was."""

    made: float
    fetched: float
    installed: float
    processor: float
    rows: int
    size: int


class Open:
    """Lets every caller in: who may is not what is measured."""

    async def member(self, context: Any) -> str:
        return "one"

    async def check_network(self, context: Any, network: bytes) -> None:
        """Always the right one."""


def make_genesis() -> Genesis:
    """A network of one, whose state is due after every block."""
    origin = "bench.example/join"
    cosigner = NoteKey(f"{origin}/one", KeyType.COSIGNATURE, KEYS["cosigner"])
    validator = PolicyValidator("one", NoteKey(origin, KeyType.PLAIN, KEYS["log"]), cosigner, KEYS["vote"])
    founder = Founder("one", "One", ("registry",), (KeyGrant(KEYS["person"], "operator", 31),))
    policy = format_policy(Policy(origin, (validator,)))
    record = op.SetRecord(id=INTERVAL_RECORD, version=1, source="bench", rule=op.Rule(value="1"))
    return parse_genesis(
        format_genesis(origin, START_MS, policy, [founder], [Validator("one", KEYS["entry"])], [record])
    )


def write_lots(store: RocksStore, lots: int, first_batch: int = 1) -> None:
    """Lots of ten units in one account, as rows of the state: by batch and position, and by account."""

    def rows() -> Iterator[tuple[bytes, bytes]]:
        for number in range(lots):
            batch, first = first_batch + number // 5_000, number % 5_000 * 10
            yield t.LOTS.whole_key(batch, first), t.LOTS.value.encode(Lot(10, 1, 2, 1, number % 500, NO_HOLD))
            yield t.HOLDINGS.whole_key(1, 2, batch, first), t.HOLDINGS.value.encode(Holding(10, 1, number % 500))

    batch = Batch()
    for key, value in rows():
        batch.put(Family.STATE, key, value)
        if len(batch) >= ROWS_PER_COMMIT:
            store.commit(batch)
            batch = Batch()
    store.commit(batch)


def add_block(store: RocksStore, genesis: Genesis, submission: bytes) -> int:
    """Execute, certify and keep one block; returns its height."""
    tip = read_tip(store, genesis)
    number = tip.height + 1
    raw = format_entry(
        Entry(genesis.network, KEYS["entry"], number, START_MS + number, (submission,)),
        partial(ed25519.sign, SEEDS["entry"]),
    )
    signed = parse_entry(raw, ed25519.check_signature)
    block = execute(State(StateReader(store)), tip, signed, Place(0, number), ed25519.check_signature)
    log = block.growth.frontier
    lock = Vote(genesis.network, tip.policy, 0, number, log.size, log.root(), signed.digest, Step.LOCK)
    signature = Signature(KEYS["vote"], ed25519.sign(SEEDS["vote"], vote_message(lock)))
    batch = Batch()
    put_block(batch, block, raw, CERTIFICATE.encode(Certificate(lock, (signature,))), b"")
    batch.put(Family.META, TIP_KEY, U64.encode(number))
    store.commit(batch)
    return number


def make_snapshot(store: RocksStore, genesis: Genesis, shelf: Shelf) -> tuple[Made, float]:
    """A block that makes the state due, its snapshot, and the block that attests it; the seconds are the snapshot's."""
    contact = op.RotateKey(contact=op.Contact(address="one.example:1"))
    transaction = pb.Transaction(
        id=START_MS.to_bytes(6, "big") + b"\x70\x00\x80" + bytes(7),
        participant="one",
        operations=[op.Operation(rotate_key=contact)],
    )
    sign = partial(ed25519.sign, SEEDS["person"])
    submission = format_submission(genesis.network, KEYS["person"], [(format_transaction(transaction), ())], sign)
    add_block(store, genesis, submission)
    started = time.perf_counter()
    with store.snapshot() as view:
        made = shelf.make(view)
    seconds = time.perf_counter() - started
    attestation = format_attestation(genesis.network, "one", made, START_MS, KEYS["person"], sign)
    height = add_block(store, genesis, attestation)
    with store.snapshot() as view:
        keep_proofs(view, shelf, height)
    return made, seconds


async def fetch(genesis: Genesis, theirs: Shelf, mine: Shelf) -> float:
    """Seconds to have the snapshot on the shelf, every chunk checked and synced."""
    server = grpc.aio.server()
    rpc.add_SnapshotsServicer_to_server(SnapshotService(theirs, Open()), server)  # type: ignore[arg-type]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            started = time.perf_counter()
            await fetch_snapshot([RemoteSource("one", channel, genesis.network)], genesis, mine)
            return time.perf_counter() - started
    finally:
        await server.stop(None)


def measure_times(root: Path, lots: int) -> Times:
    """Make a ledger of so many lots below `root`, and join it."""
    genesis, theirs, mine = make_genesis(), Shelf(root / "theirs"), Shelf(root / "mine")
    store = RocksStore.create(root / "store")
    try:
        create_ledger(store, genesis, None)
        write_lots(store, lots)
        made, seconds = make_snapshot(store, genesis, theirs)
    finally:
        store.close()
    busy = time.process_time()
    fetched = asyncio.run(fetch(genesis, theirs, mine))
    size = sum(len(mine.read_chunk(made.height, ordinal)) for ordinal in range(made.chunks))
    joined = RocksStore.create(root / "joined")
    try:
        started = time.perf_counter()
        install_snapshot(joined, genesis, mine, made.height, None)
        installed, busy = time.perf_counter() - started, time.process_time() - busy
        if read_height(joined) != made.height:
            raise LookupError("the joined store does not end where the snapshot does")
    finally:
        joined.close()
    return Times(seconds, fetched, installed, busy, made.rows, size)


def measure_join(root: Path, lots: int) -> Section:
    """The figures of joining."""
    root.mkdir()
    times = measure_times(root, lots)
    total = times.fetched + times.installed
    in_all = Figure(f"join of {lots:,} lots, without a tail", total, "s", aim=f"≤ {AIM_S:g} s", met=total <= AIM_S)
    figures = (
        in_all,
        Figure("fetched and checked, loopback", times.fetched, "s"),
        Figure("put into the store", times.installed, "s"),
        Figure("of which processor, both ends", times.processor, "s"),
        Figure("snapshot made beside the running node", times.made, "s"),
        Figure("snapshot per lot", times.size / lots, "B", note=f"{times.rows:,} rows"),
    )
    about = "A snapshot over gRPC from another node, every chunk checked against its hash, synced, and installed."
    return Section("Join: state of many lots from an attested snapshot", about, figures)
