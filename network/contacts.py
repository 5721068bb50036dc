"""Whom a node knows before it has a ledger: the peers of its configuration, and the founders of the genesis file.

A running node asks its ledger instead, which begins with the same contacts and follows every change of them.
"""

from __future__ import annotations

import base64

from keeling.genesis import Genesis
from keeling.operations import Contact
from network.config import NodeConfig, PeerConfig
from network.folders import EVERY_INTERFACE, NodeIdentity
from network.names import parse_address


def contact_of(identity: NodeIdentity) -> Contact:
    """Where a node is reached, as the ledger keeps it. One that listens anywhere does not say."""
    host, port = parse_address(identity.address)
    address = "" if host in EVERY_INTERFACE or not port else identity.address
    return Contact(address, (identity.tls.public_key,))


def with_founders(config: NodeConfig, genesis: Genesis) -> NodeConfig:
    """The configuration with the founders' nodes among its peers, but for those that it names itself."""
    named = {config.participant, *(peer.participant for peer in config.peers)}
    founders = [
        PeerConfig(participant=each.participant, tls_key=base64.b64encode(key).decode("ascii"), address=address)
        for each in genesis.founders
        if each.participant not in named and each.contact is not None
        for key in each.contact.tls_keys
        for address in (each.contact.address,)
    ]
    return config.model_copy(update={"peers": (*config.peers, *founders)})
