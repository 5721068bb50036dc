"""Cercarbono's lists: a serial names a batch, its numbers stand in `from` and `to` of the retirements only.

An issuance tells how many units a serial has and not whether they start at 0 or 1; both occur. It is read as 1 to n and
marked (`Batch.first_known`). `project_id` is EcoRegistry's internal id, so the project is read from the serial.

An issuance may be listed under two revisions of its serial (R6 and R7): the same tonnes, so the second is refused. In
another file it is known: both are of one space and one batch.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from adapters.cercarbono.layout import ISSUANCES, RETIREMENTS
from adapters.delimited import Binding, plain
from adapters.exports import (
    Batch,
    Extent,
    Label,
    Period,
    RowFault,
    RowRefused,
    RowSource,
    UnitRow,
    UnitStatus,
)
from adapters.fields import DateForm, Dates, read_fields, read_host, read_units, read_year
from adapters.labels import flagged, merge_labels
from adapters.tabular import RowReader, Sheet, TableAdapter
from keeling.serials.labelled import CERCARBONO

_DATES: Final = Dates(DateForm.ISO)
_CODE: Final = re.compile(r"'code': '(\w{1,20})'")
_YES_NO: Final = {"true": True, "false": False}


def _issuances(at: Binding) -> RowReader:
    listed: dict[str, str] = {}

    def read(cells: list[str], source: RowSource) -> UnitRow:
        units = read_units(cells[at.at("quantity")])
        serial, is_buffer = cells[at.at("serial")].strip(), _YES_NO.get(plain(cells[at.at("is_buffer")]))
        if is_buffer is None:
            raise RowRefused(RowFault.BAD_STATUS, f"is_buffer is {cells[at.at('is_buffer')][:40]!r}, not True or False")
        serials = read_fields(serial, 1, units, CERCARBONO, units)
        project, host = _project_and_host(serial)
        batch = Batch(
            serials.space,
            "CERCARBONO",
            project,
            _span(cells[at.at("vintage")]),
            host,
            _DATES.effective(cells[at.at("issued")]),
            Extent.EXACT,
            first_known=False,
        )
        other = listed.setdefault(serials.space, serial) if "_R" in serial else serial
        if other != serial:
            detail = f"{serial} is another revision of {other}, which the file lists too: the tonnes would count twice"
            raise RowRefused(RowFault.OVERLAP, detail)
        status = UnitStatus.BUFFER if is_buffer else UnitStatus.ACTIVE
        return UnitRow(source, serials, status, batch, labels=_eligible(cells[at.at("eligible")]))

    return read


def _retirements(at: Binding) -> RowReader:
    kilograms_at, subject_at = at.at("in_kilograms"), at.at("passive_subject")

    def read(cells: list[str], source: RowSource) -> UnitRow:
        if _YES_NO.get(plain(cells[kilograms_at]), False):
            raise RowRefused(RowFault.BAD_QUANTITY, "is counted in kilograms, but its serial counts tonnes")
        units = read_units(cells[at.at("quantity")])
        serial = cells[at.at("serial")].strip()
        first, last = read_units(cells[at.at("first")]), read_units(cells[at.at("last")])
        serials = read_fields(serial, first, last, CERCARBONO, units)
        project, host = _project_and_host(serial)
        year = read_year(cells[at.at("vintage")])
        user, subject = cells[at.at("beneficiary")].strip(), cells[subject_at].strip()
        return UnitRow(
            source,
            serials,
            UnitStatus.RETIRED,
            Batch(serials.space, "CERCARBONO", project, year, host, None, vintage_exact=False),
            _DATES.effective(cells[at.at("ended")]),
            beneficiary="" if plain(user) == "not public" else user,
            reason=cells[at.at("reason")].strip(),
            note=f"passive subject: {subject}" if subject else "",
        )

    return read


@lru_cache(maxsize=4096)
def _project_and_host(serial: str) -> tuple[str, str]:
    named = CERCARBONO.segments(serial)
    return named["project"].lstrip("0"), read_host(named.get("country", ""))


def _span(text: str) -> Period:
    first, slash, last = text.partition(" / ")
    if not slash:
        raise RowRefused(RowFault.BAD_DATE, f"{text[:40]!r} is no vintage such as 2010-01-01 / 2018-09-30")
    return _DATES.period(first, last)


@lru_cache(maxsize=4096)
def _eligible(text: str) -> tuple[Label, ...]:
    """Return labels such as "eligible:icc" (Colombian carbon tax) and "eligible:cv" (voluntary)."""
    return merge_labels(flagged(f"eligible:{code.lower()}") for code in _CODE.findall(text))


ADAPTER: Final = TableAdapter(
    "cercarbono",
    (Sheet(ISSUANCES, _issuances, quantity="quantity"), Sheet(RETIREMENTS, _retirements, quantity="quantity")),
)
