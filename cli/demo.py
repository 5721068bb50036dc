"""`make demo`: the main job, told as it is typed, against real nodes on this machine.

A registry's node is started, a sample export is loaded, units are traded against cash, held, retired on the registry's
word on other serials than were held, taken back, proved and verified offline, and a forger is caught. Every line that
starts with `$` is a command that was really run; the story checks each exit code and stops where one is not as told.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Final

# Loaded here once, before anything is forked: importing them is most of what a short command does.
import grpc_status.rpc_status
import nacl.bindings
import rich.table

import keeling.v1.ledger_pb2_grpc
import keeling.v1.log_pb2_grpc
import network.transport
from adapters import registry
from cli import demo_network, importing
from cli.demo_hub import tell_ghost
from cli.main import main as run_keeling
from network.ports import find_ports

LOADED: Final = (grpc_status, nacl, rich, keeling, network, registry, importing)
ROOT: Final = Path(__file__).parent.parent
SAMPLE: Final = ROOT / "docs" / "samples" / "verra-sample.csv"
SERIALS: Final = "30001-2100000001-2100060000-VCS-VCU-9001-VER-KE-14-90001-01012024-31122024-1"
USED: Final = "30001-2100060001-2100066000-VCS-VCU-9001-VER-KE-14-90001-01012024-31122024-1"
LATER: Final = "30001-2100060001-2100085000-VCS-VCU-9001-VER-KE-14-90001-01012024-31122024-1"
HOLD: Final = "019a0000-0000-7000-8000-0000000000a1"
SECOND_HOLD: Final = "019a0000-0000-7000-8000-0000000000a2"
START_S: Final = 30.0
PATIENCE_S: Final = 150.0
"""How long something that must come about may take on a machine that is busy with other things."""
HOLD_S: Final = 6
FOLLOW_S: Final = 0.2
LINES_SHOWN: Final = 14


class StoryBroken(Exception):
    """A command ended otherwise than the story says."""


class Stage:
    """A folder of its own, one node, and the commands typed in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "KEELING_HOME": str(folder / "home"), "COLUMNS": "150", "NO_COLOR": "1"}
        self.environment.pop("KEELING_PASSPHRASE", None)
        self.node: subprocess.Popen[str] | None = None

    def run(self, *words: str, expect: int = 0, show: bool = True) -> str:
        """Type a command; it must end with the exit code `expect`. Returns what it printed."""
        if show:
            print(f"$ keeling {' '.join(_quote(word) for word in words)}")
        code, said = self._process(words)
        if show:
            _show(said)
        if code != expect:
            raise StoryBroken(f"keeling {words[0]} ended with {code}, not {expect}:\n{said}")
        return said

    def _process(self, words: Sequence[str]) -> tuple[int, str]:
        """A process of its own for the command, forked with everything loaded so that the story does not drag."""
        with tempfile.TemporaryFile() as printed:
            command = multiprocessing.get_context("fork").Process(
                target=_be_keeling, args=(words, self.folder, self.environment, printed.fileno())
            )
            command.start()
            command.join()
            printed.seek(0)
            return command.exitcode or 0, printed.read().decode("utf-8", "replace").strip()

    def start_node(self) -> None:
        print("$ keeling node run natreg &")
        self.node = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "node", "run", "natreg"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        deadline = time.monotonic() + START_S
        line = self.node.stdout.readline() if self.node.stdout else ""
        if not line.startswith("serving") or time.monotonic() > deadline:
            raise StoryBroken(f"the node did not start: {line!r}")
        _show(line.strip())

    def title(self, text: str) -> None:
        """A new act."""
        _title(text)

    def say(self, text: str) -> None:
        """What happens that is no command."""
        print(f"    ({text})")

    def broken(self, text: str) -> StoryBroken:
        """The story cannot go on."""
        return StoryBroken(text)

    def free_ports(self, wanted: int) -> int:
        """The first of so many ports beside each other that nobody uses."""
        return find_ports(wanted)[0]

    def wait_output(self, wanted: str, *words: str) -> None:
        """Ask again until a command says something."""
        self._wait(lambda: wanted in self._process(words)[1], f"{' '.join(words)} never said {wanted!r}")

    def wait_witness(self, lie: str, names: Sequence[str], is_past: Callable[[], bool] = lambda: False) -> str:
        """Wait until one of the nodes can prove a lie; returns whose node. Empty: it is past, and none can."""
        found: list[str] = []

        def is_over() -> bool:
            past = is_past()
            asked = (name for name in names if lie in self._process(("log", "evidence", "--profile", name))[1])
            found.extend(asked)
            return bool(found) or past

        self._wait(is_over, f"nobody can prove that somebody {lie}")
        return found[0] if found else ""

    def read_epoch(self, file: str, names: Sequence[str]) -> int:
        """The oldest epoch that one of these nodes of a network is in, once all of them have said."""
        found: list[int] = []

        def have_said() -> bool:
            facts = json.loads(self._process(("network", "status", file, "--json"))[1])
            said = [each["status"]["epoch"] for each in facts["nodes"] if each["id"] in names and "status" in each]
            found[:] = map(int, said)
            return len(found) == len(names)

        self._wait(have_said, f"{', '.join(names)} never all said in which epoch they are")
        return min(found)

    def wait_level(self, file: str, names: Sequence[str]) -> None:
        """Wait until these nodes of a network are at one height."""

        def are_level() -> bool:
            facts = json.loads(self._process(("network", "status", file, "--json"))[1])
            heights = {each["id"]: each.get("status", {}).get("height") for each in facts["nodes"]}
            return len({heights[name] for name in names}) == 1 and heights[names[0]] is not None

        self._wait(are_level, f"{', '.join(names)} never were at one height")

    def _wait(self, is_done: Callable[[], bool], complaint: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not is_done():
            if time.monotonic() > deadline:
                raise StoryBroken(complaint)

    def stop_node(self) -> None:
        """Ask the node to stop, if one runs."""
        if self.node is not None:
            self.node.terminate()
            self.node.wait(timeout=START_S)


def _be_keeling(words: Sequence[str], folder: Path, environment: dict[str, str], output: int) -> None:
    """The forked process: the `keeling` command with these words, in this folder, printing there."""
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["keeling", *words]
    run_keeling()


def _quote(word: str) -> str:
    return f'"{word}"' if " " in word or not word else word


def _show(text: str) -> None:
    lines = text.split("\n")
    for line in lines[:LINES_SHOWN]:
        print(f"    {line.rstrip()}")
    if len(lines) > LINES_SHOWN:
        print(f"    ... {len(lines) - LINES_SHOWN} lines more")


def _title(text: str) -> None:
    print(f"\n--- {text}\n", flush=True)


def found_network(stage: Stage) -> None:
    _title("A national registry founds a ledger: one validator, its keys, its genesis file")
    address = f"127.0.0.1:{find_ports()[0]}"
    stage.run("init", "natreg", "--name", "National registry", "--listen", address, "--metrics", "")
    stage.start_node()
    stage.run("status")
    _title("Two corporate groups join, each with a key of its own")
    for name, title in (("acme", "Acme Group"), ("globex", "Globex Group")):
        stage.run("key", "new", f"{name}.key", "--participant", name, "--person", "p1", show=False)
        stage.run("participant", "admit", name, "--name", title, "--role", "group", "--key", f"{name}.key")
        stage.run("account", "open", f"{name}/main", "--owner", name, "--as", f"{name}.key")


def load_export(stage: Stage) -> None:
    _title("Verra's public export, as it is downloaded: read first, then loaded, then loaded again")
    shutil.copy(SAMPLE, stage.folder / "export.csv")
    stage.run("import", "export.csv", "--registry", "verra", "--dry-run")
    stage.run("import", "export.csv", "--registry", "verra")
    stage.run("import", "export.csv", "--registry", "verra")
    stage.run("batch", "list")
    _title("Acme claims its units at Verra: its signature, and the registry desk's, on the evidence")
    (stage.folder / "statement.txt").write_text("Account statement 1234 of the registry, kept by the registry desk.\n")
    claim = ["--claim", SERIALS, "--claim", LATER, "--evidence", "statement.txt"]
    account = ["--registry", "verra", "--registry-account", "1234", "--hub", "natreg", "--control", "custody"]
    stage.run("account", "link", "acme/main", *account, *claim, "--as", "acme.key", "--build", "claim.tx")
    stage.run("tx", "submit", "claim.tx", "--as", "acme.key", expect=5)
    stage.run("tx", "sign", "claim.tx", "--as", "natreg/keys/submission.key")
    stage.run("tx", "submit", "claim.tx", "--as", "acme.key")
    stage.run("account", "link", "globex/main", *account, "--as", "globex.key", show=False)


def trade(stage: Stage) -> None:
    _title("Globex buys 20,000 units for 17,000,000.00 INR: units and money move together, or not at all")
    stage.run("cash", "issue", "globex/main", "16,999,999.99", "INR@natreg")
    legs = ["--from", "acme/main", "--to", "globex/main", "--positions", "verra:30001:2100000001-2100020000"]
    price = ["--cash", "17,000,000.00", "INR@natreg"]
    stage.run("transfer", *legs, *price, "--as", "acme.key", "--build", "short.tx", show=False)
    stage.run("tx", "sign", "short.tx", "--as", "globex.key", show=False)
    stage.run("tx", "submit", "short.tx", "--as", "acme.key", expect=1)
    stage.run("cash", "issue", "globex/main", "0.01", "INR@natreg")
    stage.run("transfer", *legs, *price, "--as", "acme.key", "--build", "trade.tx")
    stage.run("tx", "sign", "trade.tx", "--as", "globex.key")
    stage.run("tx", "submit", "trade.tx", "--as", "acme.key")
    stage.run("available")


def retire_at_registry(stage: Stage) -> None:
    _title("Acme retires 10,000 units. They live at Verra, so the ledger will not simply say so")
    stage.run("retire", "10,000", "--from", "acme/main", "--as", "acme.key", expect=1)
    place = ["--account", "acme/main", "--purpose", "retire", "--expires", f"{HOLD_S}s", "--as", "acme.key"]
    held = ["--positions", "verra:30001:2100020001-2100030000"]
    expires = time.time() + HOLD_S + 1
    stage.run("hold", "place", *held, *place, "--hold", HOLD)
    _title("The hub records that it is about to instruct Verra. From here on no clock ends the hold")
    stage.run("hold", "dispatch", HOLD, "--instruction", "ab" * 32)
    stage.run("hold", "place", *held, *place, "--hold", SECOND_HOLD, expect=1)
    print(f"    (the {HOLD_S} s of the hold pass)")
    while time.time() < expires:
        time.sleep(0.1)
    stage.run("hold", "show", HOLD)
    stage.run("release", HOLD, "--reason", "no answer", expect=1)
    _title("Verra retires 6,000, of other serials than were held, and refuses the rest: the ledger follows its word")
    (stage.folder / "answer.json").write_text('{"retired": 6000, "reference": "RET-2026-118"}\n')
    used = ["--serials", USED, "--evidence", "answer.json", "--reference", "RET-2026-118", "--grade", "B"]
    stage.run("capture", HOLD, *used, "--as", "acme.key", expect=1)
    stage.run("capture", HOLD, *used)
    stage.run("release", HOLD, "--reason", "refused by Verra", "--evidence", "answer.json", "--grade", "B")
    stage.run("available", "--account", "acme/main")


def take_back(stage: Stage) -> None:
    _title("Verra undoes 6,000: on its word the units are free again, and the claim is marked withdrawn")
    events = stage.run("events", "--json", show=False)
    ended = next(event for event in _events(events) if event["kind"] == "RETIRED")
    place = str(ended["place"])
    said = ["--reason", "retired for the wrong client", "--evidence", "answer.json", "--reference", "RET-2026-118/R"]
    stage.run("reverse", place, *said)
    stage.run("lot", "find", USED)


def _events(text: str) -> list[dict[str, object]]:
    """The events in what `keeling events --json` printed: one document, or one for each line."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError:
        return [json.loads(line) for line in text.split("\n") if line]
    found: list[dict[str, object]] = document["events"]
    return found


def audit(stage: Stage) -> None:
    _title("An auditor on another machine has the genesis file and a bundle, and trusts nobody")
    stage.run("log", "checkpoint")
    stage.run("log", "export", "-o", "whole.bundle")
    stage.run("log", "export", "--account", "acme/main", "-o", "acme.bundle")
    stage.stop_node()
    print("    (the node is stopped)")
    stage.run("audit", "verify", "whole.bundle", "--genesis", "natreg/genesis", "--replay")
    stage.run("audit", "verify", "acme.bundle", "--genesis", "natreg/genesis")
    _title("Somebody changes one bit of history")
    data = bytearray((stage.folder / "whole.bundle").read_bytes())
    at = data.find(b"RET-2026-118")
    data[at] ^= 1
    (stage.folder / "forged.bundle").write_bytes(bytes(data))
    stage.run("audit", "verify", "forged.bundle", "--genesis", "natreg/genesis", expect=4)


ACTS: Final = (found_network, load_export, trade, retire_at_registry, take_back, audit)


def tell_one(folder: Path) -> None:
    """The ledger of one registry."""
    stage = Stage(folder)
    try:
        for act in ACTS:
            act(stage)
    finally:
        stage.stop_node()


def tell_four(folder: Path) -> None:
    """The ledger of four organisations."""
    stage = Stage(folder)
    try:
        for act in demo_network.ACTS:
            act(stage)
    finally:
        if (folder / demo_network.FILE).exists():
            stage.run("network", "down", demo_network.FILE, show=False)


def tell_hub(_folder: Path) -> None:
    """The ledger and registries that are a day behind. Last: nothing is forked after its calls."""
    _title("What it is for: a unit is sold, and its registry hears of it a day later")
    if not tell_ghost():
        raise StoryBroken("ledger and registry disagreed")


STORIES: Final = {"one": tell_one, "four": tell_four, "hub": tell_hub}


def tell(story: str) -> int:
    """Tell one story in a folder of its own; 0 when every command ended as told."""
    with tempfile.TemporaryDirectory(prefix="keeling-demo-") as name:
        try:
            STORIES[story](Path(name))
        except StoryBroken as broken:
            print(f"\nthe demo broke: {broken}", file=sys.stderr, flush=True)
            return 1
    return 0


def main(arguments: Sequence[str] = ()) -> int:
    """Tell the stories that are named, or all; 0 when every command ended as told.

    The four organisations wait for each other more than they compute, so their story is told by a process of its own
    meanwhile, and printed when its turn comes.
    """
    if arguments:
        return max(tell(story) for story in arguments)
    began = time.monotonic()
    with tempfile.TemporaryFile() as printed:
        command = [sys.executable, "-m", "cli.demo", "four"]
        with subprocess.Popen(command, stdout=printed, stderr=subprocess.STDOUT, cwd=ROOT) as four:
            code = tell("one")
            _follow(four, printed)
    code = max(code, four.returncode, tell("hub"))
    if not code:
        print(f"\nDone in {time.monotonic() - began:.0f} s. Everything above was real; nothing is left running.")
    return code


def _follow(process: subprocess.Popen[bytes], printed: BinaryIO) -> None:
    """Print what the process has said, and goes on to say, until it ends."""
    at, is_over = 0, False
    while not is_over:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(FOLLOW_S)
            is_over = True
        said = os.pread(printed.fileno(), 1 << 20, at)
        at += len(said)
        sys.stdout.write(said.decode("utf-8", "replace"))
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
