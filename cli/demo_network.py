"""The second half of `make demo`: four organisations and one ledger, one of them killed, and one that lies.

Four real nodes in processes of their own. The liar's programs are in `docs/samples/liars`; what they do is found out by
the others' nodes as they are, and the proofs are checked with nothing but the genesis file.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cli.demo import Stage

LIARS: Final = Path(__file__).parent.parent / "docs" / "samples" / "liars"
FILE: Final = "four.toml"
TRIES: Final = 3
"""How often Power tries to show another log before the others have left it."""


def four_organisations(stage: Stage) -> None:
    """A network of four, whose nodes agree."""
    stage.title("Four organisations run one ledger: each a node of its own, none trusted by the others")
    who = ["natreg:registry,bank=National registry", "acme:group=Acme", "audit:auditor=Auditor", "power:exchange=Power"]
    words = [word for each in who for word in ("--organisation", each)]
    stage.run("network", "new", FILE, *words, "--port", str(stage.free_ports(len(who))))
    stage.run("network", "up", FILE)
    for name in ("acme", "power"):
        stage.run("account", "open", f"{name}/main", "--owner", name, "--profile", name)
    stage.run("cash", "issue", "power/main", "100.00", "INR@natreg", "--profile", "natreg")
    stage.run("network", "status", FILE)


def one_is_killed(stage: Stage) -> None:
    """Three go on, and the fourth catches up."""
    stage.title("The auditor's node is killed. Three of four decide; it catches up when it is back")
    process = int((stage.folder / "four" / "audit" / "lock").read_text())
    os.kill(process, signal.SIGKILL)
    stage.say(f"kill -9 {process}")
    _pay(stage, "1.00")
    stage.run("network", "status", FILE)
    stage.run("network", "up", FILE)
    stage.wait_level(FILE, ("natreg", "acme", "audit", "power"))
    stage.run("network", "status", FILE)


def an_engine_shows_two_logs(stage: Stage) -> None:
    """The host of the ordering log changes what it showed."""
    stage.title("The ordering log moves to Power's machine, and Power changes what stands in it")
    witness = next(filter(None, (_show_two_logs(stage) for _ in range(TRIES))), "")
    if not witness:
        raise stage.broken("whenever Power was back, the others had left its log")
    stage.run("log", "evidence", "--profile", witness, "-o", "engine.evidence")
    stage.run("network", "reseed", FILE)
    _pay(stage, "4.00")
    stage.say("nothing final is lost: the others left that log for a new one, and offered again what it lacked")


def _show_two_logs(stage: Stage) -> str:
    """Whose node can prove it. Empty: they left its log for a new epoch before they saw the other one, as they should
    when they do not reach it for long. So they are paused while Power is away: machines are slow at times."""
    names = ("natreg", "acme", "audit")
    before = stage.read_epoch(FILE, names)
    stage.run("network", "reseed", FILE, "--host", "power")
    _pay(stage, "2.00")
    _pay(stage, "3.00")
    stage.say("the others' nodes are paused while Power's is away: they would leave a log they do not reach for long")
    with _paused(stage, names):
        stage.run("network", "down", FILE, "--only", "power", show=False)
        _run_liar(stage, "rewrite_log.py", "four/power")
        stage.run("network", "up", FILE, show=False)
    return stage.wait_witness("showed two ordering logs", names, lambda: stage.read_epoch(FILE, names) > before + 1)


def one_rewrites_its_store(stage: Stage) -> None:
    """A node whose state was changed by hand finds itself out, and anybody who audits it finds the place."""
    stage.title("Power makes itself rich: it rewrites the balances in its own store, and spends")
    stage.run("network", "down", FILE, "--only", "power", show=False)
    _run_liar(stage, "rewrite_store.py", "four/power")
    stage.run("audit", "state", "four/power", "--genesis", "four/natreg/genesis", expect=4)
    stage.run("network", "up", FILE, show=False)
    stage.wait_level(FILE, ("natreg", "acme", "audit", "power"))
    stage.run(
        *("cash", "redeem", "power/main", "500.00", "INR@natreg", "--build", "payout.tx"),
        *("--as", "four/power/keys/submission.key", "--profile", "natreg"),
    )
    stage.run("tx", "sign", "payout.tx", "--as", "four/natreg/keys/submission.key")
    stage.run("tx", "submit", "payout.tx", "--as", "four/power/keys/submission.key", "--profile", "natreg", expect=1)
    stage.wait_output("DIVERGED", "network", "status", FILE)
    stage.run("network", "status", FILE)


def one_signs_two_histories(stage: Stage) -> None:
    """Two votes of one key are a proof that needs no witness."""
    stage.title("Power signs two histories: it votes for two blocks at one height")
    stage.run("network", "down", FILE, "--only", "power", show=False)
    _run_liar(stage, "vote_twice.py", "four/power", "natreg")
    witness = stage.wait_witness("gave two different VOTEs", ("natreg",))
    stage.run("log", "evidence", "--profile", witness, "-o", "power.evidence")
    stage.run("audit", "evidence", "power.evidence", "--genesis", "four/acme/genesis")
    _pay(stage, "5.00")
    stage.run("network", "status", FILE)
    stage.run("network", "down", FILE)


@contextmanager
def _paused(stage: Stage, names: Sequence[str]) -> Iterator[None]:
    """Nodes do nothing meanwhile."""
    processes = [int((stage.folder / "four" / name / "lock").read_text()) for name in names]
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


def _pay(stage: Stage, amount: str) -> None:
    words = ["cash", "issue", "acme/main", amount, "INR@natreg", "--profile", "natreg"]
    stage.run(*words)


def _run_liar(stage: Stage, program: str, *arguments: str) -> None:
    command = [sys.executable, str(LIARS / program), *arguments]
    ended = subprocess.run(
        command, cwd=stage.folder, env=stage.environment, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise stage.broken(f"{program} ended with {ended.returncode}:\n{ended.stderr}")
    stage.say(ended.stdout.strip())


ACTS: Final = (
    four_organisations,
    one_is_killed,
    an_engine_shows_two_logs,
    one_rewrites_its_store,
    one_signs_two_histories,
)
