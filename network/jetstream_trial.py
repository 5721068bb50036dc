"""Three NATS servers beside a trial network on one machine: made with it, started before its nodes, stopped after them.

What a server is told is in `network.jetstream_servers`. All secrets are on one machine here; a network of several
organisations sets its cluster up as docs/jetstream.md says.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from network.certificates import create_tls_key, encode_public_key, issue_certificate, parse_tls_key
from network.config import OrderingConfig, load_config
from network.files import read_private_file, write_new_file
from network.folders import NodeFolder, set_ordering
from network.jetstream_servers import (
    PID,
    ServerPlace,
    ServersError,
    ServerTls,
    create_nkey,
    format_server,
    is_healthy,
    start_server,
    wait_ready,
)
from network.ports import find_ports
from network.trust import build_roots

SERVERS: Final = 3
STOP_S: Final = 20.0
POLL_S: Final = 0.05


def servers_folder(nodes: Path) -> Path:
    """Where the servers of a trial lie: beside the folder of its nodes."""
    return nodes.with_name(f"{nodes.name}-jetstream")


def prepare_servers(nodes: Path, participants: Sequence[str], now: datetime, passphrase: str | None) -> None:
    """Make folders, keys and configuration of the servers, which the first participant runs, and tell every node."""
    root = servers_folder(nodes)
    root.mkdir(mode=0o700)
    folders = {name: NodeFolder(nodes / name) for name in participants}
    configs = {name: load_config(folder.config, {}) for name, folder in folders.items()}
    first = configs[participants[0]]
    keys = {
        name: parse_tls_key(read_private_file(config.tls.key, "TLS key"), passphrase, name=f"the TLS key of {name}")
        for name, config in configs.items()
    }
    tls = ServerTls(root / "server.key", root / "server.pem", root / "anchors.pem")
    own = create_tls_key(tls.key)
    certificate = issue_certificate(
        keys[first.participant],
        network=first.origin,
        participant=first.participant,
        now=now,
        hosts=("127.0.0.1", "localhost"),
        public_key=own.public_key(),
    )
    write_new_file(tls.certificate, certificate)
    write_new_file(tls.anchors, build_roots(tuple(encode_public_key(key) for key in keys.values())))
    members = {name: create_nkey(config.ordering.nkey) for name, config in configs.items()}
    ports = find_ports(3 * SERVERS)
    places = [
        ServerPlace(f"nats-{at + 1}", root / f"nats-{at + 1}", *ports[3 * at : 3 * at + 3]) for at in range(SERVERS)
    ]
    for place in places:
        place.folder.mkdir()
        text = format_server(place, places, tls, members, first.participant)
        write_new_file(place.folder / "server.conf", text.encode("utf-8"))
    written = [{**place._asdict(), "folder": place.folder.name} for place in places]
    write_new_file(root / "servers.json", (json.dumps(written, indent=1) + "\n").encode("utf-8"))
    ordering = OrderingConfig(
        engine="jetstream",
        servers=",".join(place.url for place in places),
        monitoring=",".join(place.monitoring for place in places),
    )
    for name, folder in folders.items():
        set_ordering(folder, ordering.model_copy(update={"deletes": name == first.participant}))


def read_places(nodes: Path) -> list[ServerPlace]:
    """The servers of a trial; raises `ServersError` if none were made."""
    root = servers_folder(nodes)
    try:
        rows = json.loads((root / "servers.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ServersError(f"{root} has no servers: were the nodes made with another ordering?") from error
    return [ServerPlace(**{**row, "folder": root / row["folder"]}) for row in rows]


def start_servers(nodes: Path) -> list[str]:
    """Start the servers that do not run, and wait until all are ready; the names of those started."""
    places = read_places(nodes)
    started = [place for place in places if not is_healthy(place) and _find_process(place) is None]
    for place in started:
        start_server(place)
    wait_ready(places)
    return [place.name for place in started]


def stop_servers(nodes: Path) -> list[str]:
    """Stop the servers that run; their names. Raises `ServersError` for one that does not stop."""
    running = [(place, process) for place in read_places(nodes) if (process := _find_process(place)) is not None]
    for _, process in running:
        os.kill(process, signal.SIGTERM)
    deadline = time.monotonic() + STOP_S
    for place, process in running:
        while _find_process(place) is not None:
            if time.monotonic() > deadline:
                raise ServersError(f"{place.name}, process {process}, does not stop: see {place.folder / 'server.log'}")
            time.sleep(POLL_S)
    return [place.name for place, _ in running]


def _find_process(place: ServerPlace) -> int | None:
    """The process of the server, if the one its file names is a server with this configuration."""
    try:
        process = int((place.folder / PID).read_text("ascii"))
        command = Path(f"/proc/{process}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return process if str(place.folder / "server.conf").encode() in command.split(b"\x00") else None
