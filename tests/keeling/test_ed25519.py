"""The acceptance rule against published and edge vectors, and against the other installed library."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from keeling.ed25519 import (
    GROUP_ORDER,
    SMALL_ORDER,
    KeyRefused,
    check_public_key,
    check_signature,
    passes_precheck,
    public_key,
    sign,
)
from tests.keeling.log_samples import read_vectors


class Vector(NamedTuple):
    name: str
    public_key: bytes
    signature: bytes
    message: bytes
    valid: bool


VECTORS = [
    Vector(
        name=v["name"],
        public_key=bytes.fromhex(v["public_key"]),
        signature=bytes.fromhex(v["signature"]),
        message=bytes.fromhex(v["message"]),
        valid=v["valid"],
    )
    for v in read_vectors("ed25519.json")
]
NAMES = [vector.name for vector in VECTORS]


def openssl_accepts(vector: Vector) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(vector.public_key).verify(vector.signature, vector.message)
    except (InvalidSignature, ValueError):
        return False
    return True


@pytest.mark.parametrize("vector", VECTORS, ids=NAMES)
def test_vector(vector: Vector) -> None:
    assert check_signature(vector.public_key, vector.signature, vector.message) is vector.valid


@pytest.mark.parametrize("vector", VECTORS, ids=NAMES)
def test_openssl_behind_the_precheck_agrees(vector: Vector) -> None:
    assert (passes_precheck(vector.public_key, vector.signature) and openssl_accepts(vector)) is vector.valid


def test_openssl_alone_does_not_agree() -> None:
    """The reason for the pre-check: without it the ledger would split on these."""
    assert len([vector for vector in VECTORS if openssl_accepts(vector) and not vector.valid]) >= 15


def test_small_order_encodings_are_the_published_ones() -> None:
    listed = {v.public_key for v in VECTORS if v.name.startswith("key of small order")}
    assert len(listed) == 14
    assert listed == SMALL_ORDER


@settings(max_examples=25)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=300), st.integers(0, 511))
def test_own_signatures_are_accepted_and_no_flipped_bit_is(seed: bytes, message: bytes, bit: int) -> None:
    key, signature = public_key(seed), sign(seed, message)
    check_public_key(key)
    assert check_signature(key, signature, message)
    flipped = bytearray(signature)
    flipped[bit // 8] ^= 1 << bit % 8
    assert not check_signature(key, bytes(flipped), message)
    assert not check_signature(key, signature, message + b"\x00")


def test_precheck_alone_refuses_a_large_s() -> None:
    key, signature = public_key(bytes(32)), sign(bytes(32), b"")
    s = int.from_bytes(signature[32:], "little")
    assert passes_precheck(key, signature)
    assert not passes_precheck(key, signature[:32] + (s + GROUP_ORDER).to_bytes(32, "little"))


OFF_CURVE = (2).to_bytes(32, "little")
NOT_REDUCED = (2**255 - 19 + 3).to_bytes(32, "little")
MIXED_ORDER = next(v.public_key for v in VECTORS if v.name.startswith("A = aB + 1T"))


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (b"", "has 0"),
        (bytes(31), "has 31"),
        (bytes(33), "has 33"),
        *((key, "small order") for key in sorted(SMALL_ORDER)),
        (NOT_REDUCED, "not the encoding"),
        (OFF_CURVE, "not the encoding"),
        (MIXED_ORDER, "not the encoding"),
    ],
)
def test_key_is_refused_at_admission(key: bytes, reason: str) -> None:
    with pytest.raises(KeyRefused, match=reason):
        check_public_key(key)


def test_seed_of_another_length_is_refused() -> None:
    with pytest.raises(KeyRefused, match="31"):
        sign(bytes(31), b"message")
