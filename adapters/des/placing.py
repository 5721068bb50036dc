"""From an instruction to what a registry under Article 6 is proposed: type, places, and the action's name. Pure.

Names of actions are those of the reporting tables (decision 4/CMA.6 annex II).
"""

from __future__ import annotations

import re
from typing import Final

from adapters.capabilities import Action
from adapters.contract import Instruction, UnsendableError
from adapters.des.messages import Ends, TransactionType

REGISTRY_CODE: Final = re.compile(r"[A-Z]{3}\d{2}|UN01", re.ASCII)
"""A Party registry such as GHA01; the mechanism's own UN01 has two letters and is the exception."""
_NDC: Final = "NDC"
_YEAR: Final = re.compile(r"20\d\d", re.ASCII)


def split_place(text: str) -> tuple[str, str]:
    """`CHE01:ACCOUNT` is an account of another registry; without a code it is one of the same registry."""
    code, colon, account = text.partition(":")
    if colon and REGISTRY_CODE.fullmatch(code) and account:
        return code, account
    return "", text


def place(instruction: Instruction, code: str, subtypes: tuple[str, ...]) -> Ends:
    """What is proposed to the registry `code`. `subtypes`: what a cancellation there may be for, the usual one first.

    A transfer to `CODE:ACCOUNT` leaves the registry; a use names NDC and its year, or another purpose. Raises
    `UnsendableError`.
    """
    said = instruction.details
    match instruction.action:
        case Action.TRANSFER:
            registry, account = split_place(instruction.to_account)
            if not account:
                raise UnsendableError("a transfer names the account it goes to")
            if registry in ("", code):
                return Ends(TransactionType.INTERNAL_TRANSFER, code, code, account, {})
            return Ends(TransactionType.EXTERNAL_TRANSFER, code, registry, account, {})
        case Action.CANCEL:
            subtype = said.get("subtype", subtypes[0])
            if subtype not in subtypes:
                raise UnsendableError(f"a cancellation is for one of {', '.join(subtypes)}; not {subtype!r}")
            facts = {"action type": "Voluntary Cancellation", "action subtype": subtype}
            return Ends(TransactionType.CANCELLATION, code, code, "", facts)
        case Action.USE:
            return Ends(TransactionType.RETIREMENT, code, code, "", _describe_use(instruction))
        case Action.RETIRE:
            facts = {"action type": "Voluntary Cancellation", "action subtype": "Other cancellations"}
            return Ends(TransactionType.RETIREMENT, code, code, "", facts)
    raise UnsendableError(f"no transaction is there to {instruction.action}")


def _describe_use(instruction: Instruction) -> dict[str, str]:
    purpose, year = instruction.details.get("use_scheme", ""), instruction.details.get("use_year", "")
    if not purpose:
        raise UnsendableError("a use says for what: NDC, or another purpose such as CORSIA")
    if purpose != _NDC:
        return {"action type": "Use", "purpose": purpose}
    if not _YEAR.fullmatch(year):
        raise UnsendableError(f"a use towards an NDC names its calendar year, not {year!r}")
    return {"action type": "Use", "purpose": _NDC, "use year": year}
