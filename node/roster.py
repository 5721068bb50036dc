"""Who runs a node of this network, by what the ledger says: validators in force, those to come, and observers."""

from __future__ import annotations

from typing import NamedTuple

from keeling.operations import NodeKeys
from keeling.policy import Policy
from node.core import tables
from node.core.governance.records import Standing
from node.core.governance.validators import ROLES
from node.core.state import State
from node.ledger import StateReader
from node.peers.contract import Member
from node.store.contract import Reads


class Roster(NamedTuple):
    """The members, and the validators of the policy in force among them."""

    members: tuple[Member, ...]
    validators: tuple[str, ...]
    """Participants in policy order."""
    by_vote_key: dict[bytes, str]
    """Participants by the vote keys the ledger has for them."""
    node_keys: dict[str, NodeKeys]
    """What the ledger names for the nodes of validators, in force and to come, by participant."""


def read_roster(reads: Reads, policy: Policy) -> Roster:
    """Who is who once `policy` is in force. A validator the ledger does not know goes by its name in the policy."""
    members, node_keys = tuple(read_members(reads)), read_node_keys(reads)
    by_vote_key = {member.vote_key: member.participant for member in members if member.vote_key}
    validators = tuple(by_vote_key.get(validator.vote_key, validator.name) for validator in policy.validators)
    return Roster(members, validators, by_vote_key, node_keys)


def read_members(reads: Reads) -> list[Member]:
    """Everybody with a validator's keys or an address on the ledger, by participant."""
    state = State(StateReader(reads))
    rows = {tables.VALIDATORS.parts(key)[0]: row for key, row in state.scan(tables.VALIDATORS)}
    contacts = {tables.CONTACTS.parts(key)[0]: contact for key, contact in state.scan(tables.CONTACTS)}
    members = []
    for participant in sorted({*rows, *contacts}):
        row, contact = rows.get(participant), contacts.get(participant)
        address = contact.address if contact is not None else ""
        vote_key = row.vote if row is not None else b""
        members.append(Member(participant, address, vote_key, row is not None and row.standing == Standing.IN_FORCE))
    return members


def read_node_keys(reads: Reads) -> dict[str, NodeKeys]:
    """The keys that nodes need to sign with; a validator that left signs nothing."""
    rows = State(StateReader(reads)).scan(tables.VALIDATORS)
    return {
        tables.VALIDATORS.parts(key)[0]: NodeKeys(row.entry, row.vote, row.log, row.cosigner)
        for key, row in rows
        if row.standing != Standing.LEFT
    }


def find_entry_key(reads: Reads, participant: str) -> bytes | None:
    """The key that a validator's entries, and words of its ordering log, are signed with."""
    row = State(StateReader(reads)).get(tables.VALIDATORS, participant)
    return None if row is None else row.entry


def find_wrong_keys(roster: Roster, participant: str, own: NodeKeys) -> tuple[str, ...]:
    """Which of a node's keys are not those the ledger names for it; what its operator does is in `network.rekeying`.

    Nothing stops for it: the node follows, and does what its other keys are good for.
    """
    named = roster.node_keys.get(participant, own)
    return tuple(role for role, right, here in zip(ROLES, named, own, strict=True) if right != here)
