"""The driver of a CAD Trust node, version 2: units for the books, the audit for changes. Nothing is executed there.

Anyone can run it: a node is open source, listens on its owner's machine, and needs no credentials unless its owner
set a key. What rows mean is in `mapping`; how a call can fail, in `adapters.web`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from adapters.cadt import mapping
from adapters.cadt.basis import BASIS, CAPABILITIES, PAGE_ROWS
from adapters.cadt.mapping import Page, ShapeError, UnitError
from adapters.capabilities import Capabilities
from adapters.contract import (
    Adapter,
    Answer,
    Change,
    Changes,
    Driver,
    Found,
    Holding,
    Holdings,
    Instruction,
    Question,
    Refused,
    Settings,
    System,
    Trouble,
    Unauthorised,
    Unavailable,
    UnsendableError,
    WrongShape,
)
from adapters.web import Line, Reply

_MIRROR: Final = "CAD Trust repeats what registries did and executes nothing"
_PAGE: Final = re.compile(r"(\d{1,6}):(\d{1,9})", re.ASCII)
_PLACE: Final = re.compile(r"([^=;]+)=(\d{1,15})/(\d{1,18})", re.ASCII)


class CadtAdapter:
    """One node. `Settings.accounts` are the organisations to read; none: all that the node is subscribed to."""

    def __init__(self, driver: Driver, settings: Settings) -> None:
        self._driver: Final = driver
        self._settings: Final = settings
        self._line: Final = Line(settings.base_url, settings.timeout_ms)

    @property
    def name(self) -> str:
        return "cadt"

    @property
    def driver(self) -> Driver:
        return self._driver

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    def compose(self, instruction: Instruction) -> bytes:
        raise UnsendableError(f"{_MIRROR}; this is to {instruction.action}")

    def expects(self, instruction: Instruction, at_ms: int) -> int:
        """Never: nothing is executed."""
        return at_ms

    async def instruct(self, instruction: Instruction) -> Answer:
        return Refused(_MIRROR, final=False)

    async def ask(self, question: Question) -> Found:
        return Refused(_MIRROR, final=False)

    async def changes(self, cursor: str) -> Changes | Trouble:
        """A page of every organisation's audit. Cursor: "orgUid=rows read/id of the last row;…"."""
        organisations = await self._organisations()
        if isinstance(organisations, Trouble):
            return organisations
        known, told, more = _read_cursor(cursor), [], False
        items: list[Change] = []
        for organisation in organisations:
            found = await self._audit(organisation, *known.get(organisation, (0, 0)))
            if isinstance(found, Trouble):
                return found
            changes, rows, last, goes_on = found
            items += changes
            more = more or goes_on
            if rows:
                told.append(f"{organisation}={rows}/{last}")
        items.sort(key=lambda change: change.at_ms)
        return Changes(tuple(items), ";".join(told), more, items[-1].at_ms if items else 0)

    async def snapshot(self, page: str = "") -> Holdings | Trouble:
        """A page is "organisation's place:page"; units that cannot be believed are left out and told as unread."""
        asked, wanted = _PAGE.fullmatch(page or "0:1"), self._settings.accounts or ("",)
        if asked is None or int(asked[1]) >= len(wanted):
            return WrongShape(f"{page[:80]!r} is no page of ours")
        place, number = int(asked[1]), int(asked[2])
        organisation = wanted[place]
        filters = {"orgUid": organisation} if organisation else {}
        found = await self._page("/v2/unit", number, {**filters, "order": "createdAt:ASC"})
        if not isinstance(found, Page):
            return found
        rows: list[Holding] = []
        unread: list[str] = []
        for row in found.rows:
            if organisation and row.get("orgUid") != organisation:
                return WrongShape("/v2/unit: the filter was ignored, rows of other organisations came back")
            try:
                rows.append(mapping.read_holding(row))
            except UnitError as error:
                unread.append(f"unit {str(row.get('cadTrustUnitId'))[:64]}: {error}")
        following = f"{place}:{number + 1}" if found.page < found.pages else ""
        if not following and place + 1 < len(wanted):
            following = f"{place + 1}:1"
        return Holdings(tuple(rows), following, 0, unread=tuple(unread))

    def read_notice(self, body: bytes) -> tuple[Change, ...] | WrongShape:
        return WrongShape("a CAD Trust node sends no notices", body)

    async def close(self) -> None:
        await self._line.close()

    # -- calls

    async def _organisations(self) -> tuple[str, ...] | Trouble:
        if self._settings.accounts:
            return self._settings.accounts
        reply = await self._read("/v2/organizations", {})
        if not isinstance(reply, Reply):
            return reply
        try:
            return mapping.read_organisations(reply.json)
        except ShapeError as error:
            return WrongShape(str(error), reply.body)

    async def _audit(self, organisation: str, rows: int, last: int) -> tuple[list[Change], int, int, bool] | Trouble:
        """Changes after the row that was read last, how many rows were read then, the last one's id, and whether more.

        If that row is not where it was, the node was reset: everything is read again, under the same names.
        """
        number = max(rows - 1, 0) // PAGE_ROWS + 1
        page = await self._audit_page(organisation, number)
        if not isinstance(page, Page):
            return page
        skip = rows - (number - 1) * PAGE_ROWS
        if rows and (len(page.rows) < skip or page.rows[skip - 1].get("id") != last):
            if not page.rows and page.pages == 0:
                return WrongShape(f"the audit of {organisation} had {rows} rows and is empty")
            return await self._audit(organisation, 0, 0)
        if skip == PAGE_ROWS and page.page < page.pages:
            number, skip = number + 1, 0
            page = await self._audit_page(organisation, number)
            if not isinstance(page, Page):
                return page
        found: list[Change] = []
        try:
            for value in page.rows[skip:]:
                row = mapping.read_audit(value)
                if row.organisation != organisation:
                    raise ShapeError(f"orgUid: a row of {row.organisation[:80]!r}")
                change = mapping.read_change(row)
                found += [change] if change is not None else []
                last = row.id
        except ShapeError as error:
            return WrongShape(f"/v2/audit: {error}")
        return found, (number - 1) * PAGE_ROWS + len(page.rows), last, page.page < page.pages

    async def _audit_page(self, organisation: str, number: int) -> Page | Trouble:
        return await self._page("/v2/audit", number, {"orgUid": organisation, "order": "ASC"})

    async def _page(self, path: str, number: int, filters: Mapping[str, str]) -> Page | Trouble:
        reply = await self._read(path, {**filters, "page": str(number), "limit": str(PAGE_ROWS)})
        if not isinstance(reply, Reply):
            return reply
        try:
            return mapping.read_page(reply.json, number)
        except ShapeError as error:
            return WrongShape(f"{path}: {error}", reply.body)

    async def _read(self, path: str, params: Mapping[str, str]) -> Reply | Trouble:
        """A good answer of a node that has read everything."""
        key = self._settings.secret("api-key")
        reply = await self._line.read(path, params=params, headers={"x-api-key": key} if key else {})
        if not isinstance(reply, Reply):
            return reply
        if not reply.good:
            return _read_trouble(path, reply)
        said = {name.lower(): value for name, value in reply.headers.items()}
        if said.get("x-data-synced", "true").lower() == "false":
            return Unavailable(
                f"the node is still reading: {said.get('x-sync-remaining', 'some')[:20]} generations left"
            )
        return reply


def _read_trouble(path: str, reply: Reply) -> Trouble:
    said: Any = reply.json if isinstance(reply.json, dict) else {}
    message, error = str(said.get("message"))[:120], str(said.get("error", ""))[:120]
    if reply.status == 403:
        return Unauthorised(message)
    if reply.status == 400 and message == "Chia Exception":
        return Unavailable(f"{message}: {error}")
    return WrongShape(f"{path} answers {reply.status}: {message} {error}".rstrip(), reply.body)


def _read_cursor(cursor: str) -> dict[str, tuple[int, int]]:
    """Parts that cannot be read begin again."""
    parts = (_PLACE.fullmatch(part) for part in cursor.split(";"))
    return {part[1]: (int(part[2]), int(part[3])) for part in parts if part is not None}


def _open(driver: Driver, settings: Settings) -> Adapter:
    return CadtAdapter(driver, settings)


SYSTEM: Final = System("cadt", "CAD Trust", (Driver.FILE, Driver.SANDBOX, Driver.LIVE), BASIS, (), _open)
