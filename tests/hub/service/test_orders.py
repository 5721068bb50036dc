"""Orders that are no holds, in a running hub: taking back, blocking, letting out, over HTTP, gRPC and the command."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from adapters.sandbox.faults import Fault, FaultKind
from adapters.sandbox.icm import PLANT
from hub.ledger_client import make_number
from hub.service.calls import Calls
from hub.service.parts import Parts
from hub.service.rpc import HubService
from keeling.v1 import hub_pb2 as hub
from keeling.v1 import operations_pb2 as op
from tests.cli.command_line import Keeling
from tests.hub.dispatch.trading import SESSIONS, Market, confirmed_ms
from tests.hub.service.ordering import Office, open_icm_office, open_uk_office
from tests.hub.service.test_proposals import Context, Ended, Known
from tests.hub.service.test_running import Caller

WAIT_S = 120.0


def run(story: Coroutine[Any, Any, None]) -> None:
    with capture_logs():  # the hub's log would stand among what the commands print
        asyncio.run(asyncio.wait_for(story, WAIT_S))


async def instruct(office: Office, caller: Caller, parts: Parts) -> str:
    """A transfer outside the trusted list that the registry has and delays; the hold's id."""
    hold = office.scene.place("alice/uk", 100, purpose=op.Hold.FOR_TRANSFER, buyer="bob", to_account="bob/uk")
    while not (await expected_of(caller)) or not is_delayed(office):
        office.scene.later(1_000)
        parts.dispatcher.wake()
    return hold.hex()


def is_delayed(office: Office) -> bool:
    """Whether the second representative has approved."""
    return all(order.due_ms < office.scene.world.now_ms * 2 for order in office.scene.sandbox.desk.orders.values())


async def expected_of(caller: Caller) -> int:
    """When the one hold is expected, where the registry has said that itself; else 0."""
    _, told = await caller("GET", "/v1/backlog")
    lines = [line for line in told["backlog"] if line["phase"] == "INSTRUCTED"]
    return int(lines[0]["expected_ms"]) if lines and "has not decided" in lines[0]["why"] else 0


def test_an_operator_takes_back_what_was_instructed(tmp_path: Path) -> None:
    keeling, file = Keeling(tmp_path), str(tmp_path / "group.toml")

    async def story() -> None:
        async with (
            open_uk_office(tmp_path) as office,
            aiohttp.ClientSession() as session,
            office.hub() as (running, parts),
        ):
            viewer, operator = (Caller(session, running.address, role) for role in ("viewer", "operator"))
            hold = await instruct(office, viewer, parts)
            path, body = f"/v1/holds/{hold}/withdrawal", {"because": "the buyer cancelled"}
            for caller, where, said, expected in (
                (viewer, path, body, (403, "not-permitted")),
                (operator, path, {}, (400, "bad-body")),
                (operator, path, {"because": ""}, (400, "bad-body")),
                (operator, f"/v1/holds/{'0' * 32}/withdrawal", body, (404, "not-found")),
                (operator, "/v1/holds/xx/withdrawal", body, (400, "bad-id")),
            ):
                status, told = await caller("POST", where, json=said)
                assert (status, told["title"]) == expected
            command = ("hub", "withdraw", hold, "--because", "the buyer cancelled", "--config", file)
            done = await asyncio.to_thread(keeling.must, *command)
            assert done.out.startswith("withdrawn: 100 units at uk_ets")
            assert "released: 0 done, 100 released" in done.out
            status, told = await operator("POST", path, json=body)
            assert (status, told["withdrawal"], told["phase"]) == (200, "withdrawn", "RELEASED"), "the same again"
            assert office.scene.sandbox.book.effects() == {}

    run(story())


def test_what_comes_too_late_is_told_and_changes_nothing(tmp_path: Path) -> None:
    keeling, file = Keeling(tmp_path), str(tmp_path / "group.toml")

    async def story() -> None:
        async with (
            open_uk_office(tmp_path) as office,
            aiohttp.ClientSession() as session,
            office.hub() as (running, parts),
        ):
            operator = Caller(session, running.address, "operator")
            hold = await instruct(office, operator, parts)
            (order,) = office.scene.sandbox.desk.orders.values()
            office.scene.later(order.due_ms - 3_600_000 - office.scene.world.now_ms)
            command = ("hub", "withdraw", hold, "--because", "no longer wanted", "--config", file)
            for _ in range(2):
                status, told = await operator(
                    "POST", f"/v1/holds/{hold}/withdrawal", json={"because": "no longer wanted"}
                )
                assert (status, told["title"]) == (409, "too-late")
                assert "too near to its execution" in told["detail"]
            late = await asyncio.to_thread(keeling, *command)
            assert (late.code, "too-late" in late.err) == (1, True)
            line = (await operator("GET", "/v1/backlog"))[1]["backlog"][0]
            assert (line["phase"], line["why"].startswith("could not be taken back")) == ("INSTRUCTED", True)
            shown = await asyncio.to_thread(keeling.must, "hub", "backlog", "--config", file)
            assert "could not be taken back" in shown.out

    run(story())


