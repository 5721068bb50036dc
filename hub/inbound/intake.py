"""What a registry's news becomes: an outcome of a hold, an attestation, a reversal, a restriction, or nothing.

The order is always the same: the dispatcher hears it first, because news about a hold of ours is asked about and never
attested; what the ledger already says is left alone; what contradicts it is recorded with both sides. The same news
again, in any order and by any process, changes nothing: every record is named by the registry's own id of its event.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Final

from google.protobuf.message import Message

from adapters.contract import Change, ChangeKind
from hub.dispatch.wording import join_ranges
from hub.inbound.elsewhere import is_asked_for
from hub.inbound.refusals import Refusal, Why
from hub.inbound.stops import Stops
from hub.inbound.taken import TEXT_MAX, Desk, Outcome, Taken, refuse, word_evidence, word_moment
from hub.ledger_client import NotOnLedger
from hub.reconcile.classes import ENDED_HERE, LIVE_HERE
from hub.restrictions import cut
from hub.units import Names, Part, Unnameable
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op

__all__ = ["Desk", "Intake", "Outcome", "Taken"]

_STATUSES: Final = {
    ChangeKind.ISSUED: op.Observation.ACTIVE,
    ChangeKind.ACTIVE: op.Observation.ACTIVE,
    ChangeKind.UNBLOCKED: op.Observation.ACTIVE,
    ChangeKind.RETIRED: op.Observation.RETIRED,
    ChangeKind.CANCELLED: op.Observation.CANCELLED,
    ChangeKind.USED: op.Observation.ENDED,
    ChangeKind.ENDED: op.Observation.ENDED,
    ChangeKind.BUFFERED: op.Observation.BUFFER,
    ChangeKind.CONVERTED: op.Observation.CONVERTED,
    ChangeKind.PENDING: op.Observation.PENDING,
}
_LIVES: Final = (ChangeKind.ISSUED, ChangeKind.ACTIVE, ChangeKind.UNBLOCKED, ChangeKind.REVERSED)
"""News after which units are live."""
_DAY_MS: Final = 86_400_000
_SKEW_MS: Final = 300_000
"""What a registry's clock may differ by from the ledger's: news of one time is no history."""
_WORDS: Final = (ChangeKind.PROPOSED, ChangeKind.NOTICE)
_ENDS: Final = (ChangeKind.RETIRED, ChangeKind.CANCELLED, ChangeKind.USED, ChangeKind.ENDED)
_STATES: Final = {
    op.Observation.ACTIVE: LIVE_HERE,
    op.Observation.RETIRED: ENDED_HERE,
    op.Observation.CANCELLED: ENDED_HERE,
    op.Observation.ENDED: ENDED_HERE,
    op.Observation.BUFFER: frozenset({"BUFFER"}),
    op.Observation.CONVERTED: frozenset({"CONVERTED"}),
    op.Observation.PENDING: frozenset({"PENDING"}),
}
"""States of units here that already say what the registry says."""
_BACK_MAX: Final = 200
"""Events between an attestation and the last discrepancy it opened that are read through."""


class Intake:
    """Takes news of all registries. For one event loop. Raises `LedgerError` when the ledger does not answer."""

    def __init__(self, desk: Desk) -> None:
        self.figures: dict[str, int] = {}
        self._desk = desk
        self._names = Names(desk.ledger)
        self._stops = Stops(desk.ledger, desk.keep)

    async def take(self, registry: str, changes: Sequence[Change], grade: str) -> list[Taken]:
        """Take events of one message, oldest first. One that is refused leaves the others unharmed."""
        ordered = sorted(changes, key=lambda each: each.at_ms)
        twice = _find_named_twice(ordered)
        # All proposals of a message first, in one go: a rule must not see one of which a part is still missing.
        proposed = {change.id for change in ordered if change.id not in twice and self._propose(registry, change)}
        taken = []
        for change in ordered:
            if change.id in twice:
                refusal = Refusal(Why.OVERLAPPING_RANGES, f"{change.id} names units that {twice[change.id]} names too")
                taken.append(Taken(change.id, Outcome.REFUSED, refusal))
            else:
                taken.append(await self._take(registry, change, grade, change.id in proposed))
        for each in taken:
            name = each.refusal.why.value if each.refusal is not None else each.outcome.value
            self.figures[name] = self.figures.get(name, 0) + 1
        return taken

    def _propose(self, registry: str, change: Change) -> bool:
        return self._desk.proposals is not None and self._desk.proposals.take(registry, change)

    async def _take(self, registry: str, change: Change, grade: str, proposed: bool) -> Taken:
        if await self._desk.dispatch.hear(registry, change):
            return Taken(change.id, Outcome.DISPATCHED)
        if proposed:
            return Taken(change.id, Outcome.PROPOSED)
        if change.serials is None or change.kind in _WORDS:
            return Taken(change.id, Outcome.NOTED)
        stated = change.details.get("units", "")
        if stated and stated != str(change.serials.units):
            detail = f"{change.id} says {stated[:40]} units, its serials are {change.serials.units}"
            return refuse(change, Why.QUANTITY_DISAGREES, detail)
        try:
            parts = await self._names.find([change.serials])
        except Unnameable as error:
            return refuse(change, await self._why_unknown(registry, change), str(error))
        for batch in sorted({part.range.batch for part in parts}):
            found = await self._desk.ledger.batch(batch)
            if found.registry != registry:
                detail = f"batch {batch} is of {found.registry or 'no registry'}, not of {registry}"
                return refuse(change, Why.FOREIGN_SERIALS, detail)
        if await is_asked_for(self._desk.ledger, change, parts):
            return Taken(change.id, Outcome.NOTED)
        if change.kind is ChangeKind.REVERSED:
            return await self._take_back(registry, change, parts, grade)
        if change.kind is ChangeKind.TRANSFERRED:
            return await self._stops.move(registry, change, parts, grade)
        if change.kind is ChangeKind.BLOCKED:
            return await self._stops.block(registry, change, parts, grade)
        lifted = None
        if change.kind is ChangeKind.UNBLOCKED:
            lifted = await self._stops.unblock(registry, change, parts, grade)
        taken = await self._attest(registry, change, parts, grade)
        return lifted if lifted is not None and taken.outcome is Outcome.KNOWN else taken

    async def _why_unknown(self, registry: str, change: Change) -> Why:
        """Whether the serials are even of this registry's scheme."""
        try:
            policy = await self._desk.ledger.registry_policy(registry)
        except NotOnLedger:
            return Why.UNKNOWN_REGISTRY
        serials = change.serials
        foreign = serials is not None and policy.scheme not in ("", "opaque", serials.scheme)
        return Why.FOREIGN_SERIALS if foreign else Why.UNKNOWN_UNITS

    async def _attest(self, registry: str, change: Change, parts: Sequence[Part], grade: str) -> Taken:
        """The registry's word; where it contradicts the ledger, the ledger itself records that and restricts."""
        status = _STATUSES[change.kind]
        against = [
            part
            for part in parts
            if (part.state not in _STATES[status] and not _is_history(part, change))
            or self._is_unclaimed_news(part, status)
        ]
        if not against:
            return Taken(change.id, Outcome.KNOWN)
        said = self._word_attestations(registry, change, join_ranges(part.range for part in parts), status, grade)
        receipt = await self._desk.ledger.submit(*said, attests=True)
        if not receipt.accepted:
            return refuse(change, Why.LEDGER_REFUSED, f"{receipt.reason}: {receipt.detail}")
        claimed = any(not part.account.startswith("unassigned@") for part in against)
        return Taken(change.id, Outcome.CONTRADICTED if claimed else Outcome.ATTESTED)

    @staticmethod
    def _is_unclaimed_news(part: Part, status: op.Observation.Status.ValueType) -> bool:
        """In the registry's own account here the exact state is taken over, not only that it lives."""
        unclaimed = part.account.startswith("unassigned@") and part.state in ("BUFFER", "PENDING")
        return unclaimed and status == op.Observation.ACTIVE

    def _word_attestations(
        self,
        registry: str,
        change: Change,
        ranges: Sequence[op.Range],
        status: op.Observation.Status.ValueType,
        grade: str,
    ) -> list[op.Attest]:
        evidence = word_evidence(self._desk.keep, change, grade)
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

    async def _take_back(self, registry: str, change: Change, parts: Sequence[Part], grade: str) -> Taken:
        """An end that the registry took back: reversed here, or what contradicted it lifted."""
        ended = [part for part in parts if part.state in ENDED_HERE]
        if ended and all(_is_history(part, change) for part in ended):
            return Taken(change.id, Outcome.KNOWN)
        ended = [part for part in ended if not _is_history(part, change)]
        if ended:
            said = await self._word_reversals(change, ended, grade)
            receipt = await self._desk.ledger.submit(*said, attests=True)
            if receipt.reason == "ALREADY_REVERSED":
                return Taken(change.id, Outcome.KNOWN)
            if not receipt.accepted:
                return refuse(change, Why.LEDGER_REFUSED, f"{receipt.reason}: {receipt.detail}")
            return Taken(change.id, Outcome.REVERSED)
        stopped = await self._stops.take_back(registry, change, parts, grade)
        lifted = await self._lift(registry, change, parts, grade) or stopped
        if lifted is not None:
            return lifted
        if change.reference and any(change.reference in part.taken_back for part in parts):
            return Taken(change.id, Outcome.KNOWN)
        return refuse(change, Why.NOTHING_TO_REVERSE, f"{change.id}: none of these units has ended here")

    async def _word_reversals(self, change: Change, ended: Sequence[Part], grade: str) -> list[op.Reverse]:
        """One reversal for each event that ended some of the units."""
        serials = change.serials
        if serials is None:
            raise TypeError("a reversal without units was noted before")
        found: dict[tuple[int, int], list[op.Range]] = {}
        for part in ended:
            batch = await self._desk.ledger.batch(part.range.batch)
            first = int(batch.base_number) + part.range.first
            lots = await self._desk.ledger.find_lots(serials.space, first, first + part.range.units - 1)
            for lot in lots.lots:
                cause = lot.lot.cause
                found.setdefault((cause.height, cause.ordinal), []).append(cut(part.range, lot.lot.range))
        return [
            op.Reverse(
                height=height,
                ordinal=ordinal,
                ranges=join_ranges(ranges),
                reason=f"{change.id}: taken back by the registry"[:TEXT_MAX],
                evidence=word_evidence(self._desk.keep, change, grade),
                effective=word_moment(change.effective),
            )
            for (height, ordinal), ranges in sorted(found.items())
        ]

    async def _lift(self, registry: str, change: Change, parts: Sequence[Part], grade: str) -> Taken | None:
        """Lift what the very event restricted that is taken back now: the registry says what the ledger always said.

        None: it restricts nothing, or some of the units are not live here. Everything else is lifted by people: news
        that is read again must not undo what came after it.
        """
        if any(part.state not in LIVE_HERE for part in parts):
            return None
        lifted: list[Message] = []
        for item in await self._desk.ledger.discrepancies():
            common = [cut(part.range, item.range) for part in parts]
            common = [each for each in common if each.units]
            if not common or not item.restricted or not await self._is_of(item, change.reference):
                continue
            name = f"discrepancy/{item.place.height}.{item.place.ordinal}"
            reason = f"{change.id}: the registry took it back"[:TEXT_MAX]
            lifted.append(op.Unrestrict(restriction=name, ranges=join_ranges(common), reason=reason))
        if not lifted:
            return None
        ranges = join_ranges(part.range for part in parts)
        said = self._word_attestations(registry, change, ranges, op.Observation.ACTIVE, grade)
        receipt = await self._desk.ledger.submit(*said, *lifted, attests=True)
        if not receipt.accepted:
            return refuse(change, Why.LEDGER_REFUSED, f"{receipt.reason}: {receipt.detail}")
        return Taken(change.id, Outcome.LIFTED)

    async def _is_of(self, item: pb.DiscrepancyInfo, reference: str) -> bool:
        """Whether the discrepancy came from an attestation of this reference: the one before it at its height."""
        for ordinal in range(item.place.ordinal - 1, max(item.place.ordinal - _BACK_MAX, 0) - 1, -1):
            try:
                event = await self._desk.ledger.event_at(item.place.height, ordinal)
            except NotOnLedger:
                return False
            if event.kind == "ATTESTED":
                return bool(reference) and any(f.name == "reference" and f.value == reference for f in event.facts)
        return False


