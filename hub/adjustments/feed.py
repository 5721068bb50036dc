"""Our own feed of Article 6 events for other registries: signed one by one, read on from a cursor the reader keeps.

A cursor is a place on the ledger: the feed has nothing of its own to lose, and any hub of the participant goes on where
another stopped. Readers sign what they ask, and are known by their registry code. Nothing is decided here.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol

from aiohttp import web

from adapters.des.signing import (
    HEADER,
    KeyTextError,
    SignatureError,
    check_signature,
    format_question,
    read_public_key,
    read_signing_key,
    seal,
)
from keeling.v1 import ledger_pb2 as pb

PATH: Final = "/article6/events"
PAGE_MAX: Final = 500
READ_MAX: Final = 20_000
"""Events of the ledger that are looked through for one page: who reads a long log from its beginning gets on with it in
steps that each end soon."""
KINDS: Final = frozenset(
    {
        "AUTHORIZED",
        "AUTHORIZATION_AMENDED",
        "AUTHORIZATION_REVOKED",
        "AUTHORIZATION_EXHAUSTED",
        "ITMO_ACTION",
        "ACTION_WITHDRAWN",
        "ADJUSTED",
        "RECOGNISED",
        "ADJUSTMENT_REPORTED",
        "ADJUSTMENT_FINAL",
    }
)
"""What concerns other Parties: authorizations, actions, adjustments and what becomes of them."""
_CURSOR: Final = re.compile(r"(\d{1,18})\.(\d{1,9})", re.ASCII)


class Ledger(Protocol):
    """What of `hub.ledger_client.LedgerClient` is needed."""

    def watch(self, after: tuple[int, int] | None, *, until_now: bool = False) -> AsyncIterator[pb.WatchResponse]: ...


class Page(NamedTuple):
    """Events in the ledger's order, the cursor to go on from, and whether there may be more now."""

    events: tuple[dict[str, Any], ...]
    cursor: str
    more: bool


class Feed:
    """Pages of signed events. `secret` gives our seed and each reader's public key, read at every call."""

    def __init__(self, ledger: Ledger, code: str, secret: Callable[[str], str]) -> None:
        """Secrets: "feed-key" is our Ed25519 seed, "reader:CODE" the public key of the registry `CODE`."""
        self.positions: dict[str, str] = {}
        """The cursor each reader last asked from: how far it is. For figures only; it is the readers who keep it."""
        self._ledger = ledger
        self._code = code
        self._secret = secret

    def routes(self) -> list[web.RouteDef]:
        """The one path of the feed."""
        return [web.get(PATH, self._answer)]

    async def read_page(self, after: str, limit: int) -> Page:
        """Events after a cursor (empty: from the beginning). Raises `ValueError` for what is no cursor.

        A page may have few events or none, and more after it.
        """
        cursor, events, read = parse_cursor(after), list[dict[str, Any]](), 0
        async for page in self._ledger.watch(cursor, until_now=True):
            for event in page.events:
                cursor, read = (event.place.height, event.place.ordinal), read + 1
                if event.kind in KINDS:
                    events.append(describe_event(event))
                if limit == len(events) or read == READ_MAX:
                    return Page(tuple(events), format_cursor(cursor), True)
            cursor = page.cursor.height, page.cursor.ordinal
        return Page(tuple(events), format_cursor(cursor), False)

    async def _answer(self, request: web.Request) -> web.Response:
        asked = {str(name): str(value) for name, value in request.query.items()}
        reader = asked.get("from", "")
        try:
            key = read_public_key(self._secret(f"reader:{reader}"))
            check_signature(format_question(PATH, asked), request.headers.get(HEADER, ""), key)
            own = read_signing_key(self._secret("feed-key"))
        except (KeyTextError, SignatureError) as error:
            return _refuse(401, "not-known", f"{reader[:20] or 'nobody'}: {error}")
        after, limit = asked.get("after", ""), asked.get("limit", str(PAGE_MAX))
        if not limit.isdecimal() or len(limit) > len(str(PAGE_MAX)) or not 1 <= int(limit) <= PAGE_MAX:
            return _refuse(400, "bad-limit", f"limit is 1 to {PAGE_MAX}")
        try:
            page = await self.read_page(after, int(limit))
        except ValueError as error:
            return _refuse(400, "bad-cursor", str(error))
        self.positions[reader] = after
        said = {
            "registry": self._code,
            "after": after,
            "cursor": page.cursor,
            "more": page.more,
            "events": [seal(event, own) for event in page.events],
        }
        return web.json_response(seal(said, own))


def describe_event(event: pb.Event) -> dict[str, Any]:
    """An event of the ledger as other registries get it. Quantities stay texts of whole numbers, as on the ledger."""
    facts: Mapping[str, str] = {fact.name: fact.value for fact in event.facts}
    return {
        "id": f"{event.place.height}.{event.place.ordinal}",
        "kind": event.kind,
        "subject": event.subject,
        "effective_ms": event.effective.ms,
        "ledger_time_ms": event.time_ms,
        "facts": dict(facts),
    }


def format_cursor(place: tuple[int, int] | None) -> str:
    """A place on the ledger as a cursor; empty: the beginning."""
    return f"{place[0]}.{place[1]}" if place is not None else ""


def parse_cursor(text: str) -> tuple[int, int] | None:
    """The inverse of `format_cursor`; raises `ValueError`."""
    if not text:
        return None
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise ValueError(f"a cursor is HEIGHT.ORDINAL as the last page gave it, not {text[:40]!r}")
    return int(found[1]), int(found[2])


def _refuse(status: int, name: str, detail: str) -> web.Response:
    problem = {"type": f"urn:keeling:problem:{name}", "title": name, "status": status, "detail": detail}
    return web.json_response(problem, status=status, content_type="application/problem+json")
