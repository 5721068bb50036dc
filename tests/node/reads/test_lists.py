"""Participants, records, accounts, batches and holds: one by one, in pages, and what is not there."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from google.protobuf.message import Message

from keeling.reasons import Reason
from keeling.units import Purpose
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from node import reads
from node.core import tables as t
from node.reads import pages
from node.reads.errors import BadRequest, NotFound, ReadRefused
from tests.fakes.world import Person
from tests.node.reads.histories import EVERYBODY, long_life
from tests.node.reads.trading_world import (
    DIGEST,
    RECORDS,
    SERIAL,
    IndexedWorld,
    hold_id,
    open_world,
    opened,
    place_hold,
    ranges,
    transfer,
    units,
)


def ask(world: IndexedWorld, read: Callable[..., Any], request: Message) -> Any:
    with world.store.snapshot() as view:
        return read(view, request)


def turn(world: IndexedWorld, read: Callable[..., Any], field: str, size: int, **request: Any) -> list[Any]:
    """The rows of all pages."""
    rows: list[Any] = []
    token, turned = "", False
    while token or not turned:
        page = ask(world, read, pb.ListRequest(page_size=size, page_token=token, **request))
        given = list(getattr(page, field))
        assert page.height == world.tip.height
        rows, token, turned = rows + given, page.next_page_token, True
    return rows


@pytest.mark.parametrize(
    ("read", "field"),
    [
        (reads.list_participants, "participants"),
        (reads.list_records, "records"),
        (reads.list_accounts, "accounts"),
        (reads.list_batches, "batches"),
        (reads.list_holds, "holds"),
    ],
    ids=["participants", "records", "accounts", "batches", "holds"],
)
def test_pages_together_are_the_whole(read: Callable[..., Message], field: str) -> None:
    world = long_life()
    whole = turn(world, read, field, 1_000)
    assert len(whole) > 2
    for size in (1, 2, 0):
        assert turn(world, read, field, size) == whole


def test_participants_come_with_every_key_they_had() -> None:
    world = open_world()
    new = Person("second", "bob", int(Purpose.SUBMIT | Purpose.ADMIN))
    old = world.people["bob"].key
    world.must("bob", op.RotateKey(retire=old, add=op.KeyGrant(key=new.key, person="second", purposes=new.purposes)))
    rows = turn(world, reads.list_participants, "participants", 10)
    assert [row.participant for row in rows] == ["bob", "hub", "reg", "alice", "carol"]
    bob = rows[0]
    assert isinstance(bob, pb.Participant)
    assert (bob.name, list(bob.roles), bob.suspended, bob.validator) == ("Bob", ["group"], False, False)
    height = world.tip.height
    assert [(k.key, k.person, k.since_height, k.retired_height) for k in bob.keys] == [
        (old, "ops", 0, height),
        (new.key, "second", height, 0),
    ]
    assert rows[2].validator


def test_records_are_told_as_they_were_set_every_version() -> None:
    world = open_world()
    second = op.SetRecord()
    second.CopyFrom(RECORDS[0])
    second.version = 2
    second.effective_from.CopyFrom(op.When(ms=world.now_ms, precision=op.When.INSTANT))
    second.effective_to.CopyFrom(op.When(ms=world.now_ms + 9, precision=op.When.INSTANT))
    levy = op.Levy(name="SOP", basis_points=500, account="carol", rounding=op.Levy.UP)
    second.programme.levies.append(levy)
    rule = op.SetRecord(id="threshold", version=1, source="decision 1", rule=op.Rule(value="4"))
    for record in (second, rule):
        world.must("reg", record, approvals=("alice", "bob", "carol", "hub", "reg"))
    by_id = {(record.id, record.version): record for record in [*RECORDS, second, rule]}
    rows = turn(world, reads.list_records, "records", 2)
    assert rows == [by_id[key] for key in sorted(by_id, key=lambda key: (len(key[0]), key))]


def test_an_account_shows_policy_link_cash_and_mandates() -> None:
    world = open_world()
    key = world.people["alice"].key
    policy = op.AccountPolicy(approvers=[key], rules=[op.ApprovalRule(operations=[40], from_units=9, approvals=1)])
    policy.delay_ms = 5_000
    for changed in (policy, op.AccountPolicy(incoming_approved=True)):
        world.must("alice", op.SetAccountPolicy(account="alice/verra", policy=changed), approvals=("alice",))
    until_ms = world.now_ms + 60_000
    grant = op.GrantMandate(
        account="alice/verra",
        mandate="m",
        grantee="hub",
        operations=[40],
        units_each=5,
        units_total=50,
        until_ms=until_ms,
    )
    world.must("alice", grant, approvals=("alice",))
    state = op.LinkState(account="alice/verra", state=op.LinkState.SUSPENDED, reason="breaker")
    world.must("hub", state, approvals=("hub",))
    account = ask(world, reads.get_account, pb.GetAccountRequest(account="alice/verra"))
    assert isinstance(account, pb.Account)
    assert (account.owner, account.parent, account.closed) == ("alice", "alice", False)
    assert account.policy == policy
    assert account.next_policy.incoming_approved
    assert account.next_policy_from_ms == world.now_ms + 5_000
    assert (account.link.registry, account.link.control) == ("verra", op.Link.OWNER)
    assert account.link_state == "SUSPENDED: breaker"
    assert list(account.mandates) == [grant]
    world.later(5_000)
    world.block()
    later = ask(world, reads.get_account, pb.GetAccountRequest(account="alice/verra"))
    assert isinstance(later, pb.Account)
    assert (later.policy.incoming_approved, later.HasField("next_policy")) == (True, False)
    plain = ask(world, reads.get_account, pb.GetAccountRequest(account="bob"))
    assert isinstance(plain, pb.Account)
    assert (plain.link_state, plain.HasField("link")) == ("", False)


def test_accounts_can_be_cut_to_a_tree() -> None:
    def names(**request: Any) -> list[str]:
        return [row.account for row in turn(opened(), reads.list_accounts, "accounts", 2, **request)]

    assert names() == ["unassigned@verra", "alice", "bob", "carol", "alice/verra"]
    assert names(account="alice") == ["alice", "alice/verra"]
    assert names(account="alice/verra") == ["alice/verra"]


def test_a_batch_known_in_part_is_told_with_its_gaps() -> None:
    world = opened()
    batch = ask(world, reads.get_batch, pb.GetBatchRequest(batch="out-1"))
    assert isinstance(batch, pb.Batch)
    assert (batch.exact, batch.seen, batch.unseen, batch.lots) == (False, 60, 40, 3)
    assert (batch.first_number, batch.last_number, batch.base_number) == ("1001", "1100", "0")
    assert [(total.state, total.units, total.lots) for total in batch.totals] == [("FREE", 40, 2), ("RETIRED", 20, 1)]
    (gap,) = batch.gaps
    assert (gap.first_number, gap.last_number, gap.account, gap.state) == ("1041", "1080", "", "")
    assert gap.serials == SERIAL.replace("1001-1100", "1041-1080")
    assert (batch.registry, batch.host, batch.grain, batch.space) == ("verra", "RW", "T_CO2E", "verra")
    assert (batch.vintage_start.ms, batch.vintage_end.ms) == (19_997 * 86_400_000, 20_088 * 86_400_000)
    assert batch.issued.height == world.row(t.BATCHES, 2).issued.height
    whole = ask(world, reads.get_batch, pb.GetBatchRequest(batch="nat-1"))
    assert isinstance(whole, pb.Batch)
    assert (whole.exact, whole.unseen, len(whole.gaps), whole.registry) == (True, 0, 0, "ledger")


def test_gaps_at_both_ends_of_the_extent_are_told() -> None:
    world = open_world()
    middle = op.Observation(first_number="2011", units=10, status=op.Observation.ACTIVE)
    more = op.Issue(
        batch="out-2",
        project="stove",
        programme="vcs",
        space="verra",
        first_number="2001",
        units=100,
        extent=op.Issue.AT_LEAST,
        evidence=op.Evidence(digest=DIGEST, grade="C", reference="export"),
        observations=[middle],
    )
    world.must("hub", more)
    batch = ask(world, reads.get_batch, pb.GetBatchRequest(batch="out-2"))
    assert isinstance(batch, pb.Batch)
    assert [(gap.first_number, gap.last_number) for gap in batch.gaps] == [("2001", "2010"), ("2021", "2100")]
    assert sum(gap.range.units for gap in batch.gaps) == batch.unseen == 90


def test_batches_can_be_cut_to_those_an_account_has() -> None:
    def names(**request: Any) -> list[str]:
        return [row.batch for row in turn(opened(), reads.list_batches, "batches", 1, **request)]

    assert names() == ["nat-1", "out-1"]
    assert names(account="alice") == ["nat-1"]
    assert names(account="alice/verra") == ["out-1"]
    assert names(account="bob") == []


@cache
def held() -> IndexedWorld:
    """Six holds: four of alice, of which one is released and one half captured; one of bob; one instructed."""
    world = open_world()
    world.must("alice", transfer("alice", "bob", units(100)), approvals=EVERYBODY)
    expires = world.now_ms + 60_000
    for name in ("a1", "a2", "a3", "a4"):
        world.must("alice", place_hold(name, "alice", units(10), expires), approvals=EVERYBODY)
    world.must("bob", place_hold("b1", "bob", units(10), expires), approvals=EVERYBODY)
    world.must("alice", place_hold("out", "alice/verra", ranges("out-1", (1_001, 5)), expires), approvals=EVERYBODY)
    world.must("hub", op.Dispatch(hold=hold_id("out"), attempt=1, instruction=DIGEST))
    world.must("alice", op.Release(hold=hold_id("a2"), reason="over"))
    piece = world.row(t.HOLDS, hold_id("a3")).pieces[0]
    half = [op.Range(batch="nat-1", first=piece.first, units=4)]
    world.must("alice", op.Capture(hold=hold_id("a3"), ranges=half), approvals=("alice",))
    return world


@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize(
    ("request_of", "names"),
    [
        ({}, ("a1", "a2", "a3", "a4", "b1", "out")),
        ({"open_only": True}, ("a1", "a3", "a4", "b1", "out")),
        ({"account": "alice"}, ("a1", "a2", "a3", "a4")),
        ({"account": "alice", "open_only": True}, ("a1", "a3", "a4")),
        ({"account": "alice/verra"}, ("out",)),
        ({"account": "carol"}, ()),
    ],
    ids=str,
)
def test_holds_are_cut_by_account_and_life(request_of: dict[str, object], names: tuple[str, ...], size: int) -> None:
    rows = turn(held(), reads.list_holds, "holds", size, **request_of)
    assert [row.hold for row in rows] == sorted(hold_id(name) for name in names)


def test_lists_that_look_at_many_rows_come_in_short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "LOOKED_AT_MAX", 1)
    rows = turn(held(), reads.list_accounts, "accounts", 50, account="alice")
    assert [row.account for row in rows] == ["alice", "alice/verra"]


def test_a_hold_tells_what_it_still_holds_and_what_became_of_the_rest() -> None:
    def get(name: str) -> pb.HoldInfo:
        found = ask(held(), reads.get_hold, pb.GetHoldRequest(hold=hold_id(name)))
        assert isinstance(found, pb.HoldInfo)
        return found

    half = get("a3")
    assert (half.phase, half.units, half.captured, half.released) == ("OPEN", 10, 4, 0)
    assert [(part.batch, part.units) for part in half.ranges] == [("nat-1", 6)]
    assert (half.account, half.holder, half.purpose, half.to_account) == ("alice", "alice", "FOR_RETIREMENT", "")
    out = get("out")
    assert (out.phase, out.attempt, out.hub, out.dispatched_ms) == ("INSTRUCTED", 1, "hub", held().now_ms)
    assert (get("a2").phase, get("a2").released, list(get("a2").ranges)) == ("RELEASED", 10, [])


MISSING = [
    (reads.get_account, pb.GetAccountRequest(account="nobody"), NotFound, Reason.ACCOUNT_NOT_FOUND),
    (reads.get_batch, pb.GetBatchRequest(batch="nothing"), NotFound, Reason.BATCH_NOT_FOUND),
    (reads.get_hold, pb.GetHoldRequest(hold=bytes(16)), NotFound, Reason.HOLD_NOT_FOUND),
    (reads.get_hold, pb.GetHoldRequest(hold=b"short"), BadRequest, Reason.BAD_FIELD),
    (reads.list_accounts, pb.ListRequest(account="nobody"), NotFound, Reason.ACCOUNT_NOT_FOUND),
    (reads.list_batches, pb.ListRequest(account="nobody"), NotFound, Reason.ACCOUNT_NOT_FOUND),
    (reads.list_holds, pb.ListRequest(account="nobody"), NotFound, Reason.ACCOUNT_NOT_FOUND),
]


@pytest.mark.parametrize(("read", "request_of", "error", "reason"), MISSING, ids=range(len(MISSING)))
def test_what_is_not_there_is_said_with_its_reason(
    read: Callable[..., Message], request_of: Message, error: type[ReadRefused], reason: Reason
) -> None:
    with pytest.raises(error, match=reason.name) as caught:
        ask(opened(), read, request_of)
    assert caught.value.reason == reason
