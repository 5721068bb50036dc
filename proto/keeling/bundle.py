"""Audit bundles as files: one magic line, a manifest of every part with its length and SHA-256, the parts, the end.

A bundle has exactly one byte form. The manifest is text in a fixed order, parts follow in the manifest's order, blocks
fill their parts by one rule, and nothing stands between or after; the parser is stricter than that of signed notes,
which must ignore what it does not know. What the parts say is in `keeling.bundle_parts`, whether it is true in
`keeling.verify`. Source: architecture §4.10, G9.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from hashlib import sha256
from typing import BinaryIO, Final, NamedTuple

from keeling.strict import FormatError, parse_decimal

MAGIC: Final = b"keeling/bundle/v1\n"
MANIFEST_BYTES_MAX: Final = 4 << 20
"""Room for some forty thousand parts, 40 GB of blocks."""
PART_BLOCKS_MAX: Final = 1000
PART_BYTES_FULL: Final = 1 << 20
"""A part of blocks takes no further block once it has this many bytes, or `PART_BLOCKS_MAX` blocks."""

_END: Final = b"end\n"
_COPY_BYTES: Final = 1 << 20
_LINE: Final = re.compile(r"part ([a-z]+(?:/[0-9]+-[0-9]+)?) ([0-9]+) ([0-9a-f]{64})", re.ASCII)
_BLOCKS: Final = re.compile(r"blocks/([0-9]+)-([0-9]+)", re.ASCII)
_NETWORK: Final = re.compile(r"network ([0-9a-f]{64})", re.ASCII)

Buffer = bytes | memoryview


class Kind(StrEnum):
    """What a bundle shows: the whole log up to a height, or what concerns one account or period."""

    WHOLE = "whole"
    CUT = "cut"


FIXED_PARTS: Final = {
    Kind.WHOLE: ("checkpoint", "certificate", "handovers"),
    Kind.CUT: ("checkpoint", "certificate", "handovers", "selection"),
}
"""The parts that each kind begins with, in this order; parts of blocks follow."""


class Failure(NamedTuple):
    """What is wrong with a bundle: where it stands, what was checked, what had to be there, what is there."""

    where: str
    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}: expected {self.expected}, found {self.found}"


class BundleError(ValueError):
    """The bytes are not a bundle, or one that does not hold; `failure` names the place."""

    def __init__(self, where: object, what: str, expected: object, found: object) -> None:
        self.failure = Failure(str(where), what, _show(expected), _show(found))
        super().__init__(str(self.failure))


def _show(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def expect(where: object, what: str, expected: object, found: object) -> None:
    """Refuse, naming place and subject, unless both are equal. Raises `BundleError`."""
    if expected != found:
        raise BundleError(where, what, expected, found)


class PartInfo(NamedTuple):
    """A line of the manifest. `digest` is the SHA-256 of the part's bytes."""

    name: str
    size: int
    digest: bytes


class Manifest(NamedTuple):
    """What a bundle says of itself. Nothing of it is believed before it was compared with what is signed."""

    kind: Kind
    network: bytes
    height: int
    parts: tuple[PartInfo, ...]


class Bundle(NamedTuple):
    """A bundle whose layout is sound; the parts' contents are not checked yet."""

    manifest: Manifest
    data: Buffer
    starts: tuple[int, ...]

    @property
    def fixed(self) -> int:
        """How many parts stand before the parts of blocks."""
        return len(FIXED_PARTS[self.manifest.kind])


def describe_part(name: str, data: bytes) -> PartInfo:
    """The manifest's line for a part."""
    return PartInfo(name, len(data), sha256(data).digest())


def format_manifest(manifest: Manifest) -> bytes:
    """The bytes a bundle begins with, magic line included."""
    lines = [f"kind {manifest.kind}", f"network {manifest.network.hex()}", f"height {manifest.height}"]
    lines += [f"part {part.name} {part.size} {part.digest.hex()}" for part in manifest.parts]
    return MAGIC + "".join(f"{line}\n" for line in lines).encode("ascii") + _END


def name_blocks(first: int, last: int) -> str:
    """The name of the part that holds blocks from the height `first` to the height `last`."""
    return f"blocks/{first}-{last}"


def parse_blocks_name(name: str) -> tuple[int, int]:
    """The first and last height in a part of blocks; raises `BundleError`."""
    found = _BLOCKS.fullmatch(name)
    if found is None:
        raise BundleError("manifest", "name of a part", "blocks/FIRST-LAST", name)
    first, last = int(found[1]), int(found[2])
    expect("manifest", "name of a part", name_blocks(first, last), name)
    return first, last


def is_full(blocks: int, size: int) -> bool:
    """Whether a part with so many blocks and bytes is closed. So that blocks fill parts in one way only."""
    return blocks >= PART_BLOCKS_MAX or size >= PART_BYTES_FULL


