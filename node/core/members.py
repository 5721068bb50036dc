"""Participants, their keys, and governed records: what the electorate and administrators decide.

What follows for the validators in force and their policy is in `node.core.governance`.
"""

from __future__ import annotations

from collections.abc import Sequence

from keeling.ed25519 import KeyRefused, check_public_key
from keeling.events import EventKind
from keeling.operations import (
    Admit,
    KeyGrant,
    LevyRounding,
    Programme,
    ProgrammeTransferRule,
    Replace,
    RotateKey,
    SetRecord,
)
from keeling.reasons import Reason
from keeling.units import ROLES, Purpose, unassigned_account
from node.core import tables as t
from node.core.accounts import OPEN_POLICY, create_account
from node.core.article6.governed import check_governed_fields, keep_governed
from node.core.authority import check_electorate, check_participant
from node.core.context import Context
from node.core.fields import GRADES, check_name, check_text, check_when
from node.core.governance.membership import check_contact_fields, describe_node, set_contact
from node.core.governance.snapshots import INTERVAL_MAX, INTERVAL_RECORD, parse_interval
from node.core.governance.validators import (
    add_candidate,
    check_electorate_can_act,
    check_node_fields,
    is_validator,
    replace_node_keys,
    retire_key,
)
from node.core.records import Key, Participant, RecordVersion
from node.core.refusal import Refused

ALL_PURPOSES = int(Purpose.SUBMIT | Purpose.APPROVE | Purpose.ADMIN | Purpose.GOVERN | Purpose.ATTEST | Purpose.NODE)


def check_key_grant(grant: KeyGrant) -> None:
    try:
        check_public_key(grant.key)
    except KeyRefused as error:
        raise Refused(Reason.BAD_FIELD, f"the key cannot be admitted: {error}", field="key") from error
    check_text(grant.person, "person", "a key says which person holds it, by an opaque label")
    if not grant.purposes or grant.purposes & ~ALL_PURPOSES:
        raise Refused(Reason.BAD_FIELD, f"purposes {grant.purposes} are not known", field="purposes")


def check_new_key(tx: Context, grant: KeyGrant) -> None:
    """Keys are never reused, not even by the participant that had them."""
    if tx.state.get(t.KEYS, grant.key) is not None:
        raise Refused(Reason.KEY_EXISTS, f"key {grant.key.hex()[:16]} is on the ledger", key=grant.key.hex())


def add_key(tx: Context, participant: str, grant: KeyGrant) -> None:
    """Put a key on the ledger."""
    check_new_key(tx, grant)
    tx.state.put(t.KEYS, Key(participant, grant.person, grant.purposes, tx.height, 0), grant.key)


def check_roles(roles: Sequence[str]) -> None:
    unknown = [role for role in roles if role not in ROLES]
    if unknown or not roles:
        raise Refused(Reason.BAD_FIELD, f"roles are {', '.join(ROLES)}; not {unknown}", field="roles")


def check_admit_fields(op: Admit) -> None:
    check_name(op.participant, "participant")
    check_text(op.name, "name", "a participant has a name")
    check_roles(op.roles)
    if not op.keys:
        raise Refused(Reason.MISSING_FIELD, "a participant comes with a key", field="keys")
    for grant in op.keys:
        check_key_grant(grant)
    if op.node is not None and not op.validator:
        raise Refused(Reason.BAD_FIELD, "only a validator's node has keys on the ledger", field="node")
    check_node_fields(op.node, whole=op.validator)
    check_contact_fields(op.contact)


def apply_admit(tx: Context, op: Admit) -> None:
    """A new participant, with its first keys; it manages the others itself. Its node observes until it is `Ready`."""
    if tx.state.get(t.PARTICIPANTS, op.participant) is not None:
        raise Refused(
            Reason.PARTICIPANT_EXISTS, f"a participant is called {op.participant}", participant=op.participant
        )
    for grant in op.keys:
        check_new_key(tx, grant)
    check_electorate(tx)
    roles = tuple(dict.fromkeys(op.roles))
    tx.state.put(t.PARTICIPANTS, Participant(op.name, roles, False, False), op.participant)
    for grant in op.keys:
        add_key(tx, op.participant, grant)
    if op.node is not None:
        add_candidate(tx, op.participant, op.node)
    facts = describe_node(op.node) | set_contact(tx, op.participant, op.contact)
    tx.emit(EventKind.ADMITTED, op.participant, facts={"name": op.name, "roles": " ".join(roles), **facts})


