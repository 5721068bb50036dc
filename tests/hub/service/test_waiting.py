"""News that waits, at a running hub: over HTTP, gRPC, by command and in figures, after a restart too."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import aiohttp
from structlog.testing import capture_logs

from adapters.contract import Change, ChangeKind
from hub.inbound.intake import Outcome
from hub.service.calls import Calls
from hub.service.config import parse_config
from hub.service.parts import read_issued
from hub.service.rpc import HubService
from keeling.serials import parse
from keeling.v1 import hub_pb2 as hub
from keeling.v1 import operations_pb2 as op
from tests.cli.command_line import Keeling
from tests.hub.service.ordering import open_uk_office
from tests.hub.service.test_proposals import Context, Known
from tests.hub.service.test_running import Caller

WAIT_S = 120.0
FAR = parse("UKA-90000000001-90000000100")
NEWS = [
    Change("n1", ChangeKind.ISSUED, 5, FAR, to_account="OURS", reference="R1"),
    Change("n2", ChangeKind.RETIRED, 6, FAR.part(FAR.first, FAR.first + 9), account="OURS"),
]


def run(story: Coroutine[Any, Any, None]) -> None:
    with capture_logs():
        asyncio.run(asyncio.wait_for(story, WAIT_S))


async def ask(caller: Caller) -> list[Any]:
    status, told = await caller("GET", "/v1/waiting")
    assert status == 200
    return list(told["waiting"])


async def read_figure(session: aiohttp.ClientSession, address: str, name: str) -> float:
    async with session.get(f"http://{address}/metrics") as answer:
        found = re.search(rf'^{name}{{registry="uk_ets"}} (\S+)$', await answer.text(), re.MULTILINE)
    assert found, name
    return float(found[1])


def test_what_waits_is_shown_with_what_to_do_and_taken_when_the_units_come(tmp_path: Path) -> None:
    keeling, file = Keeling(tmp_path), str(tmp_path / "group.toml")

    async def story() -> None:
        async with open_uk_office(tmp_path) as office, aiohttp.ClientSession() as session:
            async with office.hub() as (running, parts):
                viewer = Caller(session, running.address, "viewer")
                assert await ask(viewer) == []
                taken = await parts.intake.take("uk_ets", NEWS, "B")
                assert [each.outcome for each in taken] == [Outcome.WAITING] * 2
                first, second = await ask(viewer)
                assert (first["id"], first["kind"], first["units"]) == ("n1", "issued", "100")
                assert first["serials"] == "UKA-90000000001-90000000100"
                assert first["detail"] == "not known of the issuance: project, host, vintage"
                assert (second["why"], "keeling import" in second["advice"]) == ("unknown-units", True)
                shown = await asyncio.to_thread(keeling.must, "hub", "waiting", "--config", file)
                assert "UKA-90000000001-90000000010" in shown.out
                assert "uk_ets n1: say what is missing in the hub's file" in shown.out
                assert await read_figure(session, running.address, "keeling_hub_waiting_news") == 2
                service = HubService(Calls(parts), Known())
                page = await service.ListWaiting(hub.HubListRequest(page_size=1), Context())
                assert [(each.id, each.units, each.at_ms) for each in page.waiting] == [("n1", 100, 5)]
                rest = hub.HubListRequest(page_size=1, page_token=page.next_page_token)
                page = await service.ListWaiting(rest, Context())
                assert [each.id for each in page.waiting] == ["n2"]
            async with office.hub() as (running, parts):
                viewer = Caller(session, running.address, "viewer")
                assert [each["id"] for each in await ask(viewer)] == ["n1", "n2"], "after a restart"
                bring(office.scene.world)
                while await ask(viewer):
                    office.scene.later(20_000)
                    await parts.intake.retry("uk_ets")
                lots = await office.scene.ledger.find_lots(FAR.space, FAR.first, FAR.last)
                assert [each.lot.state for each in lots.lots] == ["RETIRED", "FREE"]
                assert await read_figure(session, running.address, "keeling_hub_waiting_news") == 0

    run(story())


def bring(world: Any) -> None:
    """Somebody else brings the units."""
    world.must("hub", op.RegisterProject(project="far", programme="units", name="Far"))
    issue = op.Issue(
        batch="far",
        project="far",
        programme="units",
        space=FAR.space,
        first_number=str(FAR.first),
        units=FAR.units,
        extent=op.Issue.AT_LEAST,
        serial_form="UKA-90000000001-90000000100",
        evidence=op.Evidence(digest=bytes(32), grade="C", reference="list"),
        observations=[op.Observation(first_number=str(FAR.first), units=FAR.units, status=op.Observation.ACTIVE)],
    )
    world.must("hub", issue)


def test_the_file_says_what_issuances_do_not() -> None:
    text = """participant = "natreg"
[[registries]]
name = "puro"
url = "http://127.0.0.1:1"
[registries.issued]
project = "643002"
host = "FIN"
vintage = "2024"
"""
    (found,) = read_issued(parse_config(text)).values()
    assert (found.programme, found.project, found.host, found.vintage) == ("", "643002", "FIN", "2024")
