"""The overlay against a plain dict: reads, scans either way, rollback, blocks that wait for the store."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from node.core import state as state_module
from node.core import tables as t
from node.core.records import Holding
from node.core.state import State
from tests.fakes.world import DictReader

NUMBERS = st.integers(0, 5)
AMOUNTS = st.integers(0, 2**64 - 1)
CODES = st.sampled_from(["", "A", "AB", "\xff", "z"])


class StateAgainstDict(RuleBasedStateMachine):
    """CASH is ordered (scanned), ACCOUNT_NUMBERS is not; both are written through the same overlay."""

    def __init__(self) -> None:
        super().__init__()
        self.reader = DictReader()
        self.state = State(self.reader)
        self.now: dict[bytes, int] = {}
        self.before_block: dict[bytes, int] = {}
        self.waiting: list[tuple[int, list[tuple[bytes, bytes | None]]]] = []
        self.height = 0
        self.marks: list[tuple[int, dict[bytes, int]]] = []

    @rule(number=NUMBERS, code=CODES, amount=AMOUNTS)
    def put(self, number: int, code: str, amount: int) -> None:
        self.state.put(t.CASH, amount, number, code)
        self.now[t.CASH.key(number, code)] = amount

    @rule(number=NUMBERS, code=CODES)
    def delete(self, number: int, code: str) -> None:
        self.state.delete(t.CASH, number, code)
        self.now.pop(t.CASH.key(number, code), None)

    @rule(code=CODES, number=NUMBERS)
    def put_unordered(self, code: str, number: int) -> None:
        self.state.put(t.ACCOUNT_NUMBERS, number, code)
        self.now[t.ACCOUNT_NUMBERS.key(code)] = number

    @rule()
    def begin_transaction(self) -> None:
        self.marks.append((self.state.savepoint(), dict(self.now)))

    @rule()
    def roll_back(self) -> None:
        if self.marks:
            savepoint, self.now = self.marks.pop()
            self.state.rollback(savepoint)

    @rule()
    def finish_block(self) -> None:
        self.height += 1
        changes = self.state.finish_block(self.height)
        assert [key for key, _ in changes] == sorted({key for key, _ in changes})
        after = dict(self.before_block)
        for key, value in changes:
            if value is None:
                after.pop(key, None)
            else:
                after[key] = int.from_bytes(value, "big")
        assert after == self.now, "the changes lead from the block before to this one"
        self.before_block = dict(self.now)
        self.waiting.append((self.height, changes))
        self.marks.clear()

    @rule()
    def store_the_oldest_block(self) -> None:
        if self.waiting:
            height, changes = self.waiting.pop(0)
            self.reader.write(changes)
            self.state.settle(height)

    @rule(numbers=st.lists(NUMBERS))
    def prefetch(self, numbers: list[int]) -> None:
        self.state.prefetch(t.CASH, [t.CASH.key(number, "A") for number in numbers])

    @rule(number=NUMBERS, code=CODES, reverse=st.booleans())
    def scan_from(self, number: int, code: str, reverse: bool) -> None:
        prefix, start = t.CASH.key(number), t.CASH.key(number, code)
        wanted = [key for key in sorted(self.now) if key.startswith(prefix) and (key < start) == reverse]
        found = list(self.state.scan(t.CASH, number, start=start, reverse=reverse))
        assert found == [(key, self.now[key]) for key in (wanted[::-1] if reverse else wanted)]

    @invariant()
    def reads_what_the_dict_has(self) -> None:
        cash = sorted(item for item in self.now.items() if item[0][:1] == t.CASH.prefix)
        assert list(self.state.scan(t.CASH)) == cash
        assert list(self.state.scan(t.CASH, reverse=True)) == cash[::-1]
        for number in range(6):
            assert self.state.get(t.CASH, number, "A") == self.now.get(t.CASH.key(number, "A"))
        assert self.state.get(t.ACCOUNT_NUMBERS, "A") == self.now.get(t.ACCOUNT_NUMBERS.key("A"))


TestStateAgainstDict = StateAgainstDict.TestCase


class GroupsAgainstDict(RuleBasedStateMachine):
    """HOLDINGS of one account, state and batch are kept in order across writes, rollbacks and blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.reader = DictReader()
        self.state = State(self.reader)
        self.now: dict[bytes, Holding] = {}
        self.before: dict[bytes, Holding] = {}
        self.height = 0

    @rule(account=st.integers(0, 1), first=NUMBERS, units=AMOUNTS)
    def put(self, account: int, first: int, units: int) -> None:
        self.state.put(t.HOLDINGS, Holding(units, 1, 2), account, 1, 7, first)
        self.now[t.HOLDINGS.key(account, 1, 7, first)] = Holding(units, 1, 2)

    @rule(account=st.integers(0, 1), first=NUMBERS)
    def delete(self, account: int, first: int) -> None:
        self.state.delete(t.HOLDINGS, account, 1, 7, first)
        self.now.pop(t.HOLDINGS.key(account, 1, 7, first), None)

    @rule()
    def roll_back(self) -> None:
        self.state.rollback(0)
        self.now = dict(self.before)

    @rule()
    def store_a_block(self) -> None:
        self.height += 1
        self.reader.write(self.state.finish_block(self.height))
        self.state.settle(self.height)
        self.before = dict(self.now)

    @rule(account=st.integers(0, 1))
    def scan(self, account: int) -> None:
        found = dict(self.state.scan(t.HOLDINGS, account, 1, 7))
        assert list(found.items()) == sorted(
            item for item in self.now.items() if item[0].startswith(t.HOLDINGS.key(account, 1, 7))
        )


