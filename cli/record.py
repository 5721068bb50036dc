"""`keeling record`: versioned rules, programmes and registry policies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.command import reads, writes
from cli.exits import ExitCode, Failed, misused
from cli.output import Answer, Grid, facts_of
from cli.session import Session
from cli.telling import format_when
from cli.writing import Change

if TYPE_CHECKING:
    from keeling.v1 import operations_pb2 as op

app = typer.Typer(help="Rules as versioned records: programmes, registries, figures.", no_args_is_help=True)


@reads(app, "list")
def list_records(session: Session) -> Answer:
    """List every version of every record, with where its rule comes from.

    \b
    Example:
      keeling record list
    """
    found = _all_records(session)
    rows = [
        (r.id, str(r.version), str(r.WhichOneof("body")), _from(r), format_when(r.effective_to) or "open", r.source)
        for r in found
    ]
    grid = Grid(("record", ">version", "kind", "in force from", "to", "source"), rows)
    return Answer({"records": [facts_of(record) for record in found]}, [grid])


@reads(app, "show")
def show_record(
    session: Session,
    record: Annotated[str, typer.Argument(metavar="RECORD", help="Such as registry:verra or VCS.")],
) -> Answer:
    """Show all versions of one record in full, in the form that keeling record set reads.

    \b
    Example:
      keeling record show VCS
    """
    from google.protobuf import json_format

    found = [each for each in _all_records(session) if each.id == record]
    if not found:
        text = f"no record is called {record!r}"
        raise Failed(ExitCode.NOT_FOUND, text, reason="RECORD_NOT_FOUND", advice="see: keeling record list")
    versions = [json_format.MessageToDict(each, preserving_proto_field_name=True) for each in found]
    facts = {"record": record, "versions": versions}
    return Answer(facts, [json.dumps(version, indent=2, ensure_ascii=False) for version in versions])


@writes(app, "set")
def set_record(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The record as JSON, as keeling record show prints it.")],
) -> Change:
    """Set the next version of a record. Needs the electorate's approval; old versions stay readable for ever.

    \b
    Example:
      keeling record set vcs-2.json
    where vcs-2.json is
      {"id": "VCS", "version": 2, "source": "VCS Program Guide v4.5",
       "programme": {"registry": "verra", "grain": "T_CO2E", "scheme": "verra", "transfer_rule": "FREE",
                     "retirable": true}}
    """
    from google.protobuf import json_format

    from keeling.v1 import operations_pb2 as op

    try:
        record = json_format.Parse(file.read_bytes(), op.SetRecord())
    except json_format.ParseError as error:
        raise misused(f"{file} is no record: {error}", "print one with keeling record show RECORD --json") from error
    return Change([record], lambda _: [f"record {record.id} has version {record.version}"])


def _from(record: op.SetRecord) -> str:
    return format_when(record.effective_from) or "the beginning"


def _all_records(session: Session) -> list[op.SetRecord]:
    from keeling.v1 import ledger_pb2 as pb

    pages = session.ask_pages(session.ledger.ListRecords, pb.ListRequest())
    return [record for page in pages for record in page.records]
