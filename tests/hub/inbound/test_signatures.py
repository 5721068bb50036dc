"""Who said it: Standard Webhooks, RFC 9421 and detached JWS, with the published vectors and every way to be wrong."""

from __future__ import annotations

import base64
import datetime
import hashlib
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver, algorithms
from joserfc import jws
from joserfc.jwk import OctKey, OKPKey

from adapters.sandbox.notices import Notice, sign_notice
from hub.inbound.keys import InboundKey, KeyKind, KeyTextError, parse_key
from hub.inbound.refusals import STATUS, Refusal, Verified, Why
from hub.inbound.replays import Replays
from hub.inbound.signed_file import check_signed_file
from hub.inbound.signed_http import TAG, SignedRequest, check_signed_request
from hub.inbound.webhook import TOLERANCE_MS, check_webhook

# The vector that the specification's reference libraries share.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VECTOR = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
BODY = b'{"test": 2432232314}'
NOW_MS = 1_614_265_330_000
SHARED = parse_key("one", SECRET)
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = PRIVATE.public_key().public_bytes_raw()
LEDGER_KEY = InboundKey("reg-1", KeyKind.ED25519, PUBLIC, of_ledger=True)


def why(found: Verified | Refusal) -> Why | None:
    return found.why if isinstance(found, Refusal) else None


def test_the_published_webhook_verifies() -> None:
    assert check_webhook([SHARED], VECTOR, BODY, NOW_MS) == Verified(VECTOR["webhook-id"], NOW_MS, "one")


WRONG = [
    ("last letters changed", {"webhook-signature": VECTOR["webhook-signature"][:-3] + "OA="}, 0, Why.BAD_SIGNATURE),
    ("another id", {"webhook-id": "msg_2"}, 0, Why.BAD_SIGNATURE),
    ("another time", {"webhook-timestamp": "1614265331"}, 0, Why.BAD_SIGNATURE),
    ("time is no number", {"webhook-timestamp": "１６１４２６５３３０"}, 0, Why.BAD_SIGNATURE),
    ("not base64", {"webhook-signature": "v1,???"}, 0, Why.BAD_SIGNATURE),
    (
        "secret named as public key",
        {"webhook-signature": "v1a," + VECTOR["webhook-signature"][3:]},
        0,
        Why.BAD_SIGNATURE,
    ),
    ("no signature", {"webhook-signature": ""}, 0, Why.NO_SIGNATURE),
    ("five minutes old", {}, TOLERANCE_MS, None),
    ("six minutes old", {}, 360_000, Why.TOO_OLD),
    ("six minutes ahead", {}, -360_000, Why.FROM_THE_FUTURE),
    ("among signatures of other keys", {"webhook-signature": f"v1,AAAA v2,x {VECTOR['webhook-signature']}"}, 0, None),
]


@pytest.mark.parametrize("case", WRONG, ids=lambda each: each[0])
def test_webhooks_that_are_not_believed(case: tuple[str, Mapping[str, str], int, Why | None]) -> None:
    _, changed, later, expected = case
    assert why(check_webhook([SHARED], VECTOR | dict(changed), BODY, NOW_MS + later)) == expected


def test_a_changed_body_and_a_foreign_key_are_not_believed() -> None:
    assert why(check_webhook([SHARED], VECTOR, BODY + b" ", NOW_MS)) is Why.BAD_SIGNATURE
    other = parse_key("two", "whsec_" + base64.b64encode(bytes(24)).decode())
    assert why(check_webhook([other], VECTOR, BODY, NOW_MS)) is Why.BAD_SIGNATURE
    assert why(check_webhook([], VECTOR, BODY, NOW_MS)) is Why.BAD_SIGNATURE
    assert isinstance(check_webhook([other, SHARED], VECTOR, BODY, NOW_MS), Verified), "one key replaces another"


def test_a_webhook_signed_with_the_registrys_ledger_key_says_so() -> None:
    signed = f"{VECTOR['webhook-id']}.{VECTOR['webhook-timestamp']}.".encode() + BODY
    signature = "v1a," + base64.b64encode(PRIVATE.sign(signed)).decode()
    found = check_webhook([SHARED, LEDGER_KEY], VECTOR | {"webhook-signature": signature}, BODY, NOW_MS)
    assert found == Verified(VECTOR["webhook-id"], NOW_MS, "reg-1", of_ledger=True)


def test_the_sandbox_signs_as_the_vector_does() -> None:
    assert sign_notice(SECRET, Notice(VECTOR["webhook-id"], 1614265330, BODY)) == VECTOR["webhook-signature"]


@pytest.mark.parametrize("text", ["", "s3same", "whsec_", "whsec_!", "whpk_AAAA", "whsec_" + "A" * 200])
def test_what_is_no_key_is_never_shown(text: str) -> None:
    with pytest.raises(KeyTextError) as found:
        parse_key("one", text)
    assert not text or text not in str(found.value)


# -- RFC 9421


class Signing(HTTPSignatureKeyResolver):
    def resolve_private_key(self, key_id: str) -> Any:
        return PRIVATE

    def resolve_public_key(self, key_id: str) -> Any:
        return PRIVATE.public_key()


class Message:
    def __init__(self, url: str = "https://hub.example/inbound/puro", body: bytes = BODY) -> None:
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        self.method, self.url = "POST", url
        self.headers = {"content-type": "application/json", "content-digest": f"sha-256=:{digest}:"}


COVERED = ("@method", "@target-uri", "content-type", "content-digest")


