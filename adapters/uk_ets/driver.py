"""The driver of the UK registry: proposals by one representative, answers by another, look-ups by our reference.

What is sent and what answers mean is in `mapping`; when things happen, in `hours`; how a call can fail, in
`adapters.web`. Without the second representative's token a person approves in the registry.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from adapters.answers import ShapeError, sift
from adapters.capabilities import Action, Capabilities, LookUp
from adapters.contract import (
    Adapter,
    Answer,
    Change,
    Changes,
    Driver,
    Found,
    Holdings,
    Instruction,
    NothingFound,
    Question,
    Refused,
    Report,
    Settings,
    System,
    Trouble,
    Unavailable,
    Unknown,
    WrongShape,
)
from adapters.uk_ets import mapping
from adapters.uk_ets.basis import BASIS, CAPABILITIES
from adapters.uk_ets.hours import compute_execution, compute_next_minute
from adapters.uk_ets.mapping import Transaction
from adapters.web import Line, Reply, format_json, parse_json

WAITS: Final = "waits for the second representative"
_PAGE: Final = 100
_SKEW: Final = timedelta(minutes=5)
_NOES: Final = (400, 403, 404, 406)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}


class Shown(NamedTuple):
    """A transaction as the registry shows it, and the evidence of that."""

    transaction: Transaction
    evidence: bytes


class UkEtsAdapter:
    """The UK Emissions Trading Registry."""

    def __init__(self, driver: Driver, settings: Settings) -> None:
        self._driver: Final = driver
        self._settings: Final = settings
        self._line: Final = Line(settings.base_url, settings.timeout_ms)

    @property
    def name(self) -> str:
        return "uk_ets"

    @property
    def driver(self) -> Driver:
        return self._driver

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    def compose(self, instruction: Instruction) -> bytes:
        return mapping.compose(instruction)

    def expects(self, instruction: Instruction, at_ms: int) -> int:
        """If the second representative approves at once. `details["trusted"]` is "yes" for the trusted list."""
        if instruction.action is Action.TRANSFER:
            return compute_execution(at_ms, trusted=instruction.details.get("trusted") == "yes")
        return compute_next_minute(at_ms)

    async def instruct(self, instruction: Instruction) -> Answer:
        body, proposes = self.compose(instruction), instruction.action in mapping.TYPES
        approves = instruction.action in (Action.ACCEPT, Action.DECLINE)
        early = await self._is_too_early(instruction) if instruction.action is Action.WITHDRAW else None
        if early is not None:
            return early
        headers = self._authorisation("approver" if approves else "initiator") | ({} if proposes else _FORM)
        reply = await self._line.write(mapping.path_of(instruction), body, headers=headers)
        if not isinstance(reply, Reply):
            return reply
        try:
            if not reply.good:
                return await self._check_no(instruction, _read_no(instruction, reply))
            if not proposes:
                return await self._see_answered(instruction)
            identifier = mapping.read_proposed(reply.json)
        except ShapeError as error:
            return WrongShape(str(error), mapping.strip_private(reply.json))
        evidence = mapping.strip_private(reply.json)
        return Report(identifier, (), instruction.units, 0, WAITS, evidence=evidence)

    async def ask(self, question: Question) -> Found:
        asked = question.instruction
        if asked.action not in mapping.TYPES:
            return await self._ask_answered(asked)
        for reference in question.references:
            found = await self._get(reference)
            if isinstance(found, Shown):
                return _read_found(found, asked)
            if found is not None:
                return found
        since = _EPOCH + timedelta(milliseconds=question.sent_ms) - _SKEW
        rows = await self._list({"transferringAccountNumber": asked.account, **_since(since)})
        if not isinstance(rows, list):
            return rows
        for _, identifier, kind, quantity in rows:
            if kind == mapping.TYPES[asked.action] and quantity == asked.units:
                found = await self._get(identifier)
                if found is None:
                    return WrongShape(f"{identifier} is in the list and cannot be read")
                if not isinstance(found, Shown):
                    return found
                if found.transaction.key == asked.key:
                    return _read_found(found, asked)
        by = {LookUp.KEY} | ({LookUp.REFERENCE} if question.references else set())
        looked_at = hashlib.sha256(format_json([list(row) for row in rows])).hexdigest()
        return NothingFound(frozenset(by), format_json({"key": asked.key, "looked_at": looked_at}))

    async def changes(self, cursor: str) -> Changes | Trouble:
        """Cursor: the last instant at which transactions were updated, and which: "1774000000000/UK1000007,UK1000009".

        Many are executed at one minute; more of that instant may show later.
        """
        text, _, names = cursor.partition("/")
        last_ms = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
        known = [name for name in names.split(",") if name]
        rows = await self._list(_since(_EPOCH + timedelta(milliseconds=last_ms)) if last_ms else {})
        if not isinstance(rows, list):
            return rows
        items: list[Change] = []
        for row in sorted(rows):
            updated_ms, identifier = row[:2]
            if updated_ms < last_ms or (updated_ms == last_ms and identifier in known):
                continue
            other = mapping.read_other(row)
            if other is not None:
                items.append(other)
            else:
                found = await self._get(identifier)
                if found is None:
                    return WrongShape(f"{identifier} is in the list and cannot be read")
                if not isinstance(found, Shown):
                    return found
                items += mapping.read_changes(*found)
            known = [*(known if updated_ms == last_ms else ()), identifier]
            last_ms = updated_ms
        return Changes(tuple(items), f"{last_ms}/{','.join(known)}" if known else "", False, last_ms)

    async def snapshot(self, page: str = "") -> Holdings | Trouble:
        """Pages of the unit block report."""
        number = int(page) if page.isascii() and page.isdigit() and len(page) < 10 else 0
        asked = {"page": str(number), "pageSize": str(_PAGE)}
        reply = await self._read("/api-registry/unit-blocks.report", asked)
        if not isinstance(reply, Reply):
            return reply
        try:
            rows, total = mapping.read_list(reply.json, number)
            if len(rows) != max(0, min(_PAGE, total - number * _PAGE)):
                raise ShapeError(f"{len(rows)} blocks on page {number} of a report of {total}")
            holdings, unread = sift(rows, mapping.read_unit_block, f"block on page {number}")
        except ShapeError as error:
            return WrongShape(str(error), mapping.strip_private(reply.json))
        return Holdings(holdings, str(number + 1) if (number + 1) * _PAGE < total else "", 0, unread=unread)

    def read_notice(self, body: bytes) -> tuple[Change, ...] | WrongShape:
        """The registry writes e-mails, not notices; the sandbox pushes transactions as it shows them."""
        try:
            value = mapping.take(parse_json(body), "data", dict)
            return tuple(mapping.read_changes(mapping.read_transaction(value), mapping.strip_private(value)))
        except ValueError as error:
            return WrongShape(str(error), body)

    async def close(self) -> None:
        await self._line.close()

    # -- calls

    async def _is_too_early(self, instruction: Instruction) -> Refused | Trouble | None:
        """What waits for the second representative can be rejected, or be withdrawn later: it is not sent yet.

        Looked at before, because afterwards nobody could tell a withdrawal that came too early from one too late.
        """
        found = await self._get(instruction.answers)
        if not isinstance(found, Shown):
            return found
        early = found.transaction.status == "AWAITING_APPROVAL"
        return Refused(f"{instruction.answers} {WAITS}", False, found.evidence) if early else None

    async def _check_no(self, instruction: Instruction, said: Refused | Unavailable | Unknown) -> Answer:
        """A withdrawal is refused also where it was withdrawn before: what was asked for is so then."""
        if instruction.action is not Action.WITHDRAW or not isinstance(said, Refused) or not said.final:
            return said
        found = await self._ask_answered(instruction)
        return found if isinstance(found, Report) else said

    async def _see_answered(self, instruction: Instruction) -> Answer:
        """The answer to an approval or withdrawal says nothing; the transaction does."""
        found = await self._ask_answered(instruction)
        if isinstance(found, Report | Refused | WrongShape):
            return found
        return Unknown(f"{instruction.answers}: sent, and it does not show yet")

    async def _ask_answered(self, instruction: Instruction) -> Found:
        found = await self._get(instruction.answers)
        if found is None:
            return Refused(f"no transaction {instruction.answers}", final=False)
        if not isinstance(found, Shown):
            return found
        try:
            read = mapping.read_answered(found.transaction, instruction, found.evidence)
        except ShapeError as error:
            return WrongShape(str(error), found.evidence)
        return read or NothingFound(frozenset({LookUp.KEY, LookUp.REFERENCE}), found.evidence)

    async def _get(self, identifier: str) -> Shown | Trouble | None:
        """A transaction; None: there is none of that name."""
        reply = await self._read("/api-registry/transactions.get", {"transactionIdentifier": identifier}, missing=True)
        if not isinstance(reply, Reply):
            return reply
        if reply.status == 404:
            return None
        try:
            found = mapping.read_transaction(reply.json)
            if found.id != identifier:
                raise ShapeError(f"asked for {identifier}, answered with {found.id}")
        except ShapeError as error:
            return WrongShape(str(error), mapping.strip_private(reply.json))
        return Shown(found, mapping.strip_private(reply.json))

    async def _list(self, filters: dict[str, str]) -> list[tuple[int, str, str, int]] | Trouble:
        """All rows of the list under these filters."""
        found: list[tuple[int, str, str, int]] = []
        page, total = 0, 1
        while page * _PAGE < total:
            paging = {"page": str(page), "pageSize": str(_PAGE), "sortField": "transactionId", "sortDirection": "ASC"}
            reply = await self._read("/api-registry/transactions.list", filters | paging)
            if not isinstance(reply, Reply):
                return reply
            try:
                rows, total = mapping.read_list(reply.json, page)
                if len(rows) != min(_PAGE, total - page * _PAGE):
                    raise ShapeError(f"{len(rows)} rows on page {page} of a list of {total}")
                found += [mapping.read_row(row) for row in rows]
            except ShapeError as error:
                return WrongShape(str(error), mapping.strip_private(reply.json))
            page += 1
        return found

    async def _read(self, path: str, asked: dict[str, str], *, missing: bool = False) -> Reply | Trouble:
        reply = await self._line.read(path, params=asked, headers=self._authorisation("initiator"))
        if isinstance(reply, Reply) and not reply.good and not (missing and reply.status == 404):
            return WrongShape(f"{path} answers {reply.status}", mapping.strip_private(reply.json))
        return reply

    def _authorisation(self, who: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._settings.secret(who)}"}


def _since(at: datetime) -> dict[str, str]:
    return {"transactionLastUpdateDateFrom": max(at, _EPOCH).date().isoformat()}


def _read_no(instruction: Instruction, reply: Reply) -> Refused | Unavailable | Unknown:
    """4xx; raises `ShapeError`. A withdrawal that comes too late is the registry's decision."""
    evidence = mapping.strip_private(reply.json)
    if reply.status not in _NOES:
        return Unknown(f"{reply.status}: no status by which this registry says no", answered=True)
    refused = mapping.read_refusal(reply.status, reply.json, evidence)
    if refused is None:
        return Unavailable("3016: a reconciliation is in progress")
    too_late = instruction.action is Action.WITHDRAW and reply.status == 400
    return refused._replace(final=refused.final or too_late)


def _read_found(found: Shown, instruction: Instruction) -> Found:
    try:
        return mapping.read_report(found.transaction, instruction, found.evidence)
    except ShapeError as error:
        return WrongShape(str(error), found.evidence)


def _open(driver: Driver, settings: Settings) -> Adapter:
    return UkEtsAdapter(driver, settings)


SYSTEM: Final = System("uk_ets", "UK Emissions Trading Registry", (Driver.SANDBOX,), BASIS, ("initiator",), _open)
