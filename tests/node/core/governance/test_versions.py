"""Versions of the rules come into force at a height, one by one, and stop a release that does not know them."""

from __future__ import annotations

import pytest

from keeling import block as block_module
from keeling.events import EventKind
from keeling.reasons import Reason as R
from keeling.v1 import operations_pb2 as op
from node.core.governance.versions import UnknownRules, find_unknown_decided, read_schedule
from tests.fakes.electorate import Electorate

FOUR = ("v1", "v2", "v3", "v4")
QUORUM = ("v2", "v3")


def test_version_is_in_force_from_its_height_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_module, "RULES_KNOWN", (1, 2))
    world = Electorate(FOUR)
    world.must("v1", op.ActivateVersion(version=2, height=3), approvals=QUORUM)
    for _ in range(3):
        world.block()
    assert [block.header.rules for block in world.blocks] == [1, 1, 2, 2]
    assert [event.kind for event in world.blocks[2].events] == [EventKind.VERSION_ACTIVATED]
    assert len(world.blocks[2].sweeps) == 1
    assert read_schedule(world.state) == (2, 0, 0)


def test_a_release_without_it_executes_nothing_more() -> None:
    world = Electorate(FOUR)
    world.must("v1", op.ActivateVersion(version=2, height=3), approvals=QUORUM)
    world.block()
    for _ in range(2):
        with pytest.raises(UnknownRules, match="rules version 2 is in force, this release knows 1"):
            world.block()
        world.state.rollback(0)


def test_a_release_without_it_is_warned_before_its_height() -> None:
    world = Electorate(FOUR)
    assert find_unknown_decided(world.state) == ""
    world.must("v1", op.ActivateVersion(version=2, height=9), approvals=QUORUM)
    assert find_unknown_decided(world.state) == "rules version 2 begins at height 9: install its release before"


def test_a_decided_version_can_be_withdrawn_before_its_height() -> None:
    world = Electorate(FOUR)
    world.must("v1", op.ActivateVersion(version=2, height=4), approvals=QUORUM)
    world.must("v1", op.ActivateVersion(version=2, height=0), approvals=QUORUM)
    for _ in range(3):
        world.block()
    assert world.blocks[-1].header.rules == 1


CASES = [
    ("none", op.ActivateVersion(height=9), QUORUM, R.MISSING_FIELD),
    ("not the electorate", op.ActivateVersion(version=2, height=9), (), R.NEEDS_APPROVAL),
    ("the one in force", op.ActivateVersion(version=1, height=9), QUORUM, R.VERSION_NOT_NEXT),
    ("the one after next", op.ActivateVersion(version=3, height=9), QUORUM, R.VERSION_NOT_NEXT),
    ("nothing to withdraw", op.ActivateVersion(version=2), QUORUM, R.VERSION_NOT_NEXT),
    ("this very block", op.ActivateVersion(version=2, height=1), QUORUM, R.HEIGHT_HAS_PASSED),
    ("the next block", op.ActivateVersion(version=2, height=2), QUORUM, None),
]


@pytest.mark.parametrize(("asked", "approvals", "expected"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_activate_version(asked: op.ActivateVersion, approvals: tuple[str, ...], expected: R | None) -> None:
    answer = Electorate(FOUR).run("v1", asked, approvals=approvals)
    assert (answer.refusal.reason if answer.refusal else None) == expected