def sign(message: Message, covered: tuple[str, ...] = COVERED, **said: Any) -> SignedRequest:
    created = datetime.datetime.fromtimestamp(said.pop("at_s", NOW_MS // 1000), datetime.UTC)
    signer = HTTPMessageSigner(signature_algorithm=algorithms.ED25519, key_resolver=Signing())
    fields = {"key_id": "reg-1", "nonce": "nonce-00001", "tag": TAG, "covered_component_ids": covered} | said
    signer.sign(message, created=created, use_existing_digest=True, **fields)
    return SignedRequest(message.method, message.url, message.headers)


def test_a_signed_request_verifies_and_has_the_grade_of_its_key() -> None:
    found = check_signed_request([SHARED, LEDGER_KEY], sign(Message()), BODY, NOW_MS)
    assert found == Verified("nonce-00001", NOW_MS, "reg-1", of_ledger=True)


REQUESTS: list[tuple[str, dict[str, Any], int, Why]] = [
    ("another key id", {"key_id": "reg-2"}, 0, Why.UNKNOWN_KEY),
    ("another tag", {"tag": "somebody-else"}, 0, Why.BAD_SIGNATURE),
    ("no nonce", {"nonce": None}, 0, Why.BAD_SIGNATURE),
    ("digest not covered", {"covered": COVERED[:3]}, 0, Why.BAD_SIGNATURE),
    ("target not covered", {"covered": ("@method", "content-type", "content-digest")}, 0, Why.BAD_SIGNATURE),
    ("six minutes old", {}, 360_000, Why.TOO_OLD),
    ("six minutes ahead", {}, -360_000, Why.FROM_THE_FUTURE),
]


@pytest.mark.parametrize("case", REQUESTS, ids=lambda each: each[0])
def test_requests_that_are_not_believed(case: tuple[str, dict[str, Any], int, Why]) -> None:
    _, said, later, expected = case
    assert why(check_signed_request([LEDGER_KEY], sign(Message(), **said), BODY, NOW_MS + later)) is expected


def test_what_was_signed_cannot_be_changed() -> None:
    request = sign(Message())
    assert why(check_signed_request([LEDGER_KEY], request, BODY + b" ", NOW_MS)) is Why.BODY_CHANGED
    elsewhere = request._replace(url="https://hub.example/inbound/verra")
    assert why(check_signed_request([LEDGER_KEY], elsewhere, BODY, NOW_MS)) is Why.BAD_SIGNATURE
    assert why(check_signed_request([LEDGER_KEY], request._replace(method="PUT"), BODY, NOW_MS)) is Why.BAD_SIGNATURE
    bare = SignedRequest("POST", "https://hub.example/", {})
    assert why(check_signed_request([LEDGER_KEY], bare, BODY, NOW_MS)) is Why.NO_SIGNATURE
    other = LEDGER_KEY._replace(material=bytes(32))
    assert why(check_signed_request([other], request, BODY, NOW_MS)) is Why.BAD_SIGNATURE
    junk = dict(request.headers, signature="sig=:AAAA", **{"signature-input": "((("})
    assert why(check_signed_request([LEDGER_KEY], request._replace(headers=junk), BODY, NOW_MS)) is Why.BAD_SIGNATURE


# -- detached JWS


def detach(document: bytes, header: dict[str, Any], key: Any) -> bytes:
    return jws.detach_content(jws.serialize_compact(header, document, key, algorithms=[header["alg"]])).encode()


def ed25519_key() -> OKPKey:
    def b64(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": b64(PUBLIC), "d": b64(bytes(range(32)))})


@pytest.mark.parametrize("document", [BODY, b"", bytes(range(256)), b"a.b.c"])
def test_a_detached_signature_is_over_exactly_these_bytes(document: bytes) -> None:
    signature = detach(document, {"alg": "Ed25519"}, ed25519_key())
    found = check_signed_file([LEDGER_KEY], signature + b"\n", document)
    assert isinstance(found, Verified)
    assert found.of_ledger
    assert why(check_signed_file([LEDGER_KEY], signature, document + b"x")) is Why.BAD_SIGNATURE


def test_files_that_are_not_believed() -> None:
    secret = OctKey.import_key(SHARED.material)
    shared = detach(BODY, {"alg": "HS256"}, secret)
    assert isinstance(check_signed_file([SHARED], shared, BODY), Verified)
    assert why(check_signed_file([LEDGER_KEY], shared, BODY)) is Why.BAD_SIGNATURE
    # A public key taken for a shared secret: the header must never choose how a key is used.
    confused = detach(BODY, {"alg": "HS256"}, OctKey.import_key(PUBLIC))
    assert why(check_signed_file([LEDGER_KEY], confused, BODY)) is Why.BAD_SIGNATURE
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=") + b".."
    assert why(check_signed_file([LEDGER_KEY, SHARED], none, BODY)) is Why.BAD_SIGNATURE
    for text, expected in ((b"", Why.NO_SIGNATURE), (b"a.b.c", Why.NO_SIGNATURE), (b"x" * 20_000, Why.TOO_LARGE)):
        assert why(check_signed_file([LEDGER_KEY], text, BODY)) is expected


def test_a_repeat_is_known_and_forgotten_when_its_signature_is_too_old_anyway() -> None:
    seen, one = Replays(), Verified("m1", 0, "k")
    assert seen.check("puro", one, b"a") is None
    seen.remember("puro", one, b"a", NOW_MS)
    assert why(seen.check("puro", one, b"a") or one) is Why.REPLAYED
    assert why(seen.check("puro", one, b"b") or one) is Why.ID_REUSED
    assert seen.check("verra", one, b"a") is None
    seen.remember("puro", one._replace(id="m2"), b"a", NOW_MS + 2 * TOLERANCE_MS + 1)
    assert seen.check("puro", one, b"a") is None


def test_every_refusal_has_a_status() -> None:
    assert set(STATUS) == set(Why)
