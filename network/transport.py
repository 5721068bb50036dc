"""The secured transport: gRPC credentials, options and channels under mutual TLS with pinned keys.

A server accepts whoever holds a certificate signed by a key in its `Trust`; a client accepts only the participant that
it meant to reach, whatever the address. Files and trust are looked at again on every handshake, so that nothing has to
restart when a certificate is renewed, a key is replaced or a peer is admitted; a certificate that has ended cuts the
links that need it and stops nothing else. Why a connection failed is found out in `network.diagnosis`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import grpc
import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from network.certificates import (
    CertificateError,
    TlsKey,
    encode_public_key,
    format_server_name,
    parse_certificate,
    parse_tls_key,
)
from network.files import FileRefused, read_private_file
from network.trust import Trust, build_roots

ChannelOptions = list[tuple[str, int | str]]

CALL_BYTES_MAX: Final = 4 * 1024 * 1024
"""The largest gRPC message in bytes that a node takes from anybody, unless configuration says less."""
REPLY_BYTES_MAX: Final = 64 * 1024 * 1024
"""The largest answer a client takes: what became of a call of transactions, every move with its names, is many times as
long as the call. Nodes take no more than `CALL_BYTES_MAX` from each other."""
KEEPALIVE_MS: Final = 30_000
"""A silent connection is tested this often, so that a dead peer or a forgetful firewall is noticed within a minute."""
KEEPALIVE_ANSWER_MS: Final = 10_000
"""How long the other end has to answer a test before the connection counts as lost."""
CONNECTION_AGE_MS: Final = 60 * 60 * 1000
"""A server asks its clients to connect again this often, so that ended or withdrawn certificates fall out."""
CONNECTION_GRACE_MS: Final = 60_000
"""How long calls under way may go on after that."""


class TlsIdentity:
    """What this process shows at a handshake: a private key and its certificate. Prints as its subject alone."""

    __slots__ = ("certificate", "certificate_pem", "key")

    def __init__(self, key: TlsKey, certificate_pem: bytes) -> None:
        """Raise `CertificateError` when the two do not belong together."""
        self.key = key
        self.certificate_pem = certificate_pem
        self.certificate: x509.Certificate = parse_certificate(certificate_pem)
        public = self.certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        if public != encode_public_key(key):
            raise CertificateError("the TLS certificate is for another key than the TLS key")

    def key_pem(self) -> bytes:
        """Return the private key in clear, for the TLS library. Never write it anywhere."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def __repr__(self) -> str:
        return f"TlsIdentity({self.certificate.subject.rfc4514_string()})"


class TlsFiles:
    """A key file and a certificate file, read again when they change.

    Replace the files by renaming. While they cannot be used (half of a change, damaged), the last good pair stays in
    use and `problem` says what is wrong, for health and logs. Not for several threads' writes: gRPC calls `current`
    from its own thread, and a lost race costs one more reading.
    """

    def __init__(self, key_path: Path, certificate_path: Path, passphrase: str | None = None) -> None:
        """Read both; raise `CertificateError` if there is nothing usable to start with."""
        self._key_path = key_path
        self._certificate_path = certificate_path
        self._passphrase = passphrase
        self.problem: str | None = None
        self._seen = self._look()
        self._identity = self._read()

    def current(self) -> TlsIdentity:
        """Return the newest usable pair: the same object until the files change."""
        seen = self._look()
        if seen == self._seen:
            return self._identity
        self._seen = seen
        try:
            self._identity = self._read()
            self.problem = None
        except CertificateError as error:
            self.problem = str(error)
        return self._identity

    def _look(self) -> tuple[tuple[int, int, int], ...]:
        marks = []
        for path in (self._key_path, self._certificate_path):
            try:
                status = path.stat()
                marks.append((status.st_ino, status.st_mtime_ns, status.st_size))
            except OSError:
                marks.append((0, 0, 0))
        return tuple(marks)

    def _read(self) -> TlsIdentity:
        try:
            key_pem = read_private_file(self._key_path, "TLS key")
            certificate_pem = self._certificate_path.read_bytes()
        except FileRefused as error:
            raise CertificateError(str(error)) from error
        except OSError as error:
            raise CertificateError(f"the certificate {error.filename} cannot be read: {error.strerror}") from error
        key = parse_tls_key(key_pem, self._passphrase, name=f"the TLS key {self._key_path}")
        parse_certificate(certificate_pem, name=f"the certificate {self._certificate_path}")
        return TlsIdentity(key, certificate_pem)