TestGroupsAgainstDict = GroupsAgainstDict.TestCase


def test_a_group_too_long_to_keep_is_scanned_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "GROUP_MAX", 3)
    state = State(DictReader())
    for first in range(3):
        state.put(t.HOLDINGS, Holding(1, 1, 1), 1, 1, 1, first)
    assert len(list(state.scan(t.HOLDINGS, 1, 1, 1))) == 3
    state.put(t.HOLDINGS, Holding(1, 1, 1), 2, 1, 1, 9)
    for first in range(4):
        state.put(t.HOLDINGS, Holding(1, 1, 1), 2, 1, 1, first)
    for missing in (0, 3):
        assert [t.HOLDINGS.parts(key)[3] for key, _ in state.scan(t.HOLDINGS, 2, 1, 1)] == [*range(missing, 4), 9]
        state.delete(t.HOLDINGS, 2, 1, 1, 0)
        state.delete(t.HOLDINGS, 2, 1, 1, 1)
        state.delete(t.HOLDINGS, 2, 1, 1, 2)


def test_conclusions_last_until_a_steady_row_changes() -> None:
    state = State(DictReader())
    state.concluded["answer"][1] = 42
    state.put(t.CASH, 1, 1, "A")
    assert state.concluded["answer"] == {1: 42}
    savepoint = state.savepoint()
    state.put(t.ACCOUNT_NUMBERS, 7, "a")
    assert not state.concluded["answer"]
    state.concluded["answer"][1] = 43
    state.rollback(savepoint)
    assert not state.concluded["answer"], "what followed from the undone row is forgotten with it"
    state.concluded["answer"][1] = 44
    state.drop()
    assert not state.concluded["answer"], "and what followed from a discarded block with the block"


def test_the_cache_of_values_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "CACHED_VALUES_MAX", 10)
    reader = DictReader()
    state = State(reader)
    for number in range(20):
        state.put(t.CASH, number, number, "A")
    reader.write(state.finish_block(1))
    state.put(t.CASH, 99, 3, "A")
    later = state.finish_block(2)
    state.settle(1)
    assert len(state._values) == 1, "only what the store does not have yet is kept"
    assert [value for _, value in state.scan(t.CASH)] == [0, 1, 2, 99, *range(4, 20)]
    reader.write(later)
    state.settle(2)
    assert state.get(t.CASH, 3, "A") == 99


@given(st.binary(min_size=1, max_size=4).filter(lambda prefix: prefix.strip(b"\xff")))
def test_after_is_the_first_key_without_the_prefix(prefix: bytes) -> None:
    stop = t.after(prefix)
    assert stop > prefix + b"\xff" * 8
    assert not stop.startswith(prefix)
    assert not any(prefix + tail >= stop for tail in (b"", b"\x00", b"\xff"))


def test_keys_sort_as_their_parts_and_read_back() -> None:
    numbers = [0, 1, 255, 256, 2**64, 10**59]
    keys = [t.SPACES.key("VCS", number) for number in numbers]
    assert keys == sorted(keys)
    assert [t.SPACES.parts(key) for key in keys] == [("VCS", number) for number in numbers]
    assert not t.SPACES.key("VCSX", 0).startswith(t.SPACES.key("VCS"))
    assert len({table.prefix for table in t.ALL}) == len(t.ALL), "prefixes are never shared"
