"""TLS keys and certificates of participants.

A participant is known by one public key, never by certificate bytes: certificates end and are made anew with the same
key, and nobody else has to do anything. So that a TLS library can follow that rule, every certificate names as its
issuer the SHA-256 of the key that signed it, and whoever has a participant's public key builds the *anchor*, the root
certificate of that name and key, for itself (`build_trust_anchor`; an anchor's own signature is never looked at, RFC
5280 §6.1.1 (d)). A participant's key signs the certificate of that key itself, and may sign those of further keys, such
as one for an operator's own machine.

Which keys are trusted lives in `network.trust`, their use in `network.transport`. The keys are ECDSA P-256, because
the TLS library below gRPC knows no Ed25519.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from network.files import write_new_file
from network.names import NameRefused, check_origin, check_participant, is_ip

TlsKey = ec.EllipticCurvePrivateKey
URI_SCHEME: Final = "keeling://"
CERTIFICATE_DAYS: Final = 365
"""How long a new certificate is good for, in days. Renewal costs nobody else anything, so a year is not a threat."""
BACKDATED: Final = timedelta(minutes=5)
"""A certificate is good from this long before it was made, so that a peer whose clock is a little slow takes it."""
WARNING_DAYS: Final = (30, 14, 7)
"""Days before the end at which an operator is told, each time more loudly."""


class CertificateError(ValueError):
    """The key or certificate cannot be used; the text says which, why and what to do."""


class CertificateIdentity(NamedTuple):
    """Whom a certificate claims to be for: the parts of its URI name `keeling://<network>/<participant>`."""

    network: str
    participant: str


class ExpiryWarning(NamedTuple):
    """Say `text` once for each `threshold_days` (30, 14, 7; 0 once it has ended)."""

    threshold_days: int
    text: str


def create_tls_key(path: Path, passphrase: str | None = None) -> TlsKey:
    """Make a P-256 key and write the new file `path`: PEM PKCS #8, mode 0600, encrypted if there is a passphrase."""
    key = ec.generate_private_key(ec.SECP256R1())
    protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        protection = serialization.BestAvailableEncryption(passphrase.encode("utf-8"))
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
    write_new_file(path, pem)
    return key


