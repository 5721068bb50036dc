"""`keeling hold place` and `show` say who could still move the units at their registry."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from cli.identifiers import format_id, make_uuid7
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from network.folders import NodeFolder
from tests.cli.command_line import Keeling, Refusing, fake_node

PLACE = ("hold", "place", "10", "--account", "acme/verra", "--buyer", "globex")
WARNING = "until verra confirms, the seller could still move it there"


def answers(control: Any, registry: str) -> dict[str, Any]:
    """A node that takes every hold: on units of `registry`, in an account that is linked to Verra."""
    moved = op.Range(batch="b", first=0, units=10)
    held = pb.Event(kind="HELD", moves=[pb.Move(range=moved, to_account="acme/verra", to_state="HELD")])
    link = op.Link(registry="verra", registry_account="8294", control=control)
    hold = pb.HoldInfo(account="acme/verra", phase="OPEN", ranges=[moved], units=10, registry=registry)
    return {
        "Submit": pb.SubmitResponse(results=[pb.TransactionResult(events=[held])]),
        "DryRun": pb.SubmitResponse(results=[pb.TransactionResult(events=[held])]),
        "GetAccount": pb.Account(account="acme/verra", link=link),
        "GetBatch": pb.Batch(batch="b", registry=registry),
        "GetHold": hold,
    }


@pytest.mark.parametrize(
    ("control", "registry", "expected"),
    [
        (op.Link.OWNER, "verra", WARNING),
        (op.Link.CUSTODY, "verra", ""),
        (op.Link.BLOCKED, "verra", ""),
        (op.Link.OWNER, "ledger", ""),
    ],
    ids=["owner", "custody", "blocked", "native"],
)
def test_whoever_holds_units_is_told_who_could_still_move_them(
    keeling: Keeling, control: Any, registry: str, expected: str
) -> None:
    folder: NodeFolder = keeling.init()
    with fake_node(keeling, folder, answers(control, registry)):
        for command in (PLACE, (*PLACE, "--dry-run"), ("hold", "show", format_id(make_uuid7()))):
            assert keeling.json(*command)["warning"] == expected
            assert ("could still move" in keeling.must(*command).out) == bool(expected)


def test_a_hold_stands_where_nobody_says_who_controls_the_units(keeling: Keeling) -> None:
    folder = keeling.init()
    found = answers(op.Link.OWNER, "verra")
    found["GetAccount"] = Refusing(grpc.StatusCode.UNAVAILABLE, "starting")
    with fake_node(keeling, folder, found):
        ended = keeling.must(*PLACE)
    assert "is not known" in ended.out
