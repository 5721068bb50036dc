"""The driver of the exchange: signed calls, each answered by a signed envelope. What one registry may be told is its
`Dialect`; what messages mean is in `messages`, how a call can fail in `adapters.web`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from adapters.answers import ShapeError, read_instant, sift
from adapters.capabilities import Action, Capabilities, LookUp
from adapters.contract import (
    Answer,
    Change,
    ChangeKind,
    Changes,
    Driver,
    Found,
    Holdings,
    Instruction,
    NothingFound,
    Question,
    Settings,
    Trouble,
    Unauthorised,
    Unknown,
    UnsendableError,
    WrongShape,
)
from adapters.des import messages
from adapters.des.messages import Ends
from adapters.des.signing import (
    HEADER,
    KeyTextError,
    SignatureError,
    format_question,
    read_public_key,
    read_signing_key,
    sign,
    unseal,
)
from adapters.web import Line, Reply, format_json, parse_json

SECRETS: Final = ("registry-code", "signing-key", "their-key")
"""By which code the other side knows us, our Ed25519 seed, and its public key; keys are 32 bytes in base64url."""
_PAGE: Final = 200
_ANSWERS: Final = (Action.ACCEPT, Action.DECLINE)


def explain_issuance(change: Change) -> Mapping[str, str]:
    """An event of issuance is of all units of one issuance."""
    return {"whole": "yes"} if change.kind is ChangeKind.ISSUED else {}


class Dialect(NamedTuple):
    """What is one registry's own in the exchange."""

    name: str
    code: str
    """Its registry code; empty: the credential "their-code" says it."""
    capabilities: Capabilities
    place: Callable[[Instruction, str], Ends]
    """From an instruction and the registry's code to what is proposed; raises `UnsendableError`."""
    expected_ms: Mapping[Action, int]
    """How long a decision takes; only a forecast."""
    explain: Callable[[Change], Mapping[str, str]] = explain_issuance
    """What an event means besides, as `Change.details` names it."""


class Opened(NamedTuple):
    """What the registry said, and the signed envelope it came in."""

    message: dict[str, Any]
    envelope: Any


