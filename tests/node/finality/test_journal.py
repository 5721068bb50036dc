"""The vote journal: its bytes, and what it allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeling.encoding import EncodingError
from node.finality import events as ev
from node.finality.journal import JOURNAL_RECORD, GaveLock, Joined, JournalRecord, Opened, Reported, Voted, load_journal
from tests.node.finality.network import Network, block
from tests.simulator.finality_world import NETWORK, key_of


def written() -> list[JournalRecord]:
    """One record of each kind, as a machine wrote them."""
    network = Network(4)
    network.execute(block("a"))
    network.carry(to=(0,))
    for i in (0, 1, 2):
        network.step(i, ev.Reseed())
    network.carry(to=(0,))
    return network.journals[0]


RECORDS = written()


def test_every_kind_of_record_survives_its_encoding() -> None:
    assert [type(item) for item in RECORDS[:5]] == [Opened, Voted, GaveLock, Reported, Joined]
    for item in RECORDS:
        data = JOURNAL_RECORD.encode(item)
        assert type(JOURNAL_RECORD.decode(data)) is type(item)
        assert JOURNAL_RECORD.decode(data) == item


@given(st.integers(0, 255).filter(lambda kind: not 1 <= kind <= 5))
def test_unknown_kinds_are_refused(kind: int) -> None:
    data = JOURNAL_RECORD.encode(RECORDS[0])
    with pytest.raises(EncodingError, match="kind"):
        JOURNAL_RECORD.decode(data[:1] + bytes([kind]) + data[2:])


def test_a_journal_must_begin_with_its_key() -> None:
    assert load_journal(RECORDS, NETWORK, key_of(0)) is not None
    for items, network, key in [
        (RECORDS[1:], NETWORK, key_of(0)),
        ([], NETWORK, key_of(0)),
        (RECORDS, NETWORK, key_of(1)),
        (RECORDS, bytes(32), key_of(0)),
    ]:
        assert load_journal(items, network, key) is None


def test_what_may_be_signed() -> None:
    journal = load_journal(RECORDS, NETWORK, key_of(0))
    assert journal is not None
    vote = next(item.signed.vote for item in RECORDS if isinstance(item, Voted))
    assert journal.fence(vote.policy) == 1
    rows = [
        (vote, False, "given"),
        (vote._replace(root=bytes(32)), False, "another in its place"),
        (vote._replace(height=2), False, "an epoch reported for"),
        (vote._replace(height=2, epoch=1), True, "the next height in the epoch reported for"),
        (vote._replace(height=2, epoch=2), True, "a later epoch"),
        (vote._replace(policy=bytes(32), epoch=0), True, "another policy"),
    ]
    assert [(journal.may_sign(row), why) for row, _, why in rows] == [(allowed, why) for _, allowed, why in rows]


def test_forgetting_final_heights_allows_nothing_new() -> None:
    journal = load_journal(RECORDS, NETWORK, key_of(0))
    assert journal is not None
    vote = next(item.signed.vote for item in RECORDS if isinstance(item, Voted))
    journal.forget(1)
    assert [type(item) for item in journal.records()] == [Opened, Reported, Joined]
    again = load_journal(journal.records(), NETWORK, key_of(0))
    assert again is not None
    for memory in (journal, again):
        assert not memory.may_sign(vote._replace(epoch=9))
        assert not memory.may_sign(vote._replace(height=2))
        assert memory.may_sign(vote._replace(height=2, epoch=1))
