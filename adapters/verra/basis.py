"""What the Verra exchange relies on, line by line: where it was read, or nothing where it is assumed.

Verra documents no interface for programs. What is read are the rows its public report pages are made of, as others
measured them; what is written goes to a person: an instruction lies in a desk's queue, somebody carries it out in
Verra's portal, and the public rows confirm it. The queue is ours, not Verra's.
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

_ROWS: Final = "rb-carbon-scraper docs/api-contract.md, measured July 2026 (third party, nothing official)"
_EXPORT: Final = "offsets-db-data tests/data/verra, exports of April 2026"

DAY_MS: Final = 86_400_000
PAGE_ROWS_MAX: Final = 400
START_MAX: Final = 10_000
STANDARD: Final = {"registry": "VERRA", "standardid": "150000000000001", "standardacronym": "VCS", "language": "en"}
"""The headers that choose what is searched. A wrong `standardid` answers 200 with nothing in it."""

BASIS: Final = (
    Basis("POST …/raas-report-api/es/public/{resource}/publicReportPageSearch lists rows page by page", _ROWS),
    Basis("resources are project, issuances, holdings, retirements, cancellations", _ROWS),
    Basis(
        "headers registry, standardid, standardacronym, language choose the standard; one missing answers 500", _ROWS
    ),
    Basis("a wrong standardid answers 200 with totalEntities 0", _ROWS),
    Basis("limit is at most 400 and start at most 10,000, else 500", _ROWS),
    Basis("only sorting by entityId loses no rows between pages", _ROWS),
    Basis("a filter it does not know is ignored and everything comes back; vcsProjectId Text/equals works", _ROWS),
    Basis("quantities are floating-point numbers in JSON", _ROWS),
    Basis("retirements have serialNo, holdingQuantity, retiredDate, stateCode, accountName, beneficialOwner", _ROWS),
    Basis("beneficiary, reason and details of a retirement are public or not, each by a flag of its own", _ROWS),
    Basis("retirements carry emailNotification, a person's address", _ROWS),
    Basis("cancellations are in snake_case: serial_no, block_start, block_end, cancellation_date, trading_name", _ROWS),
    Basis("unknown paths answer 200 with a page of HTML", _ROWS),
    Basis("rows of the buffer are marked isBuffer", _ROWS),
    Basis("numbers of units are unique in the registry; a part retired gets a serial of its own", _EXPORT),
    Basis("an instruction is carried out by a person in the portal, from a queue of the desk's"),
    Basis("the desk's queue knows no key: the same instruction twice lies there twice"),
    Basis("instructions are carried out once in 24 hours, and public rows show it then"),
    Basis("until Verra confirms, the seller could still move the units there: nothing blocks them"),
    Basis("the portal may use other units of the holding than those named"),
    Basis("the person writes our key into the details or remarks, where the public rows give it back"),
    Basis("holdings have the fields of issuances and accountName; trading_name ends with the account"),
    Basis("entityId grows with time, and DESC sorts it downwards"),
    Basis("a retirement taken back is listed under a new entityId as REVERSED, and not as RETIRED any more"),
    Basis("dates are written YYYY-MM-DD, with or without a time after them"),
    Basis("one request a second is not too much"),
    Basis("a no about the units of an order is 400 with one of a few codes; every other no is about the message"),
)

CAPABILITIES: Final = Capabilities(
    actions=frozenset({Action.RETIRE, Action.CANCEL}),
    idempotency=Idempotency.NONE,
    decision=Decision.LATER,
    confirmation=Confirmation.BATCH,
    settles_within_ms=2 * DAY_MS,
    looked_up_by=frozenset({LookUp.REFERENCE, LookUp.SERIAL}),
    serials=SerialChoice.REGISTRY,
    lots_max=20,
    limits=(Limit(1, 1_000, stated=False),),
    grade="B",
    cycle_ms=DAY_MS,
)