def fresh(market: Market) -> str:
    """An order's id of now: the command's own clock is another than this ledger's."""
    return str(uuid.UUID(bytes=make_number(market.world.now_ms)))


async def wait_for_line(caller: Caller, market: Market, standing: str) -> Any:
    """Ask until an order stands so, and the registry's time goes on meanwhile."""
    while True:
        _, told = await caller("GET", "/v1/blocks")
        found = [line for line in told["blocks"] if line["standing"] == standing]
        if found:
            return found[-1]
        market.later(1_000)


def test_a_session_from_the_order_to_the_ban(tmp_path: Path) -> None:
    """Free 1,000; 600 for IEX here, 500 for PXIL at another door: refused, told, and in the third session barred."""
    keeling, file = Keeling(tmp_path), ("--config", str(tmp_path / "group.toml"))

    async def story() -> None:
        async with (
            open_icm_office(tmp_path) as (office, market),
            aiohttp.ClientSession() as session,
            office.hub() as (running, _),
        ):
            viewer = Caller(session, running.address, "viewer")
            for number, day in enumerate(SESSIONS, start=1):
                order = ("hub", "block", "alice/icm", "--exchange", "IEX", "--session", day, *file, "--order")
                told = await asyncio.to_thread(keeling.must, *order, fresh(market), "--units", "600")
                assert told.out.startswith(f"being blocked: 600 units of alice/icm for the session of {day} at IEX")
                assert f"the registry decides by {day}T10:30:00" in told.out
                more = await asyncio.to_thread(keeling, *order, fresh(market), "--units", "500")
                assert (more.code, "400 are free" in more.err) == (1, True)
                market.offer("PXIL", day, "IN-CCC-OE-CEM0042-2025-26-501-1000")
                market.move_to(confirmed_ms(day))
                while True:
                    page = (await viewer("GET", "/v1/blocks"))[1]["blocks"]
                    refused = [line for line in page if line["standing"] == "refused"]
                    if len(refused) == number:
                        break
                assert f"breach {number} of the quarter" in refused[-1]["why"]
            while not (await office.scene.ledger.account("alice/icm")).link_windows:
                assert (await viewer("GET", "/health"))[0] == 200
            shown = await asyncio.to_thread(keeling.must, "hub", "backlog", *file)
            assert "breach 3 of the quarter: 1100 offered" in shown.out
            market.later(60_000)
            order = ("hub", "block", "alice/icm", "--exchange", "IEX", "--session", "2027-04-28", *file, "--order")
            barred = await asyncio.to_thread(keeling, *order, fresh(market), "--units", "1")
            assert (barred.code, "debarred until 2027-09-30" in barred.err) == (1, True)
            sums = await asyncio.to_thread(keeling.must, "hub", "balance", "icm", PLANT, *file)
            assert [
                line.split() for line in sums.out.splitlines() if line.startswith(("free", "breaches", "debarred"))
            ] == [
                ["free", "1,000"],
                ["breaches", "3"],
                ["debarred", "until", "2027-09-30"],
            ]
            listed = await asyncio.to_thread(keeling.must, "hub", "blocks", *file)
            assert listed.out.count("OVER_BID") == 3
            _, metrics = await viewer("GET", "/metrics")
            assert 'keeling_hub_breaches_total{registry="icm"} 3.0' in metrics
            assert 'keeling_hub_session_refused_total{registry="icm"} 3.0' in metrics

    run(story())


def test_an_order_has_one_id_all_the_way(tmp_path: Path) -> None:
    async def story() -> None:
        async with open_icm_office(tmp_path) as (office, market), aiohttp.ClientSession() as session:
            async with office.hub() as (running, _):
                operator = Caller(session, running.address, "operator")
                key = {"Idempotency-Key": fresh(market)}
                body = {
                    "action": "block",
                    "account": "alice/icm",
                    "exchange": "IEX",
                    "session": SESSIONS[0],
                    "units": 600,
                }
                for said, headers, expected in (
                    (body, {}, (400, "no-idempotency-key")),
                    ({**body, "action": "sell"}, key, (400, "bad-body")),
                    ({**body, "serials": ["x"]}, key, (400, "bad-body")),
                    ({**body, "units": None, "serials": ["no serial"]}, key, (400, "bad-body")),
                    ({**body, "session": "2027-01-28"}, key, (409, "cannot-order")),
                    ({**body, "exchange": "NSE"}, key, (409, "cannot-order")),
                    ({**body, "units": 1_001}, key, (409, "refused")),
                    ({**body, "account": "alice/none"}, key, (404, "not-found")),
                ):
                    status, told = await operator("POST", "/v1/blocks", json=said, headers=headers)
                    assert (status, told["title"]) == expected, said
                assert not market.registry.desk.orders
                for _ in range(2):
                    status, told = await operator("POST", "/v1/blocks", json=body, headers=key)
                    assert (status, told["standing"], told["units"]) == (200, "being blocked", "600")
                status, told = await operator("POST", "/v1/blocks", json={**body, "exchange": "HPX"}, headers=key)
                assert (status, told["title"]) == (422, "key-used")
            async with office.hub() as (running, _):
                operator = Caller(session, running.address, "operator")
                status, told = await operator("POST", "/v1/blocks", json=body, headers=key)
                assert (status, told["order"]) == (200, uuid.UUID(key["Idempotency-Key"]).hex)
                market.move_to(confirmed_ms(SESSIONS[0]))
                assert (await wait_for_line(operator, market, "blocked"))["units"] == "600"
                names = {each.restriction.split("/")[0] for each in await market.listed()}
                assert names == {"session"}, "the registry's own word restricts nothing a second time"
                assert len(market.registry.desk.orders) == 1

    run(story())


