"""A JSON file read record by record: the same as read whole, in bounded memory, however it is broken."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters import json_stream
from adapters.json_stream import OverlongRecordError, stream_records

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def at_once(raw: bytes) -> list[Any]:
    document = json.loads(raw.decode("utf-8-sig"), parse_float=str, parse_int=str)
    if isinstance(document, dict) and isinstance(document.get("data"), list):
        document = document["data"]
    return document if isinstance(document, list) else [document]


def streamed(raw: bytes, chunk_bytes: int) -> list[Any]:
    return list(stream_records(io.BytesIO(raw), chunk_bytes))


@given(VALUES | VALUES.map(lambda each: {"page": 1, "data": [each], "z": 2}), st.integers(1, 20), st.booleans())
@example([1.5e30, -12, 1e5, "ü"], 1, False)
def test_a_stream_is_what_the_whole_text_is(value: object, chunk_bytes: int, spaced: bool) -> None:
    raw = json.dumps(value, ensure_ascii=not spaced, indent=1 if spaced else None).encode("utf-8", "replace")
    assert streamed(raw, chunk_bytes) == streamed(b"\xef\xbb\xbf" + raw, chunk_bytes) == at_once(raw)


@settings(max_examples=200)
@given(st.text('[]{},:"1e.-tru\\ dat', max_size=25).map(str.encode), st.integers(1, 9))
@example(b'{"data":[1],}', 1)
@example(b"[1,]", 2)
@example(b"[1]]", 1)
@example(b"[1e", 1)
@example(b"{1:2}", 1)
def test_anything_is_read_the_same_or_refused(raw: bytes, chunk_bytes: int) -> None:
    try:
        expected = at_once(raw)
    except ValueError:
        with pytest.raises(ValueError, match=r"."):
            streamed(raw, chunk_bytes)
    else:
        assert streamed(raw, chunk_bytes) == expected


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"[1", "it ends before ']'"),
        (b"[1 2]", "']' is missing before '2'"),
        (b"[1] x", "more behind its end"),
        (b'{"data":[1],"data":[2]}', "data twice"),
        (b"{1:2}", "no text"),
        (b"[NaN]", "NaN is no number"),
        (b'["\xff"]', "invalid start byte"),
    ],
)
def test_what_is_wrong_is_said(raw: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        streamed(raw, 3)


def test_memory_is_that_of_a_record_and_not_of_the_file() -> None:
    record = json.dumps({"unitSerialId": "x" * 200}).encode()
    raw = io.BytesIO(b"[" + b",".join([record] * 40_000) + b"]")
    tracemalloc.start()
    try:
        assert sum(1 for _ in stream_records(raw)) == 40_000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_record_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "RECORD_CHARACTERS_MAX", 1000)
    with pytest.raises(OverlongRecordError, match="within 1000 characters"):
        streamed(b'["' + b"x" * 5000, 64)
