"""Four validators on good days and with one of them missing, late or only watching."""

from __future__ import annotations

import asyncio

import pytest

from keeling.checkpoint import check_final
from keeling.policy import parse_policy
from keeling.reasons import Reason
from node.archive import height_key
from node.intake import Observing
from node.ledger import read_published
from node.store.contract import Family
from tests.fakes.consortium import Consortium


def test_four_validators_agree_and_publish_a_checkpoint() -> None:
    net = Consortium()

    async def scenario() -> None:
        await net.start()
        answered = [*await net.do("v0", 3), *await net.do("v2", 3)]
        assert [a.submission.answers[0].reason for a in answered] == [0] * 6
        height = await net.settled()
        assert height == 6
        assert len({tuple(net.blocks(name)) for name in net.validators}) == 1
        assert len({tuple(net.state(name)) for name in net.validators}) == 1
        await net.until(lambda: all(read_published(net.stores[name]) == height for name in net.validators))
        for name in net.validators:
            note = net.stores[name].get(Family.BLOCKS, height_key(b"k", height))
            assert note is not None
            final = check_final(note, parse_policy(net.genesis.policy))
            assert final.checkpoint.root == net.nodes[name].chain.outlook.root
        await net.stop()

    net.run(scenario())


def test_all_write_at_once() -> None:
    net = Consortium()

    async def scenario() -> None:
        await net.start()
        await asyncio.gather(*(net.do(name, 5) for name in net.validators))
        await net.settled()
        assert len({tuple(net.state(name)) for name in net.validators}) == 1
        await net.stop()

    net.run(scenario())


def test_one_of_four_is_not_missed_and_catches_up() -> None:
    net = Consortium()

    async def scenario() -> None:
        await net.start("v0", "v1", "v2")
        await net.do("v0", 5)
        await net.start("v3")
        assert await net.settled() == 5
        await net.do("v3", 2)
        assert await net.settled() == 7
        assert len({tuple(net.state(name)) for name in net.validators}) == 1
        await net.stop()

    net.run(scenario())


def test_two_of_four_decide_nothing_and_say_who_is_missing() -> None:
    net = Consortium()

    async def scenario() -> None:
        await net.start("v0", "v1")
        waiting = asyncio.create_task(net.do("v0"))
        await asyncio.sleep(5)
        assert not waiting.done()
        health = net.nodes["v0"].chain.outlook.health
        missing = {net.nodes["v0"].roster.by_vote_key[key] for key in health.missing}
        assert missing == {"v2", "v3"}
        await net.start("v2")
        await waiting
        assert net.nodes["v0"].height == 1
        await net.stop()

    net.run(scenario())


def test_an_observer_executes_everything_and_orders_nothing() -> None:
    net = Consortium(observers=1)

    async def scenario() -> None:
        await net.start()
        await net.do("v1", 4)
        assert await net.settled() == 4
        assert net.state("o0") == net.state("v1")
        assert not net.nodes["o0"].may_author
        await net.stop()

    net.run(scenario())


def test_a_submission_at_two_nodes_has_one_effect_and_two_answers() -> None:
    net = Consortium()

    async def scenario() -> None:
        await net.start()
        raw = net.submission("v0")
        first, second = await asyncio.gather(net.hand_in("v0", raw), net.hand_in("v1", raw))
        reasons = {first.submission.answers[0].reason, second.submission.answers[0].reason}
        assert reasons in ({Reason.ACCEPTED}, {Reason.ACCEPTED, Reason.DUPLICATE})
        again = await net.hand_in("v3", raw)
        assert again.submission.answers[0].reason == Reason.DUPLICATE
        await net.settled()
        assert len({tuple(net.state(name)) for name in net.validators}) == 1
        await net.stop()

    net.run(scenario())


def test_an_observer_orders_nothing_and_names_who_does() -> None:
    net = Consortium(observers=1)

    async def scenario() -> None:
        await net.start()
        with pytest.raises(Observing, match=r"hand in at a validator \(v0, v1, v2, v3\)"):
            await net.hand_in("o0", net.submission("o0"))
        await net.hand_in("v0", net.submission("o0"))
        await net.settled()
        await net.stop()

    net.run(scenario())
