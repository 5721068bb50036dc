"""Page tokens: text that goes into a URL, bound to one list, and nothing a node has to trust."""

from __future__ import annotations

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeling.reasons import Reason
from node.reads.errors import BadRequest, BeyondFinal
from node.reads.pages import PAGE_DEFAULT, PAGE_MAX, open_page


@given(st.binary(min_size=1, max_size=80), st.integers(0, 2**63), st.integers(0, 9), st.lists(st.text(max_size=9)))
def test_a_token_continues_after_its_key(key: bytes, height: int, later: int, arguments: list[str]) -> None:
    first = open_page(height, 7, "", "lots", *arguments)
    token = first.token(key)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", token)
    following = open_page(height + later, 9, token, "lots", *arguments)
    assert (following.after, following.since, following.size) == (key, height, 9)
    assert first.token(None) == ""


@pytest.mark.parametrize(("asked", "given_size"), [(0, PAGE_DEFAULT), (1, 1), (PAGE_MAX, PAGE_MAX), (2**31, PAGE_MAX)])
def test_page_sizes(asked: int, given_size: int) -> None:
    assert open_page(5, asked, "", "lots").size == given_size


def test_a_token_of_another_list_is_refused() -> None:
    token = open_page(5, 0, "", "lots", "alice", "").token(b"k")
    for name, arguments in (
        ("holds", ("alice", "")),
        ("lots", ("bob", "")),
        ("lots", ("alice",)),
        ("lots", ("", "alice")),
    ):
        with pytest.raises(BadRequest, match="another list") as caught:
            open_page(5, 0, token, name, *arguments)
        assert caught.value.reason == Reason.BAD_PAGE_TOKEN


def test_a_token_of_the_future_is_refused() -> None:
    token = open_page(6, 0, "", "lots").token(b"k")
    with pytest.raises(BeyondFinal, match="height 6, this node is at 5"):
        open_page(5, 0, token, "lots")


TOKEN = open_page(5, 0, "", "lots").token(b"key")


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "é",
        "not a token",
        "====",
        TOKEN + "A",
        TOKEN[:-2],
        TOKEN + "=",
        TOKEN + "=" * 9,
        base64.b64encode(b"\xff" * 40).decode(),
    ],
)
def test_nonsense_is_no_token(token: str) -> None:
    with pytest.raises(BadRequest) as caught:
        open_page(5, 0, token, "lots")
    assert caught.value.reason == Reason.BAD_PAGE_TOKEN


@given(st.text(min_size=1, max_size=60))
def test_no_text_does_worse_than_a_refusal(token: str) -> None:
    with pytest.raises(BadRequest, match="no page token"):
        open_page(2**63, 0, token, "lots")
