"""What simulated validators share: cheap keys, a deterministic execution, and an ordering engine that may lie.

No real cryptography and no real entries: a signature is a keyed hash anybody could make (nobody here does, but for the
liar's own), a block's tree is a hash of where and what was read. Nodes are in finality_run, the liar in finality_liar.
"""

from __future__ import annotations

from hashlib import blake2b
from random import Random
from typing import NamedTuple

from keeling.votes import VotePolicy
from node.finality.events import Block, Candidate, Signer

NETWORK = b"N" * 32
GENESIS_ROOT = bytes(32)


def digest(*parts: object) -> bytes:
    return blake2b(repr(parts).encode(), digest_size=32).digest()


def key_of(member: int) -> bytes:
    return digest("vote key", member)


def fake_sign(key: bytes, message: bytes) -> bytes:
    return blake2b(message, key=key, digest_size=64).digest()


def fake_check(key: bytes, signature: bytes, message: bytes) -> bool:
    return fake_sign(key, message) == signature


def signer_of(member: int) -> Signer:
    key = key_of(member)
    return Signer(key, lambda message: fake_sign(key, message))


def policy_of(members: tuple[int, ...], since: int) -> VotePolicy:
    """Every policy file is another one, even with the same members."""
    return VotePolicy(digest("policy", members, since), tuple(key_of(member) for member in members))


class Place(NamedTuple):
    """Where an entry was read."""

    log: str
    position: int
    epoch: int


def execute(parent: bytes, height: int, entry: bytes, place: Place, policies: list[tuple[int, ...]]) -> Block:
    """The same on every machine. An entry that begins with S changes the set to the next of `policies`."""
    root = digest(parent, height, entry, place.position, place.epoch)
    next_policy = policy_of(policies[height % len(policies)], height) if entry[:1] == b"S" else None
    candidate = Candidate(height, 2 * height, root, digest(entry))
    return Block(candidate, parent, digest("header", root), place.epoch, 0, next_policy)


class Engine:
    """Ordering logs by name. While it lies, a reader may be shown another entry than its neighbour, for ever."""

    def __init__(self, random: Random, lies: float) -> None:
        self._random = random
        self.lies = lies
        self.logs: dict[str, list[bytes]] = {}
        self._shown: dict[tuple[str, int, int], bytes] = {}
        self.made = 0

    def new_entry(self, set_changes: float) -> bytes:
        self.made += 1
        return (b"S" if self._random.random() < set_changes else b"E") + str(self.made).encode()

    def append(self, log: str, entry: bytes) -> None:
        self.logs.setdefault(log, []).append(entry)

    def read(self, log: str, position: int, reader: int) -> bytes | None:
        """Losing the tail after some have read it looks the same: the others find something else at that place."""
        entries = self.logs.get(log, [])
        if position >= len(entries):
            return None
        place = (log, position, reader)
        if place not in self._shown:
            lie = self._random.random() < self.lies
            self._shown[place] = b"E-other-" + entries[position] if lie else entries[position]
        return self._shown[place]
