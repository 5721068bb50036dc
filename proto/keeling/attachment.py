"""Attachments: a disclosure encrypted to its parties, and to nobody else. Pure; randomness is an input.

One content key encrypts the disclosure, and each party's Ed25519 key, as an X25519 key, gets that content key in a
sealed box of libsodium's form. The box over the content covers everything before it, so no party opens a file of which
a single byte was changed. Nobody signs an attachment: what makes it true is that its digest is the one on the ledger,
and opening proves that of the fields. What a disclosure is, is in `keeling.disclosure`; whose key is whose, on the
ledger. Source: architecture G11; bytes: docs/formats.md; reasons: decision 11.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple

from nacl import bindings
from nacl.exceptions import CryptoError

from keeling.disclosure import (
    FIELDS_MAX,
    NAME_MAX,
    VALUE_BYTES_MAX,
    Disclosure,
    DisclosureError,
    compute_digest,
    decode_disclosure,
    encode_disclosure,
)
from keeling.ed25519 import KeyRefused, check_public_key, public_key
from keeling.encoding import BYTES16, BYTES32, EncodingError, listing, record

MAGIC: Final = b"keeling/attachment/v1\n"
PARTIES_MAX: Final = 64
RANDOM_BYTES: Final = 64
"""The seed of the ephemeral key, and the content key."""
_NONCE_BYTES: Final = 24
_TAG_BYTES: Final = 16
ATTACHMENT_BYTES_MAX: Final = (
    (len(MAGIC) + 68 + PARTIES_MAX * 48) + (36 + FIELDS_MAX * (8 + NAME_MAX + VALUE_BYTES_MAX)) + _TAG_BYTES
)
"""The longest there can be: about 37 kB."""


class AttachmentError(ValueError):
    """It cannot be made of this, or it is none, or it was changed; the text says which."""


class NotAParty(AttachmentError):
    """No part of it opens with this key."""


class _Slot(NamedTuple):
    """The content key for one party: authenticator and ciphertext of XSalsa20-Poly1305."""

    tag: bytes
    sealed: bytes


class _Head(NamedTuple):
    """What stands before the content. `digest` is that of the disclosure, believed only once it was opened."""

    digest: bytes
    ephemeral: bytes
    slots: tuple[_Slot, ...]


_HEAD: Final = record(_Head, BYTES32, BYTES32, listing(record(_Slot, BYTES16, BYTES32)))


def seal_attachment(disclosure: Disclosure, parties: Sequence[bytes], randomness: bytes) -> bytes:
    """Encrypt a disclosure to the Ed25519 public keys `parties`. `randomness`: 64 secret random bytes, used once.

    Raises `AttachmentError` for keys that are none, too many or twice there, `DisclosureError` for the disclosure.
    """
    if len(randomness) != RANDOM_BYTES:
        raise AttachmentError(f"{RANDOM_BYTES} random bytes are needed, not {len(randomness)}")
    if not 1 <= len(parties) <= PARTIES_MAX:
        raise AttachmentError(f"an attachment is for 1 to {PARTIES_MAX} keys, this one for {len(parties)}")
    if len(set(parties)) != len(parties):
        raise AttachmentError("a key is named twice")
    content, digest = encode_disclosure(disclosure), compute_digest(disclosure)
    ephemeral, secret = bindings.crypto_box_seed_keypair(randomness[:32])
    content_key = randomness[32:]
    slots = tuple(_seal_key(content_key, _convert_public(key), ephemeral, secret) for key in sorted(parties))
    head = MAGIC + _HEAD.encode(_Head(digest, ephemeral, slots))
    return head + bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(content, head, digest[:_NONCE_BYTES], content_key)


def open_attachment(data: bytes, seed: bytes) -> Disclosure:
    """Decrypt with the 32-byte private seed of a party's Ed25519 key; the digest in the file is that of the fields.

    Raises `NotAParty` when it is for others, `AttachmentError` for everything that is not exactly an attachment.
    """
    head, begin = _read_head(data)
    content_key = _open_slots(head, seed)
    try:
        content = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
            data[begin:], data[:begin], head.digest[:_NONCE_BYTES], content_key
        )
        found = decode_disclosure(content)
    except CryptoError as error:
        raise AttachmentError("it was changed after it was made: get it again from who made it") from error
    except DisclosureError as error:
        raise AttachmentError(f"who made it did not encrypt a disclosure: {error}") from error
    if compute_digest(found) != head.digest:
        raise AttachmentError("its digest is not that of its fields: who made it lied or erred")
    return found


def is_attachment(data: bytes) -> bool:
    """Whether the bytes say of themselves that they are an attachment."""
    return data.startswith(MAGIC)


def _read_head(data: bytes) -> tuple[_Head, int]:
    """The head, and where the content begins."""
    if not is_attachment(data):
        raise AttachmentError("this is no attachment: it does not begin as one")
    if len(data) > ATTACHMENT_BYTES_MAX:
        raise AttachmentError(f"{len(data)} bytes; an attachment has at most {ATTACHMENT_BYTES_MAX}")
    try:
        head, begin = _HEAD.read(data, len(MAGIC))
    except EncodingError as error:
        raise AttachmentError(f"it is cut off or damaged: {error}") from error
    if not 1 <= len(head.slots) <= PARTIES_MAX:
        raise AttachmentError(f"an attachment is for 1 to {PARTIES_MAX} keys, this one for {len(head.slots)}")
    if len(data) - begin < _TAG_BYTES:
        raise AttachmentError("it is cut off: its content is missing")
    return head, begin


def _open_slots(head: _Head, seed: bytes) -> bytes:
    """The content key, out of the first part that opens: parts do not say whose they are."""
    ours = public_key(seed)
    public = _convert_public(ours)
    secret = bindings.crypto_sign_ed25519_sk_to_curve25519(seed + ours)
    for slot in head.slots:
        try:
            return bindings.crypto_box_seal_open(head.ephemeral + slot.tag + slot.sealed, public, secret)
        except CryptoError:
            continue
    keys = "one key" if len(head.slots) == 1 else f"{len(head.slots)} keys"
    raise NotAParty(f"it is for {keys}, none of them {ours.hex()}, or it was changed: ask who made it for one to you")


def _seal_key(content_key: bytes, party: bytes, ephemeral: bytes, secret: bytes) -> _Slot:
    """libsodium's sealed box (crypto_box_seal) with a given ephemeral key, which is left out: it stands in the head."""
    nonce = hashlib.blake2b(ephemeral + party, digest_size=_NONCE_BYTES).digest()
    boxed = bindings.crypto_box_easy(content_key, nonce, party, secret)
    return _Slot(boxed[:16], boxed[16:])


def _convert_public(key: bytes) -> bytes:
    """The X25519 key of an Ed25519 key (birational map of RFC 7748 §4.1); only keys that the ledger would admit."""
    try:
        check_public_key(key)
    except KeyRefused as error:
        raise AttachmentError(str(error)) from error
    return bindings.crypto_sign_ed25519_pk_to_curve25519(key)
