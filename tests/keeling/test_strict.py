"""One spelling per value: what Python's own parsers would let through is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeling.strict import (
    NUMBER_MAX,
    FormatError,
    check_number,
    decode_text,
    format_base64,
    parse_base64,
    parse_decimal,
    parse_hash,
    parse_hex,
)


@pytest.mark.parametrize("text", ["0", "7", "10", str(NUMBER_MAX)])
def test_decimal_is_read(text: str) -> None:
    assert str(parse_decimal(text, "size")) == text


@pytest.mark.parametrize(
    "text",
    ["", "01", "00", "+7", "-1", "1_000", " 7", "7\n", "7 ", "0x7", "1e3", "1.0", "٣", str(NUMBER_MAX + 1), "9" * 400],
)
def test_decimal_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(FormatError, match="size"):
        parse_decimal(text, "size")


@pytest.mark.parametrize("value", [-1, NUMBER_MAX + 1])
def test_number_out_of_range_is_refused(value: int) -> None:
    with pytest.raises(FormatError, match="size"):
        check_number(value, "size")


@given(st.binary(max_size=80))
def test_base64_returns(data: bytes) -> None:
    assert parse_base64(format_base64(data), "hash") == data


@pytest.mark.parametrize("text", ["QR==", "QQ", "QQ=", "QQ==\n", " QQ==", "Q Q==", "QQ==QQ==", "_w==", "QQ===", "é"])
def test_base64_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(FormatError, match="hash"):
        parse_base64(text, "hash")


def test_hash_has_32_bytes() -> None:
    assert parse_hash(format_base64(bytes(32)), "root") == bytes(32)
    with pytest.raises(FormatError, match="31 bytes"):
        parse_hash(format_base64(bytes(31)), "root")


def test_hex_is_read() -> None:
    assert parse_hex("00ff", "key") == b"\x00\xff"


@pytest.mark.parametrize("text", ["0", "0F", "0g", "00 ff", "00\n", "٣٣"])
def test_hex_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(FormatError, match="key"):
        parse_hex(text, "key")


@pytest.mark.parametrize("data", [b"a\rb", b"a\tb", b"\x00", b"\x1f", b"\xff", b"\xed\xa0\x80", b"\xc0\x80"])
def test_text_with_control_characters_or_bad_utf8_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError, match="the note"):
        decode_text(data, "the note")


def test_text_keeps_every_other_character() -> None:
    text = "a\nb \x7f\x85 \u2028é"
    assert decode_text(text.encode(), "the note") == text
