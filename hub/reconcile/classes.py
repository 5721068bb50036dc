"""What a difference between registry and ledger is: one class for every unit, whatever way the rows are cut. Pure.

Source: architecture §6.6 and §6 of the words; which states stand for each other follows the ledger's own rule for
attestations. What is done about a class is in `hub.reconcile.rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from hub.reconcile.join import TWICE, Row, Segment, join, untangle
from hub.restrictions import is_for_block, parse_stop


class Kind(StrEnum):
    """How registry and ledger differ on units."""

    IN_FLIGHT = "in flight"
    """Instructed, and not over: no break."""
    LATE = "late"
    """In flight for longer than was to be expected."""
    MISSING_HERE = "missing here"
    """The registry shows units in our account that no account of ours has here."""
    MISSING_THERE = "missing there"
    """The ledger has live units in a linked account whose registry does not show them."""
    UNREAD = "unread"
    """Like missing there, but rows of the registry's list could not be read, and these units may be in them."""
    STATE = "state"
    QUANTITY = "quantity"
    """The registry's row has more units than are known here of it."""
    OWNER = "owner"
    """The units are in another account."""
    OVERLAP = "overlap"
    """The registry shows the same units more than once."""
    TWIN = "twin"
    """One side says that the tonne lives under another identity, the other does not."""
    TO_LIFT = "to lift"
    """Both sides agree again, and what an earlier difference restricted still is."""


ENDED_HERE: Final = frozenset({"RETIRED", "USED", "CANCELLED", "ENDED"})
ENDED_THERE: Final = frozenset({"retired", "cancelled", "used", "ended"})
ELSEWHERE_HERE: Final = frozenset({"CONVERTED", "IMMOBILISED"})
BLOCKED_HERE: Final = "FREE, blocked"
"""Free units that are restricted because the registry blocked them: the ledger has no state for that."""
RESERVED_HERE: Final = "FREE, reserved"
"""Free units that are restricted for what the registry may block: a session, a revoked letter."""
LIVE_HERE: Final = frozenset(
    {"FREE", BLOCKED_HERE, RESERVED_HERE, "HELD", "INSTRUCTED", "BUFFER", "PENDING", "IMMOBILISED"}
)
LIVE_THERE: Final = frozenset({"active", "blocked", "pending", "buffer"})
INSTRUCTED: Final = "INSTRUCTED"
USABLE: Final = frozenset({"FREE", "HELD"})
"""What a registry that chooses serials may use instead of what it was told to: the ledger swaps them."""
AGREED: Final = frozenset(
    {("active", "FREE"), ("active", "HELD"), ("blocked", "HELD"), ("pending", "PENDING"), ("buffer", "BUFFER")}
    | {("blocked", BLOCKED_HERE), ("blocked", RESERVED_HERE), ("active", RESERVED_HERE)}
    | {(there, here) for there in ENDED_THERE for here in ENDED_HERE}
    | {("converted", "CONVERTED"), ("cancelled", "CONVERTED"), ("ended", "CONVERTED")}
    | {(there, "IMMOBILISED") for there in ("active", "blocked", "cancelled", "ended", "converted")}
)
"""Pairs of states (registry's, ledger's) that say the same. INSTRUCTED agrees with nothing: it is in flight."""


class Difference(NamedTuple):
    """Units of one class. `confirms`: the registry has done what the hold asked for, and it is not recorded yet."""

    space: str
    first: int
    last: int
    kind: Kind
    there: Row | None
    here: Row | None
    confirms: bool = False
    why: str = ""
    since_ms: int = 0
    """Since when it is so, as far as is known; 0: not known."""

    @property
    def units(self) -> int:
        return self.last - self.first + 1


class Compared(NamedTuple):
    """Every unit of both sides, in exactly one of these."""

    agreed_units: int
    ended_units: int
    """Ended here, and not listed there any more: many registries list only what is live."""
    others_units: int
    """In accounts that are not ours, and on no account of ours here."""
    differences: list[Difference]


def compare(there: Mapping[str, Iterable[Row]], here: Mapping[str, Iterable[Row]], ours: frozenset[str]) -> Compared:
    """Compare by serial space. `ours`: the accounts that are linked; rows of the registry's carry their names."""
    agreed = ended = others = 0
    differences: list[Difference] = []
    for space in sorted({*there, *here}):
        theirs = untangle(there.get(space, ()))
        joined = join(theirs, untangle(here.get(space, ())), AGREED)
        agreed += joined.agreed_units
        partly = _find_partly_known(theirs, joined.segments)
        for segment in joined.segments:
            kind = classify(segment.there, segment.here, ours)
            if kind is not None:
                if kind is Kind.MISSING_HERE and segment.there is not None and segment.there[:2] in partly:
                    kind = Kind.QUANTITY
                differences.append(_describe(space, segment, kind))
            elif segment.there is None:
                ended += segment.units
            else:
                others += segment.units
    return Compared(agreed, ended, others, differences)


