"""Signed HTTP requests by RFC 9421, as our profile wants them: method, target, content type and digest, once. Pure.

The profile: tag `registry-hub`, `created`, `keyid` and `nonce` given, at most five minutes old, body covered by its
RFC 9530 digest. What the signature does not cover is not believed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver, InvalidSignature, algorithms
from http_message_signatures.exceptions import HTTPMessageSignaturesException

from hub.inbound.keys import InboundKey, KeyKind
from hub.inbound.refusals import Refusal, Verified, Why
from hub.inbound.webhook import check_time

TAG: Final = "registry-hub"
COVERED: Final = ('"@method"', '"@target-uri"', '"content-type"', '"content-digest"')
_ALGORITHMS: Final = {KeyKind.HMAC_SHA256: algorithms.HMAC_SHA256, KeyKind.ED25519: algorithms.ED25519}


class SignedRequest(NamedTuple):
    """A request as it was signed: `url` is what the sender called, also behind a proxy."""

    method: str
    url: str
    headers: Mapping[str, str]


class _Resolver(HTTPSignatureKeyResolver):
    def __init__(self, key: InboundKey) -> None:
        self._key = key

    def resolve_public_key(self, key_id: str) -> Any:
        if self._key.kind is KeyKind.HMAC_SHA256:
            return self._key.material
        return Ed25519PublicKey.from_public_bytes(self._key.material)

    def resolve_private_key(self, key_id: str) -> Any:
        raise InvalidSignature("nothing is signed here")


class _Verifier(HTTPMessageVerifier):
    """The library reads the clock of the machine; here times are checked afterwards, against the hub's."""

    def validate_created_and_expires(self, sig_input: Any, max_age: timedelta | None = None) -> None:
        if type(sig_input.params.get("created")) is not int:
            raise InvalidSignature("the signature does not say when it was created")


def check_signed_request(
    keys: Sequence[InboundKey], request: SignedRequest, body: bytes, now_ms: int
) -> Verified | Refusal:
    """Who signed it and under which nonce, or why it is not believed."""
    names = {name.lower() for name in request.headers}
    if not {"signature", "signature-input"} <= names:
        return Refusal(Why.NO_SIGNATURE, "Signature and Signature-Input are needed")
    refusal = Refusal(Why.UNKNOWN_KEY, "no key is known for this registry")
    for key in keys:
        found = _check(key, request, body, now_ms)
        if isinstance(found, Verified):
            return found
        if refusal.why is Why.UNKNOWN_KEY or found.why is not Why.UNKNOWN_KEY:
            refusal = found
    return refusal


def _check(key: InboundKey, request: SignedRequest, body: bytes, now_ms: int) -> Verified | Refusal:
    verifier = _Verifier(signature_algorithm=_ALGORITHMS[key.kind], key_resolver=_Resolver(key))
    try:
        (found,) = verifier.verify(request, max_age=None, expect_tag=TAG, require_components=COVERED)
    except (HTTPMessageSignaturesException, ValueError) as error:
        return Refusal(Why.BAD_SIGNATURE, str(error)[:300])
    said = found.parameters
    if said.get("keyid") != key.name:
        return Refusal(Why.UNKNOWN_KEY, f"no key {str(said.get('keyid'))[:80]!r} is known for this registry")
    try:
        verifier.verify_body(request, [found], body)
    except HTTPMessageSignaturesException as error:
        return Refusal(Why.BODY_CHANGED, str(error)[:300])
    nonce, created, expires = said.get("nonce"), int(said["created"]) * 1000, said.get("expires")
    if not isinstance(nonce, str) or not 8 <= len(nonce) <= 256:
        return Refusal(Why.BAD_SIGNATURE, "the signature has no nonce of 8 to 256 characters")
    if isinstance(expires, int) and expires * 1000 < now_ms:
        return Refusal(Why.TOO_OLD, "the signature has expired")
    return check_time(created, now_ms) or Verified(nonce, created, key.name, key.of_ledger)
