"""How long a registry wants to be left alone outlives the process, and a lost folder costs one early call."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import Changes, Throttled
from adapters.sandbox.faults import Fault, FaultKind
from hub.dispatch.lines import Lines
from hub.dispatch.quiet import Quiet, QuietTimes, format_quiet, parse_quiet
from hub.dispatch.run import Dispatcher
from hub.reconcile.report import format_instant
from keeling.v1 import operations_pb2 as op
from tests.hub.dispatch.stage import Stage, play

HOUR_MS = 3_600_000
_TIMES = st.integers(0, 10**18 - 1)


@given(_TIMES, _TIMES)
def test_what_is_kept_is_read_again(until_ms: int, throttled_ms: int) -> None:
    quiet = Quiet(until_ms, throttled_ms)
    assert parse_quiet(format_quiet(quiet)) == quiet


@pytest.mark.parametrize("text", ["", "5", "5 x", "-1 2", "1 2 3", f"{10**18} 0", "٣ 4"])
def test_what_is_no_such_text_says_nothing(text: str) -> None:
    assert parse_quiet(text) == Quiet()


def test_the_longest_wait_stays_and_another_process_finds_it(tmp_path: Path) -> None:
    times = QuietTimes(tmp_path / "quiet")
    times.keep("puro", Quiet(until_ms=500))
    times.keep("puro", Quiet(until_ms=400, throttled_ms=300))
    assert QuietTimes(tmp_path / "quiet").of("puro") == times.of("puro") == Quiet(500, 300)
    assert QuietTimes(tmp_path / "quiet").of("verra") == Quiet()
    (tmp_path / "quiet" / "puro").write_bytes(b"\xff")
    assert QuietTimes(tmp_path / "quiet").of("puro") == Quiet()


@pytest.mark.parametrize("folder", ["kept", "deleted"])
def test_a_hub_that_starts_again_goes_on_waiting_as_it_was_told(tmp_path: Path, folder: str) -> None:
    """Told to wait an hour. Without its folder it calls once too early, is told again, and waits."""

    async def story(stage: Stage) -> None:
        def start() -> Dispatcher:
            return Dispatcher(stage.seat("hub")._replace(quiet=tmp_path / "quiet"))

        stage.sandbox.faults.add(Fault(FaultKind.THROTTLE, times=2 if folder == "deleted" else 1, value=3_600))
        hold = stage.place()
        first = start()
        await first.step()
        told, asked = stage.world.now_ms + HOUR_MS, stage.sandbox.requests
        assert asked == 1
        stage.later(HOUR_MS // 2)
        if folder == "deleted":
            shutil.rmtree(tmp_path / "quiet")
            told += HOUR_MS // 2
        again = start()
        for _ in range(3):
            due = await again.step()
        assert stage.sandbox.requests - asked == (1 if folder == "deleted" else 0)
        assert stage.effects == {}
        assert again.lines.throttled_lately("puro"), "a 401 would be taken for more of it"
        (line,) = again.backlog()
        assert f"until {format_instant(told)}" in line.why
        assert due <= told
        stage.later(told - stage.world.now_ms)
        found = await stage.settle(start(), hold)
        assert (found.phase, stage.effects) == ("CAPTURED", {hold.hex(): 100})

    play(story)


@pytest.mark.parametrize("restarted", [False, True])
def test_what_is_sold_meanwhile_stays_open_and_may_be_taken_back(tmp_path: Path, restarted: bool) -> None:
    """An attempt that is recorded now could not leave within its window, and would bind the seller for nothing."""

    async def story(stage: Stage) -> None:
        def start() -> Dispatcher:
            return Dispatcher(stage.seat("hub")._replace(quiet=tmp_path / "quiet"))

        hub = start()
        hub.lines.keep_quiet("puro", stage.world.now_ms + HOUR_MS)
        hub = start() if restarted else hub
        kept, taken_back = stage.place("kept"), stage.place("taken back", first=5_000)
        due = await hub.step()
        assert due <= stage.world.now_ms + HOUR_MS
        assert {line.phase for line in hub.backlog()} == {"OPEN"}
        assert all("asked to be left alone until" in line.why for line in hub.backlog())
        stage.world.must("alice", op.Release(hold=taken_back))
        stage.later(HOUR_MS)
        await hub.step()
        found = await stage.hold(kept)
        assert (found.phase, found.attempt) == ("CAPTURED", 1)
        assert stage.effects == {kept.hex(): 100}

    play(story)


def test_news_and_lists_wait_too_and_what_they_are_told_holds_for_all(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat = stage.seat("hub")._replace(quiet=tmp_path / "quiet")
        lines = Lines(seat)
        stage.sandbox.faults.add(Fault(FaultKind.THROTTLE, value=60))
        assert await lines.ask("puro", lambda: stage.adapter.changes("")) == Throttled(60_000, "429")
        for each in (lines, Lines(seat)):
            asked = stage.sandbox.requests
            stage.later(20_000)
            answer = await each.ask("puro", lambda: stage.adapter.changes(""))
            assert isinstance(answer, Throttled)
            assert answer.retry_after_ms == each.quiet_until("puro") - stage.world.now_ms
            assert stage.sandbox.requests == asked, "nobody called"
        stage.later(20_000)
        assert isinstance(await lines.ask("puro", lambda: stage.adapter.changes("")), Changes)

    play(story)


def test_a_folder_that_cannot_be_written_is_told_and_stops_nothing(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        told: list[tuple[str, Mapping[str, Any]]] = []
        (tmp_path / "quiet").write_text("a file where the folder should be")
        seat = stage.seat("hub")._replace(quiet=tmp_path / "quiet", tell=lambda *said: told.append(said))
        stage.sandbox.faults.add(Fault(FaultKind.THROTTLE, "^POST", value=5))
        hold = stage.place()
        found = await stage.settle(Dispatcher(seat), hold)
        assert (found.phase, found.attempt) == ("CAPTURED", 1)
        assert "a restart would forget how long to wait" in {said for said, _ in told}

    play(story)
