"""`keeling tx`: transactions as files, for several signers, and asking what became of an id."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cli.command import reads, works, writes
from cli.exits import ExitCode, Failed
from cli.identifiers import format_id, parse_id
from cli.output import Answer, Grid
from cli.session import Session
from cli.writing import Change, answer_result, load_hand, submit

app = typer.Typer(help="Transactions: build, sign, submit, and ask for the outcome.", no_args_is_help=True)

_FILE = Annotated[Path, typer.Argument(metavar="FILE", help="The transaction file.")]


@writes(app, "build")
def build(
    session: Session,
    description: Annotated[
        Path, typer.Argument(metavar="JSON", help='{"operations": [{"transfer": {…}}]}, as in operations.proto.')
    ],
) -> Change:
    """Make a transaction of any operations from a description; with --build into a file, else it is sent at once.

    Any writing command makes a transaction file too when it is given --build FILE.

    \b
    Example:
      keeling tx build trade.json --build trade.tx
      keeling retire 5000 --from A --build retire.tx
    """
    from cli.transactions import parse_description

    return Change(parse_description(description.read_bytes(), str(description)))


@works(app, "sign")
def sign(
    file: _FILE,
    key: Annotated[Path, typer.Option("--as", metavar="KEYFILE", help="The approver's key file.")],
) -> Answer:
    """Add one approval to a transaction file. Works offline: read what is signed with keeling tx show first.

    \b
    Example:
      keeling tx sign trade.tx --as asha.key
    """
    from cli.transactions import add_approval, format_transaction_file, read_transaction_file
    from network.files import replace_file

    hand = load_hand(Session(), key)
    signed = add_approval(read_transaction_file(file), hand.signer)
    replace_file(file, format_transaction_file(signed))
    facts = {
        "file": str(file),
        "id": format_id(signed.id),
        "digest": signed.digest.hex(),
        "key": hand.signer.public_key.hex(),
        "approvals": len(signed.approvals),
    }
    return Answer(
        facts, [f"signed by {hand.signer.public_key.hex()[:16]}…: {_count_approvals(len(signed.approvals))} in {file}"]
    )


@reads(app, "submit")
def submit_file(
    session: Session,
    file: _FILE,
    key: Annotated[
        Path | None, typer.Option("--as", metavar="KEYFILE", help="Who hands it in; default: the profile's key.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Ask what would happen; change nothing.")] = False,
) -> Answer:
    """Send a transaction file with all approvals in it. Sending the same again returns the first receipt.

    The key that hands it in belongs to the participant the transaction names, and counts as an approval too.

    \b
    Example:
      keeling tx submit trade.tx
    """
    from cli.transactions import read_transaction_file

    found = read_transaction_file(file)
    if found.network != session.network:
        raise Failed(
            ExitCode.REFUSED,
            f"{file} is for network {found.network.hex()[:16]}…, and your profile's is {session.network.hex()[:16]}…",
            reason="FOREIGN_NETWORK",
            advice="choose another profile, or build it again",
        )
    return submit(session, found, found.id, load_hand(session, key), dry_run)


@reads(app, "get")
def get(
    session: Session,
    transaction: Annotated[str, typer.Argument(metavar="ID", help="The transaction's id.")],
    participant: Annotated[str, typer.Option("--participant", help="Who handed it in; default: you.")] = "",
) -> Answer:
    """Ask what became of a transaction. Exit 0: accepted; 1: refused; 3: not decided (yet).

    \b
    Example:
      keeling tx get 019a5e3c-…
    """
    from cli import outbox
    from keeling.v1 import ledger_pb2 as pb

    number = parse_id(transaction)
    request = pb.GetTransactionRequest(id=number, participant=participant or session.profile.participant)
    try:
        result = session.ask(session.ledger.GetTransaction, request)
    except Failed as failed:
        kept = outbox.path_of(number)
        if failed.code is not ExitCode.NOT_FOUND or not kept.exists():
            raise
        advice = f"send the same again: keeling tx submit {kept}"
        raise Failed(ExitCode.NOT_FOUND, "not decided yet", reason=failed.reason, advice=advice) from failed
    outbox.forget(number)
    return answer_result(result, number)


@works(app, "show")
def show(file: _FILE) -> Answer:
    """Show what a transaction file says and who has signed it. Works offline; approvals are verified.

    \b
    Example:
      keeling tx show trade.tx
    """
    from cli.transactions import read_transaction_file, show_transaction

    found = read_transaction_file(file)
    shown = show_transaction(found.transaction)
    facts = {
        "file": str(file),
        "network": found.network.hex(),
        "digest": found.digest.hex(),
        "transaction": shown,
        "approvals": [key.hex() for key, _ in found.approvals],
    }
    lines = [
        f"transaction {format_id(found.id)} of {shown['participant']}, network {found.network.hex()[:16]}…",
        f"digest {found.digest.hex()}",
        json.dumps(shown["operations"], indent=2, ensure_ascii=False),
    ]
    approvals = [(key.hex(),) for key, _ in found.approvals]
    return Answer(facts, [*lines, Grid(("signed by",), approvals, "not signed by anybody yet")])


@works(app, "list")
def list_open() -> Answer:
    """List transactions of yours whose outcome this machine never learned: ask with tx get, or submit them again.

    \b
    Example:
      keeling tx list
    """
    from cli import outbox
    from cli.transactions import read_transaction_file, show_transaction

    found = []
    for path in outbox.list_open():
        shown = show_transaction(read_transaction_file(path).transaction)
        kinds = [next(iter(operation)) for operation in shown["operations"]]
        found.append({"id": path.stem, "file": str(path), "operations": kinds})
    rows = [(str(each["id"]), ", ".join(each["operations"]), str(each["file"])) for each in found]
    return Answer({"open": found}, [Grid(("id", "operations", "file"), rows, "none: every outcome is known")])


def _count_approvals(found: int) -> str:
    return "1 approval" if found == 1 else f"{found} approvals"
