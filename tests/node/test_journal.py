"""The vote journal's rows: what is kept, what is forgotten, and a rewrite that leaves nothing older behind."""

from __future__ import annotations

from keeling.epochs import NewEpoch, Report, SignedReport
from keeling.votes import SignedVote, Step, Vote
from node.finality.journal import Joined, JournalRecord, Opened, Reported, Voted
from node.journal import RECORDS_MAX, JournalStore, replace_journal
from node.ledger import put_opened
from node.peers.contract import FetchedBlock
from node.store.contract import RESTORED_KEY, RESTORED_VALUE, Batch, Family
from node.store.memory import MemoryStore

NETWORK, KEY, POLICY = b"n" * 32, b"k" * 32, b"p" * 32


def voted(height: int) -> Voted:
    vote = Vote(NETWORK, POLICY, 0, height, height, bytes([height]) * 32, bytes(32), Step.VOTE)
    return Voted(SignedVote(vote, KEY, bytes(64)), bytes(32))


def reported(epoch: int) -> Reported:
    return Reported(SignedReport(Report(NETWORK, POLICY, epoch, "log", None, None), KEY, bytes(64)))


def opened_store() -> MemoryStore:
    store, batch = MemoryStore(), Batch()
    put_opened(batch, NETWORK, KEY, 0)
    store.commit(batch)
    return store


def put(store: MemoryStore, journal: JournalStore, *records: JournalRecord) -> None:
    batch = Batch()
    journal.put(batch, records)
    store.commit(batch)


def nothing() -> None:
    """No records to replace the others by."""


def test_records_come_back_in_their_order() -> None:
    store = opened_store()
    journal = JournalStore(store)
    assert journal.read() == (Opened(NETWORK, KEY, 0),)
    put(store, journal, voted(1), reported(1))
    put(store, journal, voted(2))
    assert JournalStore(store).read() == (Opened(NETWORK, KEY, 0), voted(1), reported(1), voted(2))


def test_votes_below_a_final_height_are_forgotten_and_those_at_it_kept() -> None:
    store = opened_store()
    journal = JournalStore(store)
    journal.read()
    put(store, journal, voted(1), voted(2), voted(3))
    batch = Batch()
    journal.forget(batch, 2, nothing)
    store.commit(batch)
    assert JournalStore(store).read() == (Opened(NETWORK, KEY, 0), voted(2), voted(3))


def test_a_block_voted_for_is_kept_until_its_height_is_final() -> None:
    store = opened_store()
    journal = JournalStore(store)
    block = FetchedBlock(b"header", b"entry", bytes(64), b"")
    batch = Batch()
    journal.put_block(batch, 3, bytes(32), lambda: block)
    store.commit(batch)
    again = JournalStore(store)
    assert again.read() == (Opened(NETWORK, KEY, 0),)
    assert again.find(3, bytes(32)) == block
    assert again.find(3, b"x" * 32) is None
    for height, kept in ((2, block), (3, None)):
        batch = Batch()
        again.forget(batch, height, nothing)
        store.commit(batch)
        assert again.find(3, bytes(32)) == kept


def test_a_rewrite_leaves_no_older_report_behind_the_newest() -> None:
    """Of two reports the last read counts: an old one behind a new one would lower the fence."""
    store = opened_store()
    journal = JournalStore(store)
    journal.read()
    epochs = RECORDS_MAX + 2
    for epoch in range(1, epochs):
        put(store, journal, reported(epoch), Joined(NewEpoch((reported(epoch).signed,))))
    batch = Batch()
    journal.put(batch, [reported(epochs)])
    remembered = (Opened(NETWORK, KEY, 9), voted(10), reported(epochs))
    journal.forget(batch, 9, lambda: remembered)
    store.commit(batch)
    assert JournalStore(store).read() == remembered
    put(store, journal, voted(11))
    assert JournalStore(store).read() == (*remembered, voted(11))


def test_a_new_key_begins_with_an_empty_journal_where_a_backup_was_restored() -> None:
    store = opened_store()
    journal = JournalStore(store)
    journal.read()
    put(store, journal, voted(1))
    marked = Batch()
    marked.put(Family.META, RESTORED_KEY, RESTORED_VALUE)
    store.commit(marked)
    replace_journal(store, NETWORK, b"l" * 32, 7)
    assert JournalStore(store).read() == (Opened(NETWORK, b"l" * 32, 7),)
    assert store.get(Family.META, RESTORED_KEY) is None
