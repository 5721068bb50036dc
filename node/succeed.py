"""Beginning a successor network: what its genesis file says of the old one, and the store it starts from.

For the day a quorum is gone for good: those who remain agree on a file, and each begins its store from the old
network's last state, which is believed for its digest alone. What of the state goes on is decided in
`node.core.succession`; that this is another decision to trust is for people to see and say. Source: protocol review O4.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from keeling.encoding import U64, EncodingError
from keeling.genesis import Genesis, Succession
from keeling.handover import Handover, HandoverRefused, find_reign, walk_handovers
from keeling.snapshot import HEAD, Row, SnapshotHead, compute_digest, fill_chunks, hash_chunk, parse_chunk
from keeling.votes import CERTIFICATE, Certificate, VoteError, check_certificate
from node.archive import height_key
from node.core import tables as t
from node.core.governance.records import Standing
from node.core.state import State
from node.core.succession import open_successor
from node.durable import make_folder, sync_folder
from node.held import INDEXED_KEY
from node.ledger import NETWORK_KEY, TIP_KEY, StateReader, is_created, put_opened, read_height
from node.prune import PRUNED_KEY
from node.replay import Replayed
from node.snapshots import Shelf, SnapshotError
from node.store.contract import Batch, Family, Reads, Store

BEFORE: Final = "before"
"""Folder in a node's data: the state that its network took over, for rebuilding and auditing."""
_SHELVES: Final = ("", "snapshots", BEFORE, "data/snapshots", "data/" + BEFORE)
"""Where snapshots lie below a shelf, a data folder, a node's folder."""


class SuccessionRefused(ValueError):
    """What the genesis file says of the network before does not hold; the text says what, expected and found."""


class Checked(NamedTuple):
    """What holds: the height and transactions taken over, their state's digest, and who certified the last block."""

    height: int
    transactions: int
    digest: bytes
    signers: tuple[bytes, ...]


def take_stock(view: Reads, shelf: Shelf) -> Succession:
    """What the genesis file of a successor says of the network in this store, whose last state is put on the shelf.

    The state is that of the last final block, so nothing that was final is lost. Raises `SnapshotError`.
    """
    network, height = view.get(Family.META, NETWORK_KEY), read_height(view)
    certificate = view.get(Family.BLOCKS, height_key(b"c", height))
    if network is None or not certificate:
        raise SnapshotError("nothing is final here: there is nothing to take over")
    made = shelf.make(view)
    return Succession(network, certificate, made.height, made.digest)


def list_parts(state: State) -> list[dict[str, object]]:
    """Everybody on a ledger as JSON: roles, who validates, who is suspended. For people to compare a successor with."""
    rows = {t.VALIDATORS.parts(key)[0]: row for key, row in state.scan(t.VALIDATORS)}
    validators = {participant for participant, row in rows.items() if row.standing == Standing.IN_FORCE}
    members = {t.PARTICIPANTS.parts(key)[0]: row for key, row in state.scan(t.PARTICIPANTS)}
    return [
        {
            "participant": participant,
            "name": row.name,
            "roles": list(row.roles),
            "validator": participant in validators,
            "suspended": row.suspended,
        }
        for participant, row in sorted(members.items())
    ]


def find_snapshot(place: Path, succeeds: Succession) -> Shelf:
    """The shelf in a node's folder, its data folder or a copy of `snapshots` that has the state taken over."""
    for below in _SHELVES:
        shelf = Shelf(place / below)
        if succeeds.height in shelf.heights():
            check_snapshot_is(succeeds, shelf)
            return shelf
    raise SnapshotError(f"{place} has no snapshot of height {succeeds.height}: keeling network succeed makes it there")


def check_snapshot_is(succeeds: Succession, shelf: Shelf) -> tuple[bytes, ...]:
    """Refuse, with `SnapshotError`, a snapshot that is not the state the file names; returns the chunks' hashes."""
    head, chunks = shelf.read_head(succeeds.height)
    if compute_digest(head, chunks) != succeeds.digest:
        raise SnapshotError(f"the snapshot of {succeeds.height} here is not the state that the genesis file names")
    _check_certificate(succeeds, head)
    return chunks


def keep_snapshot(found: Shelf, own: Shelf, height: int) -> None:
    """Copy a snapshot to the node's own shelf, whole or not at all."""
    if height in own.heights():
        return
    make_folder(own.folder)
    copying = own.folder / f"{height}.copying"
    shutil.rmtree(copying, ignore_errors=True)
    shutil.copytree(found.folder / str(height), copying)
    own.settle(copying, own.folder / str(height))
    sync_folder(own.folder.parent)


