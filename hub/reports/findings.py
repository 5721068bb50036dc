"""What the owner of an export should fix, ranked by units and how bad it is. Rows are looked at once and not kept.

The weight of a finding is its units, in tonnes, times its severity; nothing is added over grains but this weight,
which only orders the list. What a kind of trouble means stands in its text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Final, NamedTuple

from hub.reports.model import ENDED_STATES, KG_PER_TONNE, BatchState, Disagreement, Row, name_registry

FIRST_MAX: Final = 5
"""Findings a page begins with: more than five are none."""
ROWS_SHOWN_MAX: Final = 8


class Finding(NamedTuple):
    """One kind of trouble: how much, where, and what to do. Severity 1 (worth knowing) to 5 (wrong)."""

    kind: str
    severity: int
    title: str
    units: tuple[tuple[str, int], ...]
    """(grain, units), sorted."""
    rows: int
    shown: tuple[str, ...]
    """Some of the rows, by file, or some of the batches."""
    action: str

    @property
    def weight(self) -> Fraction:
        return self.severity * sum((_tonnes(grain, units) for grain, units in self.units), Fraction(0))


def _tonnes(grain: str, units: int) -> Fraction:
    return Fraction(units, KG_PER_TONNE) if grain == "KG_CO2E" else Fraction(units)


class _Count:
    """Rows of one kind of trouble in one file: the first of them by number, and how many."""

    def __init__(self) -> None:
        self.rows = 0
        self.listed: list[int] = []

    def add(self, number: int) -> None:
        self.rows += 1
        if len(self.listed) < ROWS_SHOWN_MAX:
            self.listed.append(number)


class _Gathered:
    """Rows of one kind of trouble, added up."""

    def __init__(self) -> None:
        self.units: dict[str, int] = {}
        self.files: dict[str, _Count] = {}
        self.detail = ""

    def add(self, row: Row, units: int) -> None:
        self.detail = self.detail or row.detail
        self.units[row.grain] = self.units.get(row.grain, 0) + units
        self.files.setdefault(row.file, _Count()).add(row.row)

    def finding(self, kind: str, severity: int, title: str, action: str) -> Finding:
        rows = sum(each.rows for each in self.files.values())
        return Finding(kind, severity, title, tuple(sorted(self.units.items())), rows, self._shown(), action)

    def _shown(self) -> tuple[str, ...]:
        """For each file its first rows: "issuances.csv rows 3, 4, 25 and 20 more"."""
        named = []
        for file, each in self.files.items():
            listed = ", ".join(str(number) for number in each.listed)
            more = f" and {each.rows - len(each.listed):,} more" if each.rows > len(each.listed) else ""
            named.append(f"{file} row{'s' if each.rows > 1 else ''} {listed}{more}")
        return tuple(named)


class _Trouble(NamedTuple):
    """A kind of trouble that rows have: which rows, and what to say of them."""

    kind: str
    severity: int
    title: str
    action: str
    concerns: Callable[[Row], bool]


_REFUSED_WORDS: Final = {
    "OVERLAP": "Units that two rows of the file claim",
    "END_BEFORE_START": "Serials that end before they start",
    "QUANTITY_DISAGREES": "Quantities that are not what the serials hold",
    "UNREADABLE": "Rows that cannot be read",
    "SERIALS_OVERLAP": "Serials that another batch of the registry has",
    "OUTSIDE_EXTENT": "Serials outside what was issued",
    "BEYOND_ANOTHER_BATCH": "Serials that another batch separates from the rest of theirs",
}


_TROUBLES: Final = (
    _Trouble(
        "undated",
        4,
        "Units that ended without a date",
        "Ask {registry} when: a report for a year cannot count them",
        lambda row: row.row_class == "lot" and row.status in ENDED_STATES and not row.effective,
    ),
    _Trouble(
        "ex-ante",
        3,
        "Units issued for reductions that are still planned",
        "They may be traded, not retired: keep them out of claims",
        lambda row: row.ex_ante and row.status not in ENDED_STATES,
    ),
    _Trouble(
        "no-serials",
        2,
        "Quantities without serial numbers",
        "Kept as evidence, never as units: get the registry's holdings report, which has serials",
        lambda row: row.row_class == "evidence",
    ),
    _Trouble(
        "unclear-end",
        2,
        "Units that were retired or cancelled: the file does not say which",
        "Take the registry's certificate for each one you report as retired",
        lambda row: row.row_class == "lot" and row.status == "ended",
    ),
    _Trouble(
        "duplicate",
        2,
        "Rows that say the same twice",
        "Counted once; tell the registry",
        lambda row: row.row_class == "duplicate",
    ),
    _Trouble(
        "older",
        1,
        "Units of which the ledger knows more than this file",
        "Nothing of these rows was taken; take a newer export if you expected news",
        lambda row: row.outcome == "older",
    ),
    _Trouble(
        "long-vintage",
        1,
        "Vintages that cover several calendar years",
        "Agree on the year before an Article 6 use: they stay spans here",
        lambda row: row.vintage_years > 1 and row.status not in ENDED_STATES,
    ),
)


class Findings:
    """Finds what is wrong, row by row; nothing of a row is kept but its number."""

    def __init__(self, registry: str) -> None:
        self._registry: Final = name_registry(registry)
        self._rows: dict[str, _Gathered] = {}
        self._nameless: dict[str, _Gathered] = {}
        self._naming: set[str] = set()

    def add(self, row: Row) -> None:
        """Look at one row."""
        for trouble in _TROUBLES:
            if trouble.concerns(row):
                self._gather(trouble.kind).add(row, row.units or 0)
        if row.row_class == "refused":
            self._gather(f"refused:{row.reason}").add(row, row.units or 0)
        if row.moved_to:
            self._gather(f"moved:{row.moved_to}").add(row, row.units or 0)
        if row.status == "buffer" or row.buffer_units:
            self._gather("buffer").add(row, (row.units or 0) if row.status == "buffer" else row.buffer_units)
        if row.status in ("retired", "retirement", "ended"):
            if row.beneficiary_named:
                self._naming.add(row.file)
            else:
                self._nameless.setdefault(row.file, _Gathered()).add(row, row.units or 0)

    def _gather(self, kind: str) -> _Gathered:
        return self._rows.setdefault(kind, _Gathered())

    def finish(self, others: Iterable[Finding]) -> list[Finding]:
        """All findings, with others that are not of rows, heaviest first; those without units last, by rows."""
        found = [*others, *self._of_rows(), *self._of_refused(), *self._of_moved(), *self._without_beneficiary()]
        return sorted(found, key=lambda each: (-each.weight, -each.severity, -each.rows, each.kind))

    def _of_rows(self) -> Iterator[Finding]:
        for trouble in _TROUBLES:
            if gathered := self._rows.get(trouble.kind):
                action = trouble.action.format(registry=self._registry)
                yield gathered.finding(trouble.kind, trouble.severity, trouble.title, action)
        if gathered := self._rows.get("buffer"):
            yield gathered.finding("buffer", 1, "Buffer units", "Never sold or retired: leave them out of what you own")

    def _of_refused(self) -> Iterator[Finding]:
        for kind, gathered in self._rows.items():
            if kind.startswith("refused:"):
                reason = kind.removeprefix("refused:")
                title = _REFUSED_WORDS.get(reason, f"Rows refused: {reason.lower().replace('_', ' ')}")
                action = f"Ask {self._registry} for a corrected file; first: {gathered.detail}"
                yield gathered.finding(kind, 5, title, action)

    def _of_moved(self) -> Iterator[Finding]:
        action = "Decide each with evidence of both registries: keeling proposal list, then accept or decline"
        for kind, gathered in self._rows.items():
            if kind.startswith("moved:"):
                title = f"Tonnes that seem to live on at {name_registry(kind.removeprefix('moved:'))}: not destroyed"
                yield gathered.finding(kind, 4, title, action)

    def _without_beneficiary(self) -> Iterator[Finding]:
        """Of files that name beneficiaries at all: one without such a column cannot be completed."""
        whole = _Gathered()
        for file, each in self._nameless.items():
            if file in self._naming:
                whole.files |= each.files
                for grain, units in each.units.items():
                    whole.units[grain] = whole.units.get(grain, 0) + units
        if whole.files:
            title = "Retirements that name nobody they are for"
            yield whole.finding("no-beneficiary", 1, title, "Have the account holder complete the retirement record")


def find_contradictions(
    disagreements: Sequence[Disagreement], units: Mapping[str, int], restricted: Mapping[str, int], size: int
) -> list[Finding]:
    """The finding of disagreements: the first, their units by grain, how many of those are restricted, and how many."""
    if not size:
        return []
    shown = tuple(each.batch for each in disagreements[:ROWS_SHOWN_MAX])
    title = (
        f"Units of which the ledger and the registry say different things, in {size:,} place{'s' if size != 1 else ''}"
    )
    stopped = sum(restricted.values())
    state = "Nothing was changed; find out which side is right"
    if stopped:
        whole = stopped == sum(units.values())
        state = f"{'They' if whole else 'Some of them'} are restricted until one side is proved"
    action = f"{state}: keeling discrepancy list --open"
    return [Finding("contradiction", 5, title, tuple(sorted(units.items())), 0, shown, action)]


def find_unseen(holes: Sequence[BatchState], units: Mapping[str, int], size: int) -> list[Finding]:
    """The finding of units nobody has shown: the batches with most of them, all of them by grain, and how many."""
    if not size:
        return []
    shown = tuple(f"{batch.batch} ({batch.unseen:,})" for batch in holes[:ROWS_SHOWN_MAX])
    title = f"Units between the first and the last of {size:,} batches that no file has shown"
    action = "They are in no account: import the registry's whole list, or the files of the other states"
    return [Finding("unseen", 3, title, tuple(sorted(units.items())), 0, shown, action)]


def find_personal_data(emails_removed: Mapping[str, int]) -> list[Finding]:
    """The finding of e-mail addresses that were in the files."""
    removed = {name: size for name, size in emails_removed.items() if size}
    if not removed:
        return []
    shown = tuple(f"{name} ({size:,})" for name, size in sorted(removed.items()))
    action = "Removed before anything was hashed or kept; delete the file, and ask the registry not to export them"
    return [Finding("personal-data", 4, "E-mail addresses in the file", (), sum(removed.values()), shown, action)]
