"""What an operator does to a node from its folder: back it up, running or not, rebuild its state, prune it, take
new keys into use.

A backup is a node folder without secrets: genesis, configuration and the ledger, but no keys and no vote journal. A
node started on one (with its keys put back) observes; its vote key is replaced by governance (design §4.8).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import grpc

from keeling.genesis import Succession, parse_genesis
from keeling.v1 import operator_pb2 as pb
from keeling.v1 import operator_pb2_grpc as rpc
from network.certificates import encode_public_key
from network.config import NodeConfig, load_config
from network.folders import NodeFolder
from network.keys import describe_key_file, read_passphrase
from network.rekeying import TLS, list_changes, read_waiting_vote_key, take_keys
from network.transport import Destination, TlsFiles, open_channel
from network.trust import PinnedKey, build_trust
from node.core.state import State
from node.errors import read_reason
from node.journal import replace_journal
from node.ledger import StateReader, is_created, read_height
from node.prune import PrunePlan, PruneRefused, plan_prune, prune
from node.rebuild import rebuild
from node.snapshots import Shelf
from node.state_audit import open_read_only
from node.store.contract import StoreExists, StoreLocked, StoreMissing
from node.store.rocks import RocksStore
from node.succeed import BEFORE, create_successor, find_snapshot, keep_snapshot, list_parts, take_stock


class OperatorError(Exception):
    """The work could not be done; the text says why, and nothing was changed."""


def backup_folder(folder: NodeFolder, target: Path) -> int:
    """Copy the ledger of a node folder to a new folder; returns the height it has. Raises `OperatorError`."""
    config = load_config(folder.config)
    if target.exists():
        raise OperatorError(f"{target} exists already: nothing was touched; name a new folder")
    data = target / "data" / "store"
    data.parent.mkdir(parents=True)
    try:
        height = _copy_store(config, data.absolute())
    except BaseException:
        shutil.rmtree(target)
        raise
    if open_before(config).folder.is_dir():
        shutil.copytree(open_before(config).folder, target / "data" / BEFORE)
    shutil.copy(config.genesis, target / "genesis")
    shutil.copy(folder.config, target / "node.toml")
    return height


def _copy_store(config: NodeConfig, target: Path) -> int:
    """Directly when the node stands still, otherwise by asking it."""
    try:
        store = RocksStore.open(config.data / "store")
    except StoreLocked:
        return _ask_node(config, target)
    try:
        store.backup(target)
        return read_height(store)
    finally:
        store.close()


def _ask_node(config: NodeConfig, target: Path) -> int:
    files = TlsFiles(config.tls.key, config.tls.certificate, read_passphrase())
    identity = files.current()
    own = PinnedKey(config.participant, encode_public_key(identity.key))
    trust = build_trust(config.origin, [own])
    with open_channel(Destination(config.listen, config.participant, trust, identity)) as channel:
        try:
            answer = rpc.OperatorStub(channel).Backup(pb.BackupRequest(directory=str(target)), timeout=600)
        except grpc.RpcError as error:
            raise OperatorError(f"the running node refused the backup: {read_reason(error)}") from error
    return int(answer.height)


def rebuild_folder(folder: NodeFolder, progress: Callable[[int], None]) -> int:
    """Derive the state of a node that stands still again from its log; returns the height."""
    config = load_config(folder.config)
    genesis = parse_genesis(config.genesis.read_bytes())
    store = RocksStore.open(config.data / "store")
    try:
        return rebuild(store, genesis, progress, open_before(config))
    finally:
        store.close()


def may_run(folder: NodeFolder) -> bool:
    """Whether the node may go on running while its new keys come into use: it takes up TLS files by itself."""
    return all(change.part == TLS for change in list_changes(load_config(folder.config)))


def take_new_keys(folder: NodeFolder) -> list[str]:
    """Have a node that stands still (unless it `may_run`) use the keys that `network.rekeying` made; returns which.

    With a new vote key the vote journal begins anew, and first: a node that is stopped in between observes.
    Raises `OperatorError` where nothing waits.
    """
    config = load_config(folder.config)
    if not list_changes(config):
        raise OperatorError(f"no new keys wait in {folder.root}: make them with keeling node rekey")
    vote_key = read_waiting_vote_key(config)
    if vote_key is not None:
        genesis = parse_genesis(config.genesis.read_bytes())
        store = RocksStore.open(config.data / "store")
        try:
            replace_journal(store, genesis.network, vote_key, read_height(store))
        finally:
            store.close()
    return take_keys(folder, config)


def open_shelf(config: NodeConfig) -> Shelf:
    """Where a node keeps its snapshots."""
    return Shelf(config.data / "snapshots")


def open_before(config: NodeConfig) -> Shelf:
    """Where a node of a successor network keeps the state that was taken over."""
    return Shelf(config.data / BEFORE)


def take_stock_of(folder: NodeFolder) -> tuple[str, Succession]:
    """What a successor's genesis file says of the ledger in a folder, and that ledger's name.

    The node stands still; its last state is on its shelf then. Raises `SnapshotError`.
    """
    config = load_config(folder.config)
    store = RocksStore.open(config.data / "store")
    try:
        with store.snapshot() as view:
            return config.origin, take_stock(view, open_shelf(config))
    finally:
        store.close()


def list_parts_of(folder: NodeFolder) -> list[dict[str, object]]:
    """Who takes part in the network of a folder, whether its node runs or not. Nothing is written."""
    with open_read_only(load_config(folder.config).data) as reads:
        return list_parts(State(StateReader(reads)))


def begin_successor(folder: NodeFolder, place: Path) -> int:
    """Begin the ledger of a node of a successor network with the state in `place`; returns the height it goes on from.

    Raises `OperatorError`, `SnapshotError`, `GenesisError`; interrupted, it begins again.
    """
    config = load_config(folder.config)
    genesis = parse_genesis(config.genesis.read_bytes())
    if genesis.succeeds is None:
        raise OperatorError(f"the genesis file of {folder.root} takes nothing over: start it with keeling node run")
    found = find_snapshot(place, genesis.succeeds)
    keep_snapshot(found, open_before(config), genesis.base)
    try:
        store = RocksStore.open(config.data / "store")
    except StoreMissing:
        store = RocksStore.create(config.data / "store")
    try:
        if is_created(store):
            raise OperatorError(f"{folder.root} has begun already: start it with keeling node run")
        create_successor(store, genesis, open_before(config), describe_key_file(config.keys.vote).public_key)
    finally:
        store.close()
    return genesis.base


def prune_folder(folder: NodeFolder, dry_run: bool, progress: Callable[[int], None] = lambda height: None) -> PrunePlan:
    """Forget what two attested snapshots make unnecessary, in a node that stands still; a dry run only says what.

    Raises `OperatorError`.
    """
    config = load_config(folder.config)
    store = RocksStore.open(config.data / "store")
    try:
        plan = plan_prune(store, open_shelf(config).proved())
        if not dry_run:
            prune(store, plan, progress)
    except PruneRefused as refused:
        raise OperatorError(str(refused)) from refused
    finally:
        store.close()
    return plan


def backup_running(store: RocksStore, directory: Path) -> int:
    """The running node's side: copy its store to a new folder. Raises `OperatorError`."""
    try:
        height = read_height(store)
        store.backup(directory)
    except (StoreExists, OSError) as error:
        raise OperatorError(str(error)) from error
    return height
