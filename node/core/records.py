"""The values of consensus state, one NamedTuple each, with their canonical encodings.

Keys and tables are in `node.core.tables`, rules in the modules that change them. Accounts and batches are named by text
outside and by small numbers (given in order of opening) inside, so that a lot is 41 bytes however long its names are.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final, NamedTuple, TypeVar

from keeling import encoding as e
from keeling.encoding import Codec, Ref, listing, optional, record
from keeling.operations import (
    CooperativeApproach,
    InitialReport,
    Levy,
    Party,
    Programme,
    RegistryPolicy,
    Rule,
    When,
)

_T = TypeVar("_T")
make: Final[Callable[[type[_T], tuple[Any, ...]], _T]] = tuple.__new__  # type: ignore[assignment]
"""A NamedTuple from all its fields in order, at half the price of calling it. For what every transaction makes."""

NO_HOLD: Final = bytes(16)
WHEN: Final = record(When, e.I64, e.U8)


class Participant(NamedTuple):
    name: str
    roles: tuple[str, ...]
    suspended: bool
    validator: bool


class Key(NamedTuple):
    """`retired` is the height at which the key stopped, 0 while it is active."""

    participant: str
    person: str
    purposes: int
    since: int
    retired: int


class ApprovalRule(NamedTuple):
    operations: tuple[int, ...]
    from_units: int
    approvals: int


class Policy(NamedTuple):
    approvers: tuple[bytes, ...]
    rules: tuple[ApprovalRule, ...]
    delay_ms: int
    incoming_approved: bool


class Link(NamedTuple):
    registry: str
    registry_account: str
    hub: str
    control: int


class Account(NamedTuple):
    """An account. A policy that was decided but is still delayed stands in `next_policy` until `next_from_ms`."""

    name: str
    owner: str
    parent: str
    policy: Policy
    next_policy: Policy | None
    next_from_ms: int
    link: Link | None
    closed: bool


class Condition(NamedTuple):
    """Why a link or a registry is not working, between two moments of ledger time (0: open). The key has its state."""

    from_ms: int
    until_ms: int
    reason: str


class Mandate(NamedTuple):
    grantee: str
    operations: tuple[int, ...]
    units_each: int
    units_left: int
    programme: str
    price_min: int
    price_max: int
    currency: str
    until_ms: int


class RecordVersion(NamedTuple):
    """One version of a governed record; exactly one body is present."""

    version: int
    source: str
    effective_from_ms: int
    effective_to_ms: int
    programme: Programme | None
    registry: RegistryPolicy | None
    rule: Rule | None
    party: Party | None = None
    approach: CooperativeApproach | None = None


class Project(NamedTuple):
    programme: str
    name: str
    host: str


class Batch(NamedTuple):
    """One issuance. Positions are `number - base`; the extent is `low` .. `high` inclusive, `seen` of it are lots.

    `restrictions` counts the restricted intervals, so that most movements need not look for any.
    """

    name: str
    programme: str
    project: str
    registry: str
    native: bool
    grain: str
    scheme: str
    space: str
    serial_form: str
    base: int
    low: int
    high: int
    exact: bool
    seen: int
    vintage_start: When
    vintage_end: When
    ndc_year: int
    host: str
    restrictions: int
    issued: Ref
    issued_at: When


class Space(NamedTuple):
    """The extent of a batch in its serial space, by serial number; its first number is the key."""

    batch: int
    last: int


class Lot(NamedTuple):
    """Positions of one batch in one account and one state. (height, ordinal) is the event that put them there."""

    units: int
    account: int
    state: int
    height: int
    ordinal: int
    hold: bytes

    @property
    def cause(self) -> Ref:
        return Ref(self.height, self.ordinal)


class Holding(NamedTuple):
    """The lot again, found by account: kept in step with it for selection and paging."""

    units: int
    height: int
    ordinal: int


class Total(NamedTuple):
    units: int
    lots: int


class Mark(NamedTuple):
    """A fact about positions from the key's first on, for `units`."""

    units: int
    value: str
    cause: Ref


