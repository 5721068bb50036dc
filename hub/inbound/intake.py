"""What a registry's news becomes: an outcome of a hold, an attestation, a reversal, a restriction, or nothing.

The order is always the same: the dispatcher hears it first, because news about a hold of ours is asked about and never
attested; what the ledger already says is left alone; what contradicts it is recorded with both sides. The same news
again, in any order and by any process, changes nothing: every record is named by the registry's own id of its event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from adapters.contract import Adapter, Change, ChangeKind
from hub.dispatch.wording import join_ranges
from hub.inbound.contradictions import Contradictions
from hub.inbound.elsewhere import is_asked_for
from hub.inbound.issuing import Defaults, Issuer, is_alike
from hub.inbound.order import WORDS, find_named_twice, is_anothers, is_history, is_outcome, is_unrecorded
from hub.inbound.proposals import Proposals
from hub.inbound.refusals import Refusal, Why
from hub.inbound.stops import Stops
from hub.inbound.taken import (
    ISSUANCES,
    TEXT_MAX,
    Hearer,
    Ledger,
    Outcome,
    Taken,
    refuse,
    refuse_unsayable,
    wait,
    word_attestations,
    word_evidence,
    word_moment,
)
from hub.inbound.waiting import Waiting, WaitingList
from hub.ledger_client import NotOnLedger
from hub.reconcile.classes import ENDED_HERE, LIVE_HERE
from hub.restrictions import cut
from hub.units import Gap, Names, Part, Unnameable
from keeling.serials import SerialRange
from keeling.v1 import operations_pb2 as op

__all__ = ["Defaults", "Desk", "Intake", "Outcome", "Taken"]

_STATUSES: Final = {
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
_SILENT: Final = (Outcome.DISPATCHED, Outcome.NOTED, Outcome.CONTRADICTED)
"""What may leave no trace on units that are instructed: the ledger expects that they end."""
_HEARD: Final = "an instruction on these units is not over, and may have asked for it"
_SAID: Final = "an instruction on some of these units is not over: the ledger takes it for what was asked"


class Desk(NamedTuple):
    """What the intake is given."""

    ledger: Ledger
    adapters: Mapping[str, Adapter]
    dispatch: Hearer
    keep: Callable[[bytes], bytes]
    """Puts a document on the shelf and returns its SHA-256."""
    proposals: Proposals | None = None
    """Where proposals are kept for people; None: they are noted and nothing else."""
    waiting: WaitingList | None = None
    """Where news is kept that cannot be taken yet; None: in memory alone."""
    issued: Mapping[str, Defaults] = {}
    """What is known of issuances beforehand, by registry."""


class Intake:
    """Takes news of all registries. For one event loop. Raises `LedgerError` when the ledger does not answer."""

    def __init__(self, desk: Desk) -> None:
        self.figures: dict[str, int] = {}
        self._desk = desk
        self._names = Names(desk.ledger)
        self._stops = Stops(desk.ledger, desk.keep)
        self._contradictions = Contradictions(desk.ledger, desk.keep)
        self._issuer = Issuer(desk.ledger, desk.keep, self._names, desk.issued)
        self._gaps: dict[tuple[str, str], list[Gap]] = {}
        """What the ledger lacked of the units of waiting news when they were tried last."""
        self._waiting: Final = desk.waiting or WaitingList(None, lambda: 0)

    async def take(self, registry: str, changes: Sequence[Change], grade: str) -> list[Taken]:
        """Take events of one message, oldest first. One that is refused leaves the others unharmed."""
        odd = [refused for refused in map(refuse_unsayable, changes) if refused is not None]
        ordered = sorted((each for each in changes if refuse_unsayable(each) is None), key=lambda each: each.at_ms)
        twice = find_named_twice(ordered)
        # All proposals of a message first, in one go: a rule must not see one of which a part is still missing.
        proposed = {change.id for change in ordered if change.id not in twice and self._propose(registry, change)}
        taken = odd
        for change in ordered:
            if change.id in twice:
                refusal = Refusal(Why.OVERLAPPING_RANGES, f"{change.id} names units that {twice[change.id]} names too")
                taken.append(Taken(change.id, Outcome.REFUSED, refusal))
            else:
                taken.append(await self._take_one(registry, change, grade, change.id in proposed))
        for each in taken:
            name = each.refusal.why.value if each.refusal is not None else each.outcome.value
            self.figures[name] = self.figures.get(name, 0) + 1
        issued = {each.change for each in taken if each.outcome is Outcome.ISSUED}
        spaces = {change.serials.space for change in ordered if change.id in issued and change.serials is not None}
        for item in self._waiting.list_all(registry) if spaces else ():
            if item.change.serials is not None and item.change.serials.space in spaces:
                await self._try_again(item)
        self._waiting.flush()
        return taken

    def refuse_unread(self, lines: Sequence[str]) -> list[Taken]:
        """Events that an adapter could not understand, each told by one line: refused, and counted."""
        why = Why.WRONG_SHAPE
        if lines:
            self.figures[why.value] = self.figures.get(why.value, 0) + len(lines)
        return [Taken("", Outcome.REFUSED, Refusal(why, line)) for line in lines]

    def count_left_out(self, registry: str) -> int:
        """How many events there was no room for that had to wait."""
        return self._waiting.left_out.get(registry, 0)

    def has_room(self, registry: str) -> bool:
        """Whether there is room again for what was left out."""
        return self._waiting.has_room(registry)

    async def retry(self, registry: str) -> list[Taken]:
        """Try again what waits and is due; returns what waits no more."""
        tried = [await self._try_again(item) for item in self._waiting.list_due(registry)]
        self._waiting.flush()
        return [each for each in tried if each.outcome is not Outcome.WAITING]

    async def _try_again(self, item: Waiting) -> Taken:
        """Nothing is said to the ledger while it has of the units what it had before."""
        change, key = item.change, (item.registry, item.change.id)
        still = Taken(change.id, Outcome.WAITING, item.refusal)
        if item.refusal.why is Why.UNDER_WAY:
            if any(part.state == "INSTRUCTED" for part in await self._find(change)):
                return still  # the dispatcher asks about it when it is time
            # What was said to the ledger before has no second effect under its name.
            named = change if item.refusal.detail == _HEARD else change._replace(id=f"{change.id}@over")
            taken = await self._take_one(item.registry, named, item.grade, False)
            if self._waiting.has(item.registry, named.id):
                return still
            self._waiting.remove(*key)
            return taken
        gaps = [] if change.serials is None else await self._names.find_gaps(change.serials)
        if gaps and change.kind not in ISSUANCES and self._gaps.get(key) == gaps:
            return still
        self._gaps[key] = gaps
        return await self._take_one(item.registry, change, item.grade, False)

    async def _take_one(self, registry: str, change: Change, grade: str, proposed: bool) -> Taken:
        taken = await self._take(registry, change, grade, proposed)
        if taken.outcome is Outcome.REFUSED and taken.refusal is not None and taken.refusal.why is Why.LEDGER_REFUSED:
            taken = taken._replace(outcome=Outcome.WAITING)
            self._gaps.pop((registry, change.id), None)  # it may take what is known, whatever is still missing
        if taken.outcome is Outcome.WAITING and taken.refusal is not None:
            self._desk.keep(change.evidence or repr(change[:7]).encode())
            self._waiting.add(registry, change, grade, taken.refusal)
        elif taken.outcome in _SILENT and is_unrecorded(await self._find(change), change, taken.outcome):
            # Heard by whoever instructed the units; should it turn out to be something else, it must not be lost.
            said = _SAID if taken.outcome is Outcome.CONTRADICTED else _HEARD
            self._waiting.add(registry, change, grade, Refusal(Why.UNDER_WAY, said))
        else:
            self._waiting.remove(registry, change.id)
            self._gaps.pop((registry, change.id), None)
        return taken

    async def _find(self, change: Change) -> list[Part]:
        """Where the units are of what may end or move some; nothing where the ledger lacks some."""
        try:
            return await self._names.find([change.serials] if change.serials is not None and is_outcome(change) else [])
        except Unnameable:
            return []

    def _propose(self, registry: str, change: Change) -> bool:
        return self._desk.proposals is not None and self._desk.proposals.take(registry, change)

    async def _take(self, registry: str, change: Change, grade: str, proposed: bool) -> Taken:
        if await self._desk.dispatch.hear(registry, change):
            return Taken(change.id, Outcome.DISPATCHED)
        if proposed:
            return Taken(change.id, Outcome.PROPOSED)
        if change.serials is None or change.kind in WORDS:
            return Taken(change.id, Outcome.NOTED)
        stated = change.details.get("units", "")
        if stated and stated != str(change.serials.units):
            detail = f"{change.id} says {stated[:40]} units, its serials are {change.serials.units}"
            return refuse(change, Why.QUANTITY_DISAGREES, detail)
        try:
            parts = await self._names.find([change.serials])
        except Unnameable as error:
            return await self._take_unknown(registry, change, change.serials, grade, str(error))
        return await self._take_known(registry, change, parts, grade)

    async def _take_unknown(
        self, registry: str, change: Change, serials: SerialRange, grade: str, detail: str
    ) -> Taken:
        """News of units some of which the ledger does not have: they are taken over, or the news waits for them.

        What it says of the others is taken at once, each part by a name of its own.
        """
        why = await self._why_unknown(registry, change)
        if why is Why.FOREIGN_SERIALS:
            return refuse(change, why, detail)
        if why is Why.UNKNOWN_REGISTRY:
            return wait(change, why, f"the ledger has no record registry:{registry}")
        if change.kind in ISSUANCES:
            return await self._issuer.take(registry, change, grade)
        at = serials.first
        for gap in [*await self._names.find_gaps(serials), Gap("", serials.last + 1, serials.last + 1)]:
            if at < gap.first:
                name = f"{change.id}@{at}-{gap.first - 1}"  # another part is another name: more may be known by now
                piece = change._replace(id=name, serials=serials.part(at, gap.first - 1))
                parts = await self._names.find([piece.serials] if piece.serials else [])
                refused = await self._take_known(registry, piece, parts, grade)
                if refused.outcome is Outcome.REFUSED:
                    return refused._replace(change=change.id)
            at = gap.last + 1
        return wait(change, why, detail)

    async def _take_known(self, registry: str, change: Change, parts: Sequence[Part], grade: str) -> Taken:
        for batch in sorted({part.range.batch for part in parts}):
            found = await self._desk.ledger.batch(batch)
            if found.registry != registry:
                detail = f"batch {batch} is of {found.registry or 'no registry'}, not of {registry}"
                return refuse(change, Why.FOREIGN_SERIALS, detail)
        if await is_asked_for(self._desk.ledger, change, parts):
            return Taken(change.id, Outcome.NOTED)
        if change.kind is ChangeKind.ISSUED:
            return Taken(change.id, Outcome.KNOWN)  # that they came into being says nothing of how they are now
        if change.kind is ChangeKind.REVERSED:
            return await self._take_back(registry, change, parts, grade)
        if change.kind is ChangeKind.TRANSFERRED:
            usable = await self._take_usable(registry, change, parts, grade)
            return usable or await self._stops.move(registry, change, parts, grade)
        if change.kind is ChangeKind.BLOCKED:
            return await self._stops.block(registry, change, parts, grade)
        lifted = None
        if change.kind is ChangeKind.UNBLOCKED:
            lifted = await self._stops.unblock(registry, change, parts, grade)
        taken = await self._attest(registry, change, parts, grade)
        return lifted if lifted is not None and taken.outcome is Outcome.KNOWN else taken

    async def _take_usable(self, registry: str, change: Change, parts: Sequence[Part], grade: str) -> Taken | None:
        """Units that were pending and left for an account where they can be used; None: they were not."""
        pending = [part for part in parts if part.state == "PENDING" and part.account.startswith("unassigned@")]
        if change.details.get("state") != "active" or not pending:
            return None
        return await self._attest(registry, change._replace(kind=ChangeKind.ACTIVE), pending, grade)

    async def _why_unknown(self, registry: str, change: Change) -> Why:
        """Whether the serials are even of this registry's schemes."""
        try:
            policy = await self._desk.ledger.registry_policy(registry)
        except NotOnLedger:
            return Why.UNKNOWN_REGISTRY
        programmes = await self._desk.ledger.programmes(registry)
        schemes = [policy.scheme, *(rules.scheme for rules in programmes.values())]
        serials = change.serials
        ours = serials is None or any(
            scheme in ("", "opaque") or is_alike(scheme, serials.scheme) for scheme in schemes
        )
        return Why.UNKNOWN_UNITS if ours else Why.FOREIGN_SERIALS

    async def _attest(self, registry: str, change: Change, parts: Sequence[Part], grade: str) -> Taken:
        """The registry's word; where it contradicts the ledger, the ledger itself records that and restricts."""
        status = _STATUSES[change.kind]
        against = [
            part
            for part in parts
            if (part.state not in _STATES[status] and not is_history(part, change))
            or self._is_unclaimed_news(part, status)
        ]
        if not against:
            return Taken(change.id, Outcome.KNOWN)
        said = word_attestations(
            self._desk.keep, registry, change, join_ranges(part.range for part in parts), status, grade
        )
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

    async def _take_back(self, registry: str, change: Change, parts: Sequence[Part], grade: str) -> Taken:
        """An end that the registry took back: reversed here, or what contradicted it lifted."""
        ended = [part for part in parts if part.state in ENDED_HERE]
        if ended and all(is_history(part, change) for part in ended):
            return Taken(change.id, Outcome.KNOWN)
        ended = [part for part in ended if not is_history(part, change)]
        others = {part.reference for part in ended if is_anothers(part, change)}
        ended = [part for part in ended if not is_anothers(part, change)]
        if ended:
            said = await self._word_reversals(change, ended, grade)
            receipt = await self._desk.ledger.submit(*said, attests=True)
            if receipt.reason == "ALREADY_REVERSED":
                return Taken(change.id, Outcome.KNOWN)
            if not receipt.accepted:
                return refuse(change, Why.LEDGER_REFUSED, f"{receipt.reason}: {receipt.detail}")
            return Taken(change.id, Outcome.REVERSED)
        stopped = await self._stops.take_back(registry, change, parts, grade)
        lifted = await self._contradictions.lift(registry, change, parts, grade) or stopped
        if lifted is not None:
            return lifted
        if change.reference and any(change.reference in part.taken_back for part in parts):
            return Taken(change.id, Outcome.KNOWN)
        if self._forget_under_way(registry, change):
            return Taken(change.id, Outcome.NOTED)
        if others:
            detail = f"{change.id} takes back {change.reference or change.key}; what ended units here is "
            return refuse(change, Why.NOTHING_TO_REVERSE, detail + ", ".join(sorted(others)))
        return refuse(change, Why.NOTHING_TO_REVERSE, f"{change.id}: none of these units has ended here")

    def _forget_under_way(self, registry: str, change: Change) -> bool:
        """Whether it takes back what waits for an instruction to be over; that waits no more."""
        waits = [each for each in self._waiting.list_all(registry) if each.refusal.why is Why.UNDER_WAY]
        known = [each.change for each in waits if change.reference and each.change.reference == change.reference]
        whole = change.serials
        over = [
            each for each in known if whole is not None and each.serials is not None and _holds(whole, each.serials)
        ]
        for each in over:
            self._waiting.remove(registry, each.id)
        return bool(over)

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


def _holds(whole: SerialRange, part: SerialRange) -> bool:
    return whole.space == part.space and whole.first <= part.first and part.last <= whole.last
