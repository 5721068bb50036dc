"""Certificates: what they name, how they are renewed, and when an operator hears of their end."""

from __future__ import annotations

import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from network.certificates import (
    CertificateError,
    CertificateIdentity,
    build_trust_anchor,
    compute_spki,
    create_tls_key,
    days_left,
    decode_public_key,
    encode_public_key,
    expiry_warning,
    is_signed_by,
    issue_certificate,
    parse_certificate,
    parse_tls_key,
    read_identity,
    renew_certificate,
)
from network.names import NameRefused
from tests.network.party import DAY, NETWORK, NOW, Party


def test_a_certificate_names_network_participant_and_hosts() -> None:
    party = Party("natreg")
    hosts = ["node.natreg.example", "10.0.0.7", "::1", "10.0.0.7"]
    pem = issue_certificate(party.key, network=NETWORK, participant="natreg", now=NOW, hosts=hosts)
    certificate = parse_certificate(pem)
    assert read_identity(certificate) == CertificateIdentity(NETWORK, "natreg")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["natreg.keeling.internal", "node.natreg.example"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.7", "::1"]
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["keeling://ledger.example/main/natreg"]
    assert certificate.not_valid_before_utc == NOW - timedelta(minutes=5)
    assert certificate.not_valid_after_utc == NOW + timedelta(days=365)


@pytest.mark.parametrize("hosts", [["müller.example"]])
def test_hosts_that_no_certificate_can_name(hosts: list[str]) -> None:
    with pytest.raises(NameRefused, match=r"cannot name these hosts: müller.example"):
        issue_certificate(Party("a").key, network=NETWORK, participant="a", now=NOW, hosts=hosts)


def test_a_renewal_keeps_key_and_names() -> None:
    party = Party("natreg")
    old = parse_certificate(
        issue_certificate(party.key, network=NETWORK, participant="natreg", now=NOW, hosts=["10.0.0.7"])
    )
    new = parse_certificate(renew_certificate(old, party.key, now=NOW + 300 * DAY))
    assert new.public_key() == old.public_key()
    assert new.subject == old.subject
    assert new.issuer == old.issuer
    find = x509.SubjectAlternativeName
    assert new.extensions.get_extension_for_class(find) == old.extensions.get_extension_for_class(find)
    assert new.serial_number != old.serial_number
    assert days_left(new, NOW) == 665


def test_only_the_signing_key_signed() -> None:
    a, b = Party("a"), Party("b")
    assert is_signed_by(a.certificate(), a.pin.public_key)
    assert not is_signed_by(a.certificate(), b.pin.public_key)
    assert is_signed_by(a.issue(b.key).certificate, a.pin.public_key)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl program here")
def test_another_tls_implementation_follows_the_anchor(tmp_path: Path) -> None:
    a, b = Party("a"), Party("b")
    for party in (a, b):
        (tmp_path / f"{party.participant}.anchor").write_bytes(build_trust_anchor(party.pin.public_key))
    leaf = tmp_path / "leaf"
    leaf.write_bytes(a.certificate().public_bytes(serialization.Encoding.PEM))

    def verify(anchor: str) -> subprocess.CompletedProcess[str]:
        command = ["openssl", "verify", "-x509_strict", "-CAfile", str(tmp_path / anchor), str(leaf)]
        return subprocess.run(command, capture_output=True, check=False, text=True)

    assert verify("a.anchor").returncode == 0
    assert "unable to get local issuer certificate" in verify("b.anchor").stderr


def test_public_keys_have_one_form() -> None:
    key = Party("a").key
    encoded = encode_public_key(key)
    assert len(encoded) == 91
    assert encode_public_key(decode_public_key(encoded)) == encoded
    assert len(compute_spki(encoded)) == 32
    compressed = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    algorithm = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
    with pytest.raises(CertificateError, match="not in its one DER form"):
        decode_public_key(algorithm + compressed)


def foreign_public_key(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


NO_PUBLIC_KEYS = [
    (b"", "not a DER SubjectPublicKeyInfo"),
    (b"\x30\x59", "not a DER SubjectPublicKeyInfo"),
    (foreign_public_key(ed25519.Ed25519PrivateKey.generate()), "not an ECDSA key on the curve P-256"),
    (foreign_public_key(ec.generate_private_key(ec.SECP384R1())), "not an ECDSA key on the curve P-256"),
]


@pytest.mark.parametrize(("encoded", "expected"), NO_PUBLIC_KEYS, ids=["empty", "cut off", "Ed25519", "P-384"])
def test_no_public_key(encoded: bytes, expected: str) -> None:
    with pytest.raises(CertificateError, match=expected):
        decode_public_key(encoded)


@pytest.mark.parametrize("passphrase", [None, "geheim"])
def test_a_tls_key_file_is_private_and_is_read_again(tmp_path: Path, passphrase: str | None) -> None:
    path = tmp_path / "tls.key"
    key = create_tls_key(path, passphrase)
    assert path.stat().st_mode & 0o777 == 0o600
    assert encode_public_key(parse_tls_key(path.read_bytes(), passphrase)) == encode_public_key(key)
    assert (b"ENCRYPTED" in path.read_bytes()) == (passphrase is not None)


def test_tls_keys_that_cannot_be_used(tmp_path: Path) -> None:
    create_tls_key(tmp_path / "sealed", "geheim")
    sealed = (tmp_path / "sealed").read_bytes()
    with pytest.raises(CertificateError, match="the key K is encrypted: set KEELING_PASSPHRASE"):
        parse_tls_key(sealed, name="the key K")
    with pytest.raises(CertificateError, match="the passphrase does not open it"):
        parse_tls_key(sealed, "other")
    with pytest.raises(CertificateError, match="it is not a PEM private key"):
        parse_tls_key(b"hello")
    other = ec.generate_private_key(ec.SECP384R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(CertificateError, match="not an ECDSA key on the curve P-256"):
        parse_tls_key(other)


ENDS = [
    (timedelta(days=30), None, ""),
    (timedelta(days=30, seconds=-1), 30, "ends in 29 days"),
    (timedelta(days=14), 30, "ends in 14 days"),
    (timedelta(days=14, seconds=-1), 14, "ends in 13 days"),
    (timedelta(days=7, seconds=-1), 7, "ends in 6 days"),
    (timedelta(0), 7, "ends in 0 days"),
    (timedelta(seconds=-1), 0, "its links are down until it is renewed"),
    (timedelta(days=-40), 0, "its links are down until it is renewed"),
]


@pytest.mark.parametrize(("left", "threshold", "text"), ENDS)
def test_the_end_is_announced(left: timedelta, threshold: int | None, text: str) -> None:
    certificate = Party("natreg").certificate(NOW - 400 * DAY, NOW + left)
    warning = expiry_warning("natreg", certificate, NOW)
    assert (None if warning is None else warning.threshold_days) == threshold
    if warning is not None:
        assert text in warning.text
        assert warning.text.startswith("the certificate of natreg")
