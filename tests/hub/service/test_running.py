"""A hub at work over a real node and two sandboxes: its HTTP interface, its recovery, its credentials."""

from __future__ import annotations

import asyncio
import json
import shutil
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from structlog.testing import capture_logs

from adapters.contract import HoldingState
from adapters.sandbox.faults import Fault, FaultKind
from hub.ledger_client import make_number
from hub.rehearsal.counters import DAY_MS, Counter, build_counters
from hub.rehearsal.world import World, open_clock, open_world
from hub.service.config import HubConfig, parse_config, place_paths
from hub.service.openapi import build_document
from hub.service.parts import Parts
from hub.service.routes import ROUTES
from hub.service.running import Running
from keeling.v1 import operations_pb2 as op

TOKENS = {role: f"token-of-the-{role}" for role in ("viewer", "trader", "operator")}
WAIT_S = 120.0


class Stage(NamedTuple):
    """The world, and how a hub on it is configured."""

    world: World
    counters: list[Counter]
    config: HubConfig
    root: Path

    @asynccontextmanager
    async def hub(self) -> AsyncIterator[Running]:
        """A hub that remembers nothing."""
        running = Running(Parts(self.config, self.world.ledgers["hub"], self.world.clock.now_ms))
        await running.start()
        try:
            yield running
        finally:
            await running.stop()


@asynccontextmanager
async def open_stage(root: Path) -> AsyncIterator[Stage]:
    clock = open_clock(root)
    counters = build_counters(2, clock.sandbox, 1_000, 100)
    async with open_world(root, clock, counters) as world:
        mandate = op.GrantMandate(
            account="acme/puro",
            mandate="sell",
            grantee="hub",
            operations=[op.Operation.DESCRIPTOR.fields_by_name["hold"].number],
            units_each=1_000,
            units_total=1_000,
            until_ms=clock.now_ms() + 100 * DAY_MS,
        )
        await world.must("acme", mandate)
        lines = ['participant = "hub"', 'listen = "127.0.0.1:0"']
        for counter in counters:
            lines += ["[[registries]]", f'name = "{counter.registry}"', f'url = "{counter.sandbox.base_url}"']
            lines += [f'secrets = "{counter.registry}"', "poll_ms = 200", "limits = []"]
            (root / counter.registry).mkdir()
            for name, text in counter.kind.secrets.items():
                (root / counter.registry / name).write_text(text)
        for role, token in TOKENS.items():
            lines += ["[[callers]]", f'name = "{role}"', f'role = "{role}"', f'token = "{role}.token"']
            (root / f"{role}.token").write_text(token)
        yield Stage(world, counters, place_paths(parse_config("\n".join(lines)), root), root)


class Caller:
    """Somebody with a token."""

    def __init__(self, session: aiohttp.ClientSession, address: str, role: str) -> None:
        self._session, self._url = session, f"http://{address}"
        self._headers = {"Authorization": f"Bearer {TOKENS.get(role, role)}"} if role else {}

    async def __call__(self, method: str, path: str, **given: Any) -> tuple[int, Any]:
        headers = {**self._headers, **given.pop("headers", {})}
        async with self._session.request(method, self._url + path, headers=headers, **given) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if "json" in answer.content_type else text


def body_of(stage: Stage, units: int = 100) -> dict[str, Any]:
    expires_ms = stage.world.clock.now_ms() + DAY_MS
    return {
        "account": "acme/puro",
        "mandate": "sell",
        "units": units,
        "purpose": "retire",
        "expires_ms": expires_ms,
        "buyer": "globex",
    }


async def wait_for_phase(stage: Stage, hold: bytes, phase: str) -> None:
    """Until the ledger shows the hold there, woken by its events."""
    ledger = stage.world.ledgers["globex"]
    height = (await ledger.hold(hold)).opened.height

    async def watch() -> None:
        async for _ in ledger.watch((height - 1, 0)):
            if (await ledger.hold(hold)).phase == phase:
                return

    await asyncio.wait_for(watch(), WAIT_S)


