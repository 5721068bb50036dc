"""The driver of I-REC: a token, redemptions, and what accounts hold. Sandbox alone.

What is sent and what answers mean is in `mapping`; how a call can fail, in `adapters.web`. A token is kept until it is
refused and then replaced once: a refused token did nothing, so the call is made again with the new one.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from itertools import chain
from typing import Any, Final
from urllib.parse import quote, urlencode

from adapters.answers import DECISIONS, ShapeError, judge, read_no, recognise, sift, take, text
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
    Settings,
    System,
    Trouble,
    Unauthorised,
    Unavailable,
    Unknown,
    WrongShape,
)
from adapters.irec import mapping
from adapters.irec.basis import BASIS, CAPABILITIES
from adapters.web import Line, Reply, format_json, parse_json

_BASE: Final = "/api/irec/v1"
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
_PLACE: Final = re.compile(r"([^=;]+)=(\d{1,12})", re.ASCII)


class IrecAdapter:
    """I-REC through version 1 of its interface. `Settings.accounts`: the accounts to read; none: all it shows."""

    def __init__(self, driver: Driver, settings: Settings) -> None:
        self._driver: Final = driver
        self._settings: Final = settings
        self._line: Final = Line(settings.base_url, settings.timeout_ms)
        self._token = ""

    @property
    def name(self) -> str:
        return "irec"

    @property
    def driver(self) -> Driver:
        return self._driver

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    def compose(self, instruction: Instruction) -> bytes:
        return mapping.compose(instruction)

    def expects(self, instruction: Instruction, at_ms: int) -> int:
        """When an approver looked at it, a day at most; nothing is stated."""
        return at_ms + 86_400_000

    async def instruct(self, instruction: Instruction) -> Answer:
        """A sign-in that is needed before takes of the same time: what left later, somebody might have sent again."""
        body = self.compose(instruction)
        path = f"{_BASE}/redemption-management"
        try:
            async with asyncio.timeout(self._settings.timeout_ms / 1000):
                reply = await self._signed(lambda headers: self._line.write(path, body, headers=headers))
        except TimeoutError:
            return Unknown("no answer in time, with the sign-in before it")
        if not isinstance(reply, Reply):
            return reply
        try:
            if not reply.good:
                return read_no(reply, DECISIONS)
            return judge(mapping.read_redemption(take(reply.json, "transaction", dict)), instruction)
        except ShapeError as error:
            return WrongShape(str(error), reply.body)

    async def ask(self, question: Question) -> Found:
        """All redemptions of the account, since none can be asked for by key."""
        rows = await self._list("/redemption-management", {"source_account_code": question.instruction.account})
        if isinstance(rows, Trouble):
            return rows
        try:
            records = [mapping.read_redemption(row) for row in rows]
            found = recognise(records, question)
            if found is not None:
                return judge(found, question.instruction)
        except ShapeError as error:
            return WrongShape(str(error))
        by = {LookUp.KEY, LookUp.SERIAL} | ({LookUp.REFERENCE} if question.references else set())
        seen = hashlib.sha256(b"".join(record.evidence for record in records)).hexdigest()
        evidence = format_json({"key": question.instruction.key, "redemptions": len(records), "looked_at": seen})
        return NothingFound(frozenset(by), evidence)

    async def changes(self, cursor: str) -> Changes | Trouble:
        """Cursor: how many transactions of each account were read, "code=12;…"."""
        known = {found[1]: int(found[2]) for found in map(_PLACE.fullmatch, cursor.split(";")) if found is not None}
        accounts = await self._accounts()
        if isinstance(accounts, Trouble):
            return accounts
        items: list[Change] = []
        unread: list[str] = []
        read = []
        for account in accounts:
            rows = await self._list(f"/account-management/{quote(account, safe='')}/transactions", {})
            if isinstance(rows, Trouble):
                return rows
            if len(rows) < known.get(account, 0):
                return WrongShape(f"{account} had {known[account]} transactions and has {len(rows)}")
            try:
                fresh, name = rows[known.get(account, 0) :], f"transaction of {account} from {known.get(account, 0)}"
                told, left = sift(fresh, partial(mapping.read_changes, account=account), name)
            except ShapeError as error:
                return WrongShape(f"transactions of {account}: {error}")
            items += chain.from_iterable(told)
            unread += left
            read.append(f"{account}={len(rows)}")
        items.sort(key=lambda change: change.at_ms)
        return Changes(tuple(items), ";".join(read), False, items[-1].at_ms if items else 0, tuple(unread))

    async def snapshot(self, page: str = "") -> Holdings | Trouble:
        """A page is an account's code: all its items."""
        accounts = await self._accounts()
        if isinstance(accounts, Trouble):
            return accounts
        if not accounts:
            return WrongShape("it shows no account")
        account = page or accounts[0]
        if account not in accounts:
            return WrongShape(f"{page[:80]!r} is no account it shows")
        rows = await self._list(f"/account-management/{quote(account, safe='')}/items", {})
        if isinstance(rows, Trouble):
            return rows
        try:
            held, unread = sift(rows, lambda row: mapping.read_item(row, account), f"item of {account}")
        except ShapeError as error:
            return WrongShape(f"items of {account}: {error}")
        following = accounts[accounts.index(account) + 1 :]
        return Holdings(held, following[0] if following else "", 0, unread=unread)

    def read_notice(self, body: bytes) -> tuple[Change, ...] | WrongShape:
        """I-REC documents no notices; the sandbox pushes transactions as accounts list them."""
        try:
            row = take(parse_json(body), "data", dict)
            return tuple(mapping.read_changes(row, text(row, "source_account")))
        except ValueError as error:
            return WrongShape(str(error), body)

    async def close(self) -> None:
        await self._line.close()

    # -- calls

    async def _accounts(self) -> tuple[str, ...] | Trouble:
        """Codes, each once, in order."""
        if self._settings.accounts:
            return self._settings.accounts
        rows = await self._list("/account-management", {})
        if isinstance(rows, Trouble):
            return rows
        found = sorted({text(row, "code") for row in rows if isinstance(row, dict)} - {""})
        if not all(re.fullmatch(r"[\w-]{1,64}", code, re.ASCII) for code in found):
            return WrongShape("account-management: an account's code is none")
        return tuple(found)

    async def _list(self, path: str, params: Mapping[str, str]) -> list[Any] | Trouble:
        reply = await self._signed(lambda headers: self._line.read(_BASE + path, params=params, headers=headers))
        if isinstance(reply, Unknown):
            return Unavailable(reply.detail)
        if not isinstance(reply, Reply):
            return reply
        if not reply.good or not isinstance(reply.json, list):
            return WrongShape(f"{path} answers {reply.status} without a list", reply.body)
        return reply.json

    async def _signed(
        self, call: Callable[[dict[str, str]], Awaitable[Reply | Trouble | Unknown]]
    ) -> Reply | Trouble | Unknown:
        fresh = not self._token
        for _ in range(2):
            if not self._token:
                trouble = await self._sign_in()
                if trouble is not None:
                    return trouble
            reply = await call({"Authorization": f"Bearer {self._token}"})
            if not isinstance(reply, Unauthorised):
                return reply
            self._token = ""
            if fresh:
                break
            fresh = True
        return reply

    async def _sign_in(self) -> Trouble | None:
        """Get a token; nothing happens at the registry but that."""
        names = ("username", "password", "client_id", "client_secret")
        said = {name: self._settings.secret(name.replace("_", "-")) for name in names}
        form = urlencode({"grant_type": "password", **said, "scope": ""}).encode()
        reply = await self._line.write("/api/token", form, headers=_FORM)
        if isinstance(reply, Unknown):
            return Unavailable(f"no token: {reply.detail}")
        if not isinstance(reply, Reply):
            return reply
        if not reply.good:
            return Unauthorised(f"no token: {reply.status}")
        token = text(reply.json, "access_token") if isinstance(reply.json, dict) else ""
        if not re.fullmatch(r"[\x21-\x7e]{1,8192}", token):
            return WrongShape("/api/token: no access_token")
        self._token = token
        return None


def _open(driver: Driver, settings: Settings) -> Adapter:
    return IrecAdapter(driver, settings)


SYSTEM: Final = System(
    "irec", "I-REC (Evident)", (Driver.SANDBOX,), BASIS, ("username", "password", "client-id", "client-secret"), _open
)
