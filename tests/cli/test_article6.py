"""Authorizations, Party ledgers and reports from the command line, against a real node; checks of files without one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.aef import convert_event
from cli.authorizing import parse_years
from cli.exits import Failed
from hub.aef.layout import ACTIONS, SUBMISSION
from hub.aef.read import parse_report
from hub.aef.write import format_json
from keeling.v1 import ledger_pb2 as pb
from tests.cli.command_line import Keeling
from tests.cli.running_node import RunningNode, running_node
from tests.hub.aef.samples import hand_written
from tests.hub.aef.test_check import put

PEOPLE = [
    *("--participant", "gha:authority=Ghana", "--participant", "che:authority=Switzerland"),
    *("--participant", "cocoa:group=Cocoa", "--participant", "alps:group=Alps"),
]
KEYS = {name: f"natreg-keys/{name}.key" for name in ("gha", "che", "cocoa", "alps")}
PARTY = {"ndc_first_year": 2021, "ndc_last_year": 2030, "method": "MULTI_YEAR"}


@pytest.fixture
def node(keeling: Keeling) -> Iterator[RunningNode]:
    with running_node(keeling, *PEOPLE) as running:
        yield running


def set_record(keeling: Keeling, name: str, **body: object) -> None:
    path = keeling.root / "record.json"
    path.write_text(json.dumps({"id": name, "version": 1, "source": "a test", **body}))
    keeling.must("record", "set", path)


def prepare(keeling: Keeling) -> None:
    """Two Parties, one approach, 1,000 units of 2024 in Ghana."""
    for code, participant, company in (("GHA", "gha", "cocoa"), ("CHE", "che", "alps")):
        body = {"party": code, "itmo_registry": f"{code}01", "authorities": [participant], "participants": [company]}
        set_record(keeling, f"party:{code}", party=body | PARTY)
    reports = [{"party": code, "digest": "A" * 43 + "="} for code in ("GHA", "CHE")]
    approach = {"approach": "CA0004", "parties": ["GHA", "CHE"], "state": "ACTIVE", "initial_reports": reports}
    set_record(keeling, "approach:CA0004", approach=approach)
    for account, owner in (("gh", "cocoa"), ("ch", "alps")):
        keeling.must("account", "open", account, "--owner", owner, "--as", KEYS[owner])
    keeling.must(
        *("issue", "--programme", "NATIONAL", "--activity", "P", "--host", "GHA", "--vintage", "2024"),
        *("--quantity", "1000", "--to", "gh", "--batch", "N1"),
    )
    (keeling.root / "letter.txt").write_text("a letter of authorization")


def test_from_an_authorization_to_a_report_that_is_read_again(keeling: Keeling, node: RunningNode) -> None:
    """Acceptance steps 31 to 33, and an export that comes back."""
    prepare(keeling)
    letter = ("--date", "2026-03-05", "--document", "letter.txt")
    refused = keeling(
        *("authorize", "create", "GHA-CHE-1", "--party", "GHA", "--approach", "CA0004", *letter, "--purpose", "ndc"),
        *("--batch", "N1", "--sector", "Cookstoves", "--as", KEYS["gha"]),
    )
    assert refused.code == 1
    assert "AEF_INCONSISTENT: sector: 'Cookstoves' is not in the nomenclature (one of: Agriculture; " in refused.err
    assert "mitigation type: none is named (one of: Emission reductions; Removals; " in refused.err
    created = keeling.must(
        *("authorize", "create", "GHA-CHE-1", "--party", "GHA", "--approach", "CA0004", *letter),
        *("--purpose", "ndc", "--batch", "N1", "--for-party", "CHE", "--timeframe", "2021-2030", "--cap", "1,000"),
        *("--sector", "Waste management", "--mitigation-type", "Emission reductions", "--as", KEYS["gha"]),
    )
    assert "units under it: 1,000" in created.out
    sent = keeling.must(
        *("transfer", "400", "--from", "gh", "--to", "ch", "--as", KEYS["cocoa"], "--effective", "2026-04-01")
    )
    assert re.search(r"GHA-2024-FT-\d+\.\d+ +GHA +2024 +\+400 +first transferred +GHA-CHE-1", sent.out)
    used = keeling.must("use", "150", "--from", "ch", "--for", "ndc", "--year", "2026", "--as", KEYS["alps"])
    assert re.search(r"CHE-2026-USE-\d+\.\d+ +CHE +2026 +-150 +used +GHA-CHE-1", used.out)
    shown = keeling.json("authorize", "show", "GHA-CHE-1")
    assert (shown["status"], shown["covered"], shown["transferred"]) == ("EXHAUSTED", 1000, 400)
    assert "GHA-CHE-1" in keeling.must("authorize", "list").out

    again = ("authorize", "amend", "GHA-CHE-1", *letter, "--as", KEYS["gha"])
    assert "activity type: 'Cookstoves' is not in the" in keeling(*again, "--activity", "Cookstoves").err
    keeling.must(*again, "--cap", "2,000")
    assert keeling.json("authorize", "show", "GHA-CHE-1")["terms"][1]["last_year"] == 2030
    revoked = keeling.must("authorize", "revoke", "GHA-CHE-1", "--reason", "law", *letter, "--as", KEYS["gha"])
    assert "spared, first transferred: 400" in revoked.out
    assert "restricted: 600" in revoked.out
    told = keeling.must("authorize", "show", "GHA-CHE-1").out
    assert "600 are restricted" in told
    assert "first international transfer" in told

    (keeling.root / "inventory.csv").write_text("year,emissions\n2024,1000\n2026,500.5\n")
    ghana = keeling.json("adjust", "balance", "GHA", "--year", "2024", "--inventory", "inventory.csv")
    assert [(r["first_transferred"], r["balance"], r["why"]) for r in ghana["rows"]] == [(400, "1400", "")]
    assert "INDETERMINATE" in keeling.must("adjust", "balance", "GHA", "--year", "2024").out
    details = keeling.json("adjust", "balance", "CHE", "--year", "2026", "--inventory", "inventory.csv", "--details")
    assert [(r["used"], r["balance"]) for r in details["rows"]] == [(150, "350.5")]
    assert [item["life"][0]["state"] for item in details["adjustments"]] == ["TRIGGERED"]

    check_exports(keeling)


def check_exports(keeling: Keeling) -> None:
    """What Switzerland got and used, as a report: the same bytes every time, and as it was submitted."""
    for layout in ("json", "csv", "xlsx"):
        wanted = ("aef", "export", "--party", "CHE", "--year", "2026", "--format", layout, "--output")
        for name in ("first", "second"):
            keeling.must(*wanted, name)
        assert (keeling.root / "first").read_bytes() == (keeling.root / "second").read_bytes()
        made = keeling.json("aef", "check", "first")
        assert (made["findings"], made["rows"]["table3"], made["rows"]["table4"]) == ([], 2, 1)
    report = parse_report((keeling.root / "first").read_bytes())
    assert [row[ACTIONS.at("ActionType")] for row in report.actions] == ["Acquisition", "Use"]

    step = ("--year", "2026", "--version", "1.0", "--date", "2027-04-10", "--document", "first")
    keeling.must("adjust", "report", "CHE", *step, "--step", "reported", "--as", KEYS["che"])
    keeling.must("transfer", "50", "--from", "ch", "--to", "gh", "--as", KEYS["alps"], "--effective", "2026-12-01")
    keeling.must("aef", "export", "--party", "CHE", "--year", "2026", "--format", "json", "-o", "next.json")
    keeling.must(
        *("aef", "export", "--party", "CHE", "--year", "2026", "--format", "json", "--version", "1.0", "-o", "old.json")
    )
    latest, old = (parse_report((keeling.root / name).read_bytes()) for name in ("next.json", "old.json"))
    assert (latest.submission[SUBMISSION.at("SubmissionVersion")], len(latest.actions)) == ("1.1", 3)
    assert (old.submission[SUBMISSION.at("DateOfSubmission")], old.actions) == ("10/04/2027", report.actions)

    keeling.must("aef", "export", "--party", "GHA", "--year", "2026", "--format", "csv", "-o", "gha.csv")
    taken = keeling.must("aef", "import", "next.json", "--against", "gha.csv")
    assert "CHE/2026/1.1: consistent" in taken.out
    absent = keeling("aef", "export", "--party", "KEN", "--year", "2026", "-o", "x")
    assert absent.code == 3


def test_a_report_with_something_wrong_is_refused_with_table_row_and_rule(keeling: Keeling) -> None:
    """Acceptance walk 2, step 27: a value in a cell of the platform's; an acquiring Party on a Use."""
    good, bad = keeling.root / "good.json", keeling.root / "bad.json"
    good.write_bytes(format_json(hand_written()))
    assert "consistent" in keeling.must("aef", "check", good).out
    for change, said in (
        (put(ACTIONS, 2, "AcquiringPartyID", "SWE"), ("3", "2", "not-applicable")),
        (put(ACTIONS, 1, "ResultOfConsistencyChecks", "ok"), ("3", "1", "filled-by-CARP")),
    ):
        bad.write_bytes(format_json(change(hand_written())))
        ended = keeling("aef", "check", bad, "--json")
        (finding,) = ended.facts["findings"]
        assert ended.code == 1
        assert (str(finding["table"]), str(finding["row"]), finding["rule"]) == said
        told = keeling("aef", "check", bad)
        assert all(word in told.out for word in said)
    assert keeling("aef", "check", Path(__file__)).code == 2


@pytest.mark.parametrize(
    ("text", "years"), [("2025", (2025, 2025)), ("2021-2025", (2021, 2025)), ("2021 - 2025", (2021, 2025))]
)
def test_years_are_read(text: str, years: tuple[int, int]) -> None:
    assert parse_years(text) == years


@pytest.mark.parametrize("text", ["", "25", "2025-2021", "2021-", "2021-2025-2030", "٢٠٢٥"])
def test_what_is_no_year_is_refused(text: str) -> None:
    with pytest.raises(Failed):
        parse_years(text)


def test_events_from_a_node_are_read_by_name() -> None:
    message = pb.Event(kind="ITMO_ACTION", subject="GHA-1", time_ms=7)
    message.place.height, message.place.ordinal = 12, 3
    message.facts.add(name="units", value="5")
    item = convert_event(message)
    assert (item.place, item.time_ms, item.event.fact("units")) == ((12, 3), 7, "5")
