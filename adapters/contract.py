"""The contract of an adapter: one outside registry as the hub sees it: instruct, ask, hear changes, list holdings.

Everything here is a plain value. An adapter turns them into one registry's language and back: a pure mapping beside a
thin driver that talks. Errors are answers, never exceptions: whatever a registry or the line to it does, the hub gets
one of the values below and decides; adapters do not repeat, wait or guess. What is known of the ledger, of holds and of
when to send again is in `hub.dispatch`; what a registry can do, in `adapters.capabilities`; export files have their own
contract, `adapters.exports`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from adapters.capabilities import Action, Capabilities, LookUp
from keeling.serials import SerialRange

# -- what is said to it


class Instruction(NamedTuple):
    """One message to a registry. The same for every attempt, so that its bytes are the same."""

    key: str
    """`[\\w-]{1,64}`, bare: the hold's id in hex, with "-2", "-3" … for further messages of the same hold."""
    action: Action
    account: str
    """The registry account the units are in."""
    lots: tuple[SerialRange, ...]
    to_account: str = ""
    answers: str = ""
    """ACCEPT, DECLINE, WITHDRAW: the registry's reference of what is answered or taken back."""
    details: Mapping[str, str] = {}
    """Words for the registry and nobody else (`beneficiary`, `purpose`, …): never logged, never on the ledger."""

    @property
    def units(self) -> int:
        """All units asked for."""
        return sum(lot.units for lot in self.lots)


def split_instruction(whole: Instruction, lots_max: int) -> tuple[Instruction, ...]:
    """Cut an instruction into messages of at most `lots_max` ranges, each with a key of its own; the first keeps it."""
    cuts = [whole.lots[at : at + lots_max] for at in range(0, len(whole.lots), lots_max)] or [()]
    return tuple(
        whole._replace(key=whole.key if at == 0 else f"{whole.key}-{at + 1}", lots=lots) for at, lots in enumerate(cuts)
    )


class Question(NamedTuple):
    """What became of an instruction? Asked by everything that is known of it."""

    instruction: Instruction
    references: tuple[str, ...] = ()
    """What the registry itself called it, if it ever answered."""
    sent_ms: int = 0
    """When it was first dispatched, or earlier: nothing older can be it."""


class UnsendableError(ValueError):
    """`compose` cannot say this instruction in the registry's language; the text says why. Nothing was dispatched."""


# -- what it answers


class Moment(NamedTuple):
    """When something took effect there: milliseconds since 1970 UTC; not `exact`: only the day is known."""

    ms: int
    exact: bool = True


class Report(NamedTuple):
    """What the registry says of an instruction now. Units asked for are done, refused or pending, each exactly once."""

    reference: str
    """The registry's own id for it; empty: none yet."""
    done: tuple[SerialRange, ...]
    """Units it really used, effective there."""
    pending_units: int
    """Units it may still do."""
    refused_units: int = 0
    """Units it will not do, for good."""
    reason: str = ""
    effective: Moment | None = None
    due_ms: int = 0
    """When it says it will decide; 0: it does not say."""
    undone: bool = False
    """It took back what it had done: `done` names what was taken back."""
    unseen: bool = False
    """Nothing it lets us read shows what becomes of the pending units. What shows none of them when its settling time
    is over was not done: the same inference by which a look-up that finds nothing lets an instruction be sent again."""
    evidence: bytes = b""
    """The answer as received, personal data removed: kept and hashed."""

    @property
    def done_units(self) -> int:
        return sum(part.units for part in self.done)


class Refused(NamedTuple):
    """No, and nothing happened. `final`: the registry's decision on these units; else our message or rights are wrong
    and a person must look."""

    reason: str
    final: bool
    evidence: bytes = b""


class NothingFound(NamedTuple):
    """It knows of no such instruction, looked up `by` these ways, as its books were at `as_of_ms` (0: now)."""

    by: frozenset[LookUp]
    evidence: bytes
    as_of_ms: int = 0


class Throttled(NamedTuple):
    """Too much was asked; nothing happened. `retry_after_ms` as it says, else None."""

    retry_after_ms: int | None
    detail: str = ""


class Unauthorised(NamedTuple):
    """It does not accept our credentials; nothing happened. Some registries say this when they throttle."""

    detail: str


class Unavailable(NamedTuple):
    """It cannot be reached or is closed, and certainly did nothing. `retry_after_ms`: as it says, or None."""

    detail: str
    retry_after_ms: int | None = None


class WrongShape(NamedTuple):
    """It answered something that is not its language (a page of HTML, an impossible total): believe none of it."""

    detail: str
    evidence: bytes = b""


class Unknown(NamedTuple):
    """The message may have arrived and had its effect; only asking can tell."""

    detail: str
    answered: bool = False
    """The registry did answer, but with no word by which it is known to say yes or no: the line to it works, and a
    person should read what it says."""


Trouble = Throttled | Unauthorised | Unavailable | WrongShape
"""Why a question has no answer. To an instruction, WrongShape means as little as Unknown: it may have had effect."""
Answer = Report | Refused | Throttled | Unauthorised | Unavailable | WrongShape | Unknown
"""To `instruct`."""
Found = Report | NothingFound | Refused | Throttled | Unauthorised | Unavailable | WrongShape
"""To `ask`. Refused: the registry remembers the instruction and its no."""


class ChangeKind(StrEnum):
    """What happened at the registry."""

    ISSUED = "issued"
    ACTIVE = "active"
    TRANSFERRED = "transferred"
    RETIRED = "retired"
    CANCELLED = "cancelled"
    USED = "used"
    ENDED = "ended"
    BLOCKED = "blocked"
    UNBLOCKED = "unblocked"
    BUFFERED = "buffered"
    CONVERTED = "converted"
    PENDING = "pending"
    REVERSED = "reversed"
    """An end was taken back; `reference` names the event that ended the units."""
    PROPOSED = "proposed"
    """Another account proposes something; answer with ACCEPT or DECLINE."""
    NOTICE = "notice"


