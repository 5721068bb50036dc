"""What the HTTP interface offers, as one table, and the OpenAPI 3.1 document made of it. Pure.

`web` serves exactly the table; what registries call, `/inbound/REGISTRY`, is theirs and in docs/hub.md.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from hub.service.bodies import HoldBody
from hub.service.config import Role


class Route(NamedTuple):
    """One call."""

    method: str
    path: str
    name: str
    role: Role | None
    """Who may call; None: anybody who reaches it."""
    says: str
    success: tuple[int, ...] = (200,)
    body: bool = False


ROUTES: Final = (
    Route("GET", "/health", "health", None, "Whether the ledger answers and the dispatcher goes round"),
    Route("GET", "/metrics", "metrics", None, "Figures for Prometheus"),
    Route("GET", "/openapi.json", "openapi", None, "This document"),
    Route("GET", "/v1/registries", "registries", "viewer", "Connected registries, each with driver and honesty marks"),
    Route("GET", "/v1/links", "links", "viewer", "Accounts of the ledger that this hub carries for, and their state"),
    Route("GET", "/v1/backlog", "backlog", "viewer", "Everything that is not over, oldest first, with age and reason"),
    Route("GET", "/v1/holds/{hold}", "hold", "viewer", "One hold, with what a buyer is told"),
    Route("GET", "/v1/events", "events", "viewer", "The ledger's events as server-sent events from a cursor on"),
    Route("POST", "/v1/holds", "place_hold", "trader", "Hold units that were sold; one hold a key", (201, 200), True),
    Route("POST", "/v1/reconciliations/{registry}", "reconcile", "operator", "Compare a registry with the ledger now"),
)  # fmt: skip


def build_document() -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _describe(route)
    hold = HoldBody.model_json_schema(ref_template="#/components/schemas/{model}")
    parts = hold.pop("$defs", {})
    problem = {
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {name: {"type": "string"} for name in ("type", "title", "detail", "reason")}
        | {"status": {"type": "integer"}},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Keeling hub", "version": "1"},
        "paths": paths,
        "components": {
            "schemas": {"Problem": problem, "Hold": hold, **parts},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _describe(route: Route) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    told: dict[str, Any] = {str(status): {"description": "done"} for status in route.success}
    told["default"] = {"description": "a problem (RFC 9457)", "content": problem}
    found: dict[str, Any] = {"operationId": route.name, "summary": route.says, "responses": told}
    if route.role is not None:
        found["security"] = [{"token": []}]
        found["x-role"] = route.role
    if route.body:
        schema = {"$ref": "#/components/schemas/Hold"}
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
        key = {"name": "Idempotency-Key", "in": "header", "required": True, "schema": {"type": "string"}}
        parameters.append({**key, "description": "a UUIDv7: the id of the hold and of its transaction"})
    if parameters:
        found["parameters"] = parameters
    return found
