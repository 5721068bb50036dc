"""Re-execution: the log that follows from the rules is accepted, and the first block that does not is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keeling.block import format_header, parse_header
from keeling.bundle import parse_bundle
from keeling.bundle_parts import WholeBlock, read_whole_blocks
from node.export import export_whole, read_whole_block
from node.replay import replay
from node.state_audit import audit_state, open_read_only, read_newest
from node.store.contract import Batch, Family, StoreMissing
from node.store.rocks import RocksStore
from tests.fakes.recorded_world import RecordedWorld, short_story, story, tell_short_story

Blocks = list[tuple[int, WholeBlock]]


def blocks_of(world: RecordedWorld) -> Blocks:
    return [(height, read_whole_block(world.store, height)) for height in range(1, world.tip.height + 1)]


def test_log_of_a_bundle_is_executed_to_the_same_state() -> None:
    world = story()
    bundle = parse_bundle(b"".join(export_whole(world.store, world.genesis, world.tip.height)))
    told: list[int] = []
    found = replay(world.genesis, read_whole_blocks(bundle), told.append)
    assert (found.difference, found.height, found.rules) == (None, world.tip.height, 1)
    assert found.state.data == world.reader.data
    assert told == list(range(1, world.tip.height + 1))


def in_header(blocks: Blocks, **fields: Any) -> Blocks:
    height, block = blocks[1]
    header = parse_header(block.header)._replace(**fields)
    return [blocks[0], (height, block._replace(header=format_header(header))), blocks[2]]


def in_result(blocks: Blocks, ordinal: int, **fields: Any) -> Blocks:
    height, block = blocks[1]
    done = block.submissions[0]
    results = [row._replace(**fields) if n == ordinal else row for n, row in enumerate(done.results)]
    changed = done._replace(results=tuple(results))
    return [blocks[0], (height, block._replace(submissions=(changed, *block.submissions[1:]))), blocks[2]]


def in_record(blocks: Blocks) -> Blocks:
    height, block = blocks[1]
    changed = block.submissions[0]._replace(leaf=bytes(113))
    return [blocks[0], (height, block._replace(submissions=(changed, *block.submissions[1:]))), blocks[2]]


DEPARTURES: list[tuple[Callable[[Blocks], Blocks], int, str]] = [
    (lambda b: [b[0], b[2]], 3, "height of the next block"),
    (lambda b: [b[0], (2, b[1][1]._replace(entry=b[1][1].entry[:-1] + b"\x01"))], 2, "header and entry"),
    (lambda b: [b[0], (2, b[0][1])], 2, "entry"),
    (lambda b: [b[0], (2, b[1][1]._replace(submissions=()))], 2, "submissions"),
    (lambda b: in_result(b, 2, reason=0), 2, "submission 0, transaction 2: reason"),
    (lambda b: in_result(b, 0, events=b""), 2, "submission 0, transaction 0: events"),
    (in_record, 2, "record of submission 0"),
    (lambda b: [*b[:2], (3, b[2][1]._replace(sweeps=b[2][1].sweeps[:1]))], 3, "sweep events"),
    (lambda b: in_header(b, time_ms=1), 2, "time_ms in the header"),
    (lambda b: in_header(b, previous=bytes(32)), 2, "previous in the header"),
    (lambda b: in_header(b, writes=bytes(32)), 2, "writes in the header"),
    (lambda b: in_header(b, next_policy=bytes(32)), 2, "next_policy in the header"),
]


@pytest.mark.parametrize(("change", "height", "what"), DEPARTURES)
def test_departure_from_the_rules_is_named(change: Callable[[Blocks], Blocks], height: int, what: str) -> None:
    world = short_story()
    found = replay(world.genesis, change(blocks_of(world)))
    assert found.difference is not None
    assert (found.difference.height, found.difference.what) == (height, what)
    assert found.difference.expected != found.difference.found
    assert found.height == height - 1 or what == "height of the next block"


def test_stored_state_is_the_one_the_log_gives() -> None:
    audit = audit_state(story().store, story().genesis)
    assert audit.equal
    assert (audit.height, audit.differing, audit.computed) == (14, 0, audit.stored)
    assert audit.keys == len(story().reader.data)


def test_each_differing_key_is_named() -> None:
    world = tell_short_story()
    rows = list(world.store.scan(Family.STATE))
    (changed, value), (removed, _) = rows[3], rows[5]
    batch = Batch()
    batch.put(Family.STATE, changed, value + b"\x00")
    batch.delete(Family.STATE, removed)
    batch.put(Family.STATE, b"\xff", b"planted")
    world.store.commit(batch)
    audit = audit_state(world.store, world.genesis)
    assert not audit.equal
    assert audit.differing == 3
    assert [item.key for item in audit.differences] == [changed, removed, b"\xff"]
    assert [item.stored for item in audit.differences] == [value + b"\x00", None, b"planted"]
    assert [item.computed is None for item in audit.differences] == [False, False, True]


def test_log_that_breaks_a_rule_is_not_equal() -> None:
    world = tell_short_story()
    batch = Batch()
    batch.put(Family.BODIES, world.blocks[1].header.entry, b"\x00" * 200)
    world.store.commit(batch)
    audit = audit_state(world.store, world.genesis)
    assert audit.broken is not None
    assert (audit.broken.height, audit.equal) == (2, False)


def test_store_is_read_without_writing(tmp_path: Path) -> None:
    world = short_story()
    store = RocksStore.create(tmp_path / "node" / "data" / "store")
    copy = Batch()
    for family in (Family.STATE, Family.BLOCKS, Family.LEAVES, Family.BODIES, Family.EVENTS):
        for key, value in world.store.scan(family):
            copy.put(family, key, value)
    store.commit(copy)
    backup = tmp_path / "backup"
    store.backup(backup)
    for folder in (tmp_path / "node", tmp_path / "node" / "data", backup):
        before = {path: path.read_bytes() for path in sorted(folder.rglob("*.sst"))}
        with open_read_only(folder) as reads:
            assert read_newest(reads) == 3
            assert audit_state(reads, world.genesis).equal
        assert {path: path.read_bytes() for path in sorted(folder.rglob("*.sst"))} == before
    store.close()
    with pytest.raises(StoreMissing), open_read_only(tmp_path / "elsewhere"):
        pass
