"""Checkpoints: the signed head of the log, as strangers check it.

Here are the three lines of a checkpoint's text, the log's and a cosigner's signature under them, and the published form
of a final one: a log line, then exactly a quorum of cosignatures in the order of the policy, so that it has no second
spelling with the same signers. When a validator may sign, and how it remembers that it did, is not here. Source: C2SP
tlog-checkpoint v1.0.0, architecture §4.10.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from keeling.ed25519 import check_signature
from keeling.merkle import EMPTY_ROOT
from keeling.note import (
    CheckSignature,
    Note,
    NoteKey,
    NoteRefused,
    Sign,
    SignatureLine,
    Verified,
    check_line,
    check_note,
    cosign_text,
    format_note,
    parse_note,
    sign_text,
)
from keeling.policy import Policy, PolicyFile
from keeling.strict import HASH_BYTES, FormatError, check_number, format_base64, parse_decimal, parse_hash


class Checkpoint(NamedTuple):
    """A tree head: log, number of leaves, root hash."""

    origin: str
    size: int
    root: bytes


class FinalCheckpoint(NamedTuple):
    """A checkpoint that was found to be final."""

    checkpoint: Checkpoint
    signers: tuple[str, ...]
    """Names of the validators whose cosignatures it carries, in the order of the policy."""
    times: tuple[int, ...]
    """When each of them says it cosigned, seconds since 1970."""


def _check(checkpoint: Checkpoint) -> None:
    if not checkpoint.origin or any(char < " " for char in checkpoint.origin):
        raise FormatError(f"checkpoint origin {checkpoint.origin!r} is empty or holds a control character")
    check_number(checkpoint.size, "tree size")
    if len(checkpoint.root) != HASH_BYTES:
        raise FormatError(f"a root hash has {HASH_BYTES} bytes, this one has {len(checkpoint.root)}")
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise FormatError("a checkpoint of size 0 does not carry the root of the empty tree")


def format_checkpoint(checkpoint: Checkpoint) -> str:
    """Return the text that is signed."""
    _check(checkpoint)
    return f"{checkpoint.origin}\n{checkpoint.size}\n{format_base64(checkpoint.root)}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """Return the checkpoint that a note's text spells; extension lines are refused, this ledger has none."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise FormatError("a checkpoint is exactly three lines: origin, size, root hash")
    checkpoint = Checkpoint(lines[0], parse_decimal(lines[1], "tree size"), parse_hash(lines[2], "root hash"))
    _check(checkpoint)
    return checkpoint


def sign_checkpoint(checkpoint: Checkpoint, log_key: NoteKey, sign: Sign) -> SignatureLine:
    """Return the log's line; `log_key` is of type 01 and named by the origin."""
    if log_key.name != checkpoint.origin:
        raise FormatError(f"the log key is named {log_key.name!r}, the checkpoint's origin is {checkpoint.origin!r}")
    return sign_text(format_checkpoint(checkpoint), log_key, sign)


def cosign_checkpoint(checkpoint: Checkpoint, cosigner_key: NoteKey, time: int, sign: Sign) -> SignatureLine:
    """Return the cosigner's line, at `time` in seconds since 1970; `cosigner_key` is of type 04."""
    return cosign_text(format_checkpoint(checkpoint), cosigner_key, time, sign)


def format_final(checkpoint: Checkpoint, lines: Iterable[SignatureLine], policy: Policy) -> bytes:
    """Return the published form made of collected lines, of which only the first per key and a quorum are used.

    Signatures are not verified here: whoever collected a line did, and `check_final` does. Raises `NoteRefused` when
    the lines are too few.
    """
    text = format_checkpoint(checkpoint)
    by_key: dict[tuple[str, bytes], SignatureLine] = {}
    for line in lines:
        by_key.setdefault((line.name, line.key_id), line)
    logs = [by_key.get((validator.log_key.name, validator.log_key.id)) for validator in policy.validators]
    cosignatures = [by_key.get((v.cosigner_key.name, v.cosigner_key.id)) for v in policy.validators]
    log_lines = [line for line in logs if line is not None]
    quorum_lines = [line for line in cosignatures if line is not None][: policy.quorum]
    if not log_lines or len(quorum_lines) < policy.quorum:
        raise NoteRefused(
            f"the checkpoint of size {checkpoint.size} has {len(log_lines)} log signatures and {len(quorum_lines)}"
            f" cosignatures, it needs 1 and {policy.quorum}"
        )
    return format_note(Note(text, (log_lines[0], *quorum_lines)))


def check_final(data: bytes, policy: Policy, check: CheckSignature = check_signature) -> FinalCheckpoint:
    """Refuse unless `data` is the published form of a checkpoint that is final under `policy`.

    Stricter than a note: no unknown line, no surplus line, no other order. Raises `FormatError` or `NoteRefused`.
    """
    note = parse_note(data)
    checkpoint = parse_checkpoint(note.text)
    if checkpoint.origin != policy.origin:
        raise NoteRefused(f"the checkpoint is of {checkpoint.origin!r}, the policy is for {policy.origin!r}")
    log_line, *cosignatures = note.signatures
    if len(cosignatures) != policy.quorum:
        raise NoteRefused(f"the checkpoint carries {len(cosignatures)} cosignatures, it needs exactly {policy.quorum}")
    logs = {validator.log_key.id: validator.log_key for validator in policy.validators}
    if log_line.key_id not in logs:
        raise NoteRefused("the first signature line is not of one of the policy's log keys")
    check_line(note.text, log_line, logs[log_line.key_id], check)
    signers, times = [], []
    remaining = iter(policy.validators)
    for line in cosignatures:
        for validator in remaining:
            key = validator.cosigner_key
            if (line.name, line.key_id) == (key.name, key.id):
                verified = check_line(note.text, line, key, check)
                signers.append(validator.name)
                times.append(verified.time or 0)
                break
        else:
            raise NoteRefused(f"the cosignature of {line.name!r} is unknown to the policy, doubled or out of its order")
    return FinalCheckpoint(checkpoint, tuple(signers), tuple(times))


def check_trusted(data: bytes, policy: PolicyFile) -> tuple[Checkpoint, tuple[Verified, ...]]:
    """Refuse unless `data` is a checkpoint that meets any tlog policy: unknown lines are ignored, order is free.

    Returns it with the good signatures. It says "append only, as far as these witnesses saw", and no more; for this
    ledger's finality ask `check_final`. Raises `FormatError` or `NoteRefused`.
    """
    note = parse_note(data)
    checkpoint = parse_checkpoint(note.text)
    logs = [log.key for log in policy.logs if log.key.name == checkpoint.origin]
    verified = check_note(note, [*logs, *(witness.key for witness in policy.witnesses)])
    if not policy.is_met([signature.key for signature in verified]):
        raise NoteRefused(f"the checkpoint of {checkpoint.origin!r} size {checkpoint.size} does not meet the policy")
    return checkpoint, verified
