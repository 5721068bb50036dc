"""Recognitions in and events out: what both Parties announce is adjusted once; the feed is read on by cursor."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import ClientSession, web

from adapters.capabilities import Action
from adapters.contract import Change, ChangeKind, Changes, Instruction, Report, Settings
from adapters.des.signing import (
    HEADER,
    SignatureError,
    format_question,
    read_public_key,
    read_signing_key,
    sign,
    unseal,
)
from adapters.national_62 import SYSTEM
from adapters.sandbox.article6 import Letter
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.national_62 import ACCOUNT, NationalSandbox
from hub.adjustments.feed import PATH, Feed, format_cursor, parse_cursor
from hub.adjustments.recognition import Outcome, Recogniser
from hub.inbound.intake import Desk, Intake
from hub.service.secrets import open_secrets
from keeling.events import EventKind
from keeling.serials import SerialRange, parse
from keeling.v1 import operations_pb2 as op
from tests.adapters.article6_stand import OTHER_SEED, open_exchange, public_of, secrets_for
from tests.hub.adjustments.ledger import PartyLedger
from tests.node.core.article6.parties import Parties, accepted, date, evidence, terms

HOUR_MS = 3_600_000
SEED = OTHER_SEED
ITMOS = parse("CA0004-GHA01-GHA-1-2023 - CA0004-GHA01-GHA-1000-2023")


def world_with_a_transfer(units: int = 1000) -> Parties:
    world = Parties()
    accepted(world.issue("b", 2000, 2023))
    accepted(world.authorize("GHA-CHE-2024-001", terms=terms(cap=5000)))
    accepted(world.send("gh", "ch", 0, date(2025, 3, 14), op.Range(batch="b", first=0, units=units)))
    return world


async def nowhere(_: SerialRange) -> Sequence[op.Range]:
    return ()


def recogniser(world: Parties, by: str, locate: Any = nowhere) -> Recogniser:
    return Recogniser(PartyLedger(world, by), locate, lambda body: hashlib.sha256(body).digest(), "A")


def announcement(party: str, serials: SerialRange = ITMOS, number: int = 1) -> Change:
    details = {"event": "Recognition", "party": party}
    return Change(f"GHA01-E{number}", ChangeKind.NOTICE, date(2025, 3, 15).ms, serials, details=details, evidence=b"{}")


async def announced_by_both(first_units: int) -> list[Change]:
    """A transfer at Ghana's registry, recognised there and, an hour later, by Switzerland."""
    sandbox = NationalSandbox(SandboxClock(date(2025, 3, 14).ms))
    units = sandbox.fill(first_units)
    sandbox.authorize(Letter("GHA-CHE-2024-001", "GHA", "NDC", (units,)))
    adapter = open_exchange(SYSTEM, Settings(await sandbox.start(), secrets_for(sandbox).__getitem__))
    try:
        out = Instruction("a1" * 16, Action.TRANSFER, ACCOUNT, (units,), "CHE01:CHE-1")
        said = await adapter.instruct(out)
        assert isinstance(said, Report)
        sandbox.clock.advance(HOUR_MS)
        sandbox.recognise("CHE", said.reference)
        page = await adapter.changes("")
        assert isinstance(page, Changes)
        assert [(b.side, b.year, b.units) for b in sandbox.marks.booked] == [("HOST", 2023, first_units)]
        return list(page.items)
    finally:
        await adapter.close()
        await sandbox.stop()


def test_announced_by_both_parties_is_two_recognitions_and_one_adjustment() -> None:
    world = world_with_a_transfer()

    async def trial() -> None:
        news = await announced_by_both(1000)
        ghana, swiss = recogniser(world, "gha-epa"), recogniser(world, "che-bafu")
        seen = [c for c in news if c.details["event"] == "Recognition"]
        given = [t.outcome for t in await ghana.take([c for c in seen if c.details["party"] == "GHA"])]
        got = [t.outcome for t in await swiss.take([c for c in seen if c.details["party"] == "CHE"])]
        again = [t.outcome for t in await recogniser(world, "gha-epa").take(seen[:1])]
        assert (given, got, again) == ([Outcome.RECOGNISED], [Outcome.RECOGNISED], [Outcome.KNOWN])
        others = [t.outcome for t in await ghana.take(c for c in news if c not in seen)]
        assert set(others) == {Outcome.NOT_ONE}

    asyncio.run(trial())
    told = world.events_of(EventKind.RECOGNISED)
    assert [(e.fact("party"), e.fact("side")) for e in told] == [("GHA", "given"), ("CHE", "got")]
    assert told[1].effective.ms - told[0].effective.ms == HOUR_MS
    host = [e for e in world.events_of(EventKind.ADJUSTED) if e.fact("party") == "GHA"]
    assert len(host) == 1, "the action adjusted, the recognitions did not"


