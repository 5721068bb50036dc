"""What happens before an operation is looked at: submissions, keys, approvals, ids, the shape of a transaction."""

import pytest

from keeling.reasons import Reason, pins
from keeling.submission import format_submission, format_transaction
from keeling.units import Purpose
from keeling.v1 import operations_pb2 as op
from keeling.v1 import transaction_pb2 as pb
from node.core import block as core_block
from node.core import tables as t
from node.core.block import Answer, check_submitter
from node.core.limits import ID_WINDOW_MS, LOTS_PASSED_MAX, LOTS_TOUCHED_MAX
from tests.fakes.world import START_MS, Person, World
from tests.node.core.sample import FOUR_EYES, give, sample_world

REACHED = {
    Reason.UNKNOWN_KEY,
    Reason.KEY_NOT_ACTIVE,
    Reason.PARTICIPANT_SUSPENDED,
    Reason.NOT_THE_SUBMITTER,
    Reason.BAD_APPROVAL,
    Reason.ID_OUT_OF_WINDOW,
    Reason.ID_NOT_UUID7,
    Reason.ID_USED_WITH_OTHER_CONTENT,
    Reason.DUPLICATE,
    Reason.EXPIRED,
    Reason.NO_OPERATIONS,
    Reason.TOO_MANY_OPERATIONS,
    Reason.MISSING_FIELD,
    Reason.TOO_MANY_LOTS,
    Reason.BLOCK_IS_FULL,
}
"""Reasons that the tests of this file see; test_operations adds those of the operations."""

MOVE = give("A", "B", 1, batch="nat")