def parse_tls_key(pem: bytes, passphrase: str | None = None, *, name: str = "the TLS key") -> TlsKey:
    """Read a PEM private key; raise `CertificateError` that calls it `name`."""
    encrypted = b"ENCRYPTED" in pem
    if encrypted and passphrase is None:
        raise CertificateError(f"{name} is encrypted: set KEELING_PASSPHRASE")
    try:
        password = passphrase.encode("utf-8") if encrypted and passphrase is not None else None
        key = serialization.load_pem_private_key(pem, password)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        reason = "the passphrase does not open it, or it is damaged" if encrypted else "it is not a PEM private key"
        raise CertificateError(f"{name} cannot be used: {reason}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise CertificateError(f"{name} cannot be used: it is not an ECDSA key on the curve P-256")
    return key


def parse_certificate(pem: bytes, *, name: str = "the certificate") -> x509.Certificate:
    """Read one PEM certificate; raise `CertificateError` that calls it `name`."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise CertificateError(f"{name} cannot be used: it is not a PEM certificate") from error


def encode_public_key(key: TlsKey | ec.EllipticCurvePublicKey) -> bytes:
    """Return the public key as participants exchange it: DER SubjectPublicKeyInfo (RFC 5480), 91 bytes."""
    public = key.public_key() if isinstance(key, ec.EllipticCurvePrivateKey) else key
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def decode_public_key(encoded: bytes) -> ec.EllipticCurvePublicKey:
    """Read what `encode_public_key` writes, and only that."""
    try:
        key = serialization.load_der_public_key(encoded)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError("the public key is not a DER SubjectPublicKeyInfo") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise CertificateError("the public key is not an ECDSA key on the curve P-256")
    if encode_public_key(key) != encoded:
        raise CertificateError("the public key is not in its one DER form: export it again, uncompressed")
    return key


def compute_spki(public_key: bytes) -> bytes:
    """Return the pin of a DER public key: its SHA-256, 32 bytes (the `pin-sha256` of RFC 7469 §2.4)."""
    return hashlib.sha256(public_key).digest()


def format_uri(network: str, participant: str) -> str:
    """Return the URI name that a certificate of `participant` carries."""
    return f"{URI_SCHEME}{check_origin(network)}/{check_participant(participant)}"


def format_server_name(participant: str) -> str:
    """Return the DNS name that every certificate of `participant` carries and its clients ask for, wherever it runs."""
    return f"{check_participant(participant)}.keeling.internal"


def issue_certificate(
    authority: TlsKey,
    *,
    network: str,
    participant: str,
    now: datetime,
    hosts: Sequence[str] = (),
    public_key: ec.EllipticCurvePublicKey | None = None,
    days: int = CERTIFICATE_DAYS,
) -> bytes:
    """Return the PEM certificate of `public_key` (the authority's own, if none is given), for server and client.

    `authority` is the participant's pinned key. `hosts` are further DNS names and IP addresses, for clients that check
    them; our own do not need them. Raises `NameRefused` for names that have no place in a certificate.
    """
    try:
        names = [
            x509.IPAddress(ipaddress.ip_address(host)) if is_ip(host) else x509.DNSName(host)
            for host in dict.fromkeys(hosts)
        ]
    except ValueError as error:
        raise NameRefused(f"a certificate cannot name these hosts: {', '.join(hosts)}") from error
    own_name = x509.DNSName(format_server_name(participant))
    uri = x509.UniformResourceIdentifier(format_uri(network, participant))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, participant)])
    dates = now - BACKDATED, now + timedelta(days=days)
    return _sign(authority, public_key or authority.public_key(), subject, [own_name, *names, uri], dates)


def renew_certificate(
    certificate: x509.Certificate, authority: TlsKey, *, now: datetime, days: int = CERTIFICATE_DAYS
) -> bytes:
    """Return the PEM certificate for the same key and names, good for `days` from `now`."""
    return date_certificate(certificate, authority, now - BACKDATED, now + timedelta(days=days))


def date_certificate(certificate: x509.Certificate, authority: TlsKey, start: datetime, end: datetime) -> bytes:
    """Return the PEM certificate for the same key and names, signed by `authority`, good from `start` to `end`."""
    public_key = certificate.public_key()
    if not isinstance(public_key, ec.EllipticCurvePublicKey):
        raise CertificateError("the certificate is not for a P-256 key")
    return _sign(authority, public_key, certificate.subject, list(_alternative_names(certificate)), (start, end))


def build_trust_anchor(public_key: bytes) -> bytes:
    """Return a PEM root certificate under which exactly the certificates that `public_key` signed are valid."""
    key = decode_public_key(public_key)
    name = _key_name(key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key)
        .serial_number(1)
        .not_valid_before(datetime(1970, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(9999, 12, 31, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )
    nobody = ec.generate_private_key(ec.SECP256R1())
    return builder.sign(nobody, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def read_identity(certificate: x509.Certificate) -> CertificateIdentity:
    """Return whom the certificate claims to be for; raise `CertificateError` if it is none of this software's."""
    uris = [name.value for name in _alternative_names(certificate) if isinstance(name, x509.UniformResourceIdentifier)]
    ours = [uri.removeprefix(URI_SCHEME) for uri in uris if uri.startswith(URI_SCHEME)]
    if len(ours) != 1 or "/" not in ours[0]:
        raise CertificateError("the certificate names no participant (a name keeling://<network>/<participant>)")
    network, _, participant = ours[0].rpartition("/")
    return CertificateIdentity(network, participant)


def is_signed_by(certificate: x509.Certificate, public_key: bytes) -> bool:
    """Tell whether the DER key `public_key` made the certificate. Looks at the signature alone, not at dates."""
    algorithm = certificate.signature_hash_algorithm
    if not isinstance(algorithm, hashes.SHA256):
        return False
    try:
        decode_public_key(public_key).verify(
            certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(algorithm)
        )
    except InvalidSignature:
        return False
    return True


def days_left(certificate: x509.Certificate, now: datetime) -> int:
    """Return the whole days until the certificate ends; below zero once it has."""
    return (certificate.not_valid_after_utc - now).days


def expiry_warning(what: str, certificate: x509.Certificate, now: datetime) -> ExpiryWarning | None:
    """Return what to tell an operator about the end of the certificate of `what`, or None while there is time."""
    days, end = days_left(certificate, now), format_time(certificate.not_valid_after_utc)
    if days < 0:
        text = f"the certificate of {what} ended on {end}: its links are down until it is renewed (the same key stays)"
        return ExpiryWarning(0, text)
    for threshold in sorted(WARNING_DAYS):
        if days < threshold:
            return ExpiryWarning(threshold, f"the certificate of {what} ends in {days} days, on {end}: renew it")
    return None


def format_time(moment: datetime) -> str:
    """Write a moment for people: UTC, to the minute."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | tuple[x509.GeneralName, ...]:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """A certificate of the one kind makes handshakes, an anchor certificates (RFC 5280 §4.2.1.3)."""
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key_name(key: ec.EllipticCurvePublicKey) -> x509.Name:
    digest = compute_spki(encode_public_key(key)).hex()
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, digest)])


def _sign(
    authority: TlsKey,
    public_key: ec.EllipticCurvePublicKey,
    subject: x509.Name,
    names: Sequence[x509.GeneralName],
    dates: tuple[datetime, datetime],
) -> bytes:
    issuer = authority.public_key()
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(_key_name(issuer))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(dates[0])
        .not_valid_after(dates[1])
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    return builder.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