def test_an_announcement_before_its_transfer_waits_and_one_of_a_part_is_for_a_person() -> None:
    world = Parties()
    accepted(world.issue("b", 2000, 2023))
    accepted(world.authorize("GHA-CHE-2024-001", terms=terms(cap=5000)))

    async def trial() -> None:
        ghana = recogniser(world, "gha-epa")
        assert [t.outcome for t in await ghana.take([announcement("GHA")])] == [Outcome.WAITING]
        accepted(world.send("gh", "ch", 0, date(2025, 3, 14), op.Range(batch="b", first=0, units=1000)))
        part = await ghana.take([announcement("GHA", ITMOS.part(1, 999))])
        assert part[0].outcome is Outcome.PARTIAL
        assert [t.outcome for t in await ghana.take([announcement("KEN")])] == [Outcome.WAITING], "not on record yet"
        (theirs,) = await ghana.take([announcement("CHE")])
        assert (theirs.outcome, theirs.detail) == (Outcome.ANOTHERS, "che-bafu may recognise for CHE")
        assert [t.outcome for t in await ghana.take([announcement("GHA")])] == [Outcome.RECOGNISED]

    asyncio.run(trial())


def test_a_letter_that_ended_there_and_not_here_is_told_to_its_authority_until_it_ends_here() -> None:
    world = world_with_a_transfer()

    def ended(letter: str) -> Change:
        details = {"event": "Authorization revoked", "authorization": letter}
        return Change("GHA01-E9", ChangeKind.NOTICE, 0, ITMOS, details=details, evidence=b"{}")

    async def trial() -> None:
        ghana, swiss = recogniser(world, "gha-epa"), recogniser(world, "che-bafu")
        (told,) = await ghana.take([ended("GHA-CHE-2024-001")])
        assert told.outcome is Outcome.IN_FORCE
        assert told.detail.startswith("GHA-CHE-2024-001 was revoked at the registry and is in force here")
        others = [*await swiss.take([ended("GHA-CHE-2024-001")]), *await ghana.take([ended("unheard of")])]
        assert [each.outcome for each in others] == [Outcome.NOT_ONE, Outcome.NOT_ONE]
        message = op.RevokeAuthorization(authorization="GHA-CHE-2024-001", reason="ended", date=date(2025, 4))
        message.evidence.CopyFrom(evidence())
        accepted(world.run("gha-epa", message))
        assert [t.outcome for t in await ghana.take([ended("GHA-CHE-2024-001")])] == [Outcome.NOT_ONE]

    asyncio.run(trial())


def test_what_the_ledger_refuses_is_for_a_person_with_its_reason() -> None:
    """The Party's authorities changed between the look and the hand-in."""
    world = world_with_a_transfer()

    class Late(PartyLedger):
        async def authorities(self, party: str) -> frozenset[str]:
            return frozenset({self.participant})

    late = Recogniser(Late(world, "gha-epa"), nowhere, lambda body: hashlib.sha256(body).digest(), "A")
    (taken,) = asyncio.run(late.take([announcement("CHE")]))
    assert taken.outcome is Outcome.REFUSED
    assert taken.detail.startswith("NOT_PERMITTED: ")


def test_units_named_by_their_own_serial_are_found_where_they_are() -> None:
    world = world_with_a_transfer()

    async def in_batch(_: SerialRange) -> Sequence[op.Range]:
        return (op.Range(batch="b", first=0, units=400), op.Range(batch="b", first=400, units=600))

    async def trial() -> None:
        news = announcement("GHA", parse("GHA-UN01-0007-2023-1-1000"))
        assert (await recogniser(world, "gha-epa").take([news]))[0].outcome is Outcome.WAITING
        assert (await recogniser(world, "gha-epa", in_batch).take([news]))[0].outcome is Outcome.RECOGNISED

    asyncio.run(trial())


def test_two_announcements_of_the_same_units_are_no_contradiction_to_the_intake() -> None:
    class Deaf:
        async def hear(self, registry: str, change: Change) -> bool:
            return False

    async def trial() -> None:
        seen = [c for c in await announced_by_both(10) if c.details["event"] == "Recognition"]
        intake = Intake(Desk(cast(Any, PartyLedger(Parties(), "gha-epa")), {}, Deaf(), lambda body: b""))
        taken = await intake.take("national_62", seen, "A")
        assert [each.outcome.value for each in taken] == ["noted", "noted"]

    asyncio.run(trial())


