"""The state of a successor network: what it takes over from the one before, and what its genesis file replaces.

Units, accounts, records, holds and ids go on; the old network's validators, policy, motions and attestations end.
Reading the old state and checking that it is the one the file names is the node's business. Source: protocol review O4.
"""

from __future__ import annotations

from typing import Any, Final

from keeling.events import SWEEP
from keeling.genesis import Founder, Genesis, GenesisError
from node.core import tables as t
from node.core.context import Context
from node.core.fields import check_name
from node.core.governance.membership import check_contact_fields
from node.core.governance.records import RuleSchedule
from node.core.members import add_key, check_key_grant, check_next_version, check_record_fields, check_roles, put_record
from node.core.opening import open_validators
from node.core.records import Participant, Progress
from node.core.refusal import Refused
from node.core.state import State

ENDED: Final[tuple[t.Table[Any], ...]] = (t.VALIDATORS, t.AUTHORS, t.MOTIONS, t.ATTESTED)
"""Tables that say who decided in the old network."""


def open_successor(state: State, genesis: Genesis) -> list[tuple[bytes, bytes | None]]:
    """The changes that make the old network's state, which `state` reads, the new one's before its first block.

    Participants of the file keep the keys they have, get those that are new, and are no longer suspended. Every key
    of a validator's node must be new. Raises `GenesisError` where the file breaks a rule.
    """
    old, schedule = state.get(t.PROGRESS), state.get(t.SCHEDULE)
    if genesis.succeeds is None or old is None or schedule is None or old.height != genesis.succeeds.height:
        raise GenesisError("succeeds: the state is not the one that the genesis file takes over")
    for table in ENDED:
        for key in [key for key, _ in state.scan(table)]:
            state.put_key(table, key, None)
    for key, member in list(state.scan(t.PARTICIPANTS)):
        state.put_key(t.PARTICIPANTS, key, member._replace(validator=False))
    time_ms = max(old.time_ms, genesis.created_ms)
    state.put(t.PROGRESS, Progress(genesis.base, time_ms, old.accounts, old.batches))
    state.put(t.SCHEDULE, RuleSchedule(schedule.version, 0, 0))
    tx = Context(state, genesis.base, time_ms, SWEEP, 0, "", ())
    try:
        for founder in genesis.founders:
            _take_over(tx, founder)
        open_validators(state, genesis)
        for record in genesis.records:
            check_record_fields(record)
            check_next_version(tx, record)
            put_record(tx, record)
    except Refused as refused:
        raise GenesisError(f"the genesis file breaks a rule: {refused}") from refused
    return state.finish_block(genesis.base)


def _take_over(tx: Context, founder: Founder) -> None:
    check_name(founder.participant, "participant")
    check_roles(founder.roles)
    tx.state.put(t.PARTICIPANTS, Participant(founder.name, founder.roles, False, False), founder.participant)
    for grant in founder.keys:
        check_key_grant(grant)
        known = tx.state.get(t.KEYS, grant.key)
        same = known is not None and (known.participant, known.purposes) == (founder.participant, grant.purposes)
        if known is None or known.retired or not same:
            add_key(tx, founder.participant, grant)
    if founder.contact is not None:
        check_contact_fields(founder.contact)
        tx.state.put(t.CONTACTS, founder.contact, founder.participant)
