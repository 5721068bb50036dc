"""`python -m node join FOLDER`: take a node that stands still to an attested snapshot of its configured peers.

The node is started as ever afterwards and catches up the rest. Whether its vote key may go on signing is decided here:
only a key that no policy ever named begins a journal, unless the operator says that it never signed; any other node
observes until its key is replaced, because a forgotten vote is as bad as a lie (architecture §4.8).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple

from keeling.genesis import parse_genesis
from keeling.snapshot import check_snapshot, parse_proof
from network.certificates import encode_public_key
from network.channels import Channels, LinkDown
from network.config import NodeConfig
from network.contacts import with_founders
from network.keys import describe_key_file
from network.transport import TlsFiles
from node.joining import JoinFailed, fetch_snapshot, install_snapshot
from node.ledger import is_created, read_height
from node.operate import open_shelf
from node.snapshot_service import RemoteSource
from node.snapshots import Shelf
from node.store.contract import StoreMissing
from node.store.rocks import RocksStore


class Arrived(NamedTuple):
    """The height a node starts from now, whether it will vote with the key it has, and what was wrong with peers."""

    height: int
    votes: bool
    passed_over: Mapping[str, str]


async def join_from_peers(
    config: NodeConfig,
    passphrase: str | None,
    never_signed: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Arrived:
    """Fetch the newest snapshot above what the node has, and install it. Raises `JoinFailed` and the store's errors."""
    genesis = parse_genesis(config.genesis.read_bytes())
    config = with_founders(config, genesis)
    shelf = open_shelf(config)
    try:
        store = RocksStore.open(config.data / "store")
    except StoreMissing:
        store = RocksStore.create(config.data / "store")
    try:
        above = read_height(store) if is_created(store) else 0
        tls = TlsFiles(config.tls.key, config.tls.certificate, passphrase)
        trust = config.trust(encode_public_key(tls.current().key))
        addresses = {peer.participant: peer.address for peer in config.peers}
        channels = Channels(tls, lambda: trust, lambda name: addresses.get(name, ""))
        try:
            sources = _open_sources(channels, sorted(addresses), genesis.network)
            told: dict[str, str] = {}
            height = await fetch_snapshot(sources, genesis, shelf, above, progress, told)
        finally:
            await channels.close()
        key = describe_key_file(config.keys.vote).public_key
        fresh = never_signed or not await asyncio.to_thread(_was_named, shelf, config, height, key)
        await asyncio.to_thread(install_snapshot, store, genesis, shelf, height, key if fresh else None)
    finally:
        store.close()
    return Arrived(height, fresh, told)


def _open_sources(channels: Channels, names: list[str], network: bytes) -> list[RemoteSource]:
    sources, told = [], []
    for name in names:
        try:
            sources.append(RemoteSource(name, channels.open(name), network))
        except LinkDown as error:
            told.append(f"{name}: {error}")
    if not sources:
        raise JoinFailed("; ".join(told) or "no peer is known: name one in [[peers]] of node.toml")
    return sources


def _was_named(shelf: Shelf, config: NodeConfig, height: int, vote_key: bytes) -> bool:
    """Whether a policy up to the snapshot's attestation names this vote key: it may have signed then."""
    genesis = parse_genesis(config.genesis.read_bytes())
    facts = check_snapshot(parse_proof(shelf.read_proof(height)), genesis)
    return any(vote_key in reign.voters.vote_keys for reign in facts.reigns)
