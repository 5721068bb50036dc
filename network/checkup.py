"""A node folder looked over, whether or not its node runs: what is well, what will not be soon, what is wrong.

Each finding says what to do. Nothing is changed. Which keys the ledger names, only a node that runs knows: it is asked.
All else that it says of itself is its status; why one connection fails, `network.diagnosis`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

import grpc

from keeling.genesis import Genesis, GenesisError, parse_genesis
from keeling.policy import parse_policy
from keeling.strict import FormatError
from keeling.v1.ledger_pb2 import GetStatusRequest, Status
from keeling.v1.ledger_pb2_grpc import LedgerStub
from network.certificates import CertificateError, encode_public_key, expiry_warning
from network.config import NodeConfig, PeerConfig, load_config
from network.contacts import with_founders
from network.diagnosis import diagnose
from network.folders import NodeFolder
from network.keys import NODE_ROLES, KeyFileError, Role, describe_key_file, load_key_file
from network.processes import find_process
from network.rekeying import describe_wrong_keys
from network.settings import ConfigError
from network.transport import Destination, TlsFiles, open_channel
from network.trust import PinnedKey, build_trust

FREE_BYTES_LOW: Final = 5 << 30
FREE_BYTES_BAD: Final = 500 << 20
ASK_S: Final = 5.0


class Mark(StrEnum):
    """How it stands with one thing."""

    WELL = "well"
    WARNING = "warning"
    WRONG = "wrong"


class Finding(NamedTuple):
    """One thing that was looked at."""

    what: str
    mark: Mark
    text: str
    advice: str = ""


def ask_status(destination: Destination) -> Status:
    """What a node says of itself. Raises `grpc.RpcError`."""
    with open_channel(destination) as channel:
        answer: Status = LedgerStub(channel).GetStatus(GetStatusRequest(), timeout=ASK_S)
        return answer


def examine(
    folder: NodeFolder,
    passphrase: str | None,
    now: datetime,
    reach: Callable[[Destination], str | None] = diagnose,
    ask: Callable[[Destination], Status] = ask_status,
) -> Iterator[Finding]:
    """Yield the findings one by one: some take seconds. `reach` says why a peer cannot be reached, or None; `ask` gets
    a node's status, or raises `grpc.RpcError`."""
    try:
        config = load_config(folder.config)
    except ConfigError as error:
        for problem in error.problems:
            yield Finding("configuration", Mark.WRONG, problem, "correct the file")
        return
    yield Finding("configuration", Mark.WELL, str(folder.config))
    genesis: Genesis | None = None
    try:
        genesis = parse_genesis(config.genesis.read_bytes())
    except FileNotFoundError:
        advice = f"keeling node join {folder.root} --genesis FILE"
        yield Finding("genesis", Mark.WRONG, "the node belongs to no network yet", advice)
    except (GenesisError, FormatError, OSError) as error:
        yield Finding("genesis", Mark.WRONG, f"{config.genesis}: {error}", "get it again from another operator")
    if genesis is not None:
        yield _examine_genesis(config, genesis)
    yield from _examine_keys(config, genesis, passphrase)
    yield from _examine_tls(config, passphrase, now)
    yield _examine_disk(config)
    process = find_process(folder)
    running = f"process {process}" if process is not None else "no process has this folder"
    mark, advice = (Mark.WELL, "") if process is not None else (Mark.WARNING, f"keeling node run {folder.root}")
    yield Finding("running", mark, running, advice)
    if process is not None:
        yield from _examine_status(config, passphrase, ask)
    yield from _examine_peers(config if genesis is None else with_founders(config, genesis), passphrase, reach)


def _examine_genesis(config: NodeConfig, genesis: Genesis) -> Finding:
    if genesis.origin != config.origin:
        text = f"the genesis file is of {genesis.origin}, the configuration of {config.origin}"
        return Finding("genesis", Mark.WRONG, text, "get the right file from another operator")
    return Finding("genesis", Mark.WELL, f"network {genesis.network.hex()}")


