"""The driver of Isometric's Registry API v0: retirements of oldest credits, and the batches that were used.

Sandbox and live differ in address and credentials alone. What is sent and what answers mean is in `mapping`; how a call
can fail, in `adapters.web`. It knows no idempotency: the key stands in the notes, and is looked for there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from itertools import chain
from typing import Any, Final

from adapters.answers import SKEW_MS, Record, ShapeError, judge, recognise, sift, take
from adapters.capabilities import Capabilities, LookUp
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
    WrongShape,
)
from adapters.isometric import mapping
from adapters.isometric.basis import BASIS, CAPABILITIES, PAGE_ROWS
from adapters.isometric.mapping import Page, Retirement
from adapters.web import Line, Reply, format_json
from keeling.serials import SerialRange

_DECISIONS: Final = ("insufficient_credits", "declined")
_PLACE: Final = re.compile(r"(\d{1,6}):(.{0,512})", re.ASCII)


class IsometricAdapter:
    """Isometric. `Settings.accounts` are organisation/supplier; none: all credits of one's own organisation."""

    def __init__(self, driver: Driver, settings: Settings) -> None:
        self._driver: Final = driver
        self._settings: Final = settings
        self._line: Final = Line(settings.base_url, settings.timeout_ms)

    @property
    def name(self) -> str:
        return "isometric"

    @property
    def driver(self) -> Driver:
        return self._driver

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    def compose(self, instruction: Instruction) -> bytes:
        return mapping.compose(instruction)

    def expects(self, instruction: Instruction, at_ms: int) -> int:
        """At once."""
        return at_ms + 60_000

    async def instruct(self, instruction: Instruction) -> Answer:
        """If the retirement stands and its batches cannot be read yet, it is pending under its reference."""
        body = self.compose(instruction)
        reply = await self._line.write("/retirements/from_oldest_credits", body, headers=self._headers())
        if not isinstance(reply, Reply):
            return reply
        if not reply.good:
            return _read_refusal(reply)
        try:
            made = mapping.read_retirement(reply.json)
            record = await self._complete(made, instruction.units)
            if isinstance(record, Trouble):
                return Report(made.id, (), instruction.units, evidence=format_json({"id": made.id}))
            return judge(record, instruction)
        except ShapeError as error:
            return WrongShape(str(error), reply.body)

    async def ask(self, question: Question) -> Found:
        """All retirements of the owner: those with our key, and those without any that could be ours."""
        asked = question.instruction
        rows = await self._all("/retirements", {"owner_org_id": asked.account.partition("/")[0]})
        if isinstance(rows, Trouble):
            return rows
        records: list[Record] = []
        try:
            known = [mapping.read_retirement(row) for row in rows]
            for made in known:
                recent = made.retired_ms >= question.sent_ms - SKEW_MS or made.id in question.references
                if made.key == asked.key or (not made.key and recent):
                    record = await self._complete(made, asked.units if made.key else 0)
                    if isinstance(record, Trouble):
                        return record
                    records.append(record)
            found = recognise(records, question)
            if found is not None:
                return judge(found, asked)
        except ShapeError as error:
            return WrongShape(str(error))
        by = {LookUp.KEY, LookUp.SERIAL} | ({LookUp.REFERENCE} if question.references else set())
        seen = hashlib.sha256(format_json([made.id for made in known])).hexdigest()
        evidence = format_json({"key": asked.key, "retirements": len(known), "looked_at": seen})
        return NothingFound(frozenset(by), evidence)

    async def changes(self, cursor: str) -> Changes | Trouble:
        """Retirements after a cursor of the registry's list. What else happens, the snapshot tells."""
        page = await self._page("/retirements", cursor, {})
        if not isinstance(page, Page):
            return page
        shown: list[tuple[mapping.Retirement, list[Any]]] = []
        try:
            made, unread = sift(page.rows, mapping.read_retirement, "retirement")
            for each in made:
                found = await self._all(f"/retirements/{each.id}/credit_batches", {})
                if isinstance(found, Trouble):
                    return found
                shown.append((each, found))
            told, left = sift(shown, _read_changes, "batches of a retirement")
        except ShapeError as error:
            return WrongShape(f"/retirements: {error}")
        items = tuple(chain.from_iterable(told))
        at_ms = items[-1].at_ms if items else 0
        return Changes(items, page.end or cursor, bool(page.cursor), at_ms, (*unread, *left))

    async def snapshot(self, page: str = "") -> Holdings | Trouble:
        """A page is "organisation's place:cursor". Split batches are empty and left out."""
        owners = await self._owners()
        if isinstance(owners, Trouble):
            return owners
        asked = _PLACE.fullmatch(page or "0:")
        if asked is None or int(asked[1]) >= len(owners):
            return WrongShape(f"{page[:80]!r} is no page of ours")
        place = int(asked[1])
        found = await self._page(f"/organisations/{owners[place]}/credit_batches", asked[2], {})
        if not isinstance(found, Page):
            return found
        try:
            held, unread = sift(found.rows, mapping.read_holding, "credit batch")
        except ShapeError as error:
            return WrongShape(f"credit_batches: {error}")
        wanted = self._settings.accounts
        rows = tuple(row for row in held if not wanted or row.account in wanted)
        following = f"{place}:{found.cursor}" if found.cursor else ""
        if not following and place + 1 < len(owners):
            following = f"{place + 1}:"
        return Holdings(rows, following, 0, unread=unread)

    def read_notice(self, body: bytes) -> tuple[Change, ...] | WrongShape:
        return WrongShape("Isometric sends no notices", body)

    async def close(self) -> None:
        await self._line.close()

    # -- calls

    async def _complete(self, made: Retirement, asked: int) -> Record | Trouble:
        """A retirement with its batches; raises `ShapeError`."""
        rows = await self._all(f"/retirements/{made.id}/credit_batches", {})
        if isinstance(rows, Trouble):
            return rows
        batches: list[SerialRange] = [mapping.read_batch(row) for row in rows]
        return mapping.join_record(made, batches, asked)

    async def _owners(self) -> tuple[str, ...] | Trouble:
        if self._settings.accounts:
            return tuple(dict.fromkeys(account.partition("/")[0] for account in self._settings.accounts))
        reply = await self._line.read("/organisation", headers=self._headers())
        if not isinstance(reply, Reply):
            return reply
        try:
            if not reply.good:
                raise ShapeError(f"answers {reply.status}")
            return (mapping.read_id(take(reply.json, "id", str), "org_"),)
        except ShapeError as error:
            return WrongShape(f"/organisation: {error}", reply.body)

    async def _all(self, path: str, filters: Mapping[str, str]) -> list[Mapping[str, Any]] | Trouble:
        found: list[Mapping[str, Any]] = []
        cursor, more = "", True
        while more:
            page = await self._page(path, cursor, filters)
            if not isinstance(page, Page):
                return page
            found += page.rows
            cursor, more = page.cursor, bool(page.cursor)
            if len(found) > page.total or (not more and len(found) < page.total):
                return WrongShape(f"{path}: {len(found)} rows read of a total of {page.total}")
        return found

    async def _page(self, path: str, after: str, filters: Mapping[str, str]) -> Page | Trouble:
        asked = {**filters, "first": str(PAGE_ROWS), **({"after": after} if after else {})}
        reply = await self._line.read(path, params=asked, headers=self._headers())
        if not isinstance(reply, Reply):
            return reply
        try:
            if not reply.good:
                raise ShapeError(f"answers {reply.status}")
            return mapping.read_page(reply.json, after)
        except ShapeError as error:
            return WrongShape(f"{path}: {error}", reply.body)

    def _headers(self) -> dict[str, str]:
        secret, token = self._settings.secret("client-secret"), self._settings.secret("access-token")
        return {"x-client-secret": secret, "Authorization": f"Bearer {token}"}


