"""Who may connect by configuration and ledger together."""

from __future__ import annotations

from keeling.operations import Contact
from node.connections import read_standing
from node.core import tables
from node.core.records import Participant
from node.store.contract import Batch, Family
from node.store.memory import MemoryStore
from tests.network.party import Party


def test_keys_and_suspensions_are_read_from_the_ledger() -> None:
    store, batch = MemoryStore(), Batch()
    old, new, other = Party("bank"), Party("bank"), Party("audit")
    for participant, keys in (("bank", (old, new)), ("audit", (other,)), ("silent", ())):
        row = Contact("", tuple(party.pin.public_key for party in keys))
        batch.put(Family.STATE, tables.CONTACTS.key(participant), tables.CONTACTS.value.encode(row))
    for participant, suspended in (("bank", False), ("audit", True)):
        member = Participant(participant, (), suspended, False)
        batch.put(Family.STATE, tables.PARTICIPANTS.key(participant), tables.PARTICIPANTS.value.encode(member))
    store.commit(batch)
    standing = read_standing(store)
    assert set(standing.pins) == {old.pin, new.pin, other.pin}
    assert standing.suspended == {"audit"}
