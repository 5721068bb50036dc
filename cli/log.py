"""`keeling log`: checkpoints, proofs and bundles for people who do not trust the node they ask."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from cli.command import reads
from cli.evidence import log_app as evidence_app
from cli.exits import ExitCode, Failed, misused
from cli.identifiers import format_id, parse_id
from cli.output import Answer
from cli.quantities import format_units, milliseconds
from cli.session import Session

app = typer.Typer(help="What strangers check: checkpoints, proofs, bundles.", no_args_is_help=True)
app.add_typer(evidence_app)

_OUT = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where to write it.")]
_EXPORT_DEADLINE_MS = 3_600_000


@reads(app, "checkpoint")
def checkpoint(
    session: Session,
    height: Annotated[int, typer.Option("--height", help="Of this block; 0: the newest final one.")] = 0,
    output: _OUT = None,
) -> Answer:
    """Print the published final checkpoint: one signed note that any C2SP tlog tool checks.

    \b
    Example:
      keeling log checkpoint -o newest.checkpoint
    """
    from keeling.v1 import log_pb2 as pb

    found = session.ask(session.log.GetCheckpoint, pb.GetCheckpointRequest(height=height))
    note = found.note.decode("utf-8", "replace")
    if output is not None:
        _write(output, found.note)
    return Answer({"height": found.height, "size": found.size, "note": note}, [note.rstrip("\n")])


@reads(app, "prove")
def prove(
    session: Session,
    transaction: Annotated[str, typer.Argument(metavar="ID", help="The transaction's id.")],
    participant: Annotated[str, typer.Option("--participant", help="Who handed it in; default: you.")] = "",
    output: _OUT = None,
) -> Answer:
    """Fetch the proof that a transaction is in the log: a .tlog-proof file, checkable without this ledger.

    \b
    Example:
      keeling log prove 019a5e3c-… -o trade.tlog-proof
    """
    from keeling.v1 import log_pb2 as pb

    number = parse_id(transaction)
    request = pb.ProveTransactionRequest(id=number, participant=participant or session.profile.participant)
    found = session.ask(session.log.ProveTransaction, request)
    path = output or Path(f"{format_id(number)}.tlog-proof")
    _write(path, found.proof_file)
    facts = {
        "id": format_id(number),
        "file": str(path),
        "reason": found.reason,
        "record_leaf": found.record_leaf.hex(),
        "transaction": found.transaction.hex(),
        "events": [event.hex() for event in found.events],
        "result_index": found.result_index,
        "result_path": [item.hex() for item in found.result_path],
    }
    return Answer(facts, [f"{path}: proof of transaction {format_id(number)}"])


@reads(app, "export")
def export(
    session: Session,
    account: Annotated[str, typer.Option("--account", help="Cut to what concerns this account; nobody else's.")] = "",
    year: Annotated[int, typer.Option("--year", help="Cut to this year of ledger time (UTC).")] = 0,
    to_height: Annotated[int, typer.Option("--to-height", help="Last block; 0: the newest final one.")] = 0,
    output: _OUT = None,
) -> Answer:
    """Write a bundle that keeling audit verify checks offline with nothing but the genesis file.

    \b
    Example:
      keeling log export --account A --year 2026 -o a.bundle
    """
    from keeling.v1 import log_pb2 as pb

    request = pb.ExportRequest(account=account, to_height=to_height)
    if year:
        request.from_ms, request.until_ms = _year(year)
    path = output or Path(f"{account.replace('/', '-') or 'ledger'}.bundle")
    size = 0
    with _new_file(path) as file:
        for chunk in session.ask_stream(session.log.Export, request, _EXPORT_DEADLINE_MS):
            size += file.write(chunk.data)
        file.flush()
        os.fsync(file.fileno())
        _put_in_place(file, path)
    text = f"{path}: {format_units(size)} bytes; check: keeling audit verify {path} --genesis GENESIS"
    return Answer({"file": str(path), "bytes": size, "account": account}, [text])


@reads(app, "genesis")
def genesis(session: Session, output: _OUT = None) -> Answer:
    """Fetch the genesis file. It is the root of all trust: compare its digest over another channel.

    \b
    Example:
      keeling log genesis -o genesis
    """
    import hashlib

    from keeling.v1 import log_pb2 as pb

    data = session.ask(session.log.GetGenesis, pb.GetGenesisRequest()).data
    path = output or Path("genesis")
    _write(path, data)
    digest = hashlib.sha256(data).hexdigest()
    return Answer({"file": str(path), "network": digest}, [f"{path}: network id {digest}"])


def _year(year: int) -> tuple[int, int]:
    from datetime import UTC, datetime

    try:
        return milliseconds(datetime(year, 1, 1, tzinfo=UTC)), milliseconds(datetime(year + 1, 1, 1, tzinfo=UTC))
    except ValueError as error:
        raise misused(f"{year} is no year") from error


def _write(path: Path, data: bytes) -> None:
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError as error:
        raise _in_the_way(path) from error


def _in_the_way(path: Path) -> Failed:
    text = f"{path} exists already; nothing was overwritten"
    return Failed(ExitCode.REFUSED, text, reason="FILE_EXISTS", advice="choose another name with -o")


def _new_file(path: Path) -> BinaryIO:
    """A file beside `path` that takes its name only when it is whole; half a bundle is never mistaken for one."""
    import tempfile

    if path.exists():
        raise _in_the_way(path)
    return tempfile.NamedTemporaryFile(dir=path.absolute().parent, prefix=f".{path.name}.", delete=True)  # type: ignore[return-value]


def _put_in_place(file: BinaryIO, path: Path) -> None:
    try:
        os.link(file.name, path)
    except FileExistsError as error:
        raise _in_the_way(path) from error