def read_rows(succeeds: Succession, shelf: Shelf) -> Iterator[list[Row]]:
    """The rows of the state taken over, chunk by chunk, each checked. Raises `SnapshotError`."""
    for ordinal, expected in enumerate(check_snapshot_is(succeeds, shelf)):
        chunk = shelf.read_chunk(succeeds.height, ordinal)
        if hash_chunk(chunk) != expected:
            raise SnapshotError(f"chunk {ordinal} of the snapshot of {succeeds.height} was changed on disk")
        yield parse_chunk(chunk)


def create_successor(store: Store, genesis: Genesis, shelf: Shelf, vote_key: bytes | None) -> None:
    """Begin an empty store from the snapshot that `genesis` takes over. `vote_key` is new, as every key of a node is.

    Raises `SnapshotError`, before anything is written, where the snapshot is not the one the file names, and
    `GenesisError` where the file breaks a rule; then the store is no ledger.
    """
    if genesis.succeeds is None or is_created(store):
        raise SnapshotError("the genesis file takes nothing over, or the store holds a ledger already")
    check_snapshot_is(genesis.succeeds, shelf)
    batch = put_state(store, genesis, genesis.succeeds, shelf)
    batch.put(Family.META, NETWORK_KEY, genesis.network)
    batch.put(Family.META, TIP_KEY, U64.encode(genesis.base))
    batch.put(Family.META, PRUNED_KEY, U64.encode(genesis.base + 1))
    if vote_key is not None:
        put_opened(batch, genesis.network, vote_key, genesis.base)
    store.commit(batch)


def put_state(store: Store, genesis: Genesis, succeeds: Succession, shelf: Shelf) -> Batch:
    """Put the state before the first block in the place of all state; the last of it is in the batch returned."""
    store.clear((Family.STATE, Family.INDEX))
    for rows in read_rows(succeeds, shelf):
        batch = Batch()
        batch.update(Family.STATE, rows)
        store.commit(batch)
    batch = Batch()
    batch.delete(Family.META, INDEXED_KEY)
    batch.update(Family.STATE, open_successor(State(StateReader(store)), genesis))
    return batch


def _check_certificate(succeeds: Succession, head: bytes) -> None:
    try:
        lock, known = CERTIFICATE.decode(succeeds.certificate).lock, HEAD.decode(head)
    except EncodingError as error:
        raise SnapshotError(f"succeeds: {error}") from error
    same = lock.network == known.network == succeeds.network and lock.height == known.height == succeeds.height
    if not same or lock.root != known.frontier.root():
        raise SnapshotError("succeeds: network, certificate and state are not of one network, or not of one block")


def check_succession(
    succeeds: Succession, old: Genesis, handovers: Iterable[Handover], replayed: Replayed, header: bytes
) -> Checked:
    """Whether a successor's genesis file tells the truth of the network before, whose log was executed again.

    `replayed` ends at the height taken over, `header` is the header leaf there. Raises `SuccessionRefused`.
    """
    _same("network before", old.network, succeeds.network)
    if replayed.difference is not None:
        raise SuccessionRefused(f"the log of the network before does not follow the rules: {replayed.difference}")
    tip = replayed.tip
    _same("height of the last block", tip.height, succeeds.height)
    certificate = _check_final(succeeds, old, handovers)
    lock = certificate.lock
    _same("height in the last certificate", tip.height, lock.height)
    _same("size of the log (as in the certificate)", lock.size, tip.frontier.size)
    _same("root of the log (as in the certificate)", lock.root, tip.frontier.root())
    rows = list(replayed.state.data.items())
    head = HEAD.encode(SnapshotHead(old.network, tip.height, header, tip.frontier, len(rows)))
    digest = compute_digest(head, [hash_chunk(chunk) for chunk in fill_chunks(rows)])
    _same("digest of the state", digest, succeeds.digest)
    return Checked(tip.height, replayed.transactions, digest, tuple(key for key, _ in certificate.signatures))


def _check_final(succeeds: Succession, old: Genesis, handovers: Iterable[Handover]) -> Certificate:
    try:
        certificate = CERTIFICATE.decode(succeeds.certificate)
        _same("network in the last certificate", old.network, certificate.lock.network)
        reigns = walk_handovers(old, handovers)
        check_certificate(certificate, find_reign(reigns, succeeds.height).voters)
    except (EncodingError, HandoverRefused, VoteError) as error:
        raise SuccessionRefused(f"the last certificate is none of the network before: {error}") from error
    return certificate


def _same(what: str, expected: object, found: object) -> None:
    if expected != found:
        shown = [value.hex() if isinstance(value, bytes) else str(value) for value in (expected, found)]
        raise SuccessionRefused(f"{what}: expected {shown[0]}, found {shown[1]}")
