"""Participants for the tests of trust and transport: a TLS key, its certificates, and servers that show them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from network.certificates import date_certificate, encode_public_key, issue_certificate, parse_certificate
from network.transport import Destination, TlsFiles, TlsIdentity, open_channel, server_credentials, server_options
from network.trust import PinnedKey, Trust, build_trust, peer_identity

NETWORK = "ledger.example/main"
NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class Party:
    """A participant with its pinned key."""

    def __init__(self, participant: str, network: str = NETWORK) -> None:
        self.participant = participant
        self.network = network
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.pin = PinnedKey(participant, encode_public_key(self.key))

    def certificate(self, start: datetime = NOW - HOUR, end: datetime = NOW + DAY) -> x509.Certificate:
        pem = issue_certificate(self.key, network=self.network, participant=self.participant, now=NOW)
        return parse_certificate(date_certificate(parse_certificate(pem), self.key, start, end))

    def identity(self, start: datetime = NOW - HOUR, end: datetime = NOW + DAY) -> TlsIdentity:
        return TlsIdentity(self.key, self.certificate(start, end).public_bytes(serialization.Encoding.PEM))

    def issue(self, key: ec.EllipticCurvePrivateKey, participant: str | None = None) -> TlsIdentity:
        """A certificate for another key, under this party's."""
        pem = issue_certificate(
            self.key,
            network=self.network,
            participant=participant or self.participant,
            now=NOW,
            public_key=key.public_key(),
        )
        return TlsIdentity(key, pem)

    def write(self, folder: Path, identity: TlsIdentity | None = None) -> TlsFiles:
        """The files of `identity` (or the usual one) in `folder`."""
        identity = identity or self.identity()
        key, certificate = folder / f"{self.participant}.key", folder / f"{self.participant}.crt"
        key.write_bytes(identity.key_pem())
        key.chmod(0o600)
        certificate.write_bytes(identity.certificate_pem)
        return TlsFiles(key, certificate)


def trust(*parties: Party) -> Trust:
    return build_trust(NETWORK, [party.pin for party in parties])


class NamingHealth(health.HealthServicer):
    """The health service, which answers in the trailing metadata whom it takes the caller for."""

    def __init__(self, current: Callable[[], Trust]) -> None:
        super().__init__()
        self._current = current

    def Check(self, request: Any, context: Any) -> Any:
        peer = peer_identity(context, self._current())
        context.set_trailing_metadata((("peer", peer.participant), ("spki", peer.spki.hex())))
        return super().Check(request, context)


@contextmanager
def serving(files: TlsFiles, current: Callable[[], Trust]) -> Iterator[str]:
    """A gRPC server on a free port; gives its address. `/Sizes/Give` answers with as many bytes as it is asked for."""
    server = grpc.server(futures.ThreadPoolExecutor(2), options=server_options())
    health_pb2_grpc.add_HealthServicer_to_server(NamingHealth(current), server)
    give: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(
        lambda asked, _: bytes(int(asked.strip()))
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Sizes", {"Give": give}),))
    port = server.add_secure_port("127.0.0.1:0", server_credentials(files, current))
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


def ask(destination: Destination) -> dict[str, str]:
    """One call; gives the trailing metadata. Raises `grpc.RpcError`."""
    with open_channel(destination) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer, call = stub.Check.with_call(health_pb2.HealthCheckRequest(), timeout=60)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        return {key: str(value) for key, value in call.trailing_metadata()}
