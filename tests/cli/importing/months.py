"""The month after: real exports of April as tables of text, and how a registry's files of May differ from them.

Derived while the test runs and never kept. Each editor returns what its changes are news of, counted by hand from the
rows it wrote; that the importer finds the same is the test's business.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import Final, NamedTuple

from adapters.registry import parse_file
from cli.importing.model import SourceRow
from keeling.serials import parse, print_range
from tests.adapters.exports import EXPORTS
from tests.cli.importing.mirror import FOLDERS

MAY: Final = "2026-05-15"
PART: Final = 40
"""Units that are cut off a block."""

Row = dict[str, str]


class Table(NamedTuple):
    """One file."""

    heading: list[str]
    rows: list[Row]


Month = dict[str, Table]
"""All files of a registry, by name."""


class News(NamedTuple):
    """What May's files tell that April's did not, and what they leave out."""

    new: int = 0
    """Units the ledger has not seen."""
    changed: int = 0
    """Units it has, in another state."""
    moved: tuple[tuple[str, int], ...] = ()
    """(state they are in now, units) of both, sorted."""
    evidence: int = 0
    """Units of rows without serials, more or less than in April."""
    gone: tuple[str, ...] = ()
    """Batches of which a row is missing: nothing happened to them."""
    exact: int = 0
    """Batches of which one learned how many units they have."""


def read_month(registry: str) -> Month:
    """The real files, as text."""
    month = {}
    for path in sorted((EXPORTS / FOLDERS[registry]).glob("*.csv")):
        if path.name != "projects.csv":
            reader = csv.DictReader(io.StringIO(path.read_text("utf-8"), newline=""))
            month[path.name] = Table(list(reader.fieldnames or ()), list(reader))
    return month


def copy_month(month: Month) -> Month:
    """A month to edit."""
    return {name: Table(table.heading, [dict(row) for row in table.rows]) for name, table in month.items()}


def parse_month(registry: str, month: Month) -> list[SourceRow]:
    """The records of the files as the registry would have written them."""
    return [
        SourceRow(at, record)
        for at, (name, table) in enumerate(month.items())
        for record in parse_file(registry, write_table(table), file_name=name).rows()
    ]


def write_table(table: Table) -> bytes:
    """The bytes of a file."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, table.heading)
    writer.writeheader()
    writer.writerows(table.rows)
    return text.getvalue().encode("utf-8")


def sum_column(table: Table, column: str) -> int:
    """What a spreadsheet would add up; an empty cell is nothing."""
    return int(sum(Decimal(row[column]) for row in table.rows if row[column]))


# -- registries that list only what has ended


class Blocks(NamedTuple):
    """How a registry of the APX family heads its columns."""

    serial: str
    quantity: str
    date: str
    issued: str
    issued_quantity: str


BLOCKS: Final = {
    "acr": Blocks(
        "Credit Serial Numbers",
        "Quantity of Credits",
        "Status Effective (GMT)",
        "Date Issued (GMT)",
        "Total Credits Issued",
    ),
    "car": Blocks(
        "Offset Credit Serial Numbers",
        "Quantity of Offset Credits",
        "Status Effective",
        "Date Issued",
        "Total Offset Credits Issued",
    ),
    "art": Blocks(
        "Credit Serial Numbers", "Quantity of Credits", "Status Effective", "Date Approved", "Credits Verified"
    ),
}


def edit_blocks(registry: str, month: Month) -> News:
    """Units between two known blocks retired, a block cut in two, an issuance more, a retirement left out."""
    names, ended, issued = BLOCKS[registry], month["retirements.csv"].rows, month["issuances.csv"].rows
    template, first = _find_gap(registry, month)
    written = parse(template[names.serial])
    later = written._replace(first=first, last=first + PART - 1)
    news_row = {**_match(month, template), names.serial: print_range(later), names.quantity: str(PART)}
    news_row[names.date] = "05/15/2026" if registry != "acr" else "5/15/2026 7:17:56 PM"
    whole = next(row for row in ended if parse(row[names.serial]).units > PART)
    lost = next(row for row in reversed(ended) if row is not whole)
    serials = parse(whole[names.serial])
    pieces = [
        {**whole, names.serial: print_range(piece), names.quantity: str(piece.units)}
        for piece in (
            serials.part(serials.first, serials.first + PART - 1),
            serials.part(serials.first + PART, serials.last),
        )
    ]
    gone = parse(lost[names.serial]).space
    rest = [row for row in ended if row is not lost and row is not whole]
    ended[:] = [news_row, *reversed(pieces), *rest]
    date = "5/4/2026 9:08:01 PM" if registry == "acr" else "05/04/2026"
    issued.insert(0, {**issued[0], names.issued: date, names.issued_quantity: "1234"})
    return News(new=PART, moved=(("RETIRED", PART),), evidence=1234, gone=(gone,))


def _match(month: Month, template: Row) -> Row:
    """A retirement about the batch of a block that may stand among the cancellations."""
    table = month["retirements.csv"]
    return {name: template.get(name, "") for name in table.heading}


def _find_gap(registry: str, month: Month) -> tuple[Row, int]:
    """A row of a batch with numbers in its extent that no row shows, and the first of them."""
    spans: dict[str, list[tuple[int, int, Row]]] = {}
    for table in (month["retirements.csv"], month["cancellations.csv"]):
        for row in table.rows:
            serials = parse(row[BLOCKS[registry].serial])
            spans.setdefault(serials.space, []).append((serials.first, serials.last, row))
    for found in spans.values():
        found.sort(key=lambda span: span[:2])
        for (_, last, row), (after, _, _) in pairwise(found):
            if after - last > PART:
                return row, last + 1
    raise LookupError(f"no batch of {registry} has {PART} unseen units in a row")


