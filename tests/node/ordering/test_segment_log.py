"""The embedded log against its disk: power cuts and errors at every step, torn and damaged bytes everywhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ordering.contract import (
    ORIGIN,
    Appended,
    LogClosed,
    LogDamaged,
    LogExists,
    LogFailed,
    LogId,
    LogLocked,
    LogMissing,
    LogTruncated,
    OrderingError,
    WrongLog,
    compute_entry_digest,
)
from node.ordering.folder import DiskFolder
from node.ordering.segment_log import GROUP_BYTES_MAX, LogOptions, SegmentLog
from tests.fakes.simulated_folder import PowerCut, SimulatedFolder

LOG = LogId(1, "ordering")
SMALL = LogOptions(segment_bytes=150)
ENTRIES = [b"entry %d with some bytes" % number for number in range(12)]


def read_all(log: SegmentLog) -> list[bytes]:
    return [entry for _, entry in log.read(log.first_position, 1000).entries]


def contents(folder: SimulatedFolder) -> dict[str, bytes]:
    return {name: folder.read(name, 0, folder.size(name)) for name in folder.names()}


class Acknowledged:
    """What a run was promised before it ended."""

    def __init__(self) -> None:
        self.appended = 0
        self.dropped_below = 1


def write_and_drop(folder: SimulatedFolder, promised: Acknowledged) -> None:
    """Single and grouped appends over several files, two drops between them."""
    log = SegmentLog.open(folder, LOG, SMALL)
    for group in (ENTRIES[:1], ENTRIES[1:4], ENTRIES[4:6], ENTRIES[6:8], ENTRIES[8:9]):
        log.append_many(group)
        promised.appended += len(group)
    promised.dropped_below = 5
    log.truncate(5)
    log.append_many(ENTRIES[9:11])
    promised.appended = 11
    promised.dropped_below = 10
    log.truncate(10)
    log.append_many(ENTRIES[11:])
    promised.appended = 12


def new_folder() -> SimulatedFolder:
    folder = SimulatedFolder()
    SegmentLog.create(folder, LOG, SMALL)
    return folder.restart()


def steps_of_the_run() -> int:
    folder = new_folder()
    write_and_drop(folder, Acknowledged())
    return folder.steps


STEPS = range(1, steps_of_the_run() + 1)


def check_kept(log: SegmentLog, promised: Acknowledged) -> None:
    """Everything promised is there, and beyond it only a beginning of what was tried."""
    first, end = log.first_position, log.next_position
    assert first <= promised.dropped_below
    assert promised.appended < end
    assert read_all(log) == ENTRIES[first - 1 : end - 1]
    assert log.read(first, 0).before == (compute_entry_digest(ENTRIES[first - 2]) if first > 1 else ORIGIN)


@pytest.mark.parametrize("step", STEPS)
def test_a_power_cut_at_any_step_loses_nothing_that_was_promised(step: int) -> None:
    folder, promised = new_folder(), Acknowledged()
    folder.cut_power(step)
    with pytest.raises(PowerCut):
        write_and_drop(folder, promised)
    for _, image in folder.images():
        log = SegmentLog.open(SimulatedFolder(image), LOG, SMALL)
        check_kept(log, promised)
        log.append_many([b"after the cut"])
        assert read_all(log)[-1] == b"after the cut"


@pytest.mark.parametrize("step", STEPS)
def test_a_failed_step_stops_the_log_and_a_restart_promises_only_what_is_durable(step: int) -> None:
    folder, promised = new_folder(), Acknowledged()
    folder.fail(step)
    with pytest.raises((LogFailed, OSError)) as failure:  # OSError: already while opening
        write_and_drop(folder, promised)
    assert "Input/output error" in str(failure.value)
    log = SegmentLog.open(folder.restart(), LOG, SMALL)
    check_kept(log, promised)
    seen = read_all(log)
    shown = [image for _, image in folder.images()]  # whatever a reader was shown now must stay
    log.append_many([b"after the restart"])
    appended = [image for _, image in folder.images()]
    for images, expected in ((shown, seen), (appended, [*seen, b"after the restart"])):
        for image in images:
            after = read_all(SegmentLog.open(SimulatedFolder(image), LOG, SMALL))
            assert after[len(after) - len(expected) :] == expected


def test_a_log_that_failed_refuses_everything() -> None:
    folder = new_folder()
    log = SegmentLog.open(folder, LOG, SMALL)
    log.append_many(ENTRIES[:1])
    folder.fail(folder.steps + 2)  # the sync of the next append
    with pytest.raises(LogFailed, match="Input/output error"):
        log.append_many(ENTRIES[1:2])
    refused: list[Callable[[], object]] = [
        lambda: log.append_many(ENTRIES[2:3]),
        lambda: log.read(1, 1),
        lambda: log.truncate(1),
    ]
    for call in refused:
        with pytest.raises(LogFailed, match="an earlier write"):
            call()


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_create_can_be_repeated_after_a_crash_in_it(step: int) -> None:
    folder = SimulatedFolder()
    folder.cut_power(step)
    with pytest.raises(PowerCut):
        SegmentLog.create(folder, LOG, SMALL)
    for _, image in folder.images():
        try:
            log = SegmentLog.create(SimulatedFolder(image), LOG, SMALL)
        except LogExists:
            log = SegmentLog.open(SimulatedFolder(image), LOG, SMALL)
        assert log.append_many(ENTRIES[:1]) == [Appended(1)]


def test_create_overwrites_nothing_and_open_creates_nothing() -> None:
    folder = new_folder()
    with pytest.raises(LogExists, match=r"00000000000000000001\.segment already"):
        SegmentLog.create(folder, LOG, SMALL)
    with pytest.raises(LogExists, match=r"a file notes\.txt already"):
        SegmentLog.create(SimulatedFolder({"notes.txt": b""}), LOG)
    with pytest.raises(LogMissing, match="check that its disk is mounted"):
        SegmentLog.open(SimulatedFolder(), LOG)
    for other in (LogId(2, "ordering"), LogId(1, "other")):
        with pytest.raises(WrongLog, match="belongs to"):
            SegmentLog.open(SimulatedFolder(contents(folder)), other)
        with pytest.raises(LogExists):
            SegmentLog.create(SimulatedFolder(contents(folder)), other)


def three_records() -> tuple[str, bytes, list[int]]:
    """A file of three records, and the offsets behind its header and each of them."""
    folder = SimulatedFolder()
    log = SegmentLog.create(folder, LOG)
    (name,) = folder.names()
    ends = [folder.size(name)]
    for entry in (b"first", b"ends in zeros\x00\x00", b"\x00last\x00"):
        log.append_many([entry])
        ends.append(folder.size(name))
    return name, contents(folder)[name], ends


def test_an_incomplete_last_record_is_cut_wherever_it_ends() -> None:
    name, data, ends = three_records()
    for size in range(ends[2], ends[3]):
        for image in (data[:size], data[:size] + bytes(ends[3] - size), data[:size] + bytes(5000)):
            folder = SimulatedFolder({name: image})
            log = SegmentLog.open(folder, LOG)
            assert read_all(log) == [b"first", b"ends in zeros\x00\x00"], size
            assert folder.size(name) == ends[2]
            assert log.append_many([b"again"]) == [Appended(3)]
            assert read_all(SegmentLog.open(SimulatedFolder(contents(folder)), LOG))[2] == b"again"


def test_damage_anywhere_is_refused_with_its_place() -> None:
    """A flipped bit never passes and never shortens the log: it is no incomplete write."""
    name, data, ends = three_records()
    for at in range(len(data)):
        flipped = bytearray(data)
        flipped[at] ^= 0x40
        with pytest.raises(OrderingError) as refusal:
            SegmentLog.open(SimulatedFolder({name: bytes(flipped)}), LOG)
        position = sum(end <= at for end in ends)
        if position:
            assert f"position {position} is damaged ({name}, offset {ends[position - 1]})" in str(refusal.value)
        else:
            assert name in str(refusal.value)


def test_damage_after_opening_is_not_shown() -> None:
    folder = new_folder()
    log = SegmentLog.open(folder, LOG, SMALL)
    log.append_many(ENTRIES[:2])
    (name,) = folder.names()
    folder.write(name, folder.size(name) - 5, b"?")
    assert log.read(1, 1).entries[0].entry == ENTRIES[0]
    with pytest.raises(LogDamaged, match="position 2 is damaged"):
        log.read(1, 2)
    folder.truncate(name, folder.size(name) - 5)
    with pytest.raises(LogDamaged, match="position 2 is cut"):
        log.read(2, 1)


def test_missing_renamed_and_shortened_files_are_refused() -> None:
    folder = new_folder()
    SegmentLog.open(folder, LOG, SMALL).append_many(ENTRIES[:1])
    log = SegmentLog.open(folder, LOG, SMALL)
    for entry in ENTRIES[1:]:
        log.append_many([entry])
    files = contents(folder)
    first, second, third = sorted(files)[:3]
    cases = [
        ({name: data for name, data in files.items() if name != second}, f"{third} does not follow position"),
        ({**files, second: files[second][:-1]}, "is incomplete"),
        ({**files, second: files[third]}, "files were renamed"),
        ({**files, second: files[second][:20]}, "damaged header"),
        ({**files, second: b""}, "does not begin as a log segment"),
        ({**files, f"{99:020d}.segment": b"something else"}, "does not begin as a log segment"),
    ]
    for image, message in cases:
        with pytest.raises(LogDamaged, match=message):
            SegmentLog.open(SimulatedFolder(image), LOG, SMALL)
    without_first = {name: data for name, data in files.items() if name != first}
    shorter = SegmentLog.open(SimulatedFolder(without_first), LOG, SMALL)  # as after a drop, and it says so
    assert read_all(shorter) == ENTRIES[shorter.first_position - 1 :]
    with pytest.raises(LogTruncated):
        shorter.read(1, 1)


def test_recent_entries_are_recognised_within_the_window_also_after_opening() -> None:
    options = LogOptions(segment_bytes=150, recent_entries=3)
    folder = SimulatedFolder()
    log = SegmentLog.create(folder, LOG, options)
    log.append_many(ENTRIES[:5])
    for _ in range(2):
        assert log.append_many(ENTRIES[2:5]) == [Appended(3), Appended(4), Appended(5)]
        log = SegmentLog.open(folder.restart(), LOG, options)
    assert log.append_many(ENTRIES[:1]) == [Appended(6)]
    assert log.append_many([ENTRIES[3], ENTRIES[0]]) == [Appended(4), Appended(6)]
    wider = SegmentLog.open(folder.restart(), LOG, SMALL)
    assert wider.append_many(ENTRIES[:1]) == [Appended(1)]
    with pytest.raises(ValueError, match="must be 1 or more"):
        LogOptions(recent_entries=0)


def test_an_entry_that_was_dropped_is_ordered_anew() -> None:
    folder = new_folder()
    log = SegmentLog.open(folder, LOG, SMALL)
    for entry in ENTRIES:
        log.append_many([entry])
    log.truncate(7)
    assert 1 < log.first_position <= 7
    with pytest.raises(LogTruncated):
        log.read(log.first_position - 1, 1)
    assert log.append_many(ENTRIES[:1]) == [Appended(13)]
    log.truncate(1000)
    assert log.next_position == 14
    assert read_all(log)[-1] == ENTRIES[0]


def test_groups_are_synced_together_and_large_ones_in_parts() -> None:
    folder = new_folder()
    log = SegmentLog.open(folder, LOG)
    before = folder.steps
    log.append_many(ENTRIES)
    assert folder.steps - before == 2  # a write and a sync
    log.append_many([bytes([number]) * (GROUP_BYTES_MAX // 9) for number in range(1, 18)])
    assert folder.steps - before == 8
    assert log.next_position == len(ENTRIES) + 18
    assert log.append_many([]) == []


@given(st.lists(st.lists(st.binary(min_size=1, max_size=40), max_size=4) | st.just("reopen"), max_size=25))
def test_any_run_of_appends_and_restarts_agrees_with_a_list(actions: list[list[bytes] | str]) -> None:
    folder, expected = new_folder(), list[bytes]()
    log = SegmentLog.open(folder, LOG, SMALL)
    for action in actions:
        if isinstance(action, str):
            log = SegmentLog.open(folder.restart(), LOG, SMALL)
            continue
        answers = log.append_many(action)
        for entry, (position,) in zip(action, answers, strict=True):
            if position > len(expected):
                expected.append(entry)
            assert expected[position - 1] == entry
    assert read_all(log) == expected
    assert len(set(expected)) == len(expected)


def test_on_a_real_disk_each_answer_follows_a_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was synced when an append returned is what a copy of the files holds."""
    synced: list[str] = []
    really_data, really = os.fdatasync, os.fsync

    def note(name: str, descriptor: int, sync: Callable[[int], None]) -> None:
        synced.append(f"{name} {Path(os.readlink(f'/proc/self/fd/{descriptor}')).name}")
        sync(descriptor)

    monkeypatch.setattr(os, "fdatasync", lambda descriptor: note("data", descriptor, really_data))
    monkeypatch.setattr(os, "fsync", lambda descriptor: note("names", descriptor, really))
    log = SegmentLog.create(DiskFolder(tmp_path / "log"), LOG, SMALL)
    first, second = f"{1:020d}.segment", f"{5:020d}.segment"
    assert synced == [f"names {tmp_path.name}", f"data {first}", "names log"]
    with pytest.raises(LogLocked, match=f"is locked by pid {os.getpid()}$"):
        DiskFolder(tmp_path / "log")
    synced.clear()
    log.append_many(ENTRIES[:4])
    assert synced == [f"data {first}"]
    log.append_many(ENTRIES[4:5])
    assert synced[1:] == [f"data {second}", "names log", f"data {second}"]
    log.close()
    log.close()
    with pytest.raises(LogClosed):
        log.read(1, 1)
    again = SegmentLog.open(DiskFolder(tmp_path / "log"), LOG, SMALL)
    assert read_all(again) == ENTRIES[:5]
    again.truncate(5)
    assert again.first_position == 5
    assert not (tmp_path / "log" / first).exists()
    again.close()


def test_a_failed_open_gives_the_folder_free(tmp_path: Path) -> None:
    with pytest.raises(LogMissing):
        SegmentLog.open(DiskFolder(tmp_path), LOG)
    SegmentLog.create(DiskFolder(tmp_path), LOG).close()
    with pytest.raises(LogExists):
        SegmentLog.create(DiskFolder(tmp_path), LOG)
    SegmentLog.open(DiskFolder(tmp_path), LOG).close()
