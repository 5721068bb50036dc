"""The rows of an import on disk: a temporary database, so that a file of a million rows costs no more memory than one
of a thousand. It keeps rows, their verdicts, and what is to be handed in; nothing is decided here.

The file lies in the system's temporary folder without a name, so that nobody else reads it and nothing is left of it,
however the import ends. It is no record of anything: an import that was stopped starts a new one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, Self

from adapters.exports import Record, RefusedRow, UnitRow
from cli.importing.frame import Claim, claim_of
from cli.importing.model import BatchPlan, Fate, KnownLot, Seen, SourceRow, UnitSource, Verdict
from cli.importing.numbers import pack_number, unpack_number
from cli.importing.rows import (
    pack_lot,
    pack_plan,
    pack_record,
    pack_seen,
    unpack_lot,
    unpack_plan,
    unpack_record,
    unpack_seen,
)

CACHE_KILOBYTES: Final = 24_000
_KEYS_KEPT: Final = 20_000
_WRITTEN_AT_ONCE: Final = 2_000
_SCHEMA: Final = """
CREATE TABLE rows (ordinal INTEGER PRIMARY KEY, file INTEGER, batch INTEGER, refused INTEGER, body BLOB);
CREATE TABLE claims (batch INTEGER, low, ordinal INTEGER, shown INTEGER, first, last, counted INTEGER, space INTEGER,
  project INTEGER, PRIMARY KEY (batch, low, ordinal)) WITHOUT ROWID;
CREATE TABLE batches (number INTEGER PRIMARY KEY, key TEXT UNIQUE, rows INTEGER, grain TEXT, plan BLOB,
  reason TEXT, detail TEXT);
CREATE TABLE verdicts (ordinal INTEGER PRIMARY KEY, fate TEXT, reason TEXT, detail TEXT);
CREATE TABLE news (batch INTEGER, shown INTEGER, low, ordinal INTEGER, body BLOB,
  PRIMARY KEY (batch, shown, low, ordinal)) WITHOUT ROWID;
