"""A node's card: what its operator gives the others, so that they can found a network together. Public keys only.

People compare the digest of a card over another channel. Who is admitted because of it is decided by whoever founds
the network, or by the ledger.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Any, Final

from network.certificates import CertificateError, decode_public_key
from network.folders import NodeIdentity
from network.keys import NODE_ROLES, Role
from network.names import NameRefused, check_origin, check_participant, parse_address
from network.trust import PinnedKey

FORMAT: Final = 1


class CardRefused(ValueError):
    """The bytes are no card; the text says what is wrong and with which part."""


def format_card(identity: NodeIdentity) -> bytes:
    """The card of a node, in its only form."""
    content = {
        "format": FORMAT,
        "origin": identity.origin,
        "participant": identity.participant,
        "address": identity.address,
        "keys": {role.value: identity.keys[role].hex() for role in NODE_ROLES},
        "tls_key": base64.b64encode(identity.tls.public_key).decode("ascii"),
    }
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode("utf-8")


def parse_card(data: bytes) -> NodeIdentity:
    """What a card says; raises `CardRefused`. Whether it is genuine, its digest tells two people on the telephone."""
    try:
        content = json.loads(data)
    except ValueError as error:
        raise CardRefused(f"this is no card, which is JSON made by `keeling node prepare`: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CardRefused(f"this is no card of format {FORMAT}, as `keeling node prepare` makes them")
    try:
        origin, participant = check_origin(content["origin"]), check_participant(content["participant"])
        parse_address(content["address"])
        keys = {role: _read_key(content["keys"], role) for role in NODE_ROLES}
        tls = base64.b64decode(content["tls_key"], validate=True)
        decode_public_key(tls)
    except KeyError as error:
        raise CardRefused(f"the card says nothing of {error}") from error
    except (TypeError, NameRefused, CertificateError, binascii.Error) as error:
        raise CardRefused(f"the card is damaged: {error}") from error
    identity = NodeIdentity(origin, participant, content["address"], keys, PinnedKey(participant, tls))
    if format_card(identity) != data:
        raise CardRefused("the card was edited: ask its operator for it again")
    return identity


def compute_card_digest(data: bytes) -> str:
    """What two people read to each other: SHA-256 of the card, in groups of four."""
    text = hashlib.sha256(data).hexdigest()[:32]
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def _read_key(keys: Any, role: Role) -> bytes:
    try:
        key = bytes.fromhex(keys[role.value])
    except ValueError as error:
        raise CardRefused(f"the card's {role.value} key is no hexadecimal number") from error
    if len(key) != 32:
        raise CardRefused(f"the card's {role.value} key has {len(key)} bytes, an Ed25519 key has 32")
    return key
