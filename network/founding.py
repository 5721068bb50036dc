"""Founding a network: from the organisations and their nodes' public keys to the one genesis file, and their folders.

Secrets are made where they stay, in each organisation's own node folder; here only public keys meet. For a trial on
one machine `found_here` makes all the folders as well.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from keeling.genesis import Founder, Succession, Validator, format_genesis
from keeling.note import KeyType, NoteKey
from keeling.operations import KeyGrant
from keeling.policy import Policy, format_policy
from keeling.policy import Validator as PolicyValidator
from keeling.units import Purpose
from network.cards import CardRefused, format_card, parse_card
from network.config import PeerConfig
from network.contacts import contact_of
from network.files import write_new_file
from network.folders import FolderRefused, NodeFolder, NodeIdentity, create_node_folder, install_genesis
from network.keys import Role
from network.plan import NetworkPlan, Organisation
from network.standard_records import build_standard_records

FOUNDER_PURPOSES: Final = Purpose.SUBMIT | Purpose.APPROVE | Purpose.ADMIN | Purpose.GOVERN | Purpose.ATTEST


class FoundingNode(NamedTuple):
    """An organisation of the first hour and its node."""

    identity: NodeIdentity
    name: str
    roles: tuple[str, ...]
    validator: bool = True


class Founded(NamedTuple):
    """What founding made: the genesis file's bytes, and whose nodes there are, in the plan's order."""

    genesis: bytes
    nodes: tuple[FoundingNode, ...]


def build_genesis(
    nodes: Sequence[FoundingNode], others: Sequence[Founder], now: datetime, succeeds: Succession | None = None
) -> bytes:
    """The genesis file: every node's organisation is a founder whose submission key may do all a person may, and whose
    node the others reach by what the file says.

    `others` are founders without nodes. The first node keeps the standard records; a network that `succeeds` another
    goes on with those of that one. Raises `GenesisError`, `FormatError` for what cannot be founded (no validator, a key
    used twice).
    """
    first = nodes[0].identity
    validators = [node.identity for node in nodes if node.validator]
    policy = Policy(first.origin, tuple(_describe(identity) for identity in validators))
    founders = [
        Founder(
            node.identity.participant,
            node.name,
            node.roles,
            (KeyGrant(node.identity.keys[Role.SUBMISSION], "operator-1", int(FOUNDER_PURPOSES)),),
            contact_of(node.identity),
        )
        for node in nodes
    ]
    return format_genesis(
        first.origin,
        int(now.timestamp() * 1000),
        format_policy(policy),
        [*founders, *others],
        [Validator(identity.participant, identity.keys[Role.ENTRY]) for identity in validators],
        build_standard_records(first.participant) if succeeds is None else (),
        succeeds,
    )


def _describe(identity: NodeIdentity) -> PolicyValidator:
    own = identity.participant
    return PolicyValidator(
        own,
        NoteKey(identity.origin, KeyType.PLAIN, identity.keys[Role.LOG]),
        NoteKey(f"{identity.origin}/{own}", KeyType.COSIGNATURE, identity.keys[Role.COSIGNER]),
        identity.keys[Role.VOTE],
    )


def list_peers(nodes: Iterable[FoundingNode]) -> tuple[PeerConfig, ...]:
    """Nodes as others are told of them, where the genesis file does not say it: those admitted later."""
    return tuple(
        PeerConfig(
            participant=node.identity.participant,
            tls_key=base64.b64encode(node.identity.tls.public_key).decode("ascii"),
            address=node.identity.address,
        )
        for node in nodes
    )


def read_node(each: Organisation, origin: str) -> FoundingNode:
    """The node of an organisation as its card shows it; raises `CardRefused` when card and plan differ."""
    if each.card is None:
        raise CardRefused(f"{each.id} has no card in the network file")
    try:
        identity = parse_card(each.card.read_bytes())
    except OSError as error:
        raise CardRefused(f"the card of {each.id}, {each.card}, cannot be read: {error.strerror}") from error
    except CardRefused as error:
        raise CardRefused(f"{each.card}: {error}") from error
    if (identity.origin, identity.participant) != (origin, each.id):
        found = f"{identity.participant} on {identity.origin}"
        raise CardRefused(f"{each.card} is the card of {found}; the network file says {each.id} on {origin}")
    if identity.address != each.listen:
        raise CardRefused(
            f"{each.card} says that {each.id} listens at {identity.address}, the network file {each.listen}"
        )
    return FoundingNode(identity, each.name or each.id, each.roles, each.validator)


def found_from_cards(plan: NetworkPlan, now: datetime, succeeds: Succession | None = None) -> Founded:
    """The genesis of a network whose organisations all gave their cards. Raises `CardRefused`."""
    nodes = tuple(read_node(each, plan.origin) for each in plan.organisations)
    return Founded(build_genesis(nodes, (), now, succeeds), nodes)


def found_here(plan: NetworkPlan, folder: Path, now: datetime, passphrase: str | None) -> Founded:
    """Make the node folders of all organisations below `folder`, one machine, and their genesis. A trial network.

    Raises `FolderRefused` if any of the folders is there already; then nothing was made.
    """
    roots = {each.id: folder / each.id for each in plan.organisations}
    taken = [str(root) for root in roots.values() if root.exists()]
    if taken:
        raise FolderRefused(f"{', '.join(taken)} exist already; nothing was changed")
    nodes = []
    for each in plan.organisations:
        identity = prepare_node(roots[each.id], plan.origin, each.id, each.listen, each.metrics, now, passphrase)
        nodes.append(FoundingNode(identity, each.name or each.id, each.roles, each.validator))
    genesis = build_genesis(nodes, (), now)
    for root in roots.values():
        install_genesis(NodeFolder(root), genesis, ())
    return Founded(genesis, tuple(nodes))


def prepare_node(
    root: Path, origin: str, participant: str, listen: str, metrics: str, now: datetime, passphrase: str | None
) -> NodeIdentity:
    """Make a node folder that belongs to no network yet. Its card, for those who found one, is beside its keys."""
    identity = create_node_folder(
        root,
        origin=origin,
        participant=participant,
        genesis=None,
        now=now,
        listen=listen,
        metrics=metrics,
        passphrase=passphrase,
    )
    write_new_file(root / "card.json", format_card(identity))
    return identity
