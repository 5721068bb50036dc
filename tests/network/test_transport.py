"""The secured transport over real loopback connections: who gets through, and that nothing restarts for a change."""

from __future__ import annotations

import asyncio
import os
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as aio_health

from network.certificates import CertificateError, compute_spki, encode_public_key
from network.transport import (
    CALL_BYTES_MAX,
    Destination,
    TlsFiles,
    TlsIdentity,
    client_credentials,
    client_options,
    open_aio_channel,
    open_channel,
    server_credentials,
    server_options,
)
from network.trust import PinnedKey, Trust, build_trust, peer_identity
from tests.network.party import DAY, HOUR, NETWORK, NOW, Party, ask, serving, trust

SERVER, CLIENT, OTHER = Party("natreg"), Party("exchange"), Party("group")
EVERYBODY = trust(SERVER, CLIENT, OTHER)


def destination(address: str, identity: TlsIdentity | None, trusted: Trust = EVERYBODY) -> Destination:
    return Destination(address, "natreg", trusted, identity)


def replace(folder: Path, identity: TlsIdentity) -> None:
    """Put the server's certificate in place as an operator should: by renaming."""
    (folder / "fresh").write_bytes(identity.certificate_pem)
    os.replace(folder / "fresh", folder / "natreg.crt")


def test_both_ends_know_each_other(tmp_path: Path) -> None:
    with serving(SERVER.write(tmp_path), lambda: EVERYBODY) as address:
        answer = ask(destination(address, CLIENT.identity()))
    assert answer == {"peer": "exchange", "spki": CLIENT.pin.spki.hex()}


def test_a_machine_with_a_key_of_its_own_speaks_for_its_participant(tmp_path: Path) -> None:
    laptop = ec.generate_private_key(ec.SECP256R1())
    with serving(SERVER.write(tmp_path), lambda: EVERYBODY) as address:
        answer = ask(destination(address, CLIENT.issue(laptop)))
    assert answer == {"peer": "exchange", "spki": compute_spki(encode_public_key(laptop)).hex()}


def test_the_asyncio_server_and_channel_do_the_same(tmp_path: Path) -> None:
    class Naming(aio_health.HealthServicer):
        async def Check(self, request: Any, context: Any) -> Any:
            context.set_trailing_metadata((("peer", peer_identity(context, EVERYBODY).participant),))
            return await super().Check(request, context)

    async def run() -> dict[str, object]:
        server = grpc.aio.server(options=server_options())
        health_pb2_grpc.add_HealthServicer_to_server(Naming(), server)
        port = server.add_secure_port("127.0.0.1:0", server_credentials(SERVER.write(tmp_path), lambda: EVERYBODY))
        await server.start()
        try:
            async with open_aio_channel(destination(f"127.0.0.1:{port}", CLIENT.identity())) as channel:
                stub: Any = health_pb2_grpc.HealthStub(channel)
                call = stub.Check(health_pb2.HealthCheckRequest(), timeout=60)
                await call
                return dict(await call.trailing_metadata())
        finally:
            await server.stop(None)

    assert asyncio.run(run()) == {"peer": "exchange"}


REFUSED = [
    ("no certificate", None),
    ("an expired one", CLIENT.identity(end=NOW - HOUR / 2)),
    ("one from the future", CLIENT.identity(start=NOW + HOUR)),
    ("a stranger's", Party("exchange").identity()),
]


@pytest.mark.parametrize(("case", "identity"), REFUSED)
def test_the_server_turns_away(tmp_path: Path, case: str, identity: TlsIdentity | None) -> None:
    with serving(SERVER.write(tmp_path), lambda: EVERYBODY) as address:
        with pytest.raises(grpc.RpcError) as refusal:
            ask(destination(address, identity))
        assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE, case
        assert ask(destination(address, CLIENT.identity()))["peer"] == "exchange", "the server goes on"


def test_a_member_that_signs_itself_anothers_name_gets_through_tls_and_no_further(tmp_path: Path) -> None:
    impostor = OTHER.issue(OTHER.key, participant="exchange")
    with serving(SERVER.write(tmp_path), lambda: EVERYBODY) as address:
        with pytest.raises(grpc.RpcError) as refusal:
            ask(destination(address, impostor))
        assert "that participant's key did not sign it" in str(refusal.value.details())


def test_the_client_speaks_only_to_the_participant_it_means(tmp_path: Path) -> None:
    with serving(OTHER.write(tmp_path), lambda: EVERYBODY) as address:
        with pytest.raises(grpc.RpcError) as refusal:
            ask(destination(address, CLIENT.identity()))
        assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
        meant = Destination(address, "group", EVERYBODY, CLIENT.identity())
        assert ask(meant)["peer"] == "exchange"


def test_a_renewed_server_certificate_is_shown_without_restart(tmp_path: Path) -> None:
    files = SERVER.write(tmp_path, SERVER.identity(end=NOW - HOUR / 2))
    with serving(files, lambda: EVERYBODY) as address:
        with pytest.raises(grpc.RpcError):
            ask(destination(address, CLIENT.identity()))
        replace(tmp_path, SERVER.identity(end=NOW + 30 * DAY))
        assert ask(destination(address, CLIENT.identity()))["peer"] == "exchange"


