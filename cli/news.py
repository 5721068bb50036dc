"""`keeling attest`, `keeling anchor`: what registries say, and digests put on record."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.choices import (
    EFFECTIVE,
    EVIDENCE,
    GRADE,
    REFERENCE,
    Grade,
    build_when,
    find_positions,
    parse_positions,
    require_evidence,
)
from cli.command import writes
from cli.exits import misused
from cli.session import Session
from cli.writing import Change

app = typer.Typer()


class Status(StrEnum):
    """What a registry says of units."""

    ACTIVE = "active"
    ENDED = "ended"
    RETIRED = "retired"
    CANCELLED = "cancelled"
    BUFFER = "buffer"
    PENDING = "pending"
    CONVERTED = "converted"


class AnchorKind(StrEnum):
    """What a digest is of."""

    EVIDENCE = "evidence"
    RECONCILIATION = "reconciliation"
    CHECKPOINT = "checkpoint"


@writes(app, "attest")
def attest(
    session: Session,
    attestation: Annotated[str, typer.Argument(metavar="EVENT", help="The registry's id of the event; unique for it.")],
    registry: Annotated[str, typer.Option("--registry", help="Who says so, such as verra.")],
    status: Annotated[Status, typer.Option("--status", help="What it says.")],
    serials: Annotated[str | None, typer.Option("--serials", metavar="SERIALS", help="Of which units.")] = None,
    positions: Annotated[str | None, typer.Option("--positions", metavar="BATCH:FIRST-LAST", help="The same.")] = None,
    evidence: EVIDENCE = None,
    grade: GRADE = Grade.C,
    reference: REFERENCE = "",
    effective: EFFECTIVE = None,
) -> Change:
    """Record what a registry says of units. News is never refused; where it contradicts the ledger, they are frozen.

    \b
    Example:
      keeling attest RET-2026-118 --registry verra --status retired --positions verra:19298:0-9 --evidence page.html
    """
    from keeling.v1 import operations_pb2 as op

    if (serials is None) == (positions is None):
        raise misused("an attestation is of one range", "give --serials or --positions")
    ranges = find_positions(session, serials) if serials is not None else [parse_positions(positions or "")]
    if len(ranges) != 1:
        raise misused(f"these serials lie in {len(ranges)} batches", "attest each batch by itself")
    operation = op.Attest(
        registry=registry,
        attestation=attestation,
        range=ranges[0],
        status=op.Observation.Status.Value(status.name),
        evidence=require_evidence(evidence, grade, reference),
        effective=build_when(effective),
    )
    return Change([operation], lambda _: [f"recorded: {registry} says {status.value}"])


@writes(app, "anchor")
def anchor(
    session: Session,
    kind: Annotated[AnchorKind, typer.Argument(help="What the digest is of.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name for it, such as run-2026-04.")],
    source: Annotated[str, typer.Argument(metavar="FILE|SHA256", help="A file, of which only the digest travels.")],
) -> Change:
    """Put a digest on record, with the time it was known here.

    \b
    Example:
      keeling anchor evidence monitoring-2026 report.pdf
    """
    import hashlib

    from cli.identifiers import parse_digest
    from keeling.v1 import operations_pb2 as op

    path = Path(source)
    digest = hashlib.sha256(path.read_bytes()).digest() if path.is_file() else parse_digest(source)
    operation = op.Anchor(kind=kind.value, name=name, digest=digest)
    return Change([operation], lambda _: [f"{digest.hex()} is on record as {kind.value} {name}"])
