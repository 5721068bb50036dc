"""Pages of lists that a hub has in memory: so many rows after a key, and the token that continues. Pure.

A token is the last key given, bound to its list. Rows are in the order of their keys, so that what is on the list the
whole time is given exactly once, whatever else comes and goes between two pages.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

from hub.service.problems import Problem

PAGE_DEFAULT: Final = 100
PAGE_MAX: Final = 1_000

T = TypeVar("T")


class Asked(NamedTuple):
    """Which page somebody wants; `size` 0: the default one."""

    size: int = 0
    token: str = ""


def cut_page(name: str, rows: Sequence[T], key: Callable[[T], str], asked: Asked) -> tuple[list[T], str]:
    """The page of `rows`, and the token of the next one; empty: nothing is left. Raises `Problem`.

    `name` says which list it is, with its arguments; `key` must be another for every row.
    """
    size = min(asked.size or PAGE_DEFAULT, PAGE_MAX)
    after = _read_token(name, asked.token) if asked.token else None
    ordered = sorted(rows, key=key)
    left = [row for row in ordered if after is None or key(row) > after]
    page = left[:size]
    return page, _print_token(name, key(page[-1])) if len(left) > size else ""


def _print_token(name: str, key: str) -> str:
    return base64.urlsafe_b64encode(f"{name}\n{key}".encode()).decode().rstrip("=")


def _read_token(name: str, token: str) -> str:
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raw = ""
    of, line, key = raw.partition("\n")
    if not line or of != name or _print_token(name, key) != token:
        raise Problem(400, "bad-page-token", f"{token[:40]!r} is no page token of this list; start without one")
    return key