class Destination(NamedTuple):
    """A server to reach, and what to show it: `identity` is None only where somebody has no certificate yet."""

    address: str
    participant: str
    trust: Trust
    identity: TlsIdentity | None


def server_credentials(files: TlsFiles, trust: Callable[[], Trust]) -> grpc.ServerCredentials:
    """Return credentials for a synchronous or asyncio gRPC server that follow `files` and `trust` as they change.

    `trust` is asked at every handshake and must answer at once. Without any trusted key nobody could ever connect:
    raises `CertificateError`.
    """
    used = (files.current(), trust())
    if not used[1].keys:
        raise CertificateError("no TLS key is trusted, so no client could connect: configure at least the node's own")

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        nonlocal used
        newest = (files.current(), trust())
        if newest == used or not newest[1].keys:
            return None
        used = newest
        return _server_configuration(*newest)

    # The library documents None for "no change"; its type stubs do not say so.
    return grpc.dynamic_ssl_server_credentials(
        _server_configuration(*used),
        fetch,  # type: ignore[arg-type]
        require_client_authentication=True,
    )


def client_credentials(destination: Destination) -> grpc.ChannelCredentials:
    """Return credentials that accept only the destination's participant; raise `CertificateError` for a stranger."""
    keys = destination.trust.keys_of(destination.participant)
    if not keys:
        raise CertificateError(
            f"no TLS key of {destination.participant} is known, so no server could prove to be that participant's"
        )
    identity = destination.identity
    if identity is None:
        return grpc.ssl_channel_credentials(build_roots(keys))
    return grpc.ssl_channel_credentials(build_roots(keys), identity.key_pem(), identity.certificate_pem)


def open_channel(destination: Destination, reply_bytes_max: int = REPLY_BYTES_MAX) -> grpc.Channel:
    """Return a synchronous channel. It keeps the identity it was opened with: open another after a renewal."""
    options = client_options(destination.participant, reply_bytes_max)
    return grpc.secure_channel(destination.address, client_credentials(destination), options)


def open_aio_channel(destination: Destination, reply_bytes_max: int = REPLY_BYTES_MAX) -> grpc.aio.Channel:
    """Return an asyncio channel. It keeps the identity it was opened with: open another after a renewal."""
    options = client_options(destination.participant, reply_bytes_max)
    return grpc.aio.secure_channel(destination.address, client_credentials(destination), options)


def client_options(participant: str, reply_bytes_max: int = CALL_BYTES_MAX) -> ChannelOptions:
    """Return the options of a channel to `participant`.

    The name asked for is the participant's, not the host's: only that participant's key can answer to it, so a
    certificate need not change when a server moves.
    """
    return [
        ("grpc.ssl_target_name_override", format_server_name(participant)),
        ("grpc.max_send_message_length", CALL_BYTES_MAX),
        ("grpc.max_receive_message_length", reply_bytes_max),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_ANSWER_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", 10_000),
    ]


def server_options(call_bytes_max: int = CALL_BYTES_MAX) -> ChannelOptions:
    """Return the options of a server. A port that another process listens on is an error, never shared."""
    return [
        ("grpc.so_reuseport", 0),
        ("grpc.max_send_message_length", REPLY_BYTES_MAX),
        ("grpc.max_receive_message_length", call_bytes_max),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_ANSWER_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_MS // 2),
        ("grpc.max_connection_age_ms", CONNECTION_AGE_MS),
        ("grpc.max_connection_age_grace_ms", CONNECTION_GRACE_MS),
    ]


def _server_configuration(identity: TlsIdentity, trust: Trust) -> grpc.ServerCertificateConfiguration:
    roots = build_roots(tuple(key.public_key for key in trust.keys))
    return grpc.ssl_server_certificate_configuration([(identity.key_pem(), identity.certificate_pem)], roots)
