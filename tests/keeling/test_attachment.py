"""Attachments open for their parties, for nobody else, and not at all once a byte was changed (G11)."""

from __future__ import annotations

import hashlib
import json
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl import bindings
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, SealedBox
from nacl.signing import SigningKey

from keeling.attachment import (
    ATTACHMENT_BYTES_MAX,
    MAGIC,
    PARTIES_MAX,
    AttachmentError,
    NotAParty,
    is_attachment,
    open_attachment,
    seal_attachment,
)
from keeling.disclosure import FIELDS_MAX, NAME_MAX, VALUE_BYTES_MAX, Disclosure, DisclosureError, Field, compute_digest
from keeling.ed25519 import SMALL_ORDER, public_key
from tests.keeling.attachment_vectors import VECTORS, make_vectors
from tests.keeling.test_disclosure import BOTH, DISCLOSURES

SEEDS = [bytes([n]) * 32 for n in range(1, 4)]
KEYS = [public_key(seed) for seed in SEEDS]
RANDOM = bytes(range(64))
SEALED = seal_attachment(BOTH, KEYS[:2], RANDOM)
HEAD_BYTES = len(MAGIC) + 32 + 32 + 4 + 2 * 48
VECTOR = json.loads(VECTORS.read_text("utf-8"))


@settings(max_examples=25)
@given(DISCLOSURES, st.sets(st.sampled_from(SEEDS), min_size=1), st.binary(min_size=64, max_size=64))
def test_what_was_sealed_opens_for_every_party_and_nobody_else(
    disclosure: Disclosure, parties: set[bytes], randomness: bytes
) -> None:
    sealed = seal_attachment(disclosure, [public_key(seed) for seed in parties], randomness)
    assert is_attachment(sealed)
    for seed in SEEDS:
        if seed in parties:
            assert open_attachment(sealed, seed) == disclosure
        else:
            with pytest.raises(NotAParty, match=public_key(seed).hex()):
                open_attachment(sealed, seed)


@settings(max_examples=200)
@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255), st.sampled_from(SEEDS[:2]))
def test_no_byte_can_be_changed(at: int, change: int, seed: bytes) -> None:
    changed = bytearray(SEALED)
    changed[at] ^= change
    with pytest.raises(AttachmentError):
        open_attachment(bytes(changed), seed)


def test_every_byte_is_covered_also_those_for_other_parties() -> None:
    for at in range(len(SEALED)):
        changed = bytearray(SEALED)
        changed[at] ^= 1
        for seed in SEEDS[:2]:
            with pytest.raises(AttachmentError):
                open_attachment(bytes(changed), seed)


@pytest.mark.parametrize("seed", SEEDS[:2])
def test_nothing_can_be_cut_off_or_added(seed: bytes) -> None:
    for end in range(len(SEALED)):
        with pytest.raises(AttachmentError):
            open_attachment(SEALED[:end], seed)
    with pytest.raises(AttachmentError, match="changed"):
        open_attachment(SEALED + b"\x00", seed)


@given(st.binary(max_size=400))
def test_anything_else_is_refused_and_nothing_crashes(data: bytes) -> None:
    for each in (data, MAGIC + data, SEALED[:HEAD_BYTES] + data):
        with pytest.raises(AttachmentError):
            open_attachment(each, SEEDS[0])


def test_what_cannot_be_sealed() -> None:
    bad = [
        ([], RANDOM, "for 0"),
        ([public_key(n.to_bytes(32, "big")) for n in range(1, PARTIES_MAX + 2)], RANDOM, "for 65"),
        ([KEYS[0], KEYS[0]], RANDOM, "twice"),
        ([KEYS[0][:-1]], RANDOM, "31"),
        ([sorted(SMALL_ORDER)[0]], RANDOM, "small order"),
        ([b"\xff" * 32], RANDOM, "not the encoding"),
        (KEYS, RANDOM[1:], "64 random bytes"),
    ]
    for parties, randomness, said in bad:
        with pytest.raises(AttachmentError, match=said):
            seal_attachment(BOTH, parties, randomness)
    with pytest.raises(DisclosureError, match="has 0"):
        seal_attachment(Disclosure(BOTH.salt, ()), KEYS, RANDOM)


