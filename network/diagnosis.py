"""Why a connection failed, in one line that a person can act on.

gRPC says "Socket closed" for nearly everything: a server that refuses a client's certificate hangs up without a word
(gRPC sends no TLS alert), and which server answered is not shown. So after a failure the address is tried again by
hand, step by step, and each step's outcome is read: the name, the port, TLS, the server's certificate, and what the
server does once it has seen ours. The last is settled by experiment: certificates that our own key signs for other
dates tell whether the server knows the key, and what time it believes it is. Nothing is sent beyond handshakes.

How connections are made lives in `network.transport`. What is here blocks for up to some seconds: asyncio callers use
`asyncio.to_thread`.
"""

from __future__ import annotations

import secrets
import socket
import ssl
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from network.certificates import date_certificate, encode_public_key, format_time, is_signed_by, read_identity
from network.names import NameRefused, parse_address
from network.transport import Destination, TlsIdentity
from network.trust import NotTrusted, check_certificate

STEP_SECONDS: Final = 3.0
"""How long each step may take. A server on the far side of the world answers in a tenth of that."""
CLOCK_STEPS: Final = tuple(timedelta(minutes=2**power) for power in range(20))
"""By how much a server's clock is suspected to be wrong: 1 minute, 2, 4 … about a year."""
FIRST_DATE: Final = datetime(1971, 1, 1, tzinfo=UTC)
LAST_DATE: Final = datetime(9999, 1, 1, tzinfo=UTC)
"""Between them is every date that a running server's clock can show."""
HTTP2_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client says first (RFC 9113 §3.4); a server that accepts it answers with its settings."""


class _Ending(Enum):
    ACCEPTED = auto()
    HUNG_UP = auto()
    SILENT = auto()


class _Handshake(NamedTuple):
    server: x509.Certificate
    ending: _Ending


class _Failed(Exception):
    """A step did not come to its end; the text is the line to show."""


def diagnose(destination: Destination, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> str | None:
    """Return one line that says why `destination` cannot be reached, or None if it now can be. `now` is our clock."""
    try:
        seen = _shake_hands(destination.address, destination.identity)
        problem = _find_server_problem(destination, seen.server, now())
        if problem is None and seen.ending is _Ending.HUNG_UP:
            problem = _find_client_problem(destination, now())
        if problem is None and seen.ending is _Ending.SILENT:
            problem = f"{destination.address} completed the TLS handshake and then said nothing: is it a Keeling node?"
    except _Failed as failure:
        return str(failure)
    return problem


def _find_server_problem(destination: Destination, server: x509.Certificate, now: datetime) -> str | None:
    """The order is who, then when: dates of a stranger's certificate are no concern of ours."""
    address, wanted = destination.address, destination.participant
    try:
        peer = check_certificate(server, destination.trust)
    except NotTrusted as error:
        return f"the server at {address} cannot be trusted to be {wanted}: {error}"
    if peer.participant != wanted:
        return f"the server at {address} is {peer.participant}, not {wanted}: check the address"
    if now > server.not_valid_after_utc:
        return (
            f"the server's certificate expired on {format_time(server.not_valid_after_utc)}: the operator of {wanted} "
            f"renews it (this machine's clock says {format_time(now)})"
        )
    start = server.not_valid_before_utc
    if now < start:
        return (
            f"the clock of this machine is {_format_span(start - now)} or more behind: it says {format_time(now)}, "
            f"and the server's certificate was made after {format_time(start)}"
        )
    return None


def _find_client_problem(destination: Destination, now: datetime) -> str:
    """The server hung up after the handshake, and its own certificate is in order: it did not like ours."""
    address, identity = destination.address, destination.identity
    if identity is None:
        return f"the server at {address} wants a client certificate, and none is configured: set one in the profile"
    own = identity.certificate
    if now > own.not_valid_after_utc:
        return f"your certificate expired on {format_time(own.not_valid_after_utc)}: renew it (the key stays the same)"
    if now < own.not_valid_before_utc:
        return (
            f"your certificate is good only from {format_time(own.not_valid_before_utc)}: the clock of this machine is "
            f"{_format_span(own.not_valid_before_utc - now)} or more behind (it says {format_time(now)})"
        )
    if not is_signed_by(own, encode_public_key(identity.key)):
        span = f"{format_time(own.not_valid_before_utc)} and {format_time(own.not_valid_after_utc)}"
        return (
            f"your certificate is not one the server at {address} knows: it does not trust the key that signed it, or "
            f"its clock is not between {span}"
        )
    return _try_other_dates(address, identity, now)


