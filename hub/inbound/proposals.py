"""What other accounts propose to ours, and our own people wait to have approved, until a person or a rule answers.

A proposal is the registry's, and kept there: this is what its events have told since the hub started, and `read_all`
reads it again. Nothing is answered here: see `hub.dispatch.answering`. An event that is no proposal, about the same
transaction, ends it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from adapters.capabilities import Action
from adapters.contract import Change, ChangeKind, Changes, Trouble
from keeling.serials import SerialRange

if TYPE_CHECKING:
    from hub.inbound.polling import Source

RISK_MS: Final = 4 * 3_600_000
"""A proposal that ends so soon is shown as at risk."""
PAGES_MAX: Final = 10_000
ENDED_KEPT: Final = 10_000
"""Ended transactions that are remembered, the newest: news of them may still come in another order."""
RUN_OUT_KEPT_MS: Final = 24 * 3_600_000
"""How long one that ran out may still be answered: registries' clocks differ from ours."""


class Proposal(NamedTuple):
    """A transaction that waits for our yes or no."""

    registry: str
    reference: str
    """The registry's name of it."""
    identifier: str
    """What an answer names."""
    lots: tuple[SerialRange, ...]
    account: str
    to_account: str
    at_ms: int
    due_ms: int
    """When it ends without an answer; 0: the registry does not say."""
    request: str
    """The task that waits, where the registry has such; empty: none."""
    evidence: bytes

    @property
    def units(self) -> int:
        return sum(lot.units for lot in self.lots)

    def is_at_risk(self, now_ms: int) -> bool:
        """Whether it may end before somebody answers."""
        return bool(self.due_ms) and now_ms > self.due_ms - RISK_MS


class Rule(NamedTuple):
    """An answer somebody decided beforehand, for proposals that are like this."""

    name: str
    registry: str
    action: Action
    """ACCEPT or DECLINE."""
    accounts: frozenset[str]
    """Who proposes."""
    units_most: int

    def describe(self) -> str:
        """For the evidence of what it decides."""
        return f"at most {self.units_most} units, proposed by {' or '.join(sorted(self.accounts))}"

    def fits(self, proposal: Proposal) -> bool:
        mine = proposal.registry == self.registry and proposal.account in self.accounts
        return mine and proposal.units <= self.units_most


def find_rule(rules: Sequence[Rule], proposal: Proposal) -> Rule | None:
    """The first rule that fits; None: a person decides."""
    return next((rule for rule in rules if rule.fits(proposal)), None)


class Proposals:
    """The open ones, by registry and reference. For one event loop."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], Proposal] = {}
        self._ended: dict[tuple[str, str], None] = {}

    def take(self, registry: str, change: Change) -> bool:
        """Take news of a registry; True: it is a proposal that was not known. Any order, any number of times."""
        name = (registry, change.reference)
        if not change.reference:
            return False
        if change.kind is not ChangeKind.PROPOSED:
            if change.kind is not ChangeKind.NOTICE or name in self._open:
                self._end(name)
            return False
        if name in self._ended or change.serials is None:
            return False
        known = self._open.get(name)
        if known is None:
            self._open[name] = _read(registry, change)
        elif change.serials not in known.lots:
            lots = tuple(sorted((*known.lots, change.serials), key=lambda lot: (lot.space, lot.first)))
            self._open[name] = known._replace(lots=lots)
        return known is None

    def list_open(self, now_ms: int) -> list[Proposal]:
        """What waits for an answer and has not run out, the soonest to end first."""
        gone = [name for name, each in self._open.items() if each.due_ms and now_ms >= each.due_ms + RUN_OUT_KEPT_MS]
        for name in gone:
            del self._open[name]
        found = [each for each in self._open.values() if not each.due_ms or now_ms < each.due_ms]
        return sorted(found, key=lambda each: (each.due_ms or now_ms * 2, each.at_ms, each.reference))

    def find(self, registry: str, reference: str) -> Proposal | None:
        """An open proposal by its name."""
        return self._open.get((registry, reference))

    def close(self, proposal: Proposal) -> None:
        """It was answered, or its registry says that it is over."""
        self._end((proposal.registry, proposal.reference))

    def _end(self, name: tuple[str, str]) -> None:
        self._open.pop(name, None)
        self._ended.pop(name, None)
        self._ended[name] = None
        if len(self._ended) > ENDED_KEPT:
            del self._ended[next(iter(self._ended))]

    async def read_all(self, registry: str, source: Source) -> Trouble | None:
        """Read every event the registry still tells, after a start. Trouble: what stands in the way; ask later."""
        cursor = ""
        for _ in range(PAGES_MAX):
            page = await source.changes(cursor)
            if not isinstance(page, Changes):
                return page
            self.take_all(registry, page.items)
            cursor = page.cursor
            if not page.more:
                break
        return None

    def take_all(self, registry: str, changes: Iterable[Change]) -> None:
        """Several events, oldest first."""
        for change in sorted(changes, key=lambda each: each.at_ms):
            self.take(registry, change)


def _read(registry: str, change: Change) -> Proposal:
    serials = change.serials
    return Proposal(
        registry=registry,
        reference=change.reference,
        identifier=change.answers or change.reference,
        lots=() if serials is None else (serials,),
        account=change.account,
        to_account=change.to_account,
        at_ms=change.at_ms,
        due_ms=change.due_ms,
        request=change.details.get("request", ""),
        evidence=change.evidence,
    )