def test_the_largest_there_can_be() -> None:
    fields = tuple(Field(f"{i:a>{NAME_MAX}}", "x" * VALUE_BYTES_MAX) for i in range(FIELDS_MAX))
    parties = [n.to_bytes(32, "big") for n in range(1, PARTIES_MAX + 1)]
    sealed = seal_attachment(Disclosure(BOTH.salt, fields), [public_key(seed) for seed in parties], RANDOM)
    assert len(sealed) == ATTACHMENT_BYTES_MAX
    assert open_attachment(sealed, parties[-1]).fields == fields
    with pytest.raises(AttachmentError, match="at most"):
        open_attachment(sealed + b"\x00", parties[-1])


def _seal_by_hand(content: bytes, digest: bytes) -> bytes:
    """An attachment of one party that can hold anything: what a liar may make."""
    key, box = b"\x09" * 32, SealedBox(SigningKey(SEEDS[0]).verify_key.to_curve25519_public_key())
    head = _head(digest, box.encrypt(key))
    return head + bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(content, head, digest[:24], key)


def _head(digest: bytes, sealed: bytes) -> bytes:
    return b"keeling/attachment/v1\n" + digest + sealed[:32] + struct.pack(">I", 1) + sealed[32:]


def test_who_made_it_cannot_lie_about_the_digest() -> None:
    content = bytes.fromhex(VECTOR["disclosures"][0]["encoding"])
    digest = bytes.fromhex(VECTOR["disclosures"][0]["digest"])
    assert compute_digest(open_attachment(_seal_by_hand(content, digest), SEEDS[0])) == digest
    with pytest.raises(AttachmentError, match="lied or erred"):
        open_attachment(_seal_by_hand(content, b"\x00" * 32), SEEDS[0])
    with pytest.raises(AttachmentError, match="did not encrypt a disclosure"):
        open_attachment(_seal_by_hand(content + b"\x00", digest), SEEDS[0])
    with pytest.raises(NotAParty):
        open_attachment(_head(digest, b"\x00" * 32 + b"\x01" * 48) + b"\x00" * 16, SEEDS[0])


@pytest.mark.parametrize("vector", VECTOR["disclosures"], ids=lambda vector: vector["name"])
def test_vectors(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["attachment"])
    for seed in vector["opens"]:
        assert compute_digest(open_attachment(data, bytes.fromhex(seed))).hex() == vector["digest"]
    for seed in vector["refuses"]:
        with pytest.raises(NotAParty):
            open_attachment(data, bytes.fromhex(seed))


def test_vectors_are_what_the_code_makes() -> None:
    assert make_vectors() == VECTOR, "write it again: python -m tests.keeling.attachment_vectors"


@pytest.mark.parametrize("vector", VECTOR["disclosures"], ids=lambda vector: vector["name"])
def test_a_reader_that_shares_no_code_agrees(vector: dict[str, Any]) -> None:
    """From docs/formats.md and libsodium alone."""
    data = bytes.fromhex(vector["attachment"])
    begin = len(b"keeling/attachment/v1\n")
    digest, ephemeral = data[begin : begin + 32], data[begin + 32 : begin + 64]
    (size,) = struct.unpack_from(">I", data, begin + 64)
    end = begin + 68 + 48 * size
    slots = [data[at : at + 48] for at in range(begin + 68, end, 48)]
    assert size == len(vector["opens"])
    box = SealedBox(SigningKey(bytes.fromhex(vector["opens"][-1])).to_curve25519_private_key())
    keys = [found for slot in slots if (found := _try(box, ephemeral + slot)) is not None]
    content = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(data[end:], data[:end], digest[:24], keys[0])
    assert content.hex() == vector["encoding"]
    salt, hashes = content[:32], b""
    for ordinal, (name, value) in enumerate(vector["fields"]):
        own = hashlib.sha256(b"keeling/disclosure-salt/v1\n" + salt + struct.pack(">I", ordinal)).digest()
        texts = b"".join(struct.pack(">I", len(text.encode())) + text.encode() for text in (name, value))
        hashes += hashlib.sha256(b"keeling/disclosure-field/v1\n" + own + texts).digest()
    whole = b"keeling/disclosure/v1\n" + struct.pack(">I", len(vector["fields"])) + hashes
    assert hashlib.sha256(whole).hexdigest() == digest.hex() == vector["digest"]


def _try(box: SealedBox[PrivateKey], sealed: bytes) -> bytes | None:
    try:
        return bytes(box.decrypt(sealed))
    except CryptoError:
        return None
