"""Engines that lie or are gone, entries that break execution, keys that lie, states that are wrong: what nodes do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from keeling.entry import Entry, format_entry
from keeling.v1 import operations_pb2 as op
from keeling.votes import EVIDENCE, SIGNED_VOTE, Step, Vote, check_evidence, sign_vote
from node.core import block as core_block
from node.core import tables
from node.finality.events import Reason
from node.incidents import VOTE_EVIDENCE, read_divergence, read_poison, scan_evidence
from node.intake import Full, Poisonous
from node.overlay import AHEAD_BLOCKS_MAX
from node.peers.contract import VoteMessage
from node.store.contract import Batch, Family
from tests.fakes.consortium import Consortium, public_of, sign_as


def states_agree(net: Consortium, *names: str) -> bool:
    return len({tuple(net.state(name)) for name in names or net.validators}) == 1


def test_a_part_that_takes_its_end_for_a_time_out_does_not_keep_the_node_from_stopping(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net = Consortium(1)
    told: list[str] = []

    async def deaf() -> None:
        while True:
            try:
                await asyncio.sleep(3_600)
            except asyncio.CancelledError:
                told.append("again" if told else "once")
                if len(told) > 1:
                    raise

    async def scenario() -> None:
        monkeypatch.setattr("node.replica._HEED_S", 0.05)
        monkeypatch.setattr("node.accusing.Accusing.run", lambda _: deaf())
        await net.start("v0")
        await net.do("v0", 1)
        await net.stop()
        assert told == ["once", "again"]

    net.run(scenario(), 60)


def test_an_engine_that_shows_one_node_something_else_is_outvoted() -> None:
    net = Consortium()

    async def scenario() -> None:
        await net.start()
        await net.do("v0", 2)
        network, key = net.genesis.network, public_of("v1", "entry")
        lie = format_entry(Entry(network, key, 1 << 60, net.clock_of("v1")(), ()), sign_as("v1", "entry"))
        net.engine.find(0).show_instead("v3", 3, lie)
        await net.do("v0", 3)
        assert await net.settled() >= 5
        assert states_agree(net)
        assert net.nodes["v3"].chain.outlook.health.stopped is None
        await net.stop()

    net.run(scenario())


def test_an_engine_that_splits_the_validators_costs_an_epoch_and_no_submission() -> None:
    net = Consortium()

    async def scenario() -> None:
        await net.start()
        await net.do("v0", 2)
        network, key = net.genesis.network, public_of("v1", "entry")
        lie = format_entry(Entry(network, key, 1 << 50, net.clock_of("v1")(), ()), sign_as("v1", "entry"))
        for name in ("v2", "v3"):
            net.engine.find(0).show_instead(name, 3, lie)
        answered = await net.do("v0", 2)
        assert [a.submission.answers[0].reason for a in answered] == [0, 0]
        await net.settled()
        assert states_agree(net)
        assert {node.chain.outlook.log.epoch for node in net.nodes.values()} == {1}
        await net.stop()

    net.run(scenario())


def test_an_engine_that_loses_what_it_acknowledged_is_left() -> None:
    net = Consortium()

    async def scenario() -> None:
        await net.start()
        await net.do("v0", 3)
        await net.settled()
        net.engine.find(0).lose_tail(2)
        await net.do("v1", 2)
        await net.settled()
        assert states_agree(net)
        assert {node.chain.outlook.log.epoch for node in net.nodes.values()} == {1}
        await net.stop()

    net.run(scenario())


def test_an_engine_out_of_reach_is_left_by_agreement() -> None:
    net = Consortium()

    async def scenario() -> None:
        await net.start()
        await net.do("v0")
        for name in ("v0", "v1", "v2"):
            net.engines[name].cut_off()
        await net.until(lambda: not net.nodes["v1"].engine_ok)
        waiting = asyncio.create_task(net.do("v0"))
        await net.until(lambda: net.nodes["v3"].chain.outlook.log.epoch == 1)
        for name in ("v0", "v1", "v2"):
            net.engines[name].is_down = False
        (answered,) = await waiting
        assert answered.submission.answers[0].reason == 0
        await net.settled()
        assert states_agree(net)
        await net.stop()

    net.run(scenario())


def test_an_operator_opens_an_epoch_and_names_its_log() -> None:
    net = Consortium()

    async def scenario() -> None:
        await net.start()
        await net.do("v0", 2)
        for name in ("v0", "v1"):
            await net.nodes[name].reseed("moved@v2")
        await net.until(lambda: {n.chain.outlook.log.name for n in net.nodes.values()} == {"moved@v2"})
        await net.do("v3", 2)
        height = await net.settled()
        await net.restart()
        assert {n.chain.outlook.log for n in net.nodes.values()} == {(1, "moved@v2")}
        await net.do("v1")
        assert await net.settled() == height + 1
        await net.stop()

    net.run(scenario())


def poison_with(monkeypatch: pytest.MonkeyPatch, raw: bytes) -> None:
    """Make every node's execution fail at this submission, as a fault in the rules would."""
    genuine = core_block._execute_submission

    def fail(*arguments: Any) -> Any:
        if raw in arguments:
            raise RecursionError("planted")
        return genuine(*arguments)

    monkeypatch.setattr(core_block, "_execute_submission", fail)


