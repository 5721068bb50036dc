"""Signature workers: right answers, remembered, and no process left behind by a node that was killed."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys

from keeling import ed25519
from node.verify import INLINE_MAX, Verifier

SEED = b"s" * 32
WAIT_S = 120.0
NODE = """
import asyncio, sys, time
from node.verify import Verifier

def main():
    verifier = Verifier(1)
    asyncio.run(verifier.start())
    print(*verifier._pool._processes, flush=True)
    sys.stdin.read()

if __name__ == "__main__":
    main()
"""


def test_answers_come_in_order_and_good_ones_are_remembered() -> None:
    key = ed25519.public_key(SEED)
    messages = [bytes([number]) for number in range(INLINE_MAX * 2)]
    claims = [(key, ed25519.sign(SEED, message), message) for message in messages]
    claims[3] = (key, bytes(64), messages[3])

    async def trial() -> None:
        verifier = Verifier(1)
        try:
            answers = await verifier.check_many(claims)
            assert [at for at, good in enumerate(answers) if not good] == [3]
            assert verifier.check(*claims[0])
            assert not verifier.check(*claims[3])
        finally:
            verifier.close()

    asyncio.run(trial())


def test_workers_end_with_a_node_that_is_killed() -> None:
    node = subprocess.Popen([sys.executable, "-c", NODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert node.stdout is not None
    worker = int(node.stdout.readline())
    watched = os.pidfd_open(worker)
    try:
        node.send_signal(signal.SIGKILL)
        node.wait(WAIT_S)
        ended, _, _ = select.select([watched], [], [], WAIT_S)
        assert ended, f"worker {worker} outlived its node"
    finally:
        os.close(watched)
        node.communicate()
