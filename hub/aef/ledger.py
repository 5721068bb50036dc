"""What a ledger's events say about Article 6, gathered for reports. Pure: the same events give the same picture.

Reports are made from this in `build`. Rules are not here: the node derived every action and refused what may not be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from keeling.encoding import Ref
from keeling.events import Event, EventKind
from keeling.operations import Party, SetRecord, When

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RENUMBERED: Final = "renumbered"
"""Fact of an EXTENDED event: "100 0" if the unit at position 100 turned out to be the one at position 0."""


class Logged(NamedTuple):
    """An event with its place on the ledger and the ledger's time then (milliseconds since 1970)."""

    place: Ref
    time_ms: int
    event: Event


class Authorization(NamedTuple):
    """One version of an authorization."""

    name: str
    version: int
    date: When
    facts: Mapping[str, str]

    @property
    def entities(self) -> tuple[Mapping[str, str], ...]:
        """Authorized entities, in their order."""
        found: dict[int, dict[str, str]] = {}
        for name, value in self.facts.items():
            parts = name.split(".")
            if len(parts) == 3 and parts[0] == "entity":
                found.setdefault(int(parts[1]), {})[parts[2]] = value
        return tuple(found[i] for i in sorted(found))


class Action(NamedTuple):
    """One action, without what was reversed of it. `given` and `got` are the Parties' own times of a transfer."""

    place: Ref
    kind: str
    first_transfer: bool
    authorization: str
    version: int
    when: When
    given: When
    got: When
    facts: Mapping[str, str]
    skip: int
    units: int

    @property
    def from_party(self) -> str:
        return self.facts.get("from_party", "")

    @property
    def to_party(self) -> str:
        return self.facts.get("to_party", "")

    def number(self, name: str) -> int:
        """`first_id` or `first_unit` of this part."""
        return int(self.facts[name]) + self.skip


class Submitted(NamedTuple):
    """A version of a report that was submitted: its date, its document, and where the ledger stood then."""

    version: str
    date: When
    document: str
    place: Ref


class _Renumbered(NamedTuple):
    """Since this place a unit of the batch is known to have another number than was assumed before."""

    place: Ref
    batch: str
    old: int
    new: int


class Picture(NamedTuple):
    """Everything reports are made of."""

    parties: Mapping[str, Mapping[str, str]]
    authorizations: tuple[Authorization, ...]
    actions: tuple[Action, ...]
    submitted: Mapping[tuple[str, int], tuple[Submitted, ...]]
    time_ms: int

    def authorization(self, name: str, version: int) -> Authorization:
        return next(a for a in self.authorizations if (a.name, a.version) == (name, version))


_RELEVANT: Final = frozenset(
    {
        EventKind.RECORD_SET,
        EventKind.AUTHORIZED,
        EventKind.AUTHORIZATION_AMENDED,
        EventKind.ITMO_ACTION,
        EventKind.ACTION_WITHDRAWN,
        EventKind.RECOGNISED,
        EventKind.ADJUSTMENT_REPORTED,
        EventKind.EXTENDED,
    }
)
"""Kinds of events a report is made of."""


