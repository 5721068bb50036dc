"""Bundles changed on purpose: a part is decoded, changed by a function, and sealed under a manifest that fits."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from keeling.bundle import Bundle, Failure, copy_part, describe_part, format_manifest, parse_bundle
from keeling.bundle_parts import CUT_BLOCK, SELECTION, WHOLE_BLOCK, CutBlock, Selection, WholeBlock
from keeling.encoding import Codec
from keeling.verify import verify_bundle
from tests.keeling.log_samples import read_vectors

T = TypeVar("T")


@cache
def vectors() -> Any:
    return read_vectors("bundles.json")


@cache
def genesis() -> bytes:
    return bytes.fromhex(vectors()["genesis"])


@cache
def data_of(name: str) -> bytes:
    """The recorded bundle `whole` or `cut`."""
    return bytes.fromhex(next(item["bytes"] for item in vectors()["bundles"] if item["name"] == name))


def failure_of(data: bytes) -> Failure | None:
    return verify_bundle(data, genesis()).failure


def parts_of(bundle: Bundle) -> list[bytes]:
    return [copy_part(bundle, n) for n in range(len(bundle.manifest.parts))]


def seal(bundle: Bundle, parts: list[bytes]) -> bytes:
    """The parts under a manifest that fits them, as a forger would write it."""
    pairs = zip(bundle.manifest.parts, parts, strict=True)
    infos = tuple(describe_part(info.name, data) for info, data in pairs)
    return format_manifest(bundle.manifest._replace(parts=infos)) + b"".join(parts)


def decode_blocks(codec: Codec[T], data: bytes) -> list[T]:
    blocks, at = [], 0
    while at < len(data):
        block, at = codec.read(data, at)
        blocks.append(block)
    return blocks


def forge_whole(change: Callable[[list[WholeBlock]], list[WholeBlock]]) -> bytes:
    """The recorded whole bundle with other blocks."""
    return _forge("whole", WHOLE_BLOCK, change)


def forge_cut(change: Callable[[list[CutBlock]], list[CutBlock]]) -> bytes:
    """The recorded cut bundle with other excerpts."""
    return _forge("cut", CUT_BLOCK, change)


def forge_selection(selection: Selection) -> bytes:
    """The recorded cut bundle, said to be of something else."""
    bundle = parse_bundle(data_of("cut"))
    parts = parts_of(bundle)
    parts[3] = SELECTION.encode(selection)
    return seal(bundle, parts)


def _forge(name: str, codec: Codec[T], change: Callable[[list[T]], list[T]]) -> bytes:
    bundle = parse_bundle(data_of(name))
    parts = parts_of(bundle)
    parts[-1] = b"".join(map(codec.encode, change(decode_blocks(codec, parts[-1]))))
    return seal(bundle, parts)
