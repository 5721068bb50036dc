"""The hub over gRPC on loopback, with a real node behind it: handlers, roles, refusals and pages as over HTTP."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from adapters.sandbox.faults import Fault, FaultKind
from hub.ledger_client import make_number
from hub.rehearsal.counters import DAY_MS
from hub.rehearsal.world import ORIGIN
from hub.service.config import CallerSection, HubConfig
from hub.service.parts import Parts
from hub.service.routes import BY_RPC
from hub.service.rpc import Door
from hub.service.running import Running
from keeling.certificate import check_certificate
from keeling.certificate_page import read_page
from keeling.v1 import hub_pb2 as hub
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from keeling.v1.hub_pb2_grpc import HubStub
from network.certificates import create_tls_key, encode_public_key, issue_certificate
from network.transport import Destination, TlsFiles, open_aio_channel
from network.trust import PinnedKey, build_trust
from tests.hub.service.test_running import Stage, open_stage, wait_for_phase

CALLERS = ("viewer", "trader", "operator")
WAIT_S = 120.0


class Identity(NamedTuple):
    """Somebody's TLS key and certificate."""

    files: TlsFiles
    public_key: bytes


def make_identity(root: Path, name: str, participant: str) -> Identity:
    key = create_tls_key(root / f"{name}.tls.key")
    pem = issue_certificate(key, network=ORIGIN, participant=participant, now=datetime.now(UTC))
    (root / f"{name}.tls.pem").write_bytes(pem)
    return Identity(TlsFiles(root / f"{name}.tls.key", root / f"{name}.tls.pem"), encode_public_key(key))


class Line(NamedTuple):
    """A running hub and how to reach it as somebody."""

    stage: Stage
    running: Running
    server: Identity
    people: dict[str, Identity]

    @asynccontextmanager
    async def channel(self, name: str) -> AsyncIterator[grpc.aio.Channel]:
        trust = build_trust(ORIGIN, [PinnedKey("hub", self.server.public_key)])
        address = self.running.grpc_address
        async with open_aio_channel(Destination(address, "hub", trust, self.people[name].files.current())) as channel:
            yield channel

    @asynccontextmanager
    async def stub(self, name: str) -> AsyncIterator[Any]:
        async with self.channel(name) as channel:
            yield HubStub(channel)


@asynccontextmanager
async def open_line(root: Path) -> AsyncIterator[Line]:
    async with open_stage(root) as stage:
        server = make_identity(root, "server", "hub")
        people = {name: make_identity(root, name, "acme") for name in (*CALLERS, "stranger")}
        callers = [
            CallerSection(
                name=name,
                role=name,  # type: ignore[arg-type]  # the three roles by name
                tls_key=base64.b64encode(people[name].public_key).decode(),
                participant="acme",
            )
            for name in CALLERS
        ]
        config: HubConfig = stage.config.model_copy(
            update={"grpc_listen": "127.0.0.1:0", "callers": (*stage.config.callers, *callers)}
        )
        parts = Parts(config, stage.world.ledgers["hub"], stage.world.clock.now_ms)
        running = Running(parts, Door(server.files, ORIGIN))
        await running.start()
        try:
            yield Line(stage, running, server, people)
        finally:
            await running.stop()


def hold_of(stage: Stage, number: bytes, units: int = 100) -> op.Hold:
    return op.Hold(
        hold=number,
        account="acme/puro",
        mandate="sell",
        selection=op.Selection(units=units),
        purpose=op.Hold.FOR_RETIREMENT,
        expires_ms=stage.world.clock.now_ms() + DAY_MS,
        buyer="globex",
    )


