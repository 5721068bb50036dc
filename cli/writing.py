"""Handing in a change: build the transaction, sign it, keep it, send it, and tell what became of it.

What a change consists of is decided by the command; whether it is allowed, by the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cli.exits import ExitCode, Failed, misused
from cli.identifiers import format_id, make_uuid7, parse_id
from cli.output import Answer, Grid
from cli.session import Session

if TYPE_CHECKING:
    from cli.transactions import TransactionFile
    from keeling.v1 import ledger_pb2 as pb
    from network.keys import SeedSigner

Tell = Callable[["pb.TransactionResult"], Sequence["str | Grid"]]


class Change(NamedTuple):
    """The operations of one transaction. `tell` says what is worth saying when it was accepted; `facts` go along, with
    what `tell` adds to them. `warning`: what whoever signs must know; one line for standard error."""

    operations: Sequence[Any]
    tell: Tell | None = None
    facts: dict[str, Any] | None = None
    warning: str = ""


class Handing(NamedTuple):
    """How a change is handed in: by whom, under which id, for real or not, or only built."""

    key_path: Path | None = None
    number: str | None = None
    dry_run: bool = False
    build: Path | None = None


class Hand(NamedTuple):
    """Who signs: the key, and the participant whose it is by its file."""

    signer: SeedSigner
    participant: str


def load_hand(session: Session, key_path: Path | None) -> Hand:
    """Open the key file that signs: the one given, or the profile's."""
    from network.keys import SIGNING_ROLES, describe_key_file, load_signing_key

    path = (key_path or session.profile.signing_key).expanduser()
    described = describe_key_file(path)
    if described.role not in SIGNING_ROLES:
        raise misused(f"{path} is a {described.role} key", "people sign with a submission or an approval key")
    passphrase = session.passphrase if described.encrypted else None
    signer = load_signing_key(path, passphrase)
    return Hand(signer, described.owner.partition("/")[0])


def name_participant(session: Session, key_path: Path | None) -> str:
    """For whom a change is built: the owner of the key file given, or the profile's participant."""
    if key_path is None:
        return session.profile.participant
    from network.keys import describe_key_file

    return describe_key_file(key_path.expanduser()).owner.partition("/")[0]


def hand_in(session: Session, handing: Handing, change: Change) -> Answer:
    """Do with the change what the common options say."""
    from cli.transactions import TransactionFile, build_transaction

    number = parse_id(handing.number) if handing.number else make_uuid7()
    participant = name_participant(session, handing.key_path)
    raw = build_transaction(number, participant, list(change.operations))
    file = TransactionFile(session.network, raw)
    if handing.build is not None:
        return _write_file(handing.build, file, number, change)
    return submit(session, file, number, load_hand(session, handing.key_path), handing.dry_run, change)


def _write_file(path: Path, file: TransactionFile, number: bytes, change: Change) -> Answer:
    from cli.transactions import format_transaction_file
    from network.files import write_new_file

    try:
        write_new_file(path, format_transaction_file(file))
    except FileExistsError as error:
        raise misused(f"{path} exists already", "choose another file; nothing was overwritten") from error
    facts = {"id": format_id(number), "file": str(path), "digest": file.digest.hex()}
    facts |= {"warning": change.warning} if change.warning else {}
    text = f"built {format_id(number)} in {path}; sign: keeling tx sign {path} --as KEYFILE; send: keeling tx submit"
    return Answer(facts, [f"{text} {path}"], complaint=change.warning)


def submit(
    session: Session,
    file: TransactionFile,
    number: bytes,
    hand: Hand,
    dry_run: bool = False,
    change: Change | None = None,
) -> Answer:
    """Send one transaction and tell the result; raise `Failed` when there is none."""
    from cli import outbox
    from keeling.submission import format_submission

    items = [(file.transaction, list(file.approvals))]
    submission = format_submission(file.network, hand.signer.public_key, items, hand.signer.sign)
    if dry_run:
        result = send(session, [submission], dry_run=True)[0]
    else:
        was_open = outbox.path_of(number).exists()
        kept = outbox.keep(number, file)
        question = f"keeling tx get {format_id(number)}"
        if hand.participant != session.profile.participant:
            question += f" --participant {hand.participant}"
        question += f" (the same again: keeling tx submit {kept})"
        try:
            result = send(session, [submission], question)[0]
        except Failed as failed:
            if failed.code is not ExitCode.OUTCOME_UNKNOWN and not was_open:
                outbox.forget(number)
            raise
        outbox.forget(number)
    return answer_result(result, number, dry_run=dry_run, change=change)


def send(
    session: Session, submissions: Sequence[bytes], question: str = "", dry_run: bool = False
) -> Sequence[pb.TransactionResult]:
    """Hand in submissions; `question` is the command to ask with when the outcome stays unknown."""
    import grpc

    from cli.failures import explain_read, explain_write
    from keeling.v1 import ledger_pb2 as pb

    request = pb.SubmitRequest(submissions=submissions)
    method = session.ledger.DryRun if dry_run else session.ledger.Submit
    try:
        return method(request, timeout=session.deadline_ms / 1000).results
    except grpc.RpcError as error:
        if dry_run:
            raise explain_read(error, session.destination) from error
        raise explain_write(error, session.destination, question) from error


def answer_result(
    result: pb.TransactionResult, number: bytes, *, dry_run: bool = False, change: Change | None = None
) -> Answer:
    """Tell a transaction's result: a line and its moves, or the refusal."""
    from cli.failures import code_of
    from cli.telling import describe_refusal, facts_of_result, tell_adjustments, tell_events

    told = change.tell(result) if not result.reason and change is not None and change.tell is not None else []
    facts = facts_of_result(result, number) | {"dry_run": dry_run}
    warning = change.warning if change is not None else ""
    if change is not None:
        facts |= (change.facts or {}) | ({"warning": warning} if warning else {})
    if result.reason:
        refused = describe_refusal(result)
        return Answer(facts, [], code_of(result.reason), refused)
    if dry_run:
        lead = "would be done (nothing was changed)"
    else:
        lead = f"done at {result.place.height}.{result.place.ordinal}, transaction {format_id(number)}"
    if result.duplicate:
        lead += " (the first receipt again: this id and content were decided before)"
    sections = [lead, *told, *tell_events(result.events), *tell_adjustments(result.events)]
    return Answer(facts, sections, complaint=warning)
