"""A sandbox of a CAD Trust node: lists of units and an organisation's audit. Not the real thing, and says so.

Nothing can be instructed here either: the books change when an admin changes them, as registries do elsewhere. Rows
that contradict themselves can be put in, because real nodes hold such rows.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aiohttp import web

from adapters.contract import ChangeKind, Holding, HoldingState
from adapters.sandbox.book import Entry
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.server import Sandbox
from keeling.serials import SerialRange, parse, parse_segments, print_range

ORGANISATIONS: Final = (
    "77641db780adc6c74f1ff357804e26a799e4a09157f426aac588963a39bdb2d9",
    "9659b237d3316e0c5481148f6fbc6257e94736bf160854e7c6734366e312829a",
)
"""The orgUids of the guide's examples."""
_STATUS: Final = {
    HoldingState.ACTIVE: "Held",
    HoldingState.BUFFER: "Buffer",
    HoldingState.RETIRED: "Retired",
    HoldingState.CANCELLED: "Cancelled",
}


class CadtSandbox(Sandbox):
    """`synced`: whether the node has read everything. `api_key`: what its owner set; empty: none.

    `odd`: records put in as they are. `from_row`: where numbering of audit rows begins, moved by `reset`.
    """

    name = "cadt"

    def __init__(self, clock: SandboxClock | None = None, seed: int = 0) -> None:
        super().__init__(clock, seed)
        self.synced = True
        self.api_key = ""
        self.odd: list[dict[str, Any]] = []
        self.from_row = 1

    def fill(self, units: int = 10_000, organisation: str = ORGANISATIONS[0], batch: int = 50001) -> SerialRange:
        """Let an organisation publish a block of units."""
        serials = parse(f"GS1-1-KE-GS99001-16-2024-{batch}-1-{units}")
        self.book.issue(self.clock.now_ms, serials, organisation)
        return serials

    def change(self, part: SerialRange, kind: ChangeKind, state: HoldingState) -> None:
        """Let the organisation publish that a part of its units is in another state."""
        row = self.book.touch(part)[0]
        reference = f"CADT-{len(self.book.entries) + 1}"
        self.book.change(
            self.clock.now_ms, kind, row.account, [part], state=state, reference=reference, before=row.state
        )

    def reset(self, by: int) -> None:
        """Let the node read its generations again: its audit rows get new numbers."""
        self.from_row += by

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v2/organizations", self._get_organisations),
            web.get("/v2/unit", self._get_units),
            web.get("/v2/audit", self._get_audit),
        ]

    def error_in_ok(self) -> Any:
        return {"message": "Error retrieving units", "error": "SQLITE_BUSY: database is locked", "success": False}

    def empty_list(self) -> Any:
        return {"page": 1, "pageCount": 0, "data": []}

    def tell(self) -> None:
        """A node pushes nothing."""

    async def _get_organisations(self, request: web.Request) -> web.Response:
        found = {
            name: {"orgUid": name, "name": f"Organisation {at}", "subscribed": True, "synced": self.synced}
            for at, name in enumerate(ORGANISATIONS, 1)
        }
        return self._answer(request, found)

    async def _get_units(self, request: web.Request) -> web.Response:
        wanted = request.query.get("orgUid")
        rows = [_unit(row) for row in self.book.rows()] + self.odd
        return self._answer_page(request, [row for row in rows if wanted in (None, row["orgUid"])])

    async def _get_audit(self, request: web.Request) -> web.Response:
        wanted, rows = request.query.get("orgUid"), []
        told = [_audit("CREATE REGISTRY", 0, self.clock.now_ms, None)]
        for entry in self.book.entries:
            if wanted == (entry.to_account or entry.account):
                told.append(_audit("NO CHANGE", entry.number * 2 - 1, entry.at_ms, None))
                told.append(_audit("INSERT", entry.number * 2, entry.at_ms, _record(entry)))
        for generation, record in enumerate((row for row in self.odd if row["orgUid"] == wanted), 1_000_000):
            told.append(_audit("INSERT", generation, self.clock.now_ms, record))
        for number, row in enumerate(told, self.from_row):
            rows.append({**row, "id": number, "orgUid": wanted, "author": "", "comment": ""})
        return self._answer_page(request, rows if request.query.get("order") == "ASC" else rows[::-1])

    def _answer_page(self, request: web.Request, rows: list[dict[str, Any]]) -> web.Response:
        try:
            page, limit = int(request.query["page"]), int(request.query["limit"])
        except (KeyError, ValueError):
            return self._answer(request, {"message": "Data Validation error", "success": False}, 400)
        if not 1 <= limit <= 1000 or page < 1:
            return self._answer(request, {"message": "Data Validation error", "success": False}, 400)
        data = rows[(page - 1) * limit : page * limit]
        return self._answer(request, {"page": page, "pageCount": -(-len(rows) // limit), "data": data})

    def _answer(self, request: web.Request, body: Any, status: int = 200) -> web.Response:
        if self.api_key and request.headers.get("x-api-key") != self.api_key:
            body, status = {"message": "CADT API key not found"}, 403
        told = {"x-data-synced": "true" if self.synced else "false", "x-sync-remaining": "0" if self.synced else "7"}
        return web.json_response(body, status=status, headers=told)


def _record(entry: Entry) -> dict[str, Any]:
    return _unit(Holding(entry.serials, entry.to_account or entry.account, entry.state)) | {
        "unitStatusDate": _day(entry.at_ms)
    }


def _unit(row: Holding) -> dict[str, Any]:
    printed = print_range(row.serials)
    return {
        "cadTrustUnitId": f"{row.serials.first:08x}-a5a6-4f80-bc67-{row.serials.last:012x}",
        "orgUid": row.account,
        "unitSerialId": printed,
        "unitStartBlock": str(row.serials.first),
        "unitEndBlock": str(row.serials.last),
        "unitCount": row.serials.units,
        "unitType": "Reduction - technical",
        "unitVintageYear": int(parse_segments(printed, "gold_standard")["vintage"]),
        "unitStatus": _STATUS[row.state],
        "unitStatusReason": "",
        "unitStatusDate": "2026-03-12",
        "unitRetirementBeneficiary": "Asha Textiles" if row.state is HoldingState.RETIRED else None,
        "unitCurrentOwner": "Asha Trading",
        "unitMetric": "tCO2e",
        "unitItmosReferenceId": None,
        "cadTrustIssuanceId": "d9f58b08-af25-461c-88eb-403bb02b135e",
    }


def _audit(kind: str, generation: int, at_ms: int, record: dict[str, Any] | None) -> dict[str, Any]:
    stored = None if record is None else json.dumps({_snake(name): value for name, value in record.items()})
    return {
        "registryId": "62531b9ad830f1e2654f324bb12572f69a8d298e8019901ba5e603fe947e479e",
        "rootHash": f"0x{generation:064x}",
        "type": kind,
        "change": stored,
        "table": None if record is None else "unit",
        "onchainConfirmationTimeStamp": str(at_ms // 1000),
        "generation": generation,
    }


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _day(at_ms: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).date().isoformat()
