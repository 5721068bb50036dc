"""Standard Webhooks 1.0.0, the receiving side: signature over id, time and body, and a time that is not old. Pure.

Whether the same id came before is asked in `hub.inbound.replays`. Source: the specification at standardwebhooks.com.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hub.inbound.keys import InboundKey, KeyKind
from hub.inbound.refusals import Refusal, Verified, Why

TOLERANCE_MS: Final = 300_000
"""What the reference libraries allow, both ways."""
_SIGNATURES_MAX: Final = 16
_ID_MAX: Final = 256
_VERSIONS: Final = {"v1": KeyKind.HMAC_SHA256, "v1a": KeyKind.ED25519}


def check_webhook(
    keys: Sequence[InboundKey], headers: Mapping[str, str], body: bytes, now_ms: int
) -> Verified | Refusal:
    """Who sent it and under which id, or why it is not believed. `headers` by lower-case name."""
    name, time_text = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    offered = headers.get("webhook-signature", "").split()
    if not name or not time_text or not offered:
        return Refusal(Why.NO_SIGNATURE, "webhook-id, webhook-timestamp and webhook-signature are needed")
    if len(name) > _ID_MAX or not (time_text.isascii() and time_text.isdecimal() and len(time_text) <= 12):
        return Refusal(Why.BAD_SIGNATURE, "the id is too long, or the timestamp no number of seconds")
    signed = f"{name}.{time_text}.".encode() + body
    key = _find_signer(keys, offered[:_SIGNATURES_MAX], signed)
    if key is None:
        return Refusal(Why.BAD_SIGNATURE, "no signature over this id, time and body is by a key of this registry")
    at_ms = int(time_text) * 1000
    late = check_time(at_ms, now_ms)
    return late or Verified(name, at_ms, key.name, key.of_ledger)


def check_time(at_ms: int, now_ms: int) -> Refusal | None:
    """A refusal for what was signed too long ago, or is dated ahead."""
    if now_ms - at_ms > TOLERANCE_MS:
        return Refusal(Why.TOO_OLD, f"signed {(now_ms - at_ms) // 1000} s ago; {TOLERANCE_MS // 1000} s are allowed")
    if at_ms - now_ms > TOLERANCE_MS:
        return Refusal(Why.FROM_THE_FUTURE, f"dated {(at_ms - now_ms) // 1000} s ahead of this clock")
    return None


def _find_signer(keys: Sequence[InboundKey], offered: Sequence[str], signed: bytes) -> InboundKey | None:
    for item in offered:
        version, _, text = item.partition(",")
        try:
            signature = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            continue
        for key in keys:
            if _VERSIONS.get(version) is key.kind and is_signed(key, signature, signed):
                return key
    return None


def is_signed(key: InboundKey, signature: bytes, signed: bytes) -> bool:
    """Whether the signature is the key's, over these bytes; takes as long for wrong ones as for right ones."""
    if key.kind is KeyKind.HMAC_SHA256:
        return hmac.compare_digest(hmac.new(key.material, signed, hashlib.sha256).digest(), signature)
    try:
        Ed25519PublicKey.from_public_bytes(key.material).verify(signature, signed)
    except (InvalidSignature, ValueError):
        return False
    return True
