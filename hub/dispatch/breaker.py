"""The circuit breaker of one link. Pure: calls go in, and whether the link must be stopped or may work again comes out.

That it is stopped is a fact of the ledger (`LinkState`), so every hub and every buyer sees it and a restart keeps it;
how calls went lately is memory.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

MARK: Final = "breaker: "
"""How the reason of a stop begins that a breaker made, and a breaker may therefore end."""


class BreakerRule(NamedTuple):
    """When a link is stopped, and how it is tried again."""

    window_ms: int = 30_000
    """Calls older than this do not count."""
    calls_min: int = 5
    """Fewer calls than this say nothing."""
    failed_permille: int = 500
    """Stopped when at least so many of a thousand calls failed."""
    row_min: int = 3
    row_ms: int = 1_000
    """Or when so many calls in a row failed, over at least so long: a registry of one call a second would else be
    called five more times, and one moment's failure of many calls at once is no row."""
    slow_ms: int = 15_000
    """An answer that took longer counts as failed."""
    pause_ms: int = 10_000
    """How long it is left alone after it was stopped; doubled with every failed trial."""
    pause_most_ms: int = 300_000


class Call(NamedTuple):
    """How one call went."""

    at_ms: int
    failed: bool


class Verdict(StrEnum):
    """What to write on the ledger."""

    NOTHING = "nothing"
    STOP = "stop"
    GO_ON = "go-on"


class Breaker(NamedTuple):
    """Closed while `opened_ms` is 0; else open, and half-open from `trial_ms` on."""

    calls: tuple[Call, ...] = ()
    opened_ms: int = 0
    trial_ms: int = 0
    trials: int = 0

    @property
    def is_open(self) -> bool:
        return self.opened_ms > 0

    def lets_try(self, now_ms: int) -> bool:
        """Whether a call that only asks may be made: always while closed, one at a time while half-open."""
        return not self.is_open or now_ms >= self.trial_ms

    def describe(self) -> str:
        """The reason of a stop."""
        failed = sum(call.failed for call in self.calls)
        return f"{MARK}{failed} of the last {len(self.calls)} calls failed"


def reopen_breaker(now_ms: int) -> Breaker:
    """A breaker whose stop was found on the ledger, after a restart: tried at once."""
    return Breaker(opened_ms=now_ms, trial_ms=now_ms)


def record_call(
    breaker: Breaker, rule: BreakerRule, now_ms: int, *, failed: bool, took_ms: int
) -> tuple[Breaker, Verdict]:
    """The breaker after one more call, and whether the ledger must be told."""
    bad = failed or took_ms > rule.slow_ms
    if breaker.is_open:
        if not bad:
            return Breaker(), Verdict.GO_ON
        if now_ms - took_ms < breaker.trial_ms:
            return breaker, Verdict.NOTHING  # it was under way when the breaker opened, and is no trial
        pause = min(rule.pause_most_ms, rule.pause_ms << min(breaker.trials + 1, 20))
        return breaker._replace(trial_ms=now_ms + pause, trials=breaker.trials + 1), Verdict.NOTHING
    calls = (*(call for call in breaker.calls if call.at_ms > now_ms - rule.window_ms), Call(now_ms, bad))
    if bad and (_is_often(calls, rule) or _is_row(calls, rule)):
        return Breaker(calls, opened_ms=now_ms, trial_ms=now_ms + rule.pause_ms), Verdict.STOP
    return Breaker(calls), Verdict.NOTHING


def _is_often(calls: tuple[Call, ...], rule: BreakerRule) -> bool:
    """Whether too large a part of enough calls failed."""
    failures = sum(call.failed for call in calls)
    return len(calls) >= rule.calls_min and failures * 1000 >= rule.failed_permille * len(calls)


def _is_row(calls: tuple[Call, ...], rule: BreakerRule) -> bool:
    """Whether the newest calls all failed, over long enough."""
    row: list[Call] = []
    for call in reversed(calls):
        if not call.failed:
            break
        row.append(call)
    return len(row) >= rule.row_min and row[0].at_ms - row[-1].at_ms >= rule.row_ms
