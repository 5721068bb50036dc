"""What the rows of a batch say of it, row by row: the best of them for each fact of its issue on the ledger. Pure."""

from __future__ import annotations

from adapters.exports import Effective, Extent, Period, UnitRow
from cli.importing.model import About
from keeling.serials import print_range


class AboutBuilder:
    """Gathers the facts; rows may come in any order, each with its place in the run."""

    def __init__(self) -> None:
        self._first: tuple[int, UnitRow] | None = None
        self._host: tuple[int, str] | None = None
        self._vintage: tuple[bool, bool, int, Period] | None = None
        self._issued: Effective | None = None

    def add(self, ordinal: int, row: UnitRow) -> None:
        """Look at one row."""
        batch = row.batch
        if self._first is None or ordinal < self._first[0]:
            self._first = (ordinal, row)
        if batch.host and (self._host is None or ordinal < self._host[0]):
            self._host = (ordinal, batch.host)
        if batch.issued is not None and (self._issued is None or batch.issued < self._issued):
            self._issued = batch.issued
        if batch.vintage is not None:
            rank = (not batch.vintage_exact, batch.extent is not Extent.EXACT, ordinal, batch.vintage)
            self._vintage = rank if self._vintage is None else min(self._vintage, rank)

    def build(self) -> About:
        """The facts. There was at least one row."""
        if self._first is None:
            raise ValueError("a batch without rows is no batch")
        row = self._first[1]
        return About(
            project=row.batch.project,
            programme=row.batch.programme,
            space=row.serials.space,
            serial_form=print_range(row.serials),
            host=self._host[1] if self._host else "",
            issued=self._issued,
            vintage=self._vintage[3] if self._vintage else None,
            grain=row.grain.name,
        )
