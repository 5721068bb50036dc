"""What the parts of an audit bundle hold: selections, blocks shown whole, and blocks of which only excerpts are shown.

Here are the records, their byte forms, the reading of a part block by block, and the rule that says which transactions
concern an account. The file around the parts is `keeling.bundle`, the checks are in `keeling.verify_whole` and
`keeling.verify_cut`. Source: architecture §4.4, G9.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, TypeVar

from keeling.bundle import Bundle, BundleError, parse_blocks_name, read_part
from keeling.encoding import (
    BYTES,
    BYTES32,
    BYTES64,
    TEXT,
    U16,
    U32,
    U64,
    Codec,
    EncodingError,
    listing,
    optional,
    record,
)
from keeling.events import EVENT, Event
from keeling.handover import HANDOVER
from keeling.operations import Transaction

T = TypeVar("T")


class Place(NamedTuple):
    """Where in a bundle something stands; what does not apply is None."""

    part: str
    height: int | None = None
    submission: int | None = None
    transaction: int | None = None
    sweep: int | None = None

    def __str__(self) -> str:
        names = ("height", "submission", "transaction", "sweep")
        shown = [f"{name} {value}" for name, value in zip(names, self[1:], strict=True) if value is not None]
        return ", ".join([f"part {self.part}", *shown])


class ResultRow(NamedTuple):
    """The answer to one transaction; `events` are its encoded events one after the other."""

    reason: int
    events: bytes


class WholeSubmission(NamedTuple):
    """What became of one submission of the entry: its record leaf, and a result per transaction."""

    leaf: bytes
    results: tuple[ResultRow, ...]


class WholeBlock(NamedTuple):
    """Everything of one block: header leaf, the entry's exact bytes, results, encoded sweep events."""

    header: bytes
    entry: bytes
    submissions: tuple[WholeSubmission, ...]
    sweeps: tuple[bytes, ...]


class Approval(NamedTuple):
    """An approver's key and signature on a transaction."""

    key: bytes
    signature: bytes


class CutTransaction(NamedTuple):
    """One transaction of a submission, with the path of its result to the record's root.

    Approvals are those of an accepted transaction, by ascending key, each key once; of a refused one none are shown.
    """

    ordinal: int
    raw: bytes
    reason: int
    events: bytes
    path: tuple[bytes, ...]
    approvals: tuple[Approval, ...]


class CutSubmission(NamedTuple):
    """The record leaf with its inclusion proof, and those of its transactions that are shown, in order."""

    leaf: bytes
    proof: tuple[bytes, ...]
    transactions: tuple[CutTransaction, ...]


class CutSweep(NamedTuple):
    """One sweep event: the `ordinal`-th of the block's `swept`, with its path to the header's root."""

    ordinal: int
    swept: int
    event: bytes
    path: tuple[bytes, ...]


class CutBlock(NamedTuple):
    """The header leaf with its inclusion proof, and what is shown of the block."""

    header: bytes
    proof: tuple[bytes, ...]
    submissions: tuple[CutSubmission, ...]
    sweeps: tuple[CutSweep, ...]


class Selection(NamedTuple):
    """What a cut was made for: an account, a period of ledger time (from inclusive, until exclusive), or both."""

    account: str | None
    from_ms: int | None
    until_ms: int | None

    def has_time(self, time_ms: int) -> bool:
        """Whether a moment lies in the period."""
        return (self.from_ms or 0) <= time_ms and (self.until_ms is None or time_ms < self.until_ms)

    def __str__(self) -> str:
        account = "all accounts" if self.account is None else f"account {self.account}"
        start = "the beginning" if self.from_ms is None else format_time(self.from_ms)
        return f"{account} from {start} until {'the end' if self.until_ms is None else format_time(self.until_ms)}"


