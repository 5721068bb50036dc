"""What a dishonest operator does to the store of its own node: `python rewrite_store.py NODE-FOLDER`.

Every balance of cash in the stored state becomes a hundred times as much. The log stays as it was. Used by `make demo`
to show that the others do not follow, and that the node finds itself out.
"""

from __future__ import annotations

import sys
from pathlib import Path

from node.core import tables
from node.ledger import StateReader
from node.store.contract import Batch, Family
from node.store.rocks import RocksStore


def main(folder: Path) -> None:
    store = RocksStore.open(folder / "data" / "store")
    try:
        batch = Batch()
        for key, raw in StateReader(store).scan(tables.CASH.prefix, tables.after(tables.CASH.prefix)):
            batch.put(Family.STATE, key, tables.CASH.value.encode(tables.CASH.value.decode(raw) * 100))
        store.commit(batch)
        print(f"{len(batch)} balances in the store of {folder} are a hundred times what they were")
    finally:
        store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
