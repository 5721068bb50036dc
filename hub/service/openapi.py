"""The OpenAPI 3.1 document of the HTTP interface, made of the table in `routes`. Pure."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel

from hub.service.bodies import BlockBody, DecisionBody, HoldBody, WithdrawalBody
from hub.service.routes import ROUTES, Route


def build_document() -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _describe(route)
    hold = HoldBody.model_json_schema(ref_template="#/components/schemas/{model}")
    parts = hold.pop("$defs", {})
    bodies: dict[str, type[BaseModel]] = {"Decision": DecisionBody, "Withdrawal": WithdrawalBody, "Block": BlockBody}
    plain = {name: body.model_json_schema() for name, body in bodies.items()}
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
            "schemas": {"Problem": problem, "Hold": hold, **plain, **parts},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _describe(route: Route) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    for name, says in route.query.items():
        schema = {"type": "integer" if name == "page_size" else "string"}
        parameters.append({"name": name, "in": "query", "description": says, "schema": schema})
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    told: dict[str, Any] = {str(status): {"description": "done"} for status in route.success}
    told["default"] = {"description": "a problem (RFC 9457)", "content": problem}
    found: dict[str, Any] = {"operationId": route.name, "summary": route.says, "responses": told}
    if route.role is not None:
        found["security"] = [{"token": []}]
        found["x-role"] = route.role
    if route.body:
        schema = {"$ref": f"#/components/schemas/{route.body}"}
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if route.keyed:
        key = {"name": "Idempotency-Key", "in": "header", "required": True, "schema": {"type": "string"}}
        parameters.append({**key, "description": "a UUIDv7: the id of the hold or order, and of its transaction"})
    if parameters:
        found["parameters"] = parameters
    return found
