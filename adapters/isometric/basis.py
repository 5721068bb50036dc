"""What the Isometric exchange relies on, line by line: where it was read, or nothing where it is assumed."""

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

_SPEC: Final = "Isometric Registry API v0, OpenAPI (copy in api-evangelist/isometric-co, August 2026)"

PAGE_ROWS: Final = 50
NOTE_CHARS_MAX: Final = 256
PURPOSES: Final = (
    "corporate_targets",
    "public_environmental_claims",
    "insetting",
    "regulatory_requirement",
    "other",
)

BASIS: Final = (
    Basis("every call has x-client-secret and Authorization: Bearer", _SPEC),
    Basis("POST /retirements/from_oldest_credits retires a quantity in kg of one supplier's oldest credits", _SPEC),
    Basis("it names owner_organisation_id, beneficiary_organisation_id, supplier_id, retirement_purposes", _SPEC),
    Basis("notes have at most 256 characters, and a retirement gives them back", _SPEC),
    Basis("a retirement has id, retired_at, credit_batch_size_total with credits and credit_kgs", _SPEC),
    Basis("GET /retirements filters by owner_org_id; /retirements/{id}/credit_batches says which were used", _SPEC),
    Basis("GET /organisation is one's own; /organisations/{id}/credit_batches are its credits", _SPEC),
    Basis("lists have nodes, total_count, page_info; first is at most 50, after takes end_cursor", _SPEC),
    Basis("a credit batch is active, split or retired; a part used splits it in two, and a split one is empty", _SPEC),
    Basis("422 has detail, a list of loc, msg and type; no idempotency key is documented", _SPEC),
    Basis("one unit is 1 kg", _SPEC),
    Basis("all batches of one retirement come from one supplier", _SPEC),
    Basis("an account of ours is written organisation/supplier, because credits are taken by supplier"),
    Basis("size of a credit batch is an object of credits and credit_kgs, owner one with an id"),
    Basis("whether a serial's last number belongs to it follows from the batch's size"),
    Basis("retirements are listed oldest first, and a cursor stays good"),
    Basis("a retirement is decided at once; what it does not hold will not be retired"),
    Basis("a retirement taken back has reversed_at"),
    Basis("422 of type insufficient_credits or declined is about the credits; every other one is about our message"),
    Basis("wrong credentials answer 401"),
    Basis("two requests a second are not too much"),
)

CAPABILITIES: Final = Capabilities(
    actions=frozenset({Action.RETIRE}),
    idempotency=Idempotency.NONE,
    decision=Decision.AT_ONCE,
    confirmation=Confirmation.POLL,
    settles_within_ms=600_000,
    looked_up_by=frozenset({LookUp.REFERENCE, LookUp.KEY, LookUp.SERIAL}),
    serials=SerialChoice.REGISTRY,
    lots_max=100,
    limits=(Limit(2, 1_000, stated=False),),
    grade="B",
)
"""One unit is 1 kg (`Grain.KG_CO2E`)."""
