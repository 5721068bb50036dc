"""The Merkle tree of the log: hashes, growing it, and proofs that an entry or an older tree is inside.

A node stores the hash of every leaf and of every complete subtree, each under its (level, ordinal), and nothing else;
`Frontier.extend` says which ones an append completes. Proofs follow "plan, read, compute": the plan is arithmetic, all
stored hashes are asked for in one call, the rest is hashing. What leaves mean and how hashes are stored is not here.
Source: RFC 6962 §2.1, RFC 9162 §2.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from keeling.encoding import BYTES32, U64, Codec, EncodingError, listing, record
from keeling.strict import HASH_BYTES, NUMBER_MAX

LEAF_PREFIX: Final = b"\x00"
NODE_PREFIX: Final = b"\x01"
EMPTY_ROOT: Final = sha256(b"").digest()

INCLUSION_HASHES_MAX: Final = 63
"""No inclusion proof in a tree of fewer than 2^63 leaves is longer."""


class ProofError(ValueError):
    """The proof does not show what it claims, or what is to be proved cannot be true."""


class Subtree(NamedTuple):
    """A complete subtree: the leaves from `ordinal`·2^`level` up to (`ordinal`+1)·2^`level`, not included."""

    level: int
    ordinal: int


class Run(NamedTuple):
    """Hashes of neighbouring complete subtrees of one level; the first has the ordinal `first`."""

    level: int
    first: int
    hashes: tuple[bytes, ...]


ReadHashes = Callable[[Sequence[Subtree]], Sequence[bytes]]
"""Returns the stored hash of each subtree, in the order asked."""

_Span = tuple[int, int]
"""Leaves from the first number up to the second, not included."""


def hash_leaf(entry: bytes) -> bytes:
    return sha256(LEAF_PREFIX + entry).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    return sha256(NODE_PREFIX + left + right).digest()


def _pair_up(hashes: Sequence[bytes]) -> list[bytes]:
    """Hash neighbours together; an odd last one is left out."""
    return [sha256(NODE_PREFIX + left + right).digest() for left, right in zip(hashes[::2], hashes[1::2], strict=False)]


def compute_root(leaf_hashes: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes that are all at hand."""
    if not leaf_hashes:
        return EMPTY_ROOT
    level: Sequence[bytes] = leaf_hashes
    while len(level) > 1:
        above = _pair_up(level)
        if len(level) & 1:
            above.append(level[-1])
        level = above
    return level[0]


def _fold(peaks: Sequence[bytes]) -> bytes:
    """Return the root over subtrees that shrink from left to right."""
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = hash_node(peak, root)
    return root


class Growth(NamedTuple):
    """What an append leads to."""

    frontier: Frontier
    completed: tuple[Run, ...]
    """Every hash the store must keep: one run for each level that gained complete subtrees, leaves (level 0) first."""


class Frontier(NamedTuple):
    """All that is needed to let a tree grow: its size, and the root of one complete subtree per set bit of the size."""

    size: int
    peaks: tuple[bytes, ...]
    """The leftmost and biggest first."""

    def root(self) -> bytes:
        return _fold(self.peaks) if self.peaks else EMPTY_ROOT

    def extend(self, leaf_hashes: Sequence[bytes]) -> Growth:
        """Append leaves, in order; costs about one hash per leaf and one per level."""
        size = self.size + len(leaf_hashes)
        if size > NUMBER_MAX:
            raise ProofError(f"a tree cannot grow to {size} leaves")
        left = list(self.peaks)
        completed: list[Run] = []
        peaks: list[bytes] = []
        new: Sequence[bytes] = leaf_hashes
        first, level = self.size, 0
        while new or left:
            if new:
                completed.append(Run(level, first, tuple(new)))
            if first & 1:
                new = [left.pop(), *new]
            if len(new) & 1:
                peaks.append(new[-1])
            new = _pair_up(new)
            first, level = first >> 1, level + 1
        return Growth(Frontier(size, tuple(reversed(peaks))), tuple(completed))


EMPTY_FRONTIER: Final = Frontier(0, ())


class _FrontierCodec(Codec[Frontier]):
    """A u64 size and the list of peaks, as many as the size has set bits."""

    _fields: Final = record(Frontier, U64, listing(BYTES32))

    @staticmethod
    def _check(frontier: Frontier) -> None:
        if not 0 <= frontier.size <= NUMBER_MAX or frontier.size.bit_count() != len(frontier.peaks):
            raise EncodingError(f"{len(frontier.peaks)} peaks do not make a tree of size {frontier.size}")

    def write(self, out: bytearray, value: Frontier) -> None:
        self._check(value)
        self._fields.write(out, value)

    def read(self, data: bytes, at: int) -> tuple[Frontier, int]:
        frontier, end = self._fields.read(data, at)
        self._check(frontier)
        return frontier, end


FRONTIER: Final[Codec[Frontier]] = _FrontierCodec()


def _split(size: int) -> int:
    """Return the largest power of two smaller than `size`, which is at least 2."""
    return 1 << ((size - 1).bit_length() - 1)


def _cover(span: _Span) -> list[Subtree]:
    """Return the complete subtrees that make up a span, from left to right.

    Spans here are halves of `_split`, so they start at a multiple of the biggest subtree in them.
    """
    start, end = span
    subtrees = []
    while start < end:
        level = (end - start).bit_length() - 1
        subtrees.append(Subtree(level, start >> level))
        start += 1 << level
    return subtrees


