"""One running node: opens folder, store and ordering log, starts the replica, and serves gRPC over mutual TLS.

Assembly only. Everything that can refuse to start does so here, with one readable line, before the port opens.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Final

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from keeling.genesis import Genesis, parse_genesis
from keeling.operations import NodeKeys as PublicKeys
from keeling.policy import parse_policy
from keeling.v1 import ledger_pb2, ledger_pb2_grpc, log_pb2, log_pb2_grpc, operator_pb2_grpc
from network.config import NodeConfig
from network.keys import KeyFileError, Role, Signer, load_key_file
from network.transport import CALL_BYTES_MAX, server_credentials, server_options
from node.attesting import Attester
from node.backfill import Backfill
from node.beside import run_beside
from node.chain import Chain
from node.connections import Connections
from node.core.state import State
from node.door import admit
from node.health import describe_health
from node.intake import Limits
from node.keeping import Keeper
from node.ledger import StateReader, create_ledger, is_created
from node.ledger_service import LedgerService
from node.log_service import LogService
from node.metrics import Metrics
from node.operate import open_shelf
from node.operator_service import OperatorService
from node.readying import OwnKeys, Readier
from node.replica import Replica
from node.roster import find_wrong_keys
from node.signing import Author, ValidatorKeys
from node.snapshots import Shelf
from node.store.contract import StoreMissing
from node.store.rocks import RocksStore
from node.threads import OneThread
from node.upkeep import Upkeep
from node.verify import Verifier

log = structlog.get_logger()
HEALTH_EVERY_S: Final = 1.0
UPKEEP_EVERY_S: Final = 60.0
SERVICES: Final = (
    ledger_pb2.DESCRIPTOR.services_by_name["Ledger"].full_name,
    log_pb2.DESCRIPTOR.services_by_name["Log"].full_name,
)


def clock_ms() -> int:
    """The machine's clock, milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


class NodeKeys:
    """The node's signing keys, unlocked."""

    def __init__(self, config: NodeConfig, passphrase: str | None) -> None:
        def load(path: Path, role: Role) -> Signer:
            return load_key_file(path, role=role, passphrase=passphrase)

        self.entry = load(config.keys.entry, Role.ENTRY)
        self.vote = load(config.keys.vote, Role.VOTE)
        self.log = load(config.keys.log, Role.LOG)
        self.cosigner = load(config.keys.cosigner, Role.COSIGNER)
        here = config.keys.submission.exists()
        self.submission = load(config.keys.submission, Role.SUBMISSION) if here else None

    def names(self) -> PublicKeys:
        """Their public halves, as the ledger has them."""
        return PublicKeys(*(key.public_key for key in (self.entry, self.vote, self.log, self.cosigner)))


def _never_sign(message: bytes) -> bytes:
    raise KeyFileError("the submission key is not on this machine")


def open_store(folder: Path, genesis: Genesis, vote_key: bytes) -> RocksStore:
    """Open the node's store; an empty data folder gets the genesis state."""
    try:
        store = RocksStore.open(folder)
    except StoreMissing:
        store = RocksStore.create(folder)
    try:
        if not is_created(store):
            create_ledger(store, genesis, vote_key)
    except BaseException:
        store.close()
        raise
    return store


def get_signing_keys(keys: NodeKeys) -> ValidatorKeys:
    """What a validator signs with; nothing is signed while the policy in force does not name the vote key."""
    return ValidatorKeys(keys.vote.public_key, keys.vote.sign, keys.log.sign, keys.cosigner.sign)


