"""Suspending, replacing, proving ready, setting the policy: the operations that change who validates.

Each ends in `decide_policy` where it changes the set in force. Admitting a participant and changing its people's keys
is in `node.core.members`. Source: architecture §4.9, protocol review O1.
"""

from __future__ import annotations

import re
from typing import Final

from keeling.ed25519 import check_signature
from keeling.events import EventKind
from keeling.operations import Contact, NodeKeys, Ready, SetPolicy, Suspend
from keeling.policy import Policy, parse_policy
from keeling.readiness import readiness_message
from keeling.reasons import Reason
from keeling.strict import FormatError
from node.core import tables as t
from node.core.authority import check_electorate
from node.core.context import Context
from node.core.fields import check_name, check_text
from node.core.governance.records import Standing
from node.core.governance.validators import (
    ROLES,
    build_policy,
    decide_policy,
    read_origin,
    read_validators,
    set_standing,
)
from node.core.refusal import Refused

TLS_KEYS_MAX: Final = 4
TLS_KEY_BYTES_MAX: Final = 1_024
_ADDRESS: Final = re.compile(r"(?:[A-Za-z0-9.-]{1,200}|\[[0-9A-Fa-f:.]{2,64}\]):[0-9]{1,5}", re.ASCII)


def check_contact_fields(contact: Contact | None) -> None:
    """An address that can be dialled, and keys that have the outer form of a SubjectPublicKeyInfo."""
    if contact is None:
        return
    if contact.address and not _ADDRESS.fullmatch(contact.address):
        detail = f"{contact.address[:80]!r} is no HOST:PORT"
        raise Refused(Reason.BAD_FIELD, detail, field="contact.address")
    if len(contact.tls_keys) > TLS_KEYS_MAX or len(set(contact.tls_keys)) != len(contact.tls_keys):
        detail = f"{len(contact.tls_keys)} TLS keys; {TLS_KEYS_MAX} different ones are allowed"
        raise Refused(Reason.BAD_FIELD, detail, field="contact.tls_keys")
    if any(len(key) > TLS_KEY_BYTES_MAX or not _is_sequence(key) for key in contact.tls_keys):
        detail = f"a TLS key is a DER SubjectPublicKeyInfo of {TLS_KEY_BYTES_MAX} bytes at most"
        raise Refused(Reason.BAD_FIELD, detail, field="contact.tls_keys")


def _is_sequence(der: bytes) -> bool:
    """Whether the bytes are exactly one DER SEQUENCE, whatever is in it."""
    if len(der) < 2 or der[0] != 0x30:
        return False
    size, start = der[1], 2
    if size & 0x80:
        more = size & 0x7F
        size, start = int.from_bytes(der[2 : 2 + more], "big"), 2 + more
    return len(der) == start + size


def set_contact(tx: Context, participant: str, contact: Contact | None) -> dict[str, str]:
    """Keep where the participant's node is reached, if that is said; returns what an event tells of it."""
    if contact is None:
        return {}
    tx.state.put(t.CONTACTS, contact, participant)
    return {"address": contact.address or "none", "tls_keys": str(len(contact.tls_keys))}


def describe_node(node: NodeKeys | None) -> dict[str, str]:
    """What an event tells of a node's new keys."""
    return {role: key.hex() for role, key in zip(ROLES, node or (), strict=False) if key}


# -- suspend


def check_suspend_fields(op: Suspend) -> None:
    check_name(op.participant, "participant")
    check_text(op.reason, "reason", "a suspension, and its end, has a reason")


def apply_suspend(tx: Context, op: Suspend) -> None:
    """The participant may not act any more, and its validator leaves; or the end of that."""
    member = tx.member(op.participant)
    check_electorate(tx)
    if member.suspended != op.lift:
        reason = Reason.NOT_SUSPENDED if op.lift else Reason.SUSPENDED_ALREADY
        raise Refused(reason, f"{op.participant} is {'' if member.suspended else 'not '}suspended")
    validator = tx.state.get(t.VALIDATORS, op.participant)
    tx.state.put(t.PARTICIPANTS, member._replace(suspended=not op.lift), op.participant)
    tx.emit(EventKind.SUSPENDED, op.participant, facts={"reason": op.reason, "lifted": "yes" if op.lift else ""})
    if validator is not None and validator.standing != Standing.CANDIDATE:
        set_standing(tx, op.participant, Standing.CANDIDATE)
        if validator.standing == Standing.IN_FORCE:
            decide_policy(tx)


# -- ready


