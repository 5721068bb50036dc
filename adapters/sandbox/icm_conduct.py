"""How sellers behave in exchange sessions: breaches by quarter, and bans that follow. What a breach is, is not here."""

from __future__ import annotations

from datetime import date
from typing import Final, NamedTuple

from adapters.icm.sessions import add_months, quarter_of


class Debarment(NamedTuple):
    """After so many breaches in one quarter, no orders for so many months. One breach: the stricter reading."""

    breaches_max: int = 3
    months: int = 6


class Breach(NamedTuple):
    """A seller offered more in a session than the registry held for it."""

    account: str
    session: date
    offered: int
    free: int


class Conduct:
    """Breaches in the order they were found, and bans by account."""

    def __init__(self, debarment: Debarment) -> None:
        self.debarment: Final = debarment
        self.found: list[Breach] = []
        self._until: dict[str, date] = {}

    def record(self, breach: Breach) -> date | None:
        """Note a breach; returns until when the account is barred, if this breach bars it."""
        self.found.append(breach)
        if self.breaches(breach.account, breach.session) < self.debarment.breaches_max:
            return None
        self._until[breach.account] = add_months(breach.session, self.debarment.months)
        return self._until[breach.account]

    def breaches(self, account: str, day: date) -> int:
        """How many in the quarter of that day."""
        quarter = quarter_of(day)
        return sum(1 for each in self.found if (each.account, quarter_of(each.session)) == (account, quarter))

    def debarred_until(self, account: str, day: date) -> date | None:
        """The first day on which the account may order again, if that is still to come."""
        until = self._until.get(account)
        return until if until is not None and day < until else None