async def refusal(call: Awaitable[Any]) -> tuple[str, str, str]:
    """Code, domain and reason a call ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    status = rpc_status.from_call(caught.value)  # type: ignore[arg-type]
    info = error_details_pb2.ErrorInfo()
    assert status is not None
    assert status.details[0].Unpack(info)
    assert caught.value.details().startswith(f"{info.reason}: ")  # type: ignore[union-attr]
    return caught.value.code().name, info.domain, info.reason


def play(root: Path, story: Callable[[Line], Awaitable[None]]) -> None:
    async def run() -> None:
        async with open_line(root) as line:
            await story(line)

    asyncio.run(run())


def test_every_method_is_in_the_table_of_calls_and_the_other_way_round() -> None:
    methods = {method.name for method in hub.DESCRIPTOR.services_by_name["Hub"].methods}
    assert methods == set(BY_RPC)


def test_a_hold_goes_to_the_registry_once_and_has_a_certificate(tmp_path: Path) -> None:
    async def story(line: Line) -> None:
        stage = line.stage
        number = make_number(stage.world.clock.now_ms())
        async with line.stub("trader") as stub:
            first = await stub.PlaceHold(hub.PlaceHoldRequest(hold=hold_of(stage, number)))
            assert (first.repeated, first.hold.hold.hold, bool(first.hold.told)) == (False, number, True)
            await wait_for_phase(stage, number, "CAPTURED")
            again = await stub.PlaceHold(hub.PlaceHoldRequest(hold=hold_of(stage, number)))
            assert (again.repeated, again.hold.hold.phase) == (True, "CAPTURED")
            assert stage.counters[0].sandbox.book.effects() == {number.hex(): 100}
            assert (await stub.GetHold(pb.GetHoldRequest(hold=number))).told.startswith(
                "captured: 100 done, 0 released"
            )
            (told,) = (await stub.ListCertificates(hub.ListCertificatesRequest(hold=number))).certificates
            assert (told.status, told.units, told.driver, told.registry) == ("standing", 100, "sandbox", "puro")
            genesis = (tmp_path / "natreg" / "genesis").read_bytes()
            for form in (hub.GetCertificateRequest.DOCUMENT, hub.GetCertificateRequest.PAGE):
                asked = hub.GetCertificateRequest(hold=number, event=told.event, form=form)
                document = (await stub.GetCertificate(asked)).document
                assert (document[:1] == b"{") is (form == hub.GetCertificateRequest.DOCUMENT)
                assert check_certificate(read_page(document), genesis).status == "standing"
            used = await refusal(stub.PlaceHold(hub.PlaceHoldRequest(hold=hold_of(stage, number, 99))))
            assert used == ("ALREADY_EXISTS", "keeling.hub", "KEY_USED")
            fresh = hub.PlaceHoldRequest(hold=hold_of(stage, make_number(stage.world.clock.now_ms()), 5_000))
            assert await refusal(stub.PlaceHold(fresh)) == ("FAILED_PRECONDITION", "keeling", "OUTSIDE_MANDATE")

    play(tmp_path, story)


async def check_reflection(channel: Any) -> None:
    probe: Any = health_pb2_grpc.HealthStub(channel)
    answer = await probe.Check(health_pb2.HealthCheckRequest(service="keeling.v1.Hub"))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    listed = await stub.ServerReflectionInfo(asked).read()
    assert "keeling.v1.Hub" in {each.name for each in listed.list_services_response.service}


def test_roles_refusals_pages_and_what_is_told(tmp_path: Path) -> None:
    async def story(line: Line) -> None:
        nothing, listing = b"\0" * 16, hub.HubListRequest(page_size=1)
        async with line.stub("viewer") as viewer, line.stub("operator") as operator:
            health = await viewer.GetHubHealth(hub.GetHubHealthRequest())
            assert (health.status, health.height > 0) == ("serving", True)
            names, token = [], ""
            while True:
                page = await viewer.ListRegistries(hub.HubListRequest(page_size=1, page_token=token))
                names += [each.registry for each in page.registries]
                assert all(each.driver == "sandbox" and "assumed" in each.marks for each in page.registries)
                token = page.next_page_token
                if not token:
                    break
            assert names == ["puro", "verra"]
            links = (await viewer.ListLinks(hub.HubListRequest())).links
            assert [(each.account, each.link.hub) for each in links] == [("acme/puro", "hub"), ("acme/verra", "hub")]
            token = (await viewer.ListRegistries(listing)).next_page_token
            cases: list[tuple[Awaitable[Any], tuple[str, str, str]]] = [
                (
                    viewer.PlaceHold(hub.PlaceHoldRequest(hold=hold_of(line.stage, nothing))),
                    ("PERMISSION_DENIED", "keeling.hub", "NOT_PERMITTED"),
                ),
                (
                    operator.PlaceHold(hub.PlaceHoldRequest(hold=hold_of(line.stage, nothing))),
                    ("INVALID_ARGUMENT", "keeling.hub", "NO_IDEMPOTENCY_KEY"),
                ),
                (
                    viewer.Reconcile(hub.ReconcileRequest(registry="puro")),
                    ("PERMISSION_DENIED", "keeling.hub", "NOT_PERMITTED"),
                ),
                (
                    operator.Reconcile(hub.ReconcileRequest(registry="none")),
                    ("NOT_FOUND", "keeling.hub", "UNKNOWN_REGISTRY"),
                ),
                (
                    viewer.ListDifferences(hub.ListDifferencesRequest(registry="puro")),
                    ("NOT_FOUND", "keeling.hub", "NO_RUN"),
                ),
                (viewer.GetHold(pb.GetHoldRequest(hold=b"x")), ("INVALID_ARGUMENT", "keeling.hub", "BAD_ID")),
                (viewer.GetHold(pb.GetHoldRequest(hold=nothing)), ("NOT_FOUND", "keeling.hub", "NOT_FOUND")),
                (
                    viewer.ListLinks(hub.HubListRequest(page_token=token)),
                    ("INVALID_ARGUMENT", "keeling.hub", "BAD_PAGE_TOKEN"),
                ),
            ]
            for call, expected in cases:
                assert await refusal(call) == expected
        async with line.channel("viewer") as channel:
            await check_reflection(channel)
        async with line.stub("stranger") as stranger:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stranger.GetHubHealth(hub.GetHubHealthRequest(), timeout=WAIT_S)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE, "TLS lets nobody in whose key is not listed"

    play(tmp_path, story)


def test_the_backlog_runs_and_news_are_told(tmp_path: Path) -> None:
    async def story(line: Line) -> None:
        stage = line.stage
        stage.counters[0].sandbox.faults.add(Fault(FaultKind.MAINTENANCE, times=-1))
        numbers = [make_number(stage.world.clock.now_ms() + place) for place in range(3)]
        async with line.stub("operator") as stub:
            seen = await stub.GetHubHealth(hub.GetHubHealthRequest())
            for number in numbers:
                await stub.PlaceHold(hub.PlaceHoldRequest(hold=hold_of(stage, number)))
            for number in numbers:
                await wait_for_phase(stage, number, "INSTRUCTED")
            found, token = [], ""
            while True:
                page = await stub.ListBacklog(hub.HubListRequest(page_size=2, page_token=token))
                found += [each.hold for each in page.backlog]
                token = page.next_page_token
                if not token:
                    break
            assert found == numbers
            run = await stub.Reconcile(hub.ReconcileRequest(registry="puro"), timeout=WAIT_S)
            assert (run.alarm.partition(":")[0], run.anchored.isdecimal()) == ("unreachable", True)
            run = await stub.Reconcile(hub.ReconcileRequest(registry="verra"), timeout=WAIT_S)
            assert (run.alarm, run.broken_units, run.sums[0].name) == ("", 0, "agreed")
            page = await stub.ListDifferences(hub.ListDifferencesRequest(registry="verra", run=run.run))
            assert (page.run, len(page.differences)) == (run.run, 0)
            asked = hub.WatchLedgerRequest(after=pb.Cursor(height=seen.height))
            stream = stub.WatchLedger(asked)
            held: set[bytes] = set()
            async for told in stream:
                held |= {bytes.fromhex(event.subject) for event in told.events if event.kind == "HELD"}
                if len(held) == 3:
                    break
            stream.cancel()
            assert held == set(numbers)
            metrics = line.running._parts.figures.text().decode()
            assert 'keeling_hub_reconciliations_total{outcome="alarm",registry="puro"} 1.0' in metrics
            assert 'keeling_hub_reconciliation_alarm{registry="puro"} 1.0' in metrics
            assert 'keeling_hub_reconciliation_alarm{registry="verra"} 0.0' in metrics

    play(tmp_path, story)
