"""The canonical encoding: every value has one form, `decode` gives it back, and any other bytes are refused."""

from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeling import encoding as e
from keeling.encoding import Codec, EncodingError, Ref, listing, optional, record


class Mixed(NamedTuple):
    number: int
    name: str
    many: tuple[int, ...]
    maybe: bytes | None


class Packed(NamedTuple):
    flag: bool
    number: int
    key: bytes
    last: bool


MIXED = record(Mixed, e.U64, e.TEXT, listing(e.NATURAL), optional(e.BYTES))
PACKED = record(Packed, e.BOOL, e.U32, e.BYTES16, e.BOOL)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
NATURALS = st.integers(0, 2**70)
VALUES: list[tuple[Codec[Any], st.SearchStrategy[Any]]] = [
    (e.U8, st.integers(0, 255)),
    (e.U16, st.integers(0, 2**16 - 1)),
    (e.U32, st.integers(0, 2**32 - 1)),
    (e.U64, st.integers(0, 2**64 - 1)),
    (e.I64, st.integers(-(2**63), 2**63 - 1)),
    (e.BOOL, st.booleans()),
    (e.BYTES16, st.binary(min_size=16, max_size=16)),
    (e.BYTES, st.binary(max_size=5)),
    (e.TEXT, TEXTS),
    (e.NATURAL, NATURALS),
    (e.REF, st.builds(Ref, st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))),
    (optional(e.TEXT), st.none() | TEXTS),
    (listing(e.TEXT), st.lists(TEXTS, max_size=3).map(tuple)),
    (
        MIXED,
        st.builds(
            Mixed,
            st.integers(0, 9),
            TEXTS,
            st.lists(NATURALS, max_size=3).map(tuple),
            st.none() | st.binary(max_size=3),
        ),
    ),
    (
        PACKED,
        st.builds(Packed, st.booleans(), st.integers(0, 9), st.binary(min_size=16, max_size=16), st.booleans()),
    ),
]


@given(st.sampled_from(VALUES).flatmap(lambda pair: st.tuples(st.just(pair[0]), pair[1])))
def test_decode_gives_back_what_encode_wrote(made: tuple[Codec[Any], Any]) -> None:
    codec, value = made
    data = codec.encode(value)
    assert codec.decode(data) == value
    out = bytearray(b"before")
    codec.write(out, value)
    assert bytes(out) == b"before" + data
    with pytest.raises(EncodingError):
        codec.decode(data + b"\x00")
    for end in range(len(data)):
        with pytest.raises(EncodingError):
            codec.decode(data[:end])


@given(st.sampled_from([codec for codec, _ in VALUES]), st.binary(max_size=40))
def test_bytes_that_decode_are_the_only_form_of_their_value(codec: Codec[Any], data: bytes) -> None:
    try:
        value = codec.decode(data)
    except EncodingError:
        return
    assert codec.encode(value) == data


@pytest.mark.parametrize(
    ("codec", "value", "data"),
    [
        (e.U16, 0x0102, "0102"),
        (e.I64, -1, "ff" * 8),
        (e.BOOL, True, "01"),
        (e.BYTES, b"ab", "000000026162"),
        (e.TEXT, "é", "00000002c3a9"),
        (e.NATURAL, 0, "0000"),
        (e.NATURAL, 256, "00020100"),
        (listing(e.U8), (1, 2), "000000020102"),
        (optional(e.U8), None, "00"),
        (optional(e.U8), 7, "0107"),
        (MIXED, Mixed(1, "a", (2,), None), "000000000000000100000001610000000100010200"),
        (PACKED, Packed(True, 1, bytes(16), False), "0100000001" + "00" * 16 + "00"),
    ],
)
def test_forms_are_as_the_formats_page_says(codec: Codec[Any], value: object, data: str) -> None:
    assert codec.encode(value).hex() == data


REFUSED = [
    (e.U8, 256),
    (e.U8, -1),
    (e.I64, 2**63),
    (e.U64, "1"),
    (e.BYTES16, b"short"),
    (e.TEXT, "\ud800"),
    (e.NATURAL, -1),
    (PACKED, Packed(True, 2**32, bytes(16), True)),
    (PACKED, Packed(True, 1, bytes(15), True)),
]
NOT_CANONICAL = [
    (e.BOOL, "02"),
    (e.NATURAL, "000100"),
    (e.NATURAL, "00020001"),
    (e.TEXT, "00000001ff"),
    (e.TEXT, "00000003eda080"),
    (optional(e.U8), "0207"),
    (listing(e.U8), "ffffffff01"),
    (PACKED, "0200000001" + "00" * 16 + "00"),
    (PACKED, "0100000001" + "00" * 16 + "07"),
]


@pytest.mark.parametrize(("codec", "value"), REFUSED)
def test_values_without_a_form_are_refused(codec: Codec[Any], value: object) -> None:
    with pytest.raises(EncodingError):
        codec.encode(value)


@pytest.mark.parametrize(("codec", "data"), NOT_CANONICAL)
def test_second_spellings_are_refused(codec: Codec[Any], data: str) -> None:
    with pytest.raises(EncodingError):
        codec.decode(bytes.fromhex(data))


def test_a_record_needs_a_codec_for_each_field() -> None:
    with pytest.raises(EncodingError, match="2 field codecs"):
        record(Mixed, e.U8, e.U8)


@given(st.lists(NATURALS, min_size=2))
def test_naturals_sort_as_numbers_do(numbers: list[int]) -> None:
    assert sorted(e.NATURAL.encode(n) for n in numbers) == [e.NATURAL.encode(n) for n in sorted(numbers)]
