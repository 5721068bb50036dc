"""What peers may ask of a node: its final blocks, page by page, and single blocks it executed. Only reads the store."""

from __future__ import annotations

from keeling.block import parse_header
from keeling.merkle import hash_leaf
from keeling.votes import CERTIFICATE
from node.archive import height_key, leaf_key
from node.peers.contract import PAGE_BYTES_MAX, PAGE_RECORDS_MAX, FetchedBlock, FinalRecord, PeerFailed
from node.store.contract import Family, Reads


def read_page(reads: Reads, height: int, newest: int) -> tuple[FinalRecord, ...]:
    """Final blocks from `height` on, as many as one page holds; empty above `newest`. Raises `PeerFailed`."""
    page: list[FinalRecord] = []
    size = 0
    while height <= newest and len(page) < PAGE_RECORDS_MAX and size < PAGE_BYTES_MAX:
        header = reads.get(Family.BLOCKS, height_key(b"h", height))
        certificate = reads.get(Family.BLOCKS, height_key(b"c", height))
        entry = None if header is None else reads.get(Family.BODIES, parse_header(header).entry)
        if header is None or certificate is None or entry is None:
            raise PeerFailed(f"the block at {height} is not whole here: it was pruned, or this node began above it")
        note = reads.get(Family.BLOCKS, height_key(b"k", height)) or b""
        page.append(FinalRecord(header, certificate, entry, note))
        size += len(entry)
        height += 1
    return tuple(page)


def read_block(reads: Reads, height: int, root: bytes) -> FetchedBlock | None:
    """A final block with the leaves that prove its header, if it is the one that makes the tree of `root`."""
    raw = reads.get(Family.BLOCKS, height_key(b"c", height))
    leaf = reads.get(Family.BLOCKS, height_key(b"h", height))
    if raw is None or leaf is None or CERTIFICATE.decode(raw).lock.root != root:
        return None
    header = parse_header(leaf)
    entry = reads.get(Family.BODIES, header.entry)
    keys = [leaf_key(header.first_leaf + offset) for offset in range(header.leaves - 1)]
    leaves = [found for found in reads.get_many(Family.LEAVES, keys) if found is not None]
    if entry is None or len(leaves) != len(keys):
        return None
    return FetchedBlock(leaf, entry, b"".join(hash_leaf(found) for found in leaves), b"")
