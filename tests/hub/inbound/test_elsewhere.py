"""News of what another hub instructed, heard before that hub recorded it: left to it, unless it is something else."""

from __future__ import annotations

import asyncio

import pytest

from adapters.contract import Change, ChangeKind
from hub.inbound.elsewhere import is_asked_for
from hub.inbound.intake import Desk, Intake
from hub.units import Part
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from tests.hub.dispatch.stage import Stage, play
from tests.hub.inbound.scene import change, restricted, tell


class Unaware:
    """The dispatcher of a hub that has instructed nothing."""

    async def hear(self, registry: str, change: Change) -> bool:
        return False


def test_what_another_hub_instructed_is_no_contradiction_and_is_captured_by_it() -> None:
    async def story(stage: Stage) -> None:
        hub, hold = stage.hub(), stage.place(units=100, first=1)
        await hub.step()
        other = Intake(Desk(stage.ledger, {"puro": stage.adapter}, Unaware(), stage.keep))
        done = change("e1", ChangeKind.RETIRED, 1, 100)
        assert tell(await other.take("puro", [done], "B")) == ["noted"]
        assert (await restricted(stage), await stage.ledger.discrepancies()) == ([], [])
        assert not [each for each in stage.ledger.said if isinstance(each, op.Attest)]
        assert (await stage.settle(hub, hold)).phase == "CAPTURED"

    play(story, approval_ms=60_000)


@pytest.mark.parametrize(
    ("kind", "first", "last"), [(ChangeKind.CANCELLED, 1, 100), (ChangeKind.RETIRED, 51, 150)], ids=["other", "more"]
)
def test_what_no_hold_asked_for_is_a_contradiction_whoever_hears_it(kind: ChangeKind, first: int, last: int) -> None:
    async def story(stage: Stage) -> None:
        stage.place(units=100, first=1)
        await stage.hub().step()
        other = Intake(Desk(stage.ledger, {"puro": stage.adapter}, Unaware(), stage.keep))
        assert tell(await other.take("puro", [change("e1", kind, first, last)], "B")) == ["contradicted"]
        (said,) = (each for each in stage.ledger.said if isinstance(each, op.Attest))
        assert (said.attestation, said.range.first, said.range.units) == ("e1", first, last - first + 1)

    play(story, approval_ms=60_000)


class TwoHolds:
    """Of two lots of one batch: one is to be transferred to CHE-1, the other retired."""

    async def hold(self, hold: bytes) -> pb.HoldInfo:
        purpose = {b"move": "FOR_TRANSFER", b"end": "FOR_RETIREMENT"}[hold]
        return pb.HoldInfo(hold=hold, purpose=purpose, to_account="ch" if hold == b"move" else "")

    async def account(self, account: str) -> pb.Account:
        assert account == "ch"
        return pb.Account(account=account, link=op.Link(registry_account="CHE01:CHE-1"))


def part(hold: bytes, state: str = "INSTRUCTED") -> Part:
    return Part(op.Range(batch="b", first=1, units=10), state, "gh", hold, "")


MOVE, END = part(b"move"), part(b"end")
MOVED, GONE = ChangeKind.TRANSFERRED, ChangeKind.RETIRED


@pytest.mark.parametrize(
    ("kind", "to_account", "parts", "asked_for"),
    [
        (MOVED, "CHE01:CHE-1", [MOVE], True),
        (MOVED, "CHE01:CHE-2", [MOVE], False),
        (MOVED, "CHE01:CHE-1", [END], False),
        (MOVED, "CHE01:CHE-1", [MOVE, END], False),
        (MOVED, "CHE01:CHE-1", [part(b"move", "HELD")], False),
        (GONE, "", [END], True),
        (GONE, "", [MOVE], False),
        (GONE, "", [END, part(b"", "FREE")], False),
        (GONE, "", [], False),
    ],
)
def test_every_unit_must_be_asked_for(kind: ChangeKind, to_account: str, parts: list[Part], asked_for: bool) -> None:
    told = Change("e", kind, 1, None, to_account=to_account)
    assert asyncio.run(is_asked_for(TwoHolds(), told, parts)) is asked_for
