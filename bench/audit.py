"""How fast an auditor checks a bundle: `keeling.verify` on one core, on what the nodes of this run exported.

The export itself is timed too, because an auditor waits for both.
"""

from __future__ import annotations

import time
from pathlib import Path

from bench.figures import Figure, Section, with_aim
from bench.limits import Limits
from keeling.genesis import parse_genesis
from keeling.verify import verify_bundle
from node.export import export_whole
from node.ledger import read_height
from node.store.rocks import RocksStore

AIM = 10_000


class AuditFailed(Exception):
    """A bundle of a node of this run does not verify."""


def export_bundle(data: Path, genesis: bytes) -> tuple[bytes, float]:
    """The whole bundle of a stopped node, and the seconds it took."""
    store = RocksStore.open(data / "store")
    try:
        started = time.perf_counter()
        bundle = b"".join(export_whole(store, parse_genesis(genesis), read_height(store)))
        return bundle, time.perf_counter() - started
    finally:
        store.close()


def measure_audit(data: Path, genesis: bytes, submissions: int, limits: Limits) -> Section:
    """Check the bundle of a node whose load was `submissions` submissions of one transaction."""
    bundle, export_seconds = export_bundle(data, genesis)
    started = time.perf_counter()
    verdict = verify_bundle(bundle, genesis)
    seconds = time.perf_counter() - started
    if verdict.facts is None:
        raise AuditFailed(verdict.headline)
    transactions = verdict.facts.tally.transactions
    rate = Figure("submissions checked, one core", submissions / seconds, "/s", limits.verify, "Ed25519, one core:")
    figures = (
        with_aim(rate, AIM, f"≥ {AIM:,}/s"),
        Figure("transactions exported", transactions / export_seconds, "/s"),
        Figure("bundle per transaction", len(bundle) / transactions, "B"),
    )
    return Section("Audit: a bundle of one signature per transaction", verdict.headline, figures)