class Piece(NamedTuple):
    batch: int
    first: int
    units: int


class Use(NamedTuple):
    kind: int
    year: int
    scheme: str
    entity: str


class Hold(NamedTuple):
    """A reservation. `pieces` are what it still holds, all of one registry of record; `phase` is one of `HoldPhase`."""

    account: int
    registry: str
    holder: str
    buyer: str
    purpose: int
    phase: int
    pieces: tuple[Piece, ...]
    units: int
    captured: int
    released: int
    expires_ms: int
    to_account: int
    beneficiary: bytes
    use: Use | None
    attempt: int
    instruction: bytes
    dispatched_ms: int
    hub: str
    mandate: str
    opened: Ref


class Decided(NamedTuple):
    """What an id was bound to: the place of its result, its transaction's digest, and the reason (0: accepted)."""

    height: int
    ordinal: int
    digest: bytes
    reason: int


class Claim(NamedTuple):
    """Units that one event ended, at this ledger time. `withdrawn` are the pieces that were reversed since."""

    account: int
    state: int
    pieces: tuple[Piece, ...]
    beneficiary: bytes
    ended_ms: int
    withdrawn: tuple[Piece, ...]


class Currency(NamedTuple):
    scale: int
    issued: int


class Notice(NamedTuple):
    kind: str
    by: str
    due: When | None
    open: bool


class Discrepancy(NamedTuple):
    """The ledger and a registry, or two claims, disagree about a range; both sides are kept.

    `since` is the event that put the units where the ledger has them: the other source.
    """

    piece: Piece
    ledger: str
    registry: str
    source: str
    since: Ref


class ProposalStatus(IntEnum):
    """How a twin proposal stands."""

    OPEN = 1
    ACCEPTED = 2
    DECLINED = 3
    BY_RULE = 4


class Proposal(NamedTuple):
    """An export says that these units live on at `destination`; `decided` is the event that closed it."""

    units: int
    destination: str
    because: str
    source: str
    status: int
    opened: Ref
    decided: Ref


class Anchored(NamedTuple):
    digest: bytes
    by: str
    at: Ref


class Attested(NamedTuple):
    """A registry's word as it was recorded: who vouches for it, and the event."""

    by: str
    digest: bytes
    at: Ref


class Author(NamedTuple):
    """An entry key's newest entry: numbers only grow, and the clocks of validators in force feed ledger time.

    The row of one that left stays, inactive, so that what it once signed can never make a block again.
    """

    number: int
    clock_ms: int
    active: bool = True


class Progress(NamedTuple):
    """The single row of totals: height, ledger time, how many accounts and batches there are.

    `worked` counts the blocks with work in them since the last one whose state is to be attested.
    """

    height: int
    time_ms: int
    accounts: int
    batches: int
    worked: int = 0


_TEXTS: Final = listing(e.TEXT)
_RULE: Final = record(ApprovalRule, listing(e.U16), e.U64, e.U32)
_POLICY: Final = record(Policy, listing(e.BYTES32), listing(_RULE), e.U64, e.BOOL)
_LINK: Final = record(Link, e.TEXT, e.TEXT, e.TEXT, e.U8)
_LEVY: Final = record(Levy, e.TEXT, e.U32, e.TEXT, e.BOOL, e.U8, e.U8, _TEXTS)
_PROGRAMME: Final = record(
    Programme, e.TEXT, e.BOOL, e.TEXT, e.TEXT, e.U8, e.BOOL, e.BOOL, listing(_LEVY), _TEXTS, e.U64, e.TEXT
)
_REGISTRY: Final = record(RegistryPolicy, e.TEXT, _TEXTS, _TEXTS, e.TEXT, e.U32, e.U64)
_PARTY: Final = record(Party, e.TEXT, e.TEXT, e.TEXT, _TEXTS, _TEXTS, e.U32, e.U32, e.U8)
_REPORT: Final = record(InitialReport, e.TEXT, e.BYTES, e.TEXT, optional(WHEN))
_APPROACH: Final = record(CooperativeApproach, e.TEXT, _TEXTS, e.U8, listing(_REPORT))
_VERSION: Final = record(
    RecordVersion,
    *(e.U32, e.TEXT, e.I64, e.I64, optional(_PROGRAMME), optional(_REGISTRY), optional(record(Rule, e.TEXT))),
    *(optional(_PARTY), optional(_APPROACH)),
)
_PIECE: Final = record(Piece, e.U32, e.U64, e.U64)
_USE: Final = record(Use, e.U8, e.U32, e.TEXT, e.TEXT)

