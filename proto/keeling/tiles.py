"""Tiles: the log as static files that anybody may mirror.

A tile holds up to 256 hashes of one tile level (every eighth level of the tree), an entry bundle the 256 entries below
a tile of level 0. Here are their paths and bytes, and the way back from tiles to the hashes that proofs are made of.
Serving and storing files is not here. Source: C2SP tlog-tiles v0.1.0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from keeling.merkle import ProofError, ReadHashes, Subtree, compute_root
from keeling.strict import HASH_BYTES, NUMBER_MAX, FormatError, check_number

TILE_WIDTH: Final = 256
TILE_HEIGHT: Final = 8
TILE_LEVEL_MAX: Final = 63
ENTRY_BYTES_MAX: Final = 65_535
"""What a u16 length can say."""

_ENTRIES: Final = "entries"
_PATH: Final = re.compile(
    r"tile/(?P<level>0|[1-9][0-9]?|entries)/(?P<ordinal>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)


class Tile(NamedTuple):
    """A tile, or the entry bundle below a tile of level 0."""

    level: int | None
    """The tile level, 0 to 63; None for an entry bundle."""
    ordinal: int
    width: int = TILE_WIDTH
    """Hashes or entries in it: 256 when full, otherwise 1 to 255."""


def format_tile_path(tile: Tile) -> str:
    """Return the path under the log's prefix."""
    check_number(tile.ordinal, "tile ordinal")
    if not 1 <= tile.width <= TILE_WIDTH or (tile.level is not None and not 0 <= tile.level <= TILE_LEVEL_MAX):
        raise FormatError(f"there is no tile of level {tile.level} and width {tile.width}")
    groups = [f"{tile.ordinal % 1000:03}"]
    rest = tile.ordinal // 1000
    while rest:
        groups.append(f"x{rest % 1000:03}")
        rest //= 1000
    level = _ENTRIES if tile.level is None else str(tile.level)
    part = "" if tile.width == TILE_WIDTH else f".p/{tile.width}"
    return f"tile/{level}/{'/'.join(reversed(groups))}{part}"


def parse_tile_path(path: str) -> Tile:
    """Return the tile at a path; every tile has exactly one path."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise FormatError(f"{path[:120]!r} is not the path of a tile")
    ordinal = int(match["ordinal"].replace("x", "").replace("/", ""))
    level = None if match["level"] == _ENTRIES else int(match["level"])
    tile = Tile(level, ordinal, int(match["width"] or TILE_WIDTH))
    if format_tile_path(tile) != path:
        raise FormatError(f"{path[:120]!r} is not the canonical path of a tile")
    return tile


def tiles_of(size: int, old_size: int = 0) -> Iterator[Tile]:
    """Yield every tile that a tree of `size` leaves has and one of `old_size` had not, partial ones included.

    Lower levels first. Each tile of level 0 stands for its entry bundle too.
    """
    if not 0 <= old_size <= size <= NUMBER_MAX:
        raise FormatError(f"a tree does not grow from {old_size} to {size}")
    level = 0
    while size:
        for ordinal in range(old_size // TILE_WIDTH, size // TILE_WIDTH):
            yield Tile(level, ordinal)
        if size % TILE_WIDTH and size != old_size:
            yield Tile(level, size // TILE_WIDTH, size % TILE_WIDTH)
        size, old_size, level = size // TILE_WIDTH, old_size // TILE_WIDTH, level + 1


def read_tile(tile: Tile, read_hashes: ReadHashes) -> bytes:
    """Return the bytes of a tile from stored hashes."""
    if tile.level is None:
        raise FormatError("an entry bundle holds entries, not hashes")
    level, first = tile.level * TILE_HEIGHT, tile.ordinal * TILE_WIDTH
    return b"".join(read_hashes([Subtree(level, first + i) for i in range(tile.width)]))


def parse_tile(data: bytes, width: int) -> tuple[bytes, ...]:
    """Return the hashes of a tile that must have `width` of them."""
    if len(data) != width * HASH_BYTES:
        raise FormatError(f"a tile of width {width} has {width * HASH_BYTES} bytes, this one has {len(data)}")
    return tuple(data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES))


def hashes_from_tiles(size: int, read_tiles: Callable[[Sequence[Tile]], Sequence[bytes]]) -> ReadHashes:
    """Return a reader of subtree hashes that has only the tiles of a tree of `size` leaves.

    `read_tiles` returns the bytes of each tile, in the order asked; each tile is asked for once per call. Tiles prove
    nothing by themselves: compare the root they lead to with a verified checkpoint.
    """

    def find(subtree: Subtree) -> tuple[Tile, int]:
        level, height = divmod(subtree.level, TILE_HEIGHT)
        first = subtree.ordinal << height
        width = min(TILE_WIDTH, (size >> (TILE_HEIGHT * level)) - first // TILE_WIDTH * TILE_WIDTH)
        if first % TILE_WIDTH + (1 << height) > width:
            raise ProofError(f"a tree of size {size} has no complete subtree {subtree}")
        return Tile(level, first // TILE_WIDTH, width), first % TILE_WIDTH

    def read_hashes(subtrees: Sequence[Subtree]) -> list[bytes]:
        places = [find(subtree) for subtree in subtrees]
        wanted = list(dict.fromkeys(tile for tile, _ in places))
        found = {tile: parse_tile(data, tile.width) for tile, data in zip(wanted, read_tiles(wanted), strict=True)}
        return [
            compute_root(found[tile][at : at + (1 << subtree.level % TILE_HEIGHT)])
            for subtree, (tile, at) in zip(subtrees, places, strict=True)
        ]

    return read_hashes


def format_entry_bundle(entries: Sequence[bytes]) -> bytes:
    """Return the bundle of 1 to 256 neighbouring entries: each behind its u16 length."""
    if not 1 <= len(entries) <= TILE_WIDTH:
        raise FormatError(f"a bundle has 1 to {TILE_WIDTH} entries, not {len(entries)}")
    out = bytearray()
    for entry in entries:
        if len(entry) > ENTRY_BYTES_MAX:
            raise FormatError(f"an entry has at most {ENTRY_BYTES_MAX} bytes, this one has {len(entry)}")
        out += len(entry).to_bytes(2, "big") + entry
    return bytes(out)


def parse_entry_bundle(data: bytes, width: int) -> tuple[bytes, ...]:
    """Return the entries of a bundle that must have `width` of them."""
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        start = at + 2
        at = start + int.from_bytes(data[at:start], "big")
        if start > len(data) or at > len(data):
            raise FormatError(f"the bundle ends inside entry {len(entries)}")
        entries.append(data[start:at])
    if len(entries) != width or not 1 <= width <= TILE_WIDTH:
        raise FormatError(f"the bundle has {len(entries)} entries, it must have {width}")
    return tuple(entries)
