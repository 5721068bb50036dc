"""What the Gold Standard exchange relies on, line by line: where it was read, or nothing where it is assumed.

Two interfaces: the public back end of the registry's pages, whose terms restrict automated access, so that live is off
until the registry permitted it; and an account interface that exists and is not documented, so that everything said of
it here is assumed and only a sandbox speaks it.
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

_ROWS: Final = "rb-carbon-scraper docs/api-contract-gs.md, measured July 2026 (third party, nothing official)"
_EXPORT: Final = "offsets-db-data tests/data/gold-standard, exports of April 2026"
_LETTER: Final = "Gold Standard registry newsletter, 2022"

PAGE_ROWS: Final = 25
"""More than this answers 403."""
NOTE_CHARS_MAX: Final = 500

BASIS: Final = (
    Basis("GET /credits?page=&size=&query= lists blocks as a bare JSON array, newest id first", _ROWS),
    Basis("X-Total-Count and X-Total-Number-Of-Credits are headers", _ROWS),
    Basis("more than 25 rows of credits answer 403", _ROWS),
    Basis("only query narrows; every other filter is ignored and everything comes back", _ROWS),
    Basis("a User-Agent like a browser's is needed, else 403 with a page of HTML", _ROWS),
    Basis("a block has number_of_credits, starting_ and ending_credit_number, serial_number, status, product", _ROWS),
    Basis("status is the block's state now, not an event; retirement can be undone for a time", _ROWS),
    Basis("the logged-in portal sends X-Registry-API-key and Authorization; its interface is not public", _ROWS),
    Basis("a new using entity is reviewed by the registry before it is used the first time", _LETTER),
    Basis("serials count in a batch of project, type and vintage; CERs are printed as pairs", _EXPORT),
    Basis("PER are planned reductions: tradable, not retirable", _EXPORT),
    Basis("the terms of the registry restrict automated access: live only with a permission in writing"),
    Basis("one request a second is not too much"),
    Basis("POST /account/retirements retires named blocks for a using entity, with a note"),
    Basis("the account's interface knows no key: the same order twice is done twice"),
    Basis("the note is kept, and the account's own lists show it"),
    Basis("GET /account/retirements lists orders, newest last, with status, credits and rejected_credits"),
    Basis("GET /account/transactions lists issuances, retirements and undoings in order, and only grows"),
    Basis("GET /account/credits lists blocks as the public list does, and says whose they are"),
    Basis("a retirement undone stays listed as UNDONE"),
    Basis("a review takes up to five days"),
    Basis("a no about the units of an order is 400 with one of a few codes; every other no is about the message"),
)

CAPABILITIES: Final = Capabilities(
    actions=frozenset({Action.RETIRE}),
    idempotency=Idempotency.NONE,
    decision=Decision.LATER,
    confirmation=Confirmation.POLL,
    settles_within_ms=3_600_000,
    looked_up_by=frozenset({LookUp.REFERENCE, LookUp.KEY, LookUp.SERIAL}),
    serials=SerialChoice.OURS,
    lots_max=25,
    limits=(Limit(1, 1_000, stated=False),),
    grade="B",
)
"""Of the account interface, in the sandbox."""

PUBLIC: Final = CAPABILITIES._replace(
    actions=frozenset(), decision=Decision.LATER, looked_up_by=frozenset(), lots_max=0, grade="C"
)
"""Of the public back end, live: it only reads."""
