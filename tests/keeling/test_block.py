"""Leaves, results, events and the write-set chain: their forms, sizes, and what they commit to."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeling.block import (
    FORMAT,
    HEADER,
    HEADER_LEAF,
    RECORD,
    RECORD_LEAF,
    RESULT,
    RULES,
    Header,
    Result,
    SubmissionRecord,
    chain_writes,
    compute_header_hash,
    compute_results_root,
    format_header,
    parse_header,
    parse_record,
)
from keeling.encoding import EncodingError, Ref
from keeling.events import EVENT, EVENTS, NOWHERE, CashMove, Event, EventKind, Move, compute_events_digest
from keeling.merkle import compute_root, hash_leaf
from keeling.operations import NUMBERS, Range, When
from keeling.units import NATIVE, TERMINAL, UnitState, unassigned_account

HASH = b"\x05" * 32
HEAD = Header(HEADER_LEAF, FORMAT, RULES, HASH, HASH, HASH, 1, 2, 3, HASH, 4, HASH, HASH, 5, 6, 7, HASH, HASH)
RECORDED = SubmissionRecord(RECORD_LEAF, 3, 0, HASH, HASH, 500, HASH)


def test_leaves_read_back_stay_small_and_are_not_taken_for_each_other() -> None:
    header, recorded = format_header(HEAD), RECORD.encode(RECORDED)
    assert parse_header(header) == HEAD
    assert parse_record(recorded) == RECORDED
    assert max(len(header), len(recorded)) < 1000
    for data in (recorded, b"", header + b"\x00", bytes([RECORD_LEAF]) + header[1:]):
        with pytest.raises(EncodingError):
            parse_header(data)
    for data in (header, b"", bytes([HEADER_LEAF]) + recorded[1:]):
        with pytest.raises(EncodingError):
            parse_record(data)
    assert compute_header_hash(header) == hash_leaf(header)
    assert HEADER.encode(HEAD) == header


def test_results_root_is_a_merkle_root_over_the_results() -> None:
    results = [Result(bytes([n]) * 32, n, HASH) for n in range(5)]
    assert compute_results_root(results) == compute_root([hash_leaf(RESULT.encode(one)) for one in results])
    changed = [*results[:2], results[2]._replace(reason=9), *results[3:]]
    assert compute_results_root(changed) != compute_results_root(results)


CHANGES = st.dictionaries(st.binary(max_size=4), st.none() | st.binary(max_size=4)).map(lambda d: sorted(d.items()))


@given(CHANGES, CHANGES)
def test_different_writes_chain_to_different_hashes(
    one: list[tuple[bytes, bytes | None]], other: list[tuple[bytes, bytes | None]]
) -> None:
    assert (chain_writes(HASH, one) == chain_writes(HASH, other)) == (one == other)
    assert chain_writes(bytes(32), one) != chain_writes(HASH, one)


def test_writes_are_hashed_as_described() -> None:
    expected = HASH + b"\0\0\0\1k" + b"\0\0\0\2vv" + b"\0\0\0\1z" + b"\xff\xff\xff\xff"
    assert chain_writes(HASH, [(b"k", b"vv"), (b"z", None)]) == hashlib.sha256(expected).digest()


EVENTFUL = Event(
    kind=EventKind.TRANSFERRED,
    transaction=7,
    subject="B",
    effective=When(1, 2),
    moves=(Move("b", 0, 5, "A", UnitState.FREE, Ref(3, 1), "B", UnitState.FREE),),
    cash=(CashMove("B", "A", "INR@bank", 100, 2),),
    facts=(("reference", "r"),),
    ranges=(Range("b", 2, 3), Range("c", 0, 1)),
)


def test_events_read_back_and_are_committed_to_one_after_the_other() -> None:
    plain = Event(EventKind.ANCHORED, 0, "n", When(0, 1))
    one, other = EVENT.encode(EVENTFUL), EVENT.encode(plain)
    assert EVENT.decode(one) == EVENTFUL
    assert EVENT.decode(other) == plain
    assert EVENTS.decode(EVENTS.encode((EVENTFUL, plain))) == (EVENTFUL, plain)
    assert compute_events_digest([one, other]) == hashlib.sha256(one + other).digest()
    assert (EVENTFUL.fact("reference"), EVENTFUL.fact("nothing")) == ("r", "")


def test_vocabularies_keep_their_numbers() -> None:
    """Numbers are on ledgers; a changed one would change what old ledgers say."""
    assert {state.name: int(state) for state in UnitState} == {
        "NONE": 0,
        "PENDING": 1,
        "FREE": 2,
        "HELD": 3,
        "INSTRUCTED": 4,
        "BUFFER": 5,
        "IMMOBILISED": 6,
        "RETIRED": 7,
        "USED": 8,
        "CANCELLED": 9,
        "CONVERTED": 10,
        "ENDED": 11,
    }
    assert {state.name for state in TERMINAL} == {"RETIRED", "USED", "CANCELLED", "CONVERTED", "ENDED"}
    for kind in EventKind:
        assert kind in NUMBERS.values() or kind >= 200, kind
    assert Ref(0, 0) == NOWHERE
    assert (NATIVE, unassigned_account("verra")) == ("ledger", "unassigned@verra")
