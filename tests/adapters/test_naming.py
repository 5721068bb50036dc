"""What a serial says of its issuance is what the registry's file says of it: otherwise the same units had two names."""

from __future__ import annotations

from datetime import date

import pytest

from adapters.exports import Period, UnitRow
from adapters.naming import Named, name_issuance, name_project
from keeling.serials import SerialRange, parse
from tests.adapters.exports import EXPORTS, SAMPLES, read_export, read_sample

FILES = [
    ("verra", "verra-transactions.csv"),
    ("gold_standard", "gold-standard-issuances.csv"),
    ("gold_standard", "gold-standard-retirements.csv"),
]


@pytest.mark.parametrize(("registry", "name"), FILES)
def test_a_serial_names_what_the_file_names(registry: str, name: str) -> None:
    assert (SAMPLES / name).exists()
    rows = [row for row in read_sample(registry, name) if isinstance(row, UnitRow)]
    assert check_names(rows) > 0


@pytest.mark.parametrize("path", ["verra/transactions.csv"])
def test_so_do_those_of_a_real_export(path: str) -> None:
    from adapters.registry import parse_file

    raw = read_export(path)
    assert EXPORTS.exists()
    records = parse_file("verra", raw, file_name="transactions.csv").rows()
    assert check_names([row for row in records if isinstance(row, UnitRow)]) == 100


def check_names(rows: list[UnitRow]) -> int:
    """How many rows were named as their serials are."""
    named = 0
    for row in rows:
        found = name_issuance(row.serials)
        if found.batch is not None:
            assert found == Named(row.batch.key, row.batch.project, row.batch.host, row.batch.vintage)
            named += 1
    return named


UUID = "40980b1a-cff7-4c78-9cc5-a3a2f18c7e0d"
YEAR = Period(date(2024, 1, 1), date(2024, 12, 31))
CASES = [
    (f"PURO_PR_CORC100+_FI_643002_2024_{UUID}_1-10", Named(f"puro:{UUID}", "643002", "FIN", YEAR)),
    (f"{UUID}_1-10", Named(f"puro:{UUID}")),
    ("MMR-UN01-0007-2024-1-1000", Named("a64er:7-2024", "0007", "MMR", YEAR)),
    ("CA0004-GHA01-GHA-1-2024 - CA0004-GHA01-GHA-9-2024", Named("itmo:CA0004-GHA01-GHA-2024", None, "GHA", YEAR)),
    (
        "IN-CCC-OE-ACME01-2025-26-1-500",
        Named("icm:OE-ACME01-2025-26", "ACME01", "IND", Period(date(2025, 4, 1), date(2026, 3, 31))),
    ),
    (
        "IREC-DEV01-KE-2024-0101-0131-0.000001 to 0.000500",
        Named("irec:DEV01-KE-2024-101-131", "DEV01", "KEN", Period(date(2024, 1, 1), date(2024, 1, 31))),
    ),
    ("UKA-1-500", Named("uk_ets:1")),
]


@pytest.mark.parametrize("case", CASES, ids=lambda each: each[0][:12])
def test_each_scheme_says_what_it_says(case: tuple[str, Named]) -> None:
    text, named = case
    assert name_issuance(parse(text)) == named


def test_what_cannot_be_read_names_nothing() -> None:
    serials = parse("9-1001-1100-VCS-VCU-1491-VER-RW-3-4150-01102024-31122024-1")
    assert name_issuance(serials._replace(prefix="spoilt")) == Named(None)
    assert name_issuance(serials._replace(scheme="opaque")) == Named(None)
    odd = parse("9-1001-1100-VCS-VCU-1491-VER-RW-3-4150-31022024-31122024-1")
    assert name_issuance(odd) == Named(None), "the 31st of February"
    assert isinstance(odd, SerialRange)
    assert name_project("verra", "1340") == "verra:1340"
