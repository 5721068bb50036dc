"""How hubs of a rehearsal die: at one of their doors, before what they asked for took effect or after, unheard.

A hub has a life. Everything it asks of ledger and registries goes through a `Door`; one of these calls is its last.
What else it had under way then takes effect or not, and nobody hears of it either: a dead hub does nothing any more.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

LEDGER_DOORS: Final = {"submit": "", "hold": "read the ledger", "find_lots": "read the ledger"}
ADAPTER_DOORS: Final = {"instruct": "send", "ask": "ask"}
_LASTS: Final = ("dispatch", "send", "ask", "capture", "release", "read the ledger")
_RARE: Final = frozenset({"release"})


class Killed(BaseException):
    """The process that made this call is gone. Nothing in a hub catches it."""


class Last(NamedTuple):
    """The call at which a hub dies."""

    door: str
    ordinal: int
    """At which call through that door, from 1."""
    after: bool
    """After it took effect: the answer is lost."""

    @property
    def words(self) -> str:
        return f"{self.door}, {'answer lost' if self.after else 'not done'}"


def choose_last(chance: random.Random, calls_most: int) -> Last:
    """By chance, at most so many calls away; fewer at a door that is seldom used."""
    door = chance.choice(_LASTS)
    most = max(1, calls_most // 10) if door in _RARE else calls_most
    return Last(door, 1 + chance.randrange(most), bool(chance.randrange(2)))


class Life:
    """One hub's. `died` is set once, by the call that was its last."""

    def __init__(self, last: Last | None) -> None:
        """None: it does not die."""
        self.died = False
        self._last = last
        self._calls: dict[str, int] = {}

    @property
    def last(self) -> Last | None:
        return self._last

    async def pass_through(self, door: str, make: Any, *arguments: Any, **named: Any) -> Any:
        """Make the call, unless this hub is dead, or dies of it. Raises `Killed`."""
        if self.died:
            raise Killed
        ordinal = self._calls[door] = self._calls.get(door, 0) + 1
        fatal = self._last is not None and (self._last.door, self._last.ordinal) == (door, ordinal)
        if fatal and self._last is not None and not self._last.after:
            self.died = True
            raise Killed
        answer = await make(*arguments, **named)
        if fatal:
            self.died = True
        if self.died:
            raise Killed
        return answer


class Door:
    """Something outside, as a mortal hub reaches it. `names`: its methods that are doors; empty: named by operation."""

    def __init__(self, outside: Any, life: Life, names: Mapping[str, str]) -> None:
        self._outside, self._life, self._names = outside, life, names

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._outside, name)
        if name not in self._names:
            return real

        async def call(*arguments: Any, **named: Any) -> Any:
            door = self._names[name] or type(arguments[0]).__name__.lower()
            return await self._life.pass_through(door, real, *arguments, **named)

        return call
