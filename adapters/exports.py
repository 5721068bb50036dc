"""The contract of a file adapter: bytes of a registry's export in, one record per data row out. Pure.

A record says what one row claims, in our words, and where it stands in the file. Whether the ledger knows the units
already is not decided here; that is the importer's. How a CSV is read is in `delimited`, how rows become records in
`tabular`, what one registry's columns mean in that registry's folder.

Every data row becomes exactly one record: `UnitRow`, `EvidenceRow`, `DuplicateRow` or `RefusedRow`. A file that is not
the expected export at all raises `FileError` before the first record.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import date, datetime
from enum import StrEnum
from typing import BinaryIO, Final, NamedTuple, Protocol

from adapters.overlaps import RangeBook, SeenRanges
from keeling.serials import Grain, SerialRange

Raw = bytes | Callable[[], BinaryIO]
"""A file's bytes, or what opens them for reading from the start: a long file need not be held whole."""


def open_raw(raw: Raw) -> BinaryIO:
    """Return the bytes as a stream from their start; whoever asks closes it."""
    return io.BytesIO(raw) if isinstance(raw, bytes) else raw()


class Precision(StrEnum):
    """How exactly a source states a time."""

    DATE = "date"
    INSTANT = "instant"


class Effective(NamedTuple):
    """When a source says something happened. A source that names no time zone is taken to mean UTC."""

    at: datetime
    """Aware, in UTC; midnight when only the date is known."""
    precision: Precision


class Period(NamedTuple):
    """A vintage: first and last day, inclusive."""

    first: date
    last: date


class Answer(StrEnum):
    """What a source says about a label. A label that a row does not carry is unknown, which is not "no"."""

    YES = "yes"
    NO = "no"
    NOT_APPLICABLE = "not-applicable"


class Label(NamedTuple):
    """A normalised label (`adapters.labels` lists the names) and the source's word on it."""

    name: str
    answer: Answer


class UnitStatus(StrEnum):
    """The state in which the registry shows the units of a row."""

    ACTIVE = "active"
    ENDED = "ended"
    """Retired or cancelled, and the source does not say which."""
    RETIRED = "retired"
    CANCELLED = "cancelled"
    CONVERTED = "converted"
    """Cancelled because the tonne lives on under another identity; see `UnitRow.twin`. A proposal to be confirmed."""
    BUFFER = "buffer"


class TwinProposal(NamedTuple):
    """Where the tonne of a row seems to live on, for a person to confirm."""

    destination: str
    """A registry key of ours ("arb", "wa-ecology", "verra") or the registry's name as the source writes it."""
    because: str
    """The words of the source that say so."""


class Extent(StrEnum):
    """What a row shows of its batch."""

    EXACT = "exact"
    AT_LEAST = "at-least"


class RowSource(NamedTuple):
    """Where a record comes from."""

    row: int
    """Number of the data row; the first row below the header is 1."""
    line: int
    """Number of the line on which the row starts; the header is line 1. For JSON the same as `row`."""
    digest: bytes
    """SHA-256 in UTF-8 over "keeling/row/1 <registry>" and each cell (with one empty cell at the end) behind a unit
    separator (1F), e-mail addresses removed before."""


class Batch(NamedTuple):
    """The issuance a row belongs to, as far as the row tells."""

    key: str
    """Our name for it: "verra:19298", "gold_standard:11236-16-2024-30307"."""
    programme: str
    project: str
    """The registry's public number without prefix and leading zeros."""
    vintage: Period | None
    """None: the source states none."""
    host: str
    """ISO 3166-1 alpha-3 of the host Party; empty: not stated."""
    issued: Effective | None
    extent: Extent = Extent.AT_LEAST
    vintage_exact: bool = True
    """False: the row states one year of a vintage that may be longer; another file knows the period (Cercarbono)."""
    first_known: bool = True
    """False: the source gives a quantity and no numbers. `serials` then starts at 1 and is to be moved to start at 0
    when number 0 of its space is seen elsewhere (Cercarbono)."""


class UnitRow(NamedTuple):
    """Units that the registry shows in one state: what becomes a lot."""

    source: RowSource
    serials: SerialRange
    status: UnitStatus
    batch: Batch
    effective: Effective | None = None
    """When the status began; None: not stated, or an active row."""
    labels: tuple[Label, ...] = ()
    holder: str = ""
    beneficiary: str = ""
    """For whom units ended. Never taken from the holder."""
    reason: str = ""
    note: str = ""
    twin: TwinProposal | None = None
    buffer_units: int = 0
    """How many of the last units of `serials` are in the registry's buffer instead of in `status`."""

    @property
    def units(self) -> int:
        """Units of the row, of `grain`."""
        return self.serials.units

    @property
    def grain(self) -> Grain:
        """What one unit is."""
        return self.serials.grain


