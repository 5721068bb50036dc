"""The acceptance walk at the level of the rules, told as short stories: what a registry and a group would type.

Numbers in the names are the steps of the walk. What the tables of cases show one by one is here in context.
"""

import pytest

from keeling.bundle_parts import format_time
from keeling.reasons import Reason as R
from keeling.units import UnitState, unassigned_account
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from node.core.block import Answer
from node.core.holds import HoldPhase
from node.core.lots import find_lots
from tests.fakes.world import START_MS, World
from tests.node.core.cases_marks import restrict
from tests.node.core.sample import (
    DAY_MS,
    HOLD,
    cash,
    evidence,
    give,
    hold,
    issue,
    leg,
    ranges,
    sample_world,
    seen,
    some,
)

TWO_DAYS = START_MS + 2 * DAY_MS


@pytest.fixture
def world() -> World:
    return sample_world()


def refused(answer: Answer) -> tuple[R, str]:
    assert answer.refusal is not None, "expected a refusal"
    return answer.refusal.reason, answer.refusal.detail


def units(world: World, account: str, state: UnitState, batch: str) -> int:
    numbers = world.state.get(t.ACCOUNT_NUMBERS, account), world.state.get(t.BATCH_NUMBERS, batch)
    total = world.state.get(t.TOTALS, numbers[0], state, numbers[1])
    return total.units if total else 0


def lots(world: World, batch: str) -> list[tuple[int, int, str, str]]:
    """(first, units, account, state) of a whole batch."""
    number = world.state.get(t.BATCH_NUMBERS, batch)
    assert number is not None
    found = world.state.get(t.BATCHES, number)
    assert found is not None
    shown = []
    for first, lot in find_lots(world.state, number, found.low, found.high - found.low + 1):
        account = world.state.get(t.ACCOUNTS, lot.account)
        assert account is not None
        shown.append((first, lot.units, account.name, UnitState(lot.state).name))
    return shown


def test_17_levies_are_rounded_by_the_record(world: World) -> None:
    for programme, parts in (("A64", (357, 143, 6_625)), ("A64-DOWN", (356, 142, 6_627))):
        batch = f"batch-{programme}"
        answer = world.must("reg", issue(batch, programme, 7_125, "A"))
        share, omge, net = parts
        assert lots(world, batch) == [
            (0, share, "SOP", "FREE"),
            (share, omge, "OMGE", "CANCELLED"),
            (share + omge, net, "A", "FREE"),
        ]
        event = world.blocks[-1].events[0]
        assert event.fact("rule") == programme
        assert event.fact("levy SOP").startswith(f"{share} (500 basis points")
        assert answer.refusal is None
    reason, detail = refused(world.run("reg", issue("one", "A64", 1, "A")))
    assert (reason, detail) == (R.LEVY_EXCEEDS_ISSUANCE, "levies of 2 leave nothing of 1")