# -- registries that list issuances


def edit_cercarbono(registry: str, month: Month) -> News:
    """Units of an issuance retired, all of another, an issuance known by retirements only, one left out."""
    issued, ended = month["issuances.csv"].rows, month["retirements.csv"].rows
    spent = {row["serial"] for row in ended}
    fresh = [row for row in issued if row["is_buffer"] == "False" and row["serial"] not in spent]
    cut, whole = fresh[:2]
    ended += [
        _retire(ended[0], cut, 101, 100 + PART),
        _retire(ended[0], whole, 1, int(whole["issued_quantity"])),
    ]
    known = {row["serial"] for row in issued}
    unissued = next(row for row in ended if row["serial"] not in known)
    shown = [row for row in ended if row["serial"] == unissued["serial"]]
    units = max(int(row["to"]) for row in shown) + 500
    unseen = units - sum(int(row["quantity"]) for row in shown)
    late = {"serial": unissued["serial"], "issued_quantity": str(units), "year": unissued["vintage"]}
    late["vintage_of_credits"] = f"{unissued['vintage']}-01-01 / {unissued['vintage']}-12-31"
    gone = next(row for row in issued if row is not cut and row is not whole and row["serial"] in spent)
    issued[:] = [row for row in issued if row is not gone] + [{**cut, **late, "issuance_date": f"{MAY}T08:00:00.000Z"}]
    retired = PART + int(whole["issued_quantity"])
    return News(
        new=unseen,
        changed=retired,
        moved=tuple(sorted([("RETIRED", retired), ("FREE", unseen)])),
        gone=(f"cercarbono:{gone['serial']}",),
        exact=1,
    )


def _retire(like: Row, issuance: Row, first: int, last: int) -> Row:
    about = {"serial": issuance["serial"], "vintage": issuance["year"], "date": f"{MAY} 11:00:00"}
    return {**like, **about, "from": str(first), "to": str(last), "quantity": str(last - first + 1)}


def edit_isometric(registry: str, month: Month) -> News:
    """More of an issuance set aside for the buffer, which cuts it; an issuance and a retirement more; one left out."""
    issued, ended = month["issuances.csv"].rows, month["retirements.csv"].rows
    supplier, buffer = "supplier_credit_batch_size_total", "buffer_pool_credit_batch_size_total"
    cut = issued[0]
    for name, change in ((supplier, -PART), (buffer, PART)):
        _put_kilograms(cut, name, int(cut[f"{name}.credit_kgs"]) + change)
    late = dict(issued[1])
    late["id"], late["issued_at"] = f"iss_{'M' * 16}", f"{MAY}T16:50:41.621676Z"
    for name, kilograms in ((supplier, 1_900), (buffer, 100), ("credit_batch_size_total", 2_000)):
        _put_kilograms(late, name, kilograms)
    retired = dict(ended[0])
    retired["retirement_id"], retired["retired_at"] = f"ret_{'M' * 16}", f"{MAY}T18:21:22.047712Z"
    _put_kilograms(retired, "credit_batch_size_total", 4)
    gone = issued.pop()
    issued.insert(0, late)
    ended.insert(0, retired)
    moved = tuple(sorted([("FREE", 1_900), ("BUFFER", 100 + PART)]))
    return News(new=2_000, changed=PART, moved=moved, evidence=4, gone=(f"isometric:{gone['id']}",), exact=1)


def _put_kilograms(row: Row, name: str, kilograms: int) -> None:
    row[f"{name}.credits"], row[f"{name}.credit_kgs"] = str(Decimal(kilograms) / 1000), str(kilograms)


def edit_arb(registry: str, month: Month) -> News:
    """Credits used, a period issued in two parts, another period, one left out: quantities without serials."""
    ((_, table),) = month.items()
    rows, quantity = table.rows, "ARB Offset Credits Issued"
    rows[0]["Retired Voluntarily"] = "40.0"
    whole = next(row for row in rows[1:] if row[quantity] and Decimal(row[quantity]) > PART)
    rows.append({**whole, quantity: str(PART), "CARB Issuance ID": f"{whole['CARB Issuance ID']}2"})
    whole[quantity] = str(Decimal(whole[quantity]) - PART)
    rows.append({**rows[0], quantity: "1234.0", "Issuance Date": MAY, "CARB Issuance ID": "CAOD9999-Z"})
    gone = next(row for row in rows if row[quantity] and row is not whole and row is not rows[0])
    rows.remove(gone)
    return News(evidence=1234 - int(Decimal(gone[quantity])))


Editor = Callable[[str, Month], News]

EDITORS: Final[dict[str, Editor]] = {
    "acr": edit_blocks,
    "car": edit_blocks,
    "art": edit_blocks,
    "cercarbono": edit_cercarbono,
    "isometric": edit_isometric,
    "arb": edit_arb,
}
"""Changes a month's files, given the registry's key."""

QUANTITIES: Final = {
    "acr": {"issuances.csv": "Total Credits Issued", "": "Quantity of Credits"},
    "car": {"issuances.csv": "Total Offset Credits Issued", "": "Quantity of Offset Credits"},
    "art": {"issuances.csv": "Credits Verified", "": "Quantity of Credits"},
    "cercarbono": {"issuances.csv": "issued_quantity", "": "quantity"},
    "isometric": {"": "credit_batch_size_total.credit_kgs"},
    "arb": {"": "ARB Offset Credits Issued"},
}
"""The column that holds a row's quantity, by file; "" for the others."""