class EvidenceKind(StrEnum):
    """What happened to the quantity of a row that names no serials."""

    ISSUANCE = "issuance"
    RETIREMENT = "retirement"


class Amount(NamedTuple):
    """A named part of an evidence row ("buffer", "converted-to-vcu"); parts may overlap, so they are never summed."""

    name: str
    units: int


class EvidenceRow(NamedTuple):
    """A total the registry published without serials: evidence, never a lot."""

    source: RowSource
    kind: EvidenceKind
    units: int | None
    """None: the row states no quantity, which is not zero."""
    grain: Grain
    reference: str
    """The registry's own id of the event, or the best the row has."""
    project: str
    vintage: Period | None
    host: str
    effective: Effective | None
    labels: tuple[Label, ...] = ()
    amounts: tuple[Amount, ...] = ()
    beneficiary: str = ""
    reason: str = ""
    note: str = ""
    buffer_units: int = 0
    """Units the registry put into its buffer: within `units` at ACR, beside them at ART; CAR does not say."""
    origin: str = ""
    """The project's id at the registry from which the units came (ARB: the offset project registry's)."""


class RowFault(StrEnum):
    """Why a row is refused. Stable; a new reason is a new member."""

    UNREADABLE = "unreadable"
    """It does not have the header's number of fields and no repair is certain, or is no record of the format."""
    BAD_SERIAL = "bad-serial"
    END_BEFORE_START = "end-before-start"
    BAD_QUANTITY = "bad-quantity"
    QUANTITY_DISAGREES = "quantity-disagrees"
    """The stated quantity is not what the serials hold."""
    BAD_DATE = "bad-date"
    BAD_STATUS = "bad-status"
    CONTRADICTION = "contradiction"
    """Two fields of the row say different things about one fact (project or vintage of the serial and of the row)."""
    OVERLAP = "overlap"
    """Some of the units are in an earlier row of the file already."""
    MISSING = "missing"
    """A field without which the row means nothing is empty."""


class DuplicateRow(NamedTuple):
    """The same units in the same state as an earlier row of the same file."""

    source: RowSource
    units: int
    grain: Grain
    of_row: int


class RefusedRow(NamedTuple):
    """A row that is not taken, and why."""

    source: RowSource
    fault: RowFault
    message: str
    """What is wrong and with which values; without row number and file name."""
    units: int | None
    """The quantity the row states, when it could be read."""
    grain: Grain

    def __str__(self) -> str:
        return f"row {self.source.row} (line {self.source.line}): {self.message}"


Record = UnitRow | EvidenceRow | DuplicateRow | RefusedRow


class RowRefused(Exception):
    """Raised by an adapter's row reader; `tabular` turns it into a `RefusedRow`. Never leaves the adapters."""

    def __init__(self, fault: RowFault, message: str) -> None:
        super().__init__(message)
        self.fault: Final = fault


class FileFault(StrEnum):
    """Why a file is not read at all."""

    EMPTY = "empty"
    NOT_TEXT = "not-text"
    ENCODING = "encoding"
    HTML = "html"
    DELIMITER = "delimiter"
    WRONG_FILE = "wrong-file"
    """The header is that of another registry or of no file we know."""
    HEADER = "header"
    """The header is nearly right: a column we need is missing or twice there."""
    JSON = "json"


class FileError(ValueError):
    """The file cannot be read: one line that names file, what was found, what was expected and what to do."""

    def __init__(self, fault: FileFault, file_name: str, *, found: str, expected: str, action: str) -> None:
        super().__init__(f"{file_name}: found {found}; expected {expected}; {action}")
        self.fault: Final = fault
        self.file_name: Final = file_name
        self.found: Final = found
        self.expected: Final = expected
        self.action: Final = action


class ParsedFile(NamedTuple):
    """A file whose header is understood. The rows are read while they are asked for, so memory stays flat."""

    registry: str
    kind: str
    """Which of the registry's files: "transactions", "issuances", "retirements", "cancellations"."""
    file_name: str
    encoding: str
    notes: tuple[str, ...]
    """What was odd and did not matter: renamed or unknown columns, a legacy encoding."""
    open_rows: Callable[[RangeBook], Iterator[Record]]

    def rows(self, seen: RangeBook | None = None) -> Iterator[Record]:
        """Read all rows, in file order, from the start each time it is called.

        `seen` is an empty book of the ranges of the file; without one it is kept in memory, 60 bytes a row.
        """
        return self.open_rows(SeenRanges() if seen is None else seen)


class FileAdapter(Protocol):
    """One registry's export files."""

    @property
    def name(self) -> str:
        """The registry's key, as in `--registry`."""

    def parse(self, raw: Raw, *, file_name: str) -> ParsedFile:
        """Understand the file's form and header; raise `FileError` and nothing else."""
