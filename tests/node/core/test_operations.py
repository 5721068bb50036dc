"""Every operation's table of cases, in the order of its checks; together they reach every reason the rules can give.

A refusal changes nothing but the clock of the block and, where the reason says so, the id it binds (G5, G10).
"""

import re
from pathlib import Path

import pytest

from keeling.operations import NUMBERS
from keeling.reasons import pins
from node.core import apply, tables
from tests.fakes.world import World
from tests.node.core import (
    cases_accounts,
    cases_ends,
    cases_holds,
    cases_issuance,
    cases_marks,
    cases_members,
    cases_news,
    cases_transfer,
    cases_twins,
)
from tests.node.core.sample import Case, sample_world
from tests.node.core.test_envelope import REACHED as REACHED_BEFORE_OPERATIONS

TABLES = {
    **cases_members.CASES,
    **cases_accounts.CASES,
    **cases_issuance.CASES,
    **cases_marks.CASES,
    **cases_transfer.CASES,
    **cases_holds.CASES,
    **cases_ends.CASES,
    **cases_twins.CASES,
    **cases_news.CASES,
}
ELSEWHERE = ("article6", "governance")
"""Modules whose operations have their tables in their own tests."""

WITHOUT_EVENT = ("known",)
ROWS = [pytest.param(case, id=f"{name}: {case.name}") for name, cases in TABLES.items() for case in cases]


def changed_tables(before: dict[bytes, bytes], world: World) -> set[bytes]:
    """Prefixes of the keys that a block changed, its own bookkeeping left out."""
    after = dict(world.reader.data)
    differing = {key[:1] for key in {*before, *after} if before.get(key) != after.get(key)}
    return differing - {tables.PROGRESS.prefix, tables.AUTHORS.prefix}


@pytest.mark.parametrize("case", ROWS)
def test_operation_ends_with_its_reason(case: Case) -> None:
    world = sample_world()
    for by, operation, *approvals in case.before:
        world.must(by, operation, approvals=approvals[0] if approvals else ())
    world.later(case.later_ms)
    world.block()  # sweeps what is due, so that only the transaction's own effects are compared below
    before = dict(world.reader.data)
    answer = world.run(case.by, case.operation, approvals=case.approvals)
    got = answer.refusal.reason if answer.refusal else None
    assert got == case.reason, answer.refusal
    if case.reason is None:
        assert answer.events or case.name in WITHOUT_EVENT
    else:
        assert not answer.events
        assert changed_tables(before, world) == ({tables.IDS.prefix} if pins(case.reason) else set())


def test_tables_reach_every_reason_of_the_rules() -> None:
    reached = {case.reason.name for cases in TABLES.values() for case in cases if case.reason is not None}
    named = {
        found
        for file in Path(apply.__file__).parent.glob("*.py")
        if file.stem not in ELSEWHERE
        for found in re.findall(r"\bReason\.([A-Z_0-9]+)\b", file.read_text(encoding="utf-8"))
    }
    assert named - {"ACCEPTED"} == (reached | {reason.name for reason in REACHED_BEFORE_OPERATIONS}) & named
    assert reached <= named


def test_every_operation_has_a_table_that_ends_in_acceptance() -> None:
    for operation in NUMBERS:
        if not any(part in apply.RULES[operation][1].__module__ for part in ELSEWHERE):
            assert TABLES[operation.__name__][-1].reason is None, operation.__name__
