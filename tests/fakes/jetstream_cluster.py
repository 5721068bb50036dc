"""Real NATS servers on loopback for tests, set up as `keeling network up --ordering jetstream` sets them up."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from random import Random

from network.certificates import issue_certificate
from network.jetstream_servers import (
    ServerPlace,
    ServerTls,
    create_nkey,
    format_server,
    start_server,
    wait_ready,
)
from network.transport import TlsIdentity
from network.trust import build_roots
from node.ordering.jetstream import JetStreamEngine, JetStreamSettings
from tests.fakes.ordering_hosts import PARTIES, TRUST
from tests.fakes.real_node import free_port
from tests.network.party import NETWORK as ORIGIN
from tests.network.party import NOW


class JetStreamCluster:
    """Servers that natreg runs for all parties."""

    def __init__(self, folder: Path, servers: int, changes: dict[str, str] | None = None) -> None:
        """`changes` are made to the text of every configuration: wrong settings, for tests."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.places = [
            ServerPlace(f"n{number}", folder / f"n{number}", free_port(), free_port(), free_port())
            for number in range(servers)
        ]
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        party = PARTIES["natreg"]
        pem = issue_certificate(
            party.key, network=ORIGIN, participant="natreg", now=NOW, hosts=("127.0.0.1", "localhost")
        )
        identity = TlsIdentity(party.key, pem)
        tls = ServerTls(folder / "server.key", folder / "server.pem", folder / "anchors.pem")
        self._write(tls.key, identity.key_pem())
        tls.certificate.write_bytes(pem)
        tls.anchors.write_bytes(build_roots(tuple(pin.public_key for pin in TRUST.keys)))
        members = {name: create_nkey(folder / f"{name}.nk") for name in PARTIES}
        for name, party in PARTIES.items():
            own = party.identity()
            self._write(folder / f"{name}.key", own.key_pem())
            (folder / f"{name}.pem").write_bytes(own.certificate_pem)
        for place in self.places:
            place.folder.mkdir()
            text = format_server(place, self.places, tls, members, "natreg")
            if servers == 1:
                text = text[: text.index("cluster {")] + text[text.index("accounts {") :]
            for old, new in (changes or {}).items():
                assert old in text
                text = text.replace(old, new)
            (place.folder / "server.conf").write_text(text)

    @staticmethod
    def _write(path: Path, data: bytes) -> None:
        path.write_bytes(data)
        path.chmod(0o600)

    def start(self, *names: str) -> JetStreamCluster:
        chosen = [place for place in self.places if not names or place.name in names]
        for place in chosen:
            self._processes[place.name] = start_server(place)
        wait_ready(chosen)
        return self

    def kill(self, *names: str) -> None:
        for name in names or list(self._processes):
            process = self._processes.pop(name)
            process.kill()
            process.wait()

    def settings(self, participant: str, places: Sequence[ServerPlace] = ()) -> JetStreamSettings:
        return JetStreamSettings(
            tuple(place.url for place in places or self.places),
            tuple(place.monitoring for place in self.places),
            self.folder / f"{participant}.nk",
            self.folder / f"{participant}.key",
            self.folder / f"{participant}.pem",
            replicas=len(self.places),
            deletes=participant == "natreg",
        )

    def engine(self, participant: str, network: bytes) -> JetStreamEngine:
        return JetStreamEngine(self.settings(participant), network, participant, lambda: TRUST, Random(participant))
