"""Which hold a registry's news is about. Pure. What follows from it is the dispatcher's."""

from __future__ import annotations

from typing import Final

from adapters.contract import Change, ChangeKind
from hub.dispatch.memory import INSTRUCTED, Remembered

OUTCOMES: Final = {
    "FOR_RETIREMENT": (ChangeKind.RETIRED, ChangeKind.ENDED),
    "FOR_CANCELLATION": (ChangeKind.CANCELLED, ChangeKind.ENDED),
    "FOR_USE": (ChangeKind.USED, ChangeKind.RETIRED, ChangeKind.CANCELLED, ChangeKind.ENDED),
    "FOR_TRANSFER": (ChangeKind.TRANSFERRED,),
}
"""What a registry calls that which a hold asks for."""


def is_about(known: Remembered, registry: str, change: Change) -> bool:
    """Whether the news is about an instructed hold: by our key, by the registry's reference, else by its units.

    By units alone only if it is what the hold asks for: anything else on them is nothing we asked for.
    """
    hold = known.hold
    if hold.registry != registry or hold.phase != INSTRUCTED:
        return False
    keys = {message.instruction.key for message in known.messages}
    if change.key:
        return change.key in keys
    if change.reference and change.reference in known.references.values():
        return True
    lots = [lot for message in known.messages for lot in message.instruction.lots]
    ours = change.serials is not None and any(lot.overlaps(change.serials) for lot in lots)
    return ours and change.kind in OUTCOMES[hold.purpose]
