"""Notices a sandbox pushes: Standard Webhooks 1.0.0, signed with a shared secret, with the faults of real senders.

Delivery is tried once at once; what failed or was held back goes out when an admin asks for it. The receiving side is
not here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import aiohttp

from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.faults import FaultKind, Faults

_DELIVERY_S: Final = 15
"""Longest a sender waits for the receiver; the specification says 15 to 30 seconds."""


class Notice(NamedTuple):
    """One message, as it will be sent every time: the same id, so that the receiver can drop repeats."""

    id: str
    timestamp: int
    body: bytes


def read_secret(secret: str) -> bytes:
    """The key in a `whsec_…` text; raises `ValueError`."""
    if not secret.startswith("whsec_"):
        raise ValueError("a secret begins with whsec_, and base64 follows")
    return base64.b64decode(secret.removeprefix("whsec_"), validate=True)


def sign_notice(secret: str, notice: Notice) -> str:
    """The `webhook-signature` header for a `whsec_…` secret."""
    key = read_secret(secret)
    signed = f"{notice.id}.{notice.timestamp}.".encode() + notice.body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


class Notices:
    """What is still to be delivered, and where to."""

    def __init__(self, clock: SandboxClock, faults: Faults) -> None:
        self.url = ""
        self.secret = ""
        self.waiting: list[Notice] = []
        self.delivered = 0
        self._held: list[Notice] = []
        self._clock = clock
        self._faults = faults
        self._number = 0

    def put(self, kind: str, data: Mapping[str, Any]) -> None:
        """Write a notice; it goes out with `deliver`."""
        self._number += 1
        at = self._clock.now_ms // 1000
        body = json.dumps({"type": kind, "timestamp": at, "data": data}, sort_keys=True).encode()
        notice = Notice(f"msg_{self._number:08d}", at, body)
        fault = self._faults.take((FaultKind.DUPLICATE_NOTICE, FaultKind.LATE_NOTICE), f"NOTICE {kind}")
        if fault is not None and fault.kind is FaultKind.LATE_NOTICE:
            self._held.append(notice)
            return
        self.waiting += [notice, notice] if fault is not None else [notice]
        self.waiting += self._held
        self._held = []

    async def deliver(self) -> int:
        """Send what waits, in order; what the receiver does not take stays. Returns how many it took."""
        if not self.url:
            return 0
        taken = 0
        timeout = aiohttp.ClientTimeout(total=_DELIVERY_S)
        waiting, self.waiting = self.waiting, []
        async with aiohttp.ClientSession(timeout=timeout) as session:
            for notice in waiting:
                if await self._send(session, notice):
                    taken += 1
                else:
                    self.waiting.append(notice)
        self.delivered += taken
        return taken

    async def _send(self, session: aiohttp.ClientSession, notice: Notice) -> bool:
        headers = {
            "content-type": "application/json",
            "webhook-id": notice.id,
            "webhook-timestamp": str(notice.timestamp),
            "webhook-signature": sign_notice(self.secret, notice),
        }
        try:
            async with session.post(self.url, data=notice.body, headers=headers, allow_redirects=False) as response:
                return response.status // 100 == 2
        except (aiohttp.ClientError, TimeoutError):
            return False