def test_a_renewed_client_certificate_needs_nothing_from_the_server(tmp_path: Path) -> None:
    with serving(SERVER.write(tmp_path), lambda: EVERYBODY) as address:
        for days in (1, 400):
            assert ask(destination(address, CLIENT.identity(end=NOW + days * DAY)))["peer"] == "exchange"


def test_peers_are_admitted_and_withdrawn_without_restart(tmp_path: Path) -> None:
    current = trust(SERVER, OTHER)
    with serving(SERVER.write(tmp_path), lambda: current) as address:
        with pytest.raises(grpc.RpcError):
            ask(destination(address, CLIENT.identity()))
        current = EVERYBODY
        assert ask(destination(address, CLIENT.identity()))["peer"] == "exchange"
        current = trust(SERVER, OTHER)
        with pytest.raises(grpc.RpcError):
            ask(destination(address, CLIENT.identity()))
        assert ask(destination(address, OTHER.identity()))["peer"] == "group"


def test_a_key_is_replaced_while_both_are_pinned(tmp_path: Path) -> None:
    new = Party("natreg")
    both = build_trust(NETWORK, [SERVER.pin, new.pin, CLIENT.pin])
    files = SERVER.write(tmp_path)
    with serving(files, lambda: both) as address:
        assert ask(destination(address, CLIENT.identity(), both))["peer"] == "exchange"
        new.write(tmp_path)
        assert ask(destination(address, CLIENT.identity(), both))["peer"] == "exchange"
        with pytest.raises(grpc.RpcError):
            ask(destination(address, CLIENT.identity(), trust(SERVER, CLIENT)))


def test_half_of_a_change_keeps_the_last_good_pair_and_is_reported(tmp_path: Path) -> None:
    files = SERVER.write(tmp_path)
    good = files.current()
    changes = [
        (Party("natreg").identity().certificate_pem, "is for another key than the TLS key"),
        (b"not a certificate", "natreg.crt cannot be used: it is not a PEM certificate"),
    ]
    for content, expected in changes:
        (tmp_path / "natreg.crt").write_bytes(content)
        assert files.current() is good
        assert expected in str(files.problem)
    (tmp_path / "natreg.crt").unlink()
    assert files.current() is good
    assert "cannot be read: No such file" in str(files.problem)
    replace(tmp_path, SERVER.identity(end=NOW + 30 * DAY))
    assert files.current().certificate.not_valid_after_utc == NOW + 30 * DAY
    assert files.problem is None


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    SERVER.write(tmp_path)
    (tmp_path / "natreg.key").chmod(0o644)
    with pytest.raises(CertificateError, match=r"open to others \(mode 0644\)"):
        TlsFiles(tmp_path / "natreg.key", tmp_path / "natreg.crt")


def test_a_client_takes_long_answers_and_sends_no_longer_calls(tmp_path: Path) -> None:
    with (
        serving(SERVER.write(tmp_path), lambda: EVERYBODY) as address,
        open_channel(destination(address, CLIENT.identity())) as channel,
    ):
        give: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/Sizes/Give")
        assert len(give(b"%d" % (3 * CALL_BYTES_MAX), timeout=60)) == 3 * CALL_BYTES_MAX
        with pytest.raises(grpc.RpcError) as refusal:
            give(b"1" + b" " * CALL_BYTES_MAX, timeout=60)
        assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_nodes_take_no_long_messages_from_each_other(tmp_path: Path) -> None:
    with serving(SERVER.write(tmp_path), lambda: EVERYBODY) as address:
        credentials = client_credentials(destination(address, CLIENT.identity()))
        with grpc.secure_channel(address, credentials, client_options("natreg")) as channel:
            give: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/Sizes/Give")
            assert len(give(b"1000", timeout=60)) == 1000
            with pytest.raises(grpc.RpcError) as refusal:
                give(b"%d" % (CALL_BYTES_MAX + 1), timeout=60)
            assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_port_is_never_shared(tmp_path: Path) -> None:
    files = SERVER.write(tmp_path)
    with serving(files, lambda: EVERYBODY) as address:
        second = grpc.server(futures.ThreadPoolExecutor(1), options=server_options())
        with pytest.raises(RuntimeError, match="Failed to bind"):
            second.add_secure_port(address, server_credentials(files, lambda: EVERYBODY))


def test_nobody_to_trust_is_refused_at_start(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match="no client could connect"):
        server_credentials(SERVER.write(tmp_path), lambda: build_trust(NETWORK, []))
    with pytest.raises(CertificateError, match="no TLS key of natreg is known"):
        client_credentials(destination("127.0.0.1:1", None, trust(OTHER)))


def test_an_identity_prints_its_subject_and_no_key() -> None:
    assert repr(SERVER.identity()) == "TlsIdentity(CN=natreg)"
    assert isinstance(SERVER.pin, PinnedKey)
