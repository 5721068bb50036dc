"""What Parties announce of international transfers becomes recognitions of the one action on the ledger.

Two announcements of a transfer, by its two Parties, are two facts about one action; the same announcement again is one
the ledger knows, so that any process may take any news in any order. What fits no action yet waits for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from google.protobuf.message import Message

from adapters.contract import Change
from hub.ledger_client import Receipt
from keeling.serials import SerialError, SerialRange, parse
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op

ANNOUNCED: Final = "Recognition"
"""The event of an Article 6 registry by which a Party recognises a transfer on its own side."""
ENDED_THERE: Final = "Authorization revoked"
"""The event by which a registry tells that a host's letter ended."""
_KNOWN: Final = "ALREADY_RECOGNISED"


class Ledger(Protocol):
    """What of `hub.ledger_client.LedgerClient` is needed."""

    @property
    def participant(self) -> str: ...

    async def authorities(self, party: str) -> Collection[str]: ...

    async def submit(self, *operations: Message, number: bytes | None = None, attests: bool = False) -> Receipt: ...

    def watch(self, after: tuple[int, int] | None, *, until_now: bool = False) -> AsyncIterator[pb.WatchResponse]: ...


class Outcome(StrEnum):
    """What became of an announcement."""

    RECOGNISED = "recognised"
    KNOWN = "known"
    WAITING = "waiting"
    """No transfer of these units by or to this Party is on the ledger yet."""
    PARTIAL = "partial"
    """It covers only a part of a transfer: a person must look."""
    REFUSED = "refused"
    ANOTHERS = "anothers"
    """Of a Party that we are no authority of: its own hub recognises it."""
    IN_FORCE = "in-force"
    """A letter that ended at the registry is in force on the ledger: its authority, which we are, revokes it there."""
    NOT_ONE = "not-one"
    """The event is no announcement of a transfer."""


class Taken(NamedTuple):
    """One announcement and what became of it; `detail` is the ledger's reason, or what does not fit."""

    change: str
    outcome: Outcome
    detail: str = ""


class Transfer(NamedTuple):
    """An international transfer on the ledger: an action, its units as ITMOs, and where they are in their batch."""

    height: int
    ordinal: int
    authorization: str
    parties: tuple[str, str]
    itmos: SerialRange
    units: op.Range


Locate = Callable[[SerialRange], Awaitable[Sequence[op.Range]]]
"""Where units a registry names are on the ledger: `Names.find`; nothing where it does not know them."""


