"""What the live CAD Trust driver relies on, line by line: where it was read, or nothing where it is assumed.

A CAD Trust node is a mirror: organisations publish what their registries did, and nothing is executed there. So there
are no actions; what it says is evidence of a public page and no more. How its files are read is in `parse`.
"""

from __future__ import annotations

from typing import Final

from adapters.capabilities import (
    Capabilities,
    Confirmation,
    Decision,
    Idempotency,
    Limit,
    SerialChoice,
)
from adapters.contract import Basis

_GUIDE: Final = "Chia-Network/cadt docs/cadt_rpc_api_v2.md (marked draft), 02af8f9"
_UNITS: Final = "Chia-Network/cadt src/controllers/v2/unit-v2.controller.js, 1e82c90"
_AUDIT: Final = "Chia-Network/cadt src/controllers/v2/audit-v2.controller.js, 1fec6e8"
_SYNC: Final = "Chia-Network/cadt src/tasks/sync-registries-v2.js, 0fdcecc"
_LAYER: Final = "Chia-Network/cadt src/middleware.js, 171e6d6"
_SCHEMA: Final = "Chia-Network/cadt docs/cadtrust-schema-v2.0.2.json, 0f406f5"

PAGE_ROWS: Final = 1000
"""Rows asked for at once: the most that lists give."""

BASIS: Final = (
    Basis("the interface of version 2 is under /v2, by default at http://localhost:31310", _GUIDE),
    Basis("x-api-key is needed where the node's owner has set one, else nothing; without it 403", _LAYER),
    Basis("GET /v2/unit?page=&limit=&orgUid=&order=createdAt:ASC lists units; {page, pageCount, data}", _UNITS),
    Basis("units have the fields of data model 2.0.2 in camelCase, and orgUid", _SCHEMA),
    Basis("GET /v2/organizations gives an object of organisations by orgUid, with subscribed and synced", _GUIDE),
    Basis("GET /v2/audit needs orgUid; page from 1, limit 1 to 1000, order ASC or DESC by confirmation", _AUDIT),
    Basis("an audit row has type, table, generation, onchainConfirmationTimeStamp in seconds, change", _GUIDE),
    Basis("change is the record as it was written, as JSON text with names in snake_case", _SYNC),
    Basis("an update is written as INSERT of the record; a DELETE has no change and does not name its record", _SYNC),
    Basis("generations without a difference are rows of type NO CHANGE", _SYNC),
    Basis("a node that is ahead of a reorganised chain is reset two generations back and reads them again", _SYNC),
    Basis("x-data-synced says whether the node has read everything; x-sync-remaining how much is missing", _LAYER),
    Basis("400 with message Chia Exception: wallet or data layer of the node are down", _LAYER),
    Basis("units are not checked: count and range of the schema's own example disagree", _SCHEMA),
    Basis("what is not committed yet lies in /v2/staging and is private; it is not in the lists", _GUIDE),
    Basis("/v2 sends x-data-synced as /v1 does"),
    Basis("rows of one generation keep their order in the audit, and new rows come at its end"),
    Basis("a unit stands once in a generation"),
    Basis("ten requests a second are not too much for a node of one's own"),
)

CAPABILITIES: Final = Capabilities(
    actions=frozenset(),
    idempotency=Idempotency.NONE,
    decision=Decision.LATER,
    confirmation=Confirmation.POLL,
    settles_within_ms=0,
    looked_up_by=frozenset(),
    serials=SerialChoice.OURS,
    lots_max=0,
    limits=(Limit(10, 1_000, stated=False),),
    grade="C",
)
