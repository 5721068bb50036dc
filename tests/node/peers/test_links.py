"""Links between nodes over real gRPC and TLS: what arrives, what happens when a side is slow, gone, foreign or lies."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from keeling.v1 import peers_pb2 as pb
from node.peers import link, links
from node.peers.contract import (
    CosignedMessage,
    EpochMessage,
    FetchedBlock,
    FinalRecord,
    Message,
    PeerFailed,
    ReportMessage,
    TipMessage,
    VoteMessage,
)
from tests.fakes.peer_nodes import PeerNode, World, record, run, until_problem
from tests.fakes.proxy import Proxy

EVERY_KIND: list[Message] = [
    VoteMessage(b"vote"),
    ReportMessage(b"report"),
    EpochMessage(b"epoch"),
    CosignedMessage(7, b"lines", True),
    TipMessage(9, 1, False),
]


async def take(node: PeerNode, height: int, most: int) -> list[FinalRecord]:
    """The first `most` blocks that some peer gives from `height` on."""
    records: list[FinalRecord] = []
    pages = node.links.follow(height)
    async for page in pages:
        records += page
        if len(records) >= most:
            break
    await pages.aclose()  # type: ignore[attr-defined]
    return records


def test_messages_arrive_in_order_from_whom_they_are(tmp_path: Path) -> None:
    async def walk(world: World) -> None:
        one, two, three = await world.start("natreg", "exchange", "group")
        for message in EVERY_KIND:
            one.links.broadcast(message)
            two.links.send("natreg", message)
        for node in (two, three):
            await node.replica.until(lambda node=node: len(node.replica.heard) >= len(EVERY_KIND))
            assert node.replica.heard == [("natreg", message) for message in EVERY_KIND]
        await one.replica.until(lambda: len(one.replica.heard) >= len(EVERY_KIND))
        assert one.replica.heard == [("exchange", message) for message in EVERY_KIND]

    run(tmp_path, walk)


def test_votes_go_to_validators_tips_to_everybody_and_an_observers_votes_to_nobody(tmp_path: Path) -> None:
    async def walk(world: World) -> None:
        one, two, observer = await world.start("natreg", "exchange", "observer")
        one.links.broadcast(VoteMessage(b"vote"))
        one.links.announce(TipMessage(3, 0, True))
        observer.links.send("natreg", VoteMessage(b"not mine to give"))
        observer.links.send("natreg", TipMessage(2, 0, True))
        await observer.replica.until(lambda: observer.replica.heard)
        assert observer.replica.heard == [("natreg", TipMessage(3, 0, True))]
        await two.replica.until(lambda: len(two.replica.heard) == 2)
        await one.replica.until(lambda: one.replica.heard)
        assert one.replica.heard == [("observer", TipMessage(2, 0, True))]

    run(tmp_path, walk)


def test_a_node_nobody_can_call_takes_part_over_the_link_it_opened(tmp_path: Path) -> None:
    async def walk(world: World) -> None:
        one = await world.make("natreg").start()
        hidden = world.make("exchange")
        hidden.set_members()
        await hidden.connected("natreg")
        await one.connected("exchange")
        one.links.send("exchange", VoteMessage(b"down"))
        hidden.links.send("natreg", VoteMessage(b"up"))
        await hidden.replica.until(lambda: hidden.replica.heard)
        await one.replica.until(lambda: one.replica.heard)
        assert (hidden.replica.heard, one.replica.heard) == (
            [("natreg", VoteMessage(b"down"))],
            [("exchange", VoteMessage(b"up"))],
        )

    run(tmp_path, walk)


def test_a_node_that_was_killed_is_linked_again_and_both_sides_are_told(tmp_path: Path) -> None:
    async def walk(world: World) -> None:
        one, two = await world.start("natreg", "exchange")
        port = int(two.address.rpartition(":")[2])
        await two.kill()
        one.links.send("exchange", VoteMessage(b"lost, and said again by the machine"))
        again = world.make("exchange")
        before = one.replica.connected.count("exchange")
        await again.start(port=port)
        await again.connected("natreg")
        await one.replica.until(lambda: one.replica.connected.count("exchange") > before)
        one.links.send("exchange", VoteMessage(b"again"))
        await again.replica.until(lambda: ("natreg", VoteMessage(b"again")) in again.replica.heard)

    run(tmp_path, walk)


def test_a_slow_link_keeps_the_newest_and_counts_what_it_dropped() -> None:
    async def walk() -> None:
        outbox = link.Outbox()
        for height in range(3):
            outbox.put(TipMessage(height, 0, True))
        outbox.ping([b"old"])
        outbox.ping([b"new"])
        assert await outbox.take() == pb.PeerMessage(tip=pb.Tip(height=2, engine_ok=True)), "only the newest tip"
        assert await outbox.take() == pb.PeerMessage(ping=pb.Ping(words=[b"new"])), "and the newest sign of life"
        for number in range(link.QUEUE_MESSAGES_MAX + 5):
            outbox.put(VoteMessage(b"%d" % number))
        assert outbox.dropped == 5
        assert (await outbox.take()).vote == b"5"
        for _ in range(20):
            outbox.put(ReportMessage(bytes(1 << 20)))
        taken = [await outbox.take() for _ in range(len(outbox._waiting))]
        assert sum(raw.ByteSize() for raw in taken) <= link.QUEUE_BYTES_MAX
        assert {len(raw.report) for raw in taken} == {1 << 20}, "the votes were older"
        later = asyncio.create_task(outbox.take())
        await asyncio.sleep(0)
        assert not later.done(), "nothing waits any more"
        outbox.put(VoteMessage(b"late"))
        assert (await later).vote == b"late"

    asyncio.run(asyncio.wait_for(walk(), 120))


def test_a_silent_link_is_given_up_and_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "PING_S", 0.1)
    monkeypatch.setattr(link, "SILENCE_S", 2.0)

    async def walk(world: World) -> None:
        one = await world.make("natreg").start()
        async with Proxy(one.address) as proxy:
            two = PeerNode("exchange", world.folder, {"natreg": proxy.address})
            world.nodes.append(two)
            two.set_members()
            await two.connected("natreg")
            proxy.answers_lost = True
            await asyncio.sleep(0.3)
            (state,) = [state for state in two.links.describe() if state.participant == "natreg"]
            assert state.connected, "not yet"
            async with asyncio.timeout(60):
                while two.links.describe()[0].connected:
                    await asyncio.sleep(0.05)
            assert "nothing heard for" in two.links.describe()[0].problem
            proxy.answers_lost = False
            await two.connected("natreg")
            before = two.replica.connected.count("natreg")
            proxy.calls_lost = True
            await until_problem(one, "exchange", "nothing heard for")
            proxy.cut()
            proxy.heal()
            await two.replica.until(lambda: two.replica.connected.count("natreg") > before)
            two.links.send("natreg", VoteMessage(b"after"))
            await one.replica.until(lambda: one.replica.heard)

    run(tmp_path, walk)


def test_words_of_hosts_are_compared_among_validators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "PING_S", 0.05)

    async def walk(world: World) -> None:
        one, two, observer = await world.start("natreg", "exchange", "observer")
        two.words, observer.words = [b"word"] * 6, [b"an observer's"]
        async with asyncio.timeout(60):
            while len(one.compared) < 5:
                await asyncio.sleep(0.02)
        assert set(one.compared) == {b"word"}
        assert not two.compared

    run(tmp_path, walk)


def test_final_blocks_are_followed_exactly_from_any_height(tmp_path: Path) -> None:
    async def walk(world: World) -> None:
        one, two = await world.start("natreg", "exchange")
        two.replica.finish(300)
        assert await take(one, 1, 300) == [record(height) for height in range(1, 301)]
        middle = await take(one, 151, 10)
        assert middle == [record(height) for height in range(151, 151 + len(middle))]
        live = asyncio.create_task(take(one, 299, 12))
        for height in range(301, 311):
            await asyncio.sleep(0)
            two.replica.finish(height)
        assert (await live)[:12] == [record(height) for height in range(299, 311)]
        async with asyncio.timeout(60):
            while two.replica.following:
                await asyncio.sleep(0.01)

    run(tmp_path, walk)


def test_a_follower_that_does_not_read_is_waited_for_and_misses_nothing(tmp_path: Path) -> None:
    async def walk(world: World) -> None:
        one, two = await world.start("natreg", "exchange")
        two.replica.entry_bytes = 100_000
        two.replica.finish(1_000)
        pages = one.links.follow(1)
        records = list(await anext(pages))
        assert 1 <= len(records) <= 11, "a message fits a call"
        await asyncio.sleep(0.3)
        assert two.replica.given < 300, "the stream stopped"
        async for page in pages:
            records += page
            if len(records) >= 400:
                break
        assert [item.header for item in records] == [b"header %d" % at for at in range(1, len(records) + 1)]
        await pages.aclose()  # type: ignore[attr-defined]

    run(tmp_path, walk)


def test_another_peer_is_asked_when_one_has_nothing_stalls_or_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "STALLED_S", 0.3)

    async def walk(world: World) -> None:
        one, pruned, stalling, good = await world.start("natreg", "exchange", "group", "bank")
        good.replica.finish(5)
        pruned.replica.first = 100
        for node in (pruned, stalling, good):
            node.links.announce(TipMessage(5, 0, True))
        await one.replica.until(lambda: len(one.replica.heard) == 3)
        reasons = set()
        for _ in range(3):
            try:
                assert (await take(one, 1, 5))[:5] == [record(height) for height in range(1, 6)]
                reasons.add("")
            except PeerFailed as error:
                reasons.add(str(error))
        assert reasons == {
            "",
            "exchange gives no blocks from height 1 on: OUT_OF_RANGE: blocks below 100 were pruned here",
            "group gives no blocks from height 1 on: nothing came for 0 seconds",
        }
        alone = world.make("observer")
        with pytest.raises(PeerFailed, match="no peer can be asked"):
            await take(alone, 1, 1)

    run(tmp_path, walk)


def test_a_candidate_is_found_at_whoever_executed_it(tmp_path: Path) -> None:
    async def walk(world: World) -> None:
        one, two, three = await world.start("natreg", "exchange", "group")
        block = FetchedBlock(b"header", b"entry" * 100_000, bytes(64), b"")
        three.replica.candidates[7, b"r" * 32] = block
        assert await one.links.fetch_block(7, b"r" * 32) == block
        assert await one.links.fetch_block(7, b"s" * 32) is None
        await three.kill()
        assert await two.links.fetch_block(7, b"r" * 32) is None

    run(tmp_path, walk)
