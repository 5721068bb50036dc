"""Four validators as processes of their own on loopback, as operators run them, and a steady load on all of them.

Faults come from outside alone: signals, limits of the operating system, proxies between the nodes, the file of a clock.
What was acknowledged is remembered, so that a test can ask every node for it afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Final

import grpc.aio

from keeling.genesis import Founder
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from network.config import PeerConfig
from network.folders import NodeFolder, NodeIdentity, install_genesis
from network.founding import FoundingNode, build_genesis, list_peers, prepare_node
from network.jetstream_trial import prepare_servers
from network.keys import Role, load_key_file
from network.processes import START_S, find_process
from network.profiles import open_destination, profile_of
from network.transport import open_aio_channel
from node.state_audit import compute_state_digest, open_read_only
from node.store.contract import Family
from tests.fakes.clients import Client
from tests.fakes.real_node import free_port, grants
from tests.fakes.world import Person

VALIDATORS: Final = ("natreg", "exchange", "group", "bank")
TRADERS: Final = (Person("ops", "alice"), Person("ops", "bob"))
UNITS: Final = 1_000_000
CALL_S: Final = 5.0
"""A client asks another node when one does not answer for so long."""
LEVEL_S: Final = 60.0
AGAIN_S: Final = 0.05


class _Operator:
    """The key that was made with a node: it may do all a person may."""

    def __init__(self, participant: str, folder: NodeFolder) -> None:
        self.participant = participant
        signer = load_key_file(folder.key(Role.SUBMISSION), role=Role.SUBMISSION)
        self.key, self.sign = signer.public_key, signer.sign


class ProcessNetwork:
    """Founded when made; `running` is its life. `route` gives the address at which a node reaches another."""

    def __init__(self, root: Path, origin: str = "ledger.example/faults", ordering: str = "embedded") -> None:
        self.root, self.origin = root, origin
        self.folders = {name: NodeFolder(root / name) for name in VALIDATORS}
        now = datetime.now(UTC)
        founding = [
            FoundingNode(
                prepare_node(self.folders[name].root, origin, name, f"127.0.0.1:{free_port()}", "", now, None),
                name.title(),
                ("registry",) if name == VALIDATORS[0] else ("group",),
            )
            for name in VALIDATORS
        ]
        traders = [person.participant for person in TRADERS]
        others = [Founder(name, name.title(), ("group",), grants(list(TRADERS), name)) for name in traders]
        self.genesis = build_genesis(founding, others, now)
        self.peers = list_peers(founding)
        self.identities = {node.identity.participant: node.identity for node in founding}
        for folder in self.folders.values():
            install_genesis(folder, self.genesis, self.peers)
        if ordering == "jetstream":
            prepare_servers(root, VALIDATORS, now, None)
        self.clocks: dict[str, Path] = {}
        """Nodes that take their time from such a file; their network must be a rehearsal."""
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._sessions: list[int] = []
        self._channels: list[grpc.aio.Channel] = []

    def prepare(self, name: str) -> NodeIdentity:
        """The node of somebody whom nobody has admitted: own keys and the genesis file, and nothing of the others."""
        folder = self.folders[name] = NodeFolder(self.root / name)
        identity = prepare_node(folder.root, self.origin, name, f"127.0.0.1:{free_port()}", "", datetime.now(UTC), None)
        install_genesis(folder, self.genesis, ())
        self.identities[name] = identity
        return identity

    def route(self, name: str, others: dict[str, str]) -> None:
        """Have a node reach others at these addresses from its next start on."""
        peers: tuple[PeerConfig, ...] = tuple(
            peer.model_copy(update={"address": others.get(peer.participant, peer.address)}) for peer in self.peers
        )
        install_genesis(self.folders[name], self.genesis, peers)

    def address_of(self, name: str) -> str:
        """Where a node listens."""
        return self.identities[name].address

    # -- processes --------------------------------------------------------------------------------------------------

    async def start(self, *names: str) -> None:
        """Start these nodes, or all, and wait until they serve."""
        for name in names or VALIDATORS:
            self._spawn(name)
        await asyncio.gather(*(asyncio.to_thread(self._wait_serving, name) for name in names or VALIDATORS))

    def _spawn(self, name: str) -> None:
        root = str(self.folders[name].root)
        clock = self.clocks.get(name)
        command = [sys.executable, "-m", "node", *(["rehearse", root, str(clock)] if clock else [root])]
        stdin = subprocess.PIPE if clock else subprocess.DEVNULL  # a rehearsal ends when its input does
        with (self.folders[name].root / "node.log").open("ab") as log:
            process = subprocess.Popen(
                command, stdin=stdin, stdout=subprocess.PIPE, stderr=log, start_new_session=True
            )  # fmt: skip
        self.processes[name] = process
        self._sessions.append(process.pid)

    def _wait_serving(self, name: str) -> None:
        process = self.processes[name]
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith(b"serving"):
            raise AssertionError(f"{name} did not start: {self.read_log(name)[-1500:]}")

    def read_log(self, name: str) -> str:
        """What a node wrote so far."""
        return (self.folders[name].root / "node.log").read_text("utf-8", "replace")

    def kill(self, name: str) -> None:
        """Without a word: kill -9."""
        self.processes[name].send_signal(signal.SIGKILL)
        self._reap(name)

    def _reap(self, name: str) -> int:
        process = self.processes[name]
        code = process.wait(START_S)
        del self.processes[name]
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        return code

    async def wait_ended(self, name: str) -> int:
        """Wait until a node has ended by itself; returns its exit code."""
        return await asyncio.to_thread(self._reap, name)

    async def stop(self) -> None:
        """Stop all nodes that run, as an operator does, and close what is open to them."""
        for channel in self._channels:
            await channel.close()
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
        for name in list(self.processes):
            code = await asyncio.to_thread(self._reap, name)
            if code:
                raise AssertionError(f"{name} ended with {code}: {self.read_log(name)[-1500:]}")

    async def stop_one(self, name: str) -> None:
        """Stop a node as its operator does."""
        self.processes[name].terminate()
        if code := await asyncio.to_thread(self._reap, name):
            raise AssertionError(f"{name} ended with {code}: {self.read_log(name)[-1500:]}")

    def kill_all(self) -> None:
        """What is left of a test that failed."""
        for name in list(self.processes):
            self.kill(name)

    async def wait_gone(self) -> None:
        """Nothing that was started lives on, workers of killed nodes included, and no folder is held."""
        async with asyncio.timeout(LEVEL_S):
            while any(list(_list_session(session)) for session in self._sessions):
                await asyncio.sleep(AGAIN_S)
        assert {find_process(folder) for folder in self.folders.values()} == {None}

    # -- clients ----------------------------------------------------------------------------------------------------

    def client(self, name: str) -> Client:
        """Somebody who may act for all traders and operators, and calls the node of `name`."""
        channel = open_aio_channel(open_destination(profile_of(self.folders[name], self.identities[name])))
        self._channels.append(channel)
        people: list[Any] = [*TRADERS, *(_Operator(each, folder) for each, folder in self.folders.items())]
        return Client(channel, self.genesis, people)

    async def wait_level(self, height: int = 0) -> pb.Status:
        """Wait until all four are at one height, `height` at least, with the same log and state; one's status."""
        clients = [self.client(name) for name in VALIDATORS]
        async with asyncio.timeout(LEVEL_S):
            while True:
                with contextlib.suppress(grpc.aio.AioRpcError):
                    asked = (client.ledger.GetStatus(pb.GetStatusRequest(), timeout=CALL_S) for client in clients)
                    said: list[pb.Status] = await asyncio.gather(*asked)
                    if len({status.height for status in said}) == 1 and said[0].height >= height:
                        assert len({(each.root, each.state_writes, each.tree_size) for each in said}) == 1
                        return said[0]
                await asyncio.sleep(AGAIN_S)

    async def wait_caught_up(self) -> None:
        """Wait until everybody is as far as the furthest is now, while the ledger goes on."""
        clients = [self.client(name) for name in VALIDATORS]
        target = 0
        async with asyncio.timeout(LEVEL_S):
            for client in (*clients, *clients):
                height = -1
                while height < target:
                    with contextlib.suppress(grpc.aio.AioRpcError):
                        height = (await client.ledger.GetStatus(pb.GetStatusRequest(), timeout=CALL_S)).height
                    await asyncio.sleep(0 if height >= target else AGAIN_S)
                target = max(target, height)

    def digest_states(self) -> set[bytes]:
        """Digests of the whole state of each node. All must have stopped."""
        found = set()
        for folder in self.folders.values():
            with open_read_only(folder.root) as reads:
                found.add(compute_state_digest(reads.scan(Family.STATE)))
        return found


