"""Isometric's lists: kilograms without serials. An issuance becomes opaque positions, its buffer the last of them.

A retirement names a project and a day of removal but neither issuance nor serials, so it is evidence: which kilograms
of the project ended, nobody outside can say. The lists state no vintage for an issuance, and none is made up.
"""

from __future__ import annotations

import re
from typing import Final

from adapters.countries import ALPHA3
from adapters.delimited import Binding
from adapters.exports import (
    Batch,
    EvidenceKind,
    EvidenceRow,
    Extent,
    Period,
    RowFault,
    RowRefused,
    RowSource,
    UnitRow,
    UnitStatus,
)
from adapters.fields import DateForm, Dates, read_optional_units, read_units
from adapters.isometric.layout import ISSUANCES, RETIREMENTS
from adapters.tabular import RowReader, Sheet, TableAdapter
from keeling.serials import Grain, number_opaque

_DATES: Final = Dates(DateForm.ISO)
_ID: Final = re.compile(r"[a-z]{3}_[0-9A-Za-z]{10,40}", re.ASCII)
_PURPOSE: Final = re.compile(r"'(\w{1,60})'")
_KG_PER_CREDIT: Final = 1000


def _issuances(at: Binding) -> RowReader:
    def read(cells: list[str], source: RowSource) -> UnitRow:
        kilograms = _read_kilograms(at, cells)
        supplier = read_optional_units(cells[at.at("supplier_kilograms")])
        buffer = read_optional_units(cells[at.at("buffer_kilograms")])
        if buffer is None:
            raise RowRefused(RowFault.MISSING, "does not say how much of it is in the buffer")
        if supplier is not None and supplier + buffer != kilograms:
            raise RowRefused(
                RowFault.CONTRADICTION,
                f"supplier {supplier} kg and buffer {buffer} kg are not the total {kilograms} kg",
            )
        reference, country = _read_id(cells[at.at("reference")]), cells[at.at("country")].strip()
        serials = number_opaque("isometric", reference, kilograms, Grain.KG_CO2E)
        batch = Batch(
            f"isometric:{reference}",
            "ISOMETRIC",
            _read_id(cells[at.at("project")]),
            None,
            country if country in ALPHA3 else "",
            _DATES.effective(cells[at.at("issued")]),
            Extent.EXACT,
        )
        return UnitRow(source, serials, UnitStatus.ACTIVE, batch, buffer_units=buffer)

    return read


def _retirements(at: Binding) -> RowReader:
    def read(cells: list[str], source: RowSource) -> EvidenceRow:
        removed = _DATES.effective(cells[at.at("sequestered")])
        return EvidenceRow(
            source,
            EvidenceKind.RETIREMENT,
            _read_kilograms(at, cells),
            Grain.KG_CO2E,
            _read_id(cells[at.at("reference")]),
            _read_id(cells[at.at("project")]),
            Period(removed.at.date(), removed.at.date()) if removed else None,
            "",
            _DATES.effective(cells[at.at("ended")]),
            beneficiary=cells[at.at("beneficiary")].strip(),
            reason=", ".join(_PURPOSE.findall(cells[at.at("purposes")])),
            note=cells[at.at("note")].strip(),
        )

    return read


def _read_kilograms(at: Binding, cells: list[str]) -> int:
    kilograms = read_units(cells[at.at("kilograms")])
    if kilograms == 0:
        raise RowRefused(RowFault.BAD_QUANTITY, "is of 0 kg")
    credits_ = read_optional_units(cells[at.at("credits")], per_unit=_KG_PER_CREDIT)
    if credits_ is not None and credits_ != kilograms:
        raise RowRefused(RowFault.QUANTITY_DISAGREES, f"{cells[at.at('credits')]} credits are not {kilograms} kg")
    return kilograms


def _read_id(text: str) -> str:
    if not _ID.fullmatch(text.strip()):
        raise RowRefused(RowFault.MISSING, f"{text[:40]!r} is no Isometric id such as iss_1KP6EDZ8K1S036PY")
    return text.strip()


ADAPTER: Final = TableAdapter(
    "isometric",
    (
        Sheet(ISSUANCES, _issuances, Grain.KG_CO2E, "kilograms"),
        Sheet(RETIREMENTS, _retirements, Grain.KG_CO2E, "kilograms"),
    ),
)
