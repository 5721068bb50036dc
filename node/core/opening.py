"""The state before the first block: what a genesis file says, as consensus state. The file is parsed elsewhere."""

from __future__ import annotations

import hashlib

from keeling.block import chain_writes
from keeling.events import SWEEP
from keeling.genesis import Genesis, GenesisError
from keeling.merkle import EMPTY_FRONTIER
from node.core import tables as t
from node.core.block import Tip
from node.core.context import Context
from node.core.fields import check_name
from node.core.members import add_key, check_key_grant, check_next_version, check_record_fields, check_roles, put_record
from node.core.records import Author, Participant, Progress
from node.core.refusal import Refused
from node.core.state import State


def open_ledger(state: State, genesis: Genesis) -> tuple[Tip, list[tuple[bytes, bytes | None]]]:
    """Fill an empty state; returns the tip the first block follows, and the changes for the store.

    The first header names the network id as its previous hash. Raises `GenesisError` where the file breaks a rule.
    """
    state.put(t.PROGRESS, Progress(0, genesis.created_ms, 0, 0))
    tx = Context(state, 0, genesis.created_ms, SWEEP, 0, "", ())
    if len({validator.entry_key for validator in genesis.validators}) != len(genesis.validators):
        raise GenesisError("validators: two of them have the same entry key")
    validators = [validator.participant for validator in genesis.validators]
    try:
        for founder in genesis.founders:
            check_name(founder.participant, "participant")
            check_roles(founder.roles)
            member = Participant(founder.name, founder.roles, False, founder.participant in validators)
            state.put(t.PARTICIPANTS, member, founder.participant)
            for grant in founder.keys:
                check_key_grant(grant)
                add_key(tx, founder.participant, grant)
        for validator in genesis.validators:
            state.put(t.AUTHORS, Author(0, genesis.created_ms), validator.entry_key)
        for record in genesis.records:
            check_record_fields(record)
            check_next_version(tx, record)
            put_record(tx, record)
    except Refused as refused:
        raise GenesisError(f"the genesis file breaks a rule: {refused}") from refused
    changes = state.finish_block(0)
    policy = hashlib.sha256(genesis.policy).digest()
    writes = chain_writes(bytes(32), changes)
    return Tip(genesis.network, policy, 0, genesis.network, writes, EMPTY_FRONTIER), changes
