"""The driver of Puro: which calls are made for what. Sandbox and live differ in address and credentials alone.

What is sent and what answers mean is in `mapping`; how a call can fail, in `adapters.web`.
"""

from __future__ import annotations

import base64
import hashlib
from itertools import chain, takewhile
from typing import Any, Final

from adapters.answers import DECISIONS, ShapeError, read_no, sift
from adapters.capabilities import Capabilities, LookUp
from adapters.contract import (
    Adapter,
    Answer,
    Change,
    Changes,
    Driver,
    Found,
    Holding,
    Holdings,
    HoldingState,
    Instruction,
    NothingFound,
    Question,
    Settings,
    System,
    Trouble,
    WrongShape,
)
from adapters.puro import mapping
from adapters.puro.basis import BASIS, CAPABILITIES
from adapters.puro.mapping import Page, Transaction
from adapters.web import Line, Reply, format_json, parse_json

_PAGE: Final = 100
_SKEW_MS: Final = 300_000
"""How far the registry's clock may be off when a retirement is recognised by its serials."""


class PuroAdapter:
    """Puro through MyPuro (write) and the Registry API (read)."""

    def __init__(self, driver: Driver, settings: Settings) -> None:
        self._driver: Final = driver
        self._settings: Final = settings
        self._line: Final = Line(settings.base_url, settings.timeout_ms)

    @property
    def name(self) -> str:
        return "puro"

    @property
    def driver(self) -> Driver:
        return self._driver

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    def compose(self, instruction: Instruction) -> bytes:
        return mapping.compose(instruction)

    def expects(self, instruction: Instruction, at_ms: int) -> int:
        """Within the hour; nothing is stated."""
        return at_ms + 3_600_000

    async def instruct(self, instruction: Instruction) -> Answer:
        body = self.compose(instruction)
        headers = {**self._authorisation(), "Idempotency-Key": instruction.key}
        reply = await self._line.write("/mypuro/transactions/retirement", body, headers=headers)
        if not isinstance(reply, Reply):
            return reply
        if not reply.good:
            return read_no(reply, DECISIONS)
        try:
            evidence = mapping.strip_private(_object(reply.json))
            return mapping.read_report(mapping.read_transaction(reply.json), instruction, evidence)
        except ShapeError as error:
            return WrongShape(str(error), reply.body)

    async def ask(self, question: Question) -> Found:
        for reference in question.references:
            reply = await self._line.read(f"/mypuro/transactions/{reference}", headers=self._authorisation())
            if not isinstance(reply, Reply):
                return reply
            if reply.good:
                return _read_found(reply.json, question, reply.body, reference)
        asked = {"sourceAccountNumber": question.instruction.account, "type": "Retirement"}
        seen = hashlib.sha256()
        for filters in ({"idempotencyKey": question.instruction.key}, asked):
            found = await self._look(question, filters, seen)
            if found is not None:
                return found
        by = {LookUp.KEY, LookUp.SERIAL} | ({LookUp.REFERENCE} if question.references else set())
        evidence = format_json({"key": question.instruction.key, "looked_at": seen.hexdigest()})
        return NothingFound(frozenset(by), evidence)

    async def _look(self, question: Question, filters: dict[str, str], seen: hashlib._Hash) -> Found | None:
        """What a list shows of the instruction: on its first page, then from its end down to a page on which all were
        completed before it was sent. An account has more retirements than a minute has calls."""
        since_ms, offset, kept = question.sent_ms - _SKEW_MS, 0, 0
        while True:
            page = await self._page("/mypuro/transactions", offset, filters)
            if not isinstance(page, Page):
                return page
            if page.next_offset < min(offset + _PAGE, page.total):
                return WrongShape(f"a page of {len(page.rows)} rows where {_PAGE} were asked for")
            seen.update(format_json([mapping.strip_private(row).decode() for row in page.rows]))
            try:
                rows = [mapping.read_transaction(row) for row in page.rows]
                for row, transaction in zip(page.rows, rows, strict=True):
                    if mapping.matches(transaction, question, _SKEW_MS):
                        return _read_found(row, question, b"")
            except ShapeError as error:
                return WrongShape(str(error))
            if offset == 0:
                kept, end = page.next_offset, page.total
            else:
                end = 0 if all(0 < row.completed_ms < since_ms for row in rows) else offset
            if end <= kept:
                return None
            offset = max(end - _PAGE, kept)

    async def changes(self, cursor: str) -> Changes | Trouble:
        """Cursor: how many transactions of the registry's list were read. One that is open is read again."""
        offset = int(cursor) if cursor.isascii() and cursor.isdigit() else 0
        page = await self._page("/registry/transactions", offset, {})
        if not isinstance(page, Page):
            return page
        waits: list[int] = []

        def read(placed: tuple[int, Any]) -> list[Change]:
            found = mapping.read_transaction(placed[1])
            waits.extend([placed[0]] if found.open else [])
            return mapping.read_changes(found, mapping.strip_private(placed[1]))

        try:
            placed = takewhile(lambda _: not waits, enumerate(page.rows, offset))
            told, unread = sift(placed, read, f"transaction from {offset}")
        except ShapeError as error:
            return WrongShape(str(error))
        items, at = tuple(chain.from_iterable(told)), waits[0] if waits else offset + len(page.rows)
        return Changes(items, str(at), not waits and at < page.total, items[-1].at_ms if items else 0, unread)

    async def snapshot(self, page: str = "") -> Holdings | Trouble:
        """Active bundles first, then retirements; a page is "active:offset" or "retired:offset"."""
        part, _, text = (page or "active:0").partition(":")
        offset = int(text) if text.isascii() and text.isdigit() else 0
        path = "/registry/certificates" if part == "active" else "/mypuro/transactions"
        found = await self._page(path, offset, {} if part == "active" else {"type": "Retirement"})
        if not isinstance(found, Page):
            return found
        try:
            name = f"{part} row from {offset}"
            if part == "active":
                rows, unread = sift(found.rows, mapping.read_certificates, name)
            else:
                ended, unread = sift(found.rows, lambda row: _retired(mapping.read_transaction(row)), name)
                rows = tuple(holding for each in ended for holding in each)
        except ShapeError as error:
            return WrongShape(str(error))
        more = found.next_offset < found.total
        following = f"{part}:{found.next_offset}" if more else ("retired:0" if part == "active" else "")
        return Holdings(rows, following, 0, unread=unread)

    def read_notice(self, body: bytes) -> tuple[Change, ...] | WrongShape:
        """Puro documents no notices; the sandbox pushes transactions as the registry lists them."""
        try:
            row = _object(_object(parse_json(body)).get("data"))
            return tuple(mapping.read_changes(mapping.read_transaction(row), mapping.strip_private(row)))
        except ValueError as error:
            return WrongShape(str(error), body)

    async def close(self) -> None:
        await self._line.close()

    async def _page(self, path: str, offset: int, filters: dict[str, str]) -> Page | Trouble:
        asked = {**filters, "limit": str(_PAGE), "offset": str(offset)}
        reply = await self._line.read(path, params=asked, headers=self._authorisation())
        if not isinstance(reply, Reply):
            return reply
        if not reply.good:
            return WrongShape(f"{path} answers {reply.status}", reply.body)
        try:
            page = mapping.read_page(reply.json)
        except ShapeError as error:
            return WrongShape(f"{path}: {error}", reply.body)
        if page.offset != offset:
            return WrongShape(f"{path}: asked from {offset}, answered from {page.offset}", reply.body)
        return page

    def _authorisation(self) -> dict[str, str]:
        pair = f"{self._settings.secret('key-id')}:{self._settings.secret('key-secret')}"
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def _read_found(row: Any, question: Question, body: bytes, reference: str = "") -> Found:
    """A transaction as the answer; `reference`: it was asked for by this one."""
    try:
        evidence, found = mapping.strip_private(_object(row)), mapping.read_transaction(row)
        if reference not in ("", found.id):
            raise ShapeError(f"asked for transaction {reference}, answered with {found.id}")
        return mapping.read_report(found, question.instruction, evidence)
    except ShapeError as error:
        return WrongShape(str(error), body)


def _retired(found: Transaction) -> list[Holding]:
    if not found.done or found.status == "REVERSED":
        return []
    return [Holding(bundle, found.account, HoldingState.RETIRED, found.id) for bundle in found.bundles]


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ShapeError("it is no object")
    return value


def _open(driver: Driver, settings: Settings) -> Adapter:
    return PuroAdapter(driver, settings)


SYSTEM: Final = System("puro", "Puro.earth", (Driver.SANDBOX, Driver.LIVE), BASIS, ("key-id", "key-secret"), _open)
