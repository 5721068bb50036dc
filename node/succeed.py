"""Beginning a successor network: what its genesis file says of the old one, and the store it starts from.

For the day a quorum is gone for good: those who remain agree on a file, and each begins its store from the old
network's snapshot, which is believed for its digest alone. What of the state goes on is decided in
`node.core.succession`; that this is another decision to trust is for people to see and say. Source: protocol review O4.
"""

from __future__ import annotations

from keeling.encoding import U64, EncodingError
from keeling.genesis import Genesis, Succession
from keeling.snapshot import HEAD, compute_digest, hash_chunk, parse_chunk
from keeling.votes import CERTIFICATE
from node.archive import height_key
from node.core.state import State
from node.core.succession import open_successor
from node.ledger import NETWORK_KEY, TIP_KEY, StateReader, is_created, put_opened, read_height
from node.snapshots import Shelf, SnapshotError
from node.store.contract import Batch, Family, Reads, Store


def describe_succession(reads: Reads, shelf: Shelf) -> Succession:
    """What the genesis file of a successor says of the network in this store. Raises `SnapshotError`.

    The state taken over is the newest snapshot that a quorum attested here; what was final after it is named by the
    certificate, and has to be handed in again.
    """
    proved, height = shelf.proved(), read_height(reads)
    network, certificate = reads.get(Family.META, NETWORK_KEY), reads.get(Family.BLOCKS, height_key(b"c", height))
    if not proved or network is None or certificate is None:
        raise SnapshotError("there is no attested snapshot here to take over, or no certificate")
    head, chunks = shelf.read_head(proved[-1])
    return Succession(network, certificate, proved[-1], compute_digest(head, chunks))


def create_successor(store: Store, genesis: Genesis, shelf: Shelf, vote_key: bytes | None) -> None:
    """Begin an empty store from the snapshot that `genesis` takes over. `vote_key` is new, as every key of a node is.

    Raises `SnapshotError`, before anything is written, where the snapshot is not the one the file names, and
    `GenesisError` where the file breaks a rule; then the store is no ledger.
    """
    succeeds = genesis.succeeds
    if succeeds is None or is_created(store):
        raise SnapshotError("the genesis file takes nothing over, or the store holds a ledger already")
    head, chunks = shelf.read_head(succeeds.height)
    if compute_digest(head, chunks) != succeeds.digest:
        raise SnapshotError(f"the snapshot of {succeeds.height} here is not the state that the genesis file names")
    _check_certificate(succeeds, head)
    store.clear((Family.STATE, Family.INDEX))
    for ordinal, expected in enumerate(chunks):
        chunk = shelf.read_chunk(succeeds.height, ordinal)
        if hash_chunk(chunk) != expected:
            raise SnapshotError(f"chunk {ordinal} of the snapshot of {succeeds.height} was changed on disk")
        batch = Batch()
        batch.update(Family.STATE, parse_chunk(chunk))
        store.commit(batch)
    batch = Batch()
    batch.update(Family.STATE, open_successor(State(StateReader(store)), genesis))
    batch.put(Family.META, NETWORK_KEY, genesis.network)
    batch.put(Family.META, TIP_KEY, U64.encode(0))
    if vote_key is not None:
        put_opened(batch, genesis.network, vote_key, 0)
    store.commit(batch)


def _check_certificate(succeeds: Succession, head: bytes) -> None:
    try:
        lock, known = CERTIFICATE.decode(succeeds.certificate).lock, HEAD.decode(head)
    except EncodingError as error:
        raise SnapshotError(f"succeeds: {error}") from error
    same = lock.network == known.network == succeeds.network and known.height == succeeds.height
    if not same or lock.height < known.height:
        raise SnapshotError("succeeds: network, certificate and state are not of one network, or not in order")