def _is_history(part: Part, change: Change) -> bool:
    """Whether the ledger knows what came after this, so that whoever reads the registry's events again from the first
    one neither undoes it nor calls it a contradiction: units ended after they came into being, came back or were freed
    as this tells; or the very end that this tells was taken back since."""
    if change.kind in _ENDS and part.state in LIVE_HERE:
        return bool(change.reference) and change.reference in part.taken_back
    if part.state not in ENDED_HERE or change.kind not in _LIVES:
        return False
    dated = change.effective is not None and not change.effective.exact
    slack = _DAY_MS if dated else _SKEW_MS
    return change.kind is ChangeKind.ISSUED or 0 < change.at_ms < part.since_ms - slack


def _find_named_twice(changes: Sequence[Change]) -> dict[str, str]:
    """Events of one kind, reference and time that share units, by id, each with the one it shares them with.

    Of what is no event of the units themselves (two Parties' words on one transfer), any number may name them; and so
    may what happened to them twice, with something else in between.
    """
    found: dict[str, str] = {}
    groups: dict[tuple[str, str, int], list[int]] = {}
    for place, change in enumerate(changes):
        if change.serials is not None and change.reference and change.kind not in _WORDS:
            groups.setdefault((change.kind, change.reference, change.at_ms), []).append(place)
    for group in groups.values():
        for first, second in combinations(group, 2):
            one, other = changes[first], changes[second]
            between = [each for each in changes[first + 1 : second] if each.kind not in (one.kind, *_WORDS)]
            if one.id != other.id and _share(one, other) and not any(_share(one, each) for each in between):
                found |= {one.id: other.id, other.id: one.id}
    return found


def _share(one: Change, other: Change) -> bool:
    return one.serials is not None and other.serials is not None and one.serials.overlaps(other.serials)