class Node:
    """One node, from configuration to open port. `address` is where it listens."""

    def __init__(self, config: NodeConfig, passphrase: str | None, clock_ms: Callable[[], int] = clock_ms) -> None:
        self.config = config
        self._passphrase = passphrase
        self._clock_ms = clock_ms
        self._stack = AsyncExitStack()
        self.address = config.listen
        self.replica: Replica | None = None
        self.connections: Connections | None = None

    async def start(self) -> None:
        """Open everything and serve. Raises with one readable line when something does not fit together."""
        config = self.config
        genesis_file = config.genesis.read_bytes()
        genesis = parse_genesis(genesis_file)
        policy = parse_policy(genesis.policy)
        keys = NodeKeys(config, self._passphrase)
        store = open_store(config.data / "store", genesis, keys.vote.public_key)
        self._stack.callback(store.close)
        chain = Chain(store, genesis, get_signing_keys(keys), self._clock_ms())
        verifier = Verifier(config.signature_workers)
        self._stack.callback(verifier.close)
        await verifier.start()
        thread = OneThread("chain")
        self._stack.callback(thread.close)
        connections = Connections(config, self._passphrase, store, genesis, keys.entry)
        self.connections = connections
        await connections.start(self._stack)
        shelf = open_shelf(config)
        replica = await self._start_replica(chain, keys, verifier, connections, thread, shelf)
        self.replica = replica
        self._start_readier(replica, keys, connections)
        backfill = Backfill(store, connections.leaf_sources, lambda: bool(replica.pending or replica.following.behind))
        run_beside(self._stack, "fetching the log below the snapshot", backfill.run())
        own = keys.names()
        upkeep = Upkeep(
            *(config.participant, connections.tls, lambda: datetime.now(UTC)),
            wrong_keys=lambda: find_wrong_keys(replica.roster, config.participant, own),
        )
        transactions_max, call_bytes = config.limits.submission_transactions, config.limits.call_bytes
        author = keys.entry.public_key
        clock_ms = self._clock_ms
        links = connections.links.describe
        ledger = LedgerService(
            *(replica, store, verifier, config.participant, author, clock_ms, transactions_max, call_bytes),
            upkeep=upkeep,
            links=links,
        )
        operator = OperatorService(store, replica, config.participant, connections.trust)
        await self._serve(ledger, LogService(store, genesis, genesis_file), operator, connections, shelf)
        self._watch(upkeep)
        metrics = Metrics(replica, clock_ms, upkeep, links)
        self._stack.callback(metrics.start(config.metrics))
        log.info("serving", origin=policy.origin, address=self.address, height=replica.height)

    async def _start_replica(
        self,
        chain: Chain,
        keys: NodeKeys,
        verifier: Verifier,
        connections: Connections,
        thread: OneThread,
        shelf: Shelf,
    ) -> Replica:
        config = self.config
        limits = Limits(config.limits.entry_bytes, config.limits.submission_transactions, config.limits.linger_ms)
        replica = Replica(
            chain,
            connections.engine,
            connections.links,
            verifier,
            Author(keys.entry.public_key, keys.entry.sign),
            clock_ms=self._clock_ms,
            run_in_thread=thread,
            random=Random(),
            limits=limits,
            on_policy=connections.on_policy,
            on_past=connections.on_past,
            on_final=lambda blocks: keeper.on_final(blocks),  # noqa: PLW0108 - made below
        )
        keeper = self._make_keeper(chain, keys, replica, shelf)
        connections.serve(replica)
        await replica.start()
        self._stack.push_async_callback(replica.stop)
        run_beside(self._stack, "attesting snapshots", keeper.run())
        return replica

    def _make_keeper(self, chain: Chain, keys: NodeKeys, replica: Replica, shelf: Shelf) -> Keeper:
        """Attests with the participant's submission key, where that is on this machine."""
        participant, network, signer = self.config.participant, chain.genesis.network, keys.submission
        key, sign = (signer.public_key, signer.sign) if signer is not None else (b"", _never_sign)
        attester = Attester(chain.store, shelf, network, participant, key, sign)

        async def submit(raw: bytes) -> None:
            await replica.submit(admit([raw], network, State(StateReader(chain.store)), 1))

        def attests() -> bool:
            return signer is not None and participant in replica.roster.validators

        return Keeper(attester, submit, attests)

    def _start_readier(self, replica: Replica, keys: NodeKeys, connections: Connections) -> None:
        """Have the node say that it is ready when the ledger waits for that. Needs the participant's submission key."""
        if keys.submission is None:
            return
        own = OwnKeys(keys.entry, keys.vote, keys.log, keys.cosigner, keys.submission)
        readier = Readier(replica, self.config.participant, own, connections.hand_in, self._clock_ms)
        run_beside(self._stack, "saying that the node is ready", readier.run())

    async def _serve(
        self,
        ledger: LedgerService,
        log_service: LogService,
        operator: OperatorService,
        connections: Connections,
        shelf: Shelf,
    ) -> None:
        config = self.config
        # Entries and blocks of others may be larger than what this node takes from clients.
        server = grpc.aio.server(options=server_options(CALL_BYTES_MAX))
        connections.add_services(server, shelf)
        ledger_pb2_grpc.add_LedgerServicer_to_server(ledger, server)
        log_pb2_grpc.add_LogServicer_to_server(log_service, server)
        operator_pb2_grpc.add_OperatorServicer_to_server(operator, server)
        probe = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(probe, server)
        reflection.enable_server_reflection((*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
        port = server.add_secure_port(config.listen, server_credentials(connections.tls, connections.trust))
        self.address = f"{config.listen.rpartition(':')[0]}:{port}"
        await server.start()
        self._stack.push_async_callback(server.stop, 2.0)
        self._stack.callback(connections.end_calls)
        run_beside(self._stack, "health for probes", self._watch_health(probe))

    async def _watch_health(self, probe: health.aio.HealthServicer) -> None:
        """Keep the gRPC health service saying what `Status` says: serving means finality advances or has no work."""
        while self.replica is not None:
            report = describe_health(self.replica, self._clock_ms())
            status = (
                health_pb2.HealthCheckResponse.SERVING if report.serving else health_pb2.HealthCheckResponse.NOT_SERVING
            )
            for name in ("", *SERVICES):
                await probe.set(name, status)
            await asyncio.sleep(HEALTH_EVERY_S)

    def _watch(self, upkeep: Upkeep) -> None:
        """Say in the log what an operator should see to, as soon as it is so."""

        async def watch() -> None:
            while True:
                upkeep.tell(lambda text: log.warning("see to it", warning=text))
                await asyncio.sleep(UPKEEP_EVERY_S)

        run_beside(self._stack, "warnings", watch())

    async def wait_failed(self) -> BaseException:
        """Return the failure that stopped the writer, once there is one."""
        while self.replica is not None and self.replica.failure is None:
            await asyncio.sleep(HEALTH_EVERY_S)
        return (self.replica.failure if self.replica is not None else None) or RuntimeError("the node was not started")

    async def stop(self) -> None:
        """Close the port, finish the entry under way, close the store."""
        await self._stack.aclose()
