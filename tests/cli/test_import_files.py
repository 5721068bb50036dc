"""Files that cannot be read are told in one line before any node is asked; refused rows stop a strict import."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.cli.command_line import Keeling
from tests.cli.running_node import holdings, running_node

SAMPLES = Path(__file__).parents[1] / "adapters" / "samples"
GOOD = SAMPLES / "verra-transactions.csv"
HEADER = GOOD.read_text().splitlines()[0]

FILES: list[tuple[str, bytes, str, list[str]]] = [
    ("empty", b"", "verra", ["export.csv"]),
    ("a page", b"<!DOCTYPE html><html><body>Please log in</body></html>", "verra", ["export.csv"]),
    ("a workbook", b"PK\x03\x04" + bytes(200), "verra", ["export.csv"]),
    ("UTF-16 without columns of ours", "a,b\n1,2\n".encode("utf-16"), "verra", ["export.csv"]),
    (
        "a renamed column",
        HEADER.replace("Serial Number", "Serial No").encode(),
        "verra",
        ["Serial Number", "Serial No"],
    ),
    ("another registry's", GOOD.read_bytes(), "car", ["verra", "--registry verra"]),
    ("no registry of ours", GOOD.read_bytes(), "nowhere", ["nowhere", "verra"]),
]


@pytest.mark.parametrize(("content", "registry", "said"), [f[1:] for f in FILES], ids=[f[0] for f in FILES])
def test_a_file_that_cannot_be_read(keeling: Keeling, content: bytes, registry: str, said: list[str]) -> None:
    Path("export.csv").write_bytes(content)
    ended = keeling("import", "export.csv", "--registry", registry)
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert all(word in ended.err for word in said), ended.err


def test_a_file_that_is_not_there(keeling: Keeling) -> None:
    ended = keeling("import", "missing.csv", "--registry", "verra")
    assert (ended.code, "missing.csv" in ended.err) == (2, True)


def _row(first: int, last: int, quantity: int) -> str:
    serial = f"500-{first}-{last}-VCS-VCU-1491-VER-RW-3-9101-01102024-31122024-0"
    return f"2026-03-01,,2024-10-01,2024-12-31,9101,Example,Rwanda,Energy,VMR0006,100,{quantity},{serial},,,,,"


def test_refused_rows_are_told_and_strict_takes_nothing(keeling: Keeling) -> None:
    """Walk step 14, smaller: an end before its start, a quantity that disagrees, an overlap with an earlier file."""
    good = [_row(first, first + 9, 10) for first in range(100, 200, 10)]
    Path("early.csv").write_text("\n".join([HEADER, good[0].replace("500-", "499-")]) + "\n")
    bad = [_row(300, 290, 10), _row(310, 319, 11), _row(105, 105, 1)]
    Path("late.csv").write_text("\n".join([HEADER, *good[1:], *bad]) + "\n")
    with running_node(keeling):
        keeling.must("import", "early.csv", "--registry", "verra")
        before, height = holdings(keeling), keeling.json("status")["height"]
        strict = keeling("import", "late.csv", "--registry", "verra", "--strict")
        assert (strict.code, "nothing was taken" in strict.err) == (1, True)
        assert (holdings(keeling), keeling.json("status")["height"]) == (before, height)
        facts = keeling.json("import", "late.csv", "--registry", "verra", "--report", "fates.csv")
        assert (facts["rows_by_outcome"]["new"], facts["rows_by_outcome"]["refused"]) == (9, 3)
        assert {each["row"]: each["reason"] for each in facts["refused"]} == {
            10: "END_BEFORE_START",
            11: "QUANTITY_DISAGREES",
            12: "SERIALS_OVERLAP",
        }
        assert len(holdings(keeling)) == 10
        record = keeling.must("record", "show", "VCS").out
        Path("vcs.json").write_text(record.replace('"version": 1', '"version": 2'))
        keeling.must("record", "set", "vcs.json")
        assert len(keeling.json("record", "show", "VCS")["versions"]) == 2
    with Path("fates.csv").open(newline="") as file:
        fates = list(csv.DictReader(file))
    assert [fate["class"] for fate in fates] == ["lot"] * 9 + ["refused"] * 3
    assert sum(int(fate["units"]) for fate in fates) == sum(each["units"] for each in facts["totals"])
    again = keeling("import", "late.csv", "--registry", "verra", "--report", "fates.csv")
    assert again.code == 69
