"""Tiles at their boundaries: paths, what a size has, and the tree recomputed from tiles alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeling.merkle import (
    ProofError,
    ReadHashes,
    Subtree,
    check_consistency,
    check_inclusion,
    prove_consistency,
    prove_inclusion,
    read_frontier,
)
from keeling.strict import FormatError
from keeling.tiles import (
    Tile,
    format_entry_bundle,
    format_tile_path,
    hashes_from_tiles,
    parse_entry_bundle,
    parse_tile,
    parse_tile_path,
    read_tile,
    tiles_of,
)
from tests.keeling.log_samples import StoredTree, leaves

BOUNDARIES = [1, 2, 255, 256, 257, 511, 512, 600, 65_535, 65_536, 65_537, 70_000]


@pytest.fixture(scope="module")
def tree() -> StoredTree:
    return StoredTree(leaves(BOUNDARIES[-1]))


def read_only_tiles(size: int, tree: StoredTree) -> ReadHashes:
    """Answers from published files: a tile that the size does not have is not there."""
    published = {tile: tile for tile in tiles_of(size)}

    def read_tiles(tiles: Sequence[Tile]) -> list[bytes]:
        return [read_tile(published[tile], tree.read) for tile in tiles]

    return hashes_from_tiles(size, read_tiles)


@pytest.mark.parametrize("size", BOUNDARIES)
def test_tree_is_recomputed_from_tiles_alone(size: int, tree: StoredTree) -> None:
    read_hashes = read_only_tiles(size, tree)
    frontier = read_frontier(size, read_hashes)
    assert frontier == read_frontier(size, tree.read)
    for index in {0, size // 2, size - 1}:
        proof = prove_inclusion(index, size, read_hashes)
        check_inclusion(index, size, tree.hashes[Subtree(0, index)], proof, frontier.root())
    for old_size in {1, (size + 1) // 2, size}:
        old_root = read_frontier(old_size, tree.read).root()
        check_consistency(old_size, old_root, size, frontier.root(), prove_consistency(old_size, size, read_hashes))


@pytest.mark.parametrize("subtree", [Subtree(0, 600), Subtree(3, 75), Subtree(8, 2), Subtree(9, 1), Subtree(16, 0)])
def test_tiles_do_not_answer_beyond_the_tree(subtree: Subtree, tree: StoredTree) -> None:
    with pytest.raises(ProofError, match="no complete subtree"):
        read_only_tiles(600, tree)([subtree])


def test_a_tile_is_asked_for_once(tree: StoredTree) -> None:
    asked: list[Tile] = []

    def read_tiles(tiles: Sequence[Tile]) -> list[bytes]:
        asked.extend(tiles)
        return [read_tile(tile, tree.read) for tile in tiles]

    prove_inclusion(3, 600, hashes_from_tiles(600, read_tiles))
    assert len(asked) == len(set(asked)) == 3


@given(st.lists(st.integers(0, 70_000), min_size=1, max_size=4).map(sorted))
def test_growing_in_steps_publishes_every_tile_of_the_last_size(sizes: list[int]) -> None:
    published: set[Tile] = set()
    for old_size, size in zip([0, *sizes], sizes, strict=False):
        new = list(tiles_of(size, old_size))
        assert published.isdisjoint(new)
        published.update(new)
    assert published.issuperset(tiles_of(sizes[-1]))


def test_empty_tree_has_no_tiles_and_no_tree_shrinks() -> None:
    assert list(tiles_of(0)) == []
    with pytest.raises(FormatError):
        list(tiles_of(1, 2))


@given(
    st.builds(
        Tile,
        st.one_of(st.none(), st.integers(0, 63)),
        st.integers(0, 2**63 - 1),
        st.integers(1, 256),
    )
)
def test_path_returns(tile: Tile) -> None:
    assert parse_tile_path(format_tile_path(tile)) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0/0",
        "tile/00/000",
        "tile/64/000",
        "tile/0/1000",
        "tile/0/x000/001",
        "tile/0/001/000",
        "tile/0/x001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/07",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/000\n",
        "tile/entry/000",
        "tile/0/../000",
        "tile/0/" + "x999/" * 7 + "999",
        "tile/0/٠٠٠",
    ],
)
def test_other_path_is_refused(path: str) -> None:
    with pytest.raises(FormatError):
        parse_tile_path(path)


@pytest.mark.parametrize("tile", [Tile(64, 0), Tile(-1, 0), Tile(0, -1), Tile(0, 0, 0), Tile(0, 0, 257)])
def test_there_is_no_such_tile(tile: Tile) -> None:
    with pytest.raises(FormatError):
        format_tile_path(tile)


def test_tile_of_another_width_is_refused(tree: StoredTree) -> None:
    data = read_tile(Tile(0, 2, 88), tree.read)
    assert len(parse_tile(data, 88)) == 88
    for width in (87, 89, 256):
        with pytest.raises(FormatError, match="bytes"):
            parse_tile(data, width)
    with pytest.raises(FormatError, match="entries, not hashes"):
        read_tile(Tile(None, 0), tree.read)


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=256))
def test_bundle_returns(entries: list[bytes]) -> None:
    assert list(parse_entry_bundle(format_entry_bundle(entries), len(entries))) == entries


def test_largest_entry_fits() -> None:
    assert parse_entry_bundle(format_entry_bundle([bytes(65_535)]), 1) == (bytes(65_535),)
    with pytest.raises(FormatError, match="65535"):
        format_entry_bundle([bytes(65_536)])


@pytest.mark.parametrize("number", [0, 257])
def test_bundle_of_another_size_is_refused(number: int) -> None:
    with pytest.raises(FormatError):
        format_entry_bundle([b""] * number)
    with pytest.raises(FormatError):
        parse_entry_bundle(bytes(2 * number), number)


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00\x01", b"\x00\x01a\x00", b"\x00\x02a", b"\x00\x01a\x00\x01b"])
def test_bundle_that_ends_early_or_late_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        parse_entry_bundle(data, 1)
