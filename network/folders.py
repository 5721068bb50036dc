"""The folder of one node: what lies where, how a new one is made whole or not at all, and who uses it now.

A folder holds one node's secrets, configuration, genesis and data:

    node.toml            the configuration (`network.config`)
    genesis              the network's genesis file, made elsewhere
    keys/<role>.key      the five signing keys (`network.keys`)
    tls/key.pem, tls/certificate.pem
    data/                the ledger
    lock                 held by the process that runs the node

People's own keys and the profiles of the command line lie elsewhere (`network.profiles`).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from network.certificates import (
    create_tls_key,
    encode_public_key,
    issue_certificate,
    parse_certificate,
    parse_tls_key,
    renew_certificate,
)
from network.config import NodeConfig, OrderingConfig, PeerConfig, parse_config
from network.config_text import format_commented
from network.files import PRIVATE_FILE, PRIVATE_FOLDER, read_private_file, replace_file, sync_folder, write_new_file
from network.keys import DEFAULT_COST, NODE_ROLES, KdfCost, Role, create_key_file
from network.names import check_origin, check_participant, parse_address
from network.trust import PinnedKey

LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "::1")
EVERY_INTERFACE: Final = frozenset({"0.0.0.0", "::"})


class FolderRefused(ValueError):
    """The folder cannot be made or used; the text says which and what is in the way. Nothing was changed."""


class NodeFolder(NamedTuple):
    """Where things lie in the node folder `root`, as a new one has them. A running node asks its `NodeConfig`."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "node.toml"

    @property
    def genesis(self) -> Path:
        return self.root / "genesis"

    @property
    def tls_key(self) -> Path:
        return self.root / "tls" / "key.pem"

    @property
    def tls_certificate(self) -> Path:
        return self.root / "tls" / "certificate.pem"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    def key(self, role: Role) -> Path:
        return self.root / "keys" / f"{role}.key"


class NodeIdentity(NamedTuple):
    """What others must know of a node: goes into genesis, and to the peers' operators."""

    origin: str
    participant: str
    address: str
    keys: Mapping[Role, bytes]
    """The Ed25519 public keys, 32 bytes each, one for each of `NODE_ROLES`."""
    tls: PinnedKey


def create_node_folder(
    root: Path,
    *,
    origin: str,
    participant: str,
    genesis: Callable[[NodeIdentity], bytes] | None,
    now: datetime,
    listen: str = "127.0.0.1:7451",
    metrics: str = "127.0.0.1:7452",
    passphrase: str | None = None,
    cost: KdfCost = DEFAULT_COST,
) -> NodeIdentity:
    """Make the folder of a new node with fresh keys, certificate and configuration, and what `genesis` returns.

    Without `genesis` the node belongs to no network yet: it is given one by `install_genesis`.
    All of it is there when this returns, durably, or nothing is. Nothing that exists is touched: raises `FolderRefused`
    and names it. Raises `NameRefused` for names that can be none. With a passphrase every secret is encrypted.
    """
    check_origin(origin)
    check_participant(participant)
    parse_address(listen)
    if metrics:
        parse_address(metrics)
    config = NodeConfig(origin=origin, participant=participant, listen=listen, metrics=metrics)
    _refuse_existing(root)
    root.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{root.name}.", dir=root.parent))
    try:
        identity = _fill(NodeFolder(building), config, genesis, now, passphrase, cost)
        _refuse_existing(root)
        building.rename(root)
    except BaseException:
        shutil.rmtree(building)
        raise
    sync_folder(root.parent)
    return identity


def install_genesis(folder: NodeFolder, genesis: bytes, peers: Sequence[PeerConfig]) -> None:
    """Give a prepared node its network: the genesis file, and the peers it connects to in its configuration.

    Once only: raises `FolderRefused` if there is another genesis. The same again changes nothing but the peers.
    """
    config = parse_config(folder.config.read_text("utf-8"), {}, name=str(folder.config))
    if not folder.genesis.exists():
        write_new_file(folder.genesis, genesis)
    elif folder.genesis.read_bytes() != genesis:
        raise FolderRefused(f"{folder.root} belongs to another network already: {folder.genesis} says another genesis")
    others = tuple(peer for peer in peers if peer.participant != config.participant)
    replace_file(folder.config, _format_config(config.model_copy(update={"peers": others})))
    sync_folder(folder.root)


def set_ordering(folder: NodeFolder, ordering: OrderingConfig) -> None:
    """Have the node use another ordering engine from its next start on. Every node of a network uses the same."""
    config = parse_config(folder.config.read_text("utf-8"), {}, name=str(folder.config))
    replace_file(folder.config, _format_config(config.model_copy(update={"ordering": ordering})))
    sync_folder(folder.root)


