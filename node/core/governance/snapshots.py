"""When the state is to be attested, and when enough validators have: the rules behind snapshots.

Every so many blocks with work in them (a governed record), the state after the block is due: each validator computes
its digest and puts it on the ledger, and the word that completes a quorum of equal ones makes a snapshot, whose event
is what joiners check. Computing digests and serving snapshots is the node's business. Source: protocol review S1, E4.
"""

from __future__ import annotations

from typing import Final

from keeling.events import EventKind
from keeling.operations import AttestState, Transaction
from keeling.policy import quorum
from keeling.reasons import Reason
from keeling.units import Purpose
from node.core import tables as t
from node.core.context import Context
from node.core.governance.records import Attestation, Attested
from node.core.governance.validators import is_validator, read_validators
from node.core.records import Progress
from node.core.refusal import Refused
from node.core.state import State

INTERVAL_RECORD: Final = "rule:snapshot.blocks"
"""Its newest version's value is how many blocks with work lie between two states that are attested."""
INTERVAL_BLOCKS: Final = 10_000
"""Without that record."""
INTERVAL_MAX: Final = 1_000_000_000


def parse_interval(value: str) -> int | None:
    """The number of blocks a record states; None where it states none."""
    found = int(value) if value.isascii() and value.isdecimal() and len(value) <= 10 else 0
    return found if 0 < found <= INTERVAL_MAX else None


def _read_interval(state: State) -> int:
    versions = state.get(t.RECORDS, INTERVAL_RECORD) or ()
    stated = parse_interval(versions[-1].rule.value) if versions and versions[-1].rule is not None else None
    return stated or INTERVAL_BLOCKS


def is_work(transaction: Transaction | None) -> bool:
    """Whether a transaction is anything but attestations: those must not make the next one due (rule E4)."""
    return transaction is not None and any(type(operation) is not AttestState for operation in transaction.operations)


def count_work(state: State, progress: Progress, worked: bool) -> Progress:
    """Count the block that ends; if enough were counted, its state is due. Of older heights the last one stays open."""
    if not worked:
        return progress
    if progress.worked + 1 < _read_interval(state):
        return progress._replace(worked=progress.worked + 1)
    heights = [t.ATTESTED.parts(key)[0] for key, _ in state.scan(t.ATTESTED)]
    for height in heights[:-1]:
        state.delete(t.ATTESTED, height)
    state.put(t.ATTESTED, Attested((), b""), progress.height)
    return progress._replace(worked=0)


def check_attest_fields(op: AttestState) -> None:
    if len(op.digest) != 32:
        raise Refused(Reason.BAD_FIELD, "a digest of the state has 32 bytes", field="digest")


def apply_attest_state(tx: Context, op: AttestState) -> None:
    """A validator's word on the state at a height; the one that makes a quorum says SNAPSHOT."""
    row = tx.state.get(t.ATTESTED, op.height)
    if row is None:
        detail = f"no digest of the state at {op.height} is asked for"
        raise Refused(Reason.ATTESTATION_NOT_DUE, detail, height=op.height)
    name = tx.participant
    if not is_validator(tx.state, name) or not tx.signed_by(name, Purpose.NODE | Purpose.GOVERN):
        raise Refused(Reason.NOT_PERMITTED, "no NODE or GOVERN key of a validator in force has signed")
    if any(said.participant == name for said in row.attestations):
        raise Refused(Reason.ATTESTED_ALREADY, f"{name} has attested height {op.height}", height=op.height)
    attestations = (*row.attestations, Attestation(name, op.digest))
    tx.emit(EventKind.STATE_ATTESTED, str(op.height), facts={"by": name, "digest": op.digest.hex()})
    validators = [participant for participant, _ in read_validators(tx.state)]
    equal = [said.participant for said in attestations if said.digest == op.digest and said.participant in validators]
    agreed = row.agreed
    if not agreed and len(equal) >= quorum(len(validators)):
        agreed = op.digest
        tx.emit(EventKind.SNAPSHOT, str(op.height), facts={"digest": agreed.hex(), "by": " ".join(equal)})
    tx.state.put(t.ATTESTED, Attested(attestations, agreed), op.height)
