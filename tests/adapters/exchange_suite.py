"""What every adapter must do, proved against a sandbox of its registry: subclass `ExchangeSuite`, say how to open one.

Each promise of `adapters.contract` is one test here. A registry's own peculiarities are tested beside its subclass.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.capabilities import Action, Idempotency, LookUp, SerialChoice
from adapters.contract import (
    Adapter,
    Answer,
    Change,
    ChangeKind,
    Changes,
    Found,
    NothingFound,
    Question,
    Refused,
    Report,
    Settings,
    Throttled,
    Unauthorised,
    Unavailable,
    Unknown,
    UnsendableError,
    WrongShape,
    split_instruction,
)
from adapters.sandbox.faults import Fault, FaultKind
from tests.adapters.exchange_stand import Stand, any_json, dump, ended_units, instruct_and_settle
from tests.adapters.noes import meet_noes
from tests.adapters.spoilt import meet_spoilt

WRITES = "^(POST|PUT)"


class ExchangeSuite:
    """Subclass as `Test…` and give `stand`."""

    action = Action.RETIRE
    ended = (ChangeKind.RETIRED,)
    refuses = frozenset({400, 403, 404})
    """Statuses by which this registry says no, and nothing happened."""

    @asynccontextmanager
    async def stand(self) -> AsyncIterator[Stand]:
        """An adapter and its sandbox, both closed afterwards."""
        raise NotImplementedError
        yield

    def open_adapter(self, settings: Settings) -> Adapter:
        """The adapter before any server: for answers that make no sense."""
        raise NotImplementedError

    def prove(self, trial: Callable[[Stand], Awaitable[None]]) -> None:
        async def run() -> None:
            async with self.stand() as stand:
                await trial(stand)

        asyncio.run(run())

    # -- composing

    def test_a_body_is_the_same_every_time_and_is_what_is_sent(self) -> None:
        async def trial(stand: Stand) -> None:
            instruction = stand.instruction()
            body = stand.adapter.compose(instruction)
            assert body == stand.adapter.compose(instruction)
            await stand.adapter.instruct(instruction)
            assert body in [sent for _, sent in stand.sandbox.received]

        self.prove(trial)

    def test_what_cannot_be_said_is_refused_before_anything_is_sent(self) -> None:
        async def trial(stand: Stand) -> None:
            most = stand.adapter.capabilities.lots_max
            units = [stand.units.part(stand.units.first + n, stand.units.first + n) for n in range(0, 2 * most + 2, 2)]
            unspeakable = [
                *[stand.instruction(action=each) for each in Action if each not in stand.adapter.capabilities.actions],
                stand.instruction(lots=()),
                stand.instruction(lots=tuple(units[: most + 1])),
            ]
            for instruction in unspeakable:
                with pytest.raises(UnsendableError):
                    stand.adapter.compose(instruction)
            assert stand.sandbox.requests == 0
            many = stand.instruction(lots=tuple(units[: most + 1]))
            parts = split_instruction(many, most)
            assert len({part.key for part in parts}) == 2
            assert sum((part.lots for part in parts), ()) == many.lots
            for part in parts:
                stand.adapter.compose(part)

        self.prove(trial)

    # -- the good way

    def test_an_instruction_is_done_and_reported_with_serials_reference_and_evidence(self) -> None:
        async def trial(stand: Stand) -> None:
            instruction = stand.instruction()
            first = await stand.adapter.instruct(instruction)
            assert isinstance(first, Report)
            assert first.done_units + first.pending_units + first.refused_units == 100
            stand.settle()
            found = await stand.ask(instruction, first)
            assert isinstance(found, Report)
            assert (found.done_units, found.pending_units, found.refused_units) == (100, 0, 0)
            assert found.reference
            assert found.evidence
            assert found.effective is not None
            assert not found.undone
            if stand.adapter.capabilities.serials is SerialChoice.OURS:
                assert [(r.space, r.first, r.last) for r in found.done] == [
                    (r.space, r.first, r.last) for r in instruction.lots
                ]
            assert ended_units(stand) == 100
            assert b"Asha" not in found.evidence

        self.prove(trial)

    def test_it_is_found_without_knowing_its_reference(self) -> None:
        async def trial(stand: Stand) -> None:
            one, other = stand.instruction(100), stand.instruction(50, "b2" * 16, skip=500)
            await stand.adapter.instruct(one)
            stand.settle()
            found = await stand.ask(one)
            assert isinstance(found, Report)
            assert found.done_units == 100
            nothing = await stand.ask(other)
            assert isinstance(nothing, NothingFound)
            assert nothing.by >= stand.adapter.capabilities.looked_up_by - {LookUp.REFERENCE}
            assert nothing.evidence

        self.prove(trial)

    def test_the_same_instruction_twice(self) -> None:
        async def trial(stand: Stand) -> None:
            instruction = stand.instruction()
            one = await stand.adapter.instruct(instruction)
            two = await stand.adapter.instruct(instruction)
            stand.settle()
            if stand.adapter.capabilities.idempotency is Idempotency.NATIVE:
                assert isinstance(one, Report)
                assert isinstance(two, Report)
                assert one.reference == two.reference
                assert ended_units(stand) == 100
            else:
                assert isinstance(await stand.ask(instruction, one), Report)

        self.prove(trial)

    # -- the line and the door

    @pytest.mark.parametrize("kind", [FaultKind.CUT_AFTER, FaultKind.HTML_AFTER])
    def test_an_answer_that_was_lost_is_found_by_asking_and_happened_once(self, kind: FaultKind) -> None:
        async def trial(stand: Stand) -> None:
            stand.sandbox.faults.add(Fault(kind, WRITES))
            instruction = stand.instruction()
            answer = await stand.adapter.instruct(instruction)
            assert isinstance(answer, Unknown | WrongShape)
            stand.settle()
            found = await stand.ask(instruction)
            assert isinstance(found, Report)
            assert found.done_units == 100
            assert ended_units(stand) == 100

        self.prove(trial)

    def test_a_line_cut_before_it_arrived_left_nothing(self) -> None:
        async def trial(stand: Stand) -> None:
            stand.sandbox.faults.add(Fault(FaultKind.CUT_BEFORE, WRITES))
            assert isinstance(await stand.adapter.instruct(stand.instruction()), Unknown)
            stand.settle()
            assert isinstance(await stand.ask(stand.instruction()), NothingFound)
            assert ended_units(stand) == 0

        self.prove(trial)

    @pytest.mark.parametrize(
        ("fault", "expected"),
        [
            (Fault(FaultKind.THROTTLE, value=3600), Throttled(3_600_000, "429")),
            (Fault(FaultKind.THROTTLE), Throttled(None, "429")),
            (Fault(FaultKind.THROTTLE_AS_401), Unauthorised),
            (Fault(FaultKind.MAINTENANCE, value=60), Unavailable),
            (Fault(FaultKind.MAINTENANCE), (Unknown, Unavailable)),
            (Fault(FaultKind.SERVER_ERROR), (Unknown, Unavailable)),
            (Fault(FaultKind.HTML), WrongShape),
            (Fault(FaultKind.ERROR_IN_OK), (WrongShape, Refused, Unauthorised)),
        ],
        ids=lambda value: str(value.kind) if isinstance(value, Fault) else "",
    )
    def test_trouble_is_a_value_everywhere(self, fault: Fault, expected: Any) -> None:
        async def trial(stand: Stand) -> None:
            calls: list[Callable[[], Awaitable[Any]]] = [
                lambda: stand.adapter.instruct(stand.instruction()),
                lambda: stand.ask(stand.instruction()),
                lambda: stand.adapter.changes(""),
                stand.adapter.snapshot,
            ]
            for call in calls:
                stand.sandbox.faults.clear()
                stand.sandbox.faults.add(fault._replace(times=-1))
                answer = await call()
                if isinstance(expected, Throttled):
                    assert answer == expected
                else:
                    assert isinstance(answer, expected), answer
                    assert not (isinstance(answer, Refused) and answer.final)
            assert ended_units(stand) == 0

        self.prove(trial)

    def test_nobody_listening_is_unavailable(self) -> None:
        async def trial(stand: Stand) -> None:
            await stand.sandbox.stop()
            assert isinstance(await stand.adapter.instruct(stand.instruction()), Unavailable)
            assert isinstance(await stand.ask(stand.instruction()), Unavailable)

        self.prove(trial)

    def test_only_a_no_that_is_known_is_believed(self) -> None:
        async def trial(stand: Stand) -> None:
            await meet_noes(self.open_adapter, stand.instruction(), self.refuses)

        self.prove(trial)

    # -- the desk

    def test_a_no_is_final_and_left_nothing(self) -> None:
        async def trial(stand: Stand) -> None:
            stand.sandbox.faults.add(Fault(FaultKind.REFUSE, "DESK"))
            instruction = stand.instruction()
            answer: Answer | Found = await stand.adapter.instruct(instruction)
            stand.settle()
            if not isinstance(answer, Refused):
                answer = await stand.ask(instruction, answer if isinstance(answer, Report) else None)
            assert isinstance(answer, Refused)
            assert answer.final
            assert answer.reason
            assert answer.evidence
            assert ended_units(stand) == 0

        self.prove(trial)

    def test_part_done_is_part_refused(self) -> None:
        async def trial(stand: Stand) -> None:
            stand.sandbox.faults.add(Fault(FaultKind.PARTIAL, "DESK", value=900))
            found = await instruct_and_settle(stand)
            assert (found.done_units, found.pending_units, found.refused_units) == (90, 0, 10)
            assert ended_units(stand) == 90

        self.prove(trial)

    def test_part_done_may_leave_a_part_open(self) -> None:
        async def trial(stand: Stand) -> None:
            stand.sandbox.faults.add(Fault(FaultKind.PARTIAL_OPEN, "DESK", value=900))
            found = await instruct_and_settle(stand)
            assert (found.done_units, found.pending_units, found.refused_units) == (90, 10, 0)
            stand.sandbox.desk.complete(found.reference)
            stand.settle()
            whole = await stand.ask(stand.instruction(), found)
            assert isinstance(whole, Report)
            assert (whole.done_units, whole.pending_units) == (100, 0)

        self.prove(trial)

    def test_the_serials_reported_are_those_really_used(self) -> None:
        async def trial(stand: Stand) -> None:
            if stand.adapter.capabilities.serials is SerialChoice.OURS:
                return
            stand.sandbox.faults.add(Fault(FaultKind.OTHER_SERIALS, "DESK"))
            found = await instruct_and_settle(stand)
            assert found.done_units == 100
            used = [row.serials for row in stand.sandbox.book.rows() if row.reference == found.reference]
            assert sorted((r.space, r.first, r.last) for r in found.done) == [(r.space, r.first, r.last) for r in used]
            assert len(found.done) == 2

        self.prove(trial)

    def test_what_was_taken_back_is_said_so(self) -> None:
        async def trial(stand: Stand) -> None:
            found = await instruct_and_settle(stand)
            stand.sandbox.desk.undo(found.reference)
            stand.settle()
            again = await stand.ask(stand.instruction(), found)
            assert isinstance(again, Report)
            assert again.undone
            kinds = [change.kind for change in await stand.all_changes()]
            assert ChangeKind.REVERSED in kinds
            assert ended_units(stand) == 0

        self.prove(trial)

    # -- changes, holdings, notices

    def test_changes_give_every_event_once_and_the_same_again(self) -> None:
        async def trial(stand: Stand) -> None:
            for number in range(3):
                await stand.adapter.instruct(stand.instruction(10, f"{number}{number}" * 16, skip=10 * number))
            apart = tuple(stand.units.part(at, at + 4) for at in (stand.units.first + 100, stand.units.first + 110))
            await stand.adapter.instruct(stand.instruction(10, "4" * 32, lots=apart))
            stand.settle()
            changes = await stand.all_changes()
            assert len({change.id for change in changes}) == len(changes)
            assert changes == await stand.all_changes()
            ends = [c for c in changes if c.kind in self.ended]
            assert sum(c.serials.units for c in ends if c.serials) == 40
            assert all(c.reference and c.evidence and c.at_ms for c in ends)
            page = await stand.adapter.changes("")
            assert isinstance(page, Changes)
            rest = await stand.all_changes(page.cursor)
            assert [*page.items, *rest] == changes

        self.prove(trial)

    def test_the_snapshot_is_the_registrys_book(self) -> None:
        async def trial(stand: Stand) -> None:
            await instruct_and_settle(stand)
            rows = await stand.all_holdings()
            ours = sorted((r.serials.space, r.serials.first, r.serials.last, r.account, r.state) for r in rows)
            book = stand.sandbox.book.rows()
            assert ours == sorted((r.serials.space, r.serials.first, r.serials.last, r.account, r.state) for r in book)

        self.prove(trial)

    def test_notices_say_what_the_list_says(self) -> None:
        async def trial(stand: Stand) -> None:
            await instruct_and_settle(stand)
            listed = {(c.id, c.kind, c.serials and c.serials.first, c.key) for c in await stand.all_changes()}
            for notice in stand.sandbox.notices.waiting:
                read = stand.adapter.read_notice(notice.body)
                assert not isinstance(read, WrongShape), read
                assert read
                for change in read:
                    assert (change.id, change.kind, change.serials and change.serials.first, change.key) in listed

        self.prove(trial)

    def test_any_bytes_as_a_notice_are_a_value(self) -> None:
        adapter = self.open_adapter(Settings("http://127.0.0.1:9", lambda _: "x"))

        @settings(max_examples=60, deadline=None)
        @given(st.one_of(st.binary(max_size=200), any_json().map(dump)))
        def read(body: bytes) -> None:
            found = adapter.read_notice(body)
            assert isinstance(found, WrongShape) or all(isinstance(change, Change) for change in found)

        read()

    def test_a_true_answer_with_a_few_things_wrong_is_a_value_that_adds_up(self) -> None:
        async def trial(stand: Stand) -> None:
            assert await meet_spoilt(stand, range(20)), "some of it is always noticed"

        self.prove(trial)

    def test_any_json_as_an_answer_is_a_value_and_never_a_success(self) -> None:
        """A server that answers nonsense: nothing is raised, and nothing it says is taken for a done instruction."""

        async def answer_with(bodies: list[bytes]) -> None:
            async def nonsense(_: web.Request) -> web.Response:
                return web.Response(body=bodies[0], content_type="application/json")

            app = web.Application()
            app.router.add_route("*", "/{path:.*}", nonsense)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            adapter = self.open_adapter(Settings(f"http://127.0.0.1:{runner.addresses[0][1]}", lambda _: "x"))
            async with self.stand() as stand:
                instruction = stand.instruction()
            try:
                while bodies:
                    assert not isinstance(await adapter.instruct(instruction), Report)
                    assert not isinstance(await adapter.ask(Question(instruction, ("r",))), Report)
                    await adapter.changes("")
                    await adapter.snapshot()
                    bodies.pop(0)
            finally:
                await adapter.close()
                await runner.cleanup()

        @settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.lists(any_json().map(dump), min_size=5, max_size=10))
        def lie(bodies: list[bytes]) -> None:
            asyncio.run(answer_with(bodies))

        lie()
