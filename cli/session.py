"""One run of a command: which node it talks to and for whom, opened only when the command asks for it.

Signing and sending changes is in `writing`; what is printed, in `output`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    import grpc

    from keeling.v1.ledger_pb2_grpc import LedgerStub
    from keeling.v1.log_pb2_grpc import LogStub
    from network.profiles import Profile
    from network.transport import Destination

Request = TypeVar("Request")
Response = TypeVar("Response")

READ_DEADLINE_MS: Final = 30_000
PAGE_SIZE: Final = 1_000
STATE_VARIABLE: Final = "XDG_STATE_HOME"


class Session:
    """Everything a command may need of the outside. Nothing is opened before it is used."""

    def __init__(self, profile_name: str | None = None, deadline_ms: int = READ_DEADLINE_MS) -> None:
        self.profile_name: Final = profile_name
        self.deadline_ms: Final = deadline_ms

    @cached_property
    def profile(self) -> Profile:
        """The chosen profile; `ProfileError` says how to get one."""
        from network.profiles import choose_profile, find_home

        return choose_profile(find_home(), self.profile_name)

    @cached_property
    def passphrase(self) -> str | None:
        """What opens encrypted keys, from the environment."""
        from network.keys import read_passphrase

        return read_passphrase()

    @cached_property
    def destination(self) -> Destination:
        from network.profiles import open_destination

        return open_destination(self.profile, self.passphrase)

    @cached_property
    def channel(self) -> grpc.Channel:
        from network.transport import open_channel

        return open_channel(self.destination)

    @cached_property
    def ledger(self) -> LedgerStub:
        from keeling.v1.ledger_pb2_grpc import LedgerStub

        return LedgerStub(self.channel)

    @cached_property
    def log(self) -> LogStub:
        from keeling.v1.log_pb2_grpc import LogStub

        return LogStub(self.channel)

    @cached_property
    def network(self) -> bytes:
        """The network's id: SHA-256 of the profile's genesis file."""
        return hashlib.sha256(self.profile.genesis.expanduser().read_bytes()).digest()

    def ask(self, method: Callable[..., Response], request: Any) -> Response:
        """Make a call that changes nothing; raise `Failed` in one readable line otherwise."""
        import grpc

        try:
            return method(request, timeout=self.deadline_ms / 1000)
        except grpc.RpcError as error:
            from cli.failures import explain_read

            raise explain_read(error, self.destination) from error

    def ask_pages(self, method: Callable[..., Response], request: Any) -> Iterator[Response]:
        """Make a list call again and again until its last page."""
        request.page_size = request.page_size or PAGE_SIZE
        while True:
            page: Any = self.ask(method, request)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def ask_stream(self, method: Callable[..., Any], request: Any, deadline_ms: int | None = None) -> Iterator[Any]:
        """Read a stream to its end; without a deadline for as long as it lasts."""
        import grpc

        try:
            yield from method(request, timeout=None if deadline_ms is None else deadline_ms / 1000)
        except grpc.RpcError as error:
            from cli.failures import explain_read

            raise explain_read(error, self.destination) from error

    def close(self) -> None:
        """Let go of the connection, if there was one."""
        if "channel" in self.__dict__:
            self.channel.close()


def find_state_folder() -> Path:
    """Return where the command keeps its own notes: `$KEELING_HOME`, or `keeling` in the user's state folder (XDG)."""
    home = os.environ.get("KEELING_HOME")
    if home:
        return Path(home).expanduser().absolute()
    chosen = os.environ.get(STATE_VARIABLE)
    return (Path(chosen) if chosen else Path.home() / ".local" / "state") / "keeling"
