"""Attestations of several organisations for one transaction: where a registry's record asks for more than one.

A hub that has heard a registry's answer asks other organisations' hubs to attest it too. Each looks for itself, at the
registry, before it signs: what it signs is what it saw, not what it was told. How they reach each other is a matter of
`Peer`; here is one over HTTP. Keys that one hub holds itself need none of this: they are its approvers.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

import aiohttp
import structlog
from aiohttp import web
from google.protobuf.message import DecodeError

from adapters.contract import Question, Refused, Report
from adapters.web import format_json, parse_json
from hub.dispatch.lines import Lines
from hub.dispatch.memory import INSTRUCTED, begin
from hub.dispatch.seat import Seat
from hub.dispatch.sight import Message
from hub.inbound.server import read_body
from hub.ledger_client import LedgerError, WillNotAttest
from hub.units import Names, Unnameable
from keeling.submission import approval_message, compute_transaction_digest
from keeling.v1 import operations_pb2 as op
from keeling.v1 import transaction_pb2
from network.keys import Signer

log = structlog.get_logger()
PATH: Final = "/v1/attestations"
_BODY_MAX: Final = 8 << 20
_ASK_S: Final = 60.0
_OPERATIONS_MAX: Final = 16


class Approval(NamedTuple):
    """A public key and its signature of the transaction."""

    key: bytes
    signature: bytes


class Attestor:
    """Attests what it sees at the registry itself. For one event loop."""

    def __init__(self, seat: Seat, lines: Lines, network: bytes, signer: Signer) -> None:
        """`seat`: of the organisation that attests: its own view of the ledger, its own adapters. `lines`: its
        dispatcher's, whose turn and quiet times hold for what others want looked at too.
        """
        self._seat, self._lines, self._network, self._signer = seat, lines, network, signer
        self._names = Names(seat.ledger)

    async def attest(self, raw: bytes, documents: Sequence[bytes]) -> Approval:
        """Look at every capture and release of a transaction and sign it if the registry says the same.

        Raises `WillNotAttest`, `LedgerError`.
        """
        transaction = transaction_pb2.Transaction()
        try:
            transaction.ParseFromString(raw)
        except DecodeError as error:
            raise WillNotAttest("no transaction") from error
        known = {hashlib.sha256(each).digest(): each for each in documents}
        if not 0 < len(transaction.operations) <= _OPERATIONS_MAX:
            raise WillNotAttest(f"{len(transaction.operations)} operations; 1 to {_OPERATIONS_MAX} are looked at")
        holds = set[bytes]()
        for operation in transaction.operations:
            name = operation.WhichOneof("operation")
            if name not in ("capture", "release"):
                raise WillNotAttest(f"only captures and releases are attested here, not {name}")
            said: op.Capture | op.Release = getattr(operation, name)
            if said.evidence.digest not in known:
                raise WillNotAttest("the registry's answer was not sent along")
            if said.hold in holds:  # each alone may be what the registry says, and both together more than that
                raise WillNotAttest("one operation for each hold is looked at")
            holds.add(said.hold)
            await self._check(said)
        for document in documents:
            self._seat.keep(document)
        message = approval_message(self._network, compute_transaction_digest(raw))
        return Approval(self._signer.public_key, self._signer.sign(message))

    async def _check(self, said: op.Capture | op.Release) -> None:
        """Ask the registry, and compare. What it will still do cannot be attested."""
        hold = await self._seat.ledger.hold(said.hold)
        adapter = self._seat.adapters.get(hold.registry)
        if adapter is None or hold.phase != INSTRUCTED:
            raise WillNotAttest(f"hold {said.hold.hex()} is {hold.phase} at {hold.registry}: nothing to attest here")
        ours = adapter.capabilities.grade
        if not said.evidence.grade >= ours:  # A is the best
            raise WillNotAttest(f"answers here have grade {ours}, not {said.evidence.grade or 'none'}")
        account = await self._seat.ledger.account(hold.account)
        known = await begin(hold, account, self._seat, self._names)
        if known.unsendable:
            raise WillNotAttest(known.unsendable)
        settled_ms = hold.dispatched_ms + int((await self._seat.ledger.registry_policy(hold.registry)).settling_ms)
        seen = list[Message]()
        for message in known.messages:
            began = self._seat.now_ms()
            references = (said.evidence.reference,) if said.evidence.reference else ()
            question = Question(message.instruction, references, known.first_ms)
            answer = await self._lines.ask(hold.registry, partial(adapter.ask, question))
            if not isinstance(answer, Report | Refused):
                raise WillNotAttest(f"{hold.registry} does not say so here: {type(answer).__name__}")
            seen.append(message._replace(answer=answer, seen_ms=began).close_unseen(settled_ms))
        if isinstance(said, op.Release):
            refused = sum(each.refused_units for each in seen) - known.released_units
            if said.units > refused:
                raise WillNotAttest(f"{hold.registry} declined {max(refused, 0)} units more, not {said.units}")
            return
        await self._check_ranges(hold.registry, said, [each.answer for each in seen if isinstance(each.answer, Report)])

    async def _check_ranges(self, registry: str, said: op.Capture, reports: Sequence[Report]) -> None:
        if not said.ranges:
            raise WillNotAttest("a capture names the units that the registry used")  # the ledger would take all
        done = [part for report in reports if not report.undone for part in report.done]
        try:
            used = await self._names.to_ranges(done)
        except Unnameable as error:
            raise WillNotAttest(str(error)) from error
        for wanted in said.ranges:
            within = [item for item in used if item.batch == wanted.batch]
            covered = sum(
                max(
                    0,
                    min(item.first + item.units, wanted.first + wanted.units) - max(item.first, wanted.first),
                )
                for item in within
            )
            if covered != wanted.units:
                raise WillNotAttest(f"{registry} shows {covered} of {wanted.units} units of {wanted.batch} as done")

    def routes(self, token: Callable[[], str]) -> list[web.RouteDef]:
        """The one path, for callers with the token: read at every call, so that it can be replaced."""

        async def answer(request: web.Request) -> web.Response:
            given = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if not token() or not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token().encode()):
                return _refuse(401, "not-known", "no valid token")
            said = await read_body(request, _BODY_MAX)
            if not isinstance(said, bytes):
                return _refuse(413, "too-large", said.detail)
            try:
                body = parse_json(said)
                raw = base64.b64decode(body["transaction"], validate=True)
                documents = [base64.b64decode(each, validate=True) for each in body["documents"]]
            except (ValueError, TypeError, KeyError, binascii.Error) as error:
                return _refuse(400, "bad-body", f"transaction and documents in base64: {error}")
            try:
                approval = await self.attest(raw, documents)
            except WillNotAttest as error:
                return _refuse(409, "will-not-attest", str(error))
            except LedgerError as error:
                return _refuse(503, "ledger", str(error))
            return web.json_response({"key": approval.key.hex(), "signature": approval.signature.hex()})

        return [web.post(PATH, answer)]


class Peer(Protocol):
    """Another organisation's hub, as one that wants its attestation reaches it."""

    async def attest(self, raw: bytes, documents: Sequence[bytes]) -> Approval:
        """Raises `WillNotAttest` for every no, and when nobody answers."""


