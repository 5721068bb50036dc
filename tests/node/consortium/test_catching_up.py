"""Catching up from peers: a lying one is left for another, and a state that went wrong is found and named."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from keeling.block import format_header, parse_header
from keeling.v1 import operations_pb2 as op
from node.archive import height_key
from node.core import tables
from node.finality.events import Reason
from node.incidents import read_divergence
from node.ledger import read_published
from node.peers.contract import FetchedBlock, FinalRecord
from node.replica import Replica
from node.store.contract import Batch, Family
from tests.fakes.consortium import Consortium


def altered(record: FinalRecord, other: FinalRecord, how: str) -> FinalRecord:
    """A final record as a liar hands it over; `other` is of another height."""
    match how:
        case "no header":
            return record._replace(header=b"junk")
        case "no certificate":
            return record._replace(certificate=b"junk")
        case "one signature forged":
            return record._replace(certificate=record.certificate[:-1] + bytes([record.certificate[-1] ^ 1]))
        case "certificate of another height":
            return record._replace(certificate=other.certificate)
        case "another entry":
            return record._replace(entry=other.entry)
        case "no entry":
            return record._replace(entry=b"")
        case "another place in the log":
            return record._replace(header=other.header)
        case "of another network":
            return record._replace(header=format_header(parse_header(record.header)._replace(network=bytes(32))))
        case "an earlier block again":
            return other
        case "an oversized entry":
            return record._replace(entry=record.entry + bytes(3 << 20))
        case _:
            return record._replace(checkpoint=b"junk")


LIES = (
    "no header",
    "no certificate",
    "one signature forged",
    "certificate of another height",
    "another entry",
    "no entry",
    "another place in the log",
    "of another network",
    "an earlier block again",
    "an oversized entry",
    "a note that is none",
)


class Liar:
    """In place of a node when others follow it: hands over final blocks, one of them altered."""

    def __init__(self, genuine: Replica, how: str) -> None:
        self._genuine = genuine
        self._how = how
        self.on_message = genuine.on_message
        self.on_connected = genuine.on_connected

    async def final_from(self, height: int) -> AsyncIterator[tuple[FinalRecord, ...]]:
        async for page in self._genuine.final_from(height):
            yield (*page[:1], altered(page[1], page[0], self._how), *page[2:]) if len(page) > 1 else page

    async def block_at(self, height: int, root: bytes) -> FetchedBlock | None:
        found = await self._genuine.block_at(height, root)
        return None if found is None else found._replace(entry=b"other")


@pytest.mark.parametrize("how", LIES)
def test_a_lying_peer_is_left_for_another(how: str) -> None:
    net = Consortium()

    async def scenario() -> None:
        await net.start("v0", "v1", "v2")
        await net.do("v0", 6)
        await net.until(lambda: all(read_published(net.stores[name]) == 6 for name in ("v0", "v1", "v2")))
        for name in ("v1", "v2"):
            net.network.up(name, Liar(net.nodes[name], how))
        await net.start("v3")
        assert await net.settled() == 6
        assert net.state("v3") == net.state("v0")
        assert net.blocks("v3") == net.blocks("v0")
        assert net.nodes["v3"].chain.outlook.health.stopped is None
        assert net.stores["v3"].get(Family.BLOCKS, height_key(b"k", 2)) != b"junk"
        await net.stop()

    net.run(scenario())


@pytest.mark.parametrize("name", ["v3", "o0"])
def test_a_state_that_went_wrong_is_found_while_catching_up(name: str) -> None:
    net = Consortium(observers=1)

    async def scenario() -> None:
        await net.start()
        await net.do("v0", 2)
        await net.settled()
        await net.stop(name)
        changed = Batch()
        changed.delete(Family.STATE, tables.ACCOUNT_NUMBERS.key("a-1"))
        net.stores[name].commit(changed)
        await net.do("v1", 2)
        await net.hand_in("v0", net.submission("v0", op.OpenAccount(account="a-1", owner="v0")))
        await net.do("v1", 2)
        await net.start(name)
        await net.until(lambda: net.nodes[name].chain.outlook.health.stopped is Reason.DIVERGED)
        assert net.nodes[name].height == 4
        found = read_divergence(net.stores[name])
        assert found is not None
        assert found.height == 5
        assert "A" in found.differing
        await net.restart(name)
        await net.do("v1")
        assert net.nodes[name].chain.outlook.health.stopped is Reason.DIVERGED
        assert net.nodes[name].height == 4
        await net.stop()

    net.run(scenario())


def test_notes_come_with_the_blocks() -> None:
    net = Consortium()

    async def scenario() -> None:
        await net.start("v0", "v1", "v2")
        await net.do("v0", 6)
        await net.until(lambda: read_published(net.stores["v0"]) == 6)
        await net.start("v3")
        await net.settled()
        notes = {name: net.stores[name].get(Family.BLOCKS, height_key(b"k", 3)) for name in ("v0", "v3")}
        assert notes["v3"]
        await net.until(lambda: read_published(net.stores["v3"]) == 6)
        await net.stop()

    net.run(scenario())