def test_a_hold_comes_in_over_http_and_goes_to_the_registry_once(tmp_path: Path) -> None:
    async def run() -> None:
        async with open_stage(tmp_path) as stage, stage.hub() as hub, aiohttp.ClientSession() as session:
            trader = Caller(session, hub.address, "trader")
            number = make_number(stage.world.clock.now_ms())
            key = {"Idempotency-Key": f'"{uuid.UUID(bytes=number)}"'}
            body = body_of(stage)
            status, told = await trader("POST", "/v1/holds", json=body, headers=key)
            assert (status, told["hold"]) == (201, number.hex())
            assert told["told"].startswith(
                ("held; not yet with the registry", "instructed, expected by 20", "captured")
            )
            assert told["told"].endswith("(sandbox: not a real registry)")
            await wait_for_phase(stage, number, "CAPTURED")
            status, told = await trader("POST", "/v1/holds", json=body, headers=key)
            assert (status, told["phase"]) == (200, "CAPTURED")
            status, told = await trader("POST", "/v1/holds", json={**body, "units": 99}, headers=key)
            assert (status, told["title"]) == (422, "key-used")
            assert stage.counters[0].sandbox.book.effects() == {number.hex(): 100}
            fresh = {"Idempotency-Key": str(uuid.UUID(bytes=make_number(stage.world.clock.now_ms())))}
            status, told = await trader("POST", "/v1/holds", json=body_of(stage, 5_000), headers=fresh)
            assert (status, told["reason"]) == (409, "OUTSIDE_MANDATE")
            await check_reading(stage, hub, session)
            await check_bad_calls(stage, hub, session)

    asyncio.run(run())


async def check_reading(stage: Stage, hub: Running, session: aiohttp.ClientSession) -> None:
    operator = Caller(session, hub.address, "operator")
    _, told = await operator("GET", "/v1/registries")
    assert [each["driver"] for each in told["registries"]] == ["sandbox", "sandbox"]
    assert all("assumed" in each["marks"] for each in told["registries"])
    status, told = await operator("GET", "/v1/backlog")
    assert (status, told) == (200, {"backlog": [], "news": [], "next_page_token": ""})
    _, told = await operator("GET", "/v1/links")
    assert {each["account"] for each in told["links"]} == {"acme/puro", "acme/verra"}
    with capture_logs() as lines:
        status, run = await operator("POST", "/v1/reconciliations/puro")
        _, state = await operator("GET", "/v1/reconciliations/puro")
        assert (state["progress"], state["newest"]["run"]) == (None, run["run"])
        assert "differences" not in state["newest"]
    assert (status, run["alarm"], run["broken_units"]) == (200, "", "0"), run
    assert [each["outcome"] for each in lines if each["event"] == "reconciled"] == ["agreed"], (
        "also when it is asked for"
    )
    assert run["anchored"].isdecimal()
    status, metrics = await operator("GET", "/metrics")
    assert "keeling_hub_captured_units_total 100.0" in metrics
    status, health = await operator("GET", "/health")
    assert (status, health["status"]) == (200, "serving")
    url, headers = f"http://{hub.address}/v1/events", {"Authorization": f"Bearer {TOKENS['viewer']}"}
    async with session.get(url, params={"after": "1.0"}, headers=headers) as stream:
        first = (await asyncio.wait_for(stream.content.readuntil(b"\n\n"), WAIT_S)).decode()
    assert first.startswith(("id: 1.", "id: 2."))
    assert json.loads(first.partition("data: ")[2])["kind"] == first.partition("event: ")[2].partition("\n")[0]


async def check_bad_calls(stage: Stage, hub: Running, session: aiohttp.ClientSession) -> None:
    key = {"Idempotency-Key": str(uuid.UUID(bytes=make_number(stage.world.clock.now_ms())))}
    body, bad_key = body_of(stage), {"Idempotency-Key": "abc"}
    cases: list[tuple[str, str, str, dict[str, Any], int, str]] = [
        ("", "GET", "/v1/backlog", {}, 401, "no-token"),
        ("wrong", "GET", "/v1/backlog", {}, 401, "unknown-token"),
        ("viewer", "POST", "/v1/holds", {"json": body, "headers": key}, 403, "not-permitted"),
        ("trader", "POST", "/v1/reconciliations/puro", {}, 403, "not-permitted"),
        ("operator", "POST", "/v1/reconciliations/none", {}, 404, "unknown-registry"),
        ("trader", "POST", "/v1/holds", {"json": body}, 400, "no-idempotency-key"),
        ("trader", "POST", "/v1/holds", {"json": body, "headers": bad_key}, 400, "no-idempotency-key"),
        ("trader", "POST", "/v1/holds", {"json": {**body, "unit": 1}, "headers": key}, 400, "bad-body"),
        ("trader", "POST", "/v1/holds", {"json": {**body, "units": "1"}, "headers": key}, 400, "bad-body"),
        ("trader", "POST", "/v1/holds", {"data": b"<html>", "headers": key}, 400, "bad-body"),
        ("trader", "POST", "/v1/holds", {"data": b" " * 100_000, "headers": key}, 413, "too-large"),
        ("trader", "GET", "/v1/holds/zz", {}, 400, "bad-id"),
        ("trader", "GET", f"/v1/holds/{'0' * 32}", {}, 404, "not-found"),
        ("trader", "GET", "/v1/events?after=x", {}, 400, "bad-cursor"),
        ("trader", "GET", f"/v1/events?after={'9' * 20}.1", {}, 400, "bad-cursor"),
        ("trader", "GET", f"/v1/events?after={'9' * 4_400}.1", {}, 400, "bad-cursor"),
        ("trader", "GET", "/v2", {}, 404, "no-such-path"),
        ("trader", "PUT", "/v1/holds", {}, 405, "method-not-allowed"),
    ]  # fmt: skip
    for role, method, path, given, status, title in cases:
        found, told = await Caller(session, hub.address, role)(method, path, **given)
        assert (found, told["title"], told["status"]) == (status, title, status), (path, told)


