"""What can go wrong at a registry, on demand: which fault, at which requests, how often.

A fault is taken when a request meets it: by its place in the queue, or by chance from a seeded source, so that every
run can be repeated. What a fault does is in `server` (transport), `desk` (decisions) and `notices` (what is pushed).
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple


class FaultKind(StrEnum):
    """Everything a sandbox can be told to do wrong. `Fault.value` means what is said here."""

    LATENCY = "latency"
    """The answer comes when the clock has moved by `value` ms."""
    THROTTLE = "throttle"
    """429 with Retry-After: `value` seconds; 0: without."""
    THROTTLE_AS_401 = "throttle-as-401"
    MAINTENANCE = "maintenance"
    """503; `value` seconds in Retry-After, 0: without."""
    SERVER_ERROR = "server-error"
    """500 before anything happened."""
    ERROR_IN_OK = "error-in-ok"
    """200 with an error in the body; nothing happened."""
    HTML = "html"
    """200 with a page; nothing happened."""
    CUT_BEFORE = "cut-before"
    """The connection is cut, nothing happened."""
    CUT_AFTER = "cut-after"
    """It took effect, then the connection is cut: the answer is lost."""
    HTML_AFTER = "html-after"
    """It took effect, the answer is a page."""
    STALE = "stale"
    """Look-ups show the books as they were `value` ms ago."""
    SHRUNK = "shrunk"
    """Lists are empty, with a total of 0."""
    REFUSE = "refuse"
    """The desk says no."""
    PARTIAL = "partial"
    """The desk does `value` thousandths of the units and refuses the rest."""
    PARTIAL_OPEN = "partial-open"
    """The desk does `value` thousandths and leaves the rest pending."""
    OTHER_SERIALS = "other-serials"
    """The desk uses other units of the account, lowest numbers first, in two pieces where it can."""
    DUPLICATE_NOTICE = "duplicate-notice"
    LATE_NOTICE = "late-notice"
    """The notice is held back until after the next one: out of order."""


class Fault(NamedTuple):
    """`path`: a regular expression searched in "METHOD /path"; `times` -1: for ever; `permille` below 1000: chance."""

    kind: FaultKind
    path: str = ""
    times: int = 1
    value: int = 0
    skip: int = 0
    """Requests it lets pass first."""
    permille: int = 1000


def check_pattern(path: str) -> None:
    """Raise `ValueError` where it is no regular expression."""
    try:
        re.compile(path)
    except re.error as error:
        raise ValueError(f"{path!r} is no regular expression: {error}") from error


class Faults:
    """The faults that are set, and how often each kind was met."""

    def __init__(self, seed: int = 0) -> None:
        self._set: list[Fault] = []
        self._random = random.Random(seed)
        self.met: dict[FaultKind, int] = {}

    def add(self, *faults: Fault) -> None:
        self._set += faults

    def clear(self) -> None:
        self._set.clear()

    def standing(self) -> tuple[Fault, ...]:
        """The faults still to come."""
        return tuple(self._set)

    def take(self, kinds: Iterable[FaultKind], request: str = "") -> Fault | None:
        """Return the first fault of these kinds that this request meets, and count it off."""
        wanted = frozenset(kinds)
        for place, fault in enumerate(self._set):
            if fault.kind not in wanted or not re.search(fault.path, request):
                continue
            if fault.skip:
                self._set[place] = fault._replace(skip=fault.skip - 1)
                continue
            if fault.permille < 1000 and self._random.randrange(1000) >= fault.permille:
                continue
            if fault.times == 1:
                del self._set[place]
            elif fault.times > 1:
                self._set[place] = fault._replace(times=fault.times - 1)
            self.met[fault.kind] = self.met.get(fault.kind, 0) + 1
            return fault
        return None
