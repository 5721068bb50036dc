"""The doors that news comes in by, each broken and started again: webhook, signed HTTP, polling, files."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from joserfc import jws
from joserfc.jwk import OctKey
from structlog.testing import capture_logs

from adapters.contract import Change, ChangeKind, Changes, Unavailable
from adapters.sandbox.faults import Fault, FaultKind
from adapters.sandbox.notices import Notice, sign_notice
from hub.inbound import waiting
from hub.inbound.drop_folder import DropFolder
from hub.inbound.intake import Outcome
from hub.inbound.keys import InboundKey, KeyTextError
from hub.inbound.polling import Poller
from hub.inbound.refusals import Refusal, Why
from hub.inbound.server import BODY_BYTES_MAX, QUIET_MS, Inbound
from hub.inbound.signed_http import SignedRequest
from hub.kept_file import BYTES_MAX, KeptFile
from hub.ledger_client import LedgerError
from keeling.v1 import operations_pb2 as op
from tests.hub.dispatch.stage import EVIDENCE, UNITS, Stage, play
from tests.hub.inbound.scene import KEY, SECRET, WHOLE, Hub, change, open_hub, restricted, retire_there, tell
from tests.hub.inbound.test_signatures import LEDGER_KEY, Message, sign
from tests.hub.memory_ledger import lose_answer

# -- by webhook


@asynccontextmanager
async def serve(
    stage: Stage, hub: Hub, woken: list[str] | None = None, keys: Sequence[InboundKey] = (KEY,)
) -> AsyncIterator[tuple[str, Inbound]]:
    now = lambda: stage.world.now_ms  # noqa: E731
    wake = woken.append if woken is not None else lambda registry: None
    inbound = Inbound(hub.intake, {"puro": stage.adapter}, lambda registry: keys, now, wake=wake)
    app = web.Application()
    app.add_routes(inbound.routes())
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/inbound", inbound
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("fault", [None, FaultKind.DUPLICATE_NOTICE, FaultKind.LATE_NOTICE])
def test_the_sandboxs_notices_arrive_once(fault: FaultKind | None) -> None:
    async def story(stage: Stage) -> None:
        hub = open_hub(stage)
        woken: list[str] = []
        async with serve(stage, hub, woken) as (url, _):
            stage.sandbox.notices.url, stage.sandbox.notices.secret = f"{url}/puro", SECRET
            if fault is not None:
                stage.sandbox.faults.add(Fault(fault, "^NOTICE"))
            for first in (10, 30):
                await retire_there(stage, first, first + 9)
                stage.sandbox.tell()
                await stage.sandbox.notices.deliver()
            assert stage.sandbox.notices.waiting == []
            assert await restricted(stage) == [(10, 19), (30, 39)]
            assert len(await stage.ledger.discrepancies()) == 2
            assert set(woken) == {"puro"}

    play(story)


async def send(
    url: str, body: Any, at_s: int, secret: str = SECRET, name: str = "m1", **changed: str
) -> tuple[int, Any]:
    notice = Notice(name, at_s, body)
    headers = {"webhook-id": name, "webhook-timestamp": str(at_s), "webhook-signature": sign_notice(secret, notice)}
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers | changed) as answer:
        return answer.status, await answer.json(content_type=None)


def test_what_is_not_taken_is_answered_by_name_and_changes_nothing() -> None:
    async def story(stage: Stage) -> None:
        at = stage.world.now_ms // 1000
        async with serve(stage, open_hub(stage)) as (root, inbound):
            url = f"{root}/puro"
            other = "whsec_" + "A" * 32
            body = b'{"type":"x","data":{"certificateBundles":"<html>"}}'
            told = [
                (await send(url, body, at, other))[1]["title"],
                (await send(url, body, at - 361))[1]["title"],
                (await send(url, body, at, **{"webhook-id": "m2"}))[1]["title"],
                (await send(url, body, at))[1]["title"],
                (await send(url.replace("puro", "verra"), body, at))[1]["title"],
                (await send(url, b"x" * (BODY_BYTES_MAX + 1), at))[1]["title"],
            ]
            expected = ["bad-signature", "too-old", "bad-signature", "wrong-shape", "unknown-registry", "too-large"]
            assert told == expected
            assert inbound.figures["bad-signature"] == 2
            stage.later(QUIET_MS)
            await send(url, body, at, other)
        assert stage.ledger.said == []

    with capture_logs() as logs:
        play(story)
    assert [(each["registry"], each["why"], each.get("not_logged")) for each in logs] == [
        ("puro", "bad-signature", None),
        ("puro", "too-old", None),
        ("puro", "wrong-shape", None),
        ("", "unknown-registry", None),
        ("puro", "too-large", None),
        ("puro", "bad-signature", 1),
    ]


def test_a_sender_comes_again_where_none_of_its_keys_can_be_used() -> None:
    async def story(stage: Stage) -> None:
        def broken(registry: str) -> list[InboundKey]:
            raise KeyTextError("key new: what follows whsec_ is not base64")

        now = stage.world.now_ms
        inbound = Inbound(open_hub(stage).intake, {"puro": stage.adapter}, broken, lambda: now)
        found = await inbound.take("puro", SignedRequest("POST", "http://hub/inbound/puro", {}), b"{}")
        assert found == Refusal(Why.TRY_AGAIN, "key new: what follows whsec_ is not base64")

    play(story)


def test_two_gigabytes_cost_no_memory() -> None:
    async def story(stage: Stage) -> None:
        sent = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal sent
            piece = bytes(1 << 16)
            while sent < 2 << 30:
                sent += len(piece)
                yield piece

        async with serve(stage, open_hub(stage)) as (url, _):
            tracemalloc.start()
            try:
                async with aiohttp.ClientSession() as session:
                    # The door may close before the answer is read; what counts is that nothing piled up.
                    with suppress(aiohttp.ClientError):
                        async with session.post(f"{url}/puro", data=endless()) as answer:
                            assert answer.status == 413
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            assert peak < 32 << 20
            assert sent < 256 << 20, "the sender was cut off"
        assert stage.ledger.said == []

    play(story)


def test_a_ledger_that_does_not_answer_makes_the_sender_send_again() -> None:
    async def story(stage: Stage) -> None:
        await retire_there(stage, 10, 19)
        stage.sandbox.tell()
        notice = stage.sandbox.notices.waiting[0]
        at = stage.world.now_ms // 1000
        async with serve(stage, open_hub(stage)) as (url, _):
            lose_answer(op.Attest, stage.ledger, took_effect=True)
            status, told = await send(f"{url}/puro", notice.body, at)
            assert (status, told["title"]) == (503, "try-again")
            status, told = await send(f"{url}/puro", notice.body, at)
            assert (status, told["taken"][0]["outcome"]) == (200, "contradicted")
            status, told = await send(f"{url}/puro", notice.body, at)
            assert (status, told["title"]) == (200, "replayed")
            status, told = await send(f"{url}/puro", notice.body + b" ", at)
            assert (status, told["title"]) == (409, "id-reused")
        assert len(await stage.ledger.discrepancies()) == 1

    play(story)


def test_a_signed_request_comes_in_by_the_same_door_once() -> None:
    async def story(stage: Stage) -> None:
        await retire_there(stage, 10, 19)
        stage.sandbox.tell()
        body = stage.sandbox.notices.waiting[0].body
        async with serve(stage, open_hub(stage), keys=[LEDGER_KEY]) as (url, _):
            message = Message(f"{url}/puro", body)
            request = sign(message, at_s=stage.world.now_ms // 1000)
            titles = []
            async with aiohttp.ClientSession() as session:
                for said in (body, body, body + b" "):
                    async with session.post(request.url, data=said, headers=dict(request.headers)) as answer:
                        told = await answer.json(content_type=None)
                        titles.append(told.get("title") or told["taken"][0]["outcome"])
            assert titles == ["contradicted", "replayed", "body-changed"]
        (attested,) = [each for each in stage.ledger.said if isinstance(each, op.Attest)]
        assert attested.evidence.grade == "A", "signed with the registry's own ledger key"

    play(story)


# -- by polling


def test_polling_puts_news_that_came_in_another_order_right(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        hub = open_hub(stage)
        poller = Poller("puro", stage.adapter, KeptFile(tmp_path / "puro"), hub.intake, "B")
        early = change("early", ChangeKind.REVERSED, 10, 19)
        assert tell(await hub.intake.take("puro", [early], "B")) == ["nothing-to-reverse"]
        await retire_there(stage, 10, 19)
        assert tell((await poller.poll()).taken) == ["known", "contradicted"]
        stage.sandbox.book.undo(stage.world.now_ms + 1, "own-10")
        assert "lifted" in tell((await poller.poll()).taken)
        assert await restricted(stage) == []

    play(story)


@pytest.mark.parametrize("took_effect", [False, True], ids=["failed", "answer lost"])
@pytest.mark.parametrize("lost", ["ledger", "registry", "cursor"])
def test_polling_broken_anywhere_and_started_again_ends_the_same(tmp_path: Path, lost: str, took_effect: bool) -> None:
    async def story(stage: Stage) -> None:
        cursor = KeptFile(tmp_path / "puro")
        for first in (10, 30, 50):
            await retire_there(stage, first, first + 9)

        def poller() -> Poller:
            return Poller("puro", stage.adapter, cursor, open_hub(stage).intake, "B")

        if lost == "ledger":
            lose_answer(op.Attest, stage.ledger, took_effect=took_effect)
            with pytest.raises(LedgerError):
                await poller().poll()
        elif lost == "registry":
            kind = FaultKind.CUT_AFTER if took_effect else FaultKind.CUT_BEFORE
            stage.sandbox.faults.add(Fault(kind, "^GET", times=2))
            assert (await poller().poll()).trouble is not None
        else:
            await poller().poll()
            (tmp_path / "puro").write_bytes(b"\xff" if took_effect else b"")
        await poller().poll()
        assert await restricted(stage) == [(10, 19), (30, 39), (50, 59)]
        assert len(await stage.ledger.discrepancies()) == 3
        assert cursor.read()

    play(story)


def test_a_cursor_that_does_not_move_ends_the_reading(tmp_path: Path) -> None:
    class Stuck:
        calls = 0

        async def changes(self, cursor: str) -> Changes | Unavailable:
            self.calls += 1
            return Changes((), "here", more=True, as_of_ms=0) if self.calls < 9 else Unavailable("enough")

    async def story(stage: Stage) -> None:
        source = Stuck()
        await Poller("puro", source, KeptFile(tmp_path / "deep" / "puro"), open_hub(stage).intake, "B").poll()
        assert source.calls == 2

    play(story)


class Long:
    """A registry of many organisations, whose cursor names a place in the events of each."""

    def __init__(self) -> None:
        self.cursor = ";".join(f"{number:064x}=100/100" for number in range(500))
        self.asked: list[str] = []

    async def changes(self, cursor: str) -> Changes:
        self.asked.append(cursor)
        return Changes((), self.cursor, more=False, as_of_ms=0)


def test_a_long_cursor_is_not_forgotten(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        source = Long()
        for _ in range(2):
            await Poller("puro", source, KeptFile(tmp_path / "puro"), open_hub(stage).intake, "B").poll()
        assert source.asked == ["", source.cursor], "nothing is read twice"
        source.cursor = "x" * (BYTES_MAX + 1)
        with pytest.raises(ValueError, match="more than are kept"):
            await Poller("puro", source, KeptFile(tmp_path / "puro"), open_hub(stage).intake, "B").poll()

    play(story)


class Told:
    """Events one by one; the cursor is how many were told."""

    def __init__(self, *events: Change) -> None:
        self.events = events

    async def changes(self, cursor: str) -> Changes:
        at = int(cursor or 0)
        return Changes(self.events[at : at + 1], str(min(at + 1, len(self.events))), at + 1 < len(self.events), 0)


def test_news_that_there_was_no_room_for_is_told_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(stage: Stage) -> None:
        monkeypatch.setattr(waiting, "KEPT_MAX", 2)
        unknown = [change(f"e{n}", ChangeKind.RETIRED, UNITS + n, UNITS + n, reference=f"r{n}") for n in range(1, 5)]
        source = Told(*unknown, change("known", ChangeKind.RETIRED, 1, 9))
        cursor, hub = KeptFile(tmp_path / "puro"), open_hub(stage)
        poller = Poller("puro", source, cursor, hub.intake, "B")
        assert tell((await poller.poll()).taken) == ["unknown-units"] * 4 + ["contradicted"], (
            "nothing stands in the way"
        )
        assert cursor.read() == "2", "where reading goes on after a restart"
        assert tell((await poller.poll()).taken) == []
        seen = [op.Observation(first_number=str(UNITS + 1), units=4, status=op.Observation.ACTIVE)]
        stage.world.must("hub", op.ExtendBatch(batch="corc-1", observations=seen, evidence=EVIDENCE))
        stage.later(60_000)
        assert len(await hub.intake.retry("puro")) == 2
        assert tell((await poller.poll()).taken) == ["attested", "attested", "contradicted"]
        assert cursor.read() == "5"
        lots = (await stage.ledger.find_lots(WHOLE.space, UNITS + 1, UNITS + 4)).lots
        states = {each.lot.state for each in lots}
        assert states == {"RETIRED"}

    play(story)


# -- by file


def sign_file(path: Path, document: bytes) -> None:
    whole = jws.serialize_compact({"alg": "HS256"}, document, OctKey.import_key(KEY.material))
    path.with_name(path.name + ".jws").write_text(jws.detach_content(whole))


def test_a_partial_file_then_the_whole_then_the_same_again_is_read_once(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await retire_there(stage, 10, 19)
        stage.sandbox.tell()
        document, path = stage.sandbox.notices.waiting[0].body, tmp_path / "day.json"

        def folder() -> DropFolder:
            return DropFolder(tmp_path, "puro", stage.adapter, lambda registry: [KEY], open_hub(stage).intake)

        reader = folder()
        path.write_bytes(document[:20])
        assert [each.refusal.why for each in await reader.look() if each.refusal] == [Why.NO_SIGNATURE]
        sign_file(path, document)
        assert [each.refusal.why for each in await reader.look() if each.refusal] == [Why.BAD_SIGNATURE]
        assert await reader.look() == [], "told once"
        path.write_bytes(document)
        (dropped,) = await reader.look()
        assert [each.outcome for each in dropped.taken] == [Outcome.CONTRADICTED]
        said = len(stage.ledger.said)
        for each in (reader, folder()):
            path.write_bytes(document)
            sign_file(path, document)
            assert [d.refusal.why for d in await each.look() if d.refusal] == [Why.REPLAYED]
            assert not path.exists()
        assert len(stage.ledger.said) == said

    play(story)


@pytest.mark.parametrize("took_effect", [False, True], ids=["failed", "answer lost"])
def test_a_file_that_could_not_be_recorded_is_taken_at_the_next_look(tmp_path: Path, took_effect: bool) -> None:
    async def story(stage: Stage) -> None:
        await retire_there(stage, 10, 19)
        stage.sandbox.tell()
        path = tmp_path / "day.json"
        path.write_bytes(stage.sandbox.notices.waiting[0].body)
        sign_file(path, path.read_bytes())
        lose_answer(op.Attest, stage.ledger, took_effect=took_effect)

        def folder() -> DropFolder:
            return DropFolder(tmp_path, "puro", stage.adapter, lambda registry: [KEY], open_hub(stage).intake)

        with pytest.raises(LedgerError):
            await folder().look()
        assert path.exists()
        (dropped,) = await folder().look()
        assert dropped.refusal is None
        assert not path.exists()
        assert len(await stage.ledger.discrepancies()) == 1

    play(story)


def test_a_file_that_is_too_large_is_not_opened(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        with (tmp_path / "huge").open("wb") as file:
            file.truncate(2 << 30)
        folder = DropFolder(tmp_path, "puro", stage.adapter, lambda registry: [KEY], open_hub(stage).intake)
        assert [each.refusal.why for each in await folder.look() if each.refusal] == [Why.TOO_LARGE]

    play(story)
