"""What a registry does by itself, over its admin side: on the books, as news, and one line for what is wrong."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from adapters.contract import Driver, Holdings, Settings
from adapters.des.signing import print_public_key, read_signing_key
from adapters.sandbox.catalogue import SANDBOXES
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.faults import FaultKind
from adapters.sandbox.server import Sandbox
from adapters.systems import open_system
from hub.inbound.keys import parse_key
from hub.inbound.refusals import Verified
from hub.inbound.signed_file import check_signed_file

Say = Callable[..., Awaitable[tuple[int, Any]]]
PAGE = (Path(__file__).parents[3] / "docs" / "hub.md").read_text("utf-8")
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
VERRA = "19385-{}-{}-VCS-VCU-1507-VER-ET-14-1340-01012020-31122020-1"
TEN = VERRA.format(1340000010, 1340000019)
PURO_TEN = "PURO_PR_CORC100+_FI_643002_2024_40980b1a-cff7-4c78-9cc5-a3a2f18c7e0d_1-10"
PURO_ACCOUNT = "f4826423-21b9-4ee0-905d-311e758ee750"


def play(name: str, story: Callable[[Sandbox, Say], Awaitable[None]]) -> None:
    async def run() -> None:
        sandbox = SANDBOXES[name](SandboxClock())
        base = await sandbox.start()
        try:
            async with aiohttp.ClientSession() as session:

                async def say(path: str, **values: Any) -> tuple[int, Any]:
                    async with session.post(f"{base}/_admin/{path}", json=values) as answer:
                        return answer.status, await answer.json()

                await story(sandbox, say)
        finally:
            await sandbox.stop()

    asyncio.run(run())


def units(sandbox: Sandbox, state: str) -> int:
    return sum(row.serials.units for row in sandbox.book.rows() if row.state == state)


def test_what_nobody_asked_for_is_on_the_books_and_can_be_taken_back() -> None:
    async def story(sandbox: Sandbox, say: Say) -> None:
        assert await say("retire", account="8294", serials=TEN, reference="OWN-1") == (
            200,
            {"reference": "OWN-1", "units": 10},
        )
        assert (units(sandbox, "retired"), sandbox.book.effects()) == (10, {"OWN-1": 10})
        assert await say("undo", reference="OWN-1") == (200, {"undone": [TEN]})
        assert units(sandbox, "retired") == 0
        for act in ("block", "unblock"):
            assert (await say(act, account="8294", serials=[TEN]))[0] == 200
        more = [VERRA.format(first, first + 4) for first in (1_350_000_000, 1_350_000_010)]
        assert await say("issue", account="8294", serials=more) == (200, {"issued": 2, "units": 10})
        assert units(sandbox, "active") == 1_000_010

    play("verra", story)


def test_a_registry_behaves_as_it_is_set() -> None:
    async def story(sandbox: Sandbox, say: Say) -> None:
        assert await say("set", approval_ms="60000", from_start="true") == (
            200,
            {"approval_ms": "60000", "from_start": "True"},
        )
        assert (vars(sandbox)["approval_ms"], vars(sandbox)["from_start"]) == (60_000, True)

    play("puro", story)


def test_news_can_be_had_as_signed_files(tmp_path: Path) -> None:
    async def story(sandbox: Sandbox, say: Say) -> None:
        await say("retire", account=PURO_ACCOUNT, serials=PURO_TEN)
        _, told = await say("file", folder=str(tmp_path), secret=SECRET)
        (path,) = map(Path, told["files"])
        signature = path.with_name(path.name + ".jws").read_bytes()
        assert isinstance(check_signed_file([parse_key("drop", SECRET)], signature, path.read_bytes()), Verified)
        assert await say("file", folder=str(tmp_path), secret=SECRET) == (200, {"files": []})
        await say("undo", reference=sandbox.book.entries[-1].reference)
        _, told = await say("file", folder=str(tmp_path), secret=SECRET)
        assert "REVERSED" in Path(told["files"][0]).read_text()

    play("puro", story)


@pytest.mark.parametrize("name", SANDBOXES)
def test_the_credentials_that_a_sandbox_writes_open_it(name: str, tmp_path: Path) -> None:
    async def story(sandbox: Sandbox, say: Say) -> None:
        assert (await say("secrets", folder=str(tmp_path)))[0] == 200

        def read(wanted: str) -> str:
            return (tmp_path / wanted).read_text() if (tmp_path / wanted).exists() else ""

        accounts = tuple({row.account for row in sandbox.book.rows()})
        adapter = open_system(name, Driver.SANDBOX, Settings(sandbox.base_url, read, accounts))
        try:
            assert isinstance(await adapter.snapshot(), Holdings)
        finally:
            await adapter.close()

    play(name, story)


def test_letters_recognitions_and_proposals_of_parties() -> None:
    async def story(sandbox: Sandbox, say: Say) -> None:
        _, issued = await say("issue", serials="MMR-UN01-0009-2024-1-7125")
        assert issued["rest"] == "MMR-UN01-0009-2024-501-7125"
        rest, forwarded = issued["rest"], {"account": "PENDING", "to_account": "MMR-AP-0001"}
        assert (await say("transfer", serials=rest, **forwarded))[0] == 200
        letter = {"letter": "MMR-1", "party": "MMR", "purpose": "NDC", "serials": rest}
        assert (await say("authorize", **letter))[0] == 200
        proposed = {"identifier": "K-1", "account": "MMR-AP-0001", "to_account": "MMR-AP-0002"}
        status, found = await say("propose", **proposed, serials="MMR-UN01-0009-2024-501-600")
        assert status == 200
        assert (await say("recognise", party="MMR", reference=found["reference"]))[0] == 200
        _, revoked = await say("revoke", letter="MMR-1")
        assert revoked["restricted"] == ["MMR-UN01-0009-2024-601-7125"], "what waits for an answer is blocked already"

    play("unfccc", story)


def test_a_registry_that_reads_a_feed_says_what_it_lacks(tmp_path: Path) -> None:
    """How it reads on is in the pages of docs/article6.md, typed by a test."""

    async def story(sandbox: Sandbox, say: Say) -> None:
        nowhere = {"url": "http://127.0.0.1:1/article6/events"}
        status, said = await say("read", **nowhere)
        assert (status, "act subscribe folder=… first" in said["message"]) == (400, True)
        feed = tmp_path / "feed"
        status, said = await say("subscribe", folder=str(feed))
        assert status == 200
        assert sorted(each.name for each in feed.iterdir()) == ["feed-key", "reader:UN01"]
        key = (feed / "feed-key").read_text()
        assert print_public_key(read_signing_key(key)) == said["their key"]
        assert (await say("subscribe", folder=str(feed)))[1] == said
        assert (feed / "feed-key").read_text() == key, "what is there is left"
        status, said = await say("read", **nowhere)
        assert (status, nowhere["url"] in said["message"]) == (400, True)
        (feed / "feed-key").write_text("no key")
        status, said = await say("subscribe", folder=str(feed))
        assert (status, "32 bytes in base64url" in said["message"]) == (400, True)

    play("unfccc", story)


@pytest.mark.parametrize(
    ("path", "values", "status", "told"),
    [
        ("fly", {}, 404, "there are block, cancel"),
        ("retire", {"account": "8294"}, 400, "serials=… is needed"),
        ("retire", {"serials": TEN}, 400, "account=… is needed"),
        ("retire", {"account": "8294", "serials": "19385-7"}, 400, "19385-7"),
        ("retire", {"account": "7121", "serials": TEN}, 400, "not in 7121"),
        ("transfer", {"account": "8294", "serials": TEN}, 400, "to_account=… is needed"),
        ("undo", {"reference": "OWN-7"}, 400, "nothing here has the reference 'OWN-7'"),
        ("set", {"shows_owner": "perhaps"}, 400, "neither true nor false"),
        ("set", {"colour": "red"}, 400, "the settings shows_owner, shows_details"),
        ("webhook", {}, 400, "url is missing"),
    ],
)
def test_what_is_wrong_with_an_act_is_said(path: str, values: dict[str, str], status: int, told: str) -> None:
    async def story(sandbox: Sandbox, say: Say) -> None:
        before = len(sandbox.book.entries)
        found, said = await say(path, **values)
        assert (found, told in said["message"], len(sandbox.book.entries)) == (status, True, before), said

    play("verra", story)


def test_every_fault_act_and_setting_is_on_the_page() -> None:
    faults, _, acts = PAGE.partition("| fault |")[2].partition("| act |")
    for kind in FaultKind:
        assert f"| `{kind.value}` |" in faults
    for make in SANDBOXES.values():
        sandbox = make(SandboxClock())
        for name in (*sandbox.acts(), *sandbox.settings):
            assert f"`{name}`" in acts.partition("\n## ")[0], name
