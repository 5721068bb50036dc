"""Writes bundles.json and handovers.json in tests/vectors again: `python -m tests.node.bundle_vectors`, deliberately.

Reading the vectors needs nothing of this: `tests/keeling/test_bundle_vectors.py` does it with the public package alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from keeling.verify import verify_bundle
from node.export import export_cut, export_whole
from tests.fakes.recorded_electorate import tell_changes
from tests.fakes.recorded_world import tell_short_story

VECTOR: Final = Path(__file__).parents[1] / "vectors" / "bundles.json"
HANDOVERS: Final = VECTOR.with_name("handovers.json")
ABOUT: Final = (
    "A ledger of one validator in three blocks: accounts and an issuance; a transfer with an approval, holds, a "
    "refusal and bytes that are no submission; two expiries. All bytes in hex."
)
ABOUT_HANDOVERS: Final = (
    "A ledger of four validators: a fifth is admitted and ready, one replaces its vote key, two leave: three changes "
    "of policy in five blocks. The cut is of all ledger time. All bytes in hex."
)


def make_vector() -> dict[str, Any]:
    world = tell_short_story()
    height = world.tip.height
    made = {
        "whole": export_whole(world.store, world.genesis, height),
        "cut": export_cut(world.store, world.genesis, "alice-main", None, None, height),
    }
    return _describe(ABOUT, world.genesis_bytes, height, made)


def make_handovers() -> dict[str, Any]:
    """The vector of bundles over changes of policy."""
    world = tell_changes()
    height = world.tip.height
    made = {
        "whole": export_whole(world.store, world.genesis, height),
        "cut": export_cut(world.store, world.genesis, None, 1, None, height),
    }
    return _describe(ABOUT_HANDOVERS, world.raw_genesis, height, made)


def _describe(about: str, genesis: bytes, height: int, made: dict[str, Iterator[bytes]]) -> dict[str, Any]:
    bundles = []
    for name, pieces in made.items():
        data = b"".join(pieces)
        verdict = verify_bundle(data, genesis)
        if verdict.facts is None:
            raise AssertionError(f"the bundle {name} does not verify: {verdict.failure}")
        row = {"name": name, "height": height, "verdict": verdict.headline, "scope": verdict.scope}
        bundles.append(row | {"bytes": data.hex()})
    return {"about": about, "genesis": genesis.hex(), "bundles": bundles}


if __name__ == "__main__":
    VECTOR.write_text(json.dumps(make_vector(), indent=1) + "\n", encoding="utf-8")
    HANDOVERS.write_text(json.dumps(make_handovers(), indent=1) + "\n", encoding="utf-8")
