"""Files with a detached JWS beside them: RFC 7515, appendix F. Pure.

The signature lies in a file of its own; the document stays as it is. A file has no time that must be new: the same file
again is told by its digest.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OctKey, OKPKey

from hub.inbound.keys import InboundKey, KeyKind
from hub.inbound.refusals import Refusal, Verified, Why

JWS_BYTES_MAX: Final = 16_384
_ALGORITHMS: Final = {KeyKind.HMAC_SHA256: ["HS256"], KeyKind.ED25519: ["EdDSA", "Ed25519"]}


def check_signed_file(keys: Sequence[InboundKey], signature: bytes, document: bytes) -> Verified | Refusal:
    """Whose signature it is over exactly these bytes, or why it is none. The id is the document's SHA-256."""
    if len(signature) > JWS_BYTES_MAX:
        return Refusal(Why.TOO_LARGE, f"a detached signature has at most {JWS_BYTES_MAX} bytes")
    text = signature.strip()
    if text.count(b".") != 2 or b".." not in text:
        return Refusal(Why.NO_SIGNATURE, "a detached JWS has the form HEADER..SIGNATURE")
    for key in keys:
        if _is_signed(key, text, document):
            return Verified(hashlib.sha256(document).hexdigest(), 0, key.name, key.of_ledger)
    return Refusal(Why.BAD_SIGNATURE, "no key of this registry has signed these bytes")


def _is_signed(key: InboundKey, text: bytes, document: bytes) -> bool:
    """The key decides which algorithms are allowed, never the header."""
    try:
        jws.deserialize_compact(text, _convert_key(key), algorithms=_ALGORITHMS[key.kind], payload=document)
    except (JoseError, ValueError):
        return False
    return True


def _convert_key(key: InboundKey) -> OctKey | OKPKey:
    if key.kind is KeyKind.HMAC_SHA256:
        return OctKey.import_key(key.material)
    x = base64.urlsafe_b64encode(key.material).rstrip(b"=").decode()
    return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": x})
