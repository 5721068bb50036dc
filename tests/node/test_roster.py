"""Who is who by the ledger: validators in force and to come, those who left, and whose keys are not the right ones."""

from __future__ import annotations

from keeling.operations import NodeKeys
from node.core import tables as t
from node.core.governance.records import Standing
from node.core.state import State
from node.ledger import StateReader, create_ledger
from node.roster import find_wrong_keys, read_roster
from node.store.contract import Batch, Family
from node.store.memory import MemoryStore
from tests.fakes.electorate import node_keys
from tests.fakes.recorded_electorate import RecordedElectorate

WORLD = RecordedElectorate(["v1", "v2", "v3", "v4"])
OTHER = node_keys("fresh")


def founded() -> MemoryStore:
    store = MemoryStore()
    create_ledger(store, WORLD.genesis, None)
    return store


def test_a_founders_keys_are_the_right_ones_and_any_other_is_named() -> None:
    roster, own = read_roster(founded(), WORLD.policy), node_keys("v2")
    assert roster.validators == ("v1", "v2", "v3", "v4")
    assert find_wrong_keys(roster, "v2", own) == ()
    for role, key in OTHER._asdict().items():
        assert find_wrong_keys(roster, "v2", own._replace(**{role: key})) == (role,)
    assert find_wrong_keys(roster, "v2", OTHER) == NodeKeys._fields
    assert find_wrong_keys(roster, "stranger", OTHER) == (), "the ledger names none for it: it observes"


def test_a_candidate_needs_its_keys_and_who_left_needs_none() -> None:
    for standing, wrong in ((Standing.CANDIDATE, NodeKeys._fields), (Standing.LEFT, ())):
        store = founded()
        row = State(StateReader(store)).get(t.VALIDATORS, "v2")
        assert row is not None
        batch = Batch()
        batch.put(Family.STATE, t.VALIDATORS.key("v2"), t.VALIDATORS.value.encode(row._replace(standing=standing)))
        store.commit(batch)
        assert find_wrong_keys(read_roster(store, WORLD.policy), "v2", OTHER) == wrong
