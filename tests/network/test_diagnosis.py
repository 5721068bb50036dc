"""Every way in which a connection fails, met on a real loopback server, and the one line that says so."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from network import diagnosis
from network.diagnosis import diagnose
from network.transport import Destination, TlsIdentity
from network.trust import Trust
from tests.network.party import DAY, HOUR, NETWORK, NOW, Party, ask, serving, trust

SERVER, CLIENT, OTHER = Party("natreg"), Party("exchange"), Party("group")
EVERYBODY = trust(SERVER, CLIENT, OTHER)
MINUTE = timedelta(minutes=1)


def explain(
    folder: Path,
    *,
    shown: TlsIdentity | None = None,
    identity: TlsIdentity | None,
    meant: str = "natreg",
    ours: Trust = EVERYBODY,
    theirs: Trust = EVERYBODY,
    at: datetime = NOW,
) -> str | None:
    """Run a server that shows `shown` and trusts `theirs`; see what gRPC says, then what the diagnosis says."""
    with serving(SERVER.write(folder, shown), lambda: theirs) as address:
        destination = Destination(address, meant, ours, identity)
        if at == NOW:
            try:
                ask(destination)
                refused = False
            except grpc.RpcError as error:
                refused = error.code() is grpc.StatusCode.UNAVAILABLE
        line = diagnose(destination, now=lambda: at)
    if at == NOW:
        assert refused == (line is not None)
    assert line is None or "\n" not in line
    return None if line is None else line.replace(address, "ADDRESS")


def test_nothing_is_wrong(tmp_path: Path) -> None:
    assert explain(tmp_path, identity=CLIENT.identity()) is None


def test_no_client_certificate(tmp_path: Path) -> None:
    line = explain(tmp_path, identity=None)
    assert line == ("the server at ADDRESS wants a client certificate, and none is configured: set one in the profile")


def test_our_certificate_expired(tmp_path: Path) -> None:
    line = explain(tmp_path, identity=CLIENT.identity(end=NOW - HOUR / 2))
    assert line is not None
    assert re.fullmatch(r"your certificate expired on \d{4}-\d\d-\d\d \d\d:\d\d UTC: renew it .*", line)


def test_our_certificate_is_from_the_future(tmp_path: Path) -> None:
    line = explain(tmp_path, identity=CLIENT.identity(start=NOW + 50 * MINUTE))
    assert line is not None
    assert "the clock of this machine is 50 min or more behind" in line


def test_the_server_does_not_know_our_key(tmp_path: Path) -> None:
    line = explain(tmp_path, identity=CLIENT.identity(), theirs=trust(SERVER, OTHER))
    assert line == (
        "your certificate is not one the server at ADDRESS knows: its operator has to admit this public key as that of "
        "exchange on ledger.example/main"
    )


def test_the_server_does_not_know_the_key_that_signed_ours(tmp_path: Path) -> None:
    laptop = CLIENT.issue(ec.generate_private_key(ec.SECP256R1()))
    line = explain(tmp_path, identity=laptop, theirs=trust(SERVER, OTHER))
    assert line is not None
    assert "is not one the server at ADDRESS knows: it does not trust the key that signed it, or its clock is" in line


def test_the_servers_clock_is_behind(tmp_path: Path) -> None:
    """Our clock is shown 70 minutes ahead of the server's, and our certificate is 20 minutes old by our clock."""
    now = datetime.now(UTC)  # not NOW: the tests before this one may have taken minutes
    identity = CLIENT.identity(start=now + 50 * MINUTE)
    line = explain(tmp_path, identity=identity, at=now + 70 * MINUTE)
    assert line is not None
    assert "the clock of the server at ADDRESS is between 64 min and 2 h behind this machine's" in line


def test_the_servers_clock_is_ahead(tmp_path: Path) -> None:
    """Our clock is shown three days behind the server's, where our certificate is still good for an hour."""
    identity = CLIENT.identity(start=NOW - 30 * DAY, end=NOW - 3 * DAY + HOUR)
    line = explain(tmp_path, identity=identity, at=NOW - 3 * DAY, shown=SERVER.identity(start=NOW - 30 * DAY))
    assert line is not None
    assert "the clock of the server at ADDRESS is between 3 days and 6 days ahead of this machine's" in line


def test_the_servers_certificate_expired(tmp_path: Path) -> None:
    end = datetime.fromisoformat("2026-01-02 03:04:05+00:00")
    line = explain(tmp_path, identity=CLIENT.identity(), shown=SERVER.identity(start=end - DAY, end=end))
    assert line is not None
    assert line.startswith("the server's certificate expired on 2026-01-02 03:04 UTC: the operator of natreg renews it")


def test_this_machines_clock_is_behind(tmp_path: Path) -> None:
    line = explain(tmp_path, identity=CLIENT.identity(start=NOW - 30 * DAY), at=NOW - 2 * HOUR)
    assert line is not None
    assert line.startswith("the clock of this machine is 60 min or more behind: it says")


def test_the_address_is_somebody_elses(tmp_path: Path) -> None:
    line = explain(tmp_path, identity=CLIENT.identity(), meant="group")
    assert line == "the server at ADDRESS is natreg, not group: check the address"


def test_the_servers_key_is_not_the_pinned_one(tmp_path: Path) -> None:
    line = explain(tmp_path, identity=CLIENT.identity(), ours=trust(Party("natreg"), CLIENT))
    assert line is not None
    assert "cannot be trusted to be natreg: the certificate says natreg but that participant's key did not" in line


def test_the_server_belongs_to_another_network(tmp_path: Path) -> None:
    foreign = Party("natreg", network="other.example")
    foreign.key = SERVER.key
    line = explain(tmp_path, identity=CLIENT.identity(), shown=foreign.identity(), ours=trust(Party("natreg"), CLIENT))
    assert line is not None
    assert f"the certificate is for the network other.example, and this is {NETWORK}" in line


@contextmanager
def plain_server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server without TLS that treats each connection as `answer` says."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                answer(connection)

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def answer_in_http(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def hang_up(connection: socket.socket) -> None:
    connection.recv(4096)


def stay_silent(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


NO_TLS = [
    (answer_in_http, "does not speak TLS as a Keeling node does"),
    (hang_up, "does not speak TLS as a Keeling node does|broke off the TLS handshake"),
    (stay_silent, "accepts connections but does not begin TLS"),
]


@pytest.mark.parametrize(("answer", "expected"), NO_TLS)
def test_no_tls(monkeypatch: pytest.MonkeyPatch, answer: Callable[[socket.socket], None], expected: str) -> None:
    monkeypatch.setattr(diagnosis, "STEP_SECONDS", 0.3)
    with plain_server(answer) as address:
        line = diagnose(Destination(address, "natreg", EVERYBODY, CLIENT.identity()))
    assert line is not None
    assert re.search(expected, line)


def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    line = diagnose(Destination(address, "natreg", EVERYBODY, CLIENT.identity()))
    assert line == f"nothing listens at {address}: is the node running?"


ADDRESSES = [
    ("no-such-host.invalid:7451", "the name no-such-host.invalid in the address .* is not known"),
    ("7451", "is not an address: write host:port"),
]


@pytest.mark.parametrize(("address", "expected"), ADDRESSES)
def test_addresses_that_lead_nowhere(address: str, expected: str) -> None:
    line = diagnose(Destination(address, "natreg", EVERYBODY, CLIENT.identity()))
    assert line is not None
    assert re.search(expected, line)
