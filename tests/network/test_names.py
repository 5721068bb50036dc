"""The form of names and addresses."""

from __future__ import annotations

import pytest

from network.names import Address, NameRefused, check_origin, check_participant, format_address, parse_address

ORIGINS = ["natreg", "natreg.example", "ledger.example/main", "a/b/c_d", "x" * 128]
NO_ORIGINS = [
    "",
    "Natreg",
    "a b",
    "a+b",
    "https://ledger.example",
    "/main",
    "main/",
    "a//b",
    "-a",
    "é",
    "x" * 129,
    "a\n",
]
PARTICIPANTS = ["natreg", "p1", "0x", "a-b", "a" * 63]
NO_PARTICIPANTS = ["", "A", "a.b", "a_b", "-a", "a-", "a" * 64, "a/b", "ä", "a\n"]
ADDRESSES = [
    ("127.0.0.1:7451", Address("127.0.0.1", 7451)),
    ("node.natreg.example:0", Address("node.natreg.example", 0)),
    ("[::1]:7451", Address("::1", 7451)),
]
NO_ADDRESSES = [
    "",
    "7451",
    "host",
    "host:",
    "host:65536",
    "host:-1",
    "host:x",
    ":7451",
    "::1:7451",
    "[a]:1",
    "a b:1",
    "a:٣",
]


@pytest.mark.parametrize("text", ORIGINS)
def test_origin(text: str) -> None:
    assert check_origin(text) == text


@pytest.mark.parametrize("text", NO_ORIGINS)
def test_no_origin(text: str) -> None:
    with pytest.raises(NameRefused, match=r"such as ledger.example/main"):
        check_origin(text)


@pytest.mark.parametrize("text", PARTICIPANTS)
def test_participant(text: str) -> None:
    assert check_participant(text) == text


@pytest.mark.parametrize("text", NO_PARTICIPANTS)
def test_no_participant(text: str) -> None:
    with pytest.raises(NameRefused, match="lower-case letters, digits and inner hyphens"):
        check_participant(text)


@pytest.mark.parametrize(("text", "address"), ADDRESSES)
def test_addresses_are_read_and_written(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert format_address(address) == text


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_no_address(text: str) -> None:
    with pytest.raises(NameRefused, match="is not an address"):
        parse_address(text)
