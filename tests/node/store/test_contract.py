"""What every store promises, tried on all of them; the stores' own traits are in the files beside this one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from keeling.encoding import U64
from node.store import rocks_reads
from node.store.contract import (
    KEPT_FAMILIES,
    RESTORED_KEY,
    RESTORED_VALUE,
    SCHEMA_KEY,
    SCHEMA_VERSION,
    Batch,
    Family,
    Store,
    StoreClosed,
    StoreExists,
    View,
)
from node.store.memory import MemoryStore
from node.store.rocks import RocksStore
from tests.fakes.faulty_store import FaultyStore

Make = Callable[[Path], Store]


def make_crowded(directory: Path) -> Store:
    """A store to which every range is hard to read in which, or behind which, something was deleted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rocks_reads, "_SKIPPED_MOST", 1)
        return RocksStore.create(directory)


MAKERS: dict[str, Make] = {
    "memory": lambda _: MemoryStore(),
    "rocks": RocksStore.create,
    "crowded": make_crowded,
    "faulty": lambda _: FaultyStore(MemoryStore()),
}
OPEN_BACKUP: dict[str, Make] = {
    "memory": MemoryStore.open_backup,
    "rocks": RocksStore.open,
    "crowded": RocksStore.open,
    "faulty": lambda directory: FaultyStore(MemoryStore.open_backup(directory)),
}

FIVE = [(b"a", b"1"), (b"b", b""), (b"ba", b"3"), (b"c", b"4"), (b"\xff\xff", b"5")]
SCANS = [
    ({}, FIVE),
    ({"start": b"b"}, FIVE[1:]),
    ({"stop": b"c"}, FIVE[:3]),
    ({"start": b"aa", "stop": b"bb"}, FIVE[1:3]),
    ({"start": b"b", "stop": b"b"}, []),
    ({"start": b"c", "stop": b"b"}, []),
    ({"stop": b""}, []),
    ({"limit": 2}, FIVE[:2]),
    ({"limit": 0}, []),
    ({"reverse": True}, FIVE[::-1]),
    ({"reverse": True, "stop": b"c"}, FIVE[2::-1]),
    ({"reverse": True, "stop": b"bb"}, FIVE[2::-1]),
    ({"reverse": True, "start": b"b"}, FIVE[:0:-1]),
    ({"reverse": True, "start": b"b", "limit": 2}, FIVE[:2:-1]),
    ({"reverse": True, "stop": b"a"}, []),
]


def write(store: Store, *pairs: tuple[bytes, bytes | None], family: Family = Family.STATE) -> None:
    batch = Batch()
    for key, value in pairs:
        if value is None:
            batch.delete(family, key)
        else:
            batch.put(family, key, value)
    store.commit(batch)