@pytest.mark.parametrize("validators", [1, 4])
def test_poison_costs_an_epoch_and_is_never_offered_again(validators: int, monkeypatch: pytest.MonkeyPatch) -> None:
    net = Consortium(validators)

    async def scenario() -> None:
        await net.start()
        await net.do("v0")
        raw = net.submission("v0")
        poison_with(monkeypatch, raw)
        with pytest.raises(Poisonous):
            await net.hand_in("v0", raw)
        await net.until(lambda: all(node.chain.outlook.log.epoch == 1 for node in net.nodes.values()))
        for name in net.validators:
            with pytest.raises(Poisonous):
                await net.hand_in(name, raw)
            assert len(read_poison(net.stores[name])[0]) == 1
        await net.do("v0", 2)
        await net.settled()
        assert states_agree(net)
        await net.restart()
        await net.do("v0")
        await net.stop()

    net.run(scenario())


def test_two_votes_of_one_key_are_kept_as_evidence() -> None:
    net = Consortium()

    async def scenario() -> None:
        await net.start("v0", "v1", "v2")
        await net.do("v0")
        policy = net.nodes["v0"].chain.finality.reign.policy
        for root in (bytes(32), bytes([1] * 32)):
            vote = Vote(net.genesis.network, policy.hash, 0, 2, 9, root, bytes(32), Step.VOTE)
            signed = sign_vote(vote, public_of("v3", "vote"), sign_as("v3", "vote"))
            net.nodes["v0"].on_message("v3", VoteMessage(SIGNED_VOTE.encode(signed)))
        await net.until(lambda: bool(list(scan_evidence(net.stores["v0"], VOTE_EVIDENCE))))
        (raw,) = scan_evidence(net.stores["v0"], VOTE_EVIDENCE)
        check_evidence(EVIDENCE.decode(raw), policy)
        await net.stop()

    net.run(scenario())


def test_a_node_with_a_wrong_state_stops_and_says_where() -> None:
    net = Consortium()

    async def scenario() -> None:
        await net.start()
        await net.do("v0", 2)
        await net.settled()
        await net.stop("v3")
        changed = Batch()
        changed.delete(Family.STATE, tables.ACCOUNT_NUMBERS.key("a-1"))
        net.stores["v3"].commit(changed)
        await net.start("v3")
        await net.hand_in("v0", net.submission("v0", op.OpenAccount(account="a-1", owner="v0")))
        await net.until(lambda: net.nodes["v3"].chain.outlook.health.stopped is Reason.DIVERGED)
        await net.do("v0", 2)
        assert net.nodes["v3"].height == 2
        assert len(net.blocks("v0")) == 5
        found = read_divergence(net.stores["v3"])
        assert found is not None
        assert (found.height, "A" in found.differing) == (3, True)
        await net.stop()

    net.run(scenario())


def test_a_node_whose_state_breaks_execution_of_what_others_certified_stops_too() -> None:
    net = Consortium()

    async def scenario() -> None:
        await net.start()
        await net.do("v0", 2)
        await net.settled()
        await net.stop("v3")
        damaged = Batch()
        damaged.put(Family.STATE, tables.ACCOUNT_NUMBERS.key("a-1"), b"no number")
        net.stores["v3"].commit(damaged)
        await net.start("v3")
        await net.hand_in("v0", net.submission("v0", op.OpenAccount(account="a-1", owner="v0")))
        await net.until(lambda: net.nodes["v3"].chain.outlook.health.stopped is Reason.DIVERGED)
        await net.do("v0")
        assert (net.nodes["v3"].height, len(net.blocks("v0"))) == (2, 4)
        await net.stop()

    net.run(scenario())


def test_a_flood_of_entries_stops_reading_and_closes_the_door_until_blocks_are_final() -> None:
    net = Consortium()

    async def scenario() -> None:
        await net.start("v0", "v1")
        await asyncio.sleep(1)
        for number in range(1, 81):
            entry = Entry(net.genesis.network, public_of("v2", "entry"), number, net.clock_of("v2")(), ())
            await net.engine.find(0).append(format_entry(entry, sign_as("v2", "entry")))
        await net.until(lambda: net.nodes["v0"].chain.outlook.is_full)
        assert len(net.nodes["v0"].chain.overlay.layers) == AHEAD_BLOCKS_MAX
        with pytest.raises(Full, match="try again"):
            await net.do("v0")
        await net.start("v2", "v3")
        await net.until(lambda: net.nodes["v0"].height == 80)
        await net.do("v0")
        await net.settled()
        assert states_agree(net)
        await net.stop()

    net.run(scenario())
