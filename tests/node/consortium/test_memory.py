"""What a node remembers: kill it at any write, take its journal away, leave it behind; it never lies and gets there."""

from __future__ import annotations

import asyncio

import pytest

from keeling.encoding import U64
from keeling.v1 import operations_pb2 as op
from node.finality.events import Reason
from node.finality.journal import JOURNAL_RECORD, GaveLock, Voted
from node.held import complete_holds
from node.ledger import create_ledger
from node.store.contract import Batch, Family
from node.store.memory import MemoryStore
from tests.fakes.consortium import Consortium, public_of
from tests.fakes.faulty_store import FaultyStore


def states_agree(net: Consortium) -> bool:
    return len({tuple(net.state(name)) for name in net.validators}) == 1


def with_faulty_store(net: Consortium, name: str) -> FaultyStore:
    """A node that was started once, so that its next write is part of its work."""
    inner = MemoryStore()
    create_ledger(inner, net.genesis, public_of(name, "vote"))
    complete_holds(inner)
    store = net.stores[name] = FaultyStore(inner)
    return store


@pytest.mark.parametrize("took_effect", [False, True])
@pytest.mark.parametrize("commit", range(1, 10))
def test_killed_at_any_write_a_validator_keeps_its_word(commit: int, took_effect: bool) -> None:
    """Three of four run, so that the victim's votes are needed: it must repeat what it said, and say nothing else."""
    net = Consortium()

    async def scenario() -> None:
        store = with_faulty_store(net, "v0")
        store.fail_commit(commit, took_effect=took_effect)
        await net.start("v0", "v1", "v2")
        work = asyncio.create_task(net.do("v1", 4))
        await net.until(lambda: net.nodes["v0"].failure is not None)
        await net.stop("v0")
        net.stores["v0"] = store.restart()
        await net.start("v0")
        await work
        assert await net.settled() == 4
        assert net.state("v0") == net.state("v1")
        assert all(not node.chain.outlook.health.stopped for node in net.nodes.values())
        await net.stop()

    net.run(scenario())


def test_all_killed_after_a_vote_for_what_the_engine_then_lost() -> None:
    """Two voted and cannot vote again; the block can win no more where it was, so an epoch passes it."""
    net = Consortium()

    async def scenario() -> None:
        await net.start("v0", "v1")
        work = asyncio.create_task(net.do("v0"))
        await asyncio.sleep(1)
        work.cancel()
        await net.stop()
        net.engine.find(0).lose_tail(1)
        await net.start()
        await net.do("v3", 2)
        await net.settled()
        assert {node.chain.outlook.log.epoch for node in net.nodes.values()} == {1}
        assert states_agree(net)
        await net.stop()

    net.run(scenario())


def lose_journal(net: Consortium, name: str) -> None:
    gone = Batch()
    for key, _ in net.stores[name].scan(Family.JOURNAL):
        gone.delete(Family.JOURNAL, key)
    net.stores[name].commit(gone)


def test_a_validator_without_its_journal_observes() -> None:
    net = Consortium()

    async def scenario() -> None:
        await net.start()
        await net.do("v0", 2)
        await net.stop("v3")
        lose_journal(net, "v3")
        await net.start("v3")
        assert net.nodes["v3"].chain.outlook.health.stopped is Reason.JOURNAL_LOST
        await net.do("v0", 2)
        assert await net.settled() == 4
        await net.stop()

    net.run(scenario())


def test_a_validator_with_an_old_store_and_journal_is_found_out() -> None:
    """A machine snapshot brought back: peers show it a vote of its own that it does not remember."""
    net = Consortium()

    async def scenario() -> None:
        await net.start()
        await net.do("v0", 2)
        await net.settled()
        await net.stop("v3")
        old = {family: list(net.stores["v3"].scan(family)) for family in Family}
        await net.start("v3")
        await net.do("v0", 2)
        await net.settled()
        await net.stop("v3")
        restored = net.stores["v3"] = MemoryStore()
        batch = Batch()
        for family, rows in old.items():
            batch.update(family, rows)
        restored.commit(batch)
        await net.start("v3")
        await net.until(lambda: net.nodes["v3"].chain.outlook.health.stopped is Reason.JOURNAL_LOST)
        await net.do("v0", 2)
        assert await net.settled() == 6
        await net.stop()
        assert net.open_chain("v3").outlook.health.stopped is Reason.JOURNAL_LOST, "a restart does not forget it"
        assert states_agree(net)
        await net.stop()

    net.run(scenario())