@pytest.fixture(params=list(MAKERS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store(kind: str, tmp_path: Path) -> Iterator[Store]:
    store = MAKERS[kind](tmp_path / "store")
    yield store
    store.close()


def test_a_new_store_holds_its_schema_version_and_nothing_else(store: Store) -> None:
    assert {family: list(store.scan(family)) for family in Family} == {
        family: [(SCHEMA_KEY, U64.encode(SCHEMA_VERSION))] if family is Family.META else [] for family in Family
    }


def test_values_are_read_back_and_empty_is_not_absent(store: Store) -> None:
    write(store, (b"", b"empty key"), (b"empty value", b""), (b"large", b"x" * 3_000_000))
    assert store.get(Family.STATE, b"") == b"empty key"
    assert store.get(Family.STATE, b"empty value") == b""
    assert store.get(Family.STATE, b"never written") is None
    assert store.get(Family.BODIES, b"") is None
    keys = [b"large", b"nothing", b"", b"large"]
    assert store.get_many(Family.STATE, keys) == [b"x" * 3_000_000, None, b"empty key", b"x" * 3_000_000]
    assert store.get_many(Family.STATE, []) == []


def test_the_last_write_of_a_key_counts_and_families_are_apart(store: Store) -> None:
    batch = Batch()
    batch.put(Family.STATE, b"put then deleted", b"1")
    batch.delete(Family.STATE, b"put then deleted")
    batch.delete(Family.STATE, b"deleted then put")
    batch.put(Family.STATE, b"deleted then put", b"2")
    batch.put(Family.STATE, b"twice", b"3")
    batch.put(Family.STATE, b"twice", b"4")
    batch.put(Family.EVENTS, b"twice", b"5")
    assert len(batch) == 4
    store.commit(batch)
    assert list(store.scan(Family.STATE)) == [(b"deleted then put", b"2"), (b"twice", b"4")]
    assert list(store.scan(Family.EVENTS)) == [(b"twice", b"5")]
    store.commit(Batch())
    assert store.get(Family.STATE, b"twice") == b"4"


@pytest.mark.parametrize(("asked", "expected"), SCANS)
def test_scan_ranges(store: Store, asked: dict[str, Any], expected: list[tuple[bytes, bytes]]) -> None:
    write(store, *reversed(FIVE))
    assert list(store.scan(Family.STATE, **asked)) == expected
    with store.snapshot() as view:
        write(store, *((key, None) for key, _ in FIVE))
        assert list(view.scan(Family.STATE, **asked)) == expected


@pytest.mark.parametrize("reverse", [False, True])
def test_long_scans_show_the_moment_of_the_call(store: Store, reverse: bool) -> None:
    pairs = [(b"%04d" % number, b"x" * (number % 7) * 1000) for number in range(1000)]
    write(store, *pairs)
    expected = pairs[::-1] if reverse else pairs
    scan = store.scan(Family.STATE, reverse=reverse)
    begun = [next(scan) for _ in range(300)]
    write(store, (b"0000", None), (b"0500", b"new"), (b"0500+", b"new"), (b"0999", None))
    assert begun + list(scan) == expected
    assert len(list(store.scan(Family.STATE, limit=700))) == 700
    assert len(list(store.scan(Family.STATE))) == 999


def test_a_view_is_one_moment_of_all_families(store: Store) -> None:
    write(store, (b"k", b"1"), (b"gone", b"1"))
    write(store, (b"k", b"1"), family=Family.INDEX)
    first = store.snapshot()
    write(store, (b"k", b"2"), (b"gone", None), (b"later", b"2"))
    write(store, (b"k", b"2"), family=Family.INDEX)
    second = store.snapshot()
    store.clear([Family.STATE])
    assert first.get_many(Family.STATE, [b"k", b"gone", b"later"]) == [b"1", b"1", None]
    assert list(first.scan(Family.STATE)) == [(b"gone", b"1"), (b"k", b"1")]
    assert first.get(Family.INDEX, b"k") == b"1"
    assert list(second.scan(Family.STATE)) == [(b"k", b"2"), (b"later", b"2")]
    assert second.get(Family.INDEX, b"k") == b"2"
    first.close()
    first.close()
    with pytest.raises(StoreClosed):
        first.get(Family.STATE, b"k")
    with pytest.raises(StoreClosed):
        first.scan(Family.STATE)
    assert second.get(Family.STATE, b"k") == b"2"


def test_two_scans_of_one_view_do_not_disturb_each_other(store: Store) -> None:
    pairs = [(b"%04d" % number, b"v") for number in range(600)]
    write(store, *pairs)
    with store.snapshot() as view:
        up = view.scan(Family.STATE)
        down = view.scan(Family.STATE, reverse=True)
        both = [(next(up), next(down)) for _ in pairs]
    assert both == list(zip(pairs, reversed(pairs), strict=True))


def test_views_are_whole_while_another_thread_writes(store: Store) -> None:
    """Each commit writes one number into two families; no view may see two different ones."""
    torn: list[tuple[list[tuple[bytes, bytes]], bytes | None]] = []
    write(store, *((b"%d" % slot, b"0") for slot in range(20)))
    write(store, (b"n", b"0"), family=Family.INDEX)
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            with store.snapshot() as view:
                slots, number = list(view.scan(Family.STATE)), view.get(Family.INDEX, b"n")
            if {value for _, value in slots} != {number}:
                torn.append((slots, number))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 100):
        batch = Batch()
        for slot in range(20):
            batch.put(Family.STATE, b"%d" % slot, b"%d" % number)
        batch.put(Family.INDEX, b"n", b"%d" % number)
        store.commit(batch)
    done.set()
    reader.join()
    assert torn == []


def test_clear_empties_derived_families_only(store: Store) -> None:
    store.clear([Family.INDEX])
    for family in Family:
        write(store, (b"", b"lowest"), (b"\xff" * 40, b"high"), family=family)
    store.clear([Family.INDEX, Family.EVENTS])
    assert [family for family in Family if not list(store.scan(family))] == [Family.EVENTS, Family.INDEX]
    for family in KEPT_FAMILIES:
        with pytest.raises(ValueError, match=f"{family.name} cannot be cleared"):
            store.clear([Family.INDEX, family])
    write(store, (b"again", b"1"), family=Family.INDEX)
    assert list(store.scan(Family.INDEX)) == [(b"again", b"1")]


def test_a_backup_is_one_moment_without_the_journal_and_says_so(kind: str, store: Store, tmp_path: Path) -> None:
    for family in Family:
        write(store, (b"k", b"the secret vote" if family is Family.JOURNAL else b"x" * 6000), family=family)
    store.backup(tmp_path / "backup")
    write(store, (b"k", b"later"))
    with pytest.raises(StoreExists):
        store.backup(tmp_path / "backup")
    assert store.get(Family.META, RESTORED_KEY) is None
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".partial"] == []
    for path in (path for path in (tmp_path / "backup").rglob("*") if path.is_file()):
        assert b"the secret vote" not in path.read_bytes(), path
    restored = OPEN_BACKUP[kind](tmp_path / "backup")
    try:
        for family in Family:
            assert restored.get(family, b"k") == (None if family is Family.JOURNAL else b"x" * 6000)
        assert restored.get(Family.META, RESTORED_KEY) == RESTORED_VALUE
        write(restored, (b"vote", b"by the new key"), family=Family.JOURNAL)
        assert restored.get(Family.JOURNAL, b"vote") == b"by the new key"
    finally:
        restored.close()