def check_rotate_fields(op: RotateKey) -> None:
    if not op.retire and op.add is None and op.node is None and op.contact is None:
        detail = "name a key to retire, one to add, keys of the node, or a contact"
        raise Refused(Reason.MISSING_FIELD, detail, field="retire, add, node, contact")
    if op.retire and len(op.retire) != 32:
        raise Refused(Reason.BAD_FIELD, "a key has 32 bytes", field="retire")
    if op.add is not None:
        check_key_grant(op.add)
    check_node_fields(op.node, whole=False)
    check_contact_fields(op.contact)


def apply_rotate_key(tx: Context, op: RotateKey) -> None:
    """A participant changes its own keys. A key may replace itself like for like; anything else needs an ADMIN."""
    old = tx.state.get(t.KEYS, op.retire) if op.retire else None
    if op.retire and (old is None or old.retired or old.participant != tx.participant):
        raise Refused(Reason.KEY_NOT_ACTIVE, f"{op.retire.hex()[:16]} is no active key of {tx.participant}")
    if op.add is not None:
        check_new_key(tx, op.add)
    itself = old is not None and op.retire in [signer.key for signer in tx.signers]
    alike = old is not None and op.add is not None and (op.add.person, op.add.purposes) == (old.person, old.purposes)
    if not (itself and alike) or op.node is not None or op.contact is not None:
        check_participant(tx, tx.participant, Purpose.ADMIN)
    if op.add is not None:
        add_key(tx, tx.participant, op.add)
    if old is not None:
        tx.state.put(t.KEYS, old._replace(retired=tx.height), op.retire)
        if old.purposes & Purpose.ADMIN and not _has_administrator(tx):
            raise Refused(Reason.POLICY_LOCKS_OUT, f"{tx.participant} would be left without an administrator")
        if old.purposes & Purpose.GOVERN and is_validator(tx.state, tx.participant):
            check_electorate_can_act(tx.state)
    added = op.add.key.hex() if op.add is not None else ""
    facts = describe_node(op.node) | set_contact(tx, tx.participant, op.contact)
    tx.emit(EventKind.KEY_ROTATED, tx.participant, facts={"retired": op.retire.hex(), "added": added, **facts})
    if op.node is not None:
        replace_node_keys(tx, tx.participant, op.node)


def check_replace_fields(op: Replace) -> None:
    check_name(op.participant, "participant")
    if not op.keys and op.node is None and op.contact is None:
        raise Refused(Reason.MISSING_FIELD, "name keys of its people, keys of its node, or a contact", field="keys")
    for grant in op.keys:
        check_key_grant(grant)
    if op.keys and not any(grant.purposes & Purpose.ADMIN for grant in op.keys):
        raise Refused(Reason.POLICY_LOCKS_OUT, f"{op.participant} would be left without an administrator")
    check_node_fields(op.node, whole=False)
    check_contact_fields(op.contact)


def apply_replace(tx: Context, op: Replace) -> None:
    """The electorate gives a participant other keys: of its people, all; of its node, those named."""
    tx.member(op.participant)
    for grant in op.keys:
        check_new_key(tx, grant)
    check_electorate(tx)
    if op.keys:
        for public in [t.KEYS.parts(at)[0] for at, key in tx.state.scan(t.KEYS) if _is_of_people(key, op.participant)]:
            retire_key(tx.state, public, tx.height)
        for grant in op.keys:
            add_key(tx, op.participant, grant)
        if is_validator(tx.state, op.participant):
            check_electorate_can_act(tx.state)
    facts = describe_node(op.node) | set_contact(tx, op.participant, op.contact)
    added = " ".join(grant.key.hex() for grant in op.keys)
    tx.emit(EventKind.REPLACED, op.participant, facts={"added": added, **facts})
    if op.node is not None and tx.state.get(t.VALIDATORS, op.participant) is None:
        check_node_fields(op.node, whole=True)
        add_candidate(tx, op.participant, op.node)
    elif op.node is not None:
        replace_node_keys(tx, op.participant, op.node)


def _is_of_people(key: Key, participant: str) -> bool:
    return key.participant == participant and bool(key.purposes)


def _has_administrator(tx: Context) -> bool:
    return any(
        key.participant == tx.participant and not key.retired and key.purposes & Purpose.ADMIN
        for _, key in tx.state.scan(t.KEYS)
    )