PARTICIPANT: Final = record(Participant, e.TEXT, _TEXTS, e.BOOL, e.BOOL)
KEY: Final = record(Key, e.TEXT, e.TEXT, e.U32, e.U64, e.U64)
ACCOUNT: Final = record(Account, e.TEXT, e.TEXT, e.TEXT, _POLICY, optional(_POLICY), e.I64, optional(_LINK), e.BOOL)
CONDITION: Final = record(Condition, e.I64, e.I64, e.TEXT)
MANDATE: Final = record(Mandate, e.TEXT, listing(e.U16), e.U64, e.U64, e.TEXT, e.U64, e.U64, e.TEXT, e.I64)
VERSIONS: Final = listing(_VERSION)
PROJECT: Final = record(Project, e.TEXT, e.TEXT, e.TEXT)
BATCH: Final = record(
    Batch,
    *(e.TEXT, e.TEXT, e.TEXT, e.TEXT, e.BOOL, e.TEXT, e.TEXT, e.TEXT, e.TEXT, e.NATURAL),
    *(e.U64, e.U64, e.BOOL, e.U64, WHEN, WHEN, e.U32, e.TEXT, e.U32, e.REF, WHEN),
)
SPACE: Final = record(Space, e.U32, e.NATURAL)
LOT: Final = record(Lot, e.U64, e.U32, e.U8, e.U64, e.U32, e.BYTES16)
HOLDING: Final = record(Holding, e.U64, e.U64, e.U32)
TOTAL: Final = record(Total, e.U64, e.U32)
MARK: Final = record(Mark, e.U64, e.TEXT, e.REF)
HOLD: Final = record(
    Hold,
    *(e.U32, e.TEXT, e.TEXT, e.TEXT, e.U8, e.U8, listing(_PIECE), e.U64, e.U64, e.U64, e.I64),
    *(e.U32, e.BYTES, optional(_USE), e.U32, e.BYTES, e.I64, e.TEXT, e.TEXT, e.REF),
)
DECIDED: Final = record(Decided, e.U64, e.U32, e.BYTES32, e.U16)
CLAIM: Final = record(Claim, e.U32, e.U8, listing(_PIECE), e.BYTES, e.I64, listing(_PIECE))
CURRENCY: Final = record(Currency, e.U8, e.U64)
NOTICE: Final = record(Notice, e.TEXT, e.TEXT, optional(WHEN), e.BOOL)
DISCREPANCY: Final = record(Discrepancy, _PIECE, e.TEXT, e.TEXT, e.TEXT, e.REF)
PROPOSAL: Final = record(Proposal, e.U64, e.TEXT, e.TEXT, e.TEXT, e.U8, e.REF, e.REF)
ANCHORED: Final = record(Anchored, e.BYTES, e.TEXT, e.REF)
ATTESTED: Final = record(Attested, e.TEXT, e.BYTES, e.REF)
AUTHOR: Final = record(Author, e.U64, e.U64, e.BOOL)
PROGRESS: Final = record(Progress, e.U64, e.U64, e.U32, e.U32, e.U32)
NUMBER: Final[Codec[int]] = e.U32
AMOUNT: Final[Codec[int]] = e.U64
EMPTY: Final[Codec[bytes]] = e.BYTES
