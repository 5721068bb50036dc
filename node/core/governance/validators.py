"""The validators in force and the policy that follows from them: every change of either goes through `decide_policy`.

A change takes effect after the block that decides it, which the old set certifies: the state after the block names the
next policy, and so does the block's header. A set that cannot sign, or that leaves too few people to govern, is refused
here whatever operation asks for it. Source: architecture §4.9, protocol review O1, O2, L4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from keeling.ed25519 import KeyRefused, check_public_key
from keeling.events import EventKind
from keeling.note import KeyType, NoteKey
from keeling.operations import NodeKeys
from keeling.policy import VALIDATORS_MAX, Policy, Validator, check_policy, format_policy, hash_policy, parse_policy
from keeling.reasons import Reason
from keeling.strict import FormatError
from keeling.units import Purpose
from node.core import tables as t
from node.core.context import Context
from node.core.governance.records import PolicyInForce, Standing, ValidatorRow
from node.core.records import Author, Key
from node.core.refusal import Refused
from node.core.state import State

ROLES: Final = ("entry", "vote", "log", "cosigner")
"""The keys of a node, in the order of `NodeKeys`."""


def check_node_fields(node: NodeKeys | None, whole: bool) -> None:
    """Keys of a validator's machine, if any are given: usable, no two alike; all four where `whole`."""
    given = [(role, key) for role, key in zip(ROLES, node or (), strict=False) if key]
    if whole and len(given) != len(ROLES):
        detail = f"a validator has four keys of its own: {', '.join(ROLES)}"
        raise Refused(Reason.MISSING_FIELD, detail, field="node")
    for role, key in given:
        try:
            check_public_key(key)
        except KeyRefused as error:
            raise Refused(Reason.BAD_FIELD, f"the {role} key cannot be used: {error}", field=f"node.{role}") from error
    if len({key for _, key in given}) != len(given):
        raise Refused(Reason.BAD_FIELD, "every role of a node has a key of its own", field="node")


def read_origin(state: State) -> str:
    """The network's name, from the policy in force."""
    return parse_policy(policy_in_force(state).file).origin


def policy_in_force(state: State) -> PolicyInForce:
    """The policy that the next block is certified under."""
    found = state.get(t.POLICY)
    if found is None:
        raise LookupError("the state has no policy")
    return found


def read_validators(state: State) -> list[tuple[str, ValidatorRow]]:
    """Participants with validators in force, in the order of the policy."""
    rows = [(t.VALIDATORS.parts(key)[0], row) for key, row in state.scan(t.VALIDATORS)]
    return sorted((item for item in rows if item[1].standing == Standing.IN_FORCE), key=lambda item: item[1].ordinal)


def is_validator(state: State, participant: str) -> bool:
    """Whether a participant's validator is in force."""
    row = state.get(t.VALIDATORS, participant)
    return row is not None and row.standing == Standing.IN_FORCE


def build_policy(rows: Sequence[ValidatorRow], origin: str, since: int) -> Policy:
    """The policy of these validators in this order, decided by the block at `since`."""
    validators = tuple(
        Validator(
            name=row.name,
            log_key=NoteKey(origin, KeyType.PLAIN, row.log),
            cosigner_key=NoteKey(row.cosigner_name, KeyType.COSIGNATURE, row.cosigner),
            vote_key=row.vote,
            entry_key=row.entry,
        )
        for row in rows
    )
    return Policy(origin, validators, since)


def check_rows(rows: Sequence[ValidatorRow], origin: str, since: int) -> bytes:
    """The policy file of these validators; refuses a set that cannot be in force."""
    if not rows:
        raise Refused(Reason.ELECTORATE_LOCKED_OUT, "no validator would be left")
    if len(rows) > VALIDATORS_MAX:
        detail = f"{len(rows)} validators; {VALIDATORS_MAX} are allowed"
        raise Refused(Reason.TOO_MANY_VALIDATORS, detail, validators=len(rows))
    policy = build_policy(rows, origin, since)
    try:
        check_policy(policy)
        return format_policy(policy)
    except FormatError as error:
        raise Refused(Reason.POLICY_NOT_POSSIBLE, f"this set cannot be in force: {error}") from error


def decide_policy(tx: Context) -> None:
    """The set or its keys changed: write the policy that follows, for the blocks after this one."""
    origin = read_origin(tx.state)
    rows = read_validators(tx.state)
    file = check_rows([row for _, row in rows], origin, tx.height)
    check_electorate_can_act(tx.state)
    named = hash_policy(file)
    tx.state.put(t.POLICY, PolicyInForce(file, named))
    names = " ".join(name for name, _ in rows)
    tx.emit(EventKind.POLICY_CHANGED, origin, facts={"policy": named.hex(), "validators": names})


