"""What the UK ETS exchange relies on, line by line: where it was read, or nothing where it is assumed.

The registry publishes no interface for programs, but its code: the paths below are those its own web pages use, behind
a sign-in with a one-time password. There is no live driver.
"""

from __future__ import annotations

from typing import Final

from adapters.capabilities import (
    Action,
    Capabilities,
    Confirmation,
    Decision,
    Idempotency,
    Limit,
    LookUp,
    SerialChoice,
)
from adapters.contract import Basis
from adapters.uk_ets.hours import CALENDAR

_CODE: Final = "UKGovernmentBEIS/ukets-registry 4e80ded, July 2026"
_GUIDE: Final = "guidance pages in UKGovernmentBEIS/ukets-registry 4e80ded: transaction hours and delays"

BASIS: Final = (
    Basis("POST /api-registry/transactions.propose takes type, accounts, reference, and blocks by quantity", _CODE),
    Basis("its answer has requestIdentifier, transactionIdentifier, executionDate and executionTime", _CODE),
    Basis("failed checks answer 406 with errorDetails of code and message; a wrong state answers 400", _CODE),
    Basis("GET transactions.get shows status, blocks, reference, taskIdentifier and executionDateTime", _CODE),
    Basis("GET transactions.list filters by account, type and date, page by page", _CODE),
    Basis("POST tasks.complete with APPROVED or REJECTED is the second representative's answer", _CODE),
    Basis("POST transactions.cancel with a comment withdraws a transaction in status DELAYED and no other", _CODE),
    Basis("units are reserved when a transaction is proposed and released when it ends without completion", _CODE),
    Basis("the registry chooses the blocks, first acquired first, and moves the left part of a block", _CODE),
    Basis("a proposal has at most 3,000 blocks", _CODE),
    Basis("quantity is end - start + 1, from one sequence of numbers", _CODE),
    Basis("account numbers have check digits, computed with the letters UK", _CODE),
    Basis("transfers are delayed unless the account is on the trusted list; surrenders and deletions never are", _CODE),
    Basis("the delay counts working days, execution falls into working time, and on the next full minute", _CODE),
    Basis("nothing starts while a reconciliation runs (3016); delayed transactions wait", _CODE),
    Basis("a reversal sets the status of what it reverses to REVERSED", _CODE),
    Basis("the window is Monday to Friday 10:00 to 16:00 UK time, without bank holidays in England and Wales", _GUIDE),
    Basis("the delay outside the trusted list is 24 hours; a second approver is needed", _GUIDE),
    Basis("programs may use what the web pages use, with a bearer token for each representative"),
    Basis("a proposal is signed with a one-time password; the sandbox asks for none"),
    Basis("a transfer can be cancelled until 2 h before execution, as in the Union Registry; the code names no time"),
    Basis("transactions.get names start and end of the blocks, before completion those reserved"),
    Basis("the unit block report can be had as JSON page by page, with its columns as names"),
    Basis("every transfer waits for the second representative, whatever the account's rules say"),
    Basis("a proposal is in the list of transactions as soon as it was answered"),
    Basis("sixty requests a minute are not too many"),
)  # fmt: skip

CAPABILITIES: Final = Capabilities(
    actions=frozenset({Action.TRANSFER, Action.USE, Action.CANCEL, Action.ACCEPT, Action.DECLINE, Action.WITHDRAW}),
    idempotency=Idempotency.BY_REFERENCE,
    decision=Decision.LATER,
    confirmation=Confirmation.POLL,
    settles_within_ms=600_000,
    looked_up_by=frozenset({LookUp.KEY, LookUp.REFERENCE}),
    serials=SerialChoice.REGISTRY,
    lots_max=3_000,
    limits=(Limit(60, 60_000, stated=False),),
    grade="B",
    calendar=CALENDAR,
)
