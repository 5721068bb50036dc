"""The hub over gRPC: `keeling/v1/hub.proto` says what each call promises. Mutual TLS, and the roles of `routes`.

Messages in, messages out: `calls` does what is asked. Which caller it is, is looked at again for every call.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import grpc
import grpc.aio
import structlog
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from hub.service import messages
from hub.service.calls import Calls
from hub.service.config import ROLES, CallerSection
from hub.service.paging import Asked
from hub.service.problems import Problem, explain_error
from hub.service.routes import BY_RPC
from keeling.certificate import format_certificate
from keeling.certificate_page import format_page
from keeling.v1 import hub_pb2 as hub
from keeling.v1 import hub_pb2_grpc as rpc
from keeling.v1 import ledger_pb2 as pb
from network.transport import TlsFiles, server_credentials, server_options
from network.trust import NotTrusted, PinnedKey, Trust, build_trust, peer_identity

log = structlog.get_logger()
SERVICE: Final = hub.DESCRIPTOR.services_by_name["Hub"].full_name
STOP_S: Final = 2.0
M = TypeVar("M", bound=Message)
Context = Any


class Door(NamedTuple):
    """What the hub shows at a handshake, and the network whose participants call."""

    files: TlsFiles
    origin: str


class Callers:
    """The callers of group.toml that have a TLS key."""

    def __init__(self, sections: Sequence[CallerSection], participant: str, origin: str) -> None:
        pins = [
            (each, PinnedKey(each.participant or participant, base64.b64decode(each.tls_key)))
            for each in sections
            if each.tls_key
        ]
        self.trust: Final = build_trust(origin, [pin for _, pin in pins])
        self._trusts: list[tuple[CallerSection, Trust]] = [(each, build_trust(origin, [pin])) for each, pin in pins]

    def check(self, context: Context, method: str) -> CallerSection:
        """The caller, if it may call the method; raises `Problem`."""
        try:
            peer_identity(context, self.trust)
        except NotTrusted as error:
            raise Problem(401, "no-certificate", str(error)) from error
        caller = next((each for each, trust in self._trusts if _is_of(context, trust)), None)
        if caller is None:
            raise Problem(403, "unknown-caller", "no caller of this hub has this TLS key")
        needed = BY_RPC[method].role or "viewer"
        if ROLES.index(caller.role) < ROLES.index(needed):
            raise Problem(403, "not-permitted", f"{caller.name} is a {caller.role}; this needs a {needed}")
        return caller


def _is_of(context: Context, trust: Trust) -> bool:
    try:
        peer_identity(context, trust)
    except NotTrusted:
        return False
    return True


class HubService(rpc.HubServicer):
    """The calls. For one event loop."""

    def __init__(self, calls: Calls, callers: Callers) -> None:
        self._calls, self._callers = calls, callers
        self._ending = asyncio.Event()

    def end(self) -> None:
        """The server stops: streams end."""
        self._ending.set()

    async def _answer(self, method: str, context: Context, work: Callable[[], Awaitable[M]]) -> M:
        name = "nobody"
        try:
            name = self._callers.check(context, method).name
            answer = await work()
        except Exception as error:  # noqa: BLE001 - told in the log, and to the caller that there was one
            problem = explain_error(error)
            log.info("call", caller=name, call=method, problem=problem.name)
            await problem.abort(context)
        log.info("call", caller=name, call=method)
        return answer

    async def GetHubHealth(self, request: hub.GetHubHealthRequest, context: Context) -> hub.HubHealth:
        async def work() -> hub.HubHealth:
            found = await self._calls.health()
            return hub.HubHealth(status="serving", height=found.height, ledger=found.ledger, rounds=found.rounds)

        return await self._answer("GetHubHealth", context, work)

    async def ListRegistries(self, request: hub.HubListRequest, context: Context) -> hub.ListRegistriesResponse:
        async def work() -> hub.ListRegistriesResponse:
            found, token = self._calls.registries(_page(request))
            told = [hub.ConnectedRegistry(**each._asdict()) for each in found]
            return hub.ListRegistriesResponse(registries=told, next_page_token=token)

        return await self._answer("ListRegistries", context, work)

    async def ListLinks(self, request: hub.HubListRequest, context: Context) -> hub.ListLinksResponse:
        async def work() -> hub.ListLinksResponse:
            found, token = await self._calls.links(_page(request))
            return hub.ListLinksResponse(links=found, next_page_token=token)

        return await self._answer("ListLinks", context, work)

    async def ListBacklog(self, request: hub.HubListRequest, context: Context) -> hub.ListBacklogResponse:
        async def work() -> hub.ListBacklogResponse:
            found, token = self._calls.backlog(_page(request))
            told = [hub.PendingInstruction(**each._asdict()) for each in found]
            news = [hub.RegistryNews(**each._asdict()) for each in self._calls.news()]
            return hub.ListBacklogResponse(backlog=told, news=news, next_page_token=token)

        return await self._answer("ListBacklog", context, work)

    async def ListBlocks(self, request: hub.HubListRequest, context: Context) -> hub.ListBlocksResponse:
        async def work() -> hub.ListBlocksResponse:
            found, token = self._calls.blocks(_page(request))
            return hub.ListBlocksResponse(blocks=[*map(messages.tell_block, found)], next_page_token=token)

        return await self._answer("ListBlocks", context, work)

    async def OrderBlock(self, request: hub.OrderBlockRequest, context: Context) -> hub.SessionBlock:
        async def work() -> hub.SessionBlock:
            by = self._callers.check(context, "OrderBlock").name
            return messages.tell_block(await self._calls.order_block(messages.read_block(request, by)))

        return await self._answer("OrderBlock", context, work)

    async def GetRegistryBalance(self, request: hub.GetRegistryBalanceRequest, context: Context) -> hub.RegistryBalance:
        async def work() -> hub.RegistryBalance:
            return hub.RegistryBalance(**(await self._calls.balance(request.registry, request.account))._asdict())

        return await self._answer("GetRegistryBalance", context, work)

    async def ListWaiting(self, request: hub.HubListRequest, context: Context) -> hub.ListWaitingResponse:
        async def work() -> hub.ListWaitingResponse:
            found, token = self._calls.waiting(_page(request))
            told = [messages.tell_waiting_news(each) for each in found]
            return hub.ListWaitingResponse(waiting=told, next_page_token=token)

        return await self._answer("ListWaiting", context, work)

    async def ListProposals(self, request: hub.HubListRequest, context: Context) -> hub.ListRegistryProposalsResponse:
        async def work() -> hub.ListRegistryProposalsResponse:
            found, token = self._calls.proposals(_page(request))
            told = [messages.tell_registry_proposal(each) for each in found]
            return hub.ListRegistryProposalsResponse(proposals=told, next_page_token=token)

        return await self._answer("ListProposals", context, work)

    async def DecideProposal(self, request: hub.DecideProposalRequest, context: Context) -> hub.RegistryProposal:
        async def work() -> hub.RegistryProposal:
            by = self._callers.check(context, "DecideProposal").name
            decided = await self._calls.decide_proposal(messages.read_decision(request, by))
            return messages.tell_registry_proposal(decided)

        return await self._answer("DecideProposal", context, work)

    async def GetHold(self, request: pb.GetHoldRequest, context: Context) -> hub.ToldHold:
        async def work() -> hub.ToldHold:
            return messages.tell_hold(await self._calls.hold(request.hold))

        return await self._answer("GetHold", context, work)

    async def PlaceHold(self, request: hub.PlaceHoldRequest, context: Context) -> hub.PlaceHoldResponse:
        async def work() -> hub.PlaceHoldResponse:
            placed = await self._calls.place_hold(request.hold)
            return hub.PlaceHoldResponse(hold=messages.tell_hold(placed.hold), repeated=placed.repeated)

        return await self._answer("PlaceHold", context, work)

    async def WithdrawHold(self, request: hub.WithdrawHoldRequest, context: Context) -> hub.WithdrawHoldResponse:
        async def work() -> hub.WithdrawHoldResponse:
            by = self._callers.check(context, "WithdrawHold").name
            found = await self._calls.withdraw(request.hold, messages.read_because(request.because), by)
            return hub.WithdrawHoldResponse(hold=messages.tell_hold(found.hold), withdrawal=found.outcome)

        return await self._answer("WithdrawHold", context, work)

    async def Reconcile(self, request: hub.ReconcileRequest, context: Context) -> hub.Reconciliation:
        async def work() -> hub.Reconciliation:
            return messages.tell_run(await self._calls.reconcile(request.registry, request.believe_shrunk))

        return await self._answer("Reconcile", context, work)

    async def GetReconciliation(
        self, request: hub.GetReconciliationRequest, context: Context
    ) -> hub.ReconciliationState:
        async def work() -> hub.ReconciliationState:
            return messages.tell_compared(self._calls.reconciliation(request.registry))

        return await self._answer("GetReconciliation", context, work)

    async def ListDifferences(
        self, request: hub.ListDifferencesRequest, context: Context
    ) -> hub.ListDifferencesResponse:
        async def work() -> hub.ListDifferencesResponse:
            return messages.tell_differences(
                *self._calls.differences(request.registry, request.run, _page(request)),
            )

        return await self._answer("ListDifferences", context, work)

    async def ListCertificates(
        self, request: hub.ListCertificatesRequest, context: Context
    ) -> hub.ListCertificatesResponse:
        async def work() -> hub.ListCertificatesResponse:
            found, token = await self._calls.certificates(request.hold, _page(request))
            told = [messages.tell_certificate(each) for each in found]
            return hub.ListCertificatesResponse(certificates=told, next_page_token=token)

        return await self._answer("ListCertificates", context, work)

    async def GetCertificate(self, request: hub.GetCertificateRequest, context: Context) -> hub.CertificateDocument:
        async def work() -> hub.CertificateDocument:
            found = await self._calls.certificate(request.hold, request.event)
            page = request.form == hub.GetCertificateRequest.PAGE
            return hub.CertificateDocument(document=format_page(found).encode() if page else format_certificate(found))

        return await self._answer("GetCertificate", context, work)

    async def WatchLedger(self, request: hub.WatchLedgerRequest, context: Context) -> AsyncIterator[pb.WatchResponse]:
        after = (request.after.height, request.after.ordinal) if request.HasField("after") else None
        pages = self._calls.watch(after)
        ending = asyncio.ensure_future(self._ending.wait())
        page: asyncio.Future[pb.WatchResponse] | None = None
        try:
            name = self._callers.check(context, "WatchLedger").name
            log.info("call", caller=name, call="WatchLedger")
            while True:
                page = asyncio.ensure_future(anext(pages))
                await asyncio.wait({page, ending}, return_when=asyncio.FIRST_COMPLETED)
                if not page.done():
                    raise Problem(503, "stopping", "this hub is stopping: go on from the last cursor at another")
                self._callers.check(context, "WatchLedger")
                yield page.result()
        except StopAsyncIteration:
            return
        except Exception as error:  # noqa: BLE001 - told in the log, and to the caller that there was one
            await explain_error(error).abort(context)
        finally:
            ending.cancel()
            if page is not None:
                page.cancel()
            await asyncio.gather(ending, *([page] if page is not None else []), return_exceptions=True)


def _page(request: Any) -> Asked:
    return Asked(request.page_size, request.page_token)


class RpcServer:
    """The port. For one event loop."""

    def __init__(self, calls: Calls, callers: Callers, door: Door) -> None:
        self._service = HubService(calls, callers)
        self._callers, self._door = callers, door
        self._server: grpc.aio.Server | None = None

    async def start(self, listen: str) -> str:
        """Serve; returns the address. Raises `CertificateError` where no caller could connect."""
        server = grpc.aio.server(options=server_options())
        rpc.add_HubServicer_to_server(self._service, server)
        probe = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(probe, server)
        reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
        credentials = server_credentials(self._door.files, lambda: self._callers.trust)
        port = server.add_secure_port(listen, credentials)
        await server.start()
        for name in ("", SERVICE):
            await probe.set(name, health_pb2.HealthCheckResponse.SERVING)
        self._server = server
        return f"{listen.rpartition(':')[0]}:{port}"

    async def stop(self) -> None:
        self._service.end()
        if self._server is not None:
            await self._server.stop(STOP_S)
