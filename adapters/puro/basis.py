"""What the Puro adapter relies on, line by line: where it was read, or nothing where it is assumed."""

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
from adapters.contract import (
    Basis,
)

_SPEC: Final = "docs.api.puro.earth mypuro/spec, 2025-2026"
_START: Final = "docs.api.puro.earth mypuro/getting-started/transactions, 2025-2026"
_REGISTRY: Final = "docs.api.puro.earth registry/spec, 2025-2026"
_CONNECT: Final = "docs.api.puro.earth saleschannel spec 2.9.1"

BASIS: Final = (
    Basis("POST /mypuro/transactions/retirement retires; 200 or 201, 400, 401, 403, 404, 429, 500", _SPEC),
    Basis("HTTP Basic with API key id and secret", "docs.api.puro.earth mypuro/concepts/authentication"),
    Basis("Idempotency-Key is required and matches ^[\\w-]{1,64}$, bare", _SPEC),
    Basis("the body has sourceAccountNumber, bundles with amounts, unitPrice, currency, beneficiary fields", _SPEC),
    Basis("beneficiaryName and beneficiaryLocation have at most 100 characters; unitPrice is ^\\d+\\.\\d{1,2}$", _SPEC),
    Basis("a right that is missing answers 403 or 404", "docs.api.puro.earth mypuro/concepts/authentication"),
    Basis("transactions can be listed and read one by one", _START),
    Basis("lists come in pages of limit 1..100 from offset, with pagination.total", _SPEC),
    Basis("GET /registry/certificates lists active bundles; transactions have transactionId, type, bundles", _REGISTRY),
    Basis("a retirement may be PENDING until a person at the registry's side approves", _CONNECT),
    Basis("the Sales Channel takes units from the start of a bundle only", _CONNECT),
    Basis("MyPuro takes the part of a bundle that is named, and says which units it took"),
    Basis("a bundle is named by its issuance and numbers; the array is called certificateBundles"),
    Basis("a transaction gives back idempotencyKey, and lists can be filtered by it"),
    Basis("the registry's list of transactions is in order of completion and only grows"),
    Basis("an issuance's issuanceDetails say facility, vintage and country, by the names of the list of certificates"),
    Basis("status is PENDING, COMPLETED, PARTIALLY_COMPLETED, REJECTED or REVERSED; without one, completedOn tells"),
    Basis("a retirement taken back is shown as status REVERSED"),
    Basis("the same key again answers with the first result; another body under it answers 422"),
    Basis("at most 100 requests a minute"),
    Basis("a no about the units of an order is 400 with one of a few codes; every other no is about the message"),
)

CAPABILITIES: Final = Capabilities(
    actions=frozenset({Action.RETIRE}),
    idempotency=Idempotency.NATIVE,
    decision=Decision.LATER,
    confirmation=Confirmation.POLL,
    settles_within_ms=60_000,
    looked_up_by=frozenset({LookUp.KEY, LookUp.REFERENCE, LookUp.SERIAL}),
    serials=SerialChoice.REGISTRY,
    lots_max=100,
    limits=(Limit(100, 60_000, stated=False),),
    grade="B",
)
