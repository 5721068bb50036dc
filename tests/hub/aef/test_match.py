"""Two Parties' reports beside each other: numbers are compared, not rows, and every number as often as it moved."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.aef.layout import SUBMISSION, Report
from hub.aef.match import match_reports
from tests.hub.aef.samples import action_row, hand_written

Pieces = list[tuple[int, int]]


def report_of(party: str, type_: str, pieces: Pieces) -> Report:
    """A report of nothing but transfers from GHA to CHE, as one of the two has them."""
    name, other = ("AcquiringPartyID", "CHE") if party == "GHA" else ("TransferringPartyID", "GHA")
    rows = [action_row("2025-06-01T00:00:00.000Z", type_, first, last, **{name: other}) for first, last in pieces]
    submission = list(hand_written().submission)
    submission[SUBMISSION.at("ParticipatingParty")] = party
    return hand_written()._replace(submission=tuple(submission), actions=tuple(rows), holdings=())


def match(given_: Pieces, got: Pieces) -> list[str]:
    return [
        f"{finding.row}: {finding.text}"
        for finding in match_reports(report_of("GHA", "Transfer", given_), report_of("CHE", "Acquisition", got))
    ]


@pytest.mark.parametrize(
    ("given_", "got", "found"),
    [
        ([(1, 1000)], [(1, 1000)], []),
        ([(1, 1000)], [(401, 1000), (1, 400)], []),
        ([(1, 400), (401, 1000)], [(1, 1000)], []),
        ([(1, 1000)], [(1, 400)], ["1: no acquisition in the report of CHE matches 401 to 1000"]),
        ([(1, 400)], [(1, 1000)], ["0: no transfer here matches 401 to 1000 of row 1 in the report of CHE"]),
        ([], [(1, 10)], ["0: no transfer here matches 1 to 10 of row 1 in the report of CHE"]),
        ([(1, 10), (1, 10)], [(1, 10)], ["2: no acquisition in the report of CHE matches 1 to 10"]),
        ([(1, 10), (1, 10)], [(1, 10), (1, 5), (6, 10)], []),
        (
            [(1, 10)],
            [(3, 4), (7, 12)],
            [
                "0: no transfer here matches 11 to 12 of row 2 in the report of CHE",
                "1: no acquisition in the report of CHE matches 1 to 2",
                "1: no acquisition in the report of CHE matches 5 to 6",
            ],
        ),
    ],
)
def test_what_only_one_of_them_reports(given_: Pieces, got: Pieces, found: list[str]) -> None:
    assert match(given_, got) == found


PIECES = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 6)).map(lambda p: (p[0], p[0] + p[1])), max_size=5)


@given(PIECES, PIECES)
def test_each_number_is_missing_as_often_as_it_is(given_: Pieces, got: Pieces) -> None:
    ours, theirs = (Counter(n for first, last in pieces for n in range(first, last + 1)) for pieces in (given_, got))
    missing: dict[bool, Counter[int]] = {True: Counter(), False: Counter()}
    for finding in match_reports(report_of("GHA", "Transfer", given_), report_of("CHE", "Acquisition", got)):
        first, last = (int(word) for word in finding.text.partition(" matches ")[2].split()[:3:2])
        missing[finding.row > 0].update(range(first, last + 1))
    assert missing[True] == ours - theirs
    assert missing[False] == theirs - ours
