"""Entries as bytes: what a node signs, and that any changed byte is noticed."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeling import ed25519
from keeling.encoding import EncodingError
from keeling.entry import DOMAIN, ENTRY, MAX_ENTRY_BYTES, Entry, compute_size, format_entry, parse_entry

SEED = b"\x07" * 32
ENTRIES = st.builds(
    Entry,
    st.just(b"\x11" * 32),
    st.just(ed25519.public_key(SEED)),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
    st.lists(st.binary(max_size=20), max_size=4).map(tuple),
)


def sign(message: bytes) -> bytes:
    return ed25519.sign(SEED, message)


@given(ENTRIES)
def test_an_entry_reads_back(entry: Entry) -> None:
    data = format_entry(entry, sign)
    found = parse_entry(data, ed25519.check_signature)
    assert found.entry == entry
    assert found.digest == hashlib.sha256(data).digest()
    assert len(data) == compute_size(entry.submissions)
    assert found.signature == sign(DOMAIN + hashlib.sha256(ENTRY.encode(entry)).digest())


def test_every_changed_byte_is_noticed() -> None:
    entry = Entry(b"\x11" * 32, ed25519.public_key(SEED), 1, 2, (b"one", b""))
    data = format_entry(entry, sign)
    for at in range(len(data)):
        with pytest.raises(EncodingError):
            parse_entry(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], ed25519.check_signature)
    with pytest.raises(EncodingError):
        parse_entry(data[:-1], ed25519.check_signature)


def test_the_size_of_an_entry_is_limited() -> None:
    with pytest.raises(EncodingError, match=str(MAX_ENTRY_BYTES)):
        parse_entry(bytes(MAX_ENTRY_BYTES + 1), lambda *_: True)