def _examine_keys(config: NodeConfig, genesis: Genesis | None, passphrase: str | None) -> Iterator[Finding]:
    keys: dict[Role, bytes] = {}
    for role in NODE_ROLES:
        path = getattr(config.keys, role.value)
        try:
            keys[role] = load_key_file(path, role=role, passphrase=passphrase).public_key
        except (KeyFileError, OSError) as error:
            yield Finding(f"{role.value} key", Mark.WRONG, str(error), "put back the copy you made of it")
            continue
        plain = not describe_key_file(path).encrypted
        yield Finding(
            f"{role.value} key", Mark.WELL, f"{keys[role].hex()[:16]}…" + (", not encrypted" if plain else "")
        )
    if genesis is None or Role.VOTE not in keys:
        return
    yield _examine_part(config, genesis, keys[Role.VOTE])


def _examine_part(config: NodeConfig, genesis: Genesis, vote_key: bytes) -> Finding:
    names = [validator.participant for validator in genesis.validators]
    votes = [validator.vote_key for validator in parse_policy(genesis.policy).validators]
    if vote_key in votes:
        return Finding("part", Mark.WELL, "by the genesis file this node is a validator")
    if config.participant in names:
        text = "by the genesis file this node is a validator with another vote key: well, if the ledger has changed it"
        return Finding("part", Mark.WARNING, text, "run the node, and look again: it knows which key the ledger names")
    return Finding("part", Mark.WELL, "by the genesis file this node is an observer, or admitted later")


def _examine_status(
    config: NodeConfig, passphrase: str | None, ask: Callable[[Destination], Status]
) -> Iterator[Finding]:
    """Whether the running node has the keys that the ledger names for it."""
    try:
        identity = TlsFiles(config.tls.key, config.tls.certificate, passphrase).current()
    except (CertificateError, OSError):
        return
    own = PinnedKey(config.participant, encode_public_key(identity.key))
    try:
        trust = build_trust(config.origin, [own])
        status = ask(Destination(config.listen, config.participant, trust, identity))
    except grpc.RpcError as error:
        yield Finding("answering", Mark.WARNING, f"it does not answer: {error}", "look again shortly, and at its log")
        return
    if status.wrong_keys:
        text, advice = describe_wrong_keys(config.participant, status.wrong_keys)
        yield Finding("keys on the ledger", Mark.WRONG, text, advice)
    else:
        yield Finding("keys on the ledger", Mark.WELL, "those the ledger names for this node, if it names any")


def _examine_tls(config: NodeConfig, passphrase: str | None, now: datetime) -> Iterator[Finding]:
    try:
        identity = TlsFiles(config.tls.key, config.tls.certificate, passphrase).current()
    except (CertificateError, OSError) as error:
        yield Finding(
            "certificate", Mark.WRONG, str(error), "put back the copy you made of it, or keeling node renew FOLDER"
        )
        return
    warning = expiry_warning("this node", identity.certificate, now)
    if warning is None:
        until = identity.certificate.not_valid_after_utc
        yield Finding("certificate", Mark.WELL, f"good until {until:%Y-%m-%d}")
    else:
        mark = Mark.WARNING if warning.threshold_days else Mark.WRONG
        yield Finding("certificate", mark, warning.text, "keeling node renew FOLDER")


def _examine_disk(config: NodeConfig) -> Finding:
    free = shutil.disk_usage(config.data if config.data.exists() else config.data.parent).free
    text = f"{free / (1 << 30):.1f} GiB free for {config.data}"
    if free < FREE_BYTES_BAD:
        return Finding("disk", Mark.WRONG, text, "make room: a node that cannot write stops")
    if free < FREE_BYTES_LOW:
        return Finding("disk", Mark.WARNING, text, "make room, or prune: keeling node prune")
    return Finding("disk", Mark.WELL, text)


def _examine_peers(
    config: NodeConfig, passphrase: str | None, reach: Callable[[Destination], str | None]
) -> Iterator[Finding]:
    try:
        tls = TlsFiles(config.tls.key, config.tls.certificate, passphrase)
        trust = config.trust(encode_public_key(tls.current().key))
    except (CertificateError, OSError):
        return
    for peer in config.peers:
        if peer.address:
            problem = reach(Destination(peer.address, peer.participant, trust, tls.current()))
            yield _describe_peer(peer, problem)


def _describe_peer(peer: PeerConfig, problem: str | None) -> Finding:
    what = f"peer {peer.participant}"
    if problem is None:
        return Finding(what, Mark.WELL, f"reached at {peer.address}")
    return Finding(what, Mark.WARNING, problem, "ask its operator")
