"""Verra's VCU export: one row is one block of serials, active, or retired or cancelled (the file cannot say which).

`Total Vintage Quantity` is the parent's total repeated on every block, so it is read by nobody. The host Party and the
batch come from the serial; project and vintage stand in serial and columns and must agree.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from adapters.delimited import Binding
from adapters.exports import Batch, Period, RowFault, RowRefused, RowSource, UnitRow, UnitStatus
from adapters.fields import (
    DateForm,
    Dates,
    around_numbers,
    read_host,
    read_project,
    read_serial_day,
    read_serials,
    read_units,
)
from adapters.labels import split_labels
from adapters.tabular import RowReader, Sheet, TableAdapter
from adapters.verra.layout import TRANSACTIONS
from keeling.serials import find_scheme

_SCHEME: Final = find_scheme("verra")
_DATES: Final = Dates(DateForm.ISO, DateForm.DAY_MONTH_YEAR)
"""ISO since 2026; older exports wrote DD/MM/YYYY."""


def _reader(at: Binding) -> RowReader:
    serial_at, quantity_at, ended_at, issued_at = at.at("serial"), at.at("quantity"), at.at("ended"), at.at("issued")
    start_at, end_at, project_at, labels_at = (
        at.at("vintage_start"),
        at.at("vintage_end"),
        at.at("project"),
        at.at("labels"),
    )
    beneficiary_at, reason_at, details_at = at.at("beneficiary"), at.at("reason"), at.at("details")

    def read(cells: list[str], source: RowSource) -> UnitRow:
        serials = read_serials(cells[serial_at], _SCHEME, read_units(cells[quantity_at]))
        batch = _batch(around_numbers(serials), cells[project_at], cells[start_at], cells[end_at], cells[issued_at])
        ended = _DATES.effective(cells[ended_at])
        return UnitRow(
            source,
            serials,
            UnitStatus.ACTIVE if ended is None else UnitStatus.ENDED,
            batch,
            ended,
            split_labels(cells[labels_at], ";"),
            "",
            cells[beneficiary_at],
            cells[reason_at],
            cells[details_at],
        )

    return read


@lru_cache(maxsize=1 << 14)
def _batch(serial: str, project_text: str, start: str, end: str, issued: str) -> Batch:
    """Return the batch from a serial of it and from the columns, which must agree."""
    named = _SCHEME.segments(serial)
    project, vintage = read_project(project_text, "VCS"), _DATES.period(start, end)
    of_serial = Period(read_serial_day(named["vintage_start"]), read_serial_day(named["vintage_end"]))
    if named["project"].lstrip("0") != project:
        raise RowRefused(RowFault.CONTRADICTION, f"project is {project} but the serial's is {named['project']}")
    if of_serial != vintage:
        raise RowRefused(
            RowFault.CONTRADICTION,
            f"vintage is {vintage.first} to {vintage.last} but the serial's is {of_serial.first} to {of_serial.last}",
        )
    return Batch(
        f"verra:{int(named['batch'])}", "VCS", project, vintage, read_host(named["country"]), _DATES.effective(issued)
    )


ADAPTER: Final = TableAdapter("verra", (Sheet(TRANSACTIONS, _reader, quantity="quantity"),))
