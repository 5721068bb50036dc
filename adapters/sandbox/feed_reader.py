"""A registry that reads on another's feed of Article 6 events, as a UN hub would read the ledger's. Not the real thing.

Pages are asked for with a signature of the reader's, and read on from the cursor the reader keeps; every page and every
event in it must be signed by whoever feeds. What the reader does with an event is a registry's own affair.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from joserfc.jwk import OKPKey

from adapters.des.signing import HEADER, SignatureError, format_question, read_public_key, sign, unseal
from adapters.web import parse_json

_ASK_S: Final = 15.0


class FeedReader:
    """`heard`: the events so far, in order, each once. For one event loop."""

    def __init__(self, url: str, code: str, own: OKPKey, their_key: str, cursor: str = "") -> None:
        """`code`: by which the feed knows the reader; `their_key`: the feed's public key."""
        self.heard: list[dict[str, Any]] = []
        self.cursor = cursor
        self._url, self._path, self._code = url, urlsplit(url).path, code
        self._own, self._their_key = own, read_public_key(their_key)

    async def read_on(self, limit: int = 500) -> int:
        """Read to the end; returns how many events were new. Raises `SignatureError`, `aiohttp.ClientError`."""
        before, more = len(self.heard), True
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ASK_S)) as session:
            while more:
                asked = {"from": self._code, "after": self.cursor, "limit": str(limit)}
                headers = {HEADER: sign(format_question(self._path, asked), self._own)}
                async with session.get(self._url, params=asked, headers=headers) as response:
                    response.raise_for_status()
                    page = unseal(parse_json(await response.read()), self._their_key)
                if page["after"] != self.cursor:
                    raise SignatureError(f"asked after {self.cursor!r}, answered after {page['after']!r}")
                self.heard += [unseal(each, self._their_key) for each in page["events"]]
                self.cursor, more = page["cursor"], page["more"]
        return len(self.heard) - before

    def total_adjusted(self, party: str) -> int:
        """What a Party adds by the events heard, what it subtracts taken off, without what was withdrawn since."""
        signs: dict[str, int] = {}
        total = 0
        for each in self.heard:
            facts = each["facts"]
            if each["kind"] == "ADJUSTED" and facts["party"] == party:
                signs[each["subject"]] = 1 if facts["side"] == "HOST" else -1
                total += signs[each["subject"]] * int(facts["units"])
            if each["kind"] == "ACTION_WITHDRAWN":
                withdrawn = facts.get("adjustments", "").split()
                total -= int(facts["units"]) * sum(signs.get(name, 0) for name in withdrawn)
        return total
