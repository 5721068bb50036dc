"""Who calls the hub, and what each may: bearer tokens in files, read at every call, compared in constant time."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from hub.service.config import ROLES, CallerSection, Role
from hub.service.problems import Problem
from hub.service.secrets import read_secret

TOKEN_LEAST: Final = 16
CALLER: Final = web.RequestKey("caller", str)
"""Under this a request carries the name of who makes it."""


def check_caller(request: web.Request, callers: Sequence[CallerSection], needed: Role) -> CallerSection:
    """The caller, if it may; raises `Problem`."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise Problem(401, "no-token", "send Authorization: Bearer TOKEN; callers stand in group.toml")
    found = [each for each in callers if _is_token_of(each, token)]
    if not found:
        raise Problem(401, "unknown-token", "no caller has this token")
    caller = found[0]
    if ROLES.index(caller.role) < ROLES.index(needed):
        raise Problem(403, "not-permitted", f"{caller.name} is a {caller.role}; this needs a {needed}")
    return caller


def _is_token_of(caller: CallerSection, token: str) -> bool:
    expected = "" if caller.token is None else read_secret(caller.token)
    given = token.strip().encode("utf-8", "surrogateescape")  # what came over the line, whatever it was
    return len(expected) >= TOKEN_LEAST and hmac.compare_digest(expected.encode(), given)
