"""The driver of India's carbon registry: which calls are made for what. Not live: no interface is published.

What is sent and what answers mean is in `mapping`; how a call can fail, in `adapters.web`.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from adapters.answers import ShapeError, read_instant, read_no, sift
from adapters.balances import Balance
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
    Settings,
    System,
    Trouble,
    WrongShape,
)
from adapters.icm import mapping
from adapters.icm.basis import BASIS, CAPABILITIES
from adapters.icm.sessions import CONFIRMED, instant, read_session
from adapters.web import Line, Reply, format_json, parse_json

_PAGE: Final = 200


class IcmAdapter:
    """Accounts, orders and events at Grid Controller of India."""

    name: Final = "icm"
    capabilities: Final[Capabilities] = CAPABILITIES

    def __init__(self, driver: Driver, settings: Settings) -> None:
        self.driver: Final = driver
        self._settings: Final = settings
        self._line: Final = Line(settings.base_url, settings.timeout_ms)

    def compose(self, instruction: Instruction) -> bytes:
        return mapping.compose(instruction)

    def expects(self, instruction: Instruction, at_ms: int) -> int:
        """A block is confirmed at 16:00 Indian time on the day of its session; everything else within minutes."""
        if instruction.action is Action.BLOCK:
            try:
                return max(at_ms, instant(read_session(instruction.details.get("session", "")), CONFIRMED))
            except ValueError:
                return at_ms
        return at_ms + 600_000

    async def instruct(self, instruction: Instruction) -> Answer:
        body = self.compose(instruction)
        headers = {**self._authorisation(), "Idempotency-Key": instruction.key}
        reply = await self._line.write("/icm/v1/orders", body, headers=headers)
        if not isinstance(reply, Reply):
            return reply
        if not reply.good:
            return read_no(reply, ())  # an order that was not taken: nothing was decided of the units
        try:
            return mapping.read_report(mapping.read_order(reply.json), instruction, mapping.format_plain(reply.json))
        except ShapeError as error:
            return WrongShape(str(error), reply.body)

    async def ask(self, question: Question) -> Found:
        seen: list[Any] = []
        for filters in (*({"orderId": each} for each in question.references), {"key": question.instruction.key}):
            value = await self._read("/icm/v1/orders", filters)
            if isinstance(value, Trouble):
                return value
            try:
                for row in mapping.read_rows(value, "orders"):
                    found = mapping.read_order(row)
                    if found.key == question.instruction.key:
                        return mapping.read_report(found, question.instruction, mapping.format_plain(row))
            except ShapeError as error:
                return WrongShape(str(error))
            seen.append(filters)
        by = {LookUp.KEY} | ({LookUp.REFERENCE} if question.references else set())
        return NothingFound(frozenset(by), format_json({"asked": seen, "found": 0}))

    async def changes(self, cursor: str) -> Changes | Trouble:
        """Cursor: the number of the last event that was read."""
        since = cursor if cursor.isascii() and cursor.isdigit() else "0"
        value = await self._read("/icm/v1/events", {"since": since, "limit": str(_PAGE)})
        if isinstance(value, Trouble):
            return value
        try:
            rows = mapping.read_rows(value, "events")
            total, following = mapping.read_units(value, "total"), int(since) + len(rows)
            if (
                mapping.read_units(value, "since") != int(since)
                or following > total
                or (following < total and not rows)
            ):
                raise ShapeError(f"{len(rows)} events from {since} of {total}")
            items, unread = sift(rows, mapping.read_event, f"event from {since}")
            as_of_ms = read_instant(value.get("asOf"), "asOf", zoned=True)
        except ShapeError as error:
            return WrongShape(str(error))
        return Changes(items, str(following), following < total, as_of_ms, unread)

    async def snapshot(self, page: str = "") -> Holdings | Trouble:
        offset = int(page) if page.isascii() and page.isdigit() else 0
        value = await self._read("/icm/v1/holdings", {"offset": str(offset), "limit": str(_PAGE)})
        if isinstance(value, Trouble):
            return value
        try:
            told = mapping.read_rows(value, "holdings")
            rows, unread = sift(told, mapping.read_holding, f"holding from {offset}")
            total, following = mapping.read_units(value, "total"), offset + len(told)
            if mapping.read_units(value, "offset") != offset or following > total or (following < total and not told):
                raise ShapeError(f"{len(told)} holdings from {offset} of {total}")
            units, as_of_ms = mapping.read_units(value, "quantity"), read_instant(value.get("asOf"), "asOf", zoned=True)
        except ShapeError as error:
            return WrongShape(str(error))
        return Holdings(rows, str(following) if following < total else "", as_of_ms, units, unread)

    async def balance(self, account: str) -> Balance | Trouble:
        """Sub-balances of an account, its breaches of the quarter, and until when it is barred from trading."""
        value = await self._read(f"/icm/v1/accounts/{quote(account, safe='')}/balance", {})
        if isinstance(value, Trouble):
            return value
        try:
            return mapping.read_balance(value)
        except ShapeError as error:
            return WrongShape(str(error))

    def read_notice(self, body: bytes) -> tuple[Change, ...] | WrongShape:
        """No notices are known; the sandbox pushes events as it lists them."""
        try:
            value = parse_json(body)
            return (mapping.read_event(value["data"] if isinstance(value, dict) and "data" in value else {}),)
        except ValueError as error:
            return WrongShape(str(error), body)

    async def close(self) -> None:
        await self._line.close()

    async def _read(self, path: str, asked: dict[str, str]) -> Any:
        """The JSON of a good answer, else trouble."""
        reply = await self._line.read(path, params=asked, headers=self._authorisation())
        if not isinstance(reply, Reply):
            return reply
        return reply.json if reply.good else WrongShape(f"{path} answers {reply.status}", reply.body)

    def _authorisation(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._settings.secret('token')}"}


def _open(driver: Driver, settings: Settings) -> Adapter:
    return IcmAdapter(driver, settings)


SYSTEM: Final = System("icm", "India CCTS registry (Grid Controller)", (Driver.SANDBOX,), BASIS, ("token",), _open)
