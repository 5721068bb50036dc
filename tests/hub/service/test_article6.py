"""Announcements of Parties by whichever door they come, and our own feed, in a running hub."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import aiohttp

from adapters.capabilities import Action
from adapters.contract import Change, Changes, Instruction, Report, Settings
from adapters.des.signing import HEADER, format_question, read_public_key, read_signing_key, sign, unseal
from adapters.national_62 import SYSTEM
from adapters.sandbox.article6 import Letter
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.national_62 import ACCOUNT, NationalSandbox
from hub.adjustments.feed import PATH
from hub.inbound.intake import Desk, Outcome
from hub.service.article6 import Announcements, AnnouncingIntake
from hub.service.config import Article6Section
from hub.service.parts import Parts
from hub.service.running import Running
from keeling.events import EventKind
from keeling.v1 import operations_pb2 as op
from tests.adapters.article6_stand import OTHER_SEED, open_exchange, public_of, secrets_for
from tests.hub.adjustments.ledger import PartyLedger
from tests.hub.adjustments.test_adjustments import announcement, recogniser
from tests.hub.service.test_running import open_stage
from tests.node.core.article6.parties import Parties, accepted, date, terms


class Deaf:
    """A dispatcher that is told of nothing it knows."""

    async def hear(self, registry: str, change: Change) -> bool:
        return False


def authorized_world() -> Parties:
    world = Parties()
    accepted(world.issue("b", 2000, 2023))
    accepted(world.authorize("GHA-CHE-2024-001", terms=terms(cap=5000)))
    return world


def send(world: Parties) -> None:
    accepted(world.send("gh", "ch", 0, date(2025, 3, 14), op.Range(batch="b", first=0, units=1000)))


def open_intake(world: Parties) -> tuple[AnnouncingIntake, Announcements]:
    announced = Announcements("national_62", recogniser(world, "gha-epa"))
    ledger = cast(Any, PartyLedger(world, "gha-epa"))
    return AnnouncingIntake(Desk(ledger, {}, Deaf(), lambda _: b""), {"national_62": announced}), announced


def test_a_list_of_events_that_does_not_move_ends_the_reading() -> None:
    class Stuck:
        calls = 0

        async def changes(self, cursor: str) -> Changes:
            self.calls += 1
            if self.calls > 9:
                raise RuntimeError("asked for ever")
            return Changes((), "here", more=True, as_of_ms=0)

    async def trial() -> None:
        source = Stuck()
        assert await open_intake(authorized_world())[1].read_all(source)
        assert source.calls == 2

    asyncio.run(trial())


def test_what_came_before_its_transfer_is_recognised_once_the_transfer_is_there() -> None:
    world = authorized_world()

    async def trial() -> None:
        intake, announced = open_intake(world)
        taken = await intake.take("national_62", [announcement("GHA")], "A")
        assert [each.outcome for each in taken] == [Outcome.NOTED]
        assert (list(announced.waiting), announced.figures) == (["GHA01-E1"], {})
        await announced.take_waiting()
        assert list(announced.waiting) == ["GHA01-E1"]
        send(world)
        await announced.take_waiting()
        assert (announced.waiting, announced.figures) == ({}, {"recognised": 1})
        await intake.take("national_62", [announcement("GHA")], "A")
        await intake.take("elsewhere", [announcement("GHA", number=2)], "A")
        assert announced.figures == {"recognised": 1, "known": 1}

    asyncio.run(trial())
    assert len(world.events_of(EventKind.RECOGNISED)) == 1


def test_an_announcement_that_cannot_be_written_down_keeps_no_other_waiting() -> None:
    world = authorized_world()
    send(world)

    async def trial() -> None:
        intake, announced = open_intake(world)
        odd, good = announcement("GHA")._replace(id="GHA01-\ud800"), announcement("GHA")
        taken = await intake.take("national_62", [odd, good], "A")
        assert [each.outcome for each in taken] == [Outcome.REFUSED, Outcome.NOTED]
        assert announced.figures == {"recognised": 1}

    asyncio.run(trial())


def test_after_a_restart_everything_announced_is_read_again_and_adjusts_nothing_twice() -> None:
    """The registry's own list, page by page: the hub that took it before has forgotten what waited."""
    world = authorized_world()

    async def trial() -> None:
        sandbox = NationalSandbox(SandboxClock(date(2025, 3, 14).ms))
        units = sandbox.fill(1000)
        sandbox.authorize(Letter("GHA-CHE-2024-001", "GHA", "NDC", (units,)))
        adapter = open_exchange(SYSTEM, Settings(await sandbox.start(), secrets_for(sandbox).__getitem__))
        try:
            said = await adapter.instruct(Instruction("a1" * 16, Action.TRANSFER, ACCOUNT, (units,), "CHE01:CHE-1"))
            assert isinstance(said, Report)
            sandbox.clock.advance(3_600_000)
            sandbox.recognise("CHE", said.reference)
            assert isinstance(await adapter.changes(""), Changes)
            _, before = open_intake(world)
            assert await before.read_all(adapter)
            assert (len(before.waiting), before.figures) == (1, {"anothers": 1}), "the other Party speaks for itself"
            send(world)
            _, after = open_intake(world)
            assert await after.read_all(adapter)
            assert after.figures == {"recognised": 1, "anothers": 1}
            assert after.waiting == {}
        finally:
            await adapter.close()
            await sandbox.stop()

    asyncio.run(trial())
    host = [event for event in world.events_of(EventKind.ADJUSTED) if event.fact("party") == "GHA"]
    assert len(host) == 1


def test_the_feed_is_served_beside_everything_else(tmp_path: Path) -> None:
    async def run() -> None:
        async with open_stage(tmp_path) as stage, aiohttp.ClientSession() as session:
            (tmp_path / "feed").mkdir()
            (tmp_path / "feed" / "feed-key").write_text(OTHER_SEED)
            (tmp_path / "feed" / "reader:UN01").write_text(public_of(OTHER_SEED))
            section = Article6Section(code="HUB01", secrets=tmp_path / "feed")
            config = stage.config.model_copy(update={"article6": section})
            running = Running(Parts(config, stage.world.ledgers["hub"], stage.world.clock.now_ms))
            await running.start()
            try:
                for reader, expected in (("UN01", 200), ("CHE01", 401)):
                    asked = {"from": reader, "after": ""}
                    headers = {HEADER: sign(format_question(PATH, asked), read_signing_key(OTHER_SEED))}
                    url = f"http://{running.address}{PATH}"
                    async with session.get(url, params=asked, headers=headers) as answer:
                        body = await answer.json(content_type=None)
                        assert answer.status == expected
                    if expected == 200:
                        page = unseal(body, read_public_key(public_of(OTHER_SEED)))
                        assert (page["registry"], page["events"], page["more"]) == ("HUB01", [], False)
                        assert page["cursor"].partition(".")[0].isdecimal()
            finally:
                await running.stop()

    asyncio.run(run())
