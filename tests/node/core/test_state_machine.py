"""The rules against a plain model: one dict from position to (account, state, hold), walked by Hypothesis.

The model knows nothing of lots, holdings or intervals. After every step the ledger shows exactly what the model says,
and conservation (G1), terminal states (G2), holds (G3) and ids (G5) are checked on the real state.
"""

from __future__ import annotations

from typing import NamedTuple

from google.protobuf.message import Message
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from keeling.units import TERMINAL, UnitState
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from node.core.block import Answer
from tests.node.core.conservation import check_conservation, check_told
from tests.node.core.sample import evidence, give, hold, issue, ranges, sample_world, seen, some

SIZE = 30
OWNER = {"A": "alice", "B": "bob", "L1": "alice", "L3": "bob"}
ACCOUNTS = st.sampled_from(["A", "B"])
LINKED = st.sampled_from(["L1", "L3"])
FIRST = st.integers(0, SIZE - 1)
UNITS = st.integers(1, SIZE)
EXPIRY_MS = 10_000
NOBODY = "unassigned@verra"


class Unit(NamedTuple):
    account: str
    state: UnitState
    hold: bytes = b""


class Held(NamedTuple):
    batch: str
    account: str
    expires_ms: int
    instructed: bool


class LedgerAgainstModel(RuleBasedStateMachine):
    """Batch "n" is NATIVE, "m" MIRRORED in linked accounts, "p" MIRRORED and seen bit by bit."""

    @initialize()
    def begin(self) -> None:
        self.world = sample_world()
        self.world.must("reg", issue("n", "NAT", SIZE, "A", first=0))
        self.world.must("verra", issue("m", "VCS", SIZE, "L1", first=0))
        glimpse = issue("p", "VCS", SIZE, "", first=0, extent=op.Issue.AT_LEAST, observations=[seen(0, 1)])
        self.world.must("importer", glimpse)
        self.units = {("n", at): Unit("A", UnitState.FREE) for at in range(SIZE)}
        self.units |= {("m", at): Unit("L1", UnitState.FREE) for at in range(SIZE)}
        self.units["p", 0] = Unit(NOBODY, UnitState.FREE)
        self.holds: dict[bytes, Held] = {}
        self.claims: list[tuple[int, int, str, list[int]]] = []
        self.names = 0
        self.raws: list[tuple[str, bytes]] = []

    # -- helpers ----------------------------------------------------------------------------------------------------

    def submit(self, by: str, operation: Message, approvals: tuple[str, ...] = ()) -> Answer:
        """One block; the model first releases what expires at its start."""
        for name, found in sorted(self.holds.items()):
            if not found.instructed and found.expires_ms <= self.world.now_ms:
                self.put(found.batch, self.held(name), Unit(found.account, UnitState.FREE))
                del self.holds[name]
        raw = self.world.transaction(by, operation)
        self.raws.append((by, raw))
        return self.world.block(self.world.submission(by, raw, approvals=approvals)).submissions[0].answers[0]

    def are(self, batch: str, places: list[int], *wanted: Unit) -> bool:
        return all(self.units.get((batch, at)) in wanted for at in places)

    def put(self, batch: str, places: list[int], unit: Unit) -> None:
        for at in places:
            self.units[batch, at] = unit

    def held(self, name: bytes) -> list[int]:
        return sorted(at for (_, at), unit in self.units.items() if unit.hold == name)

    def expired(self, name: bytes) -> bool:
        found = self.holds[name]
        return not found.instructed and found.expires_ms <= self.world.now_ms

    def pick(self, data: st.DataObject, instructed: bool | None = None) -> bytes | None:
        names = [n for n, found in self.holds.items() if instructed in (None, found.instructed) and not self.expired(n)]
        return data.draw(st.sampled_from(sorted(names))) if names else None

    # -- steps ------------------------------------------------------------------------------------------------------

    @rule(giver=ACCOUNTS, taker=ACCOUNTS, first=FIRST, units=UNITS)
    def transfer_a_range(self, giver: str, taker: str, first: int, units: int) -> None:
        answer = self.submit(OWNER[giver], give(giver, taker, 0, ("n", first, units)))
        places = list(range(first, first + units))
        good = giver != taker and self.are("n", places, Unit(giver, UnitState.FREE))
        assert (answer.refusal is None) == good, answer.refusal
        if good:
            self.put("n", places, Unit(taker, UnitState.FREE))

    @rule(giver=ACCOUNTS, taker=ACCOUNTS, units=UNITS, strategy=st.sampled_from([0, 1, 2, 3]))
    def transfer_some(self, giver: str, taker: str, units: int, strategy: int) -> None:
        answer = self.submit(OWNER[giver], give(giver, taker, units, batch="n", strategy=strategy))
        free = [at for (batch, at), u in self.units.items() if batch == "n" and u == Unit(giver, UnitState.FREE)]
        good = giver != taker and len(free) >= units
        assert (answer.refusal is None) == good, answer.refusal
        if good:
            [event] = self.world.blocks[-1].events[-1:]
            taken = [at for move in event.moves for at in range(move.first, move.first + move.units)]
            assert len(taken) == len(set(taken)) == units
            assert set(taken) <= set(free)
            if strategy == op.Selection.LOWEST:
                assert taken == sorted(free)[:units]
            self.put("n", taken, Unit(taker, UnitState.FREE))

    @rule(taker=LINKED, first=FIRST, units=UNITS)
    def transfer_inside_a_link(self, taker: str, first: int, units: int) -> None:
        giver = "L3" if taker == "L1" else "L1"
        answer = self.submit(OWNER[giver], give(giver, taker, 0, ("m", first, units)))
        places = list(range(first, first + units))
        good = self.are("m", places, Unit(giver, UnitState.FREE))
        assert (answer.refusal is None) == good, answer.refusal
        if good:
            self.put("m", places, Unit(taker, UnitState.FREE))

    @rule(first=FIRST, units=UNITS)
    def want_the_same_units_twice_in_one_block(self, first: int, units: int) -> None:
        self.submit("alice", op.Anchor(kind="evidence", name="n", digest=bytes(32)))
        places = list(range(first, first + units))
        good = self.are("n", places, Unit("A", UnitState.FREE))
        raws = [self.world.transaction("alice", give("A", to, 0, ("n", first, units))) for to in ("B", "M")]
        answers = self.world.block(self.world.submission("alice", *raws)).submissions[0].answers
        assert [answer.refusal is None for answer in answers] == [good, False]
        if good:
            self.put("n", places, Unit("B", UnitState.FREE))

    @rule(batch=st.sampled_from(["n", "m"]), first=FIRST, units=UNITS, away=ACCOUNTS)
    def place_a_hold(self, batch: str, first: int, units: int, away: str) -> None:
        account = away if batch == "n" else ("L1" if away == "A" else "L3")
        self.names += 1
        name = self.names.to_bytes(16, "big")
        expires_ms = self.world.now_ms + EXPIRY_MS
        placed = hold(account, some(0, (batch, first, units)), hold=name, expires_ms=expires_ms)
        answer = self.submit(OWNER[account], placed)
        places = list(range(first, first + units))
        good = self.are(batch, places, Unit(account, UnitState.FREE))
        assert (answer.refusal is None) == good, answer.refusal
        if good:
            self.put(batch, places, Unit(account, UnitState.HELD, name))
            self.holds[name] = Held(batch, account, expires_ms, False)

    @rule(data=st.data())
    def dispatch(self, data: st.DataObject) -> None:
        name = self.pick(data)
        if name is None:
            return
        found = self.holds[name]
        answer = self.submit("hub", op.Dispatch(hold=name, attempt=1, instruction=bytes(32)))
        good = found.batch == "m" and not found.instructed
        assert (answer.refusal is None) == good, answer.refusal
        if good:
            self.put("m", self.held(name), Unit(found.account, UnitState.INSTRUCTED, name))
            self.holds[name] = found._replace(instructed=True)

    @rule(data=st.data(), first=FIRST, units=UNITS)
    def capture_what_the_registry_used(self, data: st.DataObject, first: int, units: int) -> None:
        name = self.pick(data)
        if name is None:
            return
        found, held = self.holds[name], self.held(name)
        by = OWNER[found.account] if found.batch == "n" else "verra"
        used = ranges((found.batch, first, units))
        answer = self.submit(by, op.Capture(hold=name, ranges=used, evidence=evidence()))
        places = list(range(first, first + units))
        others = [other for other in self.holds if found.batch == "m" or other == name]
        reserved = [
            Unit(found.account, state, other) for other in others for state in (UnitState.HELD, UnitState.INSTRUCTED)
        ]
        good = (
            (found.batch == "n" or found.instructed)
            and units <= len(held)
            and self.are(found.batch, places, Unit(found.account, UnitState.FREE), *reserved)
        )
        assert (answer.refusal is None) == good, answer.refusal
        if good:
            spare = [at for at in held if at not in places]
            taken = [self.units[found.batch, at] for at in places]
            for other in dict.fromkeys(unit.hold for unit in taken if unit.hold not in (b"", name)):
                lost = [unit for unit in taken if unit.hold == other]
                self.put(found.batch, spare[: len(lost)], lost[0])
                spare = spare[len(lost) :]
            free = sum(not unit.hold for unit in taken)
            self.put(found.batch, spare[:free], Unit(found.account, UnitState.FREE))
            self.put(found.batch, places, Unit(found.account, UnitState.RETIRED))
            self.claims.append((self.world.tip.height, len(self.world.blocks[-1].events) - 1, found.batch, places))
            if not self.held(name):
                del self.holds[name]

    @rule(data=st.data(), units=UNITS, people=st.sampled_from([("hub",), ("hub", "hub/two"), ("verra",), ("alice",)]))
    def release(self, data: st.DataObject, units: int, people: tuple[str, ...]) -> None:
        name = self.pick(data)
        if name is None:
            return
        found, held = self.holds[name], self.held(name)
        let_go = op.Release(hold=name, units=units, reason="asked", evidence=evidence())
        answer = self.submit(people[0], let_go, people[1:])
        allowed = len(people) == 2 or people == ("verra",) if found.instructed else people == (OWNER[found.account],)
        good = allowed and units <= len(held)
        assert (answer.refusal is None) == good, answer.refusal
        if good:
            self.put(found.batch, held[:units], Unit(found.account, UnitState.FREE))
            if units == len(held):
                del self.holds[name]

    @rule(ms=st.sampled_from([1, EXPIRY_MS]))
    def time_passes(self, ms: int) -> None:
        self.world.later(ms)
        self.submit("alice", op.Anchor(kind="evidence", name="n", digest=bytes(32)))

    @rule(account=ACCOUNTS, first=FIRST, units=UNITS)
    def retire(self, account: str, first: int, units: int) -> None:
        answer = self.submit(OWNER[account], op.Retire(account=account, selection=some(0, ("n", first, units))))
        places = list(range(first, first + units))
        good = self.are("n", places, Unit(account, UnitState.FREE))
        assert (answer.refusal is None) == good, answer.refusal
        if good:
            self.put("n", places, Unit(account, UnitState.RETIRED))
            self.claims.append((self.world.tip.height, 0, "n", places))

    @rule(data=st.data(), first=FIRST, units=UNITS, whole=st.booleans())
    def reverse(self, data: st.DataObject, first: int, units: int, whole: bool) -> None:
        if not self.claims:
            return
        claim = data.draw(st.sampled_from(self.claims))
        height, ordinal, batch, standing = claim
        named = list(range(first, first + units))
        items = [] if whole else ranges((batch, first, units))
        back = op.Reverse(height=height, ordinal=ordinal, ranges=items, reason="error", evidence=evidence())
        answer = self.submit("reg" if batch == "n" else "verra", back)
        good = bool(standing) and (whole or set(named) <= set(standing))
        assert (answer.refusal is None) == good, answer.refusal
        if good:
            for at in standing if whole else named:
                self.units[batch, at] = Unit(self.units[batch, at].account, UnitState.FREE)
            left = [] if whole else [at for at in standing if at not in named]
            self.claims[self.claims.index(claim)] = (height, ordinal, batch, left)

    @rule(first=FIRST, units=UNITS, status=st.sampled_from([op.Observation.ACTIVE, op.Observation.ENDED]))
    def import_an_observation(self, first: int, units: int, status: int) -> None:
        shown = op.ExtendBatch(batch="p", observations=[seen(first, units, status)], evidence=evidence("C"))
        answer = self.submit("importer", shown)
        assert answer.refusal is None, answer.refusal
        said = UnitState.FREE if status == op.Observation.ACTIVE else UnitState.ENDED
        for at in range(first, first + units):
            known = self.units.get(("p", at))
            if known is None or known.state not in TERMINAL:
                self.units["p", at] = Unit(NOBODY, said)

    @rule(data=st.data())
    def send_old_bytes_again(self, data: st.DataObject) -> None:
        by, raw = data.draw(st.sampled_from(self.raws)) if self.raws else ("", b"")
        if raw:
            self.submit("alice", op.Anchor(kind="evidence", name="n", digest=bytes(32)))
            again = self.world.block(self.world.submission(by, raw)).submissions[0].answers[0]
            assert again.refusal is not None, "and the invariant sees that nothing moved"

    # -- what must be true after every block ------------------------------------------------------------------------

    def lots(self) -> dict[tuple[str, int], Unit]:
        names = {self.world.state.get(t.BATCH_NUMBERS, name): name for name in ("n", "m", "p")}
        found = {}
        for key, lot in self.world.state.scan(t.LOTS):
            number, first = t.LOTS.parts(key)
            account = self.world.state.get(t.ACCOUNTS, lot.account)
            if number in names and account is not None:
                held = lot.hold if lot.hold != bytes(16) else b""
                for at in range(first, first + lot.units):
                    found[names[number], at] = Unit(account.name, UnitState(lot.state), held)
        return found

    @invariant()
    def the_ledger_is_what_the_model_says(self) -> None:
        if hasattr(self, "world"):
            assert self.lots() == self.units
            check_conservation(self.world.state)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            check_told(self.world)


LedgerAgainstModel.TestCase.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLedgerAgainstModel = LedgerAgainstModel.TestCase
