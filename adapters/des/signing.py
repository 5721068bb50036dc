"""Signed messages: detached JWS (RFC 7515 appendix F) with Ed25519 (RFC 9864) over JSON of one spelling.

What is sent carries the signature in a header, so that a body does not change with the key. What a registry says is an
envelope `{"message": …, "jws": …}` that can be kept as evidence whole. Who trusts which key is decided elsewhere.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from adapters.web import format_json

HEADER: Final = "Message-JWS"
"""Carries the signature over a request's body, or over `format_question` of a request that has none."""
_ALGORITHM: Final = "Ed25519"
_KEY_BYTES: Final = 32


class KeyTextError(ValueError):
    """The text is no Ed25519 key: 32 bytes in base64url."""


class SignatureError(ValueError):
    """The message is not signed by the key it should be signed by."""


def read_signing_key(text: str) -> OKPKey:
    """The private key of a seed in base64url; raises `KeyTextError`."""
    seed = _read_bytes(text)
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": _print_bytes(public), "d": _print_bytes(seed)})


def read_public_key(text: str) -> OKPKey:
    """A public key in base64url; raises `KeyTextError`."""
    return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": _print_bytes(_read_bytes(text))})


def print_public_key(key: OKPKey) -> str:
    """The public half, as `read_public_key` reads it."""
    return str(key.as_dict(private=False)["x"])


def sign(body: bytes, key: OKPKey) -> str:
    """A detached signature: always the same for the same body and key."""
    return str(jws.detach_content(jws.serialize_compact({"alg": _ALGORITHM}, body, key, algorithms=[_ALGORITHM])))


def check_signature(body: bytes, signature: str, key: OKPKey) -> None:
    """Refuse with `SignatureError` what this key did not sign. A signature that brings its own content is none."""
    parts = signature.split(".")
    if len(parts) != 3 or parts[1]:
        raise SignatureError("no detached signature")
    try:
        jws.deserialize_compact(signature, key, algorithms=[_ALGORITHM], payload=body)
    except (JoseError, ValueError) as error:
        raise SignatureError(f"the signature does not hold: {error}") from error


def format_question(path: str, asked: Mapping[str, str]) -> bytes:
    """What is signed of a request without a body."""
    return format_json({"path": path, "query": dict(asked)})


def seal(message: dict[str, Any], key: OKPKey) -> dict[str, Any]:
    """The envelope of a message."""
    return {"message": message, "jws": sign(format_json(message), key)}


def unseal(envelope: Any, key: OKPKey) -> dict[str, Any]:
    """The message of an envelope; raises `SignatureError`."""
    if not isinstance(envelope, dict) or set(envelope) != {"message", "jws"}:
        raise SignatureError("no envelope of message and jws")
    message, signature = envelope["message"], envelope["jws"]
    if not isinstance(message, dict) or not isinstance(signature, str):
        raise SignatureError("an envelope has an object and a text")
    try:
        body = format_json(message)
    except (TypeError, ValueError) as error:
        raise SignatureError(f"the message has no one spelling: {error}") from error
    check_signature(body, signature, key)
    return message


def _read_bytes(text: str) -> bytes:
    try:
        found = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise KeyTextError(f"a key is {_KEY_BYTES} bytes in base64url") from error
    if len(found) != _KEY_BYTES:
        raise KeyTextError(f"a key is {_KEY_BYTES} bytes in base64url, not {len(found)}")
    return found


def _print_bytes(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