class Recogniser:
    """Takes announcements for one ledger. For one event loop; what it keeps is read from the ledger again at need."""

    def __init__(self, ledger: Ledger, locate: Locate, keep: Callable[[bytes], bytes], grade: str) -> None:
        """`keep` puts a document on the shelf and returns its SHA-256; `grade` is that of the registry's answers."""
        self._ledger = ledger
        self._locate = locate
        self._keep = keep
        self._grade = grade
        self._transfers: list[Transfer] = []
        self._in_force: dict[str, str] = {}
        """The Party of each authorization that is in force."""
        self._cursor: tuple[int, int] | None = None

    async def take(self, changes: Iterable[Change]) -> list[Taken]:
        """Take announcements, each by itself. Raises `LedgerError` when the ledger does not answer."""
        await self._read_on()
        return [await self._take(change) for change in changes]

    async def _take(self, change: Change) -> Taken:
        if change.details.get("event") == ENDED_THERE:
            return await self._compare_letter(change)
        party = change.details.get("party", "")
        if change.details.get("event") != ANNOUNCED or change.serials is None or not party:
            return Taken(change.id, Outcome.NOT_ONE)
        authorities = await self._ledger.authorities(party)
        if authorities and self._ledger.participant not in authorities:
            return Taken(change.id, Outcome.ANOTHERS, f"{', '.join(sorted(authorities))} may recognise for {party}")
        known = [each for each in self._transfers if party in each.parties]
        whole, cut = match_transfers(known, change.serials, await self._locate(change.serials))
        if cut:
            places = ", ".join(f"{each.height}.{each.ordinal}" for each in cut)
            return Taken(change.id, Outcome.PARTIAL, f"it names some of the units of {places}, not all")
        if not whole:
            return Taken(change.id, Outcome.WAITING, f"no transfer of {party} with these units")
        found = [await self._recognise(change, party, each) for each in whole]
        worst = next((each for each in found if each.outcome is Outcome.REFUSED), None)
        return worst or next((each for each in found if each.outcome is Outcome.RECOGNISED), found[0])

    async def _compare_letter(self, change: Change) -> Taken:
        """A revocation is its authority's own act: nobody else's news makes it."""
        letter = change.details.get("authorization", "")
        party = self._in_force.get(letter, "")
        if not party or self._ledger.participant not in await self._ledger.authorities(party):
            return Taken(change.id, Outcome.NOT_ONE)
        detail = f"{letter} was revoked at the registry and is in force here: keeling authorize revoke"
        return Taken(change.id, Outcome.IN_FORCE, detail)

    async def _recognise(self, change: Change, party: str, transfer: Transfer) -> Taken:
        evidence = op.Evidence(digest=self._keep(change.evidence), grade=self._grade, reference=change.id)
        receipt = await self._ledger.submit(
            op.Recognise(
                authorization=transfer.authorization,
                height=transfer.height,
                ordinal=transfer.ordinal,
                party=party,
                at=op.When(ms=change.at_ms, precision=op.When.INSTANT),
                evidence=evidence,
            )
        )
        if receipt.accepted:
            return Taken(change.id, Outcome.RECOGNISED)
        if receipt.reason == _KNOWN:
            return Taken(change.id, Outcome.KNOWN)
        return Taken(change.id, Outcome.REFUSED, f"{receipt.reason}: {receipt.detail}")

    async def _read_on(self) -> None:
        """Learn of transfers and letters since the last time."""
        async for page in self._ledger.watch(self._cursor, until_now=True):
            for event in page.events:
                found = read_transfer(event)
                if found is not None:
                    self._transfers.append(found)
                if event.kind == "AUTHORIZED":
                    self._in_force[event.subject] = next((f.value for f in event.facts if f.name == "party"), "")
                elif event.kind == "AUTHORIZATION_REVOKED":
                    self._in_force.pop(event.subject, None)
            self._cursor = page.cursor.height, page.cursor.ordinal


def read_transfer(event: pb.Event) -> Transfer | None:
    """The international transfer an event of the ledger records, if it is one."""
    facts = {fact.name: fact.value for fact in event.facts}
    if event.kind != "ITMO_ACTION" or facts.get("action") != "TRANSFER":
        return None
    try:
        itmo = parse(facts["itmo"], "itmo")
        itmos = itmo._replace(first=int(facts["first_id"]), last=int(facts["last_id"]))
    except (SerialError, KeyError, ValueError):
        return None
    units = op.Range(batch=facts["batch"], first=int(facts["position"]), units=int(facts["units"]))
    parties = (facts["from_party"], facts["to_party"])
    return Transfer(event.place.height, event.place.ordinal, event.subject, parties, itmos, units)


def match_transfers(
    transfers: Iterable[Transfer], serials: SerialRange, ranges: Sequence[op.Range]
) -> tuple[list[Transfer], list[Transfer]]:
    """Which transfers are wholly among the units announced, and which only in part; by ITMO number or by unit."""
    whole: list[Transfer] = []
    cut: list[Transfer] = []
    for each in transfers:
        named = _shared(each.itmos.first, each.itmos.last, serials) if each.itmos.space == serials.space else 0
        last = each.units.first + each.units.units - 1
        held = sum(
            max(0, min(last, item.first + item.units - 1) - max(each.units.first, item.first) + 1)
            for item in ranges
            if item.batch == each.units.batch
        )
        units = max(named, held)
        if units:
            (whole if units == each.units.units else cut).append(each)
    return whole, cut


def _shared(first: int, last: int, serials: SerialRange) -> int:
    return max(0, min(last, serials.last) - max(first, serials.first) + 1)
