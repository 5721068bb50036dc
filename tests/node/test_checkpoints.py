"""Collecting cosignatures: in any order, before and after the block is final here, forged ones passed over."""

from __future__ import annotations

from itertools import permutations

import pytest

from keeling.block import Header, parse_header
from keeling.checkpoint import Checkpoint, check_final
from keeling.ed25519 import check_signature
from keeling.encoding import U64
from keeling.policy import Policy
from node.archive import height_key
from node.checkpoints import Checkpoints, parse_lines
from node.ledger import PUBLISHED_KEY
from node.peers.contract import CosignedMessage
from node.store.contract import Batch, Family
from node.store.memory import MemoryStore
from tests.fakes.consortium import ORIGIN, keys_of, policy_validator
from tests.fakes.world import World

NAMES = ("v0", "v1", "v2", "v3")
POLICY = Policy(ORIGIN, tuple(policy_validator(name) for name in NAMES))
CHECKPOINT = Checkpoint(ORIGIN, 1, b"r" * 32)


def header() -> Header:
    return parse_header(World({"reg": ["registry"]}).block().header_leaf)


def finish(name: str, note: bytes = b"") -> tuple[MemoryStore, Checkpoints, bytes]:
    store, batch = MemoryStore(), Batch()
    checkpoints = Checkpoints(store, keys_of(name), check_signature)
    published = checkpoints.finish(batch, header(), CHECKPOINT, POLICY, note)
    store.commit(batch)
    return store, checkpoints, published


def message_of(name: str) -> CosignedMessage:
    message = finish(name)[1].message(1)
    assert message is not None
    return message


def flush(store: MemoryStore, checkpoints: Checkpoints) -> bytes:
    batch = Batch()
    checkpoints.flush(batch)
    store.commit(batch)
    return store.get(Family.BLOCKS, height_key(b"k", 1)) or b""


@pytest.mark.parametrize("order", list(permutations(("v1", "v2", "v3"), 2)))
def test_a_quorum_in_any_order_makes_the_note(order: tuple[str, ...]) -> None:
    store, checkpoints, published = finish("v0")
    assert published == b""
    for name in order:
        assert flush(store, checkpoints) == b""
        checkpoints.collect(name, message_of(name), 1)
    assert check_final(flush(store, checkpoints), POLICY).signers == tuple(sorted(("v0", *order)))
    assert store.get(Family.META, PUBLISHED_KEY) == U64.encode(1)


def test_lines_that_come_before_the_block_is_final_here_count() -> None:
    store = MemoryStore()
    checkpoints = Checkpoints(store, keys_of("v0"), check_signature)
    for name in ("v1", "v2"):
        checkpoints.collect(name, message_of(name), 0)
    checkpoints.collect("v3", message_of("v3")._replace(height=99), 0)
    batch = Batch()
    assert checkpoints.finish(batch, header(), CHECKPOINT, POLICY, b"") == b""
    assert check_final(flush(store, checkpoints), POLICY).signers == ("v0", "v1", "v2")


def test_forged_foreign_and_broken_lines_are_passed_over() -> None:
    store, checkpoints, _ = finish("v0")
    genuine = message_of("v1").lines
    stranger = Checkpoints(MemoryStore(), keys_of("x"), check_signature)
    assert stranger.finish(Batch(), header(), CHECKPOINT, POLICY, b"") == b""
    assert stranger.message(1) is None
    for lines in (genuine.replace(b"A", b"B"), b"junk", b"\xff", genuine + b"x", genuine.splitlines()[0] + b"\n"):
        checkpoints.collect("v1", CosignedMessage(1, lines, False), 1)
    assert len(parse_lines(genuine)) == 2
    checkpoints.collect("v2", message_of("v2"), 1)
    assert flush(store, checkpoints) == b"", "two of four are no quorum"


def test_a_note_that_was_handed_over_is_taken_if_it_is_good() -> None:
    store, checkpoints, _ = finish("v0")
    for name in ("v1", "v2"):
        checkpoints.collect(name, message_of(name), 1)
    note = flush(store, checkpoints)
    assert finish("v3", note)[2] == note
    assert finish("v3", note.replace(b"\n1\n", b"\n2\n"))[2] == b""


def test_lines_that_are_lacking_are_asked_for_and_given_again() -> None:
    store, checkpoints, _ = finish("v0")
    (asked,) = checkpoints.repeat()
    assert asked.again
    for name in ("v1", "v2"):
        checkpoints.collect(name, message_of(name), 1)
    flush(store, checkpoints)
    assert checkpoints.repeat() == []
    again = checkpoints.message(1)
    assert again is not None
    assert again.lines == asked.lines


def test_own_lines_with_a_key_that_the_policy_does_not_name_are_not_given_nor_counted() -> None:
    """The log key was rotated on the ledger, and this node still runs with the old one."""
    keys, other = keys_of("v0"), keys_of("x")
    store, batch = MemoryStore(), Batch()
    checkpoints = Checkpoints(store, keys._replace(log=other.log), check_signature)
    assert checkpoints.finish(batch, header(), CHECKPOINT, POLICY, b"") == b""
    store.commit(batch)
    (line,) = parse_lines(store.get(Family.BLOCKS, height_key(b"s", 1)) or b"")
    assert line.name == POLICY.validators[0].cosigner_key.name
    for name in ("v1", "v2"):
        checkpoints.collect(name, message_of(name), 1)
    assert check_final(flush(store, checkpoints), POLICY).signers == ("v0", "v1", "v2")
    alone = Policy(ORIGIN, POLICY.validators[:1])
    single = Checkpoints(MemoryStore(), keys._replace(cosigner=other.cosigner), check_signature)
    assert single.finish(Batch(), header(), CHECKPOINT, alone, b"") == b"", "no note that nobody could check"


def test_own_lines_of_an_earlier_life_are_checked_before_they_count() -> None:
    store, batch = MemoryStore(), Batch()
    lines = message_of("v0").lines.replace(b"A", b"B")
    batch.put(Family.BLOCKS, height_key(b"s", 1), lines)
    store.commit(batch)
    checkpoints = Checkpoints(store, keys_of("v0"), check_signature)
    checkpoints.restore(header(), CHECKPOINT, POLICY)
    for name in ("v1", "v2"):
        checkpoints.collect(name, message_of(name), 1)
    assert flush(store, checkpoints) == b"", "two genuine cosignatures of four are no quorum"
    checkpoints.collect("v3", message_of("v3"), 1)
    assert check_final(flush(store, checkpoints), POLICY).signers == ("v1", "v2", "v3")
