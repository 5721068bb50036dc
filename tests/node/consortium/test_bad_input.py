"""What others send that is foreign, replayed, oversized, malformed or old: refused, and nobody stands still for it.

Blocks are in `test_catching_up`, snapshots in `tests.node.test_joining`, poison in `test_trouble`, oversized entries in
`tests.node.ordering.test_contract`, peers of another version and certificates for the wrong key in
`tests.node.peers.test_membership` and `tests.network.test_transport`, network files in `tests.network.test_plan`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from keeling.entry import Entry, format_entry
from keeling.epochs import SIGNED_REPORT
from keeling.votes import SIGNED_VOTE, Step, Vote, sign_vote
from node.peers.contract import CosignedMessage, EpochMessage, Message, ReportMessage, TipMessage, VoteMessage
from tests.fakes.consortium import Consortium, public_of, sign_as

M = TypeVar("M", bound=Message)
LIAR = "v3"
OVERSIZED = bytes(2 << 20)


def vote(net: Consortium, signer: str = LIAR, claimed: str = LIAR, **fields: Any) -> Message:
    """A vote for the height that comes next, by everybody's rules but for `fields` or who signed it."""
    outlook = net.nodes["v0"].chain.outlook
    policy, height = outlook.in_force.reign.policy.hash, outlook.height + 1
    content = Vote(net.genesis.network, policy, 0, height, 2 * height, b"\x07" * 32, bytes(32), Step.VOTE)
    changed = content._replace(**fields)
    return VoteMessage(SIGNED_VOTE.encode(sign_vote(changed, public_of(claimed, "vote"), sign_as(signer, "vote"))))


def genuine(net: Consortium, kind: type[M]) -> list[M]:
    """What somebody else has said before."""
    return [message for _, _, message in net.network.sent if isinstance(message, kind)]


MESSAGES: list[tuple[str, Callable[[Consortium], list[Message]]]] = [
    ("a foreign vote", lambda net: [vote(net, network=bytes(32))]),
    ("a vote under a foreign policy", lambda net: [vote(net, policy=bytes(32))]),
    ("a forged vote", lambda net: [vote(net, signer="x")]),
    ("a vote of somebody who has none", lambda net: [vote(net, signer="x", claimed="x")]),
    ("replayed votes", lambda net: genuine(net, VoteMessage)),
    ("an oversized vote", lambda net: [VoteMessage(OVERSIZED)]),
    ("a malformed vote", lambda net: [VoteMessage(m.signed[:-1]) for m in genuine(net, VoteMessage)]),
    ("votes far ahead", lambda net: [vote(net, height=height) for height in range(50, 500)]),
    ("votes of epochs to come", lambda net: [vote(net, epoch=epoch) for epoch in range(1, 200)]),
    ("a malformed report", lambda net: [ReportMessage(b"\x01"), ReportMessage(b"")]),
    ("an oversized report", lambda net: [ReportMessage(OVERSIZED)]),
    ("a malformed epoch", lambda net: [EpochMessage(b"\x01junk"), EpochMessage(OVERSIZED)]),
    (
        "lines of a checkpoint that are none",
        lambda net: [CosignedMessage(1, b"junk", True), CosignedMessage(9, OVERSIZED, True)],
    ),
    ("a tip nobody can have", lambda net: [TipMessage((1 << 63) - 1, (1 << 63) - 1, False)]),
]


def check_goes_on(net: Consortium, bad: Callable[[], None]) -> None:
    async def scenario() -> None:
        await net.start()
        await net.do("v0", 3)
        await net.settled()
        bad()
        await net.do("v1", 3)
        assert await net.settled() >= 6
        assert len({tuple(net.state(name)) for name in net.validators}) == 1
        assert [node.failure for node in net.nodes.values()] == [None] * 4
        assert [node.chain.outlook.health.stopped for node in net.nodes.values()] == [None] * 4
        assert {node.chain.outlook.log.epoch for node in net.nodes.values()} == {0}
        await net.stop()

    net.run(scenario())


@pytest.mark.parametrize("make", [row[1] for row in MESSAGES], ids=[row[0] for row in MESSAGES])
def test_bad_messages_are_passed_over(make: Callable[[Consortium], list[Message]]) -> None:
    net = Consortium()

    def bad() -> None:
        messages = make(net)
        assert messages, "nobody had said anything to be replayed"
        for message in messages:
            for name in ("v0", "v1", "v2"):
                net.nodes[name].on_message(LIAR, message)

    check_goes_on(net, bad)


def test_a_report_of_another_network_opens_nothing() -> None:
    other, net = Consortium(), Consortium()

    async def provoke() -> None:
        await other.start()
        for node in list(other.nodes.values()):
            await node.reseed()
        await other.do("v0", 1)
        await other.stop()

    other.run(provoke())
    reports = genuine(other, ReportMessage)
    assert reports
    foreign = []
    for message in reports:
        signed = SIGNED_REPORT.decode(message.signed)
        foreign.append(
            ReportMessage(SIGNED_REPORT.encode(signed._replace(report=signed.report._replace(network=bytes(32)))))
        )

    def bad() -> None:
        for message in foreign:
            for name in ("v0", "v1", "v2"):
                net.nodes[name].on_message(LIAR, message)

    check_goes_on(net, bad)


def entry(net: Consortium, number: int, network: bytes | None = None, author: str = LIAR, signer: str = LIAR) -> bytes:
    content = Entry(network or net.genesis.network, public_of(author, "entry"), number, net.clock_of(LIAR)(), ())
    return format_entry(content, sign_as(signer, "entry"))


def ordered(net: Consortium) -> list[bytes]:
    """The entries of the log so far."""
    return [each.entry for each in net.engine.find(0).read_as("", 1, 1_000).entries]


ENTRIES: list[tuple[str, Callable[[Consortium], bytes]]] = [
    ("a foreign entry", lambda net: entry(net, 1 << 60, network=bytes(32))),
    ("a forged entry", lambda net: entry(net, 1 << 60, author="v1", signer=LIAR)),
    ("an entry of a stranger", lambda net: entry(net, 1 << 60, author="x", signer="x")),
    ("an entry numbered too low", lambda net: entry(net, 1, author="v0", signer="v0")),
    ("a malformed entry", lambda net: b"no entry"),
    ("a torn entry", lambda net: ordered(net)[0][:-1]),
    ("an entry with a byte too many", lambda net: ordered(net)[0] + b"x"),
]


@pytest.mark.parametrize("make", [row[1] for row in ENTRIES], ids=[row[0] for row in ENTRIES])
def test_bad_entries_in_the_log_make_no_block(make: Callable[[Consortium], bytes]) -> None:
    net = Consortium()

    def bad() -> None:
        net.engine.find(0).slip_in(make(net))

    check_goes_on(net, bad)
    assert len({len(net.blocks(name)) for name in net.validators}) == 1


def test_an_old_entry_of_a_member_offered_again_makes_no_block_twice() -> None:
    net = Consortium()

    def bad() -> None:
        log = net.engine.find(0)
        for raw in ordered(net):
            log.slip_in(raw)

    check_goes_on(net, bad)
    assert len(net.blocks("v0")) == 6
