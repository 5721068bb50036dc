"""Ed25519 as a rule of consensus: the one function that decides whether a signature is good, everywhere.

RFC 8032 leaves corners open in which libraries differ, and one signature on which two validators differ splits the
ledger. So the corners are closed here before libsodium is asked, and nothing else in the project verifies a signature.
Who may sign what is not decided here. There is no batch verification (its cofactor changes the answers) and no second
library to fall back to. Source: RFC 8032 §5.1.7, architecture §4.13.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from nacl import bindings
from nacl.exceptions import BadSignatureError

KEY_BYTES: Final = 32
SEED_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

GROUP_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
"""L, the order of the base point."""

SMALL_ORDER: Final = frozenset(
    bytes.fromhex(low + last)
    for low, lasts in (
        ("00" * 31, ("00", "80")),
        ("01" + "00" * 30, ("00", "80")),
        ("ec" + "ff" * 30, ("7f", "ff")),
        ("ed" + "ff" * 30, ("7f", "ff")),
        ("ee" + "ff" * 30, ("7f", "ff")),
        ("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc", ("05", "85")),
        ("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03", ("7a", "fa")),
    )
    for last in lasts
)
"""All 14 encodings of the eight points of small order: with one of them as key or nonce anybody can make signatures."""

_ALL_ONES: Final = b"\xff" * 30

if not bindings.has_crypto_core_ed25519:
    raise ImportError("this PyNaCl was built on a reduced libsodium; install one with crypto_core_ed25519")


class KeyRefused(ValueError):
    """The bytes cannot be admitted as somebody's public key."""


def _is_reduced(point: bytes) -> bool:
    """Whether the y coordinate is below p = 2^255 − 19, so that the point has no second spelling."""
    return not (point[1:31] == _ALL_ONES and point[31] & 0x7F == 0x7F and point[0] >= 0xED)


def passes_precheck(public_key: bytes, signature: bytes) -> bool:
    """Whether the bytes lie outside every corner where libraries differ; says nothing yet about the signature.

    Behind this check any verifier that follows RFC 8032 §5.1.7 without cofactor gives the same answer.
    """
    nonce_point = signature[:32]
    return (
        len(public_key) == KEY_BYTES
        and len(signature) == SIGNATURE_BYTES
        and public_key not in SMALL_ORDER
        and nonce_point not in SMALL_ORDER
        and _is_reduced(public_key)
        and _is_reduced(nonce_point)
        and (signature[63] < 0x10 or int.from_bytes(signature[32:], "little") < GROUP_ORDER)
    )


def check_signature(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` is good for `message` under `public_key`, by the rule fixed with the protocol version."""
    if not passes_precheck(public_key, signature):
        return False
    try:
        bindings.crypto_sign_open(signature + message, public_key)
    except BadSignatureError:
        return False
    return True


def check_public_key(public_key: bytes) -> None:
    """Refuse, before it is admitted anywhere, a key that is not the one encoding of a point of order L.

    Every key made from a seed passes. Raises `KeyRefused`.
    """
    if len(public_key) != KEY_BYTES:
        raise KeyRefused(f"an Ed25519 public key has {KEY_BYTES} bytes, this one has {len(public_key)}")
    if public_key in SMALL_ORDER:
        raise KeyRefused(f"{public_key.hex()} is a point of small order: anybody can sign for it; make a new key")
    if not _is_reduced(public_key) or not bindings.crypto_core_ed25519_is_valid_point(public_key):
        raise KeyRefused(f"{public_key.hex()} is not the encoding of an Ed25519 public key; make a new key")


@lru_cache(maxsize=64)
def _expand(seed: bytes) -> tuple[bytes, bytes]:
    if len(seed) != SEED_BYTES:
        raise KeyRefused(f"an Ed25519 seed has {SEED_BYTES} bytes, this one has {len(seed)}")
    return bindings.crypto_sign_seed_keypair(seed)


def public_key(seed: bytes) -> bytes:
    """Return the public key of the 32-byte private seed."""
    return _expand(seed)[0]


def sign(seed: bytes, message: bytes) -> bytes:
    """Return the 64-byte signature of `message` by the 32-byte private seed (deterministic, RFC 8032 §5.1.6)."""
    return bindings.crypto_sign(message, _expand(seed)[1])[:SIGNATURE_BYTES]