# -- records


def check_record_fields(op: SetRecord) -> None:
    check_name(op.id, "id")
    check_text(op.source, "source", "a record says where its rule comes from")
    check_when(op.effective_from, "effective_from")
    check_when(op.effective_to, "effective_to")
    if op.body is None:
        raise Refused(Reason.MISSING_FIELD, "a record has a body", field="body")
    check_governed_fields(op)
    version = convert_record(op)
    if version.programme is not None:
        _check_programme(version.programme)
    if version.registry is not None:
        if not op.id.startswith("registry:"):
            raise Refused(Reason.BAD_FIELD, "the record of a registry is called registry:NAME", field="id")
        if version.registry.capture_grade not in tuple(GRADES):
            raise Refused(Reason.BAD_FIELD, "capture_grade is A, B, C or D", field="registry.capture_grade")
    if op.id == INTERVAL_RECORD and (version.rule is None or parse_interval(version.rule.value) is None):
        detail = f"{INTERVAL_RECORD} is a number of blocks, 1 to {INTERVAL_MAX}"
        raise Refused(Reason.BAD_FIELD, detail, field="rule.value")


def _check_programme(programme: Programme) -> None:
    check_name(programme.registry, "programme.registry")
    check_name(programme.grain, "programme.grain")
    check_name(programme.scheme, "programme.scheme")
    rule = programme.transfer_rule
    if rule not in list(ProgrammeTransferRule) or rule == ProgrammeTransferRule.TRANSFER_RULE_UNSPECIFIED:
        raise Refused(Reason.MISSING_FIELD, "a programme says how its units may be transferred", field="transfer_rule")
    for levy in programme.levies:
        check_name(levy.account, "levies.account")
        if not 0 < levy.basis_points <= 10_000:
            detail = f"levy {levy.name!r} takes {levy.basis_points} basis points; 1 to 10000"
            raise Refused(Reason.BAD_FIELD, detail, field="levies.basis_points")
        if levy.rounding not in (LevyRounding.UP, LevyRounding.DOWN, LevyRounding.HALF_UP):
            raise Refused(Reason.MISSING_FIELD, f"levy {levy.name!r} says how it rounds", field="levies.rounding")


def convert_record(op: SetRecord) -> RecordVersion:
    """The record as state keeps it."""
    kind = type(op.body).__name__
    return RecordVersion(
        op.version,
        op.source,
        op.effective_from.ms if op.effective_from else 0,
        op.effective_to.ms if op.effective_to else 0,
        op.body if kind == "Programme" else None,  # type: ignore[arg-type]
        op.body if kind == "RegistryPolicy" else None,  # type: ignore[arg-type]
        op.body if kind == "Rule" else None,  # type: ignore[arg-type]
        op.body if kind == "Party" else None,  # type: ignore[arg-type]
        op.body if kind == "CooperativeApproach" else None,  # type: ignore[arg-type]
    )


def apply_set_record(tx: Context, op: SetRecord) -> None:
    """A new version of a record; earlier ones stay. A registry's first record opens its unassigned account."""
    check_next_version(tx, op)
    check_electorate(tx)
    put_record(tx, op)


def check_next_version(tx: Context, op: SetRecord) -> None:
    """Versions count 1, 2, 3 and never change."""
    versions = tx.state.get(t.RECORDS, op.id) or ()
    if op.version != len(versions) + 1:
        detail = f"record {op.id} has {len(versions)} versions; the next is {len(versions) + 1}, not {op.version}"
        raise Refused(Reason.RECORD_VERSION_NOT_NEXT, detail, record=op.id)


def put_record(tx: Context, op: SetRecord) -> None:
    """Keep the version. The genesis file's records come in here as well."""
    versions = tx.state.get(t.RECORDS, op.id) or ()
    stated = keep_governed(tx, op, versions)
    tx.state.put(t.RECORDS, (*versions, convert_record(op)), op.id)
    registry = op.id.removeprefix("registry:")
    if registry != op.id and tx.state.get(t.ACCOUNT_NUMBERS, unassigned_account(registry)) is None:
        create_account(tx, unassigned_account(registry), "", "", OPEN_POLICY)
    tx.emit(EventKind.RECORD_SET, op.id, facts={"version": op.version, "source": op.source, **stated})
