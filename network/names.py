"""What names and addresses may look like: of a network, of a participant, of where a server listens.

Who bears a name is said by genesis and ledger; here is only their form, narrow enough that a name fits a certificate,
a DNS label, a signed note and a file name without being escaped.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final, NamedTuple

_ORIGIN: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?:/[a-z0-9][a-z0-9._-]*)*", re.ASCII)
_PARTICIPANT: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})", re.ASCII)
ORIGIN_CHARACTERS_MAX: Final = 128


class NameRefused(ValueError):
    """The text is no name or address of that kind; the message says what would be."""


class Address(NamedTuple):
    """Where a server listens. Port 0 asks the system for a free one."""

    host: str
    port: int


def check_origin(text: str) -> str:
    """Return `text` if it can name a network: a URL without scheme (C2SP tlog-checkpoint). Raises `NameRefused`."""
    if len(text) > ORIGIN_CHARACTERS_MAX or not _ORIGIN.fullmatch(text):
        raise NameRefused(
            f"{text!r} cannot name a network: write a host name and perhaps a path, such as ledger.example/main, in "
            f"lower-case letters, digits, '.', '-' and '/', at most {ORIGIN_CHARACTERS_MAX} characters"
        )
    return text


def check_participant(text: str) -> str:
    """Return `text` if it can be a participant's id: a lower-case DNS label (RFC 1123 §2.1). Raises `NameRefused`."""
    if not _PARTICIPANT.fullmatch(text):
        raise NameRefused(
            f"{text!r} cannot be a participant's id: use lower-case letters, digits and inner hyphens, 1 to 63 of them"
        )
    return text


def parse_address(text: str) -> Address:
    """Read `host:port`, an IPv6 host in brackets; raise `NameRefused` with the form that is wanted."""
    host, colon, port = text.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port, re.ASCII) or int(port) > 65_535:
        raise NameRefused(f"{text!r} is not an address: write host:port, such as 127.0.0.1:7451 or [::1]:7451")
    if host.startswith("[") and host.endswith("]") and is_ip(host[1:-1]) == ":":
        return Address(host[1:-1], int(port))
    if not _HOST.fullmatch(host):
        raise NameRefused(f"{text!r} is not an address: {host!r} is neither a host name nor an IP address")
    return Address(host, int(port))


def format_address(address: Address) -> str:
    """Write what `parse_address` reads."""
    return f"[{address.host}]:{address.port}" if ":" in address.host else f"{address.host}:{address.port}"


def is_ip(host: str) -> str:
    """Return `.` for an IPv4 address, `:` for an IPv6 address, and nothing for a host name."""
    try:
        return "." if ipaddress.ip_address(host).version == 4 else ":"
    except ValueError:
        return ""
