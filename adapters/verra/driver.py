"""The driver of Verra: instructions go to the desk's queue, public rows say what happened. Sandbox alone.

What is said and what answers mean is in `mapping` and `rows`; how a call can fail, in `adapters.web`. Searches are
POSTs without effect.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
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
from adapters.verra import mapping, rows
from adapters.verra.basis import BASIS, CAPABILITIES, DAY_MS, PAGE_ROWS_MAX, STANDARD, START_MAX
from adapters.verra.mapping import Item
from adapters.verra.rows import EndRow, Page
from adapters.web import Line, Reply, format_json

_SEARCH: Final = "/raas-report-api/es/public/{}/publicReportPageSearch"
_EVENTS: Final = ("issuances", "retirements", "cancellations")
_BOOKS: Final = ("holdings", "retirements", "cancellations")
_OLDER_MS: Final = 3 * CAPABILITIES.settles_within_ms
"""Rows so long before an instruction was sent are not its: an attempt before it was looked for until it settled."""
_WINDOW: Final = START_MAX + PAGE_ROWS_MAX
"""How many rows one search can show."""


class VerraAdapter:
    """Verra through a desk of people (write) and its public rows (read)."""

    def __init__(self, driver: Driver, settings: Settings) -> None:
        self._driver: Final = driver
        self._settings: Final = settings
        self._line: Final = Line(settings.base_url, settings.timeout_ms)
        self._projects: tuple[str, ...] = ()
        """In the order in which long lists are read; as they were when the newest one was begun."""

    @property
    def name(self) -> str:
        return "verra"

    @property
    def driver(self) -> Driver:
        return self._driver

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    def compose(self, instruction: Instruction) -> bytes:
        return mapping.compose(instruction)

    def expects(self, instruction: Instruction, at_ms: int) -> int:
        """After the next round of the desk, a day at most."""
        return at_ms + DAY_MS

    async def instruct(self, instruction: Instruction) -> Answer:
        body = self.compose(instruction)
        reply = await self._line.write("/desk/instructions", body, headers=self._authorisation())
        if not isinstance(reply, Reply):
            return reply
        try:
            if not reply.good:
                return read_no(reply, DECISIONS)
            return mapping.read_receipt(mapping.read_item(reply.json), instruction, mapping.strip_item(reply.json))
        except ShapeError as error:
            return WrongShape(str(error), reply.body)

    async def ask(self, question: Question) -> Found:
        """By the queue's reference and public rows; without one, by rows alone."""
        asked, item, evidence = question.instruction, None, b""
        for reference in question.references:
            reply = await self._read_item(reference)
            if isinstance(reply, Reply):
                if reply.good:
                    item, evidence = mapping.read_item(reply.json), mapping.strip_item(reply.json)
                continue
            return reply
        if item is not None and not item.executed:
            return _read_item(item, asked, evidence)  # nothing that rows could confirm
        seen = await self._ends(question, [*asked.lots, *(item.executed if item else ())])
        if isinstance(seen, Trouble):
            return seen
        try:
            found = mapping.confirm(item, seen, asked, evidence) if item else mapping.recognise(seen, question)
        except ShapeError as error:
            return WrongShape(str(error))
        if found is not None:
            return found
        by = {LookUp.SERIAL} | ({LookUp.REFERENCE} if question.references else set())
        digest = hashlib.sha256(b"".join(row.evidence for row in seen)).hexdigest()
        return NothingFound(frozenset(by), format_json({"key": asked.key, "rows": len(seen), "looked_at": digest}))

    async def changes(self, cursor: str) -> Changes | Trouble:
        """Cursor: the newest `entityId` read of each list, "issuances=12;…". Read downwards, told upwards.

        A first reading begins with the oldest row that a search still shows.
        """
        known = _read_cursor(cursor)
        items: list[Change] = []
        unread: list[str] = []
        for resource in _EVENTS:
            found = await self._newer(resource, known.get(resource, -1))
            if isinstance(found, Trouble):
                return found
            if found:
                known[resource] = rows.read_units(found[0], "entityId")
            try:
                told, left = sift(found, partial(rows.read_change, resource=resource), f"{resource} row")
            except ShapeError as error:
                return WrongShape(f"{resource}: {error}")
            items += told
            unread += left
        items.sort(key=lambda change: (change.at_ms, change.id.partition("/")[0], int(change.id.partition("/")[2])))
        read = ";".join(f"{resource}={known[resource]}" for resource in _EVENTS if resource in known)
        return Changes(tuple(items), read, False, items[-1].at_ms if items else 0, tuple(unread))

    async def snapshot(self, page: str = "") -> Holdings | Trouble:
        """A page is "list:project:start"; lists too long for one search are read project by project, by name."""
        resource, _, rest = (page or "holdings::0").partition(":")
        project, _, text = rest.rpartition(":")
        if resource not in _BOOKS or not text.isdigit():
            return WrongShape(f"{page!r} is no page of ours")
        found = await self._search(resource, int(text), project=project)
        if not isinstance(found, Page):
            return found
        if resource == "holdings" and not project and not found.total:
            return WrongShape("200 without a single holding: a wrong standardid, or the registry shrank")
        if found.total > _WINDOW and project:
            text = f"project {project} has {found.total} {resource}, more than a search shows: read an export instead"
            return WrongShape(text)
        if found.total > _WINDOW:
            return await self._after_project(resource, "", ())
        try:
            told, unread = sift(found.rows, lambda row: rows.read_holding(row, resource), f"{resource} row")
        except ShapeError as error:
            return WrongShape(f"{resource}: {error}")
        if found.next_start < found.total:
            return Holdings(told, f"{resource}:{project}:{found.next_start}", 0, unread=unread)
        if not project:
            return Holdings(told, _next_book(resource), 0, unread=unread)
        last = await self._after_project(resource, project, told)
        return last._replace(unread=unread) if isinstance(last, Holdings) else last

    async def _after_project(self, resource: str, project: str, told: tuple[Holding, ...]) -> Holdings | Trouble:
        """The page after the last of a project's, "" for the first; which there are is asked anew for each list."""
        if not project or not self._projects:
            known = await self._read_projects()
            if isinstance(known, Trouble):
                return known
            self._projects = known
        following = next((each for each in self._projects if each > project), "")
        return Holdings(told, f"{resource}:{following}:0" if following else _next_book(resource), 0)

    def read_notice(self, body: bytes) -> tuple[Change, ...] | WrongShape:
        return WrongShape("Verra sends no notices", body)

    async def close(self) -> None:
        await self._line.close()

    # -- calls

    async def _read_item(self, reference: str) -> Reply | Trouble:
        if not reference.startswith("OPS-"):
            return Reply(404, None, b"", {})
        reply = await self._line.read(f"/desk/instructions/{reference}", headers=self._authorisation())
        if not isinstance(reply, Reply) or reply.status == 404:
            return reply
        try:
            if not reply.good:
                raise ShapeError(f"the queue answers {reply.status}")
            if mapping.read_item(reply.json).reference != reference:
                raise ShapeError(f"asked for {reference}, answered with another instruction")
        except ShapeError as error:
            return WrongShape(str(error), reply.body)
        return reply

    async def _ends(self, question: Question, ranges: list[Any]) -> list[EndRow] | Trouble:
        """The rows of the projects of these serials in which the instruction would be confirmed.

        Newest first, until they are so old that they cannot be its: a project may have more than a search can show.
        """
        resource, found = mapping.resource_of(question.instruction), dict[int, EndRow]()
        oldest_ms = question.sent_ms - _OLDER_MS
        for project in mapping.projects_of(ranges):
            issued = await self._search("issuances", 0, project=project)
            if not isinstance(issued, Page):
                return issued
            if not issued.total:
                return WrongShape(f"200 without any issuance of project {project}: a wrong standardid, or it shrank")
            start, total = 0, 1
            while start < total:
                page = await self._search(resource, start, project=project, downwards=True)
                if not isinstance(page, Page):
                    return page
                try:
                    mine = (row for row in page.rows if not rows.is_anothers(row, question.instruction.key))
                    ends = (rows.read_end(row, resource) for row in mine)
                    found |= {end.entity: end for end in ends}  # new rows push older ones to the next page
                    newest_ms = rows.read_end(page.rows[0], resource).day_ms if page.rows else 0
                except ShapeError as error:
                    return WrongShape(f"{resource}: {error}")
                start, total = page.next_start, page.total
                if newest_ms < oldest_ms:
                    break
                if _WINDOW <= start < total:
                    return WrongShape(f"project {project} has more new {resource} than a search can show")
        return list(found.values())

    async def _newer(self, resource: str, entity: int) -> list[Mapping[str, Any]] | Trouble:
        """Rows above an `entityId`, newest first."""
        found: list[Mapping[str, Any]] = []
        start = 0
        while start <= START_MAX:
            page = await self._search(resource, start, downwards=True)
            if not isinstance(page, Page):
                return page
            if resource == "issuances" and not page.total:
                return WrongShape("200 without a single issuance: a wrong standardid, or the registry shrank")
            fresh = [row for row in page.rows if rows.read_units(row, "entityId") > entity]
            found += fresh
            start = page.next_start
            if len(fresh) < len(page.rows) or start >= page.total:
                return found
        return found if entity < 0 else WrongShape(f"more new {resource} than a search can show: import an export file")

    async def _read_projects(self) -> tuple[str, ...] | Trouble:
        """Every project once, by its number."""
        found: set[str] = set()
        start, total = 0, 1
        while start < total:
            page = await self._search("project", start)
            if not isinstance(page, Page):
                return page
            found |= {rows.text(row, "vcsProjectId") for row in page.rows}
            start, total = page.next_start, page.total
        return tuple(sorted(found - {""}))

    async def _search(self, resource: str, start: int, *, project: str = "", downwards: bool = False) -> Page | Trouble:
        """One page. A filter that was ignored is found out: rows of other projects come back."""
        sort = [{"sort": "entityId", "dir": "DESC" if downwards else "ASC"}]
        wanted = {"vcsProjectId": {"columnFilters": [{"filterType": "Text", "type": "equals", "filter": project}]}}
        pagination = {"start": start, "limit": PAGE_ROWS_MAX, "sortOptions": sort}
        asked = {"searchFilter": {"pagination": pagination, "filterModel": wanted if project else {}}}
        headers = {**STANDARD, "application": "Markit", "appkey": self._settings.secret("appkey")}
        reply = await self._line.write(_SEARCH.format(resource), format_json(asked), headers=headers)
        if isinstance(reply, Unknown):
            return Unavailable(reply.detail)
        if not isinstance(reply, Reply):
            return reply
        if not reply.good:
            return WrongShape(f"{resource} answers {reply.status}")
        try:
            page = rows.read_page(reply.json, start, downwards=downwards)
        except ShapeError as error:
            return WrongShape(f"{resource}: {error}")
        if project and any(rows.text(row, "vcsProjectId") != project for row in page.rows):
            return WrongShape(f"{resource}: the filter was ignored, rows of other projects came back")
        return page

    def _authorisation(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._settings.secret('desk-token')}"}


def _next_book(resource: str) -> str:
    place = _BOOKS.index(resource) + 1
    return f"{_BOOKS[place]}::0" if place < len(_BOOKS) else ""


def _read_cursor(cursor: str) -> dict[str, int]:
    pairs = (part.partition("=") for part in cursor.split(";"))
    return {name: int(number) for name, _, number in pairs if name in _EVENTS and number.isascii() and number.isdigit()}


def _read_item(item: Item, instruction: Instruction, evidence: bytes) -> Report | Refused | WrongShape:
    try:
        return mapping.read_receipt(item, instruction, evidence)
    except ShapeError as error:
        return WrongShape(str(error), evidence)


def _open(driver: Driver, settings: Settings) -> Adapter:
    return VerraAdapter(driver, settings)


SYSTEM: Final = System("verra", "Verra (VCS)", (Driver.FILE, Driver.SANDBOX), BASIS, ("appkey", "desk-token"), _open)
