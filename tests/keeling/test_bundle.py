"""The file around a bundle's parts: one byte form, and a parser that names whatever is not in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeling import bundle as bundle_module
from keeling.bundle import (
    MAGIC,
    BundleError,
    Kind,
    Manifest,
    describe_part,
    fill_parts,
    format_manifest,
    is_full,
    parse_bundle,
    read_part,
    write_bundle,
)
from keeling.bundle_parts import Selection

NETWORK = bytes(range(32))
FIXED = (b"checkpoint", b"certificate", b"\x00\x00\x00\x00")


def make(*blocks: tuple[int, bytes], kind: Kind = Kind.WHOLE, height: int = 2) -> bytes:
    fixed = FIXED if kind is Kind.WHOLE else (*FIXED, b"selection")
    return b"".join(write_bundle(kind, NETWORK, height, fixed, blocks, BytesIO()))


GOOD = make((1, b"one"), (2, b"two"))
CUT = make((3, b"three"), (7, b"seven"), kind=Kind.CUT, height=9)


def test_what_is_written_is_read() -> None:
    found = parse_bundle(GOOD)
    assert found.manifest.kind is Kind.WHOLE
    assert [part.name for part in found.manifest.parts] == ["checkpoint", "certificate", "handovers", "blocks/1-2"]
    assert [read_part(found, n) for n in range(4)] == [*FIXED, b"onetwo"]
    assert format_manifest(found.manifest) == GOOD[: GOOD.index(b"\nend\n") + 5]
    assert parse_bundle(memoryview(CUT)).manifest.parts[-1].name == "blocks/3-7"


def swap(data: bytes, old: bytes, new: bytes) -> bytes:
    assert data.count(old) == 1, old
    return data.replace(old, new)


def line(data: bytes, number: int) -> bytes:
    return data.split(b"\n")[number - 1] + b"\n"


MALFORMED = [
    (b"", "first line"),
    (b"keeling/bundle/v2\n" + GOOD[len(MAGIC) :], "first line"),
    (GOOD[: len(MAGIC)], "last line"),
    (GOOD[:400], "last line"),
    (MAGIC + b"kind whole\nend\n", "lines"),
    (swap(GOOD, b"kind whole", b"kind  whole"), "line 2"),
    (swap(GOOD, b"kind whole", b"kind part"), "line 2"),
    (swap(GOOD, b"kind whole", b"kind cut"), "first parts of a cut bundle"),
    (swap(GOOD, NETWORK.hex().encode(), NETWORK.hex().upper().encode()), "line 3"),
    (swap(GOOD, b"height 2\n", b"size 2\n"), "line 4"),
    (swap(GOOD, b"height 2\n", b"height 02\n"), "line 4"),
    (swap(GOOD, b"height 2\n", b"height +2\n"), "line 4"),
    (swap(GOOD, b"height 2\n", "height ٢\n".encode()), "byte 109"),
    (swap(GOOD, b"height 2\n", b"height 3\n"), "last height of the parts of blocks"),
    (swap(GOOD, b"height 2\n", b"height 2\r\n"), "line 4"),
    (swap(GOOD, b"handovers 4", b"handovers 04"), "line 7"),
    (swap(GOOD, b"part handovers", b"part  handovers"), "line 7"),
    (swap(GOOD, b"part handovers", b"part extra"), "first parts of a whole bundle"),
    (swap(GOOD, line(GOOD, 7), b""), "first parts of a whole bundle"),
    (swap(GOOD, line(GOOD, 5) + line(GOOD, 6), line(GOOD, 6) + line(GOOD, 5)), "first parts of a whole bundle"),
    (swap(GOOD, line(GOOD, 8), line(GOOD, 8) + line(GOOD, 7)), "name of a part"),
    (swap(GOOD, line(GOOD, 8), line(GOOD, 8) + line(GOOD, 8)), "first height of part blocks/1-2"),
    (swap(GOOD, line(GOOD, 8), b""), "last height of the parts of blocks"),
    (swap(GOOD, b"blocks/1-2", b"blocks/01-2"), "name of a part"),
    (swap(GOOD, b"blocks/1-2", b"blocks/0-2"), "heights of part blocks/0-2"),
    (swap(GOOD, b"blocks/1-2", b"blocks/1-0"), "heights of part blocks/1-0"),
    (swap(GOOD, b"blocks/1-2", b"blocks/1-3"), "heights of part blocks/1-3"),
    (swap(CUT, b"blocks/3-7", b"blocks/0-7"), "heights of part blocks/0-7"),
    (swap(CUT, b"blocks/3-7", b"blocks/3-10"), "heights of part blocks/3-10"),
    (GOOD[:-1], "bytes"),
    (GOOD[:-7], "bytes"),
    (GOOD + b"\x00", "bytes after the last part"),
    (GOOD + GOOD, "bytes after the last part"),
]


@pytest.mark.parametrize(("data", "what"), MALFORMED)
def test_malformed_bundle_is_refused_by_name(data: bytes, what: str) -> None:
    with pytest.raises(BundleError) as raised:
        parse_bundle(data)
    assert raised.value.failure.what == what


def test_changed_part_is_refused() -> None:
    found = parse_bundle(GOOD[:-1] + b"x")
    with pytest.raises(BundleError, match="part blocks/1-2: SHA-256 of the part"):
        read_part(found, 3)


def test_blocks_fill_parts_in_one_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_module, "PART_BLOCKS_MAX", 3)
    monkeypatch.setattr(bundle_module, "PART_BYTES_FULL", 10)
    blocks = [(height, b"x" * size) for height, size in enumerate([1, 1, 1, 9, 1, 30, 4, 4], start=1)]
    names = [(name, len(data)) for name, data in fill_parts(blocks)]
    assert names == [("blocks/1-3", 3), ("blocks/4-5", 10), ("blocks/6-6", 30), ("blocks/7-8", 8)]
    assert (is_full(2, 9), is_full(3, 0), is_full(0, 10)) == (False, True, True)
    assert list(fill_parts([])) == []


@given(st.binary(max_size=200), st.integers(0, 500), st.integers(0, 40))
def test_any_bytes_are_a_bundle_or_an_error(junk: bytes, at: int, removed: int) -> None:
    for data in (junk, MAGIC + junk, GOOD[:at] + junk + GOOD[at + removed :]):
        try:
            found = parse_bundle(data)
        except BundleError:
            continue
        start = format_manifest(found.manifest)
        assert data.startswith(start)
        assert len(data) == len(start) + sum(part.size for part in found.manifest.parts)


@given(
    st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=5),
    st.sampled_from(list(Kind)),
)
def test_every_bundle_has_one_form(blocks: list[bytes], kind: Kind) -> None:
    data = make(*enumerate(blocks, start=1), kind=kind, height=len(blocks))
    found = parse_bundle(data)
    parts = [read_part(found, n) for n in range(len(found.manifest.parts))]
    infos = tuple(describe_part(info.name, part) for info, part in zip(found.manifest.parts, parts, strict=True))
    assert format_manifest(Manifest(kind, NETWORK, len(blocks), infos)) + b"".join(parts) == data


@given(st.integers(0, 253_402_300_799_999))
def test_a_period_is_told_in_utc(ms: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    text = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert str(Selection("a", ms, None)) == f"account a from {text} until the end"
    assert str(Selection(None, None, ms)) == f"all accounts from the beginning until {text}"


def test_a_period_may_end_after_every_calendar() -> None:
    assert str(Selection(None, 0, 2**64 - 1)).endswith("until 584556019-04-03T14:25:51.615Z")
