"""Units that a registry blocked, or that left our account there, unasked: stopped here, and freed when it says so.

Nobody may sell here what its registry will not move. What a restriction of ours covers already is not restricted twice;
an event that is read again finds on the ledger that its restriction was laid, and leaves alone what became of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from adapters.contract import Change
from hub.dispatch.wording import join_ranges
from hub.inbound.refusals import Why
from hub.inbound.taken import TEXT_MAX, Ledger, Outcome, Taken, find_latest, refuse, word_evidence
from hub.ledger_client import NotOnLedger
from hub.reconcile.classes import LIVE_HERE
from hub.restrictions import (
    BLOCK,
    MOVED,
    UNKNOWN,
    Laid,
    Stop,
    covers,
    digest_reference,
    find_alone,
    find_ended,
    make_stop,
    name_of_reference,
    subtract,
)
from hub.units import Part
from keeling.v1 import operations_pb2 as op

_UNASSIGNED: Final = "unassigned@"
_GONE: Final = "RESTRICTION_NOT_FOUND"


class Stops:
    """Lays and lifts them. For one event loop."""

    def __init__(self, ledger: Ledger, keep: Callable[[bytes], bytes]) -> None:
        self._ledger, self._keep = ledger, keep

    async def block(self, registry: str, change: Change, parts: Sequence[Part], grade: str) -> Taken:
        """Units that the registry blocked without our asking, whoever has them here."""
        stop = make_stop(BLOCK, registry, change.at_ms, change.reference, change.id)
        free = [part for part in parts if part.state == "FREE" and not _is_over(part, change)]
        return await self._lay(stop, f"blocked at {registry}", change, free, grade)

    async def unblock(self, registry: str, change: Change, parts: Sequence[Part], grade: str) -> Taken | None:
        """What the block that is over restricted, on these units; None: nothing does.

        By its reference. A registry may end a block under another one: then what lies alone on the units is meant.
        """
        reference, laid = digest_reference(registry, change.reference), _list_laid(parts)
        ended = find_ended(laid, BLOCK, find_latest(change), reference)
        if not ended and not await self._knows(reference, parts):
            ended = find_alone(laid, BLOCK, find_latest(change))
        return await self._lift(change, ended, f"no longer blocked at {registry}", grade)

    async def _knows(self, reference: str, parts: Sequence[Part]) -> bool:
        """Whether something was ever restricted for a block of this reference: its end is no other block's."""
        if reference == UNKNOWN:
            return False
        batches = sorted({part.range.batch for part in parts})
        return any([await self._was_laid(batch, name_of_reference(BLOCK, reference)) for batch in batches])

    async def move(self, registry: str, change: Change, parts: Sequence[Part], grade: str) -> Taken:
        """Units that left the registry account they are in here, or that are back in it."""
        away: list[Part] = []
        back: list[Part] = []
        for part in parts:
            if part.state in LIVE_HERE and not part.account.startswith(_UNASSIGNED) and not _is_over(part, change):
                there = (await self._ledger.account(part.account)).link.registry_account
                (back if change.to_account == there else away).append(part)
        lifted = await self._lift(
            change, find_ended(_list_laid(back), MOVED, find_latest(change), None), f"back at {registry}", grade
        )
        if lifted is not None and (lifted.refusal is not None or not away):
            return lifted
        if not away:
            return Taken(change.id, Outcome.NOTED)
        stop = make_stop(MOVED, registry, change.at_ms, change.reference, change.id)
        return await self._lay(
            stop, f"moved to {change.to_account or 'another account'} at {registry}", change, away, grade
        )

    async def take_back(self, registry: str, change: Change, parts: Sequence[Part], grade: str) -> Taken | None:
        """A block or a move that the registry took back; None: nothing is restricted for it."""
        if not change.reference:
            return None
        reference, laid = digest_reference(registry, change.reference), _list_laid(parts)
        ended = [each for kind in (BLOCK, MOVED) for each in find_ended(laid, kind, find_latest(change), reference)]
        return await self._lift(change, ended, f"taken back at {registry}", grade)

    async def _lay(self, stop: Stop, what: str, change: Change, parts: Sequence[Part], grade: str) -> Taken:
        laid = _list_laid(parts)
        known = Outcome.CONTRADICTED if any(each.name == stop.name for each in laid) else Outcome.KNOWN
        standing = [each.range for each in laid if covers(stop, each.name, change.reference)]
        wanted = [item for part in parts for item in subtract(part.range, standing)]
        over = {batch for batch in {item.batch for item in wanted} if await self._was_laid(batch, stop.name)}
        ranges = join_ranges(item for item in wanted if item.batch not in over)
        if not ranges:
            return Taken(change.id, known)
        said = op.Restrict(
            restriction=stop.name,
            ranges=ranges,
            reason=f"{change.id}: {what}"[:TEXT_MAX],
            evidence=word_evidence(self._keep, change, grade),
        )
        return await self._submit(change, said, Outcome.CONTRADICTED)

    async def _was_laid(self, batch: str, name: str) -> bool:
        try:
            await self._ledger.restriction_history(batch, name)
        except NotOnLedger:
            return False
        return True

    async def _lift(self, change: Change, ended: Sequence[Laid], what: str, grade: str) -> Taken | None:
        """One by one: what another process has lifted already stands in nobody's way."""
        taken: Taken | None = None
        for name in sorted({each.name for each in ended}):
            said = op.Unrestrict(
                restriction=name,
                ranges=join_ranges(each.range for each in ended if each.name == name),
                reason=f"{change.id}: {what}"[:TEXT_MAX],
                evidence=word_evidence(self._keep, change, grade),
            )
            taken = await self._submit(change, said, Outcome.LIFTED)
            if taken.refusal is not None:
                return taken
        return taken

    async def _submit(self, change: Change, said: op.Restrict | op.Unrestrict, outcome: Outcome) -> Taken:
        receipt = await self._ledger.submit(said, attests=True)
        if receipt.reason == _GONE:
            return Taken(change.id, Outcome.KNOWN)
        if not receipt.accepted:
            return refuse(change, Why.LEDGER_REFUSED, f"{receipt.reason}: {receipt.detail}")
        return Taken(change.id, outcome)


def _is_over(part: Part, change: Change) -> bool:
    """Whether the registry itself has confirmed since, on an instruction of ours, that the units are where they are."""
    return bool(part.captured_by) and 0 < change.at_ms < part.since_ms


def _list_laid(parts: Sequence[Part]) -> list[Laid]:
    return [each for part in parts for each in part.restrictions]
