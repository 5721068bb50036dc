"""What connects a running node with the others: whom it trusts, its links to them, the ordering engine, the services.

Assembly only, beside `node.server`. Addresses and TLS keys come from the node's own configuration and from the ledger;
what both say is looked at again every second, so that nobody restarts for an admitted, moved or suspended peer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from importlib.metadata import version
from random import Random
from typing import Any, Final, NamedTuple

import grpc.aio
import structlog

from keeling.engine_word import ENGINE_EVIDENCE as ENGINE_EVIDENCE_CODEC
from keeling.engine_word import EngineEvidence
from keeling.genesis import Genesis
from keeling.policy import hash_policy
from keeling.v1 import ledger_pb2, ledger_pb2_grpc, ordering_pb2_grpc, peers_pb2_grpc, snapshots_pb2_grpc
from network.certificates import CertificateError, encode_public_key
from network.channels import Channels, answer_of
from network.config import NodeConfig
from network.keys import Signer
from network.transport import TlsFiles
from network.trust import PinnedKey, Trust, build_trust
from node.backfill import RemoteLeaves
from node.beside import run_beside, watch
from node.callers import Callers, LongCalls, Members
from node.core import tables
from node.core.state import State
from node.handovers import read_reigns
from node.incidents import ENGINE_EVIDENCE
from node.ledger import InForce, StateReader
from node.ordering.contract import DurableEngine, LogClosed, LogUnreachable
from node.ordering.engine import EmbeddedEngine, Home, Hosts
from node.ordering.hosted import HostSigner
from node.ordering.jetstream import JetStreamEngine, JetStreamSettings
from node.ordering.service import OrderingService
from node.peers.links import PeerLinks, Setup
from node.peers.service import PeersService
from node.replica import Replica
from node.roster import find_entry_key, read_roster
from node.snapshot_service import SnapshotService
from node.snapshots import Shelf
from node.store.contract import Reads, Store

log = structlog.get_logger()
REFRESH_S: Final = 1.0
HAND_IN_S: Final = 30.0
FORGET_AGAIN_S: Final = 60.0
"""When deleting old ordering logs did not work, it is tried again after so long."""


class Standing(NamedTuple):
    """What the ledger says about those who connect: their pinned keys, and who is suspended."""

    pins: tuple[PinnedKey, ...]
    suspended: frozenset[str]


def read_standing(reads: Reads) -> Standing:
    """Read it from final state. A key that is none is left out: the ledger's rules let none in."""
    state = State(StateReader(reads))
    pins = []
    for key, contact in state.scan(tables.CONTACTS):
        pins += [PinnedKey(tables.CONTACTS.parts(key)[0], tls_key) for tls_key in contact.tls_keys]
    rows = state.scan(tables.PARTICIPANTS)
    suspended = frozenset(tables.PARTICIPANTS.parts(key)[0] for key, row in rows if row.suspended)
    return Standing(tuple(pins), suspended)


