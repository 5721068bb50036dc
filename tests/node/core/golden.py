"""A small ledger as test data that other implementations can read: tests/vectors/ledger-v1.json.

It holds the genesis file and every entry in hex, and for each block its leaves, results, events and the log's root
after it. `python -m tests.node.core.golden` writes it again: only for a new rules or format version, and then under a
new name.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from keeling import ed25519
from keeling.entry import Entry, format_entry, parse_entry
from keeling.genesis import parse_genesis
from keeling.v1 import operations_pb2 as op
from node.core.block import Block, Place, execute
from node.core.opening import open_ledger
from node.core.state import State
from tests.fakes.world import DictReader, World
from tests.node.core.sample import (
    DAY_MS,
    HOLD,
    MANDATE,
    PARTICIPANTS,
    cash,
    evidence,
    give,
    hold,
    issue,
    leg,
    programme,
    ranges,
    records,
    seen,
    some,
    when,
)

VECTOR = Path(__file__).parents[2] / "vectors" / "ledger-v1.json"


def load_vector() -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(VECTOR.read_text(encoding="utf-8"))
    return kept


def replay(vector: dict[str, Any]) -> list[bytes]:
    """Execute the recorded entries from the genesis file on; returns the header leaves. Checks every recorded value."""
    genesis = parse_genesis(bytes.fromhex(vector["genesis"]))
    reader = DictReader()
    state = State(reader)
    tip, changes = open_ledger(state, genesis)
    reader.write(changes)
    leaves = []
    for recorded in vector["blocks"]:
        entry = parse_entry(bytes.fromhex(recorded["entry"]), ed25519.check_signature)
        block = execute(state, tip, entry, Place(0, recorded["position"]), ed25519.check_signature)
        shown = describe(block, recorded["entry"], recorded["position"])
        differing = {name: (shown[name], recorded[name]) for name in shown if shown[name] != recorded[name]}
        if differing:
            raise AssertionError(f"block {block.header.height} differs in (got, recorded): {differing}")
        tip = block.tip
        reader.write(block.changes)
        state.settle(block.header.height)
        leaves.append(block.header_leaf)
    return leaves


def describe(block: Block, entry: str, position: int) -> dict[str, Any]:
    """What the vector records of a block."""
    return {
        "entry": entry,
        "position": position,
        "records": [done.leaf.hex() for done in block.submissions],
        "results": [
            {
                "transaction": answer.digest.hex(),
                "reason": int(answer.refusal.reason) if answer.refusal else 0,
                "events": [event.hex() for event in answer.events],
            }
            for done in block.submissions
            for answer in done.answers
        ],
        "sweeps": [event.hex() for event in block.sweeps],
        "header": block.header_leaf.hex(),
        "size": block.growth.frontier.size,
        "root": block.growth.frontier.root().hex(),
    }


class Recorder(World):
    """A world that keeps each entry's bytes."""

    def __init__(self) -> None:
        self.entries: list[str] = []
        super().__init__(PARTICIPANTS, records())

    def block(self, *submissions: bytes) -> Block:
        entry = Entry(self.genesis.network, self.node.key, self.number + 1, self.now_ms, submissions)
        self.entries.append(format_entry(entry, self.node.sign).hex())
        return super().block(*submissions)


def _tell(world: Recorder) -> None:
    """A day in a small ledger: every table of state is written to at least once."""
    for account, owner in (("A", "alice"), ("B", "bob"), ("SOP", "reg"), ("OMGE", "reg"), ("L1", "alice")):
        world.must(owner, op.OpenAccount(account=account, owner=owner))
    link = op.Link(account="L1", registry="verra", registry_account="ACC-1", hub="hub", control=op.Link.CUSTODY)
    world.must("alice", link)
    for name, by in (("A64", "reg"), ("NAT", "reg"), ("VCS", "verra")):
        world.must(by, op.RegisterProject(project=f"project-{name}", programme=name, name="P", host="MMR"))
    world.must("reg", issue("a64", "A64", 7_125, "A", vintage_start=op.When(ms=0, precision=op.When.DATE)))
    world.must("reg", issue("nat", "NAT", 1_000, "A", first=10**30))
    world.must("verra", issue("vcs", "VCS", 10_000, "L1"))
    glimpse = [seen(1, 100, labels=["CCP"]), seen(901, 100, op.Observation.ENDED, effective=when(1_700_000_000_000))]
    world.must("importer", issue("partly", "VCS", 1_000, "", extent=op.Issue.AT_LEAST, observations=glimpse))
    world.must("bank", op.IssueCash(account="B", currency="INR@bank", amount=85_000_000, scale=2))
    trade = op.Transfer(units=[leg("A", "B", some(1_000, batch="nat"))], cash=[cash("B", "A", 85_000_000)])
    world.must("alice", trade, approvals=["bob"])
    many = [world.transaction("alice", give("A", "B", units, batch="a64")) for units in (500, 10_000, 0, 5)]
    world.block(world.submission("alice", *many), b"no submission", world.submission("alice", many[0]))
    world.must("alice", MANDATE)
    world.must("alice", hold("L1", some(0, ("vcs", 1, 6_000)), buyer="bob", beneficiary=b"\x01" * 32))
    world.must("bob", hold("B", some(10, batch="nat"), hold=b"this one expires", expires_ms=world.now_ms + 1_000))
    world.must("hub", op.Dispatch(hold=HOLD, attempt=1, instruction=b"\x02" * 32))
    world.later(DAY_MS)
    world.must("verra", op.Capture(hold=HOLD, ranges=ranges(("vcs", 9_000, 1_001)), evidence=evidence("B", "R-1")))
    at = len(world.blocks[-1].events) - 1
    world.must("verra", op.Reverse(height=world.tip.height, ordinal=at, reason="error", evidence=evidence("B", "R-2")))
    world.must("bob", op.Retire(account="B", selection=some(7, batch="nat"), effective=when()))
    world.must("verra", op.Restrict(restriction="court", ranges=ranges(("vcs", 7_000, 10)), reason="order 12"))
    world.must("authority", op.Notice(notice="n", kind="recall", ranges=ranges(("vcs", 7_000, 10)), due=when()))
    status = op.Observation.RETIRED
    told = op.Attest(registry="verra", attestation="e", range=ranges(("vcs", 7_100, 5))[0], status=status)
    told.evidence.CopyFrom(evidence())
    world.must("verra", told)
    world.must("hub", op.LinkState(account="L1", state=op.LinkState.MAINTENANCE, from_ms=1, until_ms=2, reason="r"))
    world.must("alice", op.Anchor(kind="evidence", name="root", digest=b"\x03" * 32))
    world.must("reg", programme("LATER", retirable=False))
    world.run("mallory", give("A", "B", 1))
    world.later(40 * DAY_MS)
    world.block()


def make_vector() -> dict[str, Any]:
    world = Recorder()
    _tell(world)
    blocks = [describe(block, world.entries[i], i + 1) for i, block in enumerate(world.blocks)]
    return {
        "about": "genesis file and entries in hex; per block its leaves, results, events and the log's root after it",
        "genesis": world.raw_genesis.hex(),
        "blocks": blocks,
    }


if __name__ == "__main__":
    VECTOR.write_text(json.dumps(make_vector(), indent=1) + "\n", encoding="utf-8")
