"""What docs/hub.md and docs/article6.md print, typed as it stands: commands here, node and hubs as their own processes.

Only ports differ, because tests run beside each other. Waiting is watching the ledger's events.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hub.ledger_client import LedgerClient
from hub.service.config import load_config
from hub.service.running import open_ledger
from network.ports import find_ports
from tests.cli.command_line import Ended, Keeling
from tests.cli.running_node import START_S, RunningNode

PAGE = Path(__file__).parents[2] / "docs" / "hub.md"
WAIT_S = 120.0


def read_blocks(page: Path = PAGE, section: str = "A hub of your own") -> list[str]:
    """The shell blocks of a section of a page, in order."""
    text = page.read_text("utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


def split_statements(block: str) -> list[str]:
    """One statement for each line, here-documents in one piece."""
    statements: list[str] = []
    lines = iter(block.splitlines())
    for line in lines:
        statement = line
        if line.endswith("<<'EOF'"):
            for more in lines:
                statement += f"\n{more}"
                if more == "EOF":
                    break
        statements.append(statement)
    return [each for each in statements if each.strip()]


def ports_for_pages() -> dict[str, str]:
    """Free ports for those on the pages: two beside each other for the sandboxes, one for each hub."""
    return dict(zip(("7490", "7491", "7480", "7481"), map(str, find_ports(4)), strict=True))


class HubProcess:
    """`keeling hub run FILE` as a process."""

    def __init__(self, keeling: Keeling, file: str) -> None:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("KEELING_")}
        self.log = keeling.root / "hub.err"
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from cli.main import main; main()", "hub", "run", file],
            cwd=keeling.root,
            stdout=subprocess.PIPE,
            stderr=self.log.open("ab"),
            text=True,
            env={**environment, "KEELING_HOME": str(keeling.home)},
        )
        guard = threading.Timer(START_S, self.process.kill)
        guard.start()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        guard.cancel()
        if not line.startswith("serving"):
            raise AssertionError(f"the hub did not start: {line}{self.log.read_text()[-2000:]}")
        self.address = line.split(" at ")[1].split(",")[0].strip()

    def kill(self) -> None:
        """SIGKILL: nothing is written any more."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """As an operator does it; returns the exit code."""
        self.process.terminate()
        try:
            return self.process.wait(START_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


class HubStage:
    """A folder in which the page is typed."""

    def __init__(self, keeling: Keeling) -> None:
        self.keeling = keeling
        self.ports = ports_for_pages()
        self.said: dict[str, Ended] = {}
        """What each `keeling` line of the page ended with, by the line as printed."""
        self.node: RunningNode | None = None
        self.hub: HubProcess | None = None
        """The one that was started last."""
        self.hubs: dict[str, HubProcess] = {}
        """The newest of each file."""

    def type(self, block: str, change: Callable[[str], str] = lambda line: line) -> None:
        """Type a block of the page; every command must succeed. `change`: what this test writes otherwise."""
        for statement in split_statements(block):
            line = self.place(change(statement))
            if line.startswith("keeling node run"):
                self.node = RunningNode(self.keeling.root / shlex.split(line)[3])
                self.keeling.point_to(self.node.address)
            elif line.startswith("keeling hub run"):
                self.start_hub(shlex.split(line)[3])
            elif line.startswith("keeling "):
                words = shlex.split(line)[1:]
                words += ["--listen", "127.0.0.1:0", "--metrics", ""] if words[0] == "init" else []
                self.said[statement] = self.keeling.must(*words)
            else:
                subprocess.run(["sh", "-e", "-c", line], cwd=self.keeling.root, check=True)

    def place(self, text: str) -> str:
        """The text with this test's ports."""
        return re.sub(r"\b(7480|7481|7490|7491)\b", lambda found: self.ports[found[0]], text)

    def start_hub(self, file: str = "group.toml") -> HubProcess:
        self.hub = HubProcess(self.keeling, file)
        self.hubs[file] = self.hub
        return self.hub

    def admin(self, registry: str, path: str, body: Any = None) -> Any:
        """Ask the admin side of a sandbox."""
        port = self.ports["7490" if registry == "puro" else "7491"]
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_admin/{path}", data=data, timeout=WAIT_S) as answer:
            return json.load(answer)

    def wait(self, seen: Callable[[LedgerClient], Any], file: str = "group.toml") -> None:
        """Until the awaitable that `seen` makes is true; asked again after every event of the ledger."""

        async def watch() -> None:
            async with open_ledger(load_config(self.keeling.root / file), None) as ledger:
                height = (await ledger.status()).height
                if await seen(ledger):
                    return
                async for _ in ledger.watch((height, 0)):
                    if await seen(ledger):
                        return

        os.environ["KEELING_HOME"] = str(self.keeling.home)
        try:
            asyncio.run(asyncio.wait_for(watch(), WAIT_S))
        except TimeoutError as error:
            raise AssertionError(self.keeling("hub", "backlog", "--config", file).out) from error
        finally:
            del os.environ["KEELING_HOME"]

    def wait_for_phase(self, hold: str, phase: str, file: str = "group.toml") -> None:
        async def seen(ledger: LedgerClient) -> bool:
            return (await ledger.hold(bytes.fromhex(hold.replace("-", "")))).phase == phase

        self.wait(seen, file)

    def close(self) -> None:
        for hub in self.hubs.values():
            if hub.process.poll() is None:
                hub.kill()
        process = self.keeling.home / "sandboxes" / "running.json"
        self.keeling("hub", "sandbox", "down")
        if process.exists():
            os.waitpid(int(json.loads(process.read_text())["process"]), 0)
        if self.node is not None:
            self.node.stop()