class ExchangeAdapter:
    """One registry that follows the exchange."""

    def __init__(self, dialect: Dialect, driver: Driver, settings: Settings) -> None:
        self._dialect: Final = dialect
        self._driver: Final = driver
        self._settings: Final = settings
        self._line: Final = Line(settings.base_url, settings.timeout_ms)

    @property
    def name(self) -> str:
        return self._dialect.name

    @property
    def driver(self) -> Driver:
        return self._driver

    @property
    def capabilities(self) -> Capabilities:
        return self._dialect.capabilities

    @property
    def code(self) -> str:
        """The registry code of the other side."""
        return self._dialect.code or self._settings.secret("their-code")

    def compose(self, instruction: Instruction) -> bytes:
        if instruction.action not in self.capabilities.actions:
            raise UnsendableError(f"{self.name} has no message that asks to {instruction.action}")
        ours = self._settings.secret("registry-code")
        if instruction.action in _ANSWERS:
            return messages.compose_answer(instruction, ours, self.code)
        return messages.compose_proposal(instruction, self._dialect.place(instruction, self.code), ours, self.code)

    def expects(self, instruction: Instruction, at_ms: int) -> int:
        return at_ms + self._dialect.expected_ms.get(instruction.action, 3_600_000)

    async def instruct(self, instruction: Instruction) -> Answer:
        body = self.compose(instruction)
        path = "/exchange/acceptNotification" if instruction.action in _ANSWERS else "/exchange/acceptProposal"
        reply = await self.write_message(path, body)
        if not isinstance(reply, Opened):
            return reply
        try:
            return messages.read_acknowledgement(reply.message, instruction, _keep(reply.envelope))
        except ShapeError as error:
            return WrongShape(str(error), _keep(reply.envelope))

    async def ask(self, question: Question) -> Found:
        instruction = question.instruction
        answers = instruction.action in _ANSWERS
        identifier = instruction.answers if answers else instruction.key
        asked = {"identifier": identifier} if answers else {"initiator": self.ours, "identifier": identifier}
        evidence: list[Any] = []
        for filters in (*({"reference": each} for each in question.references), asked):
            reply = await self.read_message("/exchange/transactions", filters)
            if not isinstance(reply, Opened):
                return reply
            message, envelope = reply
            evidence.append(envelope)
            try:
                for row in messages.read_rows(message, "transactions"):
                    found = messages.read_transaction(row)
                    mine = found.answer == instruction.key if answers else found.identifier == instruction.key
                    if mine:
                        return messages.read_report(found, instruction, _keep(envelope))
            except ShapeError as error:
                return WrongShape(str(error), format_json(envelope))
        by = {LookUp.KEY} | ({LookUp.REFERENCE} if question.references else set())
        return NothingFound(frozenset(by), format_json(evidence))

    async def changes(self, cursor: str) -> Changes | Trouble:
        """Cursor: the number of the last event that was read. Every event is signed by itself."""
        after = cursor if cursor.isascii() and cursor.isdigit() else "0"
        reply = await self.read_message("/exchange/events", {"after": after, "limit": str(_PAGE)})
        if not isinstance(reply, Opened):
            return reply
        message, envelope = reply
        try:
            if messages.read_units(message, "after") != int(after):
                raise ShapeError(f"asked after {after}, answered after {message['after']}")
            rows = messages.read_rows(message, "events")
            following, total = messages.read_units(message, "next"), messages.read_units(message, "total")
            if following != int(after) + len(rows) or following > total or (following < total and not rows):
                raise ShapeError(f"{len(rows)} events from {after} to {following} of {total}")
            items, unread = sift(rows, self._read_event, f"event from {after}")
            as_of_ms = read_instant(message.get("systemTime"), "systemTime", zoned=True)
        except (ShapeError, SignatureError) as error:
            return WrongShape(str(error), format_json(envelope))
        return Changes(items, str(following), following < total, as_of_ms, unread)

    async def snapshot(self, page: str = "") -> Holdings | Trouble:
        offset = int(page) if page.isascii() and page.isdigit() else 0
        reply = await self.read_message("/exchange/unitBlocks", {"offset": str(offset), "limit": str(_PAGE)})
        if not isinstance(reply, Opened):
            return reply
        message, envelope = reply
        try:
            told = messages.read_rows(message, "unitBlocks")
            rows, unread = sift(told, messages.read_holding, f"unit block from {offset}")
            total, units = messages.read_units(message, "total"), messages.read_units(message, "totalUnits")
            following = offset + len(told)
            if (
                messages.read_units(message, "offset") != offset
                or following > total
                or (following < total and not told)
            ):
                raise ShapeError(f"{len(told)} unit blocks from {offset} of {total}")
            as_of_ms = read_instant(message.get("systemTime"), "systemTime", zoned=True)
        except ShapeError as error:
            return WrongShape(str(error), format_json(envelope))
        return Holdings(rows, str(following) if following < total else "", as_of_ms, units, unread)

    def read_notice(self, body: bytes) -> tuple[Change, ...] | WrongShape:
        """A pushed event: the same envelope as in the log, so that its own signature is checked again."""
        try:
            value = parse_json(body)
            return (self._read_event(value.get("data") if isinstance(value, dict) else None),)
        except ValueError as error:
            return WrongShape(str(error), body)

    async def close(self) -> None:
        await self._line.close()

    @property
    def ours(self) -> str:
        """The registry code by which the other side knows the ledger."""
        return self._settings.secret("registry-code")

    async def write_message(self, path: str, body: bytes) -> Opened | Trouble | Unknown:
        """Send a signed message once; what comes back is signed, and if it is a no, says so."""
        try:
            headers = {HEADER: sign(body, read_signing_key(self._settings.secret("signing-key")))}
            read_public_key(self._settings.secret("their-key"))
        except KeyTextError as error:
            return Unauthorised(f"nothing was sent: {error}")
        reply = await self._line.write(path, body, headers=headers)
        if not isinstance(reply, Reply):
            return reply
        opened = self._open(reply)
        if isinstance(opened, WrongShape):
            return opened
        if not reply.good and opened.get("resultIdentifier") != 0:
            return WrongShape(f"status {reply.status} without a reason", reply.body)
        return Opened(opened, reply.json)

    def _read_event(self, envelope: Any) -> Change:
        message = unseal(envelope, read_public_key(self._settings.secret("their-key")))
        change = messages.read_event(message, _keep(envelope))
        return change._replace(details={**change.details, **self._dialect.explain(change)})

    def _open(self, reply: Reply) -> dict[str, Any] | WrongShape:
        try:
            return unseal(reply.json, read_public_key(self._settings.secret("their-key")))
        except (SignatureError, KeyTextError) as error:
            return WrongShape(f"status {reply.status}: {error}", reply.body)

    async def read_message(self, path: str, asked: Mapping[str, str]) -> Opened | Trouble:
        """Ask something; the signature of a question is over its path and query."""
        params = {"from": self.ours, **asked}
        try:
            signature = sign(format_question(path, params), read_signing_key(self._settings.secret("signing-key")))
            read_public_key(self._settings.secret("their-key"))
        except KeyTextError as error:
            return Unauthorised(f"nothing was asked: {error}")
        reply = await self._line.read(path, params=params, headers={HEADER: signature})
        if not isinstance(reply, Reply):
            return reply
        opened = self._open(reply)
        if isinstance(opened, WrongShape):
            return opened
        if not reply.good:
            return WrongShape(f"{path} answers {reply.status}", reply.body)
        return Opened(opened, reply.json)


def check_envelope(evidence: bytes, their_key: str) -> dict[str, Any]:
    """The message a piece of evidence holds, if the registry signed it; raises `SignatureError`, `KeyTextError`."""
    try:
        value = parse_json(evidence)
    except ValueError as error:
        raise SignatureError(f"no envelope: {error}") from error
    return unseal(value, read_public_key(their_key))


def _keep(envelope: Any) -> bytes:
    """Evidence is the envelope as signed: it names no people, for the exchange has no words for them."""
    return format_json(envelope)