# -- the feed


def feed_of(world: Parties) -> Feed:
    known = {"feed-key": SEED, "reader:UN01": public_of(SEED)}
    nowhere = open_secrets("article6", Path("no such folder"))
    return Feed(PartyLedger(world, "che-bafu"), "HUB01", lambda name: known.get(name) or nowhere(name))


def test_the_feed_is_read_to_its_end_by_cursor_and_the_same_again() -> None:
    world = world_with_a_transfer()

    async def trial() -> None:
        feed = feed_of(world)
        found, cursor, more = list[dict[str, Any]](), "", True
        while more:
            page = await feed.read_page(cursor, 1)
            found, cursor, more = [*found, *page.events], page.cursor, page.more
        assert found == list((await feed.read_page("", 500)).events)
        assert [e["kind"] for e in found] == ["AUTHORIZED", "ITMO_ACTION", "ITMO_ACTION", "ADJUSTED"]
        assert (await feed.read_page(cursor, 500)).events == ()
        accepted(world.send("gh", "ch", 0, date(2025, 4, 1), op.Range(batch="b", first=1000, units=10)))
        later = await feed.read_page(cursor, 500)
        assert "ITMO_ACTION" in {event["kind"] for event in later.events}

    asyncio.run(trial())


def test_a_page_ends_after_so_many_events_however_few_of_them_concern_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.adjustments.feed.READ_MAX", 2)
    world = world_with_a_transfer()

    async def trial() -> None:
        feed, known = feed_of(world), [event["id"] for event in await read_all(feed_of(world))]
        first = await feed.read_page("", 500)
        assert (len(known), first.events, first.more) == (4, (), True), "the beginning of the log concerns nobody"
        assert parse_cursor(first.cursor)
        assert [event["id"] for event in await read_all(feed)] == known

    async def read_all(feed: Feed) -> list[dict[str, Any]]:
        found, cursor, more = list[dict[str, Any]](), "", True
        while more:
            page = await feed.read_page(cursor, 500)
            assert page.cursor != cursor or not page.more
            found, cursor, more = [*found, *page.events], page.cursor, page.more
        return found

    asyncio.run(trial())


def test_readers_are_known_by_their_signature_and_every_event_is_signed() -> None:
    async def ask(session: ClientSession, base: str, seed: str = SEED, **asked: str) -> tuple[int, Any]:
        params = {"from": "UN01", **asked}
        headers = {HEADER: sign(format_question(PATH, params), read_signing_key(seed))}
        async with session.get(base + PATH, params=params, headers=headers) as response:
            return response.status, await response.json(content_type=None)

    async def trial() -> None:
        feed = feed_of(world_with_a_transfer())
        app = web.Application()
        app.add_routes(feed.routes())
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            async with ClientSession() as session:
                status, envelope = await ask(session, base, after="", limit="2")
                assert status == 200
                key = read_public_key(public_of(SEED))
                page = unseal(envelope, key)
                assert [unseal(each, key)["id"] for each in page["events"]]
                assert (page["registry"], page["more"], len(page["events"])) == ("HUB01", True, 2)
                envelope["message"]["cursor"] = "9.9"
                with pytest.raises(SignatureError):
                    unseal(envelope, key)
                assert (await ask(session, base, after=page["cursor"], limit="2"))[0] == 200
                assert feed.positions == {"UN01": page["cursor"]}
                other = "YSBzYW5kYm94IGtleSBvZiBhIHJlZ2lzdHJ5LCAzMmI"
                for status, asked in (
                    (401, {"seed": other}),
                    (401, {"from": "CHE01"}),
                    (400, {"limit": "0"}),
                    (400, {"limit": "501"}),
                    (400, {"limit": "0000001000"}),
                    (400, {"limit": "1" * 5_000}),
                    (401, {"from": "\0"}),
                    (400, {"after": "last tuesday"}),
                ):
                    found, problem = await ask(session, base, **asked)
                    assert (found, problem["status"]) == (status, status)
        finally:
            await runner.cleanup()

    asyncio.run(trial())


@pytest.mark.parametrize("text", ["1", "1.", ".1", "-1.0", "1.0.0", "²5.0", "1" * 19 + ".0"])
def test_what_is_no_cursor(text: str) -> None:
    with pytest.raises(ValueError, match=r"HEIGHT\.ORDINAL"):
        parse_cursor(text)


def test_cursors_read_back() -> None:
    assert parse_cursor(format_cursor((12, 3))) == (12, 3)
    assert parse_cursor(format_cursor(None)) is None
