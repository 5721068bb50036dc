"""NATS servers for the ordering log, three on one machine for trials: their configuration, keys and processes.

The settings are those the driver asks of every cluster (`node.ordering.jetstream`, docs/jetstream.md): file storage
that syncs every write, TLS with the participants' own keys, and one nkey for each member that may append and read and
nothing else; that of the one whose node deletes streams of epochs that are over may do that, too. Servers of several
machines are set up by their operators from the same text.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from network.files import write_new_file

READY_S: Final = 30.0
PID: Final = "server.pid"
POLL_S: Final = 0.05
PAYLOAD_BYTES: Final = 8 << 20
"""Eight times the longest entry."""
STORE_BYTES: Final = 1 << 40
"""A bound for the server's accounting; the disk itself is the limit."""


class ServersError(Exception):
    """The servers cannot be made or started; the text says which, and what to do."""


class ServerPlace(NamedTuple):
    """One server: its name, its folder, and its three ports on 127.0.0.1."""

    name: str
    folder: Path
    client: int
    route: int
    monitor: int

    @property
    def url(self) -> str:
        """Where members connect."""
        return f"tls://127.0.0.1:{self.client}"

    @property
    def monitoring(self) -> str:
        """Where its settings are read, without TLS, on this machine only."""
        return f"http://127.0.0.1:{self.monitor}"


class ServerTls(NamedTuple):
    """What a server shows, and whom it lets in: PEM files."""

    key: Path
    certificate: Path
    anchors: Path


def create_nkey(path: Path) -> str:
    """Write a new member's nkey seed to `path` (mode 0600), and return its public key for the servers' configuration.

    Raises `ServersError` where the extra is not installed.
    """
    nkeys = _import_nkeys()
    seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
    write_new_file(path, seed)
    public = nkeys.from_seed(bytearray(seed)).public_key
    return str(public.decode("ascii"))


def format_server(
    place: ServerPlace, cluster: Sequence[ServerPlace], tls: ServerTls, members: Mapping[str, str], deleting: str
) -> str:
    """The configuration file of one server. `members` are nkey public keys by participant; `deleting` may delete."""
    q = json.dumps
    routes = ", ".join(q(f"nats-route://127.0.0.1:{other.route}") for other in cluster if other is not place)
    files = f"cert_file: {q(str(tls.certificate))}, key_file: {q(str(tls.key))}, ca_file: {q(str(tls.anchors))}"
    users = "\n".join(f"    {_format_user(name, nkey, name == deleting)}" for name, nkey in members.items())
    return f"""server_name: {q(place.name)}
pid_file: {q(str(place.folder / PID))}
listen: "127.0.0.1:{place.client}"
http: "127.0.0.1:{place.monitor}"
max_payload: {PAYLOAD_BYTES}
tls {{ {files}, verify: true, timeout: 5 }}
jetstream {{
  store_dir: {q(str(place.folder / "store"))}
  max_file_store: {STORE_BYTES}
  # Nothing is confirmed before it is on disk. The default syncs every two minutes, and the driver refuses it.
  sync_interval: "always"
}}
cluster {{
  name: "keeling-ordering"
  listen: "127.0.0.1:{place.route}"
  routes: [{routes}]
}}
accounts {{
  ORDERING {{
    jetstream: enabled
    users: [
{users}
    ]
  }}
}}
"""


def _format_user(participant: str, nkey: str, deletes: bool) -> str:
    """A member may append, read and look at streams. It may neither delete nor purge, nor read others' answers; one may
    list and delete streams."""
    publish = [
        "keeling.log.>",
        "$JS.API.INFO",
        "$JS.API.STREAM.CREATE.*",
        "$JS.API.STREAM.INFO.*",
        "$JS.API.STREAM.MSG.GET.*",
        "$JS.API.DIRECT.GET.>",
        *(["$JS.API.STREAM.LIST", "$JS.API.STREAM.DELETE.*"] if deletes else []),
    ]
    subscribe = [f"{inbox_prefix(participant)}.>", "keeling.shown.>"]
    permissions = f"publish: {json.dumps(publish)}, subscribe: {json.dumps(subscribe)}"
    return f"{{ nkey: {nkey}, permissions: {{ {permissions} }} }}"


def inbox_prefix(participant: str) -> str:
    """Where a member's answers go; nobody else may listen there."""
    return f"_INBOX_{participant.replace('.', '_')}"


def find_binary() -> str:
    """The NATS server, beside this Python or on the path."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.is_file() else shutil.which("nats-server")
    if found is None:
        raise ServersError("there is no nats-server here: install keeling[jetstream], or give an existing cluster")
    return found


def start_server(place: ServerPlace) -> subprocess.Popen[bytes]:
    """Start the server of `place`, whose configuration is `server.conf` in its folder. It outlives this process."""
    with (place.folder / "server.log").open("ab") as log:
        command = [find_binary(), "-c", str(place.folder / "server.conf")]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def wait_ready(places: Sequence[ServerPlace]) -> None:
    """Return once every server says that it is healthy, JetStream included. Raises `ServersError`."""
    deadline = time.monotonic() + READY_S
    for place in places:
        while not is_healthy(place):
            if time.monotonic() > deadline:
                raise ServersError(
                    f"{place.name} is not ready after {READY_S:.0f} s: see {place.folder / 'server.log'}"
                )
            time.sleep(POLL_S)


def is_healthy(place: ServerPlace) -> bool:
    """Whether the server answers and has its streams."""
    try:
        with urllib.request.urlopen(f"{place.monitoring}/healthz?js-enabled-only=false", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _import_nkeys() -> Any:
    try:
        import nkeys
    except ImportError as error:
        raise ServersError("the nkeys package is missing: install keeling[jetstream]") from error
    return nkeys
