"""What a registry in a sandbox does with another's feed: it is known there by a key, reads on, and compares sums.

Nothing is booked from what is heard: a registry's adjustments follow from its own acts. How a feed is read is in
`feed_reader`.
"""

from __future__ import annotations

import base64
import secrets
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import aiohttp
from joserfc.jwk import OKPKey

from adapters.des.signing import KeyTextError, SignatureError, print_public_key, read_signing_key
from adapters.sandbox.acts import Values, read_text
from adapters.sandbox.article6 import Booked
from adapters.sandbox.feed_reader import FeedReader

FEED_KEY: Final = "feed-key"
"""The file with the seed of whoever feeds; one that is there is left as it is."""


class Listener:
    """One registry as a reader of one ledger's feed, at whichever hub serves it. For one event loop."""

    def __init__(self, code: str, own: OKPKey) -> None:
        self._code, self._own = code, own
        self._their_key = ""
        self._url = ""
        self._reader: FeedReader | None = None

    def subscribe(self, values: Values) -> Any:
        """Put our public key into the folder of whoever feeds, and hear what theirs is; raises `ValueError`."""
        folder = Path(read_text(values, "folder"))
        folder.mkdir(parents=True, exist_ok=True)
        seed = folder / FEED_KEY
        if not seed.exists():
            seed.touch(mode=0o600)
            seed.write_text(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("="))
        try:
            self._their_key = print_public_key(read_signing_key(seed.read_text().strip()))
        except KeyTextError as error:
            raise ValueError(f"{seed}: {error}") from error
        reader = folder / f"reader:{self._code}"
        reader.write_text(print_public_key(self._own))
        self._reader = None
        return {"files": [str(seed), str(reader)], "their key": self._their_key}

    async def read(self, values: Values, booked: Iterable[Booked]) -> Any:
        """Read on from where it stopped, and tell what it came to; raises `ValueError`."""
        url = read_text(values, "url")
        if not self._their_key:
            raise ValueError("whose feed it is must be known: act subscribe folder=… first")
        if self._reader is None or url != self._url:
            before, self._url = self._reader, url
            cursor = before.cursor if before is not None else ""
            self._reader = FeedReader(url, self._code, self._own, self._their_key, cursor)
            self._reader.heard += before.heard if before is not None else []
        try:
            fresh = await self._reader.read_on()
        except (aiohttp.ClientError, SignatureError, TimeoutError, ValueError) as error:
            raise ValueError(f"{url}: {error!r}") from error
        kinds = Counter(str(each["kind"]) for each in self._reader.heard)
        here: Counter[str] = Counter()
        for each in booked:
            here[each.party] += each.units
        parties = sorted(
            {*here, *(each["facts"]["party"] for each in self._reader.heard if each["kind"] == "ADJUSTED")}
        )
        return {
            "new": fresh,
            "cursor": self._reader.cursor,
            "heard": [f"{kind} {times}" for kind, times in sorted(kinds.items())],
            "adjusted there": [f"{party} {self._reader.total_adjusted(party):+,}" for party in parties],
            "adjusted here": [f"{party} {here[party]:+,}" for party in parties],
        }