def test_a_hub_that_lost_its_folder_goes_on_where_the_ledger_is(tmp_path: Path) -> None:
    async def run() -> None:
        async with open_stage(tmp_path) as stage:
            puro = stage.counters[0].sandbox
            puro.faults.add(Fault(FaultKind.CUT_AFTER, "POST"), Fault(FaultKind.MAINTENANCE, "GET", times=-1))
            number = make_number(stage.world.clock.now_ms())
            async with stage.hub() as hub, aiohttp.ClientSession() as session:
                key = {"Idempotency-Key": str(uuid.UUID(bytes=number))}
                await Caller(session, hub.address, "trader")("POST", "/v1/holds", json=body_of(stage), headers=key)
                await wait_for_phase(stage, number, "INSTRUCTED")
            shutil.rmtree(stage.config.folder, ignore_errors=True)
            puro.faults.clear()
            stage.world.clock.advance(10 * 60_000)
            async with stage.hub():
                await wait_for_phase(stage, number, "CAPTURED")
            assert puro.book.effects() == {number.hex(): 100}
            assert puro.book.units(states=(HoldingState.RETIRED,)) == 100

    asyncio.run(run())


def test_a_replaced_credential_is_used_by_the_next_call(tmp_path: Path) -> None:
    async def run() -> None:
        async with open_stage(tmp_path) as stage:
            secret = tmp_path / "puro" / "key-secret"
            right = secret.read_text()
            secret.write_text("an old one")
            parts = Parts(stage.config, stage.world.ledgers["hub"], stage.world.clock.now_ms)
            _, adapter = parts.systems["puro"]
            before = await adapter.changes("")
            secret.write_text(right)
            after = await adapter.changes("")
            await parts.close()
            assert (type(before).__name__, type(after).__name__) == ("Unauthorised", "Changes")

    asyncio.run(run())


def test_a_stream_of_news_ends_where_its_caller_is_one_no_more(tmp_path: Path) -> None:
    async def run() -> None:
        async with open_stage(tmp_path) as stage, stage.hub() as hub, aiohttp.ClientSession() as session:
            url, headers = f"http://{hub.address}/v1/events", {"Authorization": f"Bearer {TOKENS['viewer']}"}
            async with session.get(url, params={"after": "1.0"}, headers=headers) as stream:
                await asyncio.wait_for(stream.content.readuntil(b"\n\n"), WAIT_S)
                (tmp_path / "viewer.token").write_text("a token of somebody else")
                await stage.world.must("acme", op.OpenAccount(account="acme/unheard-of", owner="acme"))
                rest = await asyncio.wait_for(stream.content.read(), WAIT_S)
            assert b"unheard-of" not in rest

    asyncio.run(run())


def test_the_document_says_what_is_served(tmp_path: Path) -> None:
    document = build_document()
    said = {(method.upper(), path) for path, calls in document["paths"].items() for method in calls}
    assert said == {(route.method, route.path) for route in ROUTES}
    assert document["openapi"].startswith("3.1")
    assert document["components"]["schemas"]["Hold"]["additionalProperties"] is False
    for calls in document["paths"].values():
        for call in calls.values():
            assert "default" in call["responses"]
