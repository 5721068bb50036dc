"""New keys for a node that has some: made beside the old ones, shown on a card, and taken into use by the operator.

The ledger decides in between, so that the old keys sign until it does. What a new vote key means for the vote journal
is in `node.operate`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from network.cards import format_card
from network.certificates import (
    create_tls_key,
    encode_public_key,
    issue_certificate,
    parse_tls_key,
)
from network.config import NodeConfig, load_config
from network.files import read_private_file, replace_file, sync_folder, write_new_file
from network.folders import EVERY_INTERFACE, LOCAL_HOSTS, FolderRefused, NodeFolder, NodeIdentity
from network.keys import NODE_ROLES, create_key_file, describe_key_file
from network.names import parse_address
from network.trust import PinnedKey

NEXT: Final = ".next"
OLD: Final = ".old"
CARD: Final = "card-next.json"
TLS: Final = "tls"
PARTS: Final = (*(role.value for role in NODE_ROLES), TLS)
"""What can be made anew, as operators name it."""


class Change(NamedTuple):
    """A file that waits to be taken into use, and the place it goes to."""

    part: str
    waiting: Path
    place: Path


def prepare_keys(folder: NodeFolder, parts: Sequence[str], passphrase: str | None, now: datetime) -> Path:
    """Make new keys of these parts beside those in use, and the card that shows them with the others; returns it.

    Raises `FolderRefused` for a part that is none, and where new keys wait already; then nothing was made.
    """
    unknown = [part for part in parts if part not in PARTS]
    if unknown or not parts:
        raise FolderRefused(f"{', '.join(unknown) or 'nothing'} cannot be made anew: there are {', '.join(PARTS)}")
    config = load_config(folder.config)
    waiting = [change.part for change in list_changes(config)]
    if waiting:
        raise FolderRefused(f"new keys wait already ({', '.join(waiting)}): take them into use first")
    for role in (role for role in NODE_ROLES if role.value in parts):
        path = _waiting(getattr(config.keys, role.value))
        create_key_file(path, role=role, owner=config.participant, passphrase=passphrase)
    if TLS in parts:
        key = create_tls_key(_waiting(config.tls.key), passphrase)
        host = parse_address(config.listen).host
        hosts = LOCAL_HOSTS if host in EVERY_INTERFACE else (*LOCAL_HOSTS, host)
        made = issue_certificate(key, network=config.origin, participant=config.participant, now=now, hosts=hosts)
        write_new_file(_waiting(config.tls.certificate), made)
    card = folder.root / CARD
    replace_file(card, format_card(describe_next(config, passphrase)), 0o644)
    return card


def describe_next(config: NodeConfig, passphrase: str | None) -> NodeIdentity:
    """The node as it will be once what waits is in use."""
    changes = {change.place: change.waiting for change in list_changes(config)}
    keys = {}
    for role in NODE_ROLES:
        path = getattr(config.keys, role.value)
        keys[role] = describe_key_file(changes.get(path, path)).public_key
    path = changes.get(config.tls.key, config.tls.key)
    tls = parse_tls_key(read_private_file(path, "TLS key"), passphrase, name=f"the TLS key {path}")
    pin = PinnedKey(config.participant, encode_public_key(tls))
    return NodeIdentity(config.origin, config.participant, config.listen, keys, pin)


def list_changes(config: NodeConfig) -> list[Change]:
    """What waits to be taken into use."""
    places = [(role.value, getattr(config.keys, role.value)) for role in NODE_ROLES]
    places += [(TLS, config.tls.key), (TLS, config.tls.certificate)]
    return [Change(part, _waiting(place), place) for part, place in places if _waiting(place).exists()]


def take_keys(folder: NodeFolder, config: NodeConfig) -> list[str]:
    """Put what waits in the place of what is in use; returns the parts. The old keys stay beside them as `….old`.

    An interrupted call is made good by another.
    """
    changes = list_changes(config)
    for change in changes:
        if change.place.exists():
            os.replace(change.place, change.place.with_name(change.place.name + OLD))
        os.replace(change.waiting, change.place)
        sync_folder(change.place.parent)
    card = folder.root / CARD
    if card.exists():
        os.replace(card, folder.root / "card.json")
    return list(dict.fromkeys(change.part for change in changes))


def describe_wrong_keys(participant: str, wrong: Sequence[str]) -> tuple[str, str]:
    """What it means that the ledger names other keys for a node than it has, these, and what its operator does."""
    text = f"the ledger names another {' key, another '.join(wrong)} key for the node of {participant} than it has"
    means = "; ".join(_MEANS[part] for part in wrong)
    advice = (
        "have the ledger decide on those here (keeling key node FOLDER/card.json), take those that wait into use "
        "(keeling node rekey FOLDER --use), or put the right files back into FOLDER/keys and start the node again"
    )
    return f"{text} ({means})", advice


_MEANS: Final = {
    "entry": "what it orders makes no block",
    "vote": "it does not vote",
    "log": "it signs no checkpoint as the log",
    "cosigner": "it cosigns no checkpoint",
}
"""What a node does not do with a key that is not the one the ledger names."""


def read_waiting_vote_key(config: NodeConfig) -> bytes | None:
    """The vote key that waits, if one does."""
    path = _waiting(config.keys.vote)
    return describe_key_file(path).public_key if path.exists() else None


def _waiting(place: Path) -> Path:
    return place.with_name(place.name + NEXT)
