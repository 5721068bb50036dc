"""Options several commands share: which units are meant, evidence, moments. They become operation fields here.

Serials as a registry prints them are read by `keeling.serials` and found on the ledger, because only it knows the batch
and position of a number.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from cli.exits import ExitCode, Failed, misused
from cli.identifiers import parse_digest
from cli.quantities import parse_moment, parse_units
from cli.session import Session

if TYPE_CHECKING:
    from keeling.serials import SerialRange
    from keeling.v1 import ledger_pb2 as pb
    from keeling.v1 import operations_pb2 as op

_DIGEST: Final = re.compile(r"[0-9a-fA-F]{64}")


class Strategy(StrEnum):
    """How the ledger chooses among an account's units."""

    WHOLE_LOTS_FIRST = "whole-lots-first"
    LOWEST = "lowest"
    OLDEST_ACQUIRED = "oldest-acquired"


class Grade(StrEnum):
    """How well something is proved: A the registry's key, B its API, C a public export, D an operator's word."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"


UNITS = Annotated[
    int | None,
    typer.Argument(parser=parse_units, metavar="UNITS", help="How many units; or name them with --serials."),
]
SERIALS = Annotated[
    list[str] | None,
    typer.Option("--serials", metavar="SERIALS", help="Exactly these, as the registry prints them; may be repeated."),
]
POSITIONS = Annotated[
    list[str] | None,
    typer.Option("--positions", metavar="BATCH:FIRST-LAST", help="Exactly these positions; may be repeated."),
]
OF_BATCH = Annotated[str | None, typer.Option("--batch", metavar="BATCH", help="Only units of this batch.")]
OF_PROGRAMME = Annotated[
    str | None, typer.Option("--programme", metavar="NAME", help="Only units of this programme, of whichever batch.")
]
STRATEGY = Annotated[Strategy, typer.Option("--strategy", help="Which of the account's units the ledger takes.")]
EFFECTIVE = Annotated[
    str | None, typer.Option("--effective", metavar="DATE", help="When it took effect, if not now: 2026-03-31.")
]
EVIDENCE = Annotated[
    str | None,
    typer.Option("--evidence", metavar="FILE|SHA256", help="What proves it: a file (only its digest travels)."),
]
GRADE = Annotated[Grade, typer.Option("--grade", help="A registry's key, B its API, C public export, D an operator.")]
REFERENCE = Annotated[str, typer.Option("--reference", metavar="TEXT", help="The registry's own reference; public.")]
BENEFICIARY = Annotated[
    str,
    typer.Option(
        "--beneficiary",
        metavar="SHA256|NAME",
        help="The digest of an attachment; or a name, of which a salted hash is made: keep the salt.",
    ),
]


class Choice(NamedTuple):
    """Which units a command line means, before the ledger was asked."""

    units: int | None
    serials: list[str] | None = None
    positions: list[str] | None = None
    batch: str | None = None
    programme: str | None = None
    strategy: Strategy = Strategy.WHOLE_LOTS_FIRST


def build_selection(session: Session, choice: Choice) -> op.Selection:
    """The `Selection` a command line means; asks the ledger only for registry serials."""
    from keeling.v1 import operations_pb2 as op

    ranges = [parse_positions(text) for text in choice.positions or ()]
    ranges += find_positions(session, choice.serials or ())
    if ranges:
        total = sum(item.units for item in ranges)
        if choice.units is not None and choice.units != total:
            raise misused(f"{choice.units:,} units are asked for, and the serials are {total:,}")
        return op.Selection(ranges=ranges)
    if choice.units is None:
        raise misused("no units are named", "say how many, or which with --serials or --positions")
    strategy = op.Selection.Strategy.Value(choice.strategy.name)
    batch, programme = choice.batch or "", choice.programme or ""
    return op.Selection(units=choice.units, strategy=strategy, batch=batch, programme=programme)


def parse_positions(text: str) -> op.Range:
    """Read "verra:19298:10-19" or, for one position, "verra:19298:10"."""
    from keeling.v1 import operations_pb2 as op

    batch, colon, span = text.rpartition(":")
    first, dash, last = span.partition("-")
    numbers = (first, last) if dash else (first, first)
    if not colon or not batch or not all(number.isascii() and number.isdigit() for number in numbers):
        raise misused(f"{text!r} names no positions", "write BATCH:FIRST-LAST, such as verra:19298:10-19")
    low, high = int(numbers[0]), int(numbers[1])
    if high < low:
        raise misused(f"{text!r} ends before it begins")
    return op.Range(batch=batch, first=low, units=high - low + 1)


def parse_serials(text: str) -> SerialRange:
    """Read a serial range of any registry; raises `SerialError` with the schemes that came closest."""
    from keeling.serials import SerialError, SerialFault, parse

    try:
        return parse(text)
    except SerialError as error:
        if error.fault is not SerialFault.RANGE_ELSEWHERE:
            raise
        advice = "name the units by positions, as BATCH:FIRST-LAST; keeling lot find SERIAL shows the batch"
        raise misused(str(error), advice) from error


def find_positions(session: Session, texts: Iterable[str]) -> list[op.Range]:
    """The batches and positions that registry serials stand for on this ledger; `Failed` if any is in no batch.

    A batch is asked for once: of a statement of thousands of ranges most are in few batches.
    """
    known: dict[str, list[pb.Batch]] = {}
    return [found for text in texts for found in _find_positions(session, text, known)]


def _find_positions(session: Session, text: str, known: dict[str, list[pb.Batch]]) -> list[op.Range]:
    serials = parse_serials(text)
    batches = known.setdefault(serials.space, [])
    ranges = _cut(serials, batches)
    if sum(item.units for item in ranges) != serials.units:
        batches += _find_batches(session, serials, {batch.batch for batch in batches})
        batches.sort(key=lambda batch: int(batch.first_number))
        ranges = _cut(serials, batches)
    missing = serials.units - sum(item.units for item in ranges)
    if missing:
        raise Failed(
            ExitCode.NOT_FOUND,
            f"{missing:,} of the {serials.units:,} units of {text} are in no batch of this ledger",
            reason="SERIALS_UNKNOWN",
            advice="see: keeling lot find SERIAL",
        )
    return ranges


def _cut(serials: SerialRange, batches: Iterable[pb.Batch]) -> list[op.Range]:
    """What of the serials lies in which of these batches of their space."""
    from keeling.v1 import operations_pb2 as op

    ranges = []
    for batch in batches:
        low = max(serials.first, int(batch.first_number))
        high = min(serials.last, int(batch.last_number))
        if low <= high:
            ranges.append(op.Range(batch=batch.batch, first=low - int(batch.base_number), units=high - low + 1))
    return ranges


def _find_batches(session: Session, serials: SerialRange, known: set[str]) -> list[pb.Batch]:
    """The batches in which the ledger has any of the serials, without those that are known."""
    from keeling.v1 import ledger_pb2 as pb

    request = pb.FindLotsRequest(space=serials.space, first_number=str(serials.first), last_number=str(serials.last))
    found = session.ask(session.ledger.FindLots, request)
    names = dict.fromkeys([lot.lot.range.batch for lot in found.lots] + [item.batch for item in found.unseen])
    return [session.ask(session.ledger.GetBatch, pb.GetBatchRequest(batch=name)) for name in names if name not in known]


def build_when(text: str | None) -> op.When | None:
    """The moment of an option; None when it was not given."""
    if text is None:
        return None
    from keeling.v1 import operations_pb2 as op

    try:
        moment = parse_moment(text)
    except ValueError as error:
        raise misused(str(error)) from error
    precision = op.When.DATE if moment.is_date else op.When.INSTANT
    return op.When(ms=moment.ms, precision=precision)


def build_evidence(source: str | None, grade: Grade, reference: str = "") -> op.Evidence | None:
    """Evidence from a file, whose digest is taken here, or from a digest; None when neither was given."""
    if source is None:
        return None
    from keeling.v1 import operations_pb2 as op

    path = Path(source)
    digest = hashlib.sha256(path.read_bytes()).digest() if path.is_file() else parse_digest(source)
    return op.Evidence(digest=digest, grade=grade.value, reference=reference)


def require_evidence(source: str | None, grade: Grade, reference: str = "") -> op.Evidence:
    """As `build_evidence`, where the operation cannot do without."""
    evidence = build_evidence(source, grade, reference)
    if evidence is None:
        raise misused("no evidence is given", "name a file or a SHA-256 with --evidence")
    return evidence


class Beneficiary(NamedTuple):
    """What the ledger gets of a beneficiary, and the salt of a name that was hashed just now."""

    digest: bytes = b""
    salt: bytes = b""

    @property
    def told(self) -> list[str]:
        """What whoever hashed a name must know."""
        if not self.salt:
            return []
        again = 'keeling attachment make FILE --field "beneficiary=NAME" --salt SALT --to PARTICIPANT'
        return [f"beneficiary salt, keep it: {self.salt.hex()}", f"for the parties: {again}"]

    @property
    def facts(self) -> dict[str, str]:
        return {"beneficiary": self.digest.hex(), "beneficiary_salt": self.salt.hex()}


def hash_beneficiary(text: str) -> Beneficiary:
    """A digest as it is; a name as a disclosure of this one field, so that it never stands on the ledger in clear."""
    import os

    from keeling.disclosure import BENEFICIARY, SALT_BYTES, Disclosure, Field, compute_digest

    if not text:
        return Beneficiary()
    if _DIGEST.fullmatch(text):
        return Beneficiary(parse_digest(text))
    salt = os.urandom(SALT_BYTES)
    return Beneficiary(compute_digest(Disclosure(salt, (Field(BENEFICIARY, text),))), salt)
