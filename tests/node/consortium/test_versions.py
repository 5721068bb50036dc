"""Rules of a later release come into force: a node without them stops there, blames nobody, and goes on with them."""

from __future__ import annotations

import pytest

from keeling import block as block_module
from keeling.v1 import operations_pb2 as op
from node.core.governance.versions import find_unknown_rules
from node.health import describe_health
from node.incidents import read_poison
from node.intake import Observing
from tests.fakes.consortium import Consortium
from tests.node.consortium.test_membership import decide, states_agree


async def activate(net: Consortium, ahead: int) -> int:
    """Decide version 2 for a height so far ahead; returns the last height of version 1."""
    height = await net.settled()
    await decide(net, "v0", op.ActivateVersion(version=2, height=height + 1 + ahead), "v1", "v2")
    return height + ahead


def test_all_stop_at_the_height_and_go_on_with_the_release(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Consortium()

    async def scenario() -> None:
        await net.start()
        last = await activate(net, 3)
        await net.do("v1", 2)
        assert await net.settled() == last
        for name in net.validators:
            node = net.nodes[name]
            health = describe_health(node, 0)
            assert (health.text.partition(":")[0], health.serving) == ("upgrade", False)
            assert read_poison(net.stores[name]) == (set(), set())
            assert node.chain.outlook.log.epoch == 0
        with pytest.raises(Observing, match="rules version 2 is in force, this release knows 1"):
            await net.do("v1")
        monkeypatch.setattr(block_module, "RULES_KNOWN", (1, 2))
        await net.restart()
        await net.do("v2", 2)
        assert await net.settled() == last + 2
        assert states_agree(net)
        await net.stop()

    net.run(scenario())


def test_one_without_the_release_stops_while_the_rest_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_module, "RULES_KNOWN", (1, 2))
    net = Consortium()

    async def scenario() -> None:
        await net.start()
        behind = net.nodes["v3"].chain

        def find() -> str:
            with monkeypatch.context() as patched:
                patched.setattr(block_module, "RULES_KNOWN", (1,))
                return find_unknown_rules(behind.overlay.state, behind.overlay.head.height + 1)

        monkeypatch.setattr(behind, "_find_upgrade", find)
        last = await activate(net, 3)
        await net.do("v1", 6)
        await net.until(lambda: behind.outlook.height == last)
        assert describe_health(net.nodes["v3"], 0).text.startswith("upgrade: ")
        assert behind.outlook.health.stopped is None
        assert {net.nodes[name].height for name in ("v0", "v1", "v2")} == {last + 4}
        assert read_poison(net.stores["v3"]) == (set(), set())
        await net.restart()
        await net.do("v3", 2)
        assert await net.settled() == last + 6
        assert states_agree(net)
        await net.stop()

    net.run(scenario())
