"""Gold Standard's exports: one row is one block of serials and the state it is in now (a state, not an event).

Cancelled rows have no date. A note that the units were transferred to another registry makes the row a proposal that
the tonne lives on there; a person decides. Retirement can be undone for a time, which only a later file shows.
Planned reductions (PER) are of a programme of their own, whose units are never retired.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from adapters.delimited import Binding, plain
from adapters.exports import Batch, Label, RowFault, RowRefused, RowSource, TwinProposal, UnitRow, UnitStatus
from adapters.fields import (
    DateForm,
    Dates,
    around_numbers,
    batch_key,
    read_host,
    read_project,
    read_serials,
    read_units,
    read_year,
)
from adapters.gold_standard.layout import ISSUANCES, RETIREMENTS
from adapters.labels import ARTICLE6, ASSIGNED, EX_ANTE, PRODUCT, answered, flagged, merge_labels, split_labels
from adapters.tabular import RowReader, Sheet, TableAdapter
from keeling.serials import find_scheme

_OWN: Final = find_scheme("gold_standard")
_CER: Final = find_scheme("gs_cer_pair")
_DATES: Final = Dates(DateForm.ISO)

_STATUS: Final = {
    "issued": UnitStatus.ACTIVE,
    "assigned": UnitStatus.ACTIVE,
    "retired": UnitStatus.RETIRED,
    "canceled": UnitStatus.CANCELLED,
    "cancelled": UnitStatus.CANCELLED,
}
_PLANNED: Final = "per"
_MOVED: Final = re.compile(r"transferred to (?:the )?(.{3,80}?registry)\b", re.IGNORECASE)


def _reader(at: Binding) -> RowReader:
    vintage_at, status_at, quantity_at, project_at = (
        at.at("vintage"),
        at.at("status"),
        at.at("quantity"),
        at.at("project"),
    )
    product_at, issued_at, serial_at = at.at("product"), at.at("issued"), at.at("serial")
    labels_at, article6_at = at.at("labels"), at.at("article6")
    ended_at, note_at = at.indexes.get("ended", -1), at.indexes.get("note", -1)
    use_case_at, beneficiary_at = at.indexes.get("use_case", -1), at.indexes.get("beneficiary", -1)

    def read(cells: list[str], source: RowSource) -> UnitRow:
        text = cells[serial_at]
        own = text.lstrip().startswith("GS")
        serials = read_serials(text, _OWN if own else _CER, read_units(cells[quantity_at]))
        word, note = plain(cells[status_at]), cells[note_at].strip()
        status = _STATUS.get(word)
        if status is None:
            raise RowRefused(RowFault.BAD_STATUS, f"status {cells[status_at][:40]!r} is none of {', '.join(_STATUS)}")
        effective = _DATES.effective(cells[ended_at])
        if effective is not None and status is UnitStatus.ACTIVE:
            raise RowRefused(RowFault.CONTRADICTION, f"status is {word} but there is a retirement date")
        moved = _MOVED.search(note) if status is UnitStatus.CANCELLED else None
        return UnitRow(
            source,
            serials,
            status,
            _batch(
                around_numbers(serials),
                cells[project_at],
                cells[vintage_at],
                cells[issued_at],
                plain(cells[product_at]),
            ),
            effective,
            merge_labels(
                (
                    split_labels(cells[labels_at], ","),
                    answered(ARTICLE6, cells[article6_at]),
                    _product_labels(cells[product_at]),
                    flagged(ASSIGNED) if word == "assigned" else (),
                )
            ),
            "",
            cells[beneficiary_at].strip(),
            cells[use_case_at].strip(),
            note,
            TwinProposal(moved[1], moved[0]) if moved else None,
        )

    return read


def _product_labels(text: str) -> tuple[Label, ...]:
    product = plain(text)
    if not product:
        return ()
    return (*flagged(PRODUCT + product), *(flagged(EX_ANTE) if product == _PLANNED else ()))


@lru_cache(maxsize=1 << 14)
def _batch(serial: str, project_text: str, vintage_text: str, issued: str, product: str) -> Batch:
    """Return the batch from a serial of it and from the columns, which must agree."""
    project, vintage = read_project(project_text, "GS"), read_year(vintage_text)
    if not serial.startswith("GS"):
        named = _CER.segments(serial)
        key = batch_key(_CER.parse(serial), named, vintage.first.year)
        return Batch(key, "CDM", project, vintage, read_host(named["country"]), _DATES.effective(issued))
    named = _OWN.segments(serial)
    if named["project"].lstrip("0") != project:
        raise RowRefused(RowFault.CONTRADICTION, f"project is {project} but the serial's is {named['project']}")
    if int(named["vintage"]) != vintage.first.year:
        raise RowRefused(
            RowFault.CONTRADICTION, f"vintage is {vintage.first.year} but the serial's is {named['vintage']}"
        )
    key = batch_key(_OWN.parse(serial), named, vintage.first.year)
    programme = "GS-PER" if product == _PLANNED else "GS"
    return Batch(key, programme, project, vintage, read_host(named["country"]), _DATES.effective(issued))


ADAPTER: Final = TableAdapter(
    "gold_standard",
    (Sheet(ISSUANCES, _reader, quantity="quantity"), Sheet(RETIREMENTS, _reader, quantity="quantity")),
)
