"""The breaker: pure rules first, then on the ledger: one link stops, others do not, and it works again by itself."""

from __future__ import annotations

import pytest

from adapters.contract import Unknown
from adapters.sandbox.faults import Fault, FaultKind
from hub.dispatch.breaker import Breaker, BreakerRule, Verdict, record_call, reopen_breaker
from hub.dispatch.lines import LinkMemory
from keeling.v1 import operations_pb2 as op
from tests.hub.dispatch.stage import DAY_MS, Stage, play

RULE = BreakerRule()


def feed(breaker: Breaker, calls: str, start_ms: int = 1, apart_ms: int = 10) -> tuple[Breaker, list[Verdict]]:
    """ "+" is a good call, "-" a failed one, "s" a slow one."""
    verdicts = []
    for number, call in enumerate(calls):
        took = RULE.slow_ms + 1 if call == "s" else 5
        breaker, verdict = record_call(breaker, RULE, start_ms + number * apart_ms, failed=call == "-", took_ms=took)
        verdicts.append(verdict)
    return breaker, verdicts


def test_it_opens_at_half_of_enough_calls() -> None:
    assert not feed(Breaker(), "----")[0].is_open
    assert feed(Breaker(), "-----")[1][-1] is Verdict.STOP
    assert not feed(Breaker(), "+++--")[0].is_open
    assert feed(Breaker(), "+++---")[0].is_open
    assert feed(Breaker(), "sssss")[0].is_open


@pytest.mark.parametrize(
    ("calls", "apart_ms", "opens"),
    [
        ("---", 500, True),
        ("---", 499, False),
        ("--", 1_000, False),
        ("--+-", 1_000, False),
        ("+++++---", 1_000, True),
        ("+s-s", 1_000, True),
        ("-+--", 1_000, False),
        ("---", RULE.window_ms // 2 + 1, False),
    ],
)
def test_a_slow_registry_is_left_alone_after_three_failures_in_a_row(calls: str, apart_ms: int, opens: bool) -> None:
    assert feed(Breaker(), calls, apart_ms=apart_ms)[0].is_open is opens


def test_old_calls_do_not_count() -> None:
    assert not feed(Breaker(), "----------", apart_ms=RULE.window_ms)[0].is_open


def test_trials_come_rarer_and_one_that_works_closes_it() -> None:
    breaker, _ = feed(Breaker(), "-----")
    assert not breaker.lets_try(breaker.opened_ms)
    pauses = []
    for _ in range(8):
        at = breaker.trial_ms
        assert breaker.lets_try(at)
        breaker, verdict = record_call(breaker, RULE, at, failed=True, took_ms=0)
        assert verdict is Verdict.NOTHING
        pauses.append(breaker.trial_ms - at)
    assert pauses == [20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000, 300_000]
    closed, verdict = record_call(breaker, RULE, breaker.trial_ms, failed=False, took_ms=1)
    assert (closed, verdict) == (Breaker(), Verdict.GO_ON)


def test_what_was_under_way_when_it_opened_is_no_trial() -> None:
    breaker, _ = feed(Breaker(), "-----")
    assert feed(breaker, "---", start_ms=breaker.opened_ms) == (breaker, [Verdict.NOTHING] * 3)


def test_after_a_restart_it_is_tried_at_once() -> None:
    assert reopen_breaker(5).lets_try(5)


def test_a_failing_link_is_stopped_on_the_ledger_and_works_again_by_itself() -> None:
    async def story(stage: Stage) -> None:
        stage.sandbox.faults.add(Fault(FaultKind.SERVER_ERROR, times=-1))
        holds = [stage.place(f"hold {n}") for n in range(6)]
        hub = stage.hub()
        await hub.step()
        account = await stage.ledger.account("alice/puro")
        assert account.link_state.startswith("SUSPENDED: breaker: ")
        refused = stage.world.run("alice", op.Hold(
            hold=b"2" * 16,
            account="alice/puro",
            selection=op.Selection(units=1),
            purpose=op.Hold.FOR_RETIREMENT,
            expires_ms=stage.world.now_ms + DAY_MS,
        ))  # fmt: skip
        assert refused.refusal is not None
        assert refused.refusal.reason.name == "LINK_SUSPENDED"
        calls = stage.sandbox.requests
        await hub.step()
        assert stage.sandbox.requests == calls, "an open breaker lets nothing through"
        stage.sandbox.faults.clear()
        hub = stage.hub()
        for hold in holds:
            assert (await stage.settle(hub, hold)).phase == "CAPTURED"
        assert (await stage.ledger.account("alice/puro")).link_state == "NORMAL"
        assert stage.effects == {hold.hex(): 100 for hold in holds}

    play(story)


@pytest.mark.parametrize(("answered", "opens"), [(True, False), (False, True)])
def test_what_the_registry_answered_without_a_yes_or_no_does_not_stop_its_link(answered: bool, opens: bool) -> None:
    async def story(stage: Stage) -> None:
        link = LinkMemory("alice/puro", "puro")
        lines = stage.hub().lines

        async def answer() -> Unknown:
            return Unknown("409: CONFLICT", answered=answered)

        for _ in range(6):
            await lines.call(link, answer)
        assert link.breaker.is_open is opens

    play(story)


def test_the_end_of_a_breakers_stop_does_not_end_what_others_announced() -> None:
    async def story(stage: Stage) -> None:
        stage.sandbox.faults.add(Fault(FaultKind.SERVER_ERROR, times=-1))
        for number in range(6):
            stage.place(f"hold {number}")
        hub = stage.hub()
        await hub.step()
        until = stage.world.now_ms + 3_600_000
        said = op.LinkState(account="alice/puro", state=op.LinkState.MAINTENANCE, until_ms=until, reason="nightly")
        stage.world.must("hub", said)
        stage.sandbox.faults.clear()
        stage.later(60_000)
        await hub.step()
        assert (await stage.ledger.account("alice/puro")).link_state == "MAINTENANCE: nightly"

    play(story)


def test_announced_maintenance_is_seen_ahead_and_stops_dispatch_when_it_begins() -> None:
    async def story(stage: Stage) -> None:
        begins, ends = stage.world.now_ms + 3_600_000, stage.world.now_ms + 7_200_000
        said = op.LinkState(
            account="alice/puro", state=op.LinkState.MAINTENANCE, from_ms=begins, until_ms=ends, reason="nightly"
        )
        hub = stage.hub()
        stage.world.must("hub", said)
        account = await stage.ledger.account("alice/puro")
        assert (account.link_state, account.link_windows[0].from_ms) == ("NORMAL", begins)
        first, late = stage.place("first"), stage.place("late")
        stage.world.must("alice", op.Release(hold=late))
        assert (await stage.settle(hub, first)).phase == "CAPTURED"
        late = stage.place("late again")
        stage.later(3_600_000)
        due = await hub.step()
        assert (await stage.hold(late)).phase == "OPEN"
        assert "nightly" in hub.backlog()[0].why
        assert due <= ends
        stage.later(3_600_000)
        await hub.step()
        assert (await stage.hold(late)).phase == "CAPTURED"

    play(story)
