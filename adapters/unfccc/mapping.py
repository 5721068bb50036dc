"""What the mechanism registry may be proposed: places, and what its units may be cancelled for. Pure.

Which messages carry it is in `adapters.des.messages`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from adapters.capabilities import Action
from adapters.contract import Change, ChangeKind, Instruction, UnsendableError
from adapters.des import placing
from adapters.des.driver import explain_issuance
from adapters.des.messages import Ends
from adapters.des.placing import split_place

CODE: Final = "UN01"
ADAPTATION_FUND: Final = "ADAPTATION-FUND"
"""The account of the share of proceeds; what goes there besides the mandatory share is a gift."""
PENDING: Final = "PENDING"
"""The account in which units come into being, until the participants have them forwarded."""
LEVIES: Final = {"share of proceeds": "levy adaptation", "overall mitigation": "levy omge"}
"""How an issuance says what is taken from it: our name of each."""
VOLUNTARY_OMGE: Final = "Voluntary cancellation to deliver OMGE"
OTHER: Final = "Other cancellations"


def place(instruction: Instruction, code: str) -> Ends:
    """Raises `UnsendableError`. Forwarding is a transfer within the registry, out of the pending account."""
    if any(lot.scheme not in ("a64er", "itmo") for lot in instruction.lots):
        raise UnsendableError("this registry keeps A6.4 emission reductions and ITMOs, no other units")
    ends = placing.place(instruction, code, (OTHER, VOLUNTARY_OMGE))
    if instruction.action is Action.TRANSFER and split_place(instruction.to_account)[1] == ADAPTATION_FUND:
        subtype = "Voluntary transfer to the Adaptation Fund (A6.4 ERs)"
        return ends._replace(facts={"action type": "Transfer", "action subtype": subtype})
    return ends


def explain(change: Change) -> Mapping[str, str]:
    """Units are pending where they come into being, and usable once they have left; an issuance tells its levies."""
    if change.kind is ChangeKind.ISSUED:
        levies = {ours: change.details[name] for name, ours in LEVIES.items() if name in change.details}
        return {**explain_issuance(change), **levies, "state": "pending" if change.to_account == PENDING else "active"}
    left = change.kind is ChangeKind.TRANSFERRED and change.account == PENDING != change.to_account
    return {"state": "active"} if left else {}
