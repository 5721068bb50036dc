"""Who runs a node and how it stands with it, which rules are in force, and what is put to the vote."""

from __future__ import annotations

from keeling.operations import Contact
from keeling.policy import quorum
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from node.core.governance.records import Motion, Standing, ValidatorRow
from node.core.governance.validators import policy_in_force, read_validators
from node.core.governance.versions import read_schedule
from node.reads.messages import convert_place
from node.reads.pages import open_page, read_rows
from node.reads.view import ReadState
from node.store.contract import Reads

STANDINGS = {Standing.CANDIDATE: "candidate", Standing.IN_FORCE: "validator", Standing.LEFT: "left"}


def get_governance(view: Reads, _: pb.GetGovernanceRequest) -> pb.Governance:
    """All members, and policy and rules for the next block."""
    state = ReadState(view)
    rows = {t.VALIDATORS.parts(key)[0]: row for key, row in state.scan(t.VALIDATORS)}
    contacts = {t.CONTACTS.parts(key)[0]: contact for key, contact in state.scan(t.CONTACTS)}
    in_force = [name for name, _ in read_validators(state)]
    schedule = read_schedule(state)
    others = sorted({*rows, *contacts} - set(in_force))
    members = [_member(state, name, rows.get(name), contacts.get(name)) for name in (*in_force, *others)]
    return pb.Governance(
        members=members,
        validators=len(in_force),
        quorum=quorum(len(in_force)),
        policy_hash=policy_in_force(state).hash,
        rules=schedule.version,
        next_rules=schedule.next_version,
        next_rules_height=schedule.next_height,
        height=state.height,
    )


def _member(state: ReadState, name: str, row: ValidatorRow | None, contact: Contact | None) -> pb.Member:
    participant = state.get(t.PARTICIPANTS, name)
    keys = None if row is None else op.NodeKeys(entry=row.entry, vote=row.vote, log=row.log, cosigner=row.cosigner)
    return pb.Member(
        participant=name,
        standing="observer" if row is None else STANDINGS[Standing(row.standing)],
        since_height=0 if row is None else row.since,
        suspended=participant is not None and participant.suspended,
        address="" if contact is None else contact.address,
        tls_keys=() if contact is None else contact.tls_keys,
        node=keys,
    )


def list_motions(view: Reads, request: pb.ListRequest) -> pb.ListMotionsResponse:
    """Motions by name, all or those that can still be voted on."""
    state = ReadState(view)
    page = open_page(state.height, request.page_size, request.page_token, "motions", str(request.open_only))
    keep = (lambda _, row: _status(state, row) == "open") if request.open_only else None
    rows, last = read_rows(state, t.MOTIONS, [t.MOTIONS.key()], page, keep)
    voters = [name for name, _ in read_validators(state)]
    motions = [_motion(state, t.MOTIONS.parts(key)[0], row, voters) for key, row in rows]
    return pb.ListMotionsResponse(motions=motions, next_page_token=page.token(last), height=state.height)


def _status(state: ReadState, row: Motion) -> str:
    if row.decided:
        return "decided"
    return "open" if state.time_ms < row.until_ms else "expired"


def _motion(state: ReadState, name: str, row: Motion, voters: list[str]) -> pb.MotionInfo:
    counted = row.approvals if row.decided else [each for each in row.approvals if each in voters]
    return pb.MotionInfo(
        motion=name,
        by=row.by,
        because=row.because,
        until_ms=row.until_ms,
        opened=convert_place(row.opened),
        approvals=row.approvals,
        need=quorum(len(voters)),
        have=len(counted),
        decided_height=row.decided,
        digest=row.digest,
        transaction=row.transaction,
        status=_status(state, row),
    )
