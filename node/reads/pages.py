"""Pages of a list: how many rows, where they start, and the token for the next ones.

A token says which list it continues (by a digest of the arguments), the height of the first page, and the last key
given; nothing of it is secret, nothing of it is trusted. What happens when the ledger moves on between two pages is
promised in ledger.proto. Which keys make up a list is known to the modules that read them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

from keeling.encoding import BYTES, TEXT, U64, EncodingError, listing, record
from keeling.reasons import Reason
from node.core.tables import Table, after
from node.reads.errors import BadRequest, BeyondFinal
from node.reads.view import ReadState

V = TypeVar("V")

PAGE_DEFAULT: Final = 100
"""Rows of a page when the request does not say."""
PAGE_MAX: Final = 1_000
"""Most rows of a page; with serials about 300 kB."""
LOOKED_AT_MAX: Final = 5_000
"""Most rows read for one page where not every row is wanted: a page may come back short, but never late."""


class _Token(NamedTuple):
    list: bytes
    height: int
    key: bytes


_TOKEN: Final = record(_Token, BYTES, U64, BYTES)
_ARGUMENTS: Final = listing(TEXT)


class Page(NamedTuple):
    """What one call reads: up to `size` rows with keys after `after` (empty: from the first)."""

    size: int
    after: bytes
    since: int
    """The height at which the first page of this list was read."""
    list: bytes

    def token(self, last: bytes | None) -> str:
        """The token that continues after the row `last`; empty where nothing is left."""
        if last is None:
            return ""
        return _print_token(_Token(self.list, self.since, last))


def _print_token(token: _Token) -> str:
    return base64.urlsafe_b64encode(_TOKEN.encode(token)).decode().rstrip("=")


def _no_token(text: str) -> BadRequest:
    return BadRequest(Reason.BAD_PAGE_TOKEN, f"{text[:40]!r} is no page token")


def open_page(height: int, page_size: int, page_token: str, name: str, *arguments: str) -> Page:
    """The page a request asks for, of the list `name` with these arguments. Raises `BadRequest`, `BeyondFinal`."""
    size = min(page_size or PAGE_DEFAULT, PAGE_MAX)
    same = hashlib.sha256(_ARGUMENTS.encode((name, *arguments))).digest()[:8]
    if not page_token:
        return Page(size, b"", height, same)
    try:
        raw = base64.b64decode(page_token + "=" * (-len(page_token) % 4), altchars=b"-_", validate=True)
        token = _TOKEN.decode(raw)
    except (binascii.Error, EncodingError, ValueError) as error:
        raise _no_token(page_token) from error
    if _print_token(token) != page_token:
        raise _no_token(page_token)
    if token.list != same:
        detail = f"the page token is of another list than {name} with these arguments; start without one"
        raise BadRequest(Reason.BAD_PAGE_TOKEN, detail)
    if token.height > height:
        detail = f"the page token is of height {token.height}, this node is at {height}"
        raise BeyondFinal(Reason.BEYOND_FINAL, detail, height=token.height, newest=height)
    return Page(size, token.key, token.height, same)


def read_rows(
    state: ReadState,
    table: Table[V],
    prefixes: Sequence[bytes],
    page: Page,
    keep: Callable[[bytes, V], bool] | None = None,
) -> tuple[list[tuple[bytes, V]], bytes | None]:
    """Rows of a page whose keys begin with one of `prefixes` (in order), and the key to continue after, or None.

    Reads one row more than it gives to know whether there are more; with `keep`, up to `LOOKED_AT_MAX`.
    """
    rows: list[tuple[bytes, V]] = []
    looked_at, last = 0, b""
    for prefix in prefixes:
        low, high = max(prefix, page.after + b"\0" if page.after else b""), after(prefix)
        if low >= high:
            continue
        room = page.size + 1 - len(rows) if keep is None else LOOKED_AT_MAX - looked_at
        for key, value in state.scan_keys(table, low, high, room):
            if len(rows) == page.size:
                return rows, rows[-1][0]
            looked_at, last = looked_at + 1, key
            if keep is None or keep(key, value):
                rows.append((key, value))
        if keep is not None and looked_at >= LOOKED_AT_MAX:
            return rows, last
    return rows, None