def _find_partly_known(theirs: Iterable[Row], segments: Iterable[Segment]) -> set[tuple[int, int]]:
    """The registry's rows of which some units are on the ledger and some are not."""
    missing: dict[tuple[int, int], int] = {}
    for segment in segments:
        if segment.there is not None and segment.here is None:
            key = segment.there[0], segment.there[1]
            missing[key] = missing.get(key, 0) + segment.units
    if not missing:
        return set()
    return {(row[0], row[1]) for row in theirs if 0 < missing.get((row[0], row[1]), 0) < row[1] - row[0] + 1}


def classify(there: Row | None, here: Row | None, ours: frozenset[str]) -> Kind | None:
    """The class of units on which the sides do not agree; None: nothing is wrong with them."""
    if there is None:
        live = here is not None and here.state in LIVE_HERE
        if here is not None and here.state == INSTRUCTED:
            return Kind.IN_FLIGHT
        return Kind.MISSING_THERE if live else None
    if there.state == TWICE:
        return Kind.OVERLAP
    if here is None:
        if there.account not in ours:
            return None
        return Kind.MISSING_HERE
    if here.state == INSTRUCTED:
        return Kind.IN_FLIGHT if _is_step(there, here) else Kind.OWNER
    if here.state in ELSEWHERE_HERE and (there.state, here.state) not in AGREED:
        return Kind.TWIN
    if there.state == "converted" and here.state != "CONVERTED":
        return Kind.TWIN
    if (there.state, here.state) not in AGREED:
        return Kind.STATE
    return Kind.OWNER


def describe_free(restrictions: Iterable[str]) -> str:
    """The state of free units as it is compared, from the names of what restricts them."""
    for_block = [name for name in restrictions if is_for_block(name)]
    if any(parse_stop(name) for name in for_block):
        return BLOCKED_HERE
    return RESERVED_HERE if for_block else "FREE"


def _is_step(there: Row, here: Row) -> bool:
    """Whether this can be how the registry shows units it was told to move or end: still there, gone, or ended."""
    return there.account == here.account or there.state not in LIVE_THERE or not there.account


def _describe(space: str, segment: Segment, kind: Kind) -> Difference:
    there, here = segment.there, segment.here
    confirms = kind is Kind.IN_FLIGHT and there is not None and there.state in ENDED_THERE
    return Difference(space, segment.first, segment.last, kind, there, here, confirms)


def is_unasked_end(found: Difference) -> bool:
    """Whether units ended there that nobody instructed: of itself, or by an instruction to do so with others."""
    here, there = found.here, found.there
    if here is None or there is None or found.kind not in (Kind.STATE, Kind.IN_FLIGHT, Kind.LATE):
        return False
    return here.state in USABLE and there.state in ENDED_THERE


def is_waiting(found: Difference) -> bool:
    """Whether units are instructed and still live there: others may stand for them."""
    told = found.kind is Kind.IN_FLIGHT and found.here is not None and found.here.state == INSTRUCTED
    return told and not found.confirms and found.there is not None


def explain_other_serials(
    differences: Iterable[Difference], cannot: Callable[[Difference, Difference], bool] = lambda ended, waiting: False
) -> list[Difference]:
    """Where the registry chooses the serials: units that ended there while ours stand for them, told as in flight.

    Of each account at most as many units as are instructed and still live there, but for those whose instruction
    `cannot` be what ended the others; the rest stays a difference of state.
    """
    found = sorted(differences, key=lambda each: (each.space, each.first))
    waiting: dict[str, list[tuple[int, Difference]]] = {}
    for each in found:
        if is_waiting(each) and each.here is not None:
            waiting.setdefault(each.here.account, []).append((each.units, each))
    told: list[Difference] = []
    for each in found:
        rest: Difference | None = each
        if each.here is not None and is_unasked_end(each):
            left = waiting.get(each.here.account, [])
            place = len(left) - 1
            while place >= 0 and rest is not None:
                if not cannot(each, left[place][1]):
                    part, rest = _use_up(rest, each.here, left, place)
                    told.append(part)
                place -= 1
        if rest is not None:
            told.append(rest)
    return told


def _use_up(
    each: Difference, here: Row, waiting: list[tuple[int, Difference]], place: int
) -> tuple[Difference, Difference | None]:
    """The part of a difference that stands for units of a waiting hold, and what is left of it."""
    units, held = waiting.pop(place)
    taken = min(units, each.units)
    if taken < units:
        waiting.insert(place, (units - taken, held))
    why = "the registry may have used these serials for what it was told to do with others"
    said = here._replace(reference=held.here.reference if held.here is not None else "")
    part = each._replace(last=each.first + taken - 1, kind=Kind.IN_FLIGHT, here=said, confirms=True, why=why)
    return part, each._replace(first=each.first + taken) if taken < each.units else None
