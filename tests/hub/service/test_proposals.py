"""Proposals in a running hub: read at its start, listed, decided over HTTP and gRPC, carried to the registry."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hub.service.calls import Calls
from hub.service.config import CallerSection, RuleSection
from hub.service.parts import Parts
from hub.service.rpc import Callers, HubService
from keeling.v1 import hub_pb2 as hub
from tests.hub.service.proposing import HOUR_MS, PROPOSER, Embassy, open_embassy
from tests.hub.service.test_running import Caller

WAIT_S = 120.0


def play(root: Path, story: Callable[[Embassy, aiohttp.ClientSession], Awaitable[None]]) -> None:
    async def run() -> None:
        async with open_embassy(root) as embassy, aiohttp.ClientSession() as session:
            await asyncio.wait_for(story(embassy, session), WAIT_S)

    asyncio.run(run())


async def wait_until_listed(caller: Caller, expected: int) -> list[Any]:
    """Ask until so many proposals wait."""
    while True:
        status, told = await caller("GET", "/v1/proposals")
        assert status == 200
        if len(told["proposals"]) == expected:
            return list(told["proposals"])


async def wait_until_over(embassy: Embassy, caller: Caller) -> None:
    """Ask until nothing waits, and the registry's time goes on meanwhile."""
    while (await caller("GET", "/v1/proposals"))[1]["proposals"]:
        embassy.scene.later(HOUR_MS // 60)


@pytest.mark.parametrize("action", ["accept", "decline"])
def test_a_person_answers_and_the_registry_hears_of_it(tmp_path: Path, action: str) -> None:
    async def story(embassy: Embassy, session: aiohttp.ClientSession) -> None:
        async with embassy.hub() as (running, parts):
            viewer = Caller(session, running.address, "viewer")
            operator = Caller(session, running.address, "operator")
            (line,) = await wait_until_listed(viewer, 1)
            assert (line["registry"], line["units"], line["account"]) == ("national_62", "500", PROPOSER)
            assert (line["decided"], line["at_risk"]) == ("", False)
            assert line["due_ms"] == embassy.sandbox.clock.now_ms + 24 * HOUR_MS
            assert line["serials"] == ["CA0004-KEN01-KEN-1-2023 - CA0004-KEN01-KEN-500-2023"]
            embassy.scene.later(21 * HOUR_MS)
            assert (await wait_until_listed(viewer, 1))[0]["at_risk"]
            _, metrics = await viewer("GET", "/metrics")
            assert 'keeling_hub_at_risk_proposals{registry="national_62"} 1.0' in metrics
            assert 'keeling_hub_proposals{registry="national_62"} 1.0' in metrics
            path, answer = f"/v1/proposals/national_62/{line['reference']}", {"action": action, "because": "sale 4711"}
            for caller, where, body, expected in (
                (viewer, path, answer, (403, "not-permitted")),
                (operator, "/v1/proposals/none/x", answer, (404, "unknown-registry")),
                (operator, "/v1/proposals/national_62/x", answer, (404, "no-proposal")),
                (operator, path, {"action": "perhaps"}, (400, "bad-body")),
            ):
                status, told = await caller("POST", where, json=body)
                assert (status, told["title"]) == expected
            assert not embassy.decisions()
            status, told = await operator("POST", path, json=answer)
            assert (status, told["decided"], told["reference"]) == (200, action, line["reference"])
            (name,) = embassy.decisions()
            assert name.endswith(f"/{action}")
            await wait_until_over(embassy, viewer)
            assert embassy.our_units() == (500 if action == "accept" else 0)
            kept = [json.loads(each.read_bytes()) for each in parts.config.evidence.rglob("*") if is_answer(each)]
            assert [(each["by"], each["why"], each["decision"]) for each in kept] == [("operator", "sale 4711", action)]

    play(tmp_path, story)


def is_answer(path: Path) -> bool:
    return path.is_file() and b'"decision"' in path.read_bytes()


def test_a_hub_that_starts_again_knows_what_was_proposed_and_decided(tmp_path: Path) -> None:
    async def story(embassy: Embassy, session: aiohttp.ClientSession) -> None:
        async with embassy.hub() as (running, parts):
            (line,) = await wait_until_listed(Caller(session, running.address, "viewer"), 1)
            while not parts.cursor_path("national_62").exists():
                assert (await Caller(session, running.address, "viewer")("GET", "/health"))[0] == 200
        async with embassy.hub() as (running, _):
            operator = Caller(session, running.address, "operator")
            assert [each["reference"] for each in await wait_until_listed(operator, 1)] == [line["reference"]]
            path = f"/v1/proposals/national_62/{line['reference']}"
            assert (await operator("POST", path, json={"action": "decline"}))[0] == 200
            status, told = await operator("POST", path, json={"action": "accept"})
            assert (status, told["title"]) in ((409, "cannot-decide"), (404, "no-proposal"))
            await wait_until_over(embassy, operator)
            assert embassy.our_units() == 0, "what was decided first counts"

    play(tmp_path, story)


@pytest.mark.parametrize("units_most", [500, 499])
def test_a_rule_of_the_file_answers_what_it_was_made_for(tmp_path: Path, units_most: int) -> None:
    async def story(embassy: Embassy, session: aiohttp.ClientSession) -> None:
        rule = RuleSection(
            name="kenya", registry="national_62", action="accept", accounts=(PROPOSER,), units_most=units_most
        )
        config = embassy.config.model_copy(update={"rules": (rule,)})
        async with embassy._replace(config=config).hub() as (running, parts):
            viewer = Caller(session, running.address, "viewer")
            while not parts.proposals.list_open(0) and not parts.answering.answered:
                assert (await viewer("GET", "/health"))[0] == 200
            if units_most < 500:
                parts.decided.set()
                (line,) = await wait_until_listed(viewer, 1)
                assert (line["decided"], line["alert"], embassy.decisions()) == ("", "", set())
                return
            parts.decided.set()
            await wait_until_over(embassy, viewer)
            assert embassy.our_units() == 500
            kept = [json.loads(each.read_bytes()) for each in parts.config.evidence.rglob("*") if is_answer(each)]
            (said,) = [(each["by"], each["why"]) for each in kept]
            assert said == ("rule:kenya", f"at most 500 units, proposed by {PROPOSER}")

    play(tmp_path, story)


class Known(Callers):
    """Everybody is asha, an operator."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def check(self, context: Any, method: str) -> CallerSection:
        self.asked.append(method)
        return CallerSection(name="asha", role="operator", token=Path("asha"))


class Ended(Exception):
    """A call was ended with a status."""


class Context:
    """Of a gRPC call."""

    async def abort_with_status(self, status: Any) -> None:
        raise Ended(status.details)


def test_grpc_lists_and_decides_the_same(tmp_path: Path) -> None:
    async def story(embassy: Embassy, _session: aiohttp.ClientSession) -> None:
        parts = Parts(embassy.config, embassy.scene.ledger, lambda: embassy.scene.world.now_ms)  # type: ignore[arg-type]
        _, adapter = parts.systems["national_62"]
        callers, context = Known(), Context()
        service = HubService(Calls(parts), callers)
        try:
            assert await parts.proposals.read_all("national_62", adapter) is None
            (told,) = (await service.ListProposals(hub.HubListRequest(), context)).proposals
            assert (told.units, told.account, told.decided, told.why[:5]) == (500, PROPOSER, "", "waits")
            asked = hub.DecideProposalRequest(registry="national_62", reference=told.reference)
            with pytest.raises(Ended, match="BAD_REQUEST"):
                await service.DecideProposal(asked, context)
            asked.because = "x" * 2_001
            asked.action = hub.DecideProposalRequest.ACCEPT
            with pytest.raises(Ended, match="BAD_REQUEST"):
                await service.DecideProposal(asked, context)
            asked.because = "sale 4711"
            for _attempt in range(2):
                assert (await service.DecideProposal(asked, context)).decided == "accept"
            asked.action = hub.DecideProposalRequest.DECLINE
            with pytest.raises(Ended, match=r"CANNOT_DECIDE.*decided otherwise before"):
                await service.DecideProposal(asked, context)
            assert parts.decided.is_set()
            assert set(callers.asked) == {"ListProposals", "DecideProposal"}
            while not parts.answering.answered:
                await parts.answering.step()
                embassy.scene.later(HOUR_MS // 10)
            assert [each.outcome for each in parts.answering.answered] == ["accepted"]
            assert embassy.our_units() == 500
        finally:
            await parts.close()

    play(tmp_path, story)
