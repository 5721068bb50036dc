"""The state before the first block: what a genesis file says, as consensus state. The file is parsed elsewhere."""

from __future__ import annotations

from keeling.block import RULES, chain_writes
from keeling.events import SWEEP
from keeling.genesis import Genesis, GenesisError
from keeling.handover import read_genesis_reign
from keeling.merkle import EMPTY_FRONTIER
from node.core import tables as t
from node.core.block import Tip
from node.core.context import Context
from node.core.fields import check_name
from node.core.governance.membership import check_contact_fields
from node.core.governance.records import PolicyInForce, RuleSchedule, Standing, ValidatorRow
from node.core.governance.validators import keep_node_key
from node.core.members import add_key, check_key_grant, check_next_version, check_record_fields, check_roles, put_record
from node.core.records import Author, Participant, Progress
from node.core.refusal import Refused
from node.core.state import State


def open_ledger(state: State, genesis: Genesis) -> tuple[Tip, list[tuple[bytes, bytes | None]]]:
    """Fill an empty state; returns the tip the first block follows, and the changes for the store.

    The first header names the network id as its previous hash. Raises `GenesisError` where the file breaks a rule.
    """
    state.put(t.PROGRESS, Progress(0, genesis.created_ms, 0, 0))
    state.put(t.SCHEDULE, RuleSchedule(RULES, 0, 0))
    tx = Context(state, 0, genesis.created_ms, SWEEP, 0, "", ())
    try:
        for founder in genesis.founders:
            check_name(founder.participant, "participant")
            check_roles(founder.roles)
            state.put(t.PARTICIPANTS, Participant(founder.name, founder.roles, False, False), founder.participant)
            for grant in founder.keys:
                check_key_grant(grant)
                add_key(tx, founder.participant, grant)
            if founder.contact is not None:
                check_contact_fields(founder.contact)
                state.put(t.CONTACTS, founder.contact, founder.participant)
        policy = open_validators(state, genesis)
        for record in genesis.records:
            check_record_fields(record)
            check_next_version(tx, record)
            put_record(tx, record)
    except Refused as refused:
        raise GenesisError(f"the genesis file breaks a rule: {refused}") from refused
    changes = state.finish_block(0)
    # A successor begins with the state it takes over, which only a store has: its write sets chain on from that digest.
    writes = chain_writes(bytes(32) if genesis.succeeds is None else genesis.succeeds.digest, changes)
    return Tip(genesis.network, policy, genesis.base, genesis.network, writes, EMPTY_FRONTIER), changes


def open_validators(state: State, genesis: Genesis) -> bytes:
    """The validators of the first hour, in the order of the policy; returns the policy hash.

    Raises `GenesisError` where the file's validators are not those of its policy, and `Refused` for a key that is used
    twice.
    """
    reign = read_genesis_reign(genesis)
    if len(reign.policy.validators) != len(genesis.validators):
        told, named = len(genesis.validators), len(reign.policy.validators)
        raise GenesisError(f"validators: the file has {told}, its policy {named}; both name the same, in one order")
    if len({validator.participant for validator in genesis.validators}) != len(genesis.validators):
        raise GenesisError("validators: a participant has one, not two")
    for ordinal, (validator, keys) in enumerate(zip(genesis.validators, reign.policy.validators, strict=True)):
        member = state.get(t.PARTICIPANTS, validator.participant)
        if member is None:
            raise GenesisError(f"validators: {validator.participant} is no participant")
        state.put(t.PARTICIPANTS, member._replace(validator=True), validator.participant)
        node = (validator.entry_key, keys.vote_key, keys.log_key.public_key, keys.cosigner_key.public_key)
        for key in node:
            keep_node_key(state, validator.participant, key, 0)
        row = ValidatorRow(keys.name, ordinal, Standing.IN_FORCE, 0, *node, keys.cosigner_key.name)
        state.put(t.VALIDATORS, row, validator.participant)
        state.put(t.AUTHORS, Author(0, genesis.created_ms), validator.entry_key)
    state.put(t.POLICY, PolicyInForce(genesis.policy, reign.hash))
    return reign.hash
