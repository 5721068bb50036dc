"""A node that is behind, as after a restart, does not turn away a key that the others know by now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from google.rpc import error_details_pb2, status_pb2

from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from node.ledger_service import BEHIND_S, LedgerService
from node.verify import Verifier
from tests.fakes.consortium import Consortium, PlainSignatures, public_of
from tests.fakes.world import Person

OTHERS = ("v0", "v2", "v3")


class Aborted(Exception):
    """What gRPC raises in a handler that ended its call: the stable reason, and the text."""


class Call:
    """The context of a call that gives `patience_s`."""

    def __init__(self, patience_s: float | None = None) -> None:
        self._patience_s = patience_s

    def time_remaining(self) -> float | None:
        return self._patience_s

    async def abort_with_status(self, status: Any) -> None:
        ((_, raw),) = status.trailing_metadata
        info = error_details_pb2.ErrorInfo()
        assert status_pb2.Status.FromString(raw).details[0].Unpack(info)
        raise Aborted(info.reason, status.details)


def hand_in(net: Consortium, name: str, raw: bytes, call: Call = Call()) -> asyncio.Task[pb.SubmitResponse]:
    """Hand in at a node's service for clients."""
    verifier, entry = cast("Verifier", PlainSignatures()), public_of(name, "entry")
    service = LedgerService(net.nodes[name], net.stores[name], verifier, name, entry, net.clock_of(name))
    return asyncio.create_task(service.Submit(pb.SubmitRequest(submissions=[raw], brief=True), call))


async def inline(work: Callable[..., Any], *arguments: Any) -> Any:
    """In place of a thread."""
    return work(*arguments)


async def add_key_while_away(net: Consortium) -> bytes:
    """v1 stops, and the others decide that it has one more key; returns what the new key hands in."""
    await net.start()
    await net.do("v0", 2)
    await net.settled()
    await net.stop("v1")
    new = Person("new", "v1")
    await net.hand_in("v0", net.submission("v1", op.RotateKey(add=op.KeyGrant(**new.grant()._asdict()))))
    net.world.people["new"] = new
    return net.submission("new", op.OpenAccount(account="a-new", owner="v1"))


def test_a_node_that_just_began_looks_again_when_it_has_caught_up(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Consortium()
    monkeypatch.setattr(asyncio, "to_thread", inline)

    async def scenario() -> None:
        raw = await add_key_while_away(net)
        for other in OTHERS:
            net.network.cut("v1", other)
        await net.start("v1")
        handing = hand_in(net, "v1", raw)
        await asyncio.sleep(BEHIND_S / 2)
        assert not handing.done()
        net.network.heal()
        assert [each.reason for each in (await handing).results] == [0]
        await net.stop()

    net.run(scenario())


def test_a_node_that_hears_too_few_others_says_so_instead_of_judging_the_key() -> None:
    net = Consortium()

    async def scenario() -> None:
        raw = await add_key_while_away(net)
        for other in OTHERS[1:]:
            net.network.cut("v1", other)
        await net.start("v1")
        for patience_s, answered_s in ((None, BEHIND_S), (60.0, BEHIND_S), (10.0, 5.0)):
            began = net.loop.time()
            with pytest.raises(Aborted, match=r"UNKNOWN_KEY.*hand in at another") as caught:
                await hand_in(net, "v1", raw, Call(patience_s))
            assert caught.value.args[0] == "NODE_BEHIND"
            assert net.loop.time() - began == pytest.approx(answered_s, abs=0.5)
        await net.stop()

    net.run(scenario())


def test_a_node_that_is_as_far_as_the_others_turns_a_stranger_away_at_once() -> None:
    net = Consortium()

    async def scenario() -> None:
        await net.start()
        await net.do("v0", 2)
        await net.settled()
        net.world.people["stranger"] = Person("stranger", "v1")
        raw = net.submission("stranger", op.OpenAccount(account="a-new", owner="v1"))
        began = net.loop.time()
        with pytest.raises(Aborted) as caught:
            await hand_in(net, "v1", raw)
        assert (caught.value.args[0], net.loop.time() - began < 1) == ("UNKNOWN_KEY", True)
        await net.stop()

    net.run(scenario())