def read_picture(genesis: Iterable[SetRecord], log: Iterable[Logged]) -> Picture:
    """Gather the records of the genesis file, then all events from the first block on, in order.

    `time_ms` is of the newest event that counts.
    """
    parties = {r.body.party: _party_facts(r.body) for r in genesis if isinstance(r.body, Party)}
    authorizations: list[Authorization] = []
    actions: dict[Ref, Logged] = {}
    withdrawn: dict[Ref, list[tuple[int, int]]] = {}
    recognised: dict[tuple[Ref, str], When] = {}
    submitted: dict[tuple[str, int], list[Submitted]] = {}
    renumbered: list[_Renumbered] = []
    time_ms = 0
    for item in log:
        event = item.event
        if event.kind not in _RELEVANT or (event.kind == EventKind.EXTENDED and not event.fact(_RENUMBERED)):
            continue
        facts = dict(event.facts)
        if event.kind == EventKind.RECORD_SET:
            if "party" not in facts:
                continue
            parties[facts["party"]] = facts
        elif event.kind in (EventKind.AUTHORIZED, EventKind.AUTHORIZATION_AMENDED):
            authorizations.append(Authorization(event.subject, int(facts["version"]), event.effective, facts))
        elif event.kind == EventKind.ITMO_ACTION:
            actions[item.place] = item
        elif event.kind == EventKind.ACTION_WITHDRAWN:
            part = (int(facts.get("skip", "0")), int(facts["units"]))
            withdrawn.setdefault(parse_place(facts["action"]), []).append(part)
        elif event.kind == EventKind.RECOGNISED:
            recognised[parse_place(facts["action"]), facts["side"]] = event.effective
        elif event.kind == EventKind.EXTENDED:
            old, new = facts[_RENUMBERED].split()
            renumbered.append(_Renumbered(item.place, event.subject, int(old), int(new)))
        elif facts["step"] == "REPORTED":
            made = Submitted(facts["version"], event.effective, facts.get("document", ""), item.place)
            submitted.setdefault((facts["party"], int(facts["year"])), []).append(made)
        time_ms = item.time_ms
    parts = [part for logged in actions.values() for part in _parts(logged, withdrawn, recognised)]
    found = [part for action in parts for part in _with_true_numbers(action, renumbered)]
    found.sort(key=lambda action: (action.when.ms, action.place, action.skip))
    kept = {key: tuple(items) for key, items in submitted.items()}
    return Picture(parties, tuple(authorizations), tuple(found), kept, time_ms)


def _party_facts(party: Party) -> Mapping[str, str]:
    """A Party's record as the event of a later version states it."""
    years = {"ndc_first_year": party.ndc_first_year, "ndc_last_year": party.ndc_last_year}
    stated = {name: str(year) for name, year in years.items() if year}
    return {"party": party.party, "itmo_registry": party.itmo_registry, **stated}


def parse_place(text: str) -> Ref:
    """`1200.4` as a place."""
    height, _, ordinal = text.partition(".")
    return Ref(int(height), int(ordinal))


def _parts(
    item: Logged,
    withdrawn: Mapping[Ref, list[tuple[int, int]]],
    recognised: Mapping[tuple[Ref, str], When],
) -> list[Action]:
    """The action without what was withdrawn: one part, or what is left around the gaps."""
    event = item.event
    facts = dict(event.facts)
    left, at, units = list[tuple[int, int]](), 0, int(facts["units"])
    for skip, size in sorted(withdrawn.get(item.place, [])):
        if skip > at:
            left.append((at, skip - at))
        at = max(at, skip + size)
    if at < units:
        left.append((at, units - at))
    given = recognised.get((item.place, "given"), event.effective)
    got = recognised.get((item.place, "got"), event.effective)
    first = facts.get("first_transfer") == "yes"
    version = int(facts["version"])
    return [
        Action(item.place, facts["action"], first, event.subject, version, event.effective, given, got, facts, *part)
        for part in left
    ]


def _with_true_numbers(action: Action, renumbered: Iterable[_Renumbered]) -> list[Action]:
    """The action, apart from it a unit whose serial number was assumed then and is known to be another since.

    Its ITMO number stays what it is; only the number of the underlying unit was never true.
    """
    for change in renumbered:
        at = change.old - int(action.facts.get("position", "0"))
        inside = action.facts.get("batch") == change.batch and action.skip <= at < action.skip + action.units
        if inside and action.place < change.place and "first_unit" in action.facts:
            first = int(action.facts["first_unit"]) + change.new - change.old
            unit = action._replace(facts={**action.facts, "first_unit": str(first)}, skip=at, units=1)
            before = action._replace(units=at - action.skip)
            after = action._replace(skip=at + 1, units=action.skip + action.units - at - 1)
            return [part for part in (before, unit, after) if part.units]
    return [action]


# -- moments as the tables print them


def to_moment(when: When) -> datetime:
    """A moment in UTC; a date is its midnight."""
    return _EPOCH + timedelta(milliseconds=when.ms)


def format_time(when: When) -> str:
    """`yyyy-mm-ddThh:mm:ss.sssZ`"""
    at = to_moment(when)
    return f"{at.year:04d}-{at.month:02d}-{at.day:02d}T{at:%H:%M:%S}.{when.ms % 1000:03d}Z"


def format_date(when: When) -> str:
    """`dd/mm/yyyy`"""
    at = to_moment(when)
    return f"{at.day:02d}/{at.month:02d}/{at.year:04d}"