def check_electorate_can_act(state: State) -> None:
    """A quorum of the validators in force must still have somebody who can approve; nobody could undo the contrary."""
    validators = {name for name, _ in read_validators(state)}
    able = {
        key.participant
        for _, key in state.scan(t.KEYS)
        if key.participant in validators and not key.retired and key.purposes & Purpose.GOVERN
    }
    needed = 2 * len(validators) // 3 + 1
    if len(able) < needed:
        detail = f"{len(able)} of {len(validators)} validators would have a key that governs; {needed} are needed"
        raise Refused(Reason.ELECTORATE_LOCKED_OUT, detail, have=len(able), need=needed)


# -- rows


def add_candidate(tx: Context, participant: str, node: NodeKeys) -> None:
    """A participant's validator, admitted and not yet proved. Refuses now what could never be in force."""
    origin = read_origin(tx.state)
    ordinal = 1 + max((row.ordinal for _, row in tx.state.scan(t.VALIDATORS)), default=-1)
    cosigner_name = f"{origin}/{participant}"
    row = ValidatorRow(participant, ordinal, Standing.CANDIDATE, tx.height, *node, cosigner_name)
    check_rows([*(row for _, row in read_validators(tx.state)), row], origin, tx.height)
    for key in node:
        keep_node_key(tx.state, participant, key, tx.height)
    tx.state.put(t.VALIDATORS, row, participant)


def keep_node_key(state: State, participant: str, key: bytes, height: int) -> None:
    """Write down a key of a node: it may do nothing that people's keys may, and is never taken again."""
    if state.get(t.KEYS, key) is not None:
        raise Refused(Reason.KEY_EXISTS, f"key {key.hex()[:16]} is on the ledger", key=key.hex())
    state.put(t.KEYS, Key(participant, "node", 0, height, 0), key)


def replace_node_keys(tx: Context, participant: str, node: NodeKeys) -> None:
    """New keys for a participant's validator; an empty one stays as it is. In force, the policy changes with them."""
    row = tx.state.get(t.VALIDATORS, participant)
    if row is None:
        detail = f"{participant} has no validator whose keys could be replaced"
        raise Refused(Reason.VALIDATOR_NOT_FOUND, detail, participant=participant)
    before = NodeKeys(row.entry, row.vote, row.log, row.cosigner)
    after = NodeKeys(*(new or old for new, old in zip(node, before, strict=True)))
    for new, old in zip(after, before, strict=True):
        if new != old:
            keep_node_key(tx.state, participant, new, tx.height)
            retire_key(tx.state, old, tx.height)
    changed = row._replace(since=tx.height, entry=after.entry, vote=after.vote, log=after.log, cosigner=after.cosigner)
    tx.state.put(t.VALIDATORS, changed, participant)
    if row.standing == Standing.IN_FORCE:
        if after.entry != row.entry:
            set_author(tx.state, row.entry, False, tx.time_ms)
            set_author(tx.state, after.entry, True, tx.time_ms)
        decide_policy(tx)


def retire_key(state: State, public: bytes, height: int) -> None:
    """The key speaks for nobody from here on; it stays on the ledger."""
    key = state.get(t.KEYS, public)
    if key is not None and not key.retired:
        state.put(t.KEYS, key._replace(retired=height), public)


def set_author(state: State, entry_key: bytes, active: bool, time_ms: int) -> None:
    """Let an entry key make blocks or no more. A new validator's clock starts at ledger time (rule T1)."""
    known = state.get(t.AUTHORS, entry_key)
    number, clock_ms = (0, time_ms) if known is None else (known.number, max(known.clock_ms, time_ms))
    state.put(t.AUTHORS, Author(number, clock_ms, active), entry_key)


def set_standing(tx: Context, participant: str, standing: Standing) -> None:
    """Move a validator in or out of force; the caller decides the policy that follows."""
    row = tx.state.get(t.VALIDATORS, participant)
    member = tx.state.get(t.PARTICIPANTS, participant)
    if row is None or member is None:
        raise LookupError(f"{participant} has no validator")
    if row.standing == standing:
        return
    in_force = standing == Standing.IN_FORCE
    if in_force != (row.standing == Standing.IN_FORCE):
        set_author(tx.state, row.entry, in_force, tx.time_ms)
        tx.state.put(t.PARTICIPANTS, member._replace(validator=in_force), participant)
    tx.state.put(t.VALIDATORS, row._replace(standing=standing, since=tx.height), participant)
