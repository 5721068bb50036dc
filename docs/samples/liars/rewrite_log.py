"""What a dishonest host does to the ordering log it keeps: `python rewrite_log.py NODE-FOLDER`.

The first entry of every log becomes another one; the rest stays. Used by `make demo` to show that the readers notice,
keep the host's own signed words as proof, and leave the log.
"""

from __future__ import annotations

import shutil
import sys
from hashlib import sha256
from pathlib import Path

from keeling.genesis import parse_genesis
from keeling.policy import hash_policy
from network.config import load_config
from node.finality.events import log_name
from node.ordering.contract import LogId
from node.ordering.folder import DiskFolder
from node.ordering.segment_log import SegmentLog

ENTRIES_MAX = 1_000


def main(folder: Path) -> None:
    config = load_config(folder / "node.toml")
    policy = hash_policy(parse_genesis(config.genesis.read_bytes()).policy)
    for place in sorted((config.data / "ordering").iterdir()):
        which = find_log(place, policy, config.participant)
        log = SegmentLog.open(DiskFolder(place), which)
        entries = [ordered.entry for ordered in log.read(1, ENTRIES_MAX).entries]
        log.close()
        shutil.rmtree(place)
        log = SegmentLog.create(DiskFolder(place), which)
        log.append_many([b"nothing that anybody handed in", *entries[1:]])
        log.close()
        print(f"{which.name}: the first of {len(entries)} entries is another one now")


def find_log(place: Path, policy: bytes, participant: str) -> LogId:
    """Which log lies in a folder: its name is hashed into the folder's."""
    digits, _, digest = place.name.partition("-")
    name = log_name(policy, int(digits))
    names = (name, f"{name}@{participant}")
    return LogId(int(digits), next(n for n in names if sha256(n.encode()).hexdigest()[:16] == digest))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
