"""The values of consensus state that Article 6 adds, one NamedTuple each, with their canonical encodings.

Keys and tables are in `node.core.tables`; rules in the other modules of this package.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

from keeling import encoding as e
from keeling.encoding import Codec, Ref, listing, optional, record
from keeling.operations import AuthorizationTerms, AuthorizedEntity, When

WHEN: Final = record(When, e.I64, e.U8)


class Side(IntEnum):
    """Who adjusts: the host adds what was first transferred, the user subtracts what it used (2/CMA.3 annex para 8)."""

    HOST = 1
    USER = 2


class ActionKind(IntEnum):
    """What was done with units under an authorization. Numbers are in state and never reused."""

    AUTHORIZE = 1
    ISSUE = 2
    TRANSFER = 3
    USE = 4
    CANCEL = 5
    LEVY_ADAPTATION = 6
    LEVY_OMGE = 7
    ADAPTATION = 8


class ScopeKind(IntEnum):
    """What an authorization may name as its scope."""

    BATCH = 1
    PROJECT = 2
    PROGRAMME = 3


class Authorization(NamedTuple):
    """An authorization as it stands. `covered` units came under it, `transferred` of them were first transferred."""

    party: str
    approach: str
    version: int
    revoked: bool
    covered: int
    transferred: int
    date: When


class ItmoRange(NamedTuple):
    """ITMO numbers from the key's on, for `units`: positions of a batch from `first` on."""

    batch: int
    first: int
    units: int


class AdjustmentKey(NamedTuple):
    """Where an adjustment stands: the Party and calendar year it adjusts, and the event that recorded it."""

    party: str
    year: int
    side: int
    height: int
    ordinal: int


class Action(NamedTuple):
    """What was done with one range. `given` and `got` are when each Party recognised a transfer, by its own word."""

    kind: int
    authorization: str
    version: int
    batch: int
    first: int
    units: int
    from_party: str
    to_party: str
    first_transfer: bool
    adjustments: tuple[AdjustmentKey, ...]
    given: When | None
    got: When | None


class Withdrawal(NamedTuple):
    """Units taken out of an adjustment, because what caused it was reversed."""

    units: int
    at: Ref
    effective: When


class Adjustment(NamedTuple):
    """`units` is what was triggered; withdrawals are kept beside it. `metric` is empty for tonnes of CO2 equivalent."""

    units: int
    metric: str
    authorization: str
    action: Ref
    effective: When
    withdrawn: tuple[Withdrawal, ...]


class Sum(NamedTuple):
    side: int
    metric: str
    units: int


class ActionYear(NamedTuple):
    """A year in which actions adjusted a Party-year, and the newest height at which one did."""

    year: int
    height: int


class PartyYear(NamedTuple):
    """The ledger of one Party and calendar year: its sums, never a balance."""

    sums: tuple[Sum, ...]
    actions: tuple[ActionYear, ...]
    final: Ref | None


class ReportStep(NamedTuple):
    """One step of a Party's annual report. `named` are the adjustments that alone are inconsistent; empty: all."""

    version: str
    step: int
    named: tuple[str, ...]
    digest: bytes
    date: When
    at: Ref


_TEXTS: Final = listing(e.TEXT)
_ENTITY: Final = record(AuthorizedEntity, *(e.TEXT,) * 7)
_ADJUSTMENT_KEY: Final = record(AdjustmentKey, e.TEXT, e.U16, e.U8, e.U64, e.U32)

TERMS: Final = record(
    AuthorizationTerms,
    *(_TEXTS, _TEXTS, _TEXTS, e.U32, e.U32, e.U8, e.U8, e.U64, e.U32, e.U32, _TEXTS, listing(_ENTITY)),
    *(e.BOOL, e.TEXT, e.TEXT, e.TEXT, e.TEXT, _TEXTS, _TEXTS, e.TEXT, e.TEXT),
)
AUTHORIZATION: Final = record(Authorization, e.TEXT, e.TEXT, e.U32, e.BOOL, e.U64, e.U64, WHEN)
ITMO_RANGE: Final = record(ItmoRange, e.U32, e.U64, e.U64)
ACTION: Final = record(
    Action,
    *(e.U8, e.TEXT, e.U32, e.U32, e.U64, e.U64, e.TEXT, e.TEXT, e.BOOL, listing(_ADJUSTMENT_KEY)),
    *(optional(WHEN), optional(WHEN)),
)
ADJUSTMENT: Final = record(
    Adjustment, e.U64, e.TEXT, e.TEXT, e.REF, WHEN, listing(record(Withdrawal, e.U64, e.REF, WHEN))
)
PARTY_YEAR: Final = record(
    PartyYear,
    listing(record(Sum, e.U8, e.TEXT, e.U64)),
    listing(record(ActionYear, e.U16, e.U64)),
    optional(e.REF),
)
REPORT: Final = listing(record(ReportStep, e.TEXT, e.U8, _TEXTS, e.BYTES, WHEN, e.REF))
PARTY_CODE: Final[Codec[str]] = e.TEXT
EMPTY: Final[Codec[bytes]] = e.BYTES