def _read_changes(shown: tuple[mapping.Retirement, list[Any]]) -> list[Change]:
    """The events of a retirement with its batches as they are listed; raises `ShapeError`."""
    made, found = shown
    batches = [mapping.read_batch(each) for each in found]
    accounts = [f"{made.owner}/{mapping.read_id(each.get('supplier_id'), 'spl_')}" for each in found]
    return mapping.read_changes(made, batches, accounts)


def _read_refusal(reply: Reply) -> Refused | WrongShape:
    """422: about these credits, or about our message. What was sent stands in `input` and is not repeated."""
    detail = reply.json.get("detail") if isinstance(reply.json, dict) else None
    if reply.status != 422 or not isinstance(detail, list) or not detail or not isinstance(detail[0], dict):
        return WrongShape(f"{reply.status} without a reason", reply.body)
    kind, message = str(detail[0].get("type"))[:60], str(detail[0].get("msg"))[:200]
    evidence = format_json({"type": kind, "msg": message})
    return Refused(f"{kind}: {message}", kind in _DECISIONS, evidence)


def _open(driver: Driver, settings: Settings) -> Adapter:
    return IsometricAdapter(driver, settings)


SYSTEM: Final = System(
    "isometric",
    "Isometric",
    (Driver.FILE, Driver.SANDBOX, Driver.LIVE),
    BASIS,
    ("client-secret", "access-token"),
    _open,
)