class Connections:
    """One per node. Made before the replica, which it serves once `serve` is called; closed by `stack`."""

    def __init__(
        self,
        config: NodeConfig,
        passphrase: str | None,
        store: Store,
        genesis: Genesis,
        entry: Signer,
    ) -> None:
        self.tls = TlsFiles(config.tls.key, config.tls.certificate, passphrase)
        self._config = config
        self._passphrase = passphrase
        self._store = store
        self._genesis = genesis
        self._entry = entry
        self._own = encode_public_key(self.tls.current().key)
        self._standing = read_standing(store)
        self._trust = self._build_trust()
        self._validators: Sequence[str] = ()
        self._writing: set[asyncio.Task[Any]] = set()
        self._forgetting: set[asyncio.Task[None]] = set()
        self._past = 0
        self._hosts = Hosts()
        for reign in read_reigns(store, genesis, 1 << 62):
            self._hosts.add(reign.hash, read_roster(store, reign.policy).validators)
        self._channels = Channels(self.tls, self.trust, self._address_of)
        self.engine: DurableEngine = self._make_engine()
        configured = {peer.participant: peer.address for peer in config.peers if peer.address}
        words, compare = (
            (self.engine.words, self.engine.compare) if isinstance(self.engine, EmbeddedEngine) else (list, _pass_over)
        )
        release = version("keeling")
        setup = Setup(
            config.participant, genesis.network, release, self._channels, configured, Random(), words, compare
        )
        self.links = PeerLinks(setup)
        self._release = release
        self._long_calls = LongCalls()
        self._replica: Replica | None = None

    async def start(self, stack: AsyncExitStack) -> None:
        """Look at the engine, and at the ledger from now on. Raises `EngineRefused`."""
        stack.push_async_callback(self._channels.close)
        stack.push_async_callback(self.engine.close)
        stack.callback(self._end_forgetting)
        stack.push_async_callback(self.links.close)
        if isinstance(self.engine, JetStreamEngine):
            await self.engine.start()
        run_beside(stack, "reading members from the ledger", self._refresh())

    def on_policy(self, in_force: InForce, validators: Sequence[str]) -> None:
        """A policy is in force: its validators may order and vote."""
        self._hosts.add(hash_policy(in_force.file), validators)
        self._validators = tuple(validators)

    def on_past(self, epoch: int) -> None:
        """No validator reads an ordering log below this epoch any more: they are deleted."""
        task = asyncio.create_task(self._forget(epoch))
        self._forgetting.add(task)
        task.add_done_callback(self._forgetting.discard)
        watch("deleting ordering logs of epochs that are over", task)

    async def _forget(self, epoch: int) -> None:
        """Until it is done, or the engine is closed. What a later epoch leaves as well is deleted with it."""
        self._past = max(self._past, epoch)
        while epoch == self._past:
            try:
                deleted = await self.engine.forget(epoch)
            except LogClosed:
                return
            except LogUnreachable as error:
                log.warning("ordering logs of epochs that are over are left", why=str(error))
                await asyncio.sleep(FORGET_AGAIN_S)
                continue
            if deleted:
                log.info("ordering logs deleted: their epochs are over", logs=deleted)
            return

    def trust(self) -> Trust:
        """Whose certificates are good. Quick, and for any thread."""
        return self._trust

    def members(self) -> Members:
        """Who may call: validators in force; as observers, all whose keys are pinned and who are not suspended."""
        suspended = self._standing.suspended
        pinned = {key.participant for key in self._trust.keys}
        return Members([name for name in self._validators if name not in suspended], pinned - suspended)

    def serve(self, replica: Replica) -> None:
        """Whom the links and calls of others are for."""
        self._replica = replica
        self.links.serve(replica)

    def add_services(self, server: grpc.aio.Server, shelf: Shelf) -> None:
        """Let the other nodes call, and take snapshots off `shelf`. Raises `LookupError` before `serve` was called."""
        if self._replica is None:
            raise LookupError("nobody serves yet")
        callers = Callers(self.trust, self.members, self._genesis.network)
        peers = PeersService(callers, self.links, self._replica, self._release, self._long_calls)
        peers_pb2_grpc.add_PeersServicer_to_server(peers, server)
        snapshots_pb2_grpc.add_SnapshotsServicer_to_server(SnapshotService(shelf, callers), server)
        if isinstance(self.engine, EmbeddedEngine):
            ordering = OrderingService(callers, self.engine.find_hosted, self._long_calls)
            ordering_pb2_grpc.add_OrderingServicer_to_server(ordering, server)

    async def hand_in(self, participant: str, submission: bytes) -> ledger_pb2.TransactionResult:
        """Hand in one transaction at another node, as anybody does; returns once it is final. Raises `LinkDown`."""
        stub: Any = ledger_pb2_grpc.LedgerStub(self._channels.open(participant))
        request = ledger_pb2.SubmitRequest(submissions=[submission])
        answer: ledger_pb2.SubmitResponse = await answer_of(stub.Submit(request, timeout=HAND_IN_S))
        return answer.results[0]

    def _end_forgetting(self) -> None:
        for task in self._forgetting:
            task.cancel()

    def leaf_sources(self) -> list[RemoteLeaves]:
        """All other members that can be reached, to fetch the log from, validators first."""
        replica = self._replica
        members = () if replica is None else replica.roster.members
        others = sorted(
            (not each.validator, each.participant) for each in members if each.participant != self._config.participant
        )
        return [RemoteLeaves(name, partial(self._channels.open, name)) for _, name in others]

    def end_calls(self) -> None:
        """End the calls of other nodes that would go on as long as this one runs. Call it before the server stops."""
        self._long_calls.end()

    def _make_engine(self) -> DurableEngine:
        config, network = self._config, self._genesis.network
        if config.ordering.engine == "jetstream":
            settings = JetStreamSettings(
                _split(config.ordering.servers),
                _split(config.ordering.monitoring),
                config.ordering.nkey,
                config.tls.key,
                config.tls.certificate,
                self._passphrase,
                config.ordering.replicas,
                config.ordering.deletes,
            )
            return JetStreamEngine(settings, network, config.participant, self.trust, Random())
        signer = HostSigner(network, self._entry.public_key, self._entry.sign)
        home = Home(config.participant, config.data / "ordering", signer)
        return EmbeddedEngine(home, self._hosts, self._channels, self._find_entry_key, self._keep, Random())

    def _find_entry_key(self, participant: str) -> bytes | None:
        return find_entry_key(self._store, participant)

    def _address_of(self, participant: str) -> str:
        return self.links.address_of(participant)

    def _keep(self, evidence: EngineEvidence) -> None:
        """Have the chain keep evidence against a host."""
        replica = self._replica
        if replica is not None:
            raw = ENGINE_EVIDENCE_CODEC.encode(evidence)
            task = asyncio.create_task(replica.turn(replica.chain.keep_evidence, ENGINE_EVIDENCE, raw))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)
            watch("keeping evidence", task)

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            standing = await asyncio.to_thread(read_standing, self._store)
            if standing != self._standing:
                self._standing = standing
                try:
                    self._trust = self._build_trust()
                except (CertificateError, ValueError) as error:
                    log.error("trust not renewed", error=str(error))

    def _build_trust(self) -> Trust:
        """The keys of the configuration, and those of the ledger."""
        configured = self._config.trust(self._own)
        return build_trust(self._config.origin, [*configured.keys, *self._standing.pins])


def _split(urls: str) -> tuple[str, ...]:
    return tuple(url.strip() for url in urls.split(",") if url.strip())


def _pass_over(_: Any) -> None:
    """No host signs words on a log of JetStream."""
