"""A sandbox that follows the exchange of messages between registries; a registry's own module says what it adds.

A message is taken or not, at once; its transaction is decided later, by a check, and where units leave the registry by
the acquirer too. What is not final after 24 hours is cancelled. Every answer and every event is signed.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any, ClassVar, Final

from aiohttp import web

from adapters.answers import ShapeError
from adapters.capabilities import Action
from adapters.contract import ChangeKind
from adapters.des import messages
from adapters.des.messages import Status, TransactionType, format_block
from adapters.des.signing import (
    HEADER,
    KeyTextError,
    SignatureError,
    check_signature,
    format_question,
    print_public_key,
    read_public_key,
    read_signing_key,
    seal,
)
from adapters.sandbox.acts import Act, Settings, Values, read_number, read_serials, read_text
from adapters.sandbox.book import BookRefusal, Entry
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.desk import Order, OrderStatus
from adapters.sandbox.exchange_values import Acquirer, Fact, MessageRefusal, print_instant, read_place
from adapters.sandbox.server import Sandbox
from adapters.web import parse_json
from keeling.serials import SerialRange, print_range

HUB_CODE: Final = "HUB01"
"""What the sandboxes call the ledger."""
HUB_SEED: Final = base64.urlsafe_b64encode(b"a sandbox key of the ledger, 32b").decode().rstrip("=")
_OWN_SEED: Final = base64.urlsafe_b64encode(b"a sandbox key of a registry, 32b").decode().rstrip("=")
SWEEP_MS: Final = 86_400_000
"""After so long a transaction that is not final is cancelled."""
_ACTIONS: Final = {
    TransactionType.EXTERNAL_TRANSFER: Action.TRANSFER,
    TransactionType.INTERNAL_TRANSFER: Action.TRANSFER,
    TransactionType.CANCELLATION: Action.CANCEL,
}


class ExchangeSandbox(Sandbox):
    """`check_ms`: how long its check takes; `acquirer_ms`: how long after that the other registry decides."""

    code = ""
    """Its registry code."""
    blocks = True
    settings: ClassVar[Settings] = {"check_ms": read_number, "acquirer_ms": read_number, "acquirer": Acquirer}

    def __init__(
        self, clock: SandboxClock | None = None, seed: int = 0, check_ms: int = 0, acquirer_ms: int = 0
    ) -> None:
        super().__init__(clock, seed)
        self.check_ms = check_ms
        self.acquirer_ms = acquirer_ms
        self.acquirer = Acquirer.ACCEPTS
        self.log: list[dict[str, Any]] = []
        """Every event as it is told, in order."""
        self.key: Final = read_signing_key(_OWN_SEED)
        self.partners: Final = {HUB_CODE: print_public_key(read_signing_key(HUB_SEED))}
        self._proposed: dict[tuple[str, str], Order] = {}
        self._ends: dict[str, Status] = {}
        self._answers: dict[str, tuple[str, bool]] = {}
        self._entries_logged = 0
        self._pushed = 0

    @property
    def public_key(self) -> str:
        return print_public_key(self.key)

    # -- what a registry adds

    def acts(self) -> dict[str, Act]:
        return super().acts() | {"propose": self._act_propose}

    def _act_propose(self, values: Values) -> Any:
        """Somebody proposes units to an account; `identifier` is the proposer's own."""
        ranges = read_serials(values)
        identifier, account, to_account = (read_text(values, n) for n in ("identifier", "account", "to_account"))
        return {"reference": self.propose(identifier, account, to_account, ranges).reference}

    def name_entry(self, entry: Entry) -> list[Fact]:
        """What an event of the books is called."""
        named = {
            ChangeKind.ISSUED: "Issuance",
            ChangeKind.TRANSFERRED: "Internal transfer",
            ChangeKind.RETIRED: "Retirement",
            ChangeKind.USED: "Use",
            ChangeKind.CANCELLED: "Cancellation",
            ChangeKind.REVERSED: "Reversal",
            ChangeKind.BLOCKED: "Restriction",
            ChangeKind.UNBLOCKED: "Restriction lifted",
        }
        return [Fact(named[entry.kind], entry.serials, {})]

    # -- the log

    def propose(self, identifier: str, account: str, to_account: str, ranges: tuple[SerialRange, ...]) -> Order:
        """Another registry, or another account, proposes units to one of ours, who accepts or declines."""
        order = Order(
            reference=self.next_reference(),
            key=identifier,
            action=Action.TRANSFER,
            account=account,
            asked=ranges,
            received_ms=self.clock.now_ms,
            due_ms=self.clock.now_ms + SWEEP_MS,
            to_account=to_account,
            said={"type": str(int(TransactionType.EXTERNAL_TRANSFER))},
        )
        self._sweep(order)
        self.desk.receive(order)
        self._proposed["", identifier] = order
        for item in ranges:
            self.announce("Proposal", item, account=account, to_account=to_account, order=order)
        return order

    def announce(
        self,
        event: str,
        serials: SerialRange | None = None,
        facts: dict[str, str] | None = None,
        *,
        account: str = "",
        to_account: str = "",
        order: Order | None = None,
    ) -> None:
        """Write something into the log that is no event of the books, and push it."""
        self._log_entries()
        self._write(event, self.clock.now_ms, serials, facts or {}, (account, to_account), order)
        self.tell()

    def tell(self) -> None:
        self._log_entries()
        for event in self.log[self._pushed :]:
            self.notices.put("exchange.event", seal(event, self.key))
        self._pushed = len(self.log)
        self._told = len(self.book.entries)
        super().tell()

    def _log_entries(self) -> None:
        fresh, self._entries_logged = self.book.entries[self._entries_logged :], len(self.book.entries)
        for entry in fresh:
            order = self.desk.orders.get(entry.reference)
            for fact in self.name_entry(entry):
                places = (entry.account, entry.to_account)
                self._write(fact.event, entry.at_ms, fact.serials, fact.facts, places, order, entry.reference)

    def _write(
        self,
        event: str,
        at_ms: int,
        serials: SerialRange | None,
        facts: dict[str, str],
        places: tuple[str, str],
        order: Order | None,
        reference: str = "",
    ) -> None:
        said: dict[str, Any] = {
            "eventIdentifier": f"{self.code}-E{len(self.log) + 1:08d}",
            "eventType": event,
            "eventDateTime": print_instant(at_ms),
            "transferringAccountIdentifier": places[0],
            "acquiringAccountIdentifier": places[1],
            "logReference": order.reference if order else reference,
            "transactionIdentifier": order.key if order else "",
            "facts": facts,
        }
        if serials is not None:
            said["serials"] = print_range(serials)
        if event == "Proposal" and order is not None:
            said["decisionDueDateTime"] = print_instant(order.due_ms)
        self.log.append(said)

    # -- speaking

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/exchange/acceptProposal", self.hear(self._accept_proposal)),
            web.post("/exchange/acceptNotification", self.hear(self._accept_notification)),
            web.get("/exchange/transactions", self.hear(self._list_transactions)),
            web.get("/exchange/events", self.hear(self._list_events)),
            web.get("/exchange/unitBlocks", self.hear(self._list_blocks)),
        ]

    def hear(self, answer: Callable[[web.Request, Any], dict[str, Any]]) -> Callable[[web.Request], Any]:
        """A route: the message is heard if a known partner signed it; the answer is signed, also a no."""

        async def handle(request: web.Request) -> web.Response:
            raw = await request.read()
            asked = {str(name): str(value) for name, value in request.query.items()}
            try:
                body = parse_json(raw) if request.method != "GET" else asked
                sender = str(body.get("from")) if isinstance(body, dict) else ""
                signed = raw if request.method != "GET" else format_question(request.path, asked)
                check_signature(signed, request.headers.get(HEADER, ""), read_public_key(self.partners[sender]))
            except (KeyError, SignatureError, KeyTextError, ValueError) as error:
                return web.json_response({"message": f"unknown or unsigned: {error}"}, status=401)
            try:
                return web.json_response(seal(answer(request, body), self.key))
            except MessageRefusal as refusal:
                said = {"resultIdentifier": 0, "responseCodes": [refusal.code], "responseText": str(refusal)}
                return web.json_response(seal(said, self.key), status=400)

        return handle

    def _accept_proposal(self, _request: web.Request, body: dict[str, Any]) -> dict[str, Any]:
        self.check_versions(body)
        sender, fingerprint = str(body["from"]), hashlib.sha256(repr(body).encode()).digest()
        proposed = body.get("proposedTransaction") or {}
        try:
            kind = TransactionType(messages.read_units(proposed, "transactionType"))
            rows = messages.read_rows(proposed, "proposalUnitBlocks")
            blocks = tuple(messages.read_block(row) for row in rows)
            identifier = messages.read_text(proposed, "transactionIdentifier")
        except (ShapeError, ValueError) as error:
            raise MessageRefusal(2001, str(error)) from error
        if not identifier or not 1 <= len(blocks) <= messages.BLOCKS_MAX:
            raise MessageRefusal(2002, f"an identifier, and 1 to {messages.BLOCKS_MAX} unit blocks")
        known = self._proposed.get((sender, identifier))
        if known is not None:
            if known.fingerprint != fingerprint:
                raise MessageRefusal(3001, f"{identifier} was used for another transaction")
            return self._acknowledge(known)
        return self._acknowledge(self._take(sender, kind, proposed, blocks, fingerprint))

    def _take(
        self,
        sender: str,
        kind: TransactionType,
        proposed: dict[str, Any],
        blocks: tuple[SerialRange, ...],
        fingerprint: bytes,
    ) -> Order:
        """Put the transaction before the desk. What its check finds wrong is a decision, no fault of the message."""
        said = {str(name): str(value) for name, value in proposed.get("facts", {}).items()}
        leaves = kind is TransactionType.EXTERNAL_TRANSFER
        acquirer = str(proposed.get("acquiringRegistryCode", ""))
        account = str(proposed.get("acquiringRegistryAccountIdentifier", ""))
        action = _ACTIONS.get(kind, Action.USE if said.get("action type") == "Use" else Action.RETIRE)
        due_ms = self.clock.now_ms + self.check_ms + (self.acquirer_ms if leaves else 0)
        if leaves and self.acquirer is Acquirer.SILENT:
            due_ms = self.clock.now_ms + SWEEP_MS
        order = Order(
            reference=self.next_reference(),
            key=str(proposed["transactionIdentifier"]),
            action=action,
            account=str(proposed.get("transferringRegistryAccountIdentifier", "")),
            asked=blocks,
            received_ms=self.clock.now_ms,
            due_ms=due_ms,
            to_account=f"{acquirer}:{account}" if leaves else account,
            fingerprint=fingerprint,
            said=said | {"type": str(int(kind)), "acquirer": acquirer if leaves else ""},
        )
        self._proposed[sender, order.key] = order
        if leaves and self.acquirer is Acquirer.REJECTS:
            self.clock.at(due_ms, lambda: self._end(order, Status.REJECTED, "the acquiring registry rejected it"))
        self._sweep(order)
        try:
            self.desk.receive(order)
        except BookRefusal as refusal:
            self.desk.orders[order.reference] = order
            self._end(order, Status.TERMINATED, f"{refusal.code}: {refusal}")
        self.clock.settle()
        return order

    def _accept_notification(self, _request: web.Request, body: dict[str, Any]) -> dict[str, Any]:
        self.check_versions(body)
        said = body.get("notification") or {}
        try:
            identifier, number = (
                messages.read_text(said, n) for n in ("transactionIdentifier", "notificationIdentifier")
            )
            status = messages.read_units(said, "transactionStatus")
        except (ShapeError, AttributeError) as error:
            raise MessageRefusal(2001, str(error)) from error
        order = self._proposed.get(("", identifier))
        if order is None or status not in (Status.ACCEPTED, Status.REJECTED):
            raise MessageRefusal(3002, f"{identifier} awaits no answer, or {status} is none")
        answer = (number, status == Status.ACCEPTED)
        if self._answers.setdefault(order.reference, answer) != answer:
            raise MessageRefusal(3003, f"{identifier} was answered before")
        if order.status is OrderStatus.WAITING:
            if answer[1]:
                self._ends[order.reference] = Status.ACCEPTED
                self.desk.postpone(order.reference, self.clock.now_ms)
            else:
                self._end(order, Status.REJECTED, "declined")
        return self._acknowledge(order)

    def check_versions(self, body: dict[str, Any]) -> None:
        """Refuse a message of another version, or to somebody else."""
        if (body.get("majorVersion"), body.get("minorVersion")) != (messages.MAJOR_VERSION, messages.MINOR_VERSION):
            raise MessageRefusal(1002, f"version {messages.MAJOR_VERSION}.{messages.MINOR_VERSION} is spoken here")
        if body.get("to") != self.code:
            raise MessageRefusal(1003, f"this is {self.code}, not {body.get('to')}")

    def _acknowledge(self, order: Order) -> dict[str, Any]:
        due = {"decisionDueDateTime": print_instant(order.due_ms)} if order.due_ms > order.received_ms else {}
        return {"resultIdentifier": 1, "responseCodes": [], "logReference": order.reference, **due}

    def _sweep(self, order: Order) -> None:
        at_ms = order.received_ms + SWEEP_MS
        self.clock.at(at_ms, lambda: self._end(order, Status.CANCELLED, "not final after 24 hours"))

    def _end(self, order: Order, status: Status, reason: str) -> None:
        if order.status is OrderStatus.WAITING:
            self._ends[order.reference] = status
            self.desk.refuse(order.reference, reason)

    # -- answering questions

    def _list_transactions(self, request: web.Request, asked: dict[str, str]) -> dict[str, Any]:
        at_ms = self.seen_at(request)
        found = []
        known = self._proposed
        exact = (asked.get("initiator", ""), asked.get("identifier", ""))
        if all(exact):
            known = {exact: known[exact]} if exact in known else {}
        for (initiator, identifier), order in known.items():
            mine = asked.get("initiator", "") in ("", initiator) and asked.get("identifier", identifier) == identifier
            if mine and asked.get("reference", order.reference) == order.reference and order.received_ms <= at_ms:
                found.append(self._show(order, at_ms))
        return {"transactions": found}

    def _show(self, order: Order, at_ms: int) -> dict[str, Any]:
        """The transaction as it was at a time: what was decided later is still open."""
        decided = order.status is not OrderStatus.WAITING and order.decided_ms <= at_ms
        status = self._status(order) if decided else self._open_status(order, at_ms)
        shown: dict[str, Any] = {
            "transactionIdentifier": order.key,
            "logReference": order.reference,
            "transactionStatus": int(status),
            "transactionStatusDateTime": print_instant(order.decided_ms if decided else order.received_ms),
            "proposalUnitBlocks": [format_block(item) for item in order.asked],
            "completedUnitBlocks": [format_block(item) for item in order.done] if decided else [],
            "refusedUnits": order.refused_units if decided else 0,
            "evaluationResult": [{"responseCode": 4001, "responseText": order.reason}] if order.reason else [],
            "answerIdentifier": self._answers.get(order.reference, ("", False))[0],
        }
        if not decided and order.due_ms:
            shown["decisionDueDateTime"] = print_instant(order.due_ms)
        return shown

    def _open_status(self, order: Order, at_ms: int) -> Status:
        return Status.PROPOSED if at_ms < order.received_ms + self.check_ms else Status.CHECKED

    def _status(self, order: Order) -> Status:
        match order.status:
            case OrderStatus.DONE:
                return Status.COMPLETED
            case OrderStatus.PARTLY:
                return Status.ACCEPTED
            case OrderStatus.UNDONE:
                return Status.REVERSED
        return self._ends.get(order.reference, Status.TERMINATED)

    def _list_events(self, _request: web.Request, asked: dict[str, str]) -> dict[str, Any]:
        self._log_entries()
        after, limit = read_place(asked, "after")
        rows = self.log[after : after + limit]
        return {
            "events": [seal(event, self.key) for event in rows],
            "after": after,
            "next": after + len(rows),
            "total": len(self.log),
            "systemTime": print_instant(self.clock.now_ms),
        }

    def _list_blocks(self, _request: web.Request, asked: dict[str, str]) -> dict[str, Any]:
        offset, limit = read_place(asked, "offset")
        rows = self.book.rows()
        shown = [
            format_block(row.serials)
            | {"accountIdentifier": row.account, "state": str(row.state), "logReference": row.reference}
            for row in rows[offset : offset + limit]
        ]
        return {
            "unitBlocks": shown,
            "offset": offset,
            "total": len(rows),
            "totalUnits": sum(row.serials.units for row in rows),
            "systemTime": print_instant(self.clock.now_ms),
        }
