"""Which participants' TLS keys are trusted, and whom a certificate or a gRPC call therefore comes from.

A `Trust` is a snapshot: configuration and ledger make a new one whenever a key is admitted, replaced or suspended. A
participant may have several keys at once, which is how a TLS key is replaced without a moment of silence. What the
participant may *do* is decided by the ledger, not here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from network.certificates import (
    CertificateError,
    build_trust_anchor,
    compute_spki,
    decode_public_key,
    is_signed_by,
    parse_certificate,
    read_identity,
)
from network.names import check_origin, check_participant


class NotTrusted(CertificateError):
    """The certificate is not one of a trusted participant of this network; the text says why."""


class PinnedKey(NamedTuple):
    """A participant's TLS key: `public_key` is the DER SubjectPublicKeyInfo that it gave to the others."""

    participant: str
    public_key: bytes

    @property
    def spki(self) -> bytes:
        """The SHA-256 of the key, 32 bytes: how people and the ledger refer to it."""
        return compute_spki(self.public_key)


class Trust(NamedTuple):
    """The keys that speak for the participants of `network`. Made by `build_trust`; compare snapshots with `==`."""

    network: str
    keys: tuple[PinnedKey, ...]

    def keys_of(self, participant: str) -> tuple[bytes, ...]:
        """Return the DER public keys of `participant`; none for a stranger."""
        return tuple(key.public_key for key in self.keys if key.participant == participant)


class Peer(NamedTuple):
    """Who is at the other end: the participant, and the SHA-256 of the key that its certificate is for."""

    participant: str
    spki: bytes


class CallContext(Protocol):
    """The part of a gRPC servicer context, synchronous or asyncio, that says who calls."""

    def auth_context(self) -> Mapping[str, Iterable[bytes]]: ...


def build_trust(network: str, keys: Iterable[PinnedKey]) -> Trust:
    """Return the snapshot; raise `NameRefused` or `CertificateError` for a name or key that can be none."""
    pinned = tuple(sorted(set(keys)))
    for key in pinned:
        check_participant(key.participant)
        decode_public_key(key.public_key)
    return Trust(check_origin(network), pinned)


@lru_cache(maxsize=64)
def build_roots(keys: tuple[bytes, ...]) -> bytes:
    """Return the PEM root certificates that make TLS accept exactly what these DER public keys signed."""
    return b"".join(build_trust_anchor(key) for key in keys)


def check_certificate(certificate: x509.Certificate, trust: Trust) -> Peer:
    """Return whom the certificate speaks for; raise `NotTrusted` otherwise. Dates are TLS's to check, not looked at."""
    try:
        identity = read_identity(certificate)
        public_key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (CertificateError, ValueError) as error:
        raise NotTrusted(str(error)) from error
    if identity.network != trust.network:
        raise NotTrusted(f"the certificate is for the network {identity.network}, and this is {trust.network}")
    keys = trust.keys_of(identity.participant)
    if not keys:
        raise NotTrusted(f"{identity.participant} is not a participant whose key is known here")
    if not any(is_signed_by(certificate, key) for key in keys):
        raise NotTrusted(f"the certificate says {identity.participant} but that participant's key did not sign it")
    return Peer(identity.participant, compute_spki(public_key))


def peer_identity(context: CallContext, trust: Trust) -> Peer:
    """Return who makes this call; raise `NotTrusted` if TLS let in somebody whom `trust` does not, or no longer, know.

    Call it for every call, and for long streams from time to time: a connection outlives a change of trust. Repeated
    certificates cost a look-up, new ones a signature check.
    """
    certificates = tuple(context.auth_context().get("x509_pem_cert", ()))
    if not certificates:
        raise NotTrusted("the call came without a client certificate")
    return _check_pem(certificates[0], trust)


@lru_cache(maxsize=4096)
def _check_pem(pem: bytes, trust: Trust) -> Peer:
    try:
        certificate = parse_certificate(pem)
    except CertificateError as error:
        raise NotTrusted(str(error)) from error
    return check_certificate(certificate, trust)