def check_ready_fields(op: Ready) -> None:
    check_name(op.participant, "participant")
    for role, signature in zip(ROLES, op[2:], strict=True):
        if len(signature) != 64:
            raise Refused(Reason.BAD_FIELD, f"the signature of the {role} key has 64 bytes", field=role)


def apply_ready(tx: Context, op: Ready) -> None:
    """The participant's node is there: what the electorate admitted comes into force (review O1)."""
    tx.member(op.participant)
    row = tx.state.get(t.VALIDATORS, op.participant)
    if row is None or row.standing != Standing.CANDIDATE:
        detail = f"{op.participant} is not waiting to become a validator"
        raise Refused(Reason.VALIDATOR_NOT_FOUND, detail, participant=op.participant)
    if tx.participant != op.participant:
        detail = f"only {op.participant} says that its node is ready"
        raise Refused(Reason.NOT_PERMITTED, detail, participant=op.participant)
    if not row.since <= op.height < tx.height:
        detail = f"height {op.height} is not from {row.since} to {tx.height - 1}"
        raise Refused(Reason.READY_HEIGHT_WRONG, detail, height=op.height)
    node = NodeKeys(row.entry, row.vote, row.log, row.cosigner)
    message = readiness_message(read_origin(tx.state), op.participant, node, op.height)
    for role, key, signature in zip(ROLES, node, op[2:], strict=True):
        if not check_signature(key, signature, message):
            raise Refused(Reason.KEY_NOT_PROVED, f"the {role} key of {op.participant} did not sign this", role=role)
    set_standing(tx, op.participant, Standing.IN_FORCE)
    tx.emit(EventKind.READY, op.participant, facts={"height": op.height})
    decide_policy(tx)


# -- set policy


def check_set_policy_fields(op: SetPolicy) -> None:
    policy = _parse_policy(op)
    if policy.since:
        raise Refused(Reason.BAD_FIELD, "the ledger says itself since when a policy is in force", field="policy")


def _parse_policy(op: SetPolicy) -> Policy:
    try:
        return parse_policy(op.policy)
    except FormatError as error:
        raise Refused(Reason.BAD_FIELD, f"this is no policy file: {error}", field="policy") from error


def apply_set_policy(tx: Context, op: SetPolicy) -> None:
    """Exactly the validators that the file names, in its order: those in force, or proved ready and left since."""
    wanted = _parse_policy(op)
    by_name = {row.name: (t.VALIDATORS.parts(key)[0], row) for key, row in tx.state.scan(t.VALIDATORS)}
    for validator in wanted.validators:
        if validator.name not in by_name:
            detail = f"no participant has a validator called {validator.name!r}"
            raise Refused(Reason.VALIDATOR_NOT_FOUND, detail, validator=validator.name)
    check_electorate(tx)
    origin, before = read_origin(tx.state), read_validators(tx.state)
    chosen = [by_name[validator.name] for validator in wanted.validators]
    if [name for name, _ in chosen] == [name for name, _ in before]:
        raise Refused(Reason.POLICY_UNCHANGED, "these validators are in force in this order")
    for participant, row in chosen:
        if row.standing == Standing.CANDIDATE:
            raise Refused(Reason.VALIDATOR_NOT_READY, f"the node of {participant} never said Ready", name=participant)
    known = build_policy([row for _, row in chosen], origin, 0)
    stripped = tuple(validator._replace(entry_key=b"") for validator in known.validators)
    if (wanted.origin, wanted.validators) != (origin, stripped):
        detail = "the file has other keys, or another origin, than the ledger has for these validators"
        raise Refused(Reason.POLICY_NOT_POSSIBLE, detail)
    names = [name for name, _ in chosen]
    for participant in (name for name, _ in before if name not in names):
        set_standing(tx, participant, Standing.LEFT)
    _put_in_order(tx, names)
    for participant in names:
        set_standing(tx, participant, Standing.IN_FORCE)
    tx.emit(EventKind.VALIDATORS_SET, origin, facts={"validators": " ".join(names)})
    decide_policy(tx)


def _put_in_order(tx: Context, names: list[str]) -> None:
    """These first, in this order, then all others as they stood."""
    rows = [(t.VALIDATORS.parts(key)[0], row) for key, row in tx.state.scan(t.VALIDATORS)]
    others = [name for name, row in sorted(rows, key=lambda item: item[1].ordinal) if name not in names]
    ordinals = {name: ordinal for ordinal, name in enumerate([*names, *others])}
    for participant, row in rows:
        tx.state.put(t.VALIDATORS, row._replace(ordinal=ordinals[participant]), participant)
