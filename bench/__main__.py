"""`python -m bench [--quick] [--json]`: measure the machine, node, network, peer, audit and import, and print them.

Order matters: the peer runs between the two loads of the node, so that what is compared was measured in one minute.
Everything lives in one temporary folder that is removed at the end; every process started is ended before that.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

from rich.console import Console

from bench import audit, hub, join, limits, network, node_figures, parse, peer, postgres, reconcile
from bench.figures import Section, convert_sections, print_sections
from bench.sizes import FULL, QUICK, Sizes


def run(root: Path, sizes: Sizes, console: Console) -> list[Section]:
    """Measure everything below `root`, telling `console` what is under way."""
    console.print("limits of the machine ...")
    together_ledger = node_figures.open_ledger(root / "together", sizes.accounts)
    config, home = together_ledger.folder.config, together_ledger.home
    found = limits.measure_limits(root, config, home, sizes.limit_seconds)
    console.print("node, 500 transactions per signature ...")
    together = node_figures.measure_together(together_ledger, sizes)
    compared = _measure_peer(root, sizes, console)
    console.print("node, one signature per transaction ...")
    single_ledger = node_figures.open_ledger(root / "single", sizes.accounts)
    single = node_figures.measure_single(single_ledger, sizes)
    console.print("network of four validators ...")
    networks = network.measure_network(root / "networks", sizes, found)
    console.print("audit and import ...")
    id_bytes = node_figures.measure_id_bytes(single_ledger.folder.data)
    genesis = single_ledger.folder.genesis.read_bytes()
    audited = audit.measure_audit(single_ledger.folder.data, genesis, single.sent.transactions, found)
    sections = [
        *node_figures.describe_together(together, found, compared.together if compared else None, id_bytes),
        node_figures.describe_single(single, found, compared.single if compared else None),
        *networks,
        audited,
        parse.measure_parse(sizes.parse_rows),
        join.measure_join(root / "join", sizes.join_lots),
        *_measure_imports(root, sizes),
        reconcile.measure_reconcile(sizes.join_lots),
        hub.measure_hub(root / "hub", sizes.hub_events),
    ]
    if compared:
        sections.append(peer.describe_peer(compared))
    return [limits.describe_limits(found, limits.measure_verify(sizes.limit_seconds)), *sections]


def _measure_peer(root: Path, sizes: Sizes, console: Console) -> peer.Peer | None:
    if not postgres.is_available():
        console.print("peer left out: install requirements/bench.lock, as `make bench` does")
        return None
    console.print("peer: PostgreSQL ...")
    return peer.measure_peer(root / "peer", sizes)


def _measure_imports(root: Path, sizes: Sizes) -> list[Section]:
    """Rows per second through the ledger, where that is there to be measured."""
    if importlib.util.find_spec("bench.imports") is None:
        return []
    section: Section = importlib.import_module("bench.imports").measure_imports(root / "imports", sizes)
    return [section]


def main(arguments: Sequence[str]) -> int:
    """Entry point; 0 whatever the figures are: they are for reading."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Figures, beside the limits of the machine.")
    parser.add_argument("--quick", action="store_true", help="a look in under a minute; figures are rough")
    parser.add_argument("--json", action="store_true", help="figures as JSON on stdout, progress on stderr")
    chosen = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    progress = Console(stderr=True, style="dim", highlight=False)
    with tempfile.TemporaryDirectory(prefix="keeling-bench-") as folder:
        Path(folder).chmod(0o755)
        sections = run(Path(folder), QUICK if chosen.quick else FULL, progress)
    if chosen.json:
        machine = {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
        print(json.dumps({"machine": machine, "sections": convert_sections(sections)}, indent=1))
    else:
        console = Console()
        print_sections(console if console.is_terminal else Console(width=120), sections)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