class Load:
    """Transfers between two accounts, one after the other from several clients; each is handed in until it is final.

    A client that gets no answer hands the same bytes in at another node: they count once. `balances` is what the
    accounts must have after all that was acknowledged.
    """

    def __init__(self, network: ProcessNetwork, seed: int = 1) -> None:
        self._network = network
        self._random = Random(seed)
        self._clients = {name: network.client(name) for name in VALIDATORS}
        self.balances: Counter[str] = Counter()
        self.acknowledged: dict[bytes, tuple[str, int, int]] = {}
        """Who handed in a transaction, and where it is."""
        self._stopping = False

    async def open(self) -> None:
        """Accounts for the traders and units to trade."""
        client = self._clients["exchange"]
        for person in TRADERS:
            await client.must(person.participant, op.OpenAccount(account=person.participant, owner=person.participant))
        await client.must("natreg", op.RegisterProject(project="p", programme="NATIONAL", name="P"))
        issue = op.Issue(batch="b", project="p", programme="NATIONAL", space="s", first_number="1")
        issue.units, issue.extent, issue.account = UNITS, op.Issue.EXACT, "alice"
        await client.must("natreg", issue)
        self.balances["alice"] = UNITS
        await self._give("natreg", "alice", UNITS // 2)

    async def give_some(self) -> None:
        """One transfer, final when this returns."""
        await self._give("natreg", "alice", 1)

    async def run(self, home: str) -> None:
        """Trade at a node, or where there is one, until told to stop."""
        while not self._stopping:
            giver = self._random.choice(TRADERS).participant
            await self._give(home, giver, self._random.randint(1, 20))

    async def _give(self, home: str, giver: str, units: int) -> None:
        taker = next(person.participant for person in TRADERS if person.participant != giver)
        leg = op.UnitLeg(from_account=giver, to_account=taker, selection=op.Selection(units=units, batch="b"))
        client = self._clients[home]
        raw = client.transaction(giver, op.Transfer(units=[leg]))
        result = await self._hand_in(home, client.request(giver, raw))
        assert result.reason == 0, f"{result.reason_name}: {result.detail}"
        self.acknowledged[result.id] = (giver, result.place.height, result.place.ordinal)
        self.balances[giver] -= units
        self.balances[taker] += units

    async def _hand_in(self, home: str, request: pb.SubmitRequest) -> pb.TransactionResult:
        at = VALIDATORS.index(home)
        while True:
            client = self._clients[VALIDATORS[at % len(VALIDATORS)]]
            try:
                response: pb.SubmitResponse = await client.ledger.Submit(request, timeout=CALL_S)
            except grpc.aio.AioRpcError as error:
                if error.code() not in _MAY_BE_ASKED_AGAIN:
                    raise
                at += 1
                await asyncio.sleep(AGAIN_S)
            else:
                return response.results[0]

    async def wait_more(self, transactions: int) -> None:
        """Wait until so many more are acknowledged than now."""
        enough = len(self.acknowledged) + transactions
        async with asyncio.timeout(LEVEL_S):
            while len(self.acknowledged) < enough:
                await asyncio.sleep(AGAIN_S)

    def stop(self) -> None:
        """Let every client finish what it has under way."""
        self._stopping = True

    async def check(self) -> None:
        """Every node knows everything that was acknowledged, at its place, and has the balances it led to."""
        assert sum(self.balances.values()) == UNITS
        newest = list(self.acknowledged.items())
        for client in (self._network.client(name) for name in VALIDATORS):
            assert {name: await _sum_units(client, name) for name in self.balances} == dict(self.balances)
            for number, (participant, height, ordinal) in newest:
                request = pb.GetTransactionRequest(id=number, participant=participant)
                found: pb.TransactionResult = await client.ledger.GetTransaction(request)
                assert (found.reason, found.place.height, found.place.ordinal) == (0, height, ordinal)


_MAY_BE_ASKED_AGAIN = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.CANCELLED,
}


async def _sum_units(client: Client, account: str) -> int:
    total, token = 0, ""
    while True:
        request = pb.ListLotsRequest(account=account, batch="b", page_token=token)
        page: pb.ListLotsResponse = await client.ledger.ListLots(request)
        total += sum(lot.range.units for lot in page.lots)
        token = page.next_page_token
        if not token:
            return total


def _list_session(session: int) -> Iterator[int]:
    """Processes of a session that live."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                yield int(stat.parent.name)
