"""Who may link and ask: other networks, versions and strangers, nonsense, members that come and go, certificates."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from keeling.v1 import peers_pb2 as pb
from keeling.v1 import peers_pb2_grpc as rpc
from network.trust import build_trust
from node.callers import Members
from node.peers import links
from node.peers.contract import VoteMessage
from node.peers.wire import format_hello
from tests.fakes.ordering_hosts import NETWORK, PARTIES, VALIDATORS
from tests.fakes.peer_nodes import World, run, until_problem
from tests.network.party import NETWORK as ORIGIN
from tests.network.party import NOW, Party


def test_a_node_of_another_network_or_version_is_refused_and_told_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def walk(world: World) -> None:
        one, two = await world.start("natreg", "exchange")
        foreign = await world.make("group", network=b"n" * 32).start()
        await until_problem(foreign, "natreg", "compare the genesis files")
        stub: Any = rpc.PeersStub(foreign.channels.open("natreg"))
        newer = format_hello(NETWORK, "9.0")
        newer.hello.oldest_version, newer.hello.newest_version = 2, 3
        for first, code, text in (
            (newer, grpc.StatusCode.FAILED_PRECONDITION, "(release '9.0') 2 to 3: upgrade the older one"),
            (pb.PeerMessage(vote=b"v"), grpc.StatusCode.FAILED_PRECONDITION, "begins with Hello"),
            (pb.PeerMessage(), grpc.StatusCode.FAILED_PRECONDITION, "begins with Hello"),
        ):
            call = stub.Exchange()
            await call.write(first)
            assert (await call.code(), text in str(await call.details())) == (code, True)
        one.links.send("exchange", VoteMessage(b"still here"))
        await two.replica.until(lambda: two.replica.heard)

    run(tmp_path, walk)


async def refused(call: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await (call.read() if hasattr(call, "read") else call)
    return f"{error.value.code().name} {error.value.details()}"


def test_who_is_no_member_or_asks_nonsense_is_refused_with_a_reason(tmp_path: Path) -> None:
    async def walk(world: World) -> None:
        (one,) = await world.start("natreg")
        one.replica.finish(3)
        observer: Any = rpc.PeersStub(world.make("observer").channels.open("natreg"))
        bank: Any = rpc.PeersStub(world.make("bank").channels.open("natreg"))
        candidate = pb.GetCandidateRequest(network=NETWORK, height=1, root=bytes(32))
        assert "observer is no validator now" in await refused(observer.GetCandidate(candidate))
        assert "NOT_FOUND" in await refused(bank.GetCandidate(candidate))
        for bad, text in (
            (observer.FollowFinal(pb.FollowFinalRequest(network=NETWORK)), "heights begin at 1"),
            (observer.FollowFinal(pb.FollowFinalRequest(network=b"n" * 32, height=1)), "compare the genesis files"),
            (bank.GetCandidate(pb.GetCandidateRequest(network=NETWORK, height=1)), "a root of 32 bytes"),
            (bank.GetCandidate(pb.GetCandidateRequest(network=NETWORK, height=1, root=bytes(5 << 20))), "RESOURCE_EX"),
        ):
            assert text in await refused(bad)
        one.members = Members(VALIDATORS)
        follow = pb.FollowFinalRequest(network=NETWORK, height=1)
        for call in (observer.Exchange(), observer.FollowFinal(follow)):
            assert "PERMISSION_DENIED observer runs no node of this network" in await refused(call)
        streams = [bank.FollowFinal(follow) for _ in range(8)]
        for stream in streams:
            await stream.read()
        assert "8 calls of bank are open" in await refused(bank.FollowFinal(follow))

    run(tmp_path, walk)


def test_what_is_no_message_costs_itself_alone(tmp_path: Path) -> None:
    async def walk(world: World) -> None:
        (one,) = await world.start("natreg")
        stub: Any = rpc.PeersStub(world.make("bank").channels.open("natreg"))
        call = stub.Exchange()
        await call.write(format_hello(NETWORK, "x"))
        await call.read()
        for raw in (
            pb.PeerMessage(),
            format_hello(NETWORK, "again"),
            pb.PeerMessage(vote=bytes(2 << 20)),
            pb.PeerMessage.FromString(b"\xfa\x01\x02hi"),  # a field of a later release
            pb.PeerMessage(ping=pb.Ping(words=[b"no word"] * 100)),
            pb.PeerMessage(vote=b"whatever it is, the replica looks at it"),
        ):
            await call.write(raw)
        await one.replica.until(lambda: one.replica.heard)
        assert one.replica.heard == [("bank", VoteMessage(b"whatever it is, the replica looks at it"))]
        assert len(one.compared) <= 8
        call.cancel()

    run(tmp_path, walk)


def test_a_member_that_is_suspended_loses_its_links_and_an_admitted_one_gets_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.peers.service.CHECK_S", 0.05)
    monkeypatch.setattr(links, "CHECK_S", 0.05)

    async def walk(world: World) -> None:
        one, two = await world.start("natreg", "exchange")
        one.members = Members(("natreg",), ())
        one.set_members("natreg")
        await until_problem(two, "natreg", "no node of this network")
        one.links.send("exchange", VoteMessage(b"to nobody"))
        one.members = Members(VALIDATORS)
        one.set_members()
        await asyncio.gather(one.connected("exchange"), two.connected("natreg"))
        assert not two.replica.heard
        one.trust = build_trust(ORIGIN, [PARTIES["natreg"].pin])
        await until_problem(one, "exchange", "no TLS key of exchange is known")
        await until_problem(two, "natreg", "exchange is not a participant whose key is known here")

    run(tmp_path, walk)


def test_an_expired_certificate_costs_one_link_and_its_renewal_needs_no_restart(tmp_path: Path) -> None:
    async def walk(world: World) -> None:
        party = PARTIES["exchange"]
        ended = party.identity(end=NOW - timedelta(minutes=30))
        two = world.make("exchange")
        replace(two.folder, party, ended.certificate_pem)
        one, three = await world.start("natreg", "group")
        await two.start()
        for node in (one, three):
            node.set_members()
        await until_problem(one, "exchange", "UNAVAILABLE")
        await until_problem(two, "natreg", "UNAVAILABLE")
        one.links.broadcast(VoteMessage(b"among the others"))
        await three.replica.until(lambda: three.replica.heard)
        replace(two.folder, party, party.identity(end=NOW + timedelta(days=30)).certificate_pem)
        await asyncio.gather(two.connected("natreg", "group"), one.connected("exchange"), three.connected("exchange"))
        one.links.send("exchange", VoteMessage(b"back"))
        await two.replica.until(lambda: two.replica.heard)

    run(tmp_path, walk)


def replace(folder: Path, party: Party, pem: bytes) -> None:
    (folder / "fresh").write_bytes(pem)
    os.replace(folder / "fresh", folder / f"{party.participant}.crt")