def test_the_command_lets_out_a_part(tmp_path: Path) -> None:
    keeling, file = Keeling(tmp_path), ("--config", str(tmp_path / "group.toml"))
    session = ("--exchange", "IEX", "--session", SESSIONS[0])

    async def story() -> None:
        async with (
            open_icm_office(tmp_path) as (office, market),
            aiohttp.ClientSession() as line,
            office.hub() as (running, _),
        ):
            block = ("hub", "block", "alice/icm", *session, *file, "--order", fresh(market))
            await asyncio.to_thread(keeling.must, *block, "--units", "600")
            market.move_to(confirmed_ms(SESSIONS[0]))
            await wait_for_line(Caller(line, running.address, "viewer"), market, "blocked")
            command = ("hub", "unblock", "alice/icm", *session, *file, "--order")
            out = await asyncio.to_thread(keeling.must, *command, fresh(market), "--units", "200")
            assert out.out.startswith("free again: 200 units of alice/icm for the session of 2027-01-27 at IEX")
            assert market.blocked_there() == 400
            for words in ((), ("--units", "1", "--serials", "IN-CCC-OE-CEM0042-2025-26-1-1")):
                ended = await asyncio.to_thread(keeling, *command, fresh(market), *words)
                assert (ended.code, "either --units or --serials" in ended.err) == (2, True)

    run(story())


def test_grpc_orders_lists_and_tells_the_same(tmp_path: Path) -> None:
    async def story() -> None:
        async with open_icm_office(tmp_path) as (office, market), office.hub() as (_, parts):
            service, context = HubService(Calls(parts), Known()), Context()
            asked = hub.OrderBlockRequest(account="alice/icm", exchange="IEX", session=SESSIONS[0], units=600)
            with pytest.raises(Ended, match="BAD_REQUEST"):
                await service.OrderBlock(asked, context)
            asked.action = hub.OrderBlockRequest.BLOCK
            with pytest.raises(Ended, match="NO_IDEMPOTENCY_KEY"):
                await service.OrderBlock(asked, context)
            asked.order = make_number(market.world.now_ms)
            told = await service.OrderBlock(asked, context)
            assert (told.order, told.units, told.standing) == (asked.order, 600, "being blocked")
            assert (await service.ListBlocks(hub.HubListRequest(), context)).blocks[0].serials == told.serials
            again = hub.OrderBlockRequest.FromString(asked.SerializeToString())
            again.order, again.units = make_number(market.world.now_ms), 500
            with pytest.raises(Ended, match="INSUFFICIENT_UNITS"):
                await service.OrderBlock(again, context)
            sums = await service.GetRegistryBalance(
                hub.GetRegistryBalanceRequest(registry="icm", account=PLANT), context
            )
            assert (sums.free, sums.breaches, sums.debarred_until) == (1_000, 0, "")
            market.registry.faults.add(Fault(FaultKind.HTML, "^GET /icm/v1/accounts"))
            with pytest.raises(Ended, match="REGISTRY_UNREACHABLE"):
                await service.GetRegistryBalance(hub.GetRegistryBalanceRequest(registry="icm", account=PLANT), context)
            with pytest.raises(Ended, match="BAD_REQUEST"):
                await service.WithdrawHold(hub.WithdrawHoldRequest(hold=bytes(16)), context)
            assert isinstance(await service.ListBacklog(hub.HubListRequest(), context), hub.ListBacklogResponse)

    run(story())


def test_registries_that_tell_no_sums_say_so(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            open_uk_office(tmp_path) as office,
            aiohttp.ClientSession() as session,
            office.hub() as (running, _),
        ):
            viewer = Caller(session, running.address, "viewer")
            for path, expected in (
                ("/v1/registries/uk_ets/balances/UK-100-1", (404, "no-balance")),
                ("/v1/registries/none/balances/x", (404, "unknown-registry")),
            ):
                status, told = await viewer("GET", path)
                assert (status, told["title"]) == expected

    run(story())
