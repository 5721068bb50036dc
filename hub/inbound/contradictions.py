"""An end that contradicted the ledger and is taken back by its registry: the restriction for it is lifted.

The registry says now what the ledger always said. Everything else is lifted by people. News that is read again undoes
nothing that came after it: what it lifted once says so for ever, and a later contradiction is not its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from google.protobuf.message import Message

from adapters.contract import Change
from hub.dispatch.wording import join_ranges
from hub.inbound.refusals import Why
from hub.inbound.taken import (
    TEXT_MAX,
    Ledger,
    Outcome,
    Taken,
    find_latest,
    refuse,
    word_attestations,
    word_evidence,
)
from hub.ledger_client import NotOnLedger
from hub.reconcile.classes import ENDED_HERE, LIVE_HERE
from hub.restrictions import cut
from hub.units import Part
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op

_BACK_MAX: Final = 200
"""Events between an attestation and the last discrepancy it opened that are read through."""


class _Found(NamedTuple):
    item: pb.DiscrepancyInfo
    common: list[op.Range]
    """What of the units it is about."""
    reference: str
    """The registry's, of what it said; empty: not known."""
    said_ms: int
    """When what it said took effect there."""


class Contradictions:
    """Lifts them. For one event loop."""

    def __init__(self, ledger: Ledger, keep: Callable[[bytes], bytes]) -> None:
        self._ledger, self._keep = ledger, keep

    async def lift(self, registry: str, change: Change, parts: Sequence[Part], grade: str) -> Taken | None:
        """Lift what the event restricted that is taken back. None: none did, or some of the units are not live here.

        By its reference; a registry may give the reversal one of its own: then the one contradiction is meant that
        lies on the units, and is not younger.
        """
        if any(part.state not in LIVE_HERE for part in parts):
            return None
        found = await self._find(parts)
        reason = f"{change.id}: the registry took it back"[:TEXT_MAX]
        if any(_read_reason(each.item) == reason for each in found):
            return Taken(change.id, Outcome.KNOWN)
        named = [each for each in found if change.reference and each.reference == change.reference]
        standing = [each for each in found if each.item.restricted]
        wanted = [each for each in named if each.item.restricted]
        if not named and len(standing) == 1 and 0 < standing[0].said_ms <= find_latest(change):
            wanted = standing
        if not wanted:
            return Taken(change.id, Outcome.KNOWN) if named else None
        evidence = word_evidence(self._keep, change, grade)
        lifted: list[Message] = [
            op.Unrestrict(
                restriction=f"discrepancy/{each.item.place.height}.{each.item.place.ordinal}",
                ranges=join_ranges(each.common),
                reason=reason,
                evidence=evidence,
            )
            for each in wanted
        ]
        ranges = join_ranges(part.range for part in parts)
        said = word_attestations(self._keep, registry, change, ranges, op.Observation.ACTIVE, grade)
        receipt = await self._ledger.submit(*said, *lifted, attests=True)
        if not receipt.accepted:
            return refuse(change, Why.LEDGER_REFUSED, f"{receipt.reason}: {receipt.detail}")
        return Taken(change.id, Outcome.LIFTED)

    async def _find(self, parts: Sequence[Part]) -> list[_Found]:
        """What was ever contradicted of these units by a word that they had ended."""
        found = []
        for item in await self._ledger.discrepancies(open_only=False):
            common = [each for each in (cut(part.range, item.range) for part in parts) if each.units]
            if common and item.claimed in (*ENDED_HERE, "CONVERTED"):
                word = await self._find_word(item)
                facts = {fact.name: fact.value for fact in word.facts} if word is not None else {}
                said = int(word.effective.ms or word.time_ms) if word is not None else 0
                found.append(_Found(item, common, facts.get("reference", ""), said))
        return found

    async def _find_word(self, item: pb.DiscrepancyInfo) -> pb.Event | None:
        """The attestation that opened the discrepancy: the one before it at its height."""
        for ordinal in range(item.place.ordinal - 1, max(item.place.ordinal - _BACK_MAX, 0) - 1, -1):
            try:
                event = await self._ledger.event_at(item.place.height, ordinal)
            except NotOnLedger:
                return None
            if event.kind == "ATTESTED":
                return event
        return None


def _read_reason(item: pb.DiscrepancyInfo) -> str:
    """Why it was closed; empty: it stands, or that is not known."""
    closed = item.closed if item.HasField("closed") else pb.Event()
    return next((fact.value for fact in closed.facts if fact.name == "reason"), "")
