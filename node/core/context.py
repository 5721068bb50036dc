"""One transaction in execution: where it stands, who signed it, and the events it causes.

Rules get a `Context` and change state through it; they never see signatures, only the keys that verified. Which
approvals an operation needs is in `node.core.authority`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from keeling.encoding import Ref
from keeling.events import CashMove, Event, EventKind, Move
from keeling.operations import Programme, Range, RegistryPolicy, When, WhenPrecision
from keeling.reasons import Reason
from keeling.units import Purpose
from node.core import tables as t
from node.core.limits import LOTS_BLOCK_MAX, LOTS_TOUCHED_MAX
from node.core.records import Account, Batch, Condition, Participant, RecordVersion, make
from node.core.refusal import Refused
from node.core.state import State

V = TypeVar("V")
_INSTANT: Final = int(WhenPrecision.INSTANT)


class Signer(NamedTuple):
    """A key that signed, resolved: whose it is, which person holds it, what it may do."""

    key: bytes
    participant: str
    person: str
    purposes: int


class Context:
    """Lives for one transaction (or one sweep). `events` collects what it causes, in order."""

    __slots__ = (
        "_first_event",
        "events",
        "height",
        "lots_allowed",
        "lots_touched",
        "ordinal",
        "participant",
        "signers",
        "state",
        "time_ms",
    )

    def __init__(
        self,
        state: State,
        height: int,
        time_ms: int,
        ordinal: int,
        first_event: int,
        participant: str,
        signers: tuple[Signer, ...],
        lots_allowed: int = LOTS_TOUCHED_MAX,
    ) -> None:
        self.state = state
        self.height = height
        self.time_ms = time_ms
        self.ordinal = ordinal
        self.participant = participant
        self.signers = signers
        self.events: list[Event] = []
        self.lots_touched = 0
        self.lots_allowed = lots_allowed
        self._first_event = first_event

    # -- events -----------------------------------------------------------------------------------------------------

    @property
    def next_ref(self) -> Ref:
        """The place the next event will have."""
        return make(Ref, (self.height, self._first_event + len(self.events)))

    def emit(
        self,
        kind: EventKind,
        subject: str,
        effective: When | None = None,
        moves: Iterable[Move] = (),
        cash: Iterable[CashMove] = (),
        facts: Mapping[str, object] | None = None,
        ranges: Iterable[Range] = (),
    ) -> Ref:
        """Record an event; without an effective time it is the block's own. Returns its place."""
        place = self.next_ref
        when = effective or make(When, (self.time_ms, _INSTANT))
        stated = (
            tuple([(name, str(value)) for name, value in facts.items() if value not in ("", None)]) if facts else ()
        )
        said = (kind, self.ordinal, subject, when, tuple(moves), tuple(cash), stated, tuple(ranges))
        self.events.append(make(Event, said))
        return place

    # -- how much work ----------------------------------------------------------------------------------------------

    def touch(self, lots: int) -> None:
        """Count lots that are looked at or moved; refuses what goes beyond this transaction's or its block's share."""
        self.lots_touched += lots
        if self.lots_touched <= self.lots_allowed:
            return
        if self.lots_touched > LOTS_TOUCHED_MAX:
            detail = f"the transaction touches more than {LOTS_TOUCHED_MAX} lots; split it, or name batches or ranges"
            raise Refused(Reason.TOO_MANY_LOTS, detail, limit=LOTS_TOUCHED_MAX)
        detail = (
            f"the block's {LOTS_BLOCK_MAX} lots are spent on transactions before this one; hand it in again as it is"
        )
        raise Refused(Reason.BLOCK_IS_FULL, detail, limit=LOTS_BLOCK_MAX)

    def look(self, rows: Iterable[V]) -> Iterator[V]:
        """The rows of a scan, each counted when it is reached."""
        for row in rows:
            self.touch(1)
            yield row

    # -- things that must exist -------------------------------------------------------------------------------------

    def account(self, name: str) -> tuple[int, Account]:
        """The open account called `name` and its number."""
        opened = self.state.concluded["open account"]
        found: tuple[int, Account] | None = opened.get(name)
        if found is None:
            found = opened[name] = self._open_account(name)
        return found

    def _open_account(self, name: str) -> tuple[int, Account]:
        number, account = self.any_account(name)
        if account.closed:
            raise Refused(Reason.ACCOUNT_CLOSED, f"account {name} is closed", account=name)
        if not account.owner:
            detail = f"{name} shows units nobody has claimed: link an account of yours and claim them"
            raise Refused(Reason.NOT_PERMITTED, detail, account=name)
        return number, account

    def any_account(self, name: str) -> tuple[int, Account]:
        number = self.state.get(t.ACCOUNT_NUMBERS, name)
        account = None if number is None else self.state.get(t.ACCOUNTS, number)
        if number is None or account is None:
            raise Refused(Reason.ACCOUNT_NOT_FOUND, f"no account is called {name!r}", account=name)
        return number, account

    def account_number(self, number: int) -> Account:
        found = self.state.get(t.ACCOUNTS, number)
        if found is None:
            raise LookupError(f"account number {number} is not in the state")
        return found

    def account_name(self, number: int) -> str:
        """What the account with a number that is in the state is called."""
        names = self.state.concluded["account name"]
        name: str | None = names.get(number)
        if name is None:
            name = names[number] = self.account_number(number).name
        return name

    def batch(self, name: str) -> tuple[int, Batch]:
        """The batch called `name` and its number."""
        number = self.find_batch(name)
        return number, self.batch_number(number)

    def find_batch(self, name: str) -> int:
        """The number of the batch called `name`."""
        numbers = self.state.concluded["batch number"]
        number: int | None = numbers.get(name)
        if number is None:
            number = self.state.get(t.BATCH_NUMBERS, name)
            if number is None:
                raise Refused(Reason.BATCH_NOT_FOUND, f"no batch is called {name!r}", batch=name)
            numbers[name] = number
        return number

    def batch_number(self, number: int) -> Batch:
        batches = self.state.concluded["batch"]
        found: Batch | None = batches.get(number)
        if found is None:
            found = batches[number] = self.state.get(t.BATCHES, number)
            if found is None:
                raise LookupError(f"batch number {number} is not in the state")
        return found

    def member(self, name: str) -> Participant:
        found = self.state.get(t.PARTICIPANTS, name)
        if found is None:
            raise Refused(Reason.PARTICIPANT_NOT_FOUND, f"no participant is called {name!r}", participant=name)
        return found

    def programme(self, name: str) -> Programme:
        """The programme record in force at ledger time."""
        version = self.version(name)
        if version is None or version.programme is None:
            raise Refused(Reason.PROGRAMME_NOT_FOUND, f"no programme has a record {name!r}", programme=name)
        return version.programme

    def registry(self, name: str) -> RegistryPolicy:
        """The registry's policy record in force at ledger time."""
        version = self.version(f"registry:{name}")
        if version is None or version.registry is None:
            raise Refused(Reason.REGISTRY_NOT_FOUND, f"registry {name!r} has no policy record", registry=name)
        return version.registry

    def version(self, record: str) -> RecordVersion | None:
        """The newest version of a record that is in force at ledger time; None where there never was a record."""
        in_force = self.state.concluded["version"]
        found: RecordVersion | None = in_force.get((record, self.time_ms))
        if found is None:
            found = in_force[record, self.time_ms] = self._find_version(record)
        return found

    def _find_version(self, record: str) -> RecordVersion | None:
        versions: tuple[RecordVersion, ...] = self.state.get(t.RECORDS, record) or ()
        for version in reversed(versions):
            ends = version.effective_to_ms
            if version.effective_from_ms <= self.time_ms and (ends == 0 or self.time_ms < ends):
                return version
        if versions:
            detail = f"none of {len(versions)} versions of {record} is in force at {self.time_ms}"
            raise Refused(Reason.RECORD_NOT_IN_FORCE, detail, record=record)
        return None

    def condition(self, subject: str) -> Condition | None:
        """Why `account:NAME` or `registry:NAME` does not work now; None when it does."""
        for _, found in self.state.scan(t.CONDITIONS, subject):
            if found.from_ms <= self.time_ms and (not found.until_ms or self.time_ms < found.until_ms):
                return found
        return None

    # -- who signed -------------------------------------------------------------------------------------------------

    def people(self, participant: str, purpose: Purpose, keys: Sequence[bytes] = ()) -> tuple[str, ...]:
        """The different people of a participant who signed with a key for `purpose` (one of `keys`, if any given)."""
        wanted = int(purpose)  # plain integers: an IntFlag's "&" costs more than all the rest of this loop
        if len(self.signers) == 1:
            key, whose, person, purposes = self.signers[0]
            return (person,) if whose == participant and purposes & wanted and (not keys or key in keys) else ()
        found: list[str] = []
        for signer in self.signers:
            if signer.participant != participant or not signer.purposes & wanted:
                continue
            if (not keys or signer.key in keys) and signer.person not in found:
                found.append(signer.person)
        return tuple(found)

    def signed_by(self, participant: str, purpose: Purpose) -> bool:
        return bool(self.people(participant, purpose))