def test_a_closed_store_refuses_everything(store: Store, tmp_path: Path) -> None:
    view = store.snapshot()
    store.close()
    store.close()
    refused: list[Callable[[], object]] = [
        lambda: store.get(Family.STATE, b"k"),
        lambda: store.get_many(Family.STATE, [b"k"]),
        lambda: store.scan(Family.STATE),
        lambda: write(store, (b"k", b"v")),
        store.snapshot,
        lambda: store.clear([Family.INDEX]),
        lambda: store.backup(tmp_path / "backup"),
        lambda: view.get(Family.STATE, b"k"),
    ]
    for call in refused:
        with pytest.raises(StoreClosed):
            call()


KEYS = st.binary(max_size=3)
FAMILIES = st.sampled_from([Family.STATE, Family.INDEX])
WRITES = st.lists(st.tuples(FAMILIES, KEYS, st.none() | st.binary(max_size=4)), max_size=8)
Model = dict[Family, dict[bytes, bytes]]


class StoreMachine(RuleBasedStateMachine):
    """Any run of commits, clears and views against plain dictionaries. The store is emptied between runs."""

    store: Store
    views = Bundle("views")

    @initialize()
    def begin(self) -> None:
        self.store.clear([Family.STATE, Family.INDEX])
        self.model: Model = {Family.STATE: {}, Family.INDEX: {}}

    @rule(writes=WRITES)
    def commit(self, writes: list[tuple[Family, bytes, bytes | None]]) -> None:
        batch = Batch()
        for family, key, value in writes:
            if value is None:
                batch.delete(family, key)
                self.model[family].pop(key, None)
            else:
                batch.put(family, key, value)
                self.model[family][key] = value
        self.store.commit(batch)

    @rule(family=FAMILIES)
    def clear(self, family: Family) -> None:
        self.store.clear([family])
        self.model[family] = {}

    @rule(target=views)
    def snapshot(self) -> tuple[View, Model]:
        return self.store.snapshot(), {family: dict(pairs) for family, pairs in self.model.items()}

    @rule(seen=consumes(views), family=FAMILIES, start=KEYS, stop=st.none() | KEYS, reverse=st.booleans())
    def read_view(self, seen: tuple[View, Model], family: Family, start: bytes, stop: bytes, reverse: bool) -> None:
        view, model = seen
        pairs = [(k, v) for k, v in sorted(model[family].items()) if k >= start and (stop is None or k < stop)]
        assert list(view.scan(family, start, stop, reverse=reverse)) == (pairs[::-1] if reverse else pairs)
        assert view.get(family, start) == model[family].get(start)
        view.close()

    @invariant()
    def agrees(self) -> None:
        for family, pairs in getattr(self, "model", {}).items():
            assert dict(self.store.scan(family)) == pairs
            assert self.store.get_many(family, [b"", b"\x00", *pairs]) == [
                pairs.get(b""),
                pairs.get(b"\x00"),
                *pairs.values(),
            ]


def test_any_run_agrees_with_a_dictionary(store: Store) -> None:
    class Machine(StoreMachine):
        pass

    Machine.store = store
    run_state_machine_as_test(Machine, settings=settings(max_examples=25, stateful_step_count=15, deadline=None))