def test_the_journal_stays_small() -> None:
    net = Consortium()

    async def scenario() -> None:
        await net.start()
        await net.do("v0", 30)
        await net.settled()
        for name in net.validators:
            records = [JOURNAL_RECORD.decode(raw) for _, raw in net.stores[name].scan(Family.JOURNAL, b"r", b"s")]
            assert sum(isinstance(item, Voted | GaveLock) for item in records) <= 4
            assert not list(net.stores[name].scan(Family.JOURNAL, b"b" + U64.encode(0), b"b" + U64.encode(30)))
        await net.stop()

    net.run(scenario())


@pytest.mark.parametrize("late", ["v3", "o0"])
def test_far_behind_it_catches_up_in_pages_while_the_rest_go_on(late: str) -> None:
    net = Consortium(observers=1)

    async def scenario() -> None:
        first = [name for name in (*net.validators, *net.observers) if name != late]
        await net.start(*first)
        await net.do("v0", 80)
        store = net.stores[late] = CountingStore()
        create_ledger(store, net.genesis, public_of(late, "vote"))
        await net.start(late)
        await net.do("v1", 20)
        assert await net.settled() == 100
        assert net.state(late) == net.state("v0")
        assert store.commits < 90, "final blocks are adopted together"
        await net.stop()

    net.run(scenario())


class CountingStore(MemoryStore):
    """Counts its writes."""

    def __init__(self) -> None:
        super().__init__()
        self.commits = 0

    def commit(self, batch: Batch) -> None:
        self.commits += 1
        super().commit(batch)


def test_one_write_for_a_block_where_nobody_else_votes() -> None:
    net = Consortium(1)

    async def scenario() -> None:
        store = net.stores["v0"] = CountingStore()
        create_ledger(store, net.genesis, public_of("v0", "vote"))
        await net.start()
        begun = store.commits
        await net.do("v0", 10)
        assert store.commits == begun + 10
        await net.stop()

    net.run(scenario())


@pytest.mark.parametrize("validators", [1, 4])
def test_a_hold_expires_although_nobody_does_anything(validators: int) -> None:
    """Ledger time moves with blocks alone, so somebody orders an empty one, once it is due and not before (E4)."""
    net = Consortium(validators)

    async def scenario() -> None:
        await net.start()
        for operation in (
            op.OpenAccount(account="A", owner="v0"),
            op.RegisterProject(project="p", programme="nat", name="P"),
            op.Issue(
                batch="b",
                project="p",
                programme="nat",
                space="s",
                first_number="1",
                units=9,
                extent=op.Issue.EXACT,
                account="A",
            ),
            op.Hold(
                hold=bytes(15) + b"h",
                account="A",
                selection=op.Selection(units=5),
                purpose=op.Hold.FOR_RETIREMENT,
                expires_ms=net.clock_of("v0")() + 30_000,
            ),
        ):
            answered = await net.hand_in("v0", net.submission("v0", operation))
            assert answered.submission.answers[0].reason == 0, answered.submission.answers[0].detail
        height = await net.settled()
        await asyncio.sleep(25)
        assert await net.settled() == height, "an idle network orders nothing"
        await asyncio.sleep(20)
        assert height < await net.settled() <= height + validators
        assert not list(net.stores["v0"].scan(Family.STATE, b"e", b"f"))
        height = await net.settled()
        await asyncio.sleep(60)
        assert await net.settled() == height
        await net.stop()

    net.run(scenario())


def test_a_fast_clock_delays_nothing_for_the_others() -> None:
    net = Consortium()

    async def scenario() -> None:
        net.clock_off_ms["v3"] = 3_600_000
        await net.start()
        await net.do("v0", 2)
        await net.do("v3", 2)
        await net.do("v1", 2)
        assert await net.settled() == 6
        assert net.nodes["v0"].chain.outlook.time_ms < net.clock_of("v0")() + 60_000
        await net.stop()

    net.run(scenario())