def restore_folder(backup: Path, folder: NodeFolder, secrets: Path) -> None:
    """Make `folder` from a copy that `keeling node backup` wrote, and from `keys/` and `tls/` in `secrets`.

    All of it or nothing; raises `FolderRefused`.
    """
    _refuse_existing(folder.root)
    missing = [str(path) for path in (backup / "node.toml", backup / "data", secrets / "keys", secrets / "tls")]
    missing = [path for path in missing if not os.path.exists(path)]
    if missing:
        raise FolderRefused(f"{', '.join(missing)} is not there: give the backup, and the folder with keys/ and tls/")
    folder.root.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{folder.root.name}.", dir=folder.root.parent))
    try:
        shutil.copytree(backup, building, dirs_exist_ok=True)
        for part in ("keys", "tls"):
            shutil.copytree(secrets / part, building / part)
        building.rename(folder.root)
    except BaseException:
        shutil.rmtree(building)
        raise
    sync_folder(folder.root.parent)


def renew(folder: NodeFolder, passphrase: str | None, now: datetime) -> datetime:
    """Give the node a new certificate for the same TLS key; a running node takes it up by itself. Returns its end."""
    config = parse_config(folder.config.read_text("utf-8"), {}, name=str(folder.config))
    key_path, certificate_path = folder.root / config.tls.key, folder.root / config.tls.certificate
    key = parse_tls_key(read_private_file(key_path, "TLS key"), passphrase, name=f"the TLS key {key_path}")
    old = parse_certificate(certificate_path.read_bytes(), name=f"the certificate {certificate_path}")
    pem = renew_certificate(old, key, now=now)
    replace_file(certificate_path, pem, 0o644)
    return parse_certificate(pem).not_valid_after_utc


def _format_config(config: NodeConfig) -> bytes:
    about = f"The configuration of the node of {config.participant} on {config.origin}."
    return format_commented(config, f"{about} Paths are relative to this file's folder.").encode("utf-8")


@contextmanager
def locked(folder: NodeFolder) -> Iterator[None]:
    """Hold the folder for this process; raise `FolderRefused` with the holder's process id if another has it.

    The lock ends with the process, however it ends; the file `lock` stays and means nothing by itself.
    """
    try:
        descriptor = os.open(folder.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    except OSError as error:
        raise FolderRefused(f"{folder.root} cannot be used: {folder.lock}: {error.strerror}") from error
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = file.read(32).decode("ascii", "replace").strip() or "unknown"
            raise FolderRefused(f"{folder.root} is in use: locked by pid {holder}") from error
        file.truncate()
        file.write(f"{os.getpid()}\n".encode("ascii"))
        yield


def _refuse_existing(root: Path) -> None:
    if not os.path.lexists(root):
        return
    if not root.is_dir():
        raise FolderRefused(f"{root} exists already and is no folder: choose another name")
    names = sorted(path.name for path in root.iterdir())
    shown = f"holds {', '.join(names[:8])}{' …' if len(names) > 8 else ''}" if names else "is empty"
    raise FolderRefused(f"{root} exists already ({shown}): nothing was changed; choose another name or move it away")


def _fill(
    folder: NodeFolder,
    config: NodeConfig,
    genesis: Callable[[NodeIdentity], bytes] | None,
    now: datetime,
    passphrase: str | None,
    cost: KdfCost,
) -> NodeIdentity:
    for part in (folder.root / "keys", folder.root / "tls", folder.data):
        part.mkdir(PRIVATE_FOLDER)
    owner = config.participant
    keys = {
        role: create_key_file(folder.key(role), role=role, owner=owner, passphrase=passphrase, cost=cost).public_key
        for role in NODE_ROLES
    }
    tls_key = create_tls_key(folder.tls_key, passphrase)
    host = parse_address(config.listen).host
    hosts = LOCAL_HOSTS if host in EVERY_INTERFACE else (*LOCAL_HOSTS, host)
    certificate = issue_certificate(tls_key, network=config.origin, participant=owner, now=now, hosts=hosts)
    write_new_file(folder.tls_certificate, certificate)
    tls = PinnedKey(owner, encode_public_key(tls_key))
    identity = NodeIdentity(config.origin, owner, config.listen, keys, tls)
    if genesis is not None:
        write_new_file(folder.genesis, genesis(identity))
    write_new_file(folder.config, _format_config(config))
    sync_folder(folder.root)
    return identity
