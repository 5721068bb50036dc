"""What an operations head types on the first days, against a real node (acceptance walk 1)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.identifiers import format_id, make_uuid7
from tests.cli.command_line import Keeling
from tests.cli.running_node import RunningNode, holdings, running_node

EXPORTS = Path(__file__).parents[3] / "shared" / "data" / "registry-exports"
SAMPLE = Path(__file__).parents[1] / "adapters" / "samples" / "verra-transactions.csv"
PEOPLE = ("--participant", "acme:group=Acme", "--participant", "buyer:group=Buyer")


@pytest.fixture
def node(keeling: Keeling) -> Iterator[RunningNode]:
    with running_node(keeling, *PEOPLE) as running:
        yield running


def key_of(participant: str) -> str:
    return f"natreg-keys/{participant}.key"


def issue(keeling: Keeling, account: str, quantity: int, batch: str = "N1") -> None:
    """Native units, whose registry of record this ledger is."""
    keeling.must(
        *("issue", "--programme", "NATIONAL", "--activity", "P", "--host", "KEN", "--vintage", "2024"),
        *("--quantity", str(quantity), "--to", account, "--batch", batch),
    )


def test_a_registry_export_on_the_first_day(keeling: Keeling, node: RunningNode) -> None:
    """Steps 2 to 8, with the real export where it is."""
    export = EXPORTS / "verra" / "transactions.csv"
    if not export.exists():
        pytest.skip("the real export verra/transactions.csv is not beside the repository")
    status = keeling.json("status")
    assert (status["validators"], status["quorum"], status["height"]) == (1, 1, 0)
    second = subprocess.run(
        [sys.executable, "-m", "node", "natreg"], capture_output=True, text=True, cwd=keeling.root, check=False
    )
    assert second.returncode == 1
    assert f"locked by pid {node.process.pid}" in second.stdout + second.stderr
    dry = keeling.must("import", export, "--registry", "verra", "--dry-run")
    summary = (
        "100 rows: 50 active 1,730,799 · 50 retired-or-cancelled 66,011 · total 1,796,810 t · 63 batches, all AT_LEAST"
    )
    assert summary in dry.out
    assert keeling.json("status")["height"] == 0
    first = keeling.must("import", export, "--registry", "verra")
    assert summary in first.out
    assert "not tradable until claimed" in first.out
    before, height = holdings(keeling), keeling.json("status")["height"]
    again = keeling.json("import", export, "--registry", "verra")
    assert (again["rows_by_outcome"]["new"], again["rows_by_outcome"]["known"]) == (0, 100)
    assert (holdings(keeling), keeling.json("status")["height"]) == (before, height)
    batch = keeling.json("batch", "show", "verra:19298")
    assert (batch["lots"], batch["seen"], batch["unseen"], batch["extent"]) == (28, 346, 1099, "AT_LEAST")
    serial = "19309-936487628-936491271-VCS-VCU-1491-VER-RW-3-4150-01102024-31122024-1"
    (found,) = keeling.json("lot", "find", serial)["lots"]
    assert found["custody"][0]["effective"] == "2026-03-20"
    assert {mark["name"] for mark in found["marks"] if mark["kind"] == "LABEL"} == {
        "article6:imp",
        "article6:ndc",
        "article6:op",
        "corsia:first",
    }
    part = serial.replace("936487628-936491271", "936487700-936487800")
    assert keeling.json("lot", "find", part)["lots"][0]["lot"]["serials"] == serial


def test_trading_for_cash_and_ids_that_stay(keeling: Keeling, node: RunningNode) -> None:
    """Steps 19 to 22."""
    keeling.must("account", "open", "A")
    keeling.must("account", "open", "B", "--owner", "buyer", "--as", key_of("buyer"))
    issue(keeling, "A", 5000)
    overlap = keeling(
        "issue",
        "--programme",
        "NATIONAL",
        "--activity",
        "P",
        "--vintage",
        "2024",
        "--quantity",
        "9",
        *("--to", "A", "--batch", "N2", "--space", "N1", "--first", "100"),
    )
    assert (overlap.code, "SERIALS_OVERLAP: batch N1 of space N1 has 100..108" in overlap.err) == (1, True)
    moved = keeling.json("transfer", "500", "--from", "A", "--to", "B")
    assert (moved["strategy"], moved["events"][0]["moves"][0]["range"]["units"]) == ("WHOLE_LOTS_FIRST", 500)
    partly = keeling("transfer", "--from", "A", "--to", "B", "--positions", "N1:400-600")
    assert (partly.code, "UNITS_NOT_OWNED" in partly.err) == (1, True)
    keeling.must("cash", "issue", "B", "849,999.99", "INR@natreg")
    keeling.must(
        "transfer", "1,000", "--from", "A", "--to", "B", "--cash", "850,000.00", "INR@natreg", "--build", "t.tx"
    )
    keeling.must("tx", "sign", "t.tx", "--as", key_of("buyer"))
    said = "INSUFFICIENT_CASH: account B has 849999.99 INR@natreg, short by 0.01"
    for arguments in (("--dry-run",), ()):
        refused = keeling("tx", "submit", "t.tx", *arguments)
        assert (refused.code, said in refused.err) == (1, True)
    keeling.must("cash", "issue", "B", "0.01", "INR@natreg")
    assert said in keeling("tx", "submit", "t.tx").err
    available = keeling.json("available", "--account", "B")
    assert available["totals"]["T_CO2E"]["free"] == 500
    number = format_id(make_uuid7())
    first = keeling.json("transfer", "5", "--from", "A", "--to", "B", "--id", number)
    second = keeling.json("transfer", "5", "--from", "A", "--to", "B", "--id", number)
    assert (first["duplicate"], second["duplicate"], second["place"]) == (False, True, first["place"])
    other = keeling("transfer", "6", "--from", "A", "--to", "B", "--id", number)
    assert (other.code, "ID_USED_WITH_OTHER_CONTENT" in other.err) == (1, True)


def test_a_lost_answer_and_four_eyes(keeling: Keeling, node: RunningNode) -> None:
    """Steps 23 and 24."""
    keeling.must("account", "open", "A")
    issue(keeling, "A", 5000)
    for person in ("asha", "ravi"):
        keeling.must("key", "new", f"{person}.key", "--participant", "natreg", "--person", person)
        keeling.must("key", "add", f"{person}.key")
    keeling.must("account", "open", "T", "--approver", "asha.key", "--approver", "ravi.key", "--rule", "2:retire:1000")
    node.freeze()
    lost = keeling("transfer", "3,000", "--from", "A", "--to", "T", "--deadline", "1ms")
    node.thaw()
    assert (lost.code, "outcome unknown, ask: keeling tx get " in lost.err) == (75, True)
    (kept,) = keeling.json("tx", "list")["open"]
    if keeling("tx", "get", kept["id"]).code:
        keeling.must("tx", "submit", kept["file"])
    assert keeling.json("available", "--account", "T")["totals"]["T_CO2E"]["free"] == 3000
    keeling.must("retire", "2,000", "--from", "T", "--build", "r.tx")
    keeling.must("tx", "sign", "r.tx", "--as", "asha.key")
    one = keeling("tx", "submit", "r.tx")
    assert (one.code, "NEEDS_APPROVAL: 1 of 2 approvals" in one.err) == (1, True)
    again = keeling("tx", "sign", "r.tx", "--as", "asha.key")
    assert (again.code, "SAME_PERSON" in again.err) == (1, True)
    keeling.must("tx", "sign", "r.tx", "--as", "ravi.key")
    assert keeling.json("tx", "submit", "r.tx")["accepted"]
    assert keeling.json("available", "--account", "T")["totals"]["T_CO2E"]["ended"] == 2000


def test_units_of_an_outside_registry_are_held_not_retired(keeling: Keeling, node: RunningNode) -> None:
    """Steps 25 to 28."""
    keeling.must("import", SAMPLE, "--registry", "verra")
    keeling.must("account", "open", "A", "--owner", "acme", "--as", key_of("acme"))
    link = ("account", "link", "A", "--registry", "verra", "--registry-account", "77", "--control", "custody")
    claim = "29001-1139000001-1139001200-VCS-VCU-1491-VER-RW-3-9101-01102024-31122024-0"
    keeling.must(*link, "--hub", "natreg", "--claim", claim, "--evidence", SAMPLE, "--build", "l.tx")
    keeling.must("tx", "sign", "l.tx", "--as", key_of("acme"))
    keeling.must("tx", "submit", "l.tx")
    direct = keeling("retire", "100", "--from", "A", "--as", key_of("acme"))
    assert (direct.code, "NEEDS_REGISTRY_CONFIRMATION" in direct.err) == (1, True)
    assert "either hold" in direct.err
    place = ("hold", "place", "--account", "A", "--purpose", "retire", "--as", key_of("acme"))
    hold = keeling.json(*place, "1,000", "--expires", "48h")["hold"]
    second = keeling(*place, "--serials", claim)
    assert (second.code, "UNITS_HELD" in second.err) == (1, True)
    (line,) = keeling.json("available", "--account", "A")["lines"]
    assert (line["free"], line["held"], line["control"]) == (200, 1000, "CUSTODY")
    keeling.must("hold", "dispatch", hold, "--instruction", "ab" * 32)
    assert "instructed, outcome open since" in keeling.must("hold", "show", hold).out
    alone = keeling("release", hold, "--as", key_of("acme"))
    assert (alone.code, "HOLD_INSTRUCTED" in alone.err) == (1, True)
    capture = ("capture", hold, "--evidence", "cd" * 32, "--reference", "RET-1", "--grade", "B")
    # acme holds no attestor's key: the owner's word about the registry is never enough
    assert keeling(*capture, "--as", key_of("acme")).code in (1, 5)
    used = claim.replace("1139000001-1139001200", "1139001101-1139001200")
    keeling.must(*capture, "--serials", used)
    shown = keeling.json("hold", "show", hold)
    assert (shown["captured"], shown["still_held"], shown["phase"]) == (100, 900, "INSTRUCTED")
    rest = keeling.must("release", hold, "--reason", "registry: done", "--evidence", "ef" * 32, "--grade", "B")
    assert "verra was instructed at" in rest.err
    (line,) = keeling.json("available", "--account", "A")["lines"]
    assert (line["free"], line["held"], line["instructed"], line["ended"]) == (1100, 0, 0, 100)


def test_events_go_on_from_where_one_stopped_and_two_clocks_give_two_answers(
    keeling: Keeling, node: RunningNode
) -> None:
    """Steps 35 and 36: no gap and no repeat; what was effective on a date, and what was known at a height."""
    for name in ("A", "B", "C", "D"):
        keeling.must("account", "open", name)
    everything = keeling.json("events")["events"]
    places = [event["place"] for event in everything]
    assert len(set(places)) == len(places)
    for at in (0, len(places) // 2, len(places) - 1):
        rest = keeling.json("events", "--from", places[at])["events"]
        assert [event["place"] for event in rest] == places[at + 1 :]
    assert [event["subject"] for event in everything if event["kind"] == "ACCOUNT_OPENED"][-4:] == ["A", "B", "C", "D"]
    keeling.must("import", SAMPLE, "--registry", "verra")
    height = keeling.json("status")["height"]
    keeling.must("account", "open", "E")
    effective = keeling.json("available", "--as-of", "2026-03-01")
    known = keeling.json("available", "--at-height", str(height))
    assert effective["totals"]["T_CO2E"]["free"] == 500  # the others were issued in April
    assert known["totals"]["T_CO2E"] == {**known["totals"]["T_CO2E"], "free": 1700, "ended": 3800}
    assert effective["basis"] != known["basis"]
