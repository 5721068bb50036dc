"""Who runs a node of this network, by what the ledger says: validators in force, those to come, and observers."""

from __future__ import annotations

from typing import NamedTuple

from keeling.policy import Policy
from node.core import tables
from node.core.governance.records import Standing
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


def read_roster(reads: Reads, policy: Policy) -> Roster:
    """Who is who once `policy` is in force. A validator the ledger does not know goes by its name in the policy."""
    members = tuple(read_members(reads))
    by_vote_key = {member.vote_key: member.participant for member in members if member.vote_key}
    validators = tuple(by_vote_key.get(validator.vote_key, validator.name) for validator in policy.validators)
    return Roster(members, validators, by_vote_key)


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


def find_entry_key(reads: Reads, participant: str) -> bytes | None:
    """The key that a validator's entries, and words of its ordering log, are signed with."""
    row = State(StateReader(reads)).get(tables.VALIDATORS, participant)
    return None if row is None else row.entry