def test_18_a_billion_units_cost_what_ten_cost(world: World) -> None:
    sizes = []
    for batch, many in (("small", 10), ("huge", 1_000_000_000)):
        for operation in (issue(batch, "NAT", many, "A"), give("A", "B", many // 2, batch=batch)):
            world.must("reg" if isinstance(operation, op.Issue) else "alice", operation)
            block = world.blocks[-1]
            sizes.append((len(block.changes), sum(len(key) + len(value or b"") for key, value in block.changes)))
    small, huge = sizes[:2], sizes[2:]
    assert [writes for writes, _ in small] == [writes for writes, _ in huge]
    assert all(abs(a - b) < 20 for (_, a), (_, b) in zip(small, huge, strict=True)), "fixed-width values, equal names"


def test_19_an_overlap_names_the_other_batch_and_the_serials(world: World) -> None:
    world.must("verra", issue("first", "VCS", 100, "L1", first=1_000, space="VCS space"))
    reason, detail = refused(world.run("verra", issue("second", "VCS", 50, "L1", first=1_090, space="VCS space")))
    assert (reason, detail) == (R.SERIALS_OVERLAP, "batch first of space VCS space has 1090..1099")
    world.must("verra", issue("elsewhere", "VCS", 50, "L1", first=1_090, space="another space"))


def test_20_a_transfer_shows_what_was_taken_or_what_is_not_owned(world: World) -> None:
    world.must("alice", give("A", "B", 500, batch="nat"))
    move = world.blocks[-1].events[0].moves[0]
    assert (move.batch, move.first, move.units, move.from_account, move.to_account) == ("nat", 0, 500, "A", "B")
    reason, detail = refused(world.run("alice", give("A", "M", 0, ("nat", 450, 100))))
    assert (reason, detail) == (R.UNITS_NOT_OWNED, "nat 451..500 not in account A")


def test_21_delivery_against_payment_short_by_one_paisa_moves_nothing(world: World) -> None:
    swap = op.Transfer(units=[leg("A", "B", some(1000, batch="nat"))], cash=[cash("B", "A", 85_000_000)])
    reason, detail = refused(world.run("alice", swap, approvals=["bob"]))
    assert (reason, detail) == (R.INSUFFICIENT_CASH, "account B has 849999.99 INR@bank, short by 0.01")
    assert units(world, "A", UnitState.FREE, "nat") == 1000
    world.must("bank", op.IssueCash(account="B", currency="INR@bank", amount=1, scale=2))
    world.must("alice", swap, approvals=["bob"])
    assert units(world, "B", UnitState.FREE, "nat") == 1000


def test_22_one_id_one_effect(world: World) -> None:
    number = world.new_id()
    raw = world.transaction("alice", give("A", "B", 10, batch="nat"), number=number)
    first = world.block(world.submission("alice", raw)).submissions[0].answers[0]
    place = f"{world.tip.height}.0"
    again = world.block(world.submission("alice", raw)).submissions[0].answers[0]
    assert first.refusal is None
    assert refused(again) == (R.DUPLICATE, f"decided at {place}: ACCEPTED")
    assert (
        refused(world.run("alice", give("A", "B", 11, batch="nat"), number=number))[0] == R.ID_USED_WITH_OTHER_CONTENT
    )
    poor = world.transaction("bob", give("B", "A", 11, batch="nat"))
    assert refused(world.block(world.submission("bob", poor)).submissions[0].answers[0])[0] == R.INSUFFICIENT_UNITS
    world.must("alice", give("A", "B", 90, batch="nat"))
    topped_up = world.block(world.submission("bob", poor)).submissions[0].answers[0]
    assert refused(topped_up)[1].endswith("INSUFFICIENT_UNITS")
    assert units(world, "B", UnitState.FREE, "nat") == 100


def test_24_four_eyes_are_two_people(world: World) -> None:
    raw = world.transaction("alice", op.Retire(account="EYES", selection=some(100)))

    def submit(*approvers: str) -> Answer:
        return world.block(world.submission("alice", raw, approvals=approvers)).submissions[0].answers[0]

    assert refused(submit()) == (R.NEEDS_APPROVAL, "1 of 2 approvals for account EYES")
    assert refused(submit("alice/second")) == (R.SAME_PERSON, "2 keys, but 1 of 2 people have signed")
    assert submit("alice/second", "alice/ravi").refusal is None
    assert units(world, "EYES", UnitState.RETIRED, "eyes") == 100


@pytest.mark.parametrize(
    "operation",
    [
        give("EYES", "B", 100),
        op.Transfer(units=[leg("EYES", "B", some(50)), leg("EYES", "B", some(50))]),
        hold("EYES", some(100)),
        op.SetAccountPolicy(account="EYES", policy=op.AccountPolicy()),
        op.GrantMandate(
            account="EYES",
            mandate="m",
            grantee="bob",
            operations=[40],
            units_each=9,
            units_total=100,
            until_ms=TWO_DAYS,
        ),
    ],
    ids=["transfer", "two legs", "hold", "policy", "mandate"],
)
def test_24_there_is_no_way_around_four_eyes(world: World, operation: op.Transfer) -> None:
    assert refused(world.run("alice", operation))[0] == R.NEEDS_APPROVAL


def test_25_held_units_are_gone_for_everybody(world: World) -> None:
    world.must("alice", hold("L1", some(10_000, batch="vcs")))
    other = hold("L1", some(0, ("vcs", 500, 1)), hold=b"another buyer's!", buyer="bob")
    reason, detail = refused(world.run("alice", other))
    assert (reason, detail) == (R.UNITS_HELD, f"vcs 500..500 held by {HOLD.hex()}")
    world.must("verra", restrict(("partly", 901, 100), name="court order"))
    shown = {UnitState.FREE: 0, UnitState.HELD: 10_000}
    assert {state: units(world, "L1", state, "vcs") for state in shown} == shown
    assert units(world, unassigned_account("verra"), UnitState.FREE, "partly") == 200


def test_26_a_mirrored_unit_needs_its_registry(world: World) -> None:
    reason, detail = refused(world.run("alice", op.Retire(account="L1", selection=some(5, batch="vcs"))))
    assert reason == R.NEEDS_REGISTRY_CONFIRMATION
    assert "either hold the units for retirement" in detail
    assert "or retire them at verra" in detail


def test_27_what_was_instructed_no_clock_and_no_lone_operator_ends(world: World) -> None:
    world.must("alice", hold("L1", some(0, ("vcs", 1, 10_000)), buyer="bob"))
    world.must("hub", op.Dispatch(hold=HOLD, attempt=1, instruction=bytes(32)))
    sent = world.blocks[-1].header.time_ms
    world.later(30 * DAY_MS)
    assert world.block().sweeps == ()
    assert units(world, "L1", UnitState.INSTRUCTED, "vcs") == 10_000
    reason, detail = refused(world.run("alice", op.Release(hold=HOLD)))
    open_since = f"hold {HOLD.hex()}: instructed, outcome open since {format_time(sent)}"
    assert (reason, detail) == (R.HOLD_INSTRUCTED, open_since)
    alone = op.Release(hold=HOLD, reason="the registry is silent", evidence=evidence("D"))
    raw = world.transaction("hub", alone)
    assert refused(world.block(world.submission("hub", raw)).submissions[0].answers[0])[0] == R.NEEDS_TWO_OPERATORS
    both = world.block(world.submission("hub", raw, approvals=["hub/two"])).submissions[0].answers[0]
    assert both.refusal is None
    assert units(world, "L1", UnitState.FREE, "vcs") == 10_000


def test_an_open_hold_expires_at_the_start_of_a_block(world: World) -> None:
    world.must("alice", hold("A", some(0, ("nat", 0, 100))))
    world.later(2 * DAY_MS)
    block = world.block(world.submission("alice", world.transaction("alice", give("A", "B", 1000, batch="nat"))))
    assert len(block.sweeps) == 1
    assert block.submissions[0].answers[0].refusal is None, "the sweep comes before the block's transactions"
    found = world.state.get(t.HOLDS, HOLD)
    assert found is not None
    assert found.phase == HoldPhase.EXPIRED


def test_28_29_30_the_registry_decides_which_serials_and_may_undo_it(world: World) -> None:
    world.must("verra", issue("big", "VCS", 20_000, "L1"))
    world.must("alice", hold("L1", some(0, ("big", 10_000, 10_000)), buyer="bob", beneficiary=b"\x01" * 32))
    world.must("hub", op.Dispatch(hold=HOLD, attempt=1, instruction=bytes(32)))
    used = op.Capture(hold=HOLD, ranges=ranges(("big", 1, 5_999), ("big", 15_000, 1)), evidence=evidence("B", "VCR-77"))
    assert refused(world.run("bob", used))[0] == R.ATTESTOR_IS_PARTY
    assert refused(world.run("alice", used))[0] == R.ATTESTOR_IS_PARTY

    world.must("verra", used)
    height = world.tip.height
    swapped, retired = world.blocks[-1].events
    assert sum(move.units for move in swapped.moves) == 5_999, "as many held units are free again in the same block"
    assert [(move.first, move.units) for move in retired.moves] == [(1, 5_999), (15_000, 1)]
    assert (retired.fact("reference"), retired.fact("grade")) == ("VCR-77", "B")
    assert units(world, "L1", UnitState.RETIRED, "big") == 6_000
    assert units(world, "L1", UnitState.INSTRUCTED, "big") == 4_000

    world.must("verra", op.Release(hold=HOLD, units=4_000, reason="not executed", evidence=evidence("B")))
    assert units(world, "L1", UnitState.FREE, "big") == 14_000
    found = world.state.get(t.HOLDS, HOLD)
    assert found is not None
    assert (found.phase, found.captured, found.released) == (HoldPhase.CAPTURED, 6_000, 4_000)

    back = op.Reverse(height=height, ordinal=1, reason="retired in error", evidence=evidence("B", "VCR-78"))
    world.must("verra", back)
    event = world.blocks[-1].events[0]
    assert (event.fact("reverses"), event.fact("reference")) == (f"{height}.1", "VCR-78")
    assert units(world, "L1", UnitState.FREE, "big") == 20_000
    claim = world.state.get(t.CLAIMS, height, 1)
    assert claim is not None
    assert claim.withdrawn == claim.pieces, "the claim stays on record, withdrawn"


def test_34_some_units_trade_only_on_an_exchange(world: World) -> None:
    reason, detail = refused(world.run("alice", give("A", "B", 10, batch="ccc")))
    assert (reason, detail) == (
        R.EXCHANGE_ONLY,
        "rule CCC version 1: only with the settlement reference of ex",
    )
    listed = give("A", "B", 10, batch="ccc")
    listed.settlement_reference = "IEX 2026-11-22 session 3"
    world.must("alice", listed, approvals=["ex"])


# -- news from a registry: recorded, laid beside the ledger, never guessed away


def test_an_import_again_changes_nothing_and_news_changes_what_nobody_claimed(world: World) -> None:
    same = op.ExtendBatch(batch="partly", observations=[seen(1, 100), seen(901, 100)], evidence=evidence("C"))
    before = dict(world.reader.data)
    world.must("importer", same)
    changed = {key[:1] for key in world.reader.data if world.reader.data[key] != before.get(key)}
    assert changed == {t.PROGRESS.prefix, t.AUTHORS.prefix, t.IDS.prefix}

    cut = [seen(1, 40, op.Observation.ENDED), seen(41, 60), seen(901, 100)]
    world.must("importer", op.ExtendBatch(batch="partly", observations=cut, evidence=evidence("C"), run="r2"))
    nobody = unassigned_account("verra")
    assert lots(world, "partly") == [
        (1, 40, nobody, "ENDED"),
        (41, 60, nobody, "FREE"),
        (901, 100, nobody, "FREE"),
    ]
    [event] = world.blocks[-1].events
    assert (event.fact("run"), event.fact("status")) == ("r2", "ENDED")
    back = op.Reverse(height=world.tip.height, reason="shown in error", evidence=evidence("B"))
    world.must("verra", back)
    assert units(world, nobody, UnitState.FREE, "partly") == 200


def test_news_against_the_ledger_restricts_until_it_is_resolved_and_can_come_again(world: World) -> None:
    def told(name: str, status: op.Observation.Status.ValueType) -> op.Attest:
        where = ranges(("vcs", 1, 10))[0]
        return op.Attest(registry="verra", attestation=name, range=where, status=status, evidence=evidence())

    world.must("verra", told("e1", op.Observation.RETIRED))
    name = f"discrepancy/{world.tip.height}.1"
    assert refused(world.run("alice", give("L1", "L3", 0, ("vcs", 5, 1))))[0] == R.UNITS_RESTRICTED
    world.must("verra", told("e1 again", op.Observation.RETIRED))
    assert len(world.blocks[-1].events) == 1, "the same contradiction is open already"
    lifted = op.Unrestrict(restriction=name, ranges=ranges(("vcs", 1, 10)), reason="the registry corrected itself")
    world.must("verra", lifted)
    world.must("alice", give("L1", "L3", 0, ("vcs", 5, 1)))
    world.must("verra", told("e2", op.Observation.RETIRED))
    assert refused(world.run("bob", give("L3", "L1", 0, ("vcs", 5, 1))))[0] == R.UNITS_RESTRICTED


def test_a_strangers_word_has_no_effect_and_does_not_silence_the_registry(world: World) -> None:
    news = op.Attest(
        registry="verra",
        attestation="e1",
        range=ranges(("vcs", 1, 10))[0],
        status=op.Observation.RETIRED,
        evidence=evidence(),
    )
    world.must("mallory", news)
    world.must("alice", give("L1", "L3", 0, ("vcs", 5, 1)))
    world.must("verra", news)
    assert refused(world.run("bob", give("L3", "L1", 0, ("vcs", 5, 1))))[0] == R.UNITS_RESTRICTED


def test_maintenance_announced_for_tomorrow_does_not_end_todays_suspension(world: World) -> None:
    now = world.now_ms
    tomorrow = op.LinkState(
        account="L1",
        state=op.LinkState.MAINTENANCE,
        from_ms=now + DAY_MS,
        until_ms=now + DAY_MS + 1000,
        reason="planned",
    )
    world.must("hub", op.LinkState(account="L1", state=op.LinkState.SUSPENDED, reason="errors"))
    world.must("hub", tomorrow)
    assert refused(world.run("alice", give("L1", "L3", 1, batch="vcs")))[0] == R.LINK_SUSPENDED
    world.must("hub", op.LinkState(account="L1", state=op.LinkState.NORMAL))
    world.must("alice", give("L1", "L3", 1, batch="vcs"))
    world.later(DAY_MS)
    reason, detail = refused(world.run("alice", give("L1", "L3", 1, batch="vcs")))
    ends = format_time(tomorrow.until_ms)
    assert (reason, detail) == (R.LINK_SUSPENDED, f"the link of L1 to verra is stopped until {ends}: planned")
    world.later(1000)
    world.must("alice", give("L1", "L3", 1, batch="vcs"))
