"""Who runs a node of this network, by what the ledger says: validators in force, those to come, and observers."""

from __future__ import annotations

from node.core import tables
from node.core.governance.records import Standing
from node.core.state import State
from node.ledger import StateReader
from node.peers.contract import Member
from node.store.contract import Reads


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
