"""Dispatching against a plain model, walked by Hypothesis: two hubs that restart, a registry that does what it gets.

The model is the registry's own notebook: which message came when, and what was done of it. The registry knows no
idempotency, messages may arrive late, and answers get lost. After every step the ledger has taken over nothing that the
registry did not do and given back nothing that it may still do; in the end both have the same units.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from adapters.capabilities import Action, Capabilities, Confirmation, Decision, Idempotency, LookUp, SerialChoice
from adapters.contract import (
    Answer,
    Change,
    ChangeKind,
    Changes,
    Driver,
    Found,
    Holdings,
    Instruction,
    Moment,
    NothingFound,
    Question,
    Refused,
    Report,
    Throttled,
    Unavailable,
    Unknown,
    WrongShape,
)
from adapters.web import format_json
from hub.dispatch.run import Dispatcher
from hub.dispatch.seat import Seat, describe_buyer
from keeling.serials import SerialRange, parse
from keeling.v1 import operations_pb2 as op
from tests.hub.dispatch.stage import DAY_MS, SERIAL, SETTLING_MS, open_puro_world
from tests.hub.memory_ledger import MemoryLedger
from tests.node.reads.trading_world import DIGEST, hold_id

WHOLE = parse(SERIAL)
SLOT = 12
MOST = 10
CAN = Capabilities(
    actions=frozenset({Action.RETIRE}),
    idempotency=Idempotency.NONE,
    decision=Decision.LATER,
    confirmation=Confirmation.POLL,
    settles_within_ms=SETTLING_MS,
    looked_up_by=frozenset({LookUp.KEY, LookUp.REFERENCE}),
    serials=SerialChoice.REGISTRY,
    lots_max=100,
    limits=(),
    grade="B",
)


@dataclass
class Note:
    """One message as it came in, and what was done of it."""

    key: str
    asked: tuple[SerialRange, ...]
    units: int
    received_ms: int
    done: list[SerialRange] = field(default_factory=list)
    refused: int = 0

    @property
    def done_units(self) -> int:
        return sum(part.units for part in self.done)

    @property
    def open_units(self) -> int:
        return self.units - self.done_units - self.refused


class Registry:
    """The model and the adapter to it in one."""

    name = "puro"
    driver = Driver.SANDBOX
    capabilities = CAN

    def __init__(self, now_ms: Any) -> None:
        self.now_ms = now_ms
        self.notes: list[Note] = []
        self.next_send: list[Any] = []
        """What happens to the next messages: a trouble, or after how many ms one arrives whose answer is lost."""
        self.next_ask: list[Any] = []

    def compose(self, instruction: Instruction) -> bytes:
        return format_json([instruction.key, str(instruction.lots)])

    def expects(self, instruction: Instruction, at_ms: int) -> int:
        return at_ms + 1_000

    async def instruct(self, instruction: Instruction) -> Answer:
        fate = self.next_send.pop(0) if self.next_send else None
        if isinstance(fate, tuple):
            return fate  # type: ignore[return-value]
        note = Note(instruction.key, instruction.lots, instruction.units, self.now_ms() + (fate or 0))
        self.notes.append(note)
        return self._tell(note) if fate is None else Unknown("the answer is lost")

    async def ask(self, question: Question) -> Found:
        if self.next_ask:
            return self.next_ask.pop(0)  # type: ignore[no-any-return]
        found = [note for note in self.notes if note.key == question.instruction.key and self._came(note)]
        return self._tell(found[0]) if found else NothingFound(CAN.looked_up_by, b"{}")

    async def changes(self, cursor: str) -> Changes:
        return Changes((), "", False, 0)

    async def snapshot(self, page: str = "") -> Holdings:
        return Holdings((), "", 0)

    def read_notice(self, body: bytes) -> WrongShape:
        return WrongShape("none")

    async def close(self) -> None:
        """Nothing to let go of."""

    def _came(self, note: Note) -> bool:
        now_ms: int = self.now_ms()
        return note.received_ms <= now_ms

    def _tell(self, note: Note) -> Report | Refused:
        if note.refused == note.units:
            return Refused("no", final=True, evidence=b"{}")
        moment = Moment(note.received_ms) if note.done else None
        done, name = tuple(note.done), f"R{self.notes.index(note)}"
        return Report(name, done, note.open_units, note.refused, "", moment, evidence=b"{}")

    def waiting(self) -> list[Note]:
        return [note for note in self.notes if note.open_units and self._came(note)]

    def do(self, note: Note, units: int, *, others: bool) -> None:
        """Do so many of the units that are open: those asked for in their order, or the lowest of the account, whoever
        asked for these. What was done for somebody else in the meantime is replaced in the same way."""
        gone = {number for each in self.notes for part in each.done for number in range(part.first, part.last + 1)}
        asked = [n for lot in note.asked for n in range(lot.first, lot.last + 1) if n not in gone and not others]
        lowest = [n for n in range(1, SLOT * len(self.notes) + len(gone) + units + 1) if n not in {*gone, *asked}]
        note.done += [WHOLE.part(number, number) for number in (asked + lowest)[:units]]

    def done_of(self, hold: bytes) -> int:
        return sum(note.done_units for note in self.notes if note.key == hold.hex())


TROUBLE = st.sampled_from([Throttled(2_000), Unavailable("closed", 5_000), Unavailable("closed")])
DELAY = st.integers(0, SETTLING_MS // 2 - 1)


class DispatchAgainstModel(RuleBasedStateMachine):
    """Puro's place on the ledger, the model in Puro's place."""

    def __init__(self) -> None:
        super().__init__()
        self.world = open_puro_world()
        self.registry = Registry(lambda: self.world.now_ms)
        self.ledger = MemoryLedger(self.world, "hub")
        self.loop = asyncio.new_event_loop()
        self.holds: dict[bytes, int] = {}
        self.hubs = [self.begin(), self.begin()]

    def begin(self) -> Dispatcher:
        seat = Seat(
            participant="hub",
            ledger=self.ledger,
            adapters={"puro": self.registry},
            keep=lambda _: DIGEST,
            now_ms=lambda: self.world.now_ms,
            jitter=lambda: 500,
            details=describe_buyer,
            limits={"puro": ()},
        )
        return Dispatcher(seat)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def found(self, hold: bytes) -> Any:
        return self.run(self.ledger.hold(hold))

    @precondition(lambda self: len(self.holds) < 6)
    @rule(units=st.integers(1, MOST))
    def place(self, units: int) -> None:
        name = hold_id(f"hold {len(self.holds)}")
        selection = op.Selection(ranges=[op.Range(batch="corc-1", first=1 + SLOT * len(self.holds), units=units)])
        hold = op.Hold(
            hold=name,
            account="alice/puro",
            selection=selection,
            purpose=op.Hold.FOR_RETIREMENT,
            expires_ms=self.world.now_ms + 300 * DAY_MS,
            buyer="bob",
        )
        if self.world.run("alice", hold).refusal is None:  # a link that its breaker has stopped takes none
            self.holds[name] = units

    @rule(hub=st.integers(0, 1))
    def step(self, hub: int) -> None:
        self.run(self.hubs[hub].step())

    @rule(hub=st.integers(0, 1))
    def restart(self, hub: int) -> None:
        self.hubs[hub] = self.begin()

    @rule(ms=st.sampled_from([1, 1_000, SETTLING_MS // 3, SETTLING_MS, 20 * SETTLING_MS]))
    def time_passes(self, ms: int) -> None:
        self.world.later(ms)
        self.world.block()

    @rule(fate=TROUBLE | DELAY | st.just(WrongShape("a page")))
    def the_next_message_goes_wrong(self, fate: Any) -> None:
        self.registry.next_send.append(fate)

    @rule(trouble=TROUBLE | st.just(WrongShape("a page")))
    def the_next_question_goes_wrong(self, trouble: Any) -> None:
        self.registry.next_ask.append(trouble)

    @precondition(lambda self: self.registry.waiting())
    @rule(data=st.data(), others=st.booleans(), refuses=st.booleans())
    def the_registry_decides(self, data: st.DataObject, others: bool, refuses: bool) -> None:
        note = data.draw(st.sampled_from(self.registry.waiting()), "note")
        units = data.draw(st.integers(1, note.open_units), "units")
        if refuses:
            note.refused += units
        else:
            self.registry.do(note, units, others=others)

    @precondition(lambda self: any(note.done for note in self.registry.notes))
    @rule(data=st.data(), hub=st.integers(0, 1), twice=st.booleans())
    def news_comes(self, data: st.DataObject, hub: int, twice: bool) -> None:
        note = data.draw(st.sampled_from([note for note in self.registry.notes if note.done]), "note")
        change = Change("E", ChangeKind.RETIRED, self.world.now_ms, note.done[-1], key=note.key)
        for _ in range(1 + twice):
            self.run(self.hubs[hub].hear("puro", change))

    @invariant()
    def nothing_is_asked_twice(self) -> None:
        keys = [note.key for note in self.registry.notes]
        assert len(keys) == len(set(keys)), "the registry does every message it gets: there must be one of a hold"

    @invariant()
    def the_ledger_follows_the_registry(self) -> None:
        for name, units in self.holds.items():
            found, done = self.found(name), self.registry.done_of(name)
            refused = sum(note.refused for note in self.registry.notes if note.key == name.hex())
            assert found.captured <= done, "a ghost: captured and not done"
            assert found.released <= refused, "given back while the registry may still do it"
            assert found.captured + found.released + sum(item.units for item in found.ranges) == units

    def teardown(self) -> None:
        """The weather ends, the registry decides everything: both must come to the same."""
        self.registry.next_send.clear()
        self.registry.next_ask.clear()
        for _ in range(60):
            for note in self.registry.waiting():
                self.registry.do(note, note.open_units, others=False)
            for hub in range(2):
                self.step(hub)
            self.time_passes(SETTLING_MS)
        self.the_ledger_follows_the_registry()
        self.nothing_is_asked_twice()
        for name, units in self.holds.items():
            found = self.found(name)
            assert found.phase in ("CAPTURED", "RELEASED"), (found, self.hubs[0].backlog())
            assert (found.captured, found.captured + found.released) == (self.registry.done_of(name), units)
        self._check_units()
        self.loop.close()

    def _check_units(self) -> None:
        """Number by number: what is retired here is what is retired there."""
        there = {n for note in self.registry.notes for part in note.done for n in range(part.first, part.last + 1)}
        lots = self.run(self.ledger.lots(batch="corc-1", state="RETIRED"))
        here = {n for lot in lots for n in range(int(lot.first_number), int(lot.last_number) + 1)}
        assert here == there


TestDispatchAgainstModel = DispatchAgainstModel.TestCase
TestDispatchAgainstModel.settings = settings(
    max_examples=20, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
