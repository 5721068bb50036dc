"""Rows to records: numbered, hashed without addresses of persons, wrong ones named and the rest taken."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.exports import RefusedRow, RowFault
from adapters.registry import parse_file
from adapters.tabular import strip_emails
from adapters.totals import Sum, Totals
from keeling.serials import Grain
from tests.adapters.exports import SAMPLES

HEADER, ROW = (SAMPLES / "verra-transactions.csv").read_text(encoding="utf-8").splitlines()[:2]


def row_of(first: int, last: int, quantity: int) -> str:
    text = ROW.replace("1139000001-1139001200", f"{first}-{last}")
    return text.replace('"1,200"', f'"{quantity:,}"')


def test_of_ten_thousand_rows_three_wrong_ones_are_named_and_the_rest_taken() -> None:
    rows = [row_of(number * 10, number * 10 + 9, 10) for number in range(1, 10_001)]
    rows[99] = row_of(1009, 1000, 10)
    rows[4_999] = row_of(50_000, 50_009, 11)
    rows[9_999] = row_of(55, 64, 10)
    records = list(parse_file("verra", "\n".join([HEADER, *rows]).encode(), file_name="big.csv").rows())
    refused = [record for record in records if isinstance(record, RefusedRow)]
    assert [(record.source.row, record.fault) for record in refused] == [
        (100, RowFault.END_BEFORE_START),
        (5_000, RowFault.QUANTITY_DISAGREES),
        (10_000, RowFault.OVERLAP),
    ]
    totals = Totals(records)
    assert totals.rows == 10_000
    assert totals.of("units", "active") == Sum(9_997, 99_970, 0, 0)
    assert totals.of("refused") == Sum(3, 31, 0, 0)
    assert totals.sums["refused", "overlap", Grain.T_CO2E].units == 10


def test_rows_are_read_anew_each_time_and_only_as_far_as_asked() -> None:
    parsed = parse_file("verra", "\n".join([HEADER, row_of(1, 10, 10), "broken"]).encode(), file_name="a.csv")
    assert next(parsed.rows()) == next(parsed.rows())
    assert len(list(parsed.rows())) == 2


def test_the_digest_is_over_the_cells_without_addresses() -> None:
    (record,) = parse_file("verra", f"{HEADER}\n{row_of(1, 10, 10)}a@b.example\n".encode(), file_name="a.csv").rows()
    cells = row_of(1, 10, 10).replace('"', "").replace("1,454,054", "1454054").split(",")
    cells[9] = "1,454,054"
    cells[-1] = "[e-mail removed]"
    text = "\x1f".join(["keeling/row/1 verra", *cells, ""])
    assert record.source.digest == hashlib.sha256(text.encode()).digest()


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        ("ask jane.doe+x@example.org.", "ask [e-mail removed]"),
        ("<Jane@example.org>, (a@b)", "<[e-mail removed]>, ([e-mail removed])"),
        ("mailto:a@b.example;c@d.example", "mailto:[e-mail removed];[e-mail removed]"),
        ("no address @ all", "no address @ all"),
    ],
)
def test_addresses_are_removed(text: str, stripped: str) -> None:
    assert strip_emails(text) == stripped


@given(st.text(st.sampled_from("ab@. ,;<"), max_size=80))
def test_no_address_is_left(text: str) -> None:
    assert strip_emails(strip_emails(text)) == strip_emails(text)
    assert not any(before.isalnum() and after.isalnum() for before, after in _around_signs(strip_emails(text)))


def _around_signs(text: str) -> list[tuple[str, str]]:
    return [(text[at - 1], text[at + 1]) for at in range(1, len(text) - 1) if text[at] == "@"]
