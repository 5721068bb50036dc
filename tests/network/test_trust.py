"""Who a certificate or a call comes from, and who is turned away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from network.certificates import CertificateError, compute_spki, encode_public_key
from network.names import NameRefused
from network.trust import NotTrusted, Peer, PinnedKey, Trust, build_trust, check_certificate, peer_identity
from tests.network.party import NETWORK, Party, trust

A, B = Party("a"), Party("b")
FOREIGN = Party("a", network="other.example")


class Call:
    """A call context that carries these certificates."""

    def __init__(self, *pems: bytes) -> None:
        self._pems = pems

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        return {"x509_pem_cert": self._pems} if self._pems else {}


def test_the_pinned_key_and_keys_that_it_signed_speak_for_the_participant() -> None:
    laptop = ec.generate_private_key(ec.SECP256R1())
    assert check_certificate(A.certificate(), trust(A, B)) == Peer("a", A.pin.spki)
    assert check_certificate(A.issue(laptop).certificate, trust(A, B)) == Peer(
        "a", compute_spki(encode_public_key(laptop))
    )


def test_old_and_new_key_are_both_good_during_a_replacement() -> None:
    new = Party("a")
    both = build_trust(NETWORK, [A.pin, new.pin])
    assert check_certificate(A.certificate(), both).spki == A.pin.spki
    assert check_certificate(new.certificate(), both).spki == new.pin.spki


STRANGERS = [
    (A.certificate(), trust(B), "a is not a participant whose key is known here"),
    (Party("a").certificate(), trust(A, B), "says a but that participant's key did not sign it"),
    (B.issue(B.key, participant="a").certificate, trust(A, B), "says a but that participant's key did not sign it"),
    (FOREIGN.certificate(), trust(A), "is for the network other.example, and this is ledger.example/main"),
]


@pytest.mark.parametrize(("certificate", "trusted", "expected"), STRANGERS)
def test_strangers(certificate: x509.Certificate, trusted: Trust, expected: str) -> None:
    with pytest.raises(NotTrusted, match=expected):
        check_certificate(certificate, trusted)


def test_a_call_names_its_peer_until_the_key_is_withdrawn() -> None:
    call = Call(A.identity().certificate_pem)
    assert peer_identity(call, trust(A, B)) == Peer("a", A.pin.spki)
    with pytest.raises(NotTrusted, match="not a participant whose key is known"):
        peer_identity(call, trust(B))


def test_calls_without_a_usable_certificate() -> None:
    with pytest.raises(NotTrusted, match="without a client certificate"):
        peer_identity(Call(), trust(A))
    with pytest.raises(NotTrusted, match="not a PEM certificate"):
        peer_identity(Call(b"x"), trust(A))


def test_trust_refuses_what_can_be_no_name_or_key() -> None:
    with pytest.raises(NameRefused):
        build_trust(NETWORK, [PinnedKey("A b", A.pin.public_key)])
    with pytest.raises(CertificateError):
        build_trust(NETWORK, [PinnedKey("a", b"no key")])
    with pytest.raises(NameRefused):
        build_trust("Not an origin", [])


def test_snapshots_compare_by_content() -> None:
    assert trust(A, B) == trust(B, A) == build_trust(NETWORK, [A.pin, B.pin, A.pin])
    assert trust(A, B) != trust(A)
