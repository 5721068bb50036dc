"""The report of an export: sums that add up, what to fix first, and one page that stands alone."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.reports.html import format_html
from hub.reports.model import BatchState, Disagreement, Row
from hub.reports.summary import LISTED_MAX, Summary, digest_report, format_csv, format_json


def row(number: int, **fields: Any) -> Row:
    body = {"outcome": "new", "status": "active", "units": 100, "grain": "T_CO2E", "effective": "2026-03-20", **fields}
    return Row("a.csv", number, str(body.pop("row_class", "lot")), **body)


class Given(NamedTuple):
    """What a report is made from."""

    files: tuple[str, ...]
    rows: Sequence[Row]
    batches: Sequence[BatchState]
    disagreements: Sequence[Disagreement]
    emails_removed: Mapping[str, int]
    notes: Sequence[str]


def summarise(given_: Given) -> dict[str, Any]:
    summary = Summary("verra", "run-1", given_.files, given_.notes)
    for each in given_.rows:
        summary.add_row(each)
    for batch in given_.batches:
        summary.add_batch(batch)
    for disagreement in given_.disagreements:
        summary.add_disagreement(disagreement)
    return summary.finish(given_.emails_removed)


def report(*rows: Row, **fields: Any) -> Given:
    body = {"batches": (), "disagreements": (), "emails_removed": {}, "notes": (), **fields}
    files = tuple(dict.fromkeys(each.file for each in rows)) or ("a.csv",)
    return Given(files, rows=rows, **body)


ENDED = {"status": "retired"}
TWO_SIDES = Disagreement("7.1", "verra:7", "7-1-10-VCS", 0, 10, "T_CO2E", "FREE in A", "RETIRED", "run-2", True)
TROUBLES = [
    ("nothing", report(row(1)), []),
    ("refused", report(row(1, row_class="refused", reason="OVERLAP", detail="d", status="")), ["refused:OVERLAP"]),
    ("contradiction", report(row(1), disagreements=(TWO_SIDES,)), ["contradiction"]),
    ("moved", report(row(1, moved_to="arb", status="converted")), ["moved:arb"]),
    ("undated", report(row(1, **ENDED, effective="")), ["undated"]),
    ("unseen", report(row(1), batches=(BatchState("verra:7", False, 5, "T_CO2E"),)), ["unseen"]),
    ("planned reductions", report(row(1, ex_ante=True)), ["ex-ante"]),
    ("planned, retired", report(row(1, ex_ante=True, **ENDED)), []),
    ("no serials", report(row(1, row_class="evidence", status="issuance")), ["no-serials"]),
    ("retired or cancelled", report(row(1, status="ended")), ["unclear-end"]),
    ("twice", report(row(1, row_class="duplicate")), ["duplicate"]),
    ("for nobody", report(row(1, **ENDED), row(2, **ENDED, beneficiary_named=False)), ["no-beneficiary"]),
    ("a registry that never says for whom", report(row(1, **ENDED, beneficiary_named=False)), []),
    ("several years", report(row(1, vintage_years=3)), ["long-vintage"]),
    ("buffer", report(row(1, buffer_units=7)), ["buffer"]),
    ("addresses", report(row(1), emails_removed={"a.csv": 2, "b.csv": 0}), ["personal-data"]),
]


@pytest.mark.parametrize(("given_", "kinds"), [pytest.param(*each[1:], id=each[0]) for each in TROUBLES])
def test_each_kind_of_trouble_is_found(given_: Given, kinds: list[str]) -> None:
    assert [found["kind"] for found in summarise(given_)["findings"]] == kinds


def test_troubles_are_ranked_by_units_and_how_bad_they_are() -> None:
    facts = summarise(
        report(
            row(1, row_class="refused", reason="OVERLAP", detail="d", units=10),
            row(2, status="ended", units=30),
            row(3, units=9_000, grain="KG_CO2E", row_class="duplicate"),
            emails_removed={"a.csv": 4},
        )
    )
    found = [each["kind"] for each in facts["findings"]]
    assert found == ["unclear-end", "refused:OVERLAP", "duplicate", "personal-data"]


def test_rows_are_named_by_file_and_counted_where_they_are_many() -> None:
    (found,) = summarise(report(*(row(n, status="ended") for n in range(1, 12))))["findings"]
    assert found["shown"] == ["a.csv rows 1, 2, 3, 4, 5, 6, 7, 8 and 3 more"]


def test_what_a_report_lists_is_bounded_and_its_sums_are_not() -> None:
    many = 3 * LISTED_MAX
    rows = [row(n, row_class="refused", reason="OVERLAP", detail="d", moved_to="arb") for n in range(many)]
    holes = tuple(BatchState(f"verra:{n}", False, n, "T_CO2E") for n in range(1, many))
    clashes = tuple(TWO_SIDES._replace(first=10 * n) for n in range(many))
    facts = summarise(report(*rows, batches=holes, disagreements=clashes))
    assert [len(facts[name]) for name in ("refused", "moved", "unseen", "disagreements")] == [LISTED_MAX] * 4
    assert (facts["rows"], facts["unseen_batches"], facts["disagreements_all"]) == (many, many - 1, many)
    assert facts["unseen_units"] == {"T_CO2E": sum(range(many))}
    assert [each["units"] for each in facts["unseen"]] == list(range(many - 1, many - 1 - LISTED_MAX, -1))
    by_kind = {each["kind"]: each for each in facts["findings"]}
    assert by_kind["contradiction"]["units"] == {"T_CO2E": 10 * many}
    assert by_kind["unseen"]["shown"][0] == f"verra:{many - 1} ({many - 1:,})"


def test_units_that_several_disagreements_are_about_count_once() -> None:
    again = TWO_SIDES._replace(name="9.1", ledger="RETIRED in A", claimed="FREE", restricted=False)
    wider = TWO_SIDES._replace(name="9.2", first=5, units=10)
    elsewhere = TWO_SIDES._replace(name="9.3", batch="verra:8")
    facts = summarise(report(row(1), disagreements=(TWO_SIDES, again, wider, elsewhere)))
    (found,) = [each for each in facts["findings"] if each["kind"] == "contradiction"]
    assert (found["units"], facts["disagreements_all"]) == ({"T_CO2E": 25}, 4)
    assert facts["restricted_units"] == {"T_CO2E": 25}


ENDED_HERE = TWO_SIDES._replace(name="9.9", first=100, restricted=False)


@pytest.mark.parametrize(
    ("sides", "said"),
    [
        ((TWO_SIDES,), "They are restricted until one side is proved: keeling discrepancy list --open"),
        ((TWO_SIDES, ENDED_HERE), "Some of them are restricted until one side is proved: "),
        ((ENDED_HERE,), "Nothing was changed; find out which side is right: keeling discrepancy list --open"),
    ],
)
def test_what_is_said_of_disagreements_is_what_was_done(sides: tuple[Disagreement, ...], said: str) -> None:
    (found,) = summarise(report(row(1), disagreements=sides))["findings"]
    assert found["action"].startswith(said)


def test_a_page_names_a_run_by_as_much_of_its_id_as_its_files_do() -> None:
    run = "2026-05-31-3d34464b1bc40202c9543d56d72ac4d7"
    page = format_html(summarise(report(row(1), disagreements=(TWO_SIDES._replace(source=run),))))
    assert '<td class="l">2026-05-31-3d34464b1bc4</td>' in page


ROWS = st.builds(
    row,
    st.integers(1, 99),
    row_class=st.sampled_from(["lot", "evidence", "duplicate", "refused"]),
    status=st.sampled_from(["active", "retired", ""]),
    units=st.none() | st.integers(0, 10**12),
    grain=st.sampled_from(["T_CO2E", "KG_CO2E"]),
    reason=st.just("BAD_DATE"),
    buffer_units=st.integers(0, 5),
)


@given(st.lists(ROWS, max_size=30))
def test_every_row_is_in_exactly_one_sum(rows: list[Row]) -> None:
    facts = summarise(report(*rows))
    assert sum(each["rows"] for each in facts["totals"]) == len(rows)
    for grain in facts["grains"]:
        of_grain = [each for each in facts["totals"] if each["grain"] == grain["grain"]]
        assert sum(each["units"] for each in of_grain) == grain["units"]
        assert grain["units"] == sum(each.units or 0 for each in rows if each.grain == grain["grain"])
    printed = list(csv.DictReader(io.StringIO(format_csv(facts).decode())))
    assert sum(int(line["rows"]) for line in printed if not line["file"]) == len(rows)
    assert json.loads(format_json(facts)) == facts


def test_the_same_input_is_the_same_report() -> None:
    given_ = report(row(1), row(2, **ENDED))
    assert digest_report(summarise(given_)) == digest_report(summarise(given_))
    assert digest_report(summarise(given_)) != digest_report(summarise(report(row(1))))


class Outside(HTMLParser):
    """Everything a page would fetch, and whether its elements are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [tag] if tag in ("script", "link", "img", "iframe", "object") else []
        self.fetched += [name for name, _ in attrs if name in ("src", "href", "onclick")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


FULL = report(
    row(1),
    row(2, **ENDED, effective=""),
    row(3, row_class="refused", reason="OVERLAP", detail="<b>&", units=None),
    row(4, moved_to="<script>alert(1)</script>", status="converted", serials="7-1-10"),
    batches=(BatchState("verra:7", True, 0, "T_CO2E"), BatchState("verra:8", False, 50, "T_CO2E")),
    disagreements=(TWO_SIDES,),
    emails_removed={"a.csv": 2},
    notes=("a.csv: read as Windows-1252",),
)


def test_page_stands_alone_and_escapes_what_files_say() -> None:
    page = format_html(summarise(FULL))
    parser = Outside()
    parser.feed(page)
    assert not parser.fetched
    assert not parser.open
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "url(" not in page
    assert "@import" not in page
    for said in ("Where two sides disagree", "FREE in A", "Unseen units", "2 e-mail addresses removed", "@media print"):
        assert said in page


def test_page_without_troubles_says_so() -> None:
    assert "Nothing to fix" in format_html(summarise(report(row(1))))


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no browser to look with")
def test_page_can_be_printed_and_fits_a_narrow_window(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(format_html(summarise(FULL)), encoding="utf-8")
    paper = tmp_path / "page.pdf"
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run(
        [*command, f"--print-to-pdf={paper}", page.as_uri()], capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0
    assert paper.read_bytes().startswith(b"%PDF-")
