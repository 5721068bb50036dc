"""Ports of loopback for what is started for a trial, a story or a test."""

from __future__ import annotations

import secrets
import socket
from typing import Final

LOWEST: Final = 16_000
HIGHEST: Final = 31_999
_TRIES: Final = 100
_given = set[int]()


class NoPorts(Exception):
    """There are not so many free ports beside each other."""


def find_ports(number: int = 1) -> list[int]:
    """So many ports of 127.0.0.1 that nobody listens on just now, one beside the other.

    This process is never told one twice, so they need not be taken at once. They lie below those that systems give to
    connections (32,768 and up on Linux, RFC 6335 has them from 49,152): a port that its server leaves for a moment is
    not taken by somebody's call. Raises `NoPorts`.
    """
    for _ in range(_TRIES):
        first = LOWEST + secrets.randbelow(HIGHEST + 1 - LOWEST - number)
        ports = list(range(first, first + number))
        if _given.isdisjoint(ports) and all(is_free(port) for port in ports):
            _given.update(ports)
            return ports
    raise NoPorts(f"no {number} free ports beside each other from {LOWEST} to {HIGHEST}")


def is_free(port: int) -> bool:
    """Whether nobody listens on this port of 127.0.0.1; a number that is no port is not free."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
    return True