def _read(wanted: Sequence[Subtree], read_hashes: ReadHashes) -> Sequence[bytes]:
    found = read_hashes(wanted) if wanted else ()
    if len(found) != len(wanted):
        raise ProofError(f"{len(wanted)} stored hashes were asked for, {len(found)} came back")
    return found


def _compute_spans(spans: Iterable[_Span], read_hashes: ReadHashes) -> tuple[bytes, ...]:
    covers = [_cover(span) for span in spans]
    found = _read([subtree for cover in covers for subtree in cover], read_hashes)
    hashes, at = [], 0
    for cover in covers:
        hashes.append(_fold(found[at : at + len(cover)]))
        at += len(cover)
    return tuple(hashes)


def read_frontier(size: int, read_hashes: ReadHashes) -> Frontier:
    """Return the frontier that the tree had at `size`, from stored hashes; its root is the root of that size."""
    if not 0 <= size <= NUMBER_MAX:
        raise ProofError(f"{size} is no tree size")
    return Frontier(size, tuple(_read(_cover((0, size)), read_hashes)))


def prove_inclusion(index: int, size: int, read_hashes: ReadHashes) -> tuple[bytes, ...]:
    """Return the proof that the leaf at `index` is in the tree of `size` leaves: siblings from the lowest up."""
    if not 0 <= index < size <= NUMBER_MAX:
        raise ProofError(f"there is no leaf {index} in a tree of size {size}")
    siblings: list[_Span] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            siblings.append((middle, end))
            end = middle
        else:
            siblings.append((start, middle))
            start = middle
    return _compute_spans(reversed(siblings), read_hashes)


def prove_consistency(old_size: int, new_size: int, read_hashes: ReadHashes) -> tuple[bytes, ...]:
    """Return the proof that the tree of `old_size` leaves is the beginning of the one of `new_size`; empty if equal.

    From the empty tree there is nothing to prove: refused, the caller decides about a first sight.
    """
    if not 0 < old_size <= new_size <= NUMBER_MAX:
        raise ProofError(f"no proof leads from a tree of size {old_size} to one of size {new_size}")
    spans: list[_Span] = []
    start, end = 0, new_size
    while end != old_size:
        middle = start + _split(end - start)
        if old_size <= middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((start, middle))
            start = middle
    if start:
        spans.append((start, end))
    return _compute_spans(reversed(spans), read_hashes)


def _check_lengths(hashes: Iterable[bytes]) -> None:
    for value in hashes:
        if len(value) != HASH_BYTES:
            raise ProofError(f"a hash has {HASH_BYTES} bytes, one of these has {len(value)}")


def check_inclusion(index: int, size: int, leaf_hash: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Refuse unless `proof` shows `leaf_hash` at `index` of the tree of `size` leaves under `root`.

    This binds an entry to a root and no more; trust in root and size comes from the signed checkpoint alone (trees of
    neighbouring sizes can have proofs of one shape, so a wrong size is not always seen here). Raises `ProofError`.
    """
    if not 0 <= index < size <= NUMBER_MAX:
        raise ProofError(f"there is no leaf {index} in a tree of size {size}")
    _check_lengths((leaf_hash, root, *proof))
    at, last, computed = index, size - 1, leaf_hash
    for sibling in proof:
        if last == 0:
            raise ProofError(f"the inclusion proof of leaf {index} in size {size} is too long")
        if at & 1 or at == last:
            computed = hash_node(sibling, computed)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            computed = hash_node(computed, sibling)
        at, last = at >> 1, last >> 1
    if last:
        raise ProofError(f"the inclusion proof of leaf {index} in size {size} is too short")
    if computed != root:
        raise ProofError(
            f"the inclusion proof of leaf {index} in size {size} leads to {computed.hex()}, not to the root"
        )


def check_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Refuse unless `proof` shows that the old tree is the beginning of the new one.

    `old_root` must be the caller's own stored root, never one that came with the proof. Everything extends the empty
    tree, so from size 0 to a bigger one there is nothing to check, and it is refused. Raises `ProofError`.
    """
    if not 0 <= old_size <= new_size <= NUMBER_MAX:
        raise ProofError(f"a tree of size {new_size} does not extend one of size {old_size}")
    _check_lengths((old_root, new_root, *proof))
    if old_size == new_size:
        if proof or old_root != new_root or (old_size == 0 and old_root != EMPTY_ROOT):
            raise ProofError(f"two trees of size {old_size} need one root and an empty proof")
        return
    if old_size == 0:
        raise ProofError("nothing can be proved from the empty tree")
    if not proof:
        raise ProofError(f"the consistency proof from {old_size} to {new_size} is empty")
    _fold_consistency(old_size, old_root, new_size, new_root, proof)


def _fold_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    steps = [old_root, *proof] if old_size.bit_count() == 1 else list(proof)
    at, last = old_size - 1, new_size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise ProofError(f"the consistency proof from {old_size} to {new_size} is too long")
        if at & 1 or at == last:
            old, new = hash_node(step, old), hash_node(step, new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new = hash_node(new, step)
        at, last = at >> 1, last >> 1
    if last or old != old_root or new != new_root:
        raise ProofError(f"the consistency proof from {old_size} to {new_size} does not lead to both roots")