class HttpPeer:
    """A peer over HTTP. `token` is read at every call."""

    def __init__(self, base_url: str, token: Callable[[], str]) -> None:
        self._url: Final = base_url.rstrip("/") + PATH
        self._token = token

    async def attest(self, raw: bytes, documents: Sequence[bytes]) -> Approval:
        said = {"transaction": base64.b64encode(raw).decode()}
        body = format_json(said | {"documents": [base64.b64encode(each).decode() for each in documents]})
        headers = {"Authorization": f"Bearer {self._token()}", "Content-Type": "application/json"}
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ASK_S)) as session,
                session.post(self._url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                found: Any = parse_json(await response.content.read(_BODY_MAX))
            if response.status != 200:
                raise WillNotAttest(f"{self._url}: {response.status} {found.get('detail', '')}"[:400])
            return Approval(bytes.fromhex(found["key"]), bytes.fromhex(found["signature"]))
        except (aiohttp.ClientError, TimeoutError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise WillNotAttest(f"{self._url} does not answer: {error!r}"[:400]) from error


def collect_from(peers: Mapping[str, Peer], find: Callable[[bytes], bytes | None]) -> Callable[[bytes], Any]:
    """What `Signatory.others` takes: asks every peer in turn; `find` gets a document from the shelf by its SHA-256.

    A peer that does not sign is left out: the ledger says how many are missing.
    """

    async def collect(raw: bytes) -> list[tuple[bytes, bytes]]:
        transaction = transaction_pb2.Transaction.FromString(raw)
        documents = []
        for operation in transaction.operations:
            said = getattr(operation, operation.WhichOneof("operation") or "", None)
            digest = (
                said.evidence.digest if said is not None and said.DESCRIPTOR.fields_by_name.get("evidence") else b""
            )
            document = find(digest) if digest else None
            documents += [document] if document is not None else []
        found: list[tuple[bytes, bytes]] = []
        for name, peer in peers.items():
            try:
                found.append(await peer.attest(raw, documents))
            except WillNotAttest as error:
                log.warning("not attested", peer=name, why=str(error))
        return found

    return collect


def _refuse(status: int, name: str, detail: str) -> web.Response:
    problem = {"type": f"urn:keeling:problem:{name}", "title": name, "status": status, "detail": detail}
    return web.json_response(problem, status=status, content_type="application/problem+json")