def format_time(ms: int) -> str:
    """A moment in UTC, for any number of milliseconds since 1970: years of 400 are counted from a first of March."""
    days, rest = divmod(ms, 86_400_000)
    era, day = divmod(days + 719_468, 146_097)
    year = (day - day // 1460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5 - 1
    month = month + 3 if month < 10 else month - 9
    year += 400 * era + (month <= 2)
    seconds, milli = divmod(rest, 1000)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{milli:03}"
    return f"{year:04}-{month:02}-{day:02}T{clock}Z"


_PATH: Final = listing(BYTES32)
_RESULT_ROW: Final = record(ResultRow, U16, BYTES)


class _WholeSubmissionCodec(Codec[WholeSubmission]):
    """`record(WholeSubmission, ...)`; one with a single result, as nearly all that are unshared have, in two steps."""

    _PLAIN: Final = record(WholeSubmission, BYTES, listing(_RESULT_ROW))
    _SIZE: Final = struct.Struct(">I").unpack_from
    _SINGLE: Final = struct.Struct(">IHI").unpack_from

    def write(self, out: bytearray, value: WholeSubmission) -> None:
        self._PLAIN.write(out, value)

    def read(self, data: bytes, at: int) -> tuple[WholeSubmission, int]:
        try:
            leaf = at + 4
            end = leaf + self._SIZE(data, at)[0]
            results, reason, size = self._SINGLE(data, end)
        except struct.error:
            return self._PLAIN.read(data, at)
        stop = end + 10 + size
        if results != 1 or stop > len(data):
            return self._PLAIN.read(data, at)
        return WholeSubmission(data[leaf:end], (ResultRow(reason, data[end + 10 : stop]),)), stop


_WHOLE_SUBMISSION: Final = _WholeSubmissionCodec()
_APPROVAL: Final = record(Approval, BYTES32, BYTES64)
_CUT_TRANSACTION: Final = record(CutTransaction, U32, BYTES, U16, BYTES, _PATH, listing(_APPROVAL))
_CUT_SUBMISSION: Final = record(CutSubmission, BYTES, _PATH, listing(_CUT_TRANSACTION))
_CUT_SWEEP: Final = record(CutSweep, U32, U32, BYTES, _PATH)

WHOLE_BLOCK: Final = record(WholeBlock, BYTES, BYTES, listing(_WHOLE_SUBMISSION), listing(BYTES))
CUT_BLOCK: Final = record(CutBlock, BYTES, _PATH, listing(_CUT_SUBMISSION), listing(_CUT_SWEEP))
SELECTION: Final = record(Selection, optional(TEXT), optional(U64), optional(U64))
HANDOVERS: Final = listing(HANDOVER)
"""The changes of policy up to the certificate. The first policy is the only one so far, so the list is empty."""


def read_block(codec: Codec[T], data: bytes, at: int, place: object) -> tuple[T, int]:
    """The block that starts at offset `at` of a part, and the offset after it; raises `BundleError`."""
    try:
        return codec.read(data, at)
    except EncodingError as error:
        raise BundleError(place, f"block at byte {at}", "a block in canonical form", str(error)) from error


def read_whole_blocks(bundle: Bundle) -> Iterator[tuple[int, WholeBlock]]:
    """Every block of a whole bundle with its height. Nothing but part digests and form is checked."""
    for ordinal in range(bundle.fixed, len(bundle.manifest.parts)):
        name = bundle.manifest.parts[ordinal].name
        data, at = read_part(bundle, ordinal), 0
        height, _ = parse_blocks_name(name)
        while at < len(data):
            block, at = read_block(WHOLE_BLOCK, data, at, Place(name, height))
            yield height, block
            height += 1


def read_events(encoded: bytes) -> tuple[Event, ...]:
    """The events of one transaction; raises `EncodingError`."""
    found, at = [], 0
    while at < len(encoded):
        event, at = EVENT.read(encoded, at)
        found.append(event)
    return tuple(found)


# -- what concerns an account

_ACCOUNT_FIELDS: Final = frozenset({"account", "from_account", "to_account", "parent"})
"""The fields of operations that name accounts."""


def names_account(account: str, transaction: Transaction) -> bool:
    """Whether an operation of the transaction names the account."""
    return any(_names(account, operation) for operation in transaction.operations)


def _names(account: str, value: object) -> bool:
    if not isinstance(value, tuple):
        return False
    fields: Sequence[str] = getattr(value, "_fields", ())
    for name, item in zip(fields, value, strict=False):
        if name in _ACCOUNT_FIELDS and item == account:
            return True
    return any(_names(account, item) for item in value)


def moves_account(account: str, event: Event) -> bool:
    """Whether the event moved units or cash from or to the account."""
    for move in event.moves:
        if account in (move.from_account, move.to_account):
            return True
    return any(account in (cash.from_account, cash.to_account) for cash in event.cash)
