"""A `RecordedWorld` with indexes: three traders with units of this ledger, one with units of an outside registry.

Batch `nat-1` (1,000 units, numbers from 1) is alice's at first; `out-1` is known in part: 60 of 100 Verra numbers, of
which 20 are retired and 30 claimed by alice's linked account.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache

from keeling.v1 import operations_pb2 as op
from node.core.block import Block
from node.indexes import put_indexes
from node.store.contract import Batch
from tests.fakes.recorded_world import RecordedWorld

DAY_MS = 86_400_000
TRADERS = ("alice", "bob", "carol")
SERIAL = "9-1001-1100-VCS-VCU-1491-VER-RW-3-4150-01102024-31122024-1"
OUT_SPACE = "verra"
DIGEST = bytes(range(32))

RECORDS = [
    op.SetRecord(
        id="native",
        version=1,
        source="test rules",
        programme=op.Programme(
            registry="reg",
            native=True,
            grain="T_CO2E",
            scheme="opaque",
            transfer_rule=op.Programme.FREE,
            retirable=True,
        ),
    ),
    op.SetRecord(
        id="registry:verra",
        version=1,
        source="test policy",
        registry=op.RegistryPolicy(
            scheme="verra",
            attestors=["hub"],
            importers=["hub"],
            capture_grade="C",
            attestors_needed=1,
            settling_ms=1_000,
        ),
    ),
    op.SetRecord(
        id="vcs",
        version=1,
        source="test rules",
        programme=op.Programme(
            registry="verra", grain="T_CO2E", scheme="verra", transfer_rule=op.Programme.FREE, retirable=True
        ),
    ),
]


class IndexedWorld(RecordedWorld):
    """Writes the rows of `node.indexes` too."""

    def block(self, *submissions: bytes) -> Block:
        block = super().block(*submissions)
        batch = Batch()
        put_indexes(batch, block, self.state)
        self.store.commit(batch)
        return block


def when(day: int) -> op.When:
    """A whole day, counted from 1970."""
    return op.When(ms=day * DAY_MS, precision=op.When.DATE)


def hold_id(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()[:16]


def issue(batch: str, first: int, units: int, account: str, effective: op.When | None = None) -> op.Issue:
    """A NATIVE issuance."""
    return op.Issue(
        batch=batch,
        project="wind",
        programme="native",
        space="ledger:wind",
        first_number=str(first),
        units=units,
        extent=op.Issue.EXACT,
        account=account,
        vintage_start=when(19_000),
        vintage_end=when(19_364),
        effective=effective,
    )


def transfer(giver: str, taker: str, selection: op.Selection, effective: op.When | None = None) -> op.Transfer:
    leg = op.UnitLeg(from_account=giver, to_account=taker, selection=selection)
    return op.Transfer(units=[leg], effective=effective)


def units(number: int, batch: str = "") -> op.Selection:
    return op.Selection(units=number, batch=batch)


def ranges(batch: str, *parts: tuple[int, int]) -> op.Selection:
    """Named (first position, units)."""
    return op.Selection(ranges=[op.Range(batch=batch, first=first, units=size) for first, size in parts])


def place_hold(name: str, account: str, selection: op.Selection, expires_ms: int) -> op.Hold:
    return op.Hold(
        hold=hold_id(name),
        account=account,
        selection=selection,
        purpose=op.Hold.FOR_RETIREMENT,
        expires_ms=expires_ms,
    )


def open_world() -> IndexedWorld:
    """Accounts and both batches; nothing was traded yet."""
    roles: dict[str, Sequence[str]] = {"reg": ("registry",), "hub": ("exchange",), **dict.fromkeys(TRADERS, ("group",))}
    w = IndexedWorld(roles, RECORDS)
    for name in TRADERS:
        w.must(name, op.OpenAccount(account=name, owner=name))
    w.must("alice", op.OpenAccount(account="alice/verra", owner="alice", parent="alice"))
    w.must("reg", op.RegisterProject(project="wind", programme="native", name="Wind", host="IN"))
    w.must("reg", issue("nat-1", 1, 1_000, "alice"))
    w.must("hub", op.RegisterProject(project="stove", programme="vcs", name="Stoves", host="RW"))
    w.must("hub", _issue_outside())
    evidence = op.Evidence(digest=DIGEST, grade="C", reference="export")
    claims = [op.Range(batch="out-1", first=1_001, units=30)]
    link = op.Link(
        account="alice/verra",
        registry="verra",
        registry_account="ACC-1",
        hub="hub",
        control=op.Link.OWNER,
        claims=claims,
        evidence=evidence,
    )
    w.must("alice", link, approvals=("alice", "hub"))
    return w


def _issue_outside() -> op.Issue:
    seen = [
        op.Observation(first_number="1001", units=40, status=op.Observation.ACTIVE, labels=["CCP"]),
        op.Observation(first_number="1081", units=20, status=op.Observation.RETIRED, effective=when(20_000)),
    ]
    return op.Issue(
        batch="out-1",
        project="stove",
        programme="vcs",
        space=OUT_SPACE,
        first_number="1001",
        units=100,
        extent=op.Issue.AT_LEAST,
        vintage_start=when(19_997),
        vintage_end=when(20_088),
        serial_form=SERIAL,
        evidence=op.Evidence(digest=DIGEST, grade="C", reference="export"),
        effective=when(19_900),
        observations=seen,
    )


@cache
def opened() -> IndexedWorld:
    """The world as it opens, made once per process: nobody may write into it."""
    return open_world()
