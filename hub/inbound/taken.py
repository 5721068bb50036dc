"""What taking news is about: what became of an event, what of a ledger is needed, how evidence is worded. Values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from google.protobuf.message import Message

from adapters.contract import Change, ChangeKind, Moment
from hub.inbound.refusals import Refusal, Why
from hub.ledger_client import Receipt
from hub.units import Reader
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op

TEXT_MAX: Final = 200
"""Characters of a reason or a reference that go on the ledger."""
_DAY_MS: Final = 86_400_000
_MOMENT_MAX: Final = 2**53
ISSUANCES: Final = (ChangeKind.ISSUED, ChangeKind.BUFFERED)
"""News by which units may come into being; BUFFERED: straight into a buffer."""


class Outcome(StrEnum):
    """What became of one event."""

    DISPATCHED = "dispatched"
    """About a hold of ours: asked about, and recorded from the answer."""
    ISSUED = "issued"
    """Units that nobody here knew have come into being on the ledger."""
    ATTESTED = "attested"
    CONTRADICTED = "contradicted"
    """Recorded, and the ledger says otherwise: a discrepancy, the units are restricted."""
    REVERSED = "reversed"
    LIFTED = "lifted"
    """The registry took back, or ended, what units were restricted for; the restriction is gone."""
    KNOWN = "known"
    """The ledger says so already."""
    PROPOSED = "proposed"
    """A proposal nobody has answered: shown to people."""
    NOTED = "noted"
    """Nothing that the ledger records."""
    WAITING = "waiting"
    """About units that the ledger does not have, or cannot take over yet: kept, shown to people, tried again."""
    REFUSED = "refused"


class Taken(NamedTuple):
    """One event and what became of it."""

    change: str
    outcome: Outcome
    refusal: Refusal | None = None


class Ledger(Reader, Protocol):
    """What of `hub.ledger_client.LedgerClient` is needed."""

    @property
    def participant(self) -> str: ...

    async def programmes(self, registry: str) -> dict[str, op.Programme]: ...

    async def submit(self, *operations: Message, number: bytes | None = None, attests: bool = False) -> Receipt: ...

    async def batch(self, batch: str) -> pb.Batch: ...

    async def find_lots(self, space: str, first: int, last: int) -> pb.FindLotsResponse: ...

    async def account(self, account: str) -> pb.Account: ...

    async def accounts(self) -> list[pb.Account]: ...

    async def hold(self, hold: bytes) -> pb.HoldInfo: ...

    async def discrepancies(self, *, open_only: bool = True) -> list[pb.DiscrepancyInfo]: ...

    async def restriction_history(self, batch: str, prefix: str) -> pb.RestrictionHistory: ...

    async def event_at(self, height: int, ordinal: int) -> pb.Event: ...

    async def registry_policy(self, registry: str) -> op.RegistryPolicy: ...


class Hearer(Protocol):
    """What of the dispatcher is needed."""

    async def hear(self, registry: str, change: Change) -> bool: ...


def refuse(change: Change, why: Why, detail: str) -> Taken:
    """It is not taken, and why."""
    return Taken(change.id, Outcome.REFUSED, Refusal(why, detail))


def refuse_unsayable(change: Change) -> Taken | None:
    """A refusal for what cannot be written down anywhere: no name, half a character, a moment beyond all calendars."""
    texts = (change.id, change.account, change.to_account, change.reference, change.key, change.answers)
    try:
        "".join((*texts, *change.details, *change.details.values())).encode()
    except UnicodeEncodeError:
        return refuse(change, Why.WRONG_SHAPE, f"{ascii(change.id)[:80]} has half of a character in it")
    if not change.id:
        return refuse(change, Why.WRONG_SHAPE, "an event without a name cannot be told from another")
    moments = (change.at_ms, change.due_ms, change.effective.ms if change.effective is not None else 0)
    if not all(-_MOMENT_MAX <= ms <= _MOMENT_MAX for ms in moments):
        return refuse(change, Why.WRONG_SHAPE, f"{change.id[:80]} has a moment beyond all calendars")
    return None


def wait(change: Change, why: Why, detail: str) -> Taken:
    """It cannot be taken yet, and why."""
    return Taken(change.id, Outcome.WAITING, Refusal(why, detail))


def word_evidence(keep: Callable[[bytes], bytes], change: Change, grade: str) -> op.Evidence:
    """The event's document, kept, by its digest."""
    digest = keep(change.evidence or repr(change[:7]).encode())
    return op.Evidence(digest=digest, grade=grade, reference=(change.reference or change.id)[:TEXT_MAX])


def word_moment(moment: Moment | None) -> op.When | None:
    """When it took effect there, as the ledger writes it."""
    if moment is None:
        return None
    if moment.exact:
        return op.When(ms=moment.ms, precision=op.When.INSTANT)
    return op.When(ms=moment.ms - moment.ms % _DAY_MS, precision=op.When.DATE)


def find_latest(change: Change) -> int:
    """When it happened at the latest: of some registries only the day is known."""
    dated = change.effective is not None and not change.effective.exact
    return change.at_ms + (_DAY_MS - 1 if dated else 0)


def word_attestations(
    keep: Callable[[bytes], bytes],
    registry: str,
    change: Change,
    ranges: Sequence[op.Range],
    status: op.Observation.Status.ValueType,
    grade: str,
) -> list[op.Attest]:
    """The registry's word on ranges, named by its own id of the event."""
    evidence = word_evidence(keep, change, grade)
    return [
        op.Attest(
            registry=registry,
            attestation=change.id if place == 0 else f"{change.id}#{place + 1}",
            range=item,
            status=status,
            evidence=evidence,
            effective=word_moment(change.effective),
        )
        for place, item in enumerate(ranges)
    ]
