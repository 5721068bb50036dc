"""The judge of chaos must see every way in which the promise can be broken."""

from __future__ import annotations

import pytest

from adapters.contract import ChangeKind, HoldingState
from adapters.sandbox.book import Book
from hub.rehearsal.proof import Fate, compare_spans, judge
from keeling.serials import parse

SERIALS = parse("PURO_PR_CORC100+_FI_643002_2024_40980b1a-cff7-4c78-9cc5-a3a2f18c7e0d_1-1000")


def book_with(*done: tuple[str, str, int, int]) -> Book:
    """A book in which orders (key, reference, first, last) retired units."""
    book = Book()
    book.issue(1, SERIALS, "acc")
    for key, reference, first, last in done:
        part = SERIALS.part(first, last)
        book.change(
            2,
            ChangeKind.RETIRED,
            "acc",
            [part],
            state=HoldingState.RETIRED,
            reference=reference,
            key=key,
            to_account="",
        )
    return book


FATE = Fate("aa", "puro", 10, 10, 0, "CAPTURED")


@pytest.mark.parametrize(
    ("fate", "done", "retired", "broken"),
    [
        (FATE, [("aa", "R1", 1, 10)], [(1, 10)], ""),
        (FATE, [("aa", "R1", 1, 6), ("aa-2", "R1", 7, 10)], [(1, 10)], ""),
        (FATE, [], [(1, 10)], "ghosts"),
        (FATE, [("aa", "R1", 1, 9)], [(1, 9)], "ghosts"),
        (FATE._replace(captured=0, released=10, phase="RELEASED"), [("aa", "R1", 1, 10)], [(1, 10)], "losses"),
        (FATE, [("aa", "R1", 1, 5), ("aa", "R2", 6, 10)], [(1, 10)], "duplicates"),
        (FATE, [("aa", "R1", 1, 10), ("bb", "R2", 11, 12)], [(1, 12)], "losses"),
        (FATE, [("aa", "R1", 1, 10)], [(2, 11)], "differences"),
        (FATE._replace(phase="INSTRUCTED"), [("aa", "R1", 1, 10)], [(1, 10)], "unfinished"),
        (FATE._replace(units=11), [("aa", "R1", 1, 10)], [(1, 10)], "unfinished"),
    ],
)
def test_every_broken_promise_is_seen(
    fate: Fate, done: list[tuple[str, str, int, int]], retired: list[tuple[int, int]], broken: str
) -> None:
    verdict = judge([fate], {"puro": book_with(*done)}, {"puro": {"retired": retired}}, {"puro": "acc"})
    assert verdict.kept == (not broken)
    if broken:
        assert getattr(verdict, broken)


def test_spans_are_compared_number_by_number() -> None:
    assert compare_spans([(1, 4), (5, 10)], [(1, 10)]) == []
    assert compare_spans([(1, 10)], [(4, 12)]) == ["1..3 only here", "11..12 only there"]
    assert compare_spans([], [(7, 7)]) == ["7..7 only there"]
