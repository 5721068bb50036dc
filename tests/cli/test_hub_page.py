"""docs/hub.md typed from top to bottom on real processes: what each command prints is what the page promises."""

from __future__ import annotations

import csv
import json

from keeling.certificate_page import read_page
from tests.cli.command_line import Ended
from tests.cli.hub_stage import HubStage, read_blocks

PURO, VERRA = "019a0000-0000-7000-8000-0000000000a1", "019a0000-0000-7000-8000-0000000000a2"


def test_the_page_is_typed_as_it_stands(stage: HubStage) -> None:
    *before, sale, next_day = read_blocks()
    for block in before:
        stage.type(block)
    place, *ask = sale.partition("keeling hub backlog")
    stage.type(place)
    stage.wait_for_phase(PURO, "CAPTURED")
    stage.wait_for_phase(VERRA, "INSTRUCTED")
    stage.type("".join(ask))
    said = stage.said
    warned = {line.partition("--account acme/")[2].partition(" ")[0]: ended.out for line, ended in said.items()}
    assert "until verra confirms, the seller could still move it there" in warned["verra"]
    assert "could still move" not in warned["puro"]
    assert VERRA in said["keeling hub backlog"].out
    waiting = said[f"keeling hub certificate {VERRA}"].out
    assert "no certificate: instructed, expected by 20" in waiting
    assert "until verra confirms, the seller could still move it there" in waiting
    assert stage.keeling("hub", "certificate", VERRA, "--folder", "certificates").code == 3
    check_in_flight(said["keeling hub reconcile verra"])
    check_nobody_else_gets_them(stage)
    move, *after = next_day.partition("keeling hub certificate")
    stage.type(move)
    stage.wait_for_phase(VERRA, "CAPTURED")
    stage.type("".join(after))
    check_certificate(stage)
    effects = {**stage.admin("puro", "book")["effects"], **stage.admin("verra", "book")["effects"]}
    assert effects == {PURO.replace("-", ""): 100, VERRA.replace("-", ""): 10_000}
    check_maintenance(stage)
    check_believing(stage)
    assert stage.hub is not None
    assert stage.hub.stop() == 0


def check_in_flight(ended: Ended) -> None:
    """The registry says active, the ledger instructed; side by side, and no break."""
    assert ended.code == 0
    (line,) = [line for line in ended.out.splitlines() if line.startswith("in flight") and "1340000000" in line]
    assert "active acme/verra" in line
    assert "INSTRUCTED acme/verra" in line
    assert "sandbox: not a real registry" in ended.out


def check_nobody_else_gets_them(stage: HubStage) -> None:
    available = stage.keeling.json("available", "--account", "acme/verra")["lines"][0]
    assert (available["free"], available["instructed"], available["control"]) == (990_000, 10_000, "OWNER")
    serials = "19385-1340000000-1340000099-VCS-VCU-1507-VER-ET-14-1340-01012020-31122020-1"
    second = stage.keeling(
        *("hold", "place", "--account", "acme/verra", "--serials", serials, "--as", "natreg-keys/acme.key")
    )
    assert second.code == 1
    assert "UNITS_INSTRUCTED" in second.err
    assert f"by hold {VERRA.replace('-', '')}" in second.err


def check_certificate(stage: HubStage) -> None:
    audit = f"keeling audit certificate certificates/{VERRA}.html --genesis natreg/genesis"
    assert "holds, and is standing" in stage.said[audit].out
    assert "sandbox: not a real registry" in stage.said[audit].out
    folder = stage.keeling.root / "certificates"
    page = read_page((folder / f"{VERRA}.html").read_bytes())
    assert page == read_page((folder / f"{VERRA}.json").read_bytes())
    assert (page.units, page.grade, page.driver) == (10_000, "B", "sandbox")
    assert page.reference
    done = stage.said["keeling hub reconcile verra --csv differences.csv"]
    assert (done.code, "in flight" in done.out) == (0, False)
    with (stage.keeling.root / "differences.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == []


def check_believing(stage: HubStage) -> None:
    """A list that is empty all of a sudden is an alarm, unless a person has seen that it is right."""
    for registry in ("puro", "verra"):
        stage.admin(registry, "faults", [{"kind": "shrunk", "times": 1_000}])
        alarm = stage.keeling("hub", "reconcile", registry, "--json")
        assert alarm.code == 4
        assert "shrank" in json.loads(alarm.out)["alarm"]
        assert json.loads(alarm.out)["differences"] == []
    believed = stage.keeling("hub", "reconcile", "puro", "--believe-shrunk")
    assert believed.code == 4
    assert "warning: believed because you said so" in believed.err
    assert "missing there" in believed.out


def check_maintenance(stage: HubStage) -> None:
    """Announced, it is visible and stops nothing; begun, it stops this link and no other."""
    place = ("hold", "place", "1", "--as", "natreg-keys/acme.key", "--account")
    ahead = ("--from", "2099-01-15T02:00Z", "--until", "2099-01-15T06:00Z")
    stage.keeling.must("hub", "maintenance", "acme/verra", *ahead, "--reason", "yearly works")
    shown = stage.keeling.must("account", "show", "acme/verra").out
    assert "MAINTENANCE from 2099-01-15T02:00:00Z until 2099-01-15T06:00:00Z: yearly works" in shown
    stage.keeling.must(*place, "acme/verra")
    begun = ("--from", "2026-01-01T00:00Z", "--until", "2099-01-01T00:00Z")
    stage.keeling.must("hub", "maintenance", "acme/puro", *begun, "--reason", "works")
    refused = stage.keeling(*place, "acme/puro")
    assert refused.code == 1
    assert "LINK_SUSPENDED: the link of acme/puro to puro is stopped until 2099-01-01T00:00:00.000Z" in refused.err
    backwards = stage.keeling("hub", "maintenance", "acme/puro", "--from", "2099-01-01", "--until", "2098-01-01")
    assert backwards.code == 2
