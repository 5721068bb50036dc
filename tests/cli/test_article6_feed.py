"""The feed of our Article 6 events with events in it: a real node, the hub a process of its own, two other registries.

Each reader keeps its own cursor and nothing else; every page and every event carries our signature. The hub is killed
and its folder deleted, the node is stopped and started, and both readers go on where they were.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from adapters.des.signing import SignatureError, read_signing_key
from adapters.sandbox.feed_reader import FeedReader
from hub.adjustments.feed import KINDS, PATH
from hub.service.config import load_config
from hub.service.running import open_ledger
from tests.adapters.article6_stand import OTHER_SEED, public_of
from tests.cli.command_line import Keeling
from tests.cli.hub_stage import HubProcess
from tests.cli.running_node import RunningNode
from tests.cli.test_article6 import KEYS, PEOPLE, prepare

SEEDS = {"UN01": "dW4gcmVnaXN0cnkgc2VlZCwgMzIgYnl0ZXMgb2YgaXQ", "CHE01": "c3dpc3MgcmVnaXN0cnkgc2VlZCAzMiBieXRlcyBvZiA"}
FILE = """participant = "natreg"
listen = "127.0.0.1:0"
[article6]
code = "HUB01"
secrets = "feed"
[[registries]]
name = "puro"
url = "http://127.0.0.1:1"
poll_ms = 0
reconcile_ms = 0
"""
LETTER = ("--date", "2026-03-05", "--document", "letter.txt")


class Feeding:
    """The node and the hub beside it, each a process that may be lost."""

    def __init__(self, keeling: Keeling) -> None:
        self.keeling = keeling
        self.folder: Path = keeling.init(*PEOPLE).root
        self.hub: HubProcess | None = None
        self.start_node()
        (keeling.root / "group.toml").write_text(FILE)
        feed = keeling.root / "feed"
        feed.mkdir()
        (feed / "feed-key").write_text(OTHER_SEED)
        for code, seed in SEEDS.items():
            (feed / f"reader:{code}").write_text(public_of(seed))

    def start_node(self) -> None:
        self.node = RunningNode(self.folder)
        self.keeling.point_to(self.node.address)

    def start_hub(self) -> str:
        """Returns where the feed is."""
        self.hub = HubProcess(self.keeling, "group.toml")
        return f"http://{self.hub.address}{PATH}"

    def close(self) -> None:
        if self.hub is not None and self.hub.process.poll() is None:
            self.hub.kill()
        self.node.stop()

    def told_by_the_ledger(self) -> list[tuple[str, str]]:
        """Place and kind of every event that is for the feed, as the node itself tells them."""

        async def read() -> list[tuple[str, str]]:
            async with open_ledger(load_config(self.keeling.root / "group.toml"), None) as ledger:
                pages = [page async for page in ledger.watch(None, until_now=True)]
            events = [event for page in pages for event in page.events if event.kind in KINDS]
            return [(f"{each.place.height}.{each.place.ordinal}", each.kind) for each in events]

        return asyncio.run(read())


@pytest.fixture
def feeding(keeling: Keeling, monkeypatch: pytest.MonkeyPatch) -> Iterator[Feeding]:
    monkeypatch.setenv("KEELING_HOME", str(keeling.home))
    made = Feeding(keeling)
    try:
        yield made
    finally:
        made.close()


def reader(url: str, code: str, *, own: str = "", theirs: str = OTHER_SEED, cursor: str = "") -> FeedReader:
    return FeedReader(url, code, read_signing_key(own or SEEDS[code]), public_of(theirs), cursor)


def places(heard: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["id"], each["kind"]) for each in heard]


def test_two_registries_read_what_happened_and_go_on_after_everything_was_restarted(feeding: Feeding) -> None:
    keeling = feeding.keeling
    prepare(keeling)
    url = feeding.start_hub()
    swiss = reader(url, "CHE01")
    assert asyncio.run(swiss.read_on()) == 0, "nothing has happened yet"
    keeling.must(
        *("authorize", "create", "GHA-CHE-1", "--party", "GHA", "--approach", "CA0004", *LETTER),
        *("--purpose", "ndc", "--batch", "N1", "--for-party", "CHE", "--timeframe", "2021-2030", "--cap", "1,000"),
        *("--sector", "Waste management", "--mitigation-type", "Emission reductions", "--as", KEYS["gha"]),
    )
    for units in ("300", "100"):
        keeling.must(
            "transfer", units, "--from", "gh", "--to", "ch", "--as", KEYS["cocoa"], "--effective", "2026-04-01"
        )
    united = reader(url, "UN01")
    assert asyncio.run(swiss.read_on()) == asyncio.run(united.read_on(limit=1)) > 3, "in one page, and one by one"
    before = feeding.told_by_the_ledger()
    assert places(swiss.heard) == places(united.heard) == before
    assert {"AUTHORIZED", "ITMO_ACTION", "ADJUSTED"} <= {kind for _, kind in before}
    assert (united.total_adjusted("GHA"), united.total_adjusted("CHE")) == (400, 0)
    check_signatures(url)

    assert feeding.hub is not None
    feeding.hub.kill()
    shutil.rmtree(keeling.root / "hub", ignore_errors=True)
    feeding.node.stop()
    feeding.start_node()
    keeling.must("use", "150", "--from", "ch", "--for", "ndc", "--year", "2026", "--as", KEYS["alps"])
    url = feeding.start_hub()
    after = feeding.told_by_the_ledger()
    assert after[: len(before)] == before
    for old in (swiss, united):
        code = "CHE01" if old is swiss else "UN01"
        again = reader(url, code, cursor=old.cursor)
        assert asyncio.run(again.read_on(limit=2)) == len(after) - len(before) > 0
        assert places(again.heard) == after[len(before) :], "what was heard is not told again, and nothing is left out"
        assert again.total_adjusted("CHE") == -150
        assert asyncio.run(again.read_on()) == 0
    whole = reader(url, "UN01")
    asyncio.run(whole.read_on())
    assert whole.heard[: len(before)] == united.heard, "the same events, with the same words, for whoever asks again"


def check_signatures(url: str) -> None:
    """Who is not us is not believed, and who is not a reader is not answered."""
    with pytest.raises(SignatureError):
        asyncio.run(reader(url, "UN01", theirs=SEEDS["CHE01"]).read_on())
    for code, own in (("UN01", SEEDS["CHE01"]), ("GHA01", OTHER_SEED)):
        with pytest.raises(aiohttp.ClientResponseError, match="401"):
            asyncio.run(reader(url, code, own=own).read_on())
