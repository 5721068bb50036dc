"""A gRPC server that answers with what it was sent, in its own process under the same mutual TLS: the limit of calls.

It knows nothing of the ledger; only the round trip to it is of interest. `python -m bench.echo CONFIG` serves until its
input ends.
"""

from __future__ import annotations

import asyncio
import os

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio

from network.certificates import encode_public_key
from network.config import load_config
from network.profiles import choose_profile, open_destination
from network.transport import TlsFiles, open_channel, server_credentials, server_options

METHOD: Final = "/bench.Echo/Unary"
CALL_BYTES: Final = 300
READY: Final = b"ready\n"
CONNECT_S: Final = 20.0


class EchoFailed(Exception):
    """The echo server did not start."""


class _Echo(grpc.GenericRpcHandler):
    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        async def answer(request: bytes, context: object) -> bytes:
            return request

        return grpc.unary_unary_rpc_method_handler(answer)


async def _serve(config_path: Path) -> None:
    config = load_config(config_path)
    tls = TlsFiles(config.tls.key, config.tls.certificate)
    own = encode_public_key(tls.current().key)
    server = grpc.aio.server(options=server_options(config.limits.call_bytes))
    server.add_generic_rpc_handlers([_Echo()])
    server.add_secure_port(config.listen, server_credentials(tls, lambda: config.trust(own)))
    await server.start()
    sys.stdout.buffer.write(READY)
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.buffer.read)
    await server.stop(0)


@contextmanager
def _serving(config_path: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "bench.echo", str(config_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            if process.stdout is None or process.stdout.readline() != READY:
                raise EchoFailed("the echo server did not start; what it said is above")
            yield
        finally:
            process.communicate(timeout=CONNECT_S)


def measure_round_trips(config_path: Path, home: Path, seconds: float) -> list[float]:
    """Seconds of each unary call of 300 bytes, one after the other, after a few to warm up."""
    with _serving(config_path), open_channel(open_destination(choose_profile(home))) as channel:
        grpc.channel_ready_future(channel).result(timeout=CONNECT_S)
        call: Any = channel.unary_unary(METHOD)
        payload, took = bytes(CALL_BYTES), list[float]()
        for _ in range(20):
            call(payload)
        until = time.perf_counter() + seconds
        while not took or time.perf_counter() < until:
            started = time.perf_counter()
            call(payload)
            took.append(time.perf_counter() - started)
        return took


def main(arguments: Sequence[str]) -> int:
    """The process that measuring starts."""
    asyncio.run(_serve(Path(arguments[0])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
