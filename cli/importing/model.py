"""What an import works with: rows and their fates, what the ledger knows, and the plan for each batch. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from adapters.exports import Effective, Period, Record, UnitRow

TERMINAL: Final = frozenset({"RETIRED", "USED", "CANCELLED", "CONVERTED", "ENDED"})
"""States of which an export cannot tell one from another for sure; see `keeling.units.TERMINAL`."""
LIVE: Final = frozenset({"FREE", "HELD", "INSTRUCTED"})


class Fate(StrEnum):
    """What became of one row. Its class in the report follows from it."""

    NEW = "new"
    """Some of its units were not on the ledger."""
    CHANGED = "changed"
    """All were, some in another state."""
    LABELLED = "labelled"
    """All were, in this state; labels are new."""
    KNOWN = "known"
    OLDER = "older"
    """The ledger has later news of some of its units than the file can have; the rest it has too."""
    CONTRADICTS = "contradicts"
    """The ledger has some of its units in a state that an export cannot change; both sides are recorded."""
    EVIDENCE = "evidence"
    DUPLICATE = "duplicate"
    REFUSED = "refused"


ROW_CLASS: Final[Mapping[Fate, str]] = {
    Fate.NEW: "lot",
    Fate.CHANGED: "lot",
    Fate.LABELLED: "lot",
    Fate.KNOWN: "lot",
    Fate.OLDER: "lot",
    Fate.CONTRADICTS: "lot",
    Fate.EVIDENCE: "evidence",
    Fate.DUPLICATE: "duplicate",
    Fate.REFUSED: "refused",
}


class SourceRow(NamedTuple):
    """A record and the file it stands in."""

    file: int
    """Which of the files of the run, from 0."""
    record: Record


class UnitSource(NamedTuple):
    """A `SourceRow` whose record names units."""

    file: int
    record: UnitRow


class Verdict(NamedTuple):
    """A row's fate, and for a refusal why."""

    fate: Fate
    reason: str = ""
    detail: str = ""


class KnownLot(NamedTuple):
    """A lot on the ledger, or a part of one under the same marks, in numbers of its space."""

    first: int
    last: int
    state: str
    account: str
    labels: frozenset[str] = frozenset()
    """Labels that cover all of it."""
    said: str = ""
    """The state its registry is recorded to show instead, if that is an open contradiction."""
    whole: tuple[int, int] = (0, 0)
    """First and last number of the whole lot on the ledger; equal to each other and 0 for one that is only planned."""
    as_of: str = ""
    """The day (YYYY-MM-DD) up to which the ledger's knowledge of its state reaches, where that is known: of the export
    that said it, or on which the state began."""


class Stranger(NamedTuple):
    """Numbers in the span of our rows that belong to another batch of the space."""

    batch: str
    first: int
    last: int


class KnownBatch(NamedTuple):
    """What the ledger has of a batch a file speaks of. `first` > `last`: it has no such batch."""

    first: int = 1
    last: int = 0
    base: int = 0
    exact: bool = False
    unseen: int = 0
    """Units inside the extent that nobody has shown."""
    lots: tuple[KnownLot, ...] = ()
    """Those that share a number with the rows, at least."""
    assumed: bool = False
    """How many units there are is known; that they count from 1 is assumed until a number proves it."""
    strangers: tuple[Stranger, ...] = ()
    registry: str = ""
    """Its registry of record, which is another than the file's where a file tells of several (CDOP, CAD Trust)."""

    @property
    def exists(self) -> bool:
        return self.first <= self.last


class Seen(NamedTuple):
    """One observation to hand in, in numbers of the space."""

    first: int
    last: int
    state: str
    """A name of `Observation.Status`."""
    effective: Effective | None
    issued: Effective | None
    labels: tuple[str, ...]
    destination: str = ""
    """Where the source says the tonnes live on: opens a proposal."""
    because: str = ""


class About(NamedTuple):
    """What the rows of a batch say of it, for its issue on the ledger: facts of the best row for each."""

    project: str
    programme: str
    space: str
    serial_form: str
    host: str
    issued: Effective | None
    vintage: Period | None
    grain: str


class BatchPlan(NamedTuple):
    """What to hand in for one batch, and what came of its rows. Verdicts and observations may be kept elsewhere."""

    key: str
    about: About
    first: int
    last: int
    """The extent the batch will have."""
    exists: bool
    has_news: bool
    """Something was observed that the ledger does not have."""
    becomes_exact: bool
    assumes_numbers: bool
    was_exact: bool
    unseen_before: int
    unseen_after: int
    lots_split: int
    """Lots of the ledger that will be cut because a part of them changed."""
    units: Mapping[str, int]
    """Units by what happens to them: "new", "changed", "known", "older", "contradicts"."""
    verdicts: tuple[Verdict, ...] = ()
    """Of each row, in the order given; empty where they were laid down as they came."""
    issued: tuple[Seen, ...] = ()
    """What rows that show a whole issuance say; handed in before `shown`."""
    shown: tuple[Seen, ...] = ()

    @property
    def is_news(self) -> bool:
        return self.has_news or self.becomes_exact
