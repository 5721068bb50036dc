"""`Recognise`: each Party recognises an international transfer on its own side, at its own time.

Two recognitions are two facts about one action. They move no units and book no adjustment: the action did.
"""

from __future__ import annotations

from keeling.bundle_parts import format_time
from keeling.events import EventKind
from keeling.operations import Recognise, When
from keeling.reasons import Reason
from node.core import tables as t
from node.core.article6.governed import check_authority, check_party, find_party
from node.core.article6.records import ActionKind
from node.core.article6.terms import check_authorization_id
from node.core.context import Context
from node.core.fields import check_evidence, check_when
from node.core.refusal import Refused


def check_recognise_fields(op: Recognise) -> None:
    check_authorization_id(op.authorization)
    check_party(op.party, "party")
    if not op.height:
        raise Refused(Reason.MISSING_FIELD, "name the transfer that is recognised", field="height")
    if op.at is None:
        raise Refused(Reason.MISSING_FIELD, "a recognition has its own time", field="at")
    check_when(op.at, "at")
    check_evidence(op.evidence, "a recognition")


def apply_recognise(tx: Context, op: Recognise) -> None:
    """The Party gave the units, or got them; it recognises a transfer once."""
    action = tx.state.get(t.ACTIONS, op.height, op.ordinal)
    transfer = action is not None and action.kind == ActionKind.TRANSFER and action.authorization == op.authorization
    if action is None or not transfer or op.party not in (action.from_party, action.to_party):
        detail = f"{op.height}.{op.ordinal} is no transfer of {op.party} under authorization {op.authorization}"
        raise Refused(Reason.ACTION_NOT_FOUND, detail, authorization=op.authorization)
    find_party(tx, op.party)
    check_authority(tx, op.party)
    side = "given" if op.party == action.from_party else "got"
    known: When | None = getattr(action, side)
    if known is not None:
        detail = f"{op.party} recognised {op.height}.{op.ordinal} at {format_time(known.ms)}"
        raise Refused(Reason.ALREADY_RECOGNISED, detail, party=op.party)
    changed = action._replace(given=op.at) if side == "given" else action._replace(got=op.at)
    tx.state.put(t.ACTIONS, changed, op.height, op.ordinal)
    facts = {
        "action": f"{op.height}.{op.ordinal}",
        "party": op.party,
        "side": side,
        "document": op.evidence.digest.hex() if op.evidence else "",
        "reference": op.evidence.reference if op.evidence else "",
    }
    tx.emit(EventKind.RECOGNISED, op.authorization, op.at, facts=facts)