class Change(NamedTuple):
    """One event of the registry's own, as it tells it. Events may come twice, in any order: `id` tells them apart."""

    id: str
    kind: ChangeKind
    at_ms: int
    """When the registry recorded it."""
    serials: SerialRange | None = None
    account: str = ""
    to_account: str = ""
    reference: str = ""
    key: str = ""
    """Our key, where the registry gives it back."""
    effective: Moment | None = None
    details: Mapping[str, str] = {}
    """What the event says besides, by names of the registry's own, and these: `units`, as a number beside the serials.
    ISSUED: `programme`, `project`, `host` (ISO 3166-1 alpha-3), `vintage` (a year, or two days with a slash), where the
    serials do not say it; `whole`: "yes" where these units are all of one issuance, then also `levy adaptation` and
    `levy omge`, units taken from the lowest numbers on. `state`: "pending" of units that nobody may use yet, "active"
    of those that just became usable."""
    evidence: bytes = b""
    due_ms: int = 0
    """PROPOSED: when it ends without an answer; 0: the registry does not say."""
    answers: str = ""
    """PROPOSED: what `Instruction.answers` must name; empty: the reference."""


class Changes(NamedTuple):
    """Events after a cursor, oldest first. `more`: ask again at once. Reading from a cursor twice gives the same."""

    items: tuple[Change, ...]
    cursor: str
    more: bool
    as_of_ms: int
    unread: tuple[str, ...] = ()
    """Events left out because what they say cannot be understood, one line each: a person must look."""


class HoldingState(StrEnum):
    """How the registry shows units."""

    ACTIVE = "active"
    BLOCKED = "blocked"
    PENDING = "pending"
    BUFFER = "buffer"
    RETIRED = "retired"
    CANCELLED = "cancelled"
    USED = "used"
    ENDED = "ended"
    CONVERTED = "converted"


class Holding(NamedTuple):
    """A range of units in one account and state, in the registry's books."""

    serials: SerialRange
    account: str
    state: HoldingState
    reference: str = ""


class Holdings(NamedTuple):
    """A page of the registry's books. `next_page` empty: the last. `stated_units`: the total it claims, if it does."""

    rows: tuple[Holding, ...]
    next_page: str
    as_of_ms: int
    stated_units: int | None = None
    unread: tuple[str, ...] = ()
    """Rows left out because what they say cannot all be true, one line each: these units are not missing."""


class Adapter(Protocol):
    """One registry through one driver. Safe for concurrent calls; the hub alone limits how often it is called."""

    @property
    def name(self) -> str:
        """The registry's key: "puro"."""

    @property
    def driver(self) -> Driver:
        """By which driver; printed with every answer."""

    @property
    def capabilities(self) -> Capabilities:
        """Fixed while the adapter is open."""

    def compose(self, instruction: Instruction) -> bytes:
        """Return exactly the body that will be sent; its SHA-256 is final on the ledger first.

        Pure. Raises `UnsendableError`.
        """

    def expects(self, instruction: Instruction, at_ms: int) -> int:
        """Return when an outcome may be expected if it is sent at `at_ms`. Pure; a forecast, never a rule."""

    async def instruct(self, instruction: Instruction) -> Answer:
        """Send one message once. Never repeats by itself."""

    async def ask(self, question: Question) -> Found:
        """Look the instruction up by all of `capabilities.looked_up_by`. Has no effect there."""

    async def changes(self, cursor: str) -> Changes | Trouble:
        """Return events after `cursor` (empty: from the first one kept)."""

    async def snapshot(self, page: str = "") -> Holdings | Trouble:
        """Return a page of all units the registry shows in the accounts it lets us see."""

    def read_notice(self, body: bytes) -> tuple[Change, ...] | WrongShape:
        """Read what the registry pushed, whose signature was checked before. Pure; never raises."""

    async def close(self) -> None:
        """Let go of connections."""


# -- which systems there are


class Driver(StrEnum):
    """How an adapter reaches its system."""

    FILE = "file"
    SANDBOX = "sandbox"
    LIVE = "live"


class Basis(NamedTuple):
    """One thing an adapter relies on. `source` empty: assumed, because nothing that could be read says it."""

    says: str
    source: str = ""


class Settings(NamedTuple):
    """What opening an adapter takes. Secrets are read at every call, so that they can be replaced while it runs."""

    base_url: str
    secret: Callable[[str], str]
    """A credential by its name ("key-id"); empty: there is none."""
    accounts: tuple[str, ...] = ()
    """The registry accounts that are ours."""
    timeout_ms: int = 20_000
    """The longest a call takes; and `instruct`, until its message has left: who sends again counts on that."""


class System(NamedTuple):
    """One outside system: its name and how honest its drivers are."""

    name: str
    title: str
    drivers: tuple[Driver, ...]
    basis: tuple[Basis, ...]
    """What the sandbox and live drivers rely on."""
    secrets: tuple[str, ...]
    """Names of the credentials that the live driver needs."""
    open: Callable[[Driver, Settings], Adapter] | None
    """None: files only."""

    @property
    def marks(self) -> str:
        """Return "facts 12, assumed 3"."""
        assumed = sum(1 for item in self.basis if not item.source)
        return f"facts {len(self.basis) - assumed}, assumed {assumed}"


SAFE_KEY: Final = r"[\w-]{1,64}"
"""What every key of ours matches: the strictest form known (Puro)."""
