"""From a hold to the registry and back: each way it can go, with the sandbox's own books as the proof."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.contract import Instruction, Refused
from adapters.sandbox.faults import Fault, FaultKind
from adapters.sandbox.puro import ACCOUNTS
from hub.dispatch.run import Dispatcher
from keeling.units import Purpose
from keeling.v1 import operations_pb2 as op
from tests.fakes.world import Person
from tests.hub.dispatch.stage import DAY_MS, EVIDENCE, SETTLING_MS, Stage, play

WRITES = "^POST"


def test_a_hold_is_instructed_done_and_captured_in_one_round() -> None:
    async def story(stage: Stage) -> None:
        hold = stage.place()
        hub = stage.hub()
        await hub.step()
        found = await stage.hold(hold)
        assert (found.phase, found.captured, found.attempt) == ("CAPTURED", 100, 1)
        assert stage.effects == {hold.hex(): 100}
        assert stage.retired_units() == 100
        assert [type(each).__name__ for each in stage.ledger.said] == ["Dispatch", "Capture"]
        capture = stage.ledger.said[1]
        assert isinstance(capture, op.Capture)
        assert capture.evidence.digest in stage.shelf
        assert capture.evidence.grade == "B"
        assert hub.backlog() == []

    play(story)


def test_the_dispatch_is_final_before_the_first_byte_leaves() -> None:
    async def story(stage: Stage) -> None:
        hold = stage.place()
        seen: list[str] = []

        class Watching:
            def __getattr__(self, name: str) -> object:
                return getattr(stage.adapter, name)

            async def instruct(self, instruction: object) -> object:
                seen.append((await stage.hold(hold)).phase)
                return await stage.adapter.instruct(instruction)  # type: ignore[arg-type]

        await stage.hub(adapter=Watching()).step()
        assert seen == ["INSTRUCTED"]

    play(story)


def test_what_is_pending_is_asked_about_until_it_is_decided() -> None:
    async def story(stage: Stage) -> None:
        hold = stage.place()
        hub = stage.hub()
        await hub.step()
        line = hub.backlog()[0]
        assert (line.phase, line.units, line.late) == ("INSTRUCTED", 100, False)
        assert line.expected_ms > line.since_ms
        assert "not decided" in line.why
        assert stage.retired_units() == 0
        found = await stage.settle(hub, hold)
        assert (found.phase, found.captured) == ("CAPTURED", 100)
        assert stage.effects == {hold.hex(): 100}
        assert hub.figures.sent == 1

    play(story, approval_ms=3_600_000)


def test_a_no_releases() -> None:
    async def story(stage: Stage) -> None:
        stage.sandbox.faults.add(Fault(FaultKind.REFUSE, "DESK"))
        hold = stage.place()
        found = await stage.settle(stage.hub(), hold)
        assert (found.phase, found.released) == ("RELEASED", 100)
        assert stage.effects == {}

    play(story)


def test_a_no_that_quotes_a_beneficiary_does_not_put_the_name_on_the_ledger() -> None:
    async def story(stage: Stage) -> None:
        async def refuse(instruction: Instruction) -> Refused:
            assert instruction.details["beneficiary"] == "Jane Doe"
            return Refused("DECLINED: Jane Doe has left", final=True, evidence=b"Jane Doe has left")

        async def submit(*operations: Any, **how: Any) -> Any:
            written.extend(operations)
            return await handed_in(*operations, **how)

        written: list[Any] = []
        handed_in = stage.ledger.submit
        stage.ledger.submit = submit  # type: ignore[method-assign]
        hub = Dispatcher(stage.seat("hub")._replace(details=lambda _: {"beneficiary": "Jane Doe"}))
        stage.adapter.instruct = refuse  # type: ignore[method-assign]
        hold = stage.place()
        assert (await stage.settle(hub, hold)).phase == "RELEASED"
        assert [each.reason for each in written if isinstance(each, op.Release)] == ["DECLINED: … has left"]
        assert not any(b"Jane" in each.SerializeToString() for each in written)

    play(story)


def test_two_peoples_keys_in_one_process_are_no_two_operators() -> None:
    """The record asks for better evidence than Puro gives: people may close the hold, a process never does."""

    async def story(stage: Stage) -> None:
        second = Person("two", "hub")
        stage.world.people["hub/two"] = second
        grant = op.KeyGrant(key=second.key, person="two", purposes=int(Purpose.SUBMIT | Purpose.APPROVE))
        stage.world.must("hub", op.RotateKey(add=grant))
        policy = op.RegistryPolicy(scheme="puro", attestors=["hub"], capture_grade="A", settling_ms=SETTLING_MS)
        stage.world.must("reg", op.SetRecord(id="registry:puro", version=2, source="test", registry=policy))
        stage.ledger.attestors = ("hub", "hub/two")
        stage.sandbox.faults.add(Fault(FaultKind.REFUSE, "DESK"))
        hold, hub = stage.place(), stage.hub()
        assert (await stage.settle(hub, hold, rounds=3)).phase == "INSTRUCTED"
        assert "puro's record asks for evidence of grade A, this is B" in hub.backlog()[0].alert
        proof = op.Evidence(digest=bytes([7] * 32), grade="D")
        stage.world.must("hub", op.Release(hold=hold, reason="its letter", evidence=proof), approvals=("hub/two",))
        assert (await stage.settle(hub, hold)).phase == "RELEASED"

    play(story)


def test_part_done_is_captured_and_the_rest_released() -> None:
    async def story(stage: Stage) -> None:
        stage.sandbox.faults.add(Fault(FaultKind.PARTIAL, "DESK", value=900))
        hold = stage.place(units=10_000)
        found = await stage.settle(stage.hub(), hold)
        assert (found.phase, found.captured, found.released) == ("CAPTURED", 9_000, 1_000)
        assert stage.effects == {hold.hex(): 9_000}

    play(story)


@pytest.mark.parametrize("restarted", [False, True])
def test_part_done_with_the_rest_open_waits_for_the_rest(restarted: bool) -> None:
    async def story(stage: Stage) -> None:
        stage.sandbox.faults.add(Fault(FaultKind.PARTIAL_OPEN, "DESK", value=900))
        hold = stage.place(units=1_000)
        hub = stage.hub()
        await hub.step()
        found = await stage.hold(hold)
        assert (found.phase, found.captured, found.released) == ("INSTRUCTED", 900, 0)
        stage.later(3 * DAY_MS)
        hub = stage.hub() if restarted else hub
        await hub.step()
        assert (await stage.hold(hold)).captured == 900
        stage.sandbox.desk.complete(next(iter(stage.sandbox.desk.orders)))
        found = await stage.settle(hub, hold)
        assert (found.phase, found.captured) == ("CAPTURED", 1_000)
        assert stage.effects == {hold.hex(): 1_000}

    play(story)


def test_other_serials_than_held_are_captured_as_used() -> None:
    async def story(stage: Stage) -> None:
        stage.sandbox.faults.add(Fault(FaultKind.OTHER_SERIALS, "DESK"))
        hold = stage.place(units=1_000, first=5_000)
        found = await stage.settle(stage.hub(), hold)
        assert (found.phase, found.captured) == ("CAPTURED", 1_000)
        used = sorted((e.serials.first, e.serials.last) for e in stage.sandbox.book.entries if e.key)
        captured = next(each for each in stage.ledger.said if isinstance(each, op.Capture))
        assert sorted((r.first, r.first + r.units - 1) for r in captured.ranges) == used
        assert len(used) == 2

    play(story)


def test_a_throttle_is_waited_out_as_told() -> None:
    async def story(stage: Stage) -> None:
        stage.sandbox.faults.add(Fault(FaultKind.THROTTLE, WRITES, value=20))
        hold = stage.place()
        hub = stage.hub()
        due = await hub.step()
        assert due == stage.world.now_ms + 20_000
        assert (await stage.hold(hold)).phase == "INSTRUCTED"
        asked = stage.sandbox.requests
        stage.later(19_999)
        await hub.step()
        assert stage.sandbox.requests == asked
        stage.later(1)
        await hub.step()
        assert (await stage.hold(hold)).phase == "CAPTURED"
        assert stage.effects == {hold.hex(): 100}

    play(story)


def test_a_throttle_longer_than_the_window_takes_a_new_attempt() -> None:
    async def story(stage: Stage) -> None:
        stage.sandbox.faults.add(Fault(FaultKind.THROTTLE, WRITES, value=3600))
        hold = stage.place()
        found = await stage.settle(stage.hub(), hold)
        assert (found.phase, found.captured, found.attempt) == ("CAPTURED", 100, 2)
        assert stage.effects == {hold.hex(): 100}

    play(story)


def test_401_after_429_is_more_throttling_and_alone_an_alert() -> None:
    async def story(stage: Stage) -> None:
        stage.sandbox.faults.add(Fault(FaultKind.THROTTLE_AS_401, WRITES))
        hold = stage.place()
        hub = stage.hub()
        await hub.step()
        assert "credentials" in hub.backlog()[0].alert
        assert (await stage.settle(hub, hold)).phase == "CAPTURED"
        stage.sandbox.faults.add(Fault(FaultKind.THROTTLE, WRITES), Fault(FaultKind.THROTTLE_AS_401, WRITES))
        other = stage.place("two")
        for _ in range(3):
            stage.later(max(await hub.step() - stage.world.now_ms, 1))
            assert not any(line.alert for line in hub.backlog())
        assert (await stage.settle(hub, other)).phase == "CAPTURED"
        assert stage.effects == {hold.hex(): 100, other.hex(): 100}

    play(story)


def test_silence_for_days_releases_nothing() -> None:
    async def story(stage: Stage) -> None:
        stage.sandbox.faults.add(Fault(FaultKind.CUT_AFTER, WRITES))
        stage.sandbox.faults.add(Fault(FaultKind.MAINTENANCE, "GET", times=-1))
        hold = stage.place()
        hub = stage.hub()
        for _ in range(12):
            await hub.step()
            stage.later(6 * 3_600_000)
        found = await stage.hold(hold)
        assert (found.phase, found.attempt, found.captured, found.released) == ("INSTRUCTED", 1, 0, 0)
        line = hub.backlog()[0]
        assert line.late
        stage.sandbox.faults.clear()
        assert (await stage.settle(hub, hold)).phase == "CAPTURED"
        assert stage.effects == {hold.hex(): 100}

    play(story)


def test_lagging_reads_lead_to_no_second_effect() -> None:
    async def story(stage: Stage) -> None:
        stage.sandbox.faults.add(Fault(FaultKind.CUT_AFTER, WRITES))
        stage.sandbox.faults.add(Fault(FaultKind.STALE, "GET", times=3, value=DAY_MS))
        hold = stage.place()
        hub = stage.hub()
        await hub.step()
        assert (await stage.hold(hold)).attempt == 1
        stage.later(SETTLING_MS // 2)
        await hub.step()
        assert (await stage.hold(hold)).attempt == 1
        found = await stage.settle(hub, hold)
        assert found.phase == "CAPTURED"
        assert stage.effects == {hold.hex(): 100}

    play(story)


def give_away(stage: Stage, first: int, units: int) -> None:
    """To bob, on this ledger alone: at the registry they are where they were."""
    stage.world.must("bob", op.OpenAccount(account="bob/puro", owner="bob"))
    link = op.Link(
        account="bob/puro",
        registry="puro",
        registry_account=ACCOUNTS[0],
        hub="hub",
        control=op.Link.CUSTODY,
        evidence=EVIDENCE,
    )
    stage.world.must("bob", link, approvals=("bob", "hub"))
    selection = op.Selection(ranges=[op.Range(batch="corc-1", first=first, units=units)])
    leg = op.UnitLeg(from_account="alice/puro", to_account="bob/puro", selection=selection)
    stage.world.must("alice", op.Transfer(units=[leg]))


def test_what_the_ledger_cannot_take_over_stops_for_a_person() -> None:
    async def story(stage: Stage) -> None:
        give_away(stage, first=1, units=50)
        stage.sandbox.faults.add(Fault(FaultKind.OTHER_SERIALS, "DESK"))
        hold = stage.place(units=100, first=5_000)
        hub = stage.hub()
        await hub.step()
        found = await stage.hold(hold)
        assert (found.phase, found.captured, found.released) == ("INSTRUCTED", 0, 0)
        line = next(each for each in hub.backlog() if each.hold == hold)
        assert "DISCREPANCY" in line.alert
        stage.later(DAY_MS)
        await hub.step()
        assert (await stage.hold(hold)).phase == "INSTRUCTED"
        assert stage.effects == {hold.hex(): 100}

    play(story)


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize(("fault", "captured"), [(None, 60), (FaultKind.PARTIAL, 30), (FaultKind.REFUSE, 0)])
def test_what_was_given_back_before_it_was_dispatched_is_not_instructed(
    fault: FaultKind | None, captured: int, restarted: bool
) -> None:
    async def story(stage: Stage) -> None:
        stage.sandbox.faults.add(*([Fault(fault, "DESK", value=500)] if fault else []))
        stage.sandbox.faults.add(Fault(FaultKind.CUT_AFTER, WRITES))
        until = stage.world.now_ms + 1_000
        works = op.LinkState(account="alice/puro", state=op.LinkState.MAINTENANCE, until_ms=until, reason="works")
        hold, hub = stage.place(units=100), stage.hub()
        stage.world.must("hub", works)
        await hub.step()
        assert (await stage.hold(hold)).phase == "OPEN", "and the hub has its message ready"
        stage.world.must("alice", op.Release(hold=hold, units=40))
        stage.later(1_000)
        await hub.step()
        found = await stage.settle(stage.hub() if restarted else hub, hold)
        assert (found.captured, found.released) == (captured, 100 - captured)
        assert stage.effects == ({hold.hex(): captured} if captured else {})
        (order,) = stage.sandbox.desk.orders.values()
        assert sum(lot.units for lot in order.asked) == 60
        assert not any(line.alert for line in hub.backlog())

    play(story)
