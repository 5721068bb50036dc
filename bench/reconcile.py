"""How long the reconciler takes to compare many lots with a registry's list, beside numpy sorting and joining the same.

Lists come in no order, as registries give them; one lot in a hundred differs. The peer only finds where two equal cut
lists differ; the reconciler takes any cuts and numbers of any length, and classes every unit.
"""

from __future__ import annotations

import importlib.util
import random
import time

from bench.figures import Figure, Section
from hub.reconcile.classes import compare
from hub.reconcile.join import Row

AIM_S = 5.0
_UNITS = 10


def make_sides(lots: int) -> tuple[list[Row], list[Row]]:
    """A registry's list and the ledger's, shuffled; every hundredth lot retired only there."""
    there = [Row(n * 20, n * 20 + _UNITS - 1, "a", "retired" if n % 100 == 0 else "active") for n in range(lots)]
    here = [Row(n * 20, n * 20 + _UNITS - 1, "a", "FREE") for n in range(lots)]
    shuffled = random.Random(7)
    shuffled.shuffle(there)
    shuffled.shuffle(here)
    return there, here


def _time_peer(there: list[Row], here: list[Row]) -> float | None:
    """Seconds of numpy for the same lists: columns, sort both, compare; None without numpy."""
    if importlib.util.find_spec("numpy") is None:
        return None
    import numpy as np

    started = time.perf_counter()
    codes = {"active": 0, "FREE": 0, "retired": 1}
    left, right = (np.array([(r[0], r[1], codes[r[3]]) for r in side], dtype=np.int64) for side in (there, here))
    left, right = left[np.argsort(left[:, 0])], right[np.argsort(right[:, 0])]
    differing = int(np.count_nonzero((left != right).any(axis=1)))
    if differing != (len(there) + 99) // 100:
        raise LookupError(f"numpy finds {differing} lots that differ")
    return time.perf_counter() - started


def measure_reconcile(lots: int) -> Section:
    """The figures of reconciliation."""
    there, here = make_sides(lots)
    peer = _time_peer(there, here)
    started = time.perf_counter()
    found = compare({"s": there}, {"s": here}, frozenset("a"))
    seconds = time.perf_counter() - started
    if len(found.differences) != (lots + 99) // 100 or found.agreed_units != (lots - len(found.differences)) * _UNITS:
        raise LookupError("the comparison did not find what was put there")
    name = f"{lots:,} lots with {lots:,} rows"
    versus = "numpy, sort and compare" if peer is not None else ""
    figures = (
        Figure(name, seconds, "s", peer, versus, f"< {AIM_S:g} s", seconds < AIM_S if lots >= 1_000_000 else None),
    )
    about = "A registry's list compared with the ledger's lots, both in memory and in no order; 1 % differ."
    return Section("Reconciliation", about, figures)
