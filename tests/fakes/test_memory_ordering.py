"""The fake engine lies as it was told, and a reader's continuity check notices what can be noticed."""

from __future__ import annotations

import asyncio

import pytest

from node.ordering.contract import (
    Appended,
    LogDiverged,
    LogId,
    LogShorter,
    Ordered,
    Unknown,
    begin_cursor,
    check_continuity,
)
from tests.fakes.memory_ordering import MemoryOrdering

LOG = LogId(0, "liar")


def test_one_reader_is_shown_another_entry() -> None:
    async def walk() -> None:
        engine = MemoryOrdering(LOG)
        for entry in (b"1", b"2", b"3"):
            await engine.append(entry)
        victim, honest = engine.seen_by("victim"), engine.seen_by("honest")
        cursor = check_continuity(begin_cursor(0), await victim.read(1, 2))
        engine.show_instead("victim", 2, b"two")
        assert (await victim.read(2, 1)).entries == (Ordered(2, b"two"),)
        assert (await honest.read(2, 1)).entries == (await engine.read(2, 1)).entries == (Ordered(2, b"2"),)
        with pytest.raises(LogDiverged):
            check_continuity(cursor, await victim.read(3, 1))
        assert await victim.append(b"4") == Appended(4)
        assert victim.log == LOG

    asyncio.run(walk())


def test_a_lost_tail_is_noticed_before_and_after_its_positions_are_used_again() -> None:
    async def walk() -> None:
        engine = MemoryOrdering(LOG)
        for entry in (b"1", b"2", b"3"):
            await engine.append(entry)
        cursor = check_continuity(begin_cursor(0), await engine.read(1, 10))
        engine.lose_tail(2)
        with pytest.raises(LogShorter):
            check_continuity(cursor, await engine.read(4, 10))
        assert [await engine.append(entry) for entry in (b"4", b"5")] == [Appended(2), Appended(3)]
        with pytest.raises(LogDiverged):
            check_continuity(cursor, await engine.read(4, 10))

    asyncio.run(walk())


def test_unanswered_appends_take_effect_as_told() -> None:
    async def walk() -> None:
        engine = MemoryOrdering(LOG)
        engine.leave_unanswered(took_effect=False)
        engine.leave_unanswered(took_effect=True)
        answers = [await engine.append(entry) for entry in (b"lost", b"there", b"there", b"lost")]
        assert [type(answer) for answer in answers] == [Unknown, Unknown, Appended, Appended]
        assert answers[2:] == [Appended(1), Appended(2)]

    asyncio.run(walk())
