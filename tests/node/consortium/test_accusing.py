"""Evidence that one node came by reaches all others, is checked there, and cannot be made up or piled up."""

from __future__ import annotations

import asyncio

import pytest

from keeling.votes import EVIDENCE, Evidence, SignedVote, Step, Vote, sign_vote
from node.accusing import PIECES_PER_KEY, EvidenceRefused, check_piece
from node.incidents import ENGINE_EVIDENCE, VOTE_EVIDENCE, scan_evidence
from node.peers.contract import EvidenceMessage
from tests.fakes.consortium import Consortium, PlainSignatures, public_of, sign_as

CHECK = PlainSignatures().check
LIAR = "v3"


def vote(net: Consortium, height: int, root: bytes, name: str = LIAR, network: bytes | None = None) -> SignedVote:
    policy = net.nodes["v0"].chain.outlook.in_force.reign.policy.hash
    content = Vote(network or net.genesis.network, policy, 0, height, 2 * height, root, bytes(32), Step.VOTE)
    return sign_vote(content, public_of(name, "vote"), sign_as(name, "vote"))


def two_votes(net: Consortium, height: int = 9) -> bytes:
    """The liar gave two votes for one height."""
    return EVIDENCE.encode(Evidence(vote(net, height, bytes(32)), vote(net, height, b"\x01" * 32)))


def kept(net: Consortium, name: str) -> list[bytes]:
    return list(scan_evidence(net.stores[name], VOTE_EVIDENCE))


def test_what_one_node_found_all_others_keep_also_those_that_come_later() -> None:
    net = Consortium()

    async def scenario() -> None:
        await net.start("v0", "v1", "v3")
        found = two_votes(net)
        await net.nodes["v0"].turn(net.nodes["v0"].chain.keep_evidence, VOTE_EVIDENCE, found)
        await net.until(lambda: kept(net, "v1") == kept(net, "v3") == [found])
        await net.stop("v0")
        await net.start("v2")
        await net.until(lambda: kept(net, "v2") == [found])
        await net.restart("v1")
        await net.do("v1", 1)
        await net.stop()

    net.run(scenario())


def test_made_up_evidence_is_kept_by_nobody_and_lies_do_not_pile_up() -> None:
    net = Consortium()

    async def scenario() -> None:
        await net.start()
        v0 = net.nodes["v0"]
        one, other = vote(net, 9, bytes(32)), vote(net, 9, b"\x01" * 32)
        foreign = vote(net, 9, bytes(32), network=bytes(32)), vote(net, 9, b"\x01" * 32, network=bytes(32))
        refused = [
            EvidenceMessage(VOTE_EVIDENCE, b"junk"),
            EvidenceMessage(ENGINE_EVIDENCE, b"junk"),
            EvidenceMessage(b"evidence/other/", two_votes(net)),
            EvidenceMessage(ENGINE_EVIDENCE, two_votes(net)),
            EvidenceMessage(VOTE_EVIDENCE, EVIDENCE.encode(Evidence(one, one))),
            EvidenceMessage(VOTE_EVIDENCE, EVIDENCE.encode(Evidence(one, vote(net, 10, b"\x01" * 32)))),
            EvidenceMessage(VOTE_EVIDENCE, EVIDENCE.encode(Evidence(one, other._replace(signature=bytes(64))))),
            EvidenceMessage(VOTE_EVIDENCE, EVIDENCE.encode(Evidence(*foreign))),
            EvidenceMessage(VOTE_EVIDENCE, EVIDENCE.encode(Evidence(one, vote(net, 9, b"\x01" * 32, name="v9")))),
        ]
        for message in refused:
            with pytest.raises(EvidenceRefused):
                check_piece(net.stores["v0"], net.genesis, message, CHECK)
            v0.on_message(LIAR, message)
        await asyncio.sleep(20)
        assert kept(net, "v0") == []
        for height in range(9, 9 + 3 * PIECES_PER_KEY):
            v0.on_message(LIAR, EvidenceMessage(VOTE_EVIDENCE, two_votes(net, height)))
        await asyncio.sleep(20)
        assert len(kept(net, "v0")) == len(kept(net, "v1")) == PIECES_PER_KEY
        await net.do("v1", 1)
        await net.stop()

    net.run(scenario())
