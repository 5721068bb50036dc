"""What the exports of ACR, CAR and ART have in common: one serial form, vintages of one year, Yes/No columns.

Each registry's columns and words are in its own folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from adapters.delimited import Binding, Column, plain
from adapters.exports import Batch, Label, RowFault, RowRefused, TwinProposal
from adapters.fields import DateForm, Dates, read_host, read_project, read_year
from adapters.labels import answered, merge_labels
from keeling.serials.scheme import Scheme

APX_DATES: Final = Dates(DateForm.MONTH_DAY_YEAR)
"""MM/DD/YYYY, with a twelve-hour clock in GMT where an instant is given."""

CCP_COLUMN: Final = Column("ccp", ("CCP Approved", "ICVCM CCP Eligible"))
"""Renamed by CAR during 2026."""


def read_answers(at: Binding, names: Mapping[str, str], cells: list[str]) -> tuple[Label, ...]:
    """Return the labels of Yes/No columns; `names` gives the label of each field of the layout."""
    return merge_labels(answered(name, cells[at.indexes.get(field, -1)]) for field, name in names.items())


@lru_cache(maxsize=1 << 14)
def read_batch(scheme: Scheme, programme: str, serial: str, project_text: str, vintage_text: str, issued: str) -> Batch:
    """Return the batch from a serial of it and from the columns, which must agree on project and vintage."""
    named = scheme.segments(serial)
    project, vintage = read_project(project_text, programme), read_year(vintage_text)
    if named["project"].lstrip("0") != project:
        raise RowRefused(RowFault.CONTRADICTION, f"project is {project} but the serial's is {named['project']}")
    if int(named["vintage"]) != vintage.first.year:
        raise RowRefused(
            RowFault.CONTRADICTION, f"vintage is {vintage.first.year} but the serial's is {named['vintage']}"
        )
    key = scheme.parse(serial).space
    return Batch(key, programme, project, vintage, read_host(named["country"]), APX_DATES.effective(issued))


def find_conversion(words: Mapping[str, str], reason: str, note: str = "") -> TwinProposal | None:
    """Return where cancelled units live on, by the registry's reason (`words`: its plain text to our registry key)."""
    destination = words.get(plain(reason))
    return TwinProposal(destination, f"{reason.strip()} {note.strip()}".strip()) if destination else None