CREATE TABLE lots (low PRIMARY KEY, body BLOB) WITHOUT ROWID;
CREATE TABLE names (number INTEGER PRIMARY KEY, name TEXT UNIQUE);
"""


class SpooledBatch(NamedTuple):
    """A batch of the run: its number here, its key, and how many rows name units of it."""

    number: int
    key: str
    rows: int


class Line(NamedTuple):
    """One row of the files and what became of it; None: no ledger was asked yet."""

    source: SourceRow
    verdict: Verdict | None


class Spool:
    """One run's rows. Not for several threads."""

    def __init__(self) -> None:
        self.database: Final = sqlite3.connect("", isolation_level=None)  # a temporary file that has no name
        self.database.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE;"
            f"PRAGMA cache_size = -{CACHE_KILOBYTES}; PRAGMA locking_mode = EXCLUSIVE;"
        )
        self.database.executescript(_SCHEMA)
        self.database.execute("BEGIN")  # and never ended: what does not fit in the cache is written, the rest is not
        self.rows = 0
        self._numbers: dict[str, int] = {}
        self._names: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Throw everything away."""
        self.database.close()

    def _write(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        self.database.executemany(statement, rows)

    # -- rows

    def add(self, file: int, records: Iterable[Record]) -> None:
        """Put the rows of a file behind those there are, in order."""
        waiting: list[tuple[int, Record]] = []
        for record in records:
            waiting.append((self.rows, record))
            self.rows += 1
            if len(waiting) == _WRITTEN_AT_ONCE:
                self._put(file, waiting)
                waiting = []
        self._put(file, waiting)

    def _put(self, file: int, waiting: Sequence[tuple[int, Record]]) -> None:
        rows, claims, counted = [], [], dict[int, int]()
        for at, record in waiting:
            number = None
            if isinstance(record, UnitRow):
                claim, number = claim_of(at, record), self._number(record.batch.key, record.grain.name)
                counted[number] = counted.get(number, 0) + 1
                low = pack_number(claim.first - claim.counted)
                span = (pack_number(claim.first), pack_number(claim.last))
                named = self._name(claim.space), self._name(claim.project)
                claims.append((number, low, at, claim.shown, *span, claim.counted, *named))
            rows.append((at, file, number, isinstance(record, RefusedRow), pack_record(record)))
        self._write("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", rows)
        self._write("INSERT INTO claims VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", claims)
        self._write("UPDATE batches SET rows = rows + ? WHERE number = ?", [(n, b) for b, n in counted.items()])

    def _number(self, key: str, grain: str) -> int:
        number = self._numbers.get(key)
        if number is None:
            self.database.execute("INSERT OR IGNORE INTO batches (key, rows, grain) VALUES (?, 0, ?)", (key, grain))
            number = int(self.database.execute("SELECT number FROM batches WHERE key = ?", (key,)).fetchone()[0])
            _remember(self._numbers, key, number)
        return number

    def _name(self, name: str) -> int:
        number = self._names.get(name)
        if number is None:
            self.database.execute("INSERT OR IGNORE INTO names (name) VALUES (?)", (name,))
            number = int(self.database.execute("SELECT number FROM names WHERE name = ?", (name,)).fetchone()[0])
            _remember(self._names, name, number)
        return number

    # -- batches

    def batches(self) -> Iterator[SpooledBatch]:
        """Every batch that a row names units of, in the order of their first rows."""
        after = 0
        while found := self.database.execute(
            "SELECT number, key, rows FROM batches WHERE number > ? ORDER BY number LIMIT 500", (after,)
        ).fetchall():
            yield from (SpooledBatch(*each) for each in found)
            after = found[-1][0]

    def batches_size(self) -> int:
        """How many batches there are."""
        return int(self.database.execute("SELECT COUNT(*) FROM batches").fetchone()[0])

    def place_of(self, key: str) -> int:
        """A batch's number here, 0 for a key of none."""
        found = self.database.execute("SELECT number FROM batches WHERE key = ?", (key,)).fetchone()
        return 0 if found is None else int(found[0])

    def batch_named(self, key: str) -> tuple[SpooledBatch, str] | None:
        """The batch of this key and what one unit of it is; None if no row names units of it."""
        found = self.database.execute("SELECT number, key, rows, grain FROM batches WHERE key = ?", (key,)).fetchone()
        return None if found is None else (SpooledBatch(*found[:3]), found[3])

    def units(self, batch: int) -> list[tuple[int, UnitSource]]:
        """All rows of a batch, in order: for one that fits in memory."""
        found = self.database.execute(
            "SELECT r.ordinal, r.file, r.body FROM claims c JOIN rows r ON r.ordinal = c.ordinal WHERE c.batch = ?",
            (batch,),
        ).fetchall()
        return [(at, UnitSource(file, _units(body))) for at, file, body in sorted(found)]

    def claims(self, batch: int, shown: bool | None = None) -> Iterator[Claim]:
        """What the rows of a batch claim, in order; of those that show present states, or of those that do not."""
        wanted = () if shown is None else (shown,)
        text = "SELECT c.ordinal, shown, first, last, counted, n.name, p.name FROM claims c"
        text += " JOIN names n ON n.number = c.space JOIN names p ON p.number = c.project"
        text += " WHERE batch = ?" + (" AND shown = ?" if wanted else "") + " ORDER BY c.ordinal"
        for at, is_shown, first, last, *rest in self._each(text, (batch, *wanted)):
            counted, space, project = rest
            yield Claim(at, bool(is_shown), unpack_number(first), unpack_number(last), bool(counted), space, project)

    def lows(self, batch: int) -> Iterator[int]:
        """The lowest number of each row of a batch, ascending; of a row that states none, the lowest it may have."""
        for (low,) in self._each("SELECT low FROM claims WHERE batch = ? ORDER BY low", (batch,)):
            yield unpack_number(low)

    def units_between(self, batch: int, first: int, stop: int | None) -> Iterator[tuple[int, UnitRow]]:
        """Rows of a batch that begin in these numbers and have no verdict yet."""
        text = "SELECT r.ordinal, r.body FROM claims c JOIN rows r ON r.ordinal = c.ordinal"
        text += " LEFT JOIN verdicts v ON v.ordinal = c.ordinal WHERE c.batch = ? AND c.low >= ? AND v.ordinal IS NULL"
        until = () if stop is None else (pack_number(stop),)
        for at, body in self._each(text + (" AND c.low < ?" if until else ""), (batch, pack_number(first), *until)):
            yield at, _units(body)

    def _each(self, text: str, values: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        cursor = self.database.execute(text, values)
        while found := cursor.fetchmany(_WRITTEN_AT_ONCE):
            yield from found

    # -- lots of one batch that the ledger has, while it is planned

    def put_lots(self, lots: Iterable[KnownLot]) -> None:
        """Keep lots; they share no number with those kept."""
        self._write("INSERT INTO lots VALUES (?, ?)", ((pack_number(lot.first), pack_lot(lot)) for lot in lots))

    def lots_between(self, first: int, stop: int | None) -> list[KnownLot]:
        """The kept lots that begin in these numbers."""
        until = () if stop is None else (pack_number(stop),)
        text = "SELECT body FROM lots WHERE low >= ?" + (" AND low < ?" if until else "") + " ORDER BY low"
        return [unpack_lot(body) for (body,) in self._each(text, (pack_number(first), *until))]

    def lot_at(self, number: int) -> KnownLot | None:
        """The kept lot that has a number."""
        text = "SELECT body FROM lots WHERE low <= ? ORDER BY low DESC LIMIT 1"
        found = self.database.execute(text, (pack_number(number),)).fetchone()
        lot = None if found is None else unpack_lot(found[0])
        return lot if lot is not None and lot.last >= number else None

    def replace_lot(self, lot: KnownLot, others: Iterable[KnownLot]) -> None:
        """Keep other lots instead of one."""
        self.database.execute("DELETE FROM lots WHERE low = ?", (pack_number(lot.first),))
        self.put_lots(others)

    def drop_lots(self) -> None:
        """Forget the lots."""
        self.database.execute("DELETE FROM lots")

    # -- what was planned

    def put_verdicts(self, verdicts: Iterable[tuple[int, Verdict]]) -> None:
        """Keep verdicts of rows."""
        self._write(
            "INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?)",
            ((at, verdict.fate.value, verdict.reason, verdict.detail) for at, verdict in verdicts),
        )

    def put_news(self, batch: int, news: Iterable[tuple[bool, Seen]]) -> None:
        """Keep observations to hand in."""
        self._write(
            "INSERT INTO news SELECT ?, ?, ?, (SELECT COALESCE(MAX(ordinal), 0) + 1 FROM news"
            " WHERE batch = ?1 AND shown = ?2 AND low = ?3), ?",
            ((batch, shown, pack_number(seen.first), pack_seen(seen)) for shown, seen in news),
        )

    def put_plan(self, batch: int, plan: BatchPlan) -> None:
        """Keep the plan of a batch, without verdicts and observations."""
        self.database.execute("UPDATE batches SET plan = ? WHERE number = ?", (pack_plan(plan), batch))

    def forget_plan(self, batch: int) -> None:
        """Forget what was planned for a batch: it is planned again."""
        self.database.execute("UPDATE batches SET plan = NULL WHERE number = ?", (batch,))
        self.database.execute("DELETE FROM news WHERE batch = ?", (batch,))
        self.database.execute(
            "DELETE FROM verdicts WHERE ordinal IN (SELECT ordinal FROM claims WHERE batch = ?)", (batch,)
        )

    def plans(self) -> Iterator[tuple[SpooledBatch, BatchPlan]]:
        """Every batch that was planned, with its plan, in order."""
        after = 0
        while found := self.database.execute(
            "SELECT number, key, rows, plan FROM batches"
            " WHERE number > ? AND plan IS NOT NULL ORDER BY number LIMIT 500",
            (after,),
        ).fetchall():
            yield from ((SpooledBatch(*each[:3]), unpack_plan(each[3])) for each in found)
            after = found[-1][0]

    def plan(self, batch: int) -> BatchPlan:
        """The plan of a batch."""
        return unpack_plan(self.database.execute("SELECT plan FROM batches WHERE number = ?", (batch,)).fetchone()[0])

    def news(self, batch: int, shown: bool) -> Iterator[Seen]:
        """Observations to hand in for a batch, by number."""
        text = "SELECT body FROM news WHERE batch = ? AND shown = ? ORDER BY low, ordinal"
        return (unpack_seen(body) for (body,) in self._each(text, (batch, shown)))

    # -- what became of them

    def refuse(self, batch: str, verdict: Verdict) -> bool:
        """Keep that the ledger did not take the news of a batch; False if it was known of it."""
        done = self.database.execute(
            "UPDATE batches SET reason = ?, detail = ? WHERE key = ? AND reason IS NULL",
            (verdict.reason, verdict.detail, batch),
        )
        return done.rowcount > 0

    def has_refused(self) -> bool:
        """Whether any row is refused, by the plan or by the ledger."""
        texts = ("verdicts WHERE fate = 'refused'", "batches WHERE reason IS NOT NULL", "rows WHERE refused")
        return any(self.database.execute(f"SELECT 1 FROM {text} LIMIT 1").fetchone() for text in texts)

    def forget_refusals(self) -> None:
        """What was only tried out counts no more."""
        self.database.execute("UPDATE batches SET reason = NULL, detail = NULL WHERE reason IS NOT NULL")

    def lines(self) -> Iterator[Line]:
        """Every row in order with its verdict; the ledger's refusal of a batch is on the rows it concerns."""
        text = """SELECT r.file, r.body, v.fate, v.reason, v.detail, b.reason, b.detail FROM rows r
            LEFT JOIN verdicts v ON v.ordinal = r.ordinal LEFT JOIN batches b ON b.number = r.batch
            ORDER BY r.ordinal"""
        for file, body, fate, reason, detail, refused, because in self._each(text, ()):
            verdict = None if fate is None else Verdict(Fate(fate), reason, detail)
            if verdict is not None and refused is not None and verdict.fate not in _WITHOUT_NEWS:
                verdict = Verdict(Fate.REFUSED, refused, because)
            yield Line(SourceRow(file, unpack_record(body)), verdict)


_WITHOUT_NEWS: Final = (Fate.REFUSED, Fate.KNOWN, Fate.OLDER)


def _remember(numbers: dict[str, int], name: str, number: int) -> None:
    if len(numbers) >= _KEYS_KEPT:
        numbers.clear()
    numbers[name] = number


def _units(body: bytes) -> UnitRow:
    record = unpack_record(body)
    if not isinstance(record, UnitRow):
        raise TypeError("only rows that name units are in a batch")
    return record
