"""Guarantee G6: the same entries give the same bytes on any machine, hash seed, time zone and store of values.

The story of the golden ledger is replayed in fresh processes that differ in everything that must not matter.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from keeling import ed25519
from keeling.entry import parse_entry
from keeling.genesis import parse_genesis
from node.core.block import Place, execute
from node.core.opening import open_ledger
from node.core.state import State
from tests.fakes.world import DictReader
from tests.node.core.golden import VECTOR, load_vector, replay

ROOT = Path(__file__).parents[3]
ELSEWHERE = [
    {"PYTHONHASHSEED": "1", "TZ": "Pacific/Kiritimati", "LC_ALL": "C"},
    {"PYTHONHASHSEED": "4242", "TZ": "America/New_York", "LC_ALL": "tr_TR.UTF-8"},
]


@pytest.mark.parametrize("surroundings", ELSEWHERE, ids=["west", "east"])
def test_replay_in_another_process_gives_the_same_headers(surroundings: dict[str, str]) -> None:
    program = "from tests.node.core.golden import load_vector, replay; print(replay(load_vector())[-1].hex())"
    environment = {**os.environ, **surroundings, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'proto'}"}
    done = subprocess.run(
        [sys.executable, "-O", "-c", program], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == load_vector()["blocks"][-1]["header"]


def test_golden_ledger_replays() -> None:
    """Yesterday's ledger, for ever: written by `python -m tests.node.core.golden`, which nobody runs lightly."""
    vector = load_vector()
    assert VECTOR.name == "ledger-v1.json"
    assert [leaf.hex() for leaf in replay(vector)] == [block["header"] for block in vector["blocks"]]


def test_what_is_cached_or_waiting_does_not_matter() -> None:
    """A state that settles late, one that forgets everything after each block: the same changes."""
    vector = load_vector()
    genesis = parse_genesis(bytes.fromhex(vector["genesis"]))
    patient, forgetful = DictReader(), DictReader()
    waiting = State(patient)
    tip, changes = open_ledger(waiting, genesis)
    forgetful.write(changes)
    for block in vector["blocks"]:
        entry = parse_entry(bytes.fromhex(block["entry"]), ed25519.check_signature)
        place = Place(0, block["position"])
        one = execute(waiting, tip, entry, place, ed25519.check_signature)
        other = execute(State(forgetful), tip, entry, place, ed25519.check_signature)
        assert one.changes == other.changes
        assert one.header == other.header
        forgetful.write(other.changes)
        tip = one.tip
    assert not patient.data, "nothing was ever stored for the first"
