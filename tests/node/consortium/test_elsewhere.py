"""The log of four validators, with an epoch given up and two handovers, replayed in processes of other surroundings.

Hash seed, locale, time zone and optimisation differ; every header and the whole state must not (guarantee G6).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from keeling import ed25519
from keeling.block import parse_header
from keeling.entry import parse_entry
from keeling.genesis import parse_genesis
from node.core.block import Place, execute
from node.core.opening import open_ledger
from node.core.state import State
from node.state_audit import compute_state_digest
from node.store.contract import Family
from tests.fakes.consortium import Consortium
from tests.fakes.world import DictReader
from tests.node.consortium.test_membership import set_validators

ROOT = Path(__file__).parents[3]
ELSEWHERE = [
    {"PYTHONHASHSEED": "1", "TZ": "Pacific/Kiritimati", "LC_ALL": "C.UTF-8"},
    {"PYTHONHASHSEED": "4242", "TZ": "America/St_Johns", "LC_ALL": "tr_TR.UTF-8"},
    {"PYTHONHASHSEED": "99", "TZ": "Asia/Kathmandu", "LC_ALL": "ar_EG.UTF-8", "PYTHONUTF8": "1"},
]


async def live(net: Consortium) -> None:
    """All hand in at once, some more than once; an epoch is given up, one leaves, the others change places."""
    await net.start()
    for name in net.validators:
        await net.do(name, 2)
    for name in ("v0", "v2"):
        await net.nodes[name].reseed(None)
    await net.until(lambda: all(node.chain.outlook.log.epoch == 1 for node in net.nodes.values()))
    await net.do("v3", 3)
    await set_validators(net, "v0", "v1", "v2")
    await net.settled()
    await net.do("v1", 2)
    await set_validators(net, "v2", "v0", "v1")
    await net.settled()
    await net.do("v2", 2)
    await net.settled()
    await net.stop()


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The file of such a log, and what its replay must print."""
    net = Consortium()
    net.run(live(net))
    leaves = net.blocks("v1")
    headers = [parse_header(leaf) for leaf in leaves]
    assert len({header.policy for header in headers}) == 3
    assert len({header.author for header in headers}) == 4
    assert {header.epoch for header in headers} >= {0, 1}
    rows = []
    for header in headers:
        entry = net.stores["v1"].get(Family.BODIES, header.entry)
        assert entry is not None
        rows.append([header.epoch, header.position, entry.hex()])
    path = tmp_path_factory.mktemp("elsewhere") / "log.json"
    path.write_text(json.dumps({"genesis": net.genesis_file.hex(), "entries": rows}), "ascii")
    return path, describe(leaves, net.state("v1"))


def describe(leaves: list[bytes], rows: list[tuple[bytes, bytes]]) -> str:
    return "\n".join([*(leaf.hex() for leaf in leaves), compute_state_digest(rows).hex()])


def replay(path: Path) -> str:
    """Execute the log in a file from its genesis on; header leaves and the state's digest."""
    log = json.loads(path.read_text("ascii"))
    reader = DictReader()
    state = State(reader)
    tip, changes = open_ledger(state, parse_genesis(bytes.fromhex(log["genesis"])))
    reader.write(changes)
    leaves = []
    for epoch, position, entry in log["entries"]:
        signed = parse_entry(bytes.fromhex(entry), ed25519.check_signature)
        block = execute(state, tip, signed, Place(epoch, position), ed25519.check_signature)
        reader.write(block.changes)
        state.settle(block.header.height)
        leaves.append(block.header_leaf)
        tip = block.tip
    return describe(leaves, list(reader.data.items()))


@pytest.mark.parametrize("surroundings", ELSEWHERE, ids=lambda chosen: chosen["TZ"])
def test_a_networks_log_gives_the_same_hashes_elsewhere(
    history: tuple[Path, str], surroundings: dict[str, str]
) -> None:
    path, expected = history
    program = f"from {__name__} import Path, replay; import sys; print(replay(Path(sys.argv[1])))"
    environment = {**os.environ, **surroundings, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'proto'}"}
    done = subprocess.run(
        [sys.executable, "-O", "-c", program, str(path)],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == expected