def parse_bundle(data: Buffer) -> Bundle:
    """Return the bundle's layout: manifest canonical, parts in order, nothing missing or left over.

    Raises `BundleError`. The digests are compared as parts are read, by `read_part`.
    """
    head = bytes(data[:MANIFEST_BYTES_MAX])
    expect("bundle", "first line", repr(MAGIC), repr(head[: len(MAGIC)]))
    ends = head.find(b"\n" + _END)
    if ends < 0:
        raise BundleError("manifest", "last line", "end", f"none within {len(head)} bytes")
    ends += 1 + len(_END)
    manifest = _parse_manifest(head[len(MAGIC) : ends - len(_END) - 1])
    expect("manifest", "canonical form", repr(format_manifest(manifest)[:200]), repr(head[:ends][:200]))
    _check_names(manifest)
    starts, at = [], ends
    for part in manifest.parts:
        if at + part.size > len(data):
            raise BundleError(
                f"part {part.name}", "bytes", part.size, f"{max(0, len(data) - at)}: the bundle is truncated"
            )
        starts.append(at)
        at += part.size
    expect("bundle", "bytes after the last part", 0, len(data) - at)
    return Bundle(manifest, data, tuple(starts))


def _parse_manifest(body: bytes) -> Manifest:
    try:
        lines = body.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise BundleError(
            "manifest", f"byte {len(MAGIC) + error.start}", "ASCII", body[error.start : error.start + 1]
        ) from error
    if len(lines) < 3:
        raise BundleError("manifest", "lines", "kind, network, height and parts", len(lines))
    kinds = {f"kind {kind}": kind for kind in Kind}
    network = _NETWORK.fullmatch(lines[1])
    if lines[0] not in kinds:
        raise BundleError("manifest", "line 2", " or ".join(kinds), repr(lines[0][:80]))
    if network is None:
        raise BundleError("manifest", "line 3", "network and 64 hex digits", repr(lines[1][:80]))
    if not lines[2].startswith("height "):
        raise BundleError("manifest", "line 4", "height and a number", repr(lines[2][:80]))
    height = _number(lines[2].removeprefix("height "), 4)
    parts = []
    for number, line in enumerate(lines[3:], start=5):
        found = _LINE.fullmatch(line)
        if found is None:
            raise BundleError("manifest", f"line {number}", "part NAME BYTES SHA-256", repr(line[:120]))
        parts.append(PartInfo(found[1], _number(found[2], number), bytes.fromhex(found[3])))
    return Manifest(kinds[lines[0]], bytes.fromhex(network[1]), height, tuple(parts))


def _number(text: str, line: int) -> int:
    try:
        return parse_decimal(text, "number")
    except FormatError as error:
        raise BundleError("manifest", f"line {line}", "a plain decimal number", repr(text[:40])) from error


def _check_names(manifest: Manifest) -> None:
    """Every part that belongs to the kind, in its order, and blocks in ascending, never overlapping parts."""
    fixed = FIXED_PARTS[manifest.kind]
    names = [part.name for part in manifest.parts]
    expect("manifest", f"first parts of a {manifest.kind} bundle", " ".join(fixed), " ".join(names[: len(fixed)]))
    before = 0
    for name in names[len(fixed) :]:
        first, last = parse_blocks_name(name)
        if manifest.kind is Kind.WHOLE and before:  # the genesis file says which is the very first
            expect("manifest", f"first height of part {name}", before + 1, first)
        if not before < first <= last <= manifest.height:
            found = f"{first} to {last}"
            raise BundleError("manifest", f"heights of part {name}", f"above {before}, up to {manifest.height}", found)
        before = last
    if manifest.kind is Kind.WHOLE:
        expect("manifest", "last height of the parts of blocks", manifest.height, before)


def read_part(bundle: Bundle, ordinal: int) -> bytes:
    """The bytes of the part at `ordinal` of the manifest; raises `BundleError` if they are not those it lists."""
    data = copy_part(bundle, ordinal)
    check_digest(bundle.manifest.parts[ordinal], data)
    return data


def copy_part(bundle: Bundle, ordinal: int) -> bytes:
    """The bytes of a part, unchecked: for a worker that checks them itself."""
    start = bundle.starts[ordinal]
    return bytes(bundle.data[start : start + bundle.manifest.parts[ordinal].size])


def check_digest(part: PartInfo, data: bytes) -> None:
    """Refuse bytes that are not the ones the manifest lists. Raises `BundleError`."""
    expect(f"part {part.name}", "SHA-256 of the part", part.digest, sha256(data).digest())


def fill_parts(blocks: Iterable[tuple[int, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Put encoded blocks, given with their heights in ascending order, into parts; yields name and bytes of each."""
    filling = bytearray()
    number = first = last = 0
    for height, encoded in blocks:
        first, last = first if number else height, height
        filling += encoded
        number += 1
        if is_full(number, len(filling)):
            yield name_blocks(first, last), bytes(filling)
            filling.clear()
            number = 0
    if number:
        yield name_blocks(first, last), bytes(filling)


def write_bundle(
    kind: Kind,
    network: bytes,
    height: int,
    fixed: Sequence[bytes],
    blocks: Iterable[tuple[int, bytes]],
    spool: BinaryIO,
) -> Iterator[bytes]:
    """Yield the bytes of a bundle. The parts of blocks wait in `spool`, an empty file, until the manifest is known."""
    parts = [describe_part(name, data) for name, data in zip(FIXED_PARTS[kind], fixed, strict=True)]
    for name, data in fill_parts(blocks):
        parts.append(describe_part(name, data))
        spool.write(data)
    yield format_manifest(Manifest(kind, network, height, tuple(parts)))
    yield from fixed
    spool.seek(0)
    while data := spool.read(_COPY_BYTES):
        yield data
