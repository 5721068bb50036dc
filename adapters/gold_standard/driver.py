"""The driver of Gold Standard: the assumed account interface in the sandbox, the public back end live, to read.

What is sent and what answers mean is in `mapping`; how a call can fail, in `adapters.web`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from adapters.answers import DECISIONS, Record, ShapeError, judge, read_no, recognise, sift, take
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
    Instruction,
    NothingFound,
    Question,
    Refused,
    Settings,
    System,
    Trouble,
    UnsendableError,
    WrongShape,
)
from adapters.gold_standard import mapping
from adapters.gold_standard.basis import BASIS, CAPABILITIES, PAGE_ROWS, PUBLIC
from adapters.web import Line, Reply, format_json, parse_json

_AGENT: Final = "Mozilla/5.0 (compatible; Keeling)"
_REVIEW_MS: Final = 5 * 86_400_000
_ORDERS: Final = "/account/retirements"
_PAGE: Final = re.compile(r"(\d{1,6}):(\d{1,9})", re.ASCII)


class Page(NamedTuple):
    """One page of a list, counted from 1; `total` is how many rows there are."""

    rows: Sequence[Mapping[str, Any]]
    number: int
    total: int

    @property
    def last(self) -> bool:
        return self.number * PAGE_ROWS >= self.total


class GoldStandardAdapter:
    """Gold Standard. Live reads alone; `Settings.accounts` are then the projects to read ("GS11236"), none: all."""

    def __init__(self, driver: Driver, settings: Settings) -> None:
        self._driver: Final = driver
        self._settings: Final = settings
        self._line: Final = Line(settings.base_url, settings.timeout_ms)
        self._public: Final = driver is Driver.LIVE

    @property
    def name(self) -> str:
        return "gold_standard"

    @property
    def driver(self) -> Driver:
        return self._driver

    @property
    def capabilities(self) -> Capabilities:
        return PUBLIC if self._public else CAPABILITIES

    def compose(self, instruction: Instruction) -> bytes:
        if self._public:
            raise UnsendableError("Gold Standard's account interface is not public; live only reads")
        return mapping.compose(instruction)

    def expects(self, instruction: Instruction, at_ms: int) -> int:
        """After a review of the using entity, should it be new."""
        return at_ms + _REVIEW_MS

    async def instruct(self, instruction: Instruction) -> Answer:
        body = self.compose(instruction)
        reply = await self._line.write(_ORDERS, body, headers=self._headers())
        if not isinstance(reply, Reply):
            return reply
        try:
            return judge(mapping.read_order(reply.json), instruction) if reply.good else read_no(reply, DECISIONS)
        except ShapeError as error:
            return WrongShape(str(error), reply.body)

    async def ask(self, question: Question) -> Found:
        """All orders of the account, since none can be asked for by key."""
        if self._public:
            return Refused("Gold Standard's public pages know no orders", final=False)
        records = await self._records()
        if isinstance(records, Trouble):
            return records
        try:
            found = recognise(records, question)
            if found is not None:
                return judge(found, question.instruction)
        except ShapeError as error:
            return WrongShape(str(error))
        by = {LookUp.KEY, LookUp.SERIAL} | ({LookUp.REFERENCE} if question.references else set())
        seen = hashlib.sha256(b"".join(record.evidence for record in records)).hexdigest()
        evidence = format_json({"key": question.instruction.key, "orders": len(records), "looked_at": seen})
        return NothingFound(frozenset(by), evidence)

    async def changes(self, cursor: str) -> Changes | Trouble:
        """Cursor: how many of the account's transactions were read.

        The public pages show states and no events: live there are none, and the snapshot tells.
        """
        if self._public:
            return Changes((), "", False, 0)
        read = int(cursor) if re.fullmatch(r"\d{1,12}", cursor, re.ASCII) else 0
        page = await self._page("/account/transactions", read // PAGE_ROWS + 1, {})
        if not isinstance(page, Page):
            return page
        if page.total < read:
            return WrongShape(f"the account had {read} transactions and has {page.total}")
        try:
            items, unread = sift(page.rows[read % PAGE_ROWS :], mapping.read_event, f"transaction from {read}")
        except ShapeError as error:
            return WrongShape(f"/account/transactions: {error}")
        at = (page.number - 1) * PAGE_ROWS + len(page.rows)
        return Changes(items, str(at), not page.last, items[-1].at_ms if items else 0, unread)

    async def snapshot(self, page: str = "") -> Holdings | Trouble:
        """A page is "project's place:page"; blocks that contradict themselves are left out and told as unread."""
        wanted = (self._settings.accounts if self._public else ()) or ("",)
        asked = _PAGE.fullmatch(page or "0:1")
        if asked is None or int(asked[1]) >= len(wanted):
            return WrongShape(f"{page[:80]!r} is no page of ours")
        place, number = int(asked[1]), int(asked[2])
        filters = {"query": wanted[place]} if wanted[place] else {}
        found = await self._page("/credits" if self._public else "/account/credits", number, filters)
        if not isinstance(found, Page):
            return found
        if number == 1 and not filters and not found.total:
            return WrongShape("200 without a single block: the registry shrank, or this is another list")
        rows: list[Holding] = []
        unread: list[str] = []
        for row in found.rows:
            try:
                rows.append(mapping.read_block(row))
            except ShapeError as error:
                unread.append(f"block {str(row.get('id'))[:40]}: {error}")
        if filters:
            rows = [row for row in rows if f":{wanted[place].removeprefix('GS')}-" in row.serials.space]
        following = "" if found.last else f"{place}:{number + 1}"
        if not following and place + 1 < len(wanted):
            following = f"{place + 1}:1"
        return Holdings(tuple(rows), following, 0, unread=tuple(unread))

    def read_notice(self, body: bytes) -> tuple[Change, ...] | WrongShape:
        """Gold Standard documents no notices; the sandbox pushes the account's transactions."""
        try:
            return (mapping.read_event(take(parse_json(body), "data", dict)),)
        except ValueError as error:
            return WrongShape(str(error), body)

    async def close(self) -> None:
        await self._line.close()

    # -- calls

    async def _records(self) -> list[Record] | Trouble:
        found: list[Record] = []
        number, last = 1, False
        while not last:
            page = await self._page(_ORDERS, number, {})
            if not isinstance(page, Page):
                return page
            try:
                found += [mapping.read_order(row) for row in page.rows]
            except ShapeError as error:
                return WrongShape(f"{_ORDERS}: {error}")
            number, last = number + 1, page.last
        return found

    async def _page(self, path: str, number: int, filters: Mapping[str, str]) -> Page | Trouble:
        asked = {**filters, "page": str(number), "size": str(PAGE_ROWS)}
        reply = await self._line.read(path, params=asked, headers=self._headers())
        if not isinstance(reply, Reply):
            return reply
        said = {name.lower(): value for name, value in reply.headers.items()}
        total, rows = said.get("x-total-count", ""), reply.json
        if not reply.good or not isinstance(rows, list) or not re.fullmatch(r"\d{1,12}", total, re.ASCII):
            return WrongShape(f"{path} answers {reply.status} without a list or its X-Total-Count", reply.body)
        expected = max(0, min(PAGE_ROWS, int(total) - (number - 1) * PAGE_ROWS))
        if len(rows) != expected or not all(isinstance(row, dict) for row in rows):
            return WrongShape(f"{path}: {len(rows)} rows on page {number} of a total of {total}", reply.body)
        return Page(rows, number, int(total))

    def _headers(self) -> dict[str, str]:
        if self._public:
            return {"User-Agent": _AGENT}
        key, token = self._settings.secret("api-key"), self._settings.secret("account-token")
        return {"User-Agent": _AGENT, "X-Registry-API-key": key, "Authorization": f"Bearer {token}"}


def _open(driver: Driver, settings: Settings) -> Adapter:
    return GoldStandardAdapter(driver, settings)


SYSTEM: Final = System(
    "gold_standard",
    "Gold Standard",
    (Driver.FILE, Driver.SANDBOX, Driver.LIVE),
    BASIS,
    ("written-permission",),
    _open,
)
