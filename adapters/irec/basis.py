"""What the I-REC adapter relies on, line by line: where it was read, or nothing where it is assumed.

The registry's current interface is not public. What is read is version 1 as an open-source client spoke it in 2022,
and how a platform prints certificate numbers; so there is a sandbox and nothing live.
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

_CLIENT: Final = "energywebfoundation/origin packages/traceability/issuer-irec-api-wrapper v1.1.1, 2022"
_MOCK: Final = "energywebfoundation/origin origin-organization-irec-api irec.mock.service.ts, 2022"
_PLATFORM: Final = "redex-eco.atlassian.net PAD pages, 2024"
_NOTICE: Final = "notices on evident.app"

NOTE_CHARS_MAX: Final = 255

BASIS: Final = (
    Basis("POST /api/token with grant_type=password in a form gives access_token and expires_in; then Bearer", _CLIENT),
    Basis("paths are under /api/irec/v1/", _CLIENT),
    Basis("POST redemption-management takes source and destination account, reservation_items, rqd_volume", _CLIENT),
    Basis("a reservation item is item_code and amount; the registry says which certificates were used", _CLIENT),
    Basis("a redemption names beneficiary_id, period_start, period_end, purpose, approver_username, notes", _CLIENT),
    Basis("the result has items by item code with start_cert_num, end_cert_num, volume; volumes are text", _CLIENT),
    Basis("times are objects of date, timezone_type, timezone", _MOCK),
    Basis(
        "GET account-management lists accounts by code; /{code}/items and /{code}/transactions belong to one", _CLIENT
    ),
    Basis("one certificate is 1 MWh of one device and one period, and cannot be cut into shorter periods", _NOTICE),
    Basis("numbers are printed in MWh with six decimals: one step is 1 Wh", _PLATFORM),
    Basis("an item's code is the printed serial before the numbers, and numbers have six decimals here too"),
    Basis("several ranges of one item are a list"),
    Basis("redemption-management can be listed by source account and read by code, with status and notes"),
    Basis("statuses are Pending, Partial, Approved, Rejected, Reversed"),
    Basis("transactions of an account are listed in order, and the list only grows"),
    Basis("items say whether they were redeemed, and give their first and last number"),
    Basis("lists come whole, not in pages"),
    Basis("nothing is done once for one key: the same order twice is done twice"),
    Basis("a token that ran out answers 401, and nothing happened"),
    Basis("one request a second is not too much"),
    Basis("a no about the units of an order is 400 with one of a few codes; every other no is about the message"),
)

CAPABILITIES: Final = Capabilities(
    actions=frozenset({Action.RETIRE}),
    idempotency=Idempotency.NONE,
    decision=Decision.LATER,
    confirmation=Confirmation.POLL,
    settles_within_ms=600_000,
    looked_up_by=frozenset({LookUp.REFERENCE, LookUp.KEY, LookUp.SERIAL}),
    serials=SerialChoice.REGISTRY,
    lots_max=50,
    limits=(Limit(1, 1_000, stated=False),),
    grade="B",
)
"""One unit is 1 Wh (`Grain.WH`)."""