def _try_other_dates(address: str, identity: TlsIdentity, now: datetime) -> str:
    """Find out by certificates of other dates, under our own key, whether the server knows the key and the time.

    They go to a server whose identity was checked, and are worth nothing without the private key.
    """
    own = identity.certificate

    def is_accepted(start: datetime, end: datetime) -> bool:
        trial = TlsIdentity(identity.key, date_certificate(own, identity.key, start, end))
        return _shake_hands(address, trial).ending is _Ending.ACCEPTED

    if not is_accepted(FIRST_DATE, LAST_DATE):
        who = read_identity(own)
        return (
            f"your certificate is not one the server at {address} knows: its operator has to admit this public key as "
            f"that of {who.participant} on {who.network}"
        )
    ahead = not is_accepted(FIRST_DATE, own.not_valid_after_utc)
    least = own.not_valid_after_utc - now if ahead else now - own.not_valid_before_utc
    for step in CLOCK_STEPS:
        if step > least and (is_accepted(FIRST_DATE, now + step) if ahead else is_accepted(now - step, LAST_DATE)):
            span = f"between {_format_span(max(least, step / 2))} and {_format_span(step)}"
            break
    else:
        span = f"more than {_format_span(max(least, CLOCK_STEPS[-1]))}"
    way = "ahead of" if ahead else "behind"
    return (
        f"the clock of the server at {address} is {span} {way} this machine's, which says {format_time(now)}: it knows "
        "your key, but by its clock your certificate is not good now"
    )


def _shake_hands(address: str, identity: TlsIdentity | None) -> _Handshake:
    try:
        host, port = parse_address(address)
        connection = socket.create_connection((host, port), STEP_SECONDS)
    except NameRefused as error:
        raise _Failed(str(error)) from error
    except socket.gaierror as error:
        raise _Failed(f"the name {host} in the address {address} is not known: {error.strerror}") from error
    except ConnectionRefusedError as error:
        raise _Failed(f"nothing listens at {address}: is the node running?") from error
    except TimeoutError as error:
        raise _Failed(
            f"{address} does not answer: is the address right, and does a firewall let it through?"
        ) from error
    except OSError as error:
        raise _Failed(f"{address} cannot be reached: {error.strerror}") from error
    with connection:
        connection.settimeout(STEP_SECONDS)
        try:
            secured = _build_context(identity).wrap_socket(connection)
        except TimeoutError as error:
            raise _Failed(f"{address} accepts connections but does not begin TLS: is it a Keeling node?") from error
        except ssl.SSLError as error:
            raise _Failed(f"{address} does not speak TLS as a Keeling node does: {error.reason or error}") from error
        except OSError as error:
            raise _Failed(f"{address} broke off the TLS handshake: {error.strerror or error}") from error
        with secured:
            return _read_ending(address, secured)


def _read_ending(address: str, secured: ssl.SSLSocket) -> _Handshake:
    der = secured.getpeercert(binary_form=True)
    if der is None:
        raise _Failed(f"the server at {address} shows no certificate: it is no Keeling node")
    try:
        server = x509.load_der_x509_certificate(der)
    except ValueError as error:
        raise _Failed(f"the certificate of the server at {address} cannot be read: {error}") from error
    try:
        secured.sendall(HTTP2_PREFACE)
        return _Handshake(server, _Ending.ACCEPTED if secured.recv(1) else _Ending.HUNG_UP)
    except TimeoutError:
        return _Handshake(server, _Ending.SILENT)
    except OSError:
        return _Handshake(server, _Ending.HUNG_UP)


def _build_context(identity: TlsIdentity | None) -> ssl.SSLContext:
    """Everything is accepted from the server here: this connection only looks, it carries nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    if identity is not None:
        passphrase = secrets.token_hex(32)
        protection = serialization.BestAvailableEncryption(passphrase.encode("ascii"))
        with tempfile.TemporaryDirectory() as folder:  # the standard library takes keys from files alone
            file = Path(folder, "identity.pem")
            key = identity.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
            file.write_bytes(key + identity.certificate_pem)
            context.load_cert_chain(file, password=passphrase)
    return context


def _format_span(span: timedelta) -> str:
    minutes = max(round(span.total_seconds() / 60), 1)
    if minutes < 120:
        return f"{minutes} min"
    return f"{round(minutes / 60)} h" if minutes < 48 * 60 else f"{round(minutes / 1440)} days"
