"""Proposals, disagreements, claims and runs from the command line, on a real node with files of our own."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.cli.command_line import Keeling
from tests.cli.running_node import running_node

SAMPLES = Path(__file__).parents[1] / "adapters" / "samples"


@pytest.fixture
def proof(keeling: Keeling) -> Path:
    path = keeling.root / "letter.pdf"
    path.write_bytes(b"a letter of both registries")
    return path


def test_a_move_to_another_registry_is_decided_by_a_person(keeling: Keeling, proof: Path) -> None:
    files = sorted(SAMPLES.glob("gold-standard-*.csv"))
    with running_node(keeling):
        brought = keeling.json("import", *files, "--registry", "gold_standard", "--html", "page.html")
        assert brought["twins_proposed"]["rows"] == len(keeling.json("proposal", "list")["proposals"]) > 0
        assert Path("page.html").read_text().startswith("<!DOCTYPE html>")
        (first, *_) = keeling.json("proposal", "list")["proposals"]
        name = first["proposal"]
        assert keeling("proposal", "accept", name, "--evidence", proof).code == 2
        both = ("--evidence", proof, "--their-evidence", proof)
        keeling.must("proposal", "accept", name, *both, "--identifier", "N-1")
        shown = keeling.json("proposal", "show", name)
        assert (shown["status"], shown["decided"] is not None) == ("ACCEPTED", True)
        (lot, *_) = keeling.json("lot", "find", shown["serials"])["lots"]
        assert lot["lot"]["state"] == "CONVERTED"
        again = keeling("proposal", "decline", name, "--evidence", proof)
        assert (again.code, "NOTICE_NOT_FOUND" in again.err) == (3, True), again.err
        assert keeling("proposal", "show", "nothing@1").code == 3

        run = brought["run"]
        (listed,) = keeling.json("run", "list")["runs"]
        assert (listed["run"], listed["proposals"]) == (run, brought["twins_proposed"]["rows"])
        told = keeling.json("run", "show", run[:10], "--html", "again.html")
        assert told["report"]["run"] == run
        assert Path("again.html").read_bytes() == Path("page.html").read_bytes(), "the report of the day"
        assert keeling("run", "show", "ffff").code == 3


def test_a_serial_without_numbers_finds_all_lots_it_has(keeling: Keeling) -> None:
    """Cercarbono prints the numbers in columns of their own: the serial is looked up as it stands, or with a range."""
    with running_node(keeling):
        keeling.must("import", *sorted(SAMPLES.glob("cercarbono-*.csv")), "--registry", "cercarbono")
        batches = {batch["batch"]: batch for batch in keeling.json("batch", "list")["batches"]}
        for name, batch in batches.items():
            serial = name.removeprefix("cercarbono:")
            found = keeling.json("lot", "find", serial)
            assert (found["first_number"], found["last_number"]) == (batch["first_number"], batch["last_number"])
            assert sum(lot["lot"]["range"]["units"] for lot in found["lots"]) == batch["seen"]
            assert found["unknown"] == []
            one = keeling.json("lot", "find", f"{serial}#{batch['first_number']}-{batch['first_number']}")
            assert one["lots"][0]["lot"] == found["lots"][0]["lot"]
            ends = (int(batch[end]) - int(batch["base_number"]) for end in ("first_number", "last_number"))
            whole = f"{name}:{'-'.join(map(str, ends))}"
            by_position = keeling.json("lot", "find", "--positions", whole)
            assert by_position == {**found, "height": by_position["height"]}
        for unclear in ((), (serial, "--positions", whole), ("--positions", "here")):
            assert keeling("lot", "find", *unclear).code == 2
        assert keeling("lot", "find", "--positions", "nothing:1-2").code == 3
        beyond = int(batch["last_number"]) + 1
        asked = keeling.json("lot", "find", f"{serial}#{batch['last_number']}-{beyond}")
        assert asked["unknown"] == [{"first_number": str(beyond), "last_number": str(beyond)}]


def test_two_claims_are_shown_side_by_side(keeling: Keeling, proof: Path) -> None:
    with running_node(keeling):
        keeling.must("import", SAMPLES / "verra-transactions.csv", "--registry", "verra")
        for account in ("A", "B"):
            keeling.must("account", "open", account)
        link = ("--registry", "verra", "--control", "owner", "--registry-account")
        lots = keeling.json("lot", "list", "--account", "unassigned@verra", "--state", "FREE")["lots"]
        serials = lots[0]["serials"]
        Path("mine.txt").write_text(f"# what the statement shows\n{serials}\n", encoding="utf-8")
        unlinked = keeling("account", "claim", "A", "--file", "mine.txt", "--evidence", proof)
        assert (unlinked.code, "NO_LINK" in unlinked.err) == (1, True)
        keeling.must("account", "link", "A", *link, "1001")
        keeling.must("account", "link", "B", *link, "1002")
        assert keeling("account", "claim", "A", "--evidence", proof).code == 2
        keeling.must("account", "claim", "A", "--file", "mine.txt", "--evidence", proof)
        second = keeling.must("account", "claim", "B", "--serials", serials, "--evidence", proof, "--reference", "S-2")
        assert "disputed" in second.out
        (found,) = keeling.json("discrepancy", "list", "--open")["discrepancies"]
        assert (found["ledger"], found["claimed"], found["source"]) == ("FREE in A", "claimed for B", "S-2")
        told = keeling.must("discrepancy", "show", found["place"]).out
        assert "LINKED at" in told
        place = found["place"]
        assert f"keeling discrepancy close {place}" in told
        assert keeling("discrepancy", "close", place, "--reason", "statement").code == 2, "not without evidence"
        closed = keeling.must("discrepancy", "close", place, "--reason", "their statement", "--evidence", proof)
        assert f"discrepancy {place} is closed" in closed.out
        assert "their statement" in keeling.must("discrepancy", "list").out
        assert "UNRESTRICTED at" in keeling.must("discrepancy", "show", place).out
        assert keeling("discrepancy", "close", place, "--reason", "again", "--evidence", proof).code == 1
        assert keeling.json("discrepancy", "list", "--open")["discrepancies"] == []
        assert len(keeling.json("discrepancy", "list")["discrepancies"]) == 1
        assert keeling("discrepancy", "show", "999.0").code == 3
        assert [run["discrepancies"] for run in keeling.json("run", "list")["runs"]] == [0]
        _write_ended(Path("may.csv"), serials)
        brought = keeling.json("import", "may.csv", "--registry", "verra")
        assert brought["rows_by_outcome"]["contradicts"] == 1
        listed = keeling.json("run", "list")["runs"][-1]
        assert (listed["run"], listed["discrepancies"], listed["created"]) == (brought["run"], 1, 0)


def _write_ended(path: Path, serials: str) -> None:
    """The row of a block that was active, as a later export shows it: ended."""
    with (SAMPLES / "verra-transactions.csv").open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        (row,) = [row for row in reader if row["Serial Number"] == serials]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, reader.fieldnames or ())
        writer.writeheader()
        writer.writerow({**row, "Retirement/Cancellation Date": "2026-05-02"})
