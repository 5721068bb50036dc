"""What a node keeps about lies, poison and divergence comes back as it was, each kind for itself."""

from __future__ import annotations

from hashlib import sha256

from node.incidents import (
    ENGINE_EVIDENCE,
    VOTE_EVIDENCE,
    Divergence,
    Stopped,
    put_divergence,
    put_evidence,
    put_poison,
    put_stopped,
    read_divergence,
    read_poison,
    read_stopped,
    scan_evidence,
)
from node.overlay import digest_tables
from node.store.contract import Batch
from node.store.memory import MemoryStore


def test_evidence_is_kept_once_and_by_kind() -> None:
    store = MemoryStore()
    assert list(scan_evidence(store, VOTE_EVIDENCE)) == []
    for _ in range(2):
        batch = Batch()
        put_evidence(batch, VOTE_EVIDENCE, b"two votes")
        put_evidence(batch, ENGINE_EVIDENCE, b"two words")
        store.commit(batch)
    assert list(scan_evidence(store, VOTE_EVIDENCE)) == [b"two votes"]
    assert list(scan_evidence(store, ENGINE_EVIDENCE)) == [b"two words"]


def test_poison_is_known_by_entry_and_by_what_was_in_it() -> None:
    store, batch = MemoryStore(), Batch()
    assert read_poison(store) == (set(), set())
    one, two, three = (sha256(name).digest() for name in (b"1", b"2", b"3"))
    put_poison(batch, one, [two, three])
    put_poison(batch, two, [])
    store.commit(batch)
    assert read_poison(store) == ({one, two}, {two, three})


def test_a_silenced_key_is_remembered() -> None:
    store, batch = MemoryStore(), Batch()
    assert read_stopped(store) is None
    put_stopped(batch, Stopped("JOURNAL_LOST", b"k" * 32))
    store.commit(batch)
    assert read_stopped(store) == Stopped("JOURNAL_LOST", b"k" * 32)


def test_a_divergence_names_the_tables_that_differ() -> None:
    ours = digest_tables([(b"a1", b"x"), (b"b1", None), (b"c1", b"y")])
    theirs = digest_tables([(b"a1", b"x"), (b"b1", b""), (b"d1", b"z")])
    store, batch = MemoryStore(), Batch()
    found = Divergence(7, bytes(32), b"our header", b"their header", ours, theirs)
    put_divergence(batch, found)
    store.commit(batch)
    assert read_divergence(store) == found
    assert found.differing == ("b", "c", "d")
    assert found._replace(their_tables=b"").differing == ("a", "b", "c")