def send(world: World, by: str, raw: bytes, approvals: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
    person = world.people[by]
    bytes_ = format_submission(world.genesis.network, person.key, [(raw, approvals)], person.sign)
    return world.block(bytes_).submissions[0].answers[0]


def reason_of(answer: Answer) -> Reason | None:
    return answer.refusal.reason if answer.refusal else None


def suspend(world: World, name: str) -> None:
    """No operation suspends yet; the state can say so already."""
    member = world.state.get(t.PARTICIPANTS, name)
    assert member is not None
    world.reader.data[t.PARTICIPANTS.key(name)] = t.PARTICIPANTS.value.encode(member._replace(suspended=True))
    world.state = type(world.state)(world.reader)


# -- submissions: without an authentic submitter there are no answers, and nothing is pinned


def test_unauthentic_submissions_have_a_record_and_no_answers() -> None:
    world = sample_world()
    stranger = Person("x", "nobody")
    world.people["stranger"] = stranger
    raw = world.transaction("alice", MOVE)
    good = world.submission("alice", raw)
    foreign = format_submission(bytes(32), world.people["alice"].key, [(raw, [])], world.people["alice"].sign)
    forged = format_submission(world.genesis.network, world.people["alice"].key, [(raw, [])], stranger.sign)
    unknown = world.submission("stranger", raw)
    before = set(world.reader.data)
    block = world.block(b"", b"\xff" * 40, foreign, forged, unknown, good[:-1])
    assert [done.answers for done in block.submissions] == [()] * 6
    assert all(done.record.transactions == 0 for done in block.submissions)
    assert set(world.reader.data) == before
    assert world.block(good).submissions[0].answers[0].refusal is None


def test_the_door_says_why_a_key_may_not_submit() -> None:
    world = sample_world()
    alice = world.people["alice"].key

    def why(key: bytes) -> Reason | None:
        refusal = check_submitter(world.state, key)
        return refusal.reason if refusal else None

    assert why(bytes(32)) == Reason.UNKNOWN_KEY
    assert why(alice) is None
    signer = Person("signer", "alice", int(Purpose.APPROVE))
    world.must("alice", op.RotateKey(add=op.KeyGrant(key=signer.key, person="signer", purposes=signer.purposes)))
    assert why(signer.key) == Reason.KEY_NOT_ACTIVE
    world.must("alice", op.RotateKey(retire=world.people["alice/clerk"].key))
    assert why(world.people["alice/clerk"].key) == Reason.KEY_NOT_ACTIVE
    suspend(world, "alice")
    assert why(alice) == Reason.PARTICIPANT_SUSPENDED
    assert world.block(world.submission("alice", world.transaction("alice", MOVE))).submissions[0].answers == ()


# -- one transaction: the envelope


def test_bytes_that_are_no_transaction() -> None:
    world = sample_world()
    answer = send(world, "alice", b"\xff\xff")
    assert reason_of(answer) == Reason.MALFORMED


def test_transaction_of_another_participant() -> None:
    world = sample_world()
    raw = world.transaction("alice", MOVE)
    assert reason_of(send(world, "bob", raw)) == Reason.NOT_THE_SUBMITTER
    assert reason_of(send(world, "alice", raw)) is None


@pytest.mark.parametrize("approver", ["unknown", "short", "forged", "retired", "suspended"])
def test_bad_approvals_never_pin(approver: str) -> None:
    world = sample_world()
    raw = world.transaction("alice", MOVE)
    [(key, signature)] = world.approve(raw, "alice/ravi")
    [(bobs, by_bob)] = world.approve(raw, "bob")
    expected = Reason.BAD_APPROVAL
    approval = (key, signature)
    if approver == "unknown":
        approval = (bytes(32), signature)
    elif approver == "short":
        approval = (key[:5], signature)
    elif approver == "forged":
        approval = (key, by_bob)
    elif approver == "retired":
        world.must("alice", op.RotateKey(retire=key))
        expected = Reason.KEY_NOT_ACTIVE
    else:
        suspend(world, "bob")
        approval, expected = (bobs, by_bob), Reason.PARTICIPANT_SUSPENDED
    assert reason_of(send(world, "alice", raw, (approval,))) == expected
    assert reason_of(send(world, "alice", raw)) is None


def test_a_key_retired_inside_a_submission_signs_nothing_after_it() -> None:
    world = sample_world()
    retire = op.RotateKey(retire=world.people["alice"].key)
    raws = [world.transaction("alice", retire), world.transaction("alice", MOVE)]
    answers = world.block(world.submission("alice", *raws)).submissions[0].answers
    assert [reason_of(answer) for answer in answers] == [None, Reason.KEY_NOT_ACTIVE]


# -- ids (guarantee G5)


def test_ids_in_the_order_of_their_checks() -> None:
    world = sample_world()
    world.now_ms += ID_WINDOW_MS
    early = START_MS - 1
    table = [
        (b"short", 0, Reason.ID_NOT_UUID7),
        (bytes(16), 0, Reason.ID_NOT_UUID7),
        (early.to_bytes(6, "big") + b"\x70\x00\x80" + bytes(7), 0, Reason.ID_OUT_OF_WINDOW),
        ((world.now_ms + ID_WINDOW_MS + 1).to_bytes(6, "big") + b"\x70\x00\x80" + bytes(7), 0, Reason.ID_OUT_OF_WINDOW),
        (START_MS.to_bytes(6, "big") + b"\x70\x00\x80" + bytes(7), world.now_ms - 1, Reason.EXPIRED),
        (START_MS.to_bytes(6, "big") + b"\x70\x00\x80" + bytes(6) + b"\x01", world.now_ms, None),
    ]
    for number, not_after_ms, reason in table:
        answer = world.run("alice", MOVE, number=number, not_after_ms=not_after_ms)
        assert reason_of(answer) == reason, number.hex()


def test_one_id_has_one_effect_for_ever() -> None:
    world = sample_world()
    number = world.new_id()
    too_much = give("A", "B", 100_000, batch="nat")
    raw = world.transaction("alice", too_much, number=number)
    first = send(world, "alice", raw)
    assert reason_of(first) == Reason.INSUFFICIENT_UNITS
    again, other = send(world, "alice", raw), world.run("alice", MOVE, number=number)
    assert reason_of(again) == Reason.DUPLICATE
    assert again.refusal is not None
    assert dict(again.refusal.values)["first"] == "INSUFFICIENT_UNITS"
    assert reason_of(other) == Reason.ID_USED_WITH_OTHER_CONTENT
    assert reason_of(world.run("bob", give("B", "A", 1), number=number)) == Reason.INSUFFICIENT_UNITS, "bob's own id"


def test_the_same_bytes_twice_in_one_block_have_one_effect() -> None:
    world = sample_world()
    raw = world.transaction("alice", MOVE)
    block = world.block(world.submission("alice", raw, raw), world.submission("alice", raw))
    got = [reason_of(answer) for done in block.submissions for answer in done.answers]
    assert got == [None, Reason.DUPLICATE, Reason.DUPLICATE]


def test_old_ids_leave_the_state_and_stay_without_effect() -> None:
    world = sample_world()
    raw = world.transaction("alice", MOVE)
    number = raw[2:18]
    assert reason_of(send(world, "alice", raw)) is None
    world.later(ID_WINDOW_MS)
    world.block()
    assert world.state.get(t.IDS, number, "alice") is not None
    world.later(1)
    block = world.block()
    assert world.state.get(t.IDS, number, "alice") is None
    assert t.IDS.key(number, "alice") in dict(block.forgotten)
    assert reason_of(send(world, "alice", raw)) == Reason.ID_OUT_OF_WINDOW


def test_refusals_that_may_change_with_more_approvals_do_not_pin() -> None:
    world = sample_world()
    raw = world.transaction("alice", give("EYES", "B", 100))
    assert reason_of(send(world, "alice", raw)) == Reason.NEEDS_APPROVAL
    assert not pins(Reason.NEEDS_APPROVAL)
    assert reason_of(send(world, "alice", raw, tuple(world.approve(raw, "alice/ravi")))) is None


# -- the shape of a transaction


def test_shape_of_a_transaction() -> None:
    world = sample_world()
    assert reason_of(world.run("alice")) == Reason.NO_OPERATIONS
    assert reason_of(world.run("alice", *[MOVE] * 65)) == Reason.TOO_MANY_OPERATIONS
    empty = pb.Transaction(id=world.new_id(), participant="alice", operations=[op.Operation()])
    assert reason_of(send(world, "alice", format_transaction(empty))) == Reason.MISSING_FIELD
    assert reason_of(world.run("alice", *[MOVE] * 64)) is None


def test_static_checks_of_every_operation_come_before_any_effect() -> None:
    world = sample_world()
    answer = world.run("mallory", op.OpenAccount(account="A", owner="alice"), give("A", "A", 1))
    assert reason_of(answer) == Reason.ACCOUNTS_MUST_DIFFER


def test_a_transaction_is_undone_whole() -> None:
    world = sample_world()
    before = dict(world.reader.data)
    answer = world.run("alice", MOVE, op.OpenAccount(account="NEW", owner="alice"), give("A", "B", 10_000, batch="nat"))
    assert reason_of(answer) == Reason.INSUFFICIENT_UNITS
    changed = {key[:1] for key in world.reader.data if before.get(key) != world.reader.data[key]}
    assert changed == {t.PROGRESS.prefix, t.AUTHORS.prefix, t.IDS.prefix}


# -- policies over time


def test_a_changed_policy_takes_effect_after_the_old_ones_delay() -> None:
    world = sample_world()
    lax = op.AccountPolicy()
    world.must("alice", op.SetAccountPolicy(account="EYES", policy=lax), approvals=("alice/ravi",))
    assert reason_of(world.run("alice", give("EYES", "B", 100))) == Reason.NEEDS_APPROVAL
    world.later(FOUR_EYES.delay_ms)
    assert reason_of(world.run("alice", give("EYES", "B", 100))) is None


# -- limits


def test_choice_of_too_many_lots_is_refused_with_how_to_split_it() -> None:
    world = sample_world()
    for start in range(0, 6000, 1000):
        cut = [("vcs", 1 + 2 * (start // 2 + n), 1) for n in range(500)]
        world.must("alice", give("L1", "L3", 0, *cut))
    for start in range(0, 5000, 250):
        back = [("vcs", 1 + 2 * (start + n), 1) for n in range(250)]
        if start < 3000:
            world.must("bob", give("L3", "L1", 0, *back))
    answer = world.run("alice", give("L1", "L3", 6001, batch="vcs", strategy=op.Selection.LOWEST))
    assert reason_of(answer) == Reason.TOO_MANY_LOTS
    assert answer.refusal is not None
    most = int(dict(answer.refusal.values)["units"])
    assert reason_of(world.run("alice", give("L1", "L3", most, batch="vcs", strategy=op.Selection.LOWEST))) is None


def scatter(world: World, lots: int) -> None:
    """Leave account L1 with at least so many single units of "vcs" between as many of L3."""
    for start in range(0, lots, 500):
        world.must(
            "alice", give("L1", "L3", 0, *[("vcs", 1 + 2 * (start + n), 1) for n in range(min(500, lots - start))])
        )


def test_lots_looked_at_count_and_the_choice_of_the_oldest_among_too_many_is_refused() -> None:
    world = sample_world()
    scatter(world, 40)
    oldest = give("L1", "L3", 1, batch="vcs", strategy=op.Selection.OLDEST_ACQUIRED)
    tx = [give("L1", "L3", 1, batch="vcs", strategy=op.Selection.OLDEST_ACQUIRED) for _ in range(64)]
    assert reason_of(world.run("alice", oldest)) is None
    held = sum(1 for _ in world.state.scan(t.HOLDINGS, world.state.get(t.ACCOUNT_NUMBERS, "L1")))
    assert 64 * held < LOTS_TOUCHED_MAX
    assert reason_of(world.run("alice", *tx)) is None
    scatter_more = [("vcs", 2001 + 2 * n, 1) for n in range(400)]
    world.must("alice", give("L1", "L3", 0, *scatter_more))
    answer = world.run("alice", *tx)
    assert reason_of(answer) == Reason.TOO_MANY_LOTS
    assert "name batches or ranges" in str(answer.refusal)


@pytest.mark.parametrize(("cut", "chosen"), [(400, 1601), (LOTS_PASSED_MAX + 60, 1)])
def test_whole_lots_first_passes_over_so_many_too_large_lots_and_no_more(cut: int, chosen: int) -> None:
    world = sample_world()
    for start in range(0, LOTS_PASSED_MAX + 100, 100):  # leaves lots of three: 1..3, 5..7, and so on
        world.must("alice", give("L1", "L3", 0, *[("vcs", 4 + 4 * (start + n), 1) for n in range(100)]))
    world.must("alice", give("L1", "L3", 0, ("vcs", 4 * cut + 3, 1)))  # one of two units, which fits
    world.must("alice", give("L1", "L3", 2, batch="vcs"))
    assert [(move.first, move.units) for move in world.blocks[-1].events[-1].moves] == [(chosen, 2)]


def test_a_full_block_refuses_large_choices_that_come_later_and_they_may_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = sample_world()
    scatter(world, 100)
    monkeypatch.setattr(core_block, "LOTS_BLOCK_MAX", 50)
    monkeypatch.setattr(core_block, "LOTS_SPARED", 4)
    monkeypatch.setattr(core_block, "LOT_BYTES", 100)
    large = world.transaction("alice", give("L1", "L3", 20, batch="vcs", strategy=op.Selection.LOWEST))
    late = world.transaction("alice", give("L1", "L3", 20, batch="vcs", strategy=op.Selection.LOWEST))
    small = world.transaction("alice", give("L1", "L3", 1, batch="vcs", strategy=op.Selection.LOWEST))
    block = world.block(*(world.submission("alice", raw) for raw in (large, large[:], late, small)))
    reasons = [reason_of(done.answers[0]) for done in block.submissions]
    assert reasons == [None, Reason.DUPLICATE, Reason.BLOCK_IS_FULL, None]
    again = world.block(world.submission("alice", late)).submissions[0].answers[0]
    assert reason_of(again) is None


def test_what_a_transaction_names_itself_finds_room_in_a_full_block(monkeypatch: pytest.MonkeyPatch) -> None:
    world = sample_world()
    scatter(world, 500)
    monkeypatch.setattr(core_block, "LOTS_BLOCK_MAX", 0)
    named = give("L1", "L3", 0, *[("vcs", 2 + 2 * n, 1) for n in range(250)])
    assert reason_of(world.run("alice", named)) is None
    chosen = give("L1", "L3", 200, batch="vcs", strategy=op.Selection.LOWEST)
    assert reason_of(world.run("alice", chosen)) == Reason.BLOCK_IS_FULL
