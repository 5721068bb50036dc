"""Running `keeling` in this process, in a home of its own, and a node that answers as a test says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from typer.testing import CliRunner

from cli.main import build_app
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import ledger_pb2_grpc as rpc
from network.folders import NodeFolder
from network.transport import TlsFiles, server_credentials, server_options
from network.trust import PinnedKey, build_trust

_APP = build_app()


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def facts(self) -> dict[str, Any]:
        """The JSON document it printed."""
        found: dict[str, Any] = json.loads(self.out)
        return found


class Keeling:
    """The command with an environment of its own; commands run in the folder `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "home"

    def __call__(self, *arguments: str | Path) -> Ended:
        environment = {"KEELING_HOME": str(self.home), "KEELING_PASSPHRASE": None, "KEELING_PROFILE": None}
        result = CliRunner().invoke(_APP, [str(each) for each in arguments], env=environment, prog_name="keeling")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ended(result.exit_code, result.stdout, result.stderr)

    def must(self, *arguments: str | Path) -> Ended:
        """`self(...)`, for steps a test builds on."""
        ended = self(*arguments)
        if ended.code:
            raise AssertionError(f"keeling {' '.join(map(str, arguments))}: exit {ended.code}: {ended.err}{ended.out}")
        return ended

    def json(self, *arguments: str | Path) -> dict[str, Any]:
        """The facts of a command that must succeed."""
        return self.must(*arguments, "--json").facts

    def init(self, *arguments: str) -> NodeFolder:
        """A node folder `natreg` on a port that the system will choose."""
        folder = self.root / "natreg"
        self.must("init", folder, "--name", "National registry", "--listen", "127.0.0.1:0", "--metrics", "", *arguments)
        return NodeFolder(folder)

    def point_to(self, address: str) -> None:
        """Let the profile lead to where the node really listens."""
        path = self.home / "profiles.toml"
        text = path.read_text()
        lines = [f'address = "{address}"' if line.startswith("address") else line for line in text.splitlines()]
        path.write_text("\n".join(lines) + "\n")


class Refusing(Exception):
    """Ends a call of the fake node with a status, and with `google.rpc.ErrorInfo` when there is a reason."""

    def __init__(self, status: grpc.StatusCode, text: str, reason: str = "") -> None:
        super().__init__(text)
        self.status, self.text, self.reason = status, text, reason


class FakeLedger(rpc.LedgerServicer):
    """Answers each method with what `answers` holds: a message, an exception, or a function of the request."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, Any]] = []
        self.address = ""

    def _answer(self, method: str, request: Any, context: grpc.ServicerContext) -> Any:
        self.asked.append((method, request))
        found = self.answers[method]
        if isinstance(found, Refusing):
            details = []
            if found.reason:
                detail = any_pb2.Any()
                detail.Pack(error_details_pb2.ErrorInfo(reason=found.reason, domain="keeling"))
                details.append(detail)
            status = status_pb2.Status(code=found.status.value[0], message=found.text, details=details)
            context.abort_with_status(rpc_status.to_status(status))
        return found(request) if callable(found) else found


def _handler(name: str) -> Callable[..., Any]:
    def handle(self: FakeLedger, request: Any, context: grpc.ServicerContext) -> Any:
        return self._answer(name, request, context)

    return handle


METHODS: Sequence[str] = [method.name for method in pb.DESCRIPTOR.services_by_name["Ledger"].methods]
for _name in METHODS:
    setattr(FakeLedger, _name, _handler(_name))


@contextmanager
def fake_node(keeling: Keeling, folder: NodeFolder, answers: Mapping[str, Any] | None = None) -> Iterator[FakeLedger]:
    """Serve a `FakeLedger` under the folder's certificate, and point the profile to it."""
    ledger = FakeLedger()  # type: ignore[abstract]  # the methods are set above
    ledger.answers.update(answers or {})
    files = TlsFiles(folder.tls_key, folder.tls_certificate)
    from network.certificates import encode_public_key

    own = PinnedKey("natreg", encode_public_key(files.current().key))
    trust = build_trust("natreg.keeling.local/ledger", [own])
    server = grpc.server(futures.ThreadPoolExecutor(4), options=server_options())
    rpc.add_LedgerServicer_to_server(ledger, server)
    port = server.add_secure_port("127.0.0.1:0", server_credentials(files, lambda: trust))
    server.start()
    ledger.address = f"127.0.0.1:{port}"
    try:
        keeling.point_to(ledger.address)
        yield ledger
    finally:
        server.stop(None).wait()
