"""Bundles from a node's store: what goes in, what stays out, and that the result verifies."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from keeling import bundle as bundle_module
from keeling.bundle import Bundle, parse_bundle, read_part
from keeling.bundle_parts import CUT_BLOCK, CutBlock, CutTransaction
from keeling.reasons import Reason
from keeling.submission import parse_transaction
from keeling.verify import Facts, verify_bundle
from node.export import ExportError, export_cut, export_whole
from node.store.contract import Batch, Family
from tests.fakes.recorded_world import RecordedWorld, short_story, story, tell_short_story


def facts_of(world: RecordedWorld, data: bytes) -> Facts:
    verdict = verify_bundle(data, world.genesis_bytes)
    assert verdict.failure is None
    assert verdict.facts is not None
    return verdict.facts


def cut(world: RecordedWorld, account: str | None, from_ms: int | None = None, until_ms: int | None = None) -> bytes:
    return b"".join(export_cut(world.store, world.genesis, account, from_ms, until_ms, world.tip.height))


def whole(world: RecordedWorld, height: int) -> bytes:
    return b"".join(export_whole(world.store, world.genesis, height))


def blocks_of(data: bytes) -> list[CutBlock]:
    bundle: Bundle = parse_bundle(data)
    blocks = []
    for ordinal in range(bundle.fixed, len(bundle.manifest.parts)):
        part, at = read_part(bundle, ordinal), 0
        while at < len(part):
            block, at = CUT_BLOCK.read(part, at)
            blocks.append(block)
    return blocks


def transactions_of(data: bytes) -> list[CutTransaction]:
    return [item for block in blocks_of(data) for shown in block.submissions for item in shown.transactions]


def test_whole_log_is_shown_up_to_any_height() -> None:
    world = story()
    for height in range(1, world.tip.height + 1):
        facts = facts_of(world, whole(world, height))
        size = sum(block.header.leaves for block in world.blocks[:height])
        assert (facts.height, facts.size, facts.tally.blocks) == (height, size, height)
    answers = [answer for block in world.blocks for done in block.submissions for answer in done.answers]
    assert facts.tally.transactions == len(answers)
    assert facts.tally.accepted == sum(answer.refusal is None for answer in answers)
    assert facts.tally.sweeps == 2


def test_long_log_fills_several_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_module, "PART_BLOCKS_MAX", 4)
    world = story()
    data = whole(world, world.tip.height)
    names = [part.name for part in parse_bundle(data).manifest.parts]
    assert names[3:] == ["blocks/1-4", "blocks/5-8", "blocks/9-12", "blocks/13-14"]
    assert facts_of(world, data).tally.blocks == 14
    assert len(parse_bundle(cut(world, None, from_ms=0)).manifest.parts) == 4 + 4


def test_parts_filled_otherwise_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    world = story()
    for limit, what in ((4, "length"), (40, "place of the block")):
        monkeypatch.setattr(bundle_module, "PART_BLOCKS_MAX", limit)
        data = whole(world, world.tip.height)
        monkeypatch.setattr(bundle_module, "PART_BLOCKS_MAX", 5)
        failure = verify_bundle(data, world.genesis_bytes).failure
        assert failure is not None
        assert failure.what == what


def test_cut_shows_everything_of_its_account() -> None:
    world = story()
    found = transactions_of(cut(world, "alice-main"))
    operations = [type(parse_transaction(item.raw).operations[0]).__name__ for item in found]
    assert operations == ["OpenAccount", "Issue", "Transfer", "Hold", "Transfer", "Retire"]
    assert [item.reason for item in found] == [0, 0, 0, 0, Reason.INSUFFICIENT_UNITS, 0]
    assert [len(item.approvals) for item in found] == [0, 0, 1, 0, 0, 0]
    facts = facts_of(world, cut(world, "alice-main"))
    assert (facts.tally.transactions, facts.tally.sweeps) == (6, 1)


def test_cut_shows_nothing_of_anybody_else() -> None:
    """G9: of three people only the one asked for, and the counterparties of that one's own transactions."""
    world = story()
    shown = {name: cut(world, f"{name}-main") for name in ("alice", "bob", "carol")}
    raws = {name: {item.raw for item in transactions_of(data)} for name, data in shown.items()}
    assert len(raws["alice"] & raws["bob"]) == 1
    assert b"carol" not in shown["alice"]
    assert b"alice" not in shown["carol"]
    assert world.people["carol"].key not in shown["alice"]
    for name, data in shown.items():
        assert raws[name]
        for raw in set().union(*raws.values()) - raws[name]:
            assert raw not in data
            assert raw[2:18] not in data, "not even its id"


def test_expiry_is_shown_without_the_others_of_its_block() -> None:
    world = short_story()
    assert len(world.blocks[2].sweeps) == 2
    alices, bobs = cut(world, "alice-main"), cut(world, "bob-main")
    events = [block.sweeps[0].event for data in (alices, bobs) for block in blocks_of(data) if block.sweeps]
    assert sorted(events) == sorted(world.blocks[2].sweeps)
    assert events[0] not in bobs
    assert events[1] not in alices


def test_refused_transaction_of_another_is_not_the_accounts() -> None:
    """Bob tried to move Alice's units: that is in his account's cut only if his own account is named, not in hers."""
    world = story()
    attempt = world.blocks[10].submissions[0].answers[0]
    assert attempt.refusal is not None
    digests = [parse_transaction(item.raw).participant for item in transactions_of(cut(world, "alice-main"))]
    assert digests == ["alice", "reg", "alice", "alice", "alice", "alice"]
    bobs = [item.reason for item in transactions_of(cut(world, "bob-main"))]
    assert Reason.NOT_PERMITTED in bobs


def test_period_bounds_a_cut() -> None:
    world = story()
    times = [block.header.time_ms for block in world.blocks]
    late = times[11]
    assert times[10] < late
    before, after = cut(world, None, until_ms=late), cut(world, None, from_ms=late)
    both = cut(world, None, from_ms=times[0], until_ms=times[-1] + 1)
    counts = [facts_of(world, data).tally.transactions for data in (before, after, both)]
    assert counts == [13, 4, 17]
    assert facts_of(world, cut(world, "bob-main", from_ms=late)).tally[2:5] == (1, 1, 1)
    assert facts_of(world, cut(world, "bob-main", until_ms=0)).tally.transactions == 0


REFUSED = [
    (lambda w: whole(w, 0), "height 0 has no published checkpoint"),
    (lambda w: whole(w, 99), "height 99 has no published checkpoint"),
    (lambda w: cut(w, None), "of an account, of a period, or of both"),
    (lambda w: cut(w, "nobody"), "no account is called 'nobody'"),
]


@pytest.mark.parametrize(("ask", "text"), REFUSED)
def test_what_is_not_here_is_refused(ask: Callable[[RecordedWorld], bytes], text: str) -> None:
    with pytest.raises(ExportError, match=text):
        ask(story())


def test_pruned_block_is_named() -> None:
    world = tell_short_story()
    batch = Batch()
    batch.delete(Family.BODIES, world.blocks[1].header.entry)
    world.store.commit(batch)
    with pytest.raises(ExportError, match="height 2 is not whole here"):
        whole(world, 3)
