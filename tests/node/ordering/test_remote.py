"""A log behind gRPC when links, host and readers fail, and when the host lies."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from keeling.engine_word import check_engine_evidence
from node.ordering import remote
from node.ordering.contract import (
    ENTRY_BYTES_MAX,
    ORIGIN,
    Appended,
    LogShorter,
    LogUnreachable,
    Ordered,
    Ordering,
    Page,
    Unknown,
    begin_cursor,
    check_continuity,
)
from node.ordering.embedded import EmbeddedOrdering
from node.ordering.hosted import HostedLog, HostSigner
from node.ordering.segment_log import SegmentLog
from tests.fakes.ordering_hosts import LOG, OrderingNode, World, run
from tests.fakes.simulated_folder import SimulatedFolder


async def append_until_known(ordering: Ordering, entry: bytes) -> Appended:
    while not isinstance(answer := await ordering.append(entry), Appended):
        assert isinstance(answer, Unknown)
    return answer


async def read_when_there(ordering: Ordering, start: int) -> Page:
    while True:
        try:
            await ordering.wait(start)
            return await ordering.read(start, 100)
        except LogUnreachable:
            continue


def test_a_lost_answer_is_unknown_and_the_same_bytes_again_are_one_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def walk(world: World) -> None:
        host = (await world.start_host()).open()
        reader = world.reader("exchange").open()
        assert await reader.append(b"1") == Appended(1)
        monkeypatch.setattr(remote, "APPEND_S", 0.5)
        world.proxy.answers_lost = True
        answer = await reader.append(b"2")
        assert isinstance(answer, Unknown)
        assert "did not confirm the entry: DEADLINE_EXCEEDED" in answer.reason
        await host.wait(2)
        assert (await host.read(1, 10)).entries == (Ordered(1, b"1"), Ordered(2, b"2"))
        world.proxy.cut()
        assert isinstance(await reader.append(b"2"), Unknown)
        world.proxy.heal()
        monkeypatch.undo()
        assert await append_until_known(reader, b"2") == Appended(2)
        assert await reader.append(b"3") == Appended(3)

    run(tmp_path, walk)


def test_a_host_that_is_killed_and_restarted_has_everything_it_confirmed(tmp_path: Path) -> None:
    async def walk(world: World) -> None:
        host = await world.start_host()
        host.open()
        reader = world.reader("exchange").open()
        cursor = begin_cursor(LOG.epoch)
        confirmed: dict[int, bytes] = {}
        for number in range(3):
            for entry in (b"%d a" % number, b"%d b" % number):
                confirmed[(await append_until_known(reader, entry)).position] = entry
            under_way = asyncio.create_task(reader.append(b"%d c" % number))
            await asyncio.sleep(0)
            await host.close()
            answer = await under_way
            with pytest.raises(LogUnreachable, match="cannot be read at natreg now"):
                await reader.read(100, 1)
            host = await world.start_host()
            host.open()
            again = await append_until_known(reader, b"%d c" % number)
            assert not isinstance(answer, Appended) or answer == again
            confirmed[again.position] = b"%d c" % number
            while cursor.position < again.position:
                page = await read_when_there(reader, cursor.position + 1)
                cursor = check_continuity(cursor, page)
        assert dict((await reader.read(1, 100)).entries) == confirmed
        assert world.nodes["exchange"].evidence == []

    run(tmp_path, walk)


def test_a_torn_tail_costs_readers_nothing_they_were_shown(tmp_path: Path) -> None:
    async def walk(world: World) -> None:
        host = await world.start_host()
        host.open()
        reader = world.reader("exchange").open()
        for entry in (b"1", b"2"):
            await reader.append(entry)
        shown = await reader.read(1, 10)
        await host.close()
        (file,) = (world.path / "natreg").glob("*/*.segment")
        file.write_bytes(file.read_bytes() + b"\x00\x00\x00\x05torn")
        (await world.start_host()).open()
        assert await append_until_known(reader, b"3") == Appended(3)
        page = await reader.read(1, 10)
        assert page.entries == (*shown.entries, Ordered(3, b"3"))
        assert world.nodes["exchange"].evidence == []

    run(tmp_path, walk)


def test_a_waiting_reader_is_sent_every_entry_in_order_and_stops_a_stream_it_does_not_read(tmp_path: Path) -> None:
    async def walk(world: World) -> None:
        host = (await world.start_host()).open()
        reader = world.reader("exchange").open()
        waiting = asyncio.create_task(reader.wait(1))
        large = [bytes([number]) * (ENTRY_BYTES_MAX // 2) for number in range(16)]
        for entry in large:
            await host.append(entry)
        await waiting
        assert isinstance(reader, remote.RemoteOrdering)
        await reader.wait(3)
        while reader._ahead_bytes <= remote.AHEAD_BYTES_MAX:
            await asyncio.sleep(0.01)
        assert reader._ahead_bytes <= 2 * remote.AHEAD_BYTES_MAX, "the stream stopped"
        cursor, read = begin_cursor(LOG.epoch), list[bytes]()
        while len(read) < len(large):
            await reader.wait(len(read) + 1)
            page = await reader.read(len(read) + 1, 3)
            cursor = check_continuity(cursor, page)
            read += [entry for _, entry in page.entries]
        assert read == large
        await reader.wait(16)
        late = asyncio.create_task(reader.wait(17))
        await host.append(b"late")
        await late
        assert (await reader.read(17, 1)).entries == (Ordered(17, b"late"),)

    run(tmp_path, walk)


def test_a_stream_that_breaks_is_resumed_exactly(tmp_path: Path) -> None:
    async def walk(world: World) -> None:
        host = (await world.start_host()).open()
        reader = world.reader("exchange").open()
        cursor, read = begin_cursor(LOG.epoch), list[bytes]()
        for number in range(6):
            await host.append(b"%d" % number)
            page = await read_when_there(reader, cursor.position + 1)
            cursor = check_continuity(cursor, page)
            read += [entry for _, entry in page.entries]
            if number % 2:
                world.proxy.cut()
                with pytest.raises(LogUnreachable):
                    await reader.wait(cursor.position + 1)
                world.proxy.heal()
        assert read == [b"%d" % number for number in range(6)]

    run(tmp_path, walk)


async def other_log(host: OrderingNode, *entries: bytes) -> HostedLog:
    """A second log under the same name, signed by the same host."""
    ordering = EmbeddedOrdering(SegmentLog.create(SimulatedFolder(), LOG))
    for entry in entries:
        await ordering.append(entry)
    return HostedLog(ordering, host.engine._home.signer)


@pytest.mark.parametrize(
    ("second", "found"),
    [
        ((b"1", b"x", b"3"), True),  # as long, another entry
        ((b"1", b"x", b"3", b"4"), True),
        ((b"1", b"x"), True),  # shorter, and another entry
        ((b"1", b"2"), False),  # shorter: lost, which is a fault and no lie
        ((b"1", b"2", b"3", b"4"), False),
    ],
)
def test_a_host_that_shows_two_logs_is_proved_to_anybody(
    tmp_path: Path, second: tuple[bytes, ...], found: bool
) -> None:
    async def walk(world: World) -> None:
        host = await world.start_host()
        log = host.open()
        for entry in (b"1", b"2", b"3"):
            await log.append(entry)
        node = world.reader("exchange")
        reader = node.open()
        await reader.read(1, 10)
        host.instead[LOG] = await other_log(host, *second)
        await reader.read(1, 10)
        await reader.read(1, 10)
        assert len(node.evidence) == found, "each accusation once"
        for evidence in node.evidence:
            check_engine_evidence(evidence)
            assert evidence.first.key == host.engine._home.signer.key

    run(tmp_path, walk)


@pytest.mark.parametrize("longer", ["exchange", "group"])
def test_two_readers_that_were_shown_two_logs_find_out_from_each_others_words(tmp_path: Path, longer: str) -> None:
    async def walk(world: World) -> None:
        host = await world.start_host()
        shown: dict[str, tuple[bytes, ...]] = {"exchange": (b"1", b"2", b"3"), "group": (b"1", b"x", b"3")}
        shown[longer] += (b"4", b"5")
        readers = []
        for participant, entries in shown.items():
            host.instead[LOG] = await other_log(host, *entries)
            readers.append(world.reader(participant))
            await readers[-1].open().read(1, 10)
        exchange, group = readers
        assert exchange.evidence == group.evidence == []
        for node, other in ((exchange, group), (group, exchange)):
            for word in other.engine.words():
                node.engine.compare(word)
        host.instead[LOG] = await other_log(host, *shown["group"], b"6", b"7", b"8")
        await group.open().read(4, 10)
        host.instead[LOG] = await other_log(host, *shown["exchange"], b"6", b"7", b"8")
        await exchange.open().read(4, 10)
        for node in readers:
            assert len(node.evidence) == 1
            check_engine_evidence(node.evidence[0])

    run(tmp_path, walk)


def test_a_lost_tail_is_a_fault_of_the_log_and_evidence_of_nothing(tmp_path: Path) -> None:
    async def walk(world: World) -> None:
        host = await world.start_host()
        log = host.open()
        for entry in (b"1", b"2", b"3"):
            await log.append(entry)
        node = world.reader("exchange")
        reader = node.open()
        cursor = check_continuity(begin_cursor(LOG.epoch), await reader.read(1, 10))
        host.instead[LOG] = await other_log(host, b"1")
        with pytest.raises(LogShorter):
            check_continuity(cursor, await reader.read(4, 10))
        assert node.evidence == []

    run(tmp_path, walk)


def test_pages_not_signed_by_the_host_are_not_shown_and_stop_nothing(tmp_path: Path) -> None:
    async def walk(world: World) -> None:
        host = await world.start_host()
        right = host.open()
        await right.append(b"1")
        node = world.reader("exchange")
        reader = node.open()
        signer = host.engine._home.signer
        foreign = node.engine._home.signer
        for wrong, why in (
            (foreign, "not by the entry key"),
            (HostSigner(signer.network, signer.key, foreign.sign), "is not genuine"),
            (HostSigner(b"n" * 32, signer.key, signer.sign), "the word is on the log"),
        ):
            other = await other_log(host, b"forged")
            host.instead[LOG] = HostedLog(other.ordering, wrong)
            for call in (reader.read(1, 1), reader.wait(1)):
                with pytest.raises(LogUnreachable, match=why):
                    await call
        host.instead.clear()
        assert await reader.read(1, 1) == Page(ORIGIN, (Ordered(1, b"1"),))
        assert node.evidence == []

    run(tmp_path, walk)


def test_an_entry_that_was_confirmed_and_is_withheld_makes_the_log_unreachable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "SHOWN_S", 0.1)

    async def walk(world: World) -> None:
        host = await world.start_host()
        log = host.open()
        await log.append(b"1")
        reader = world.reader("exchange").open()
        assert len((await reader.read(1, 9)).entries) == 1
        waiting = asyncio.create_task(reader.wait(2))
        await asyncio.sleep(0.1)
        host.instead[LOG] = await other_log(host, b"1")
        assert await reader.append(b"2") == Appended(2)
        del host.instead[LOG]
        await waiting
        with pytest.raises(LogUnreachable, match="position 2 was confirmed, and is not shown"):
            await reader.read(2, 9)
        await log.append(b"2")
        assert (await read_when_there(reader, 2)).entries == (Ordered(2, b"2"),)

    run(tmp_path, walk)
