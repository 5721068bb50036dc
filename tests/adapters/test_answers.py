"""Whose order a registry's record is, and what it means, where our key stands in a note."""

from __future__ import annotations

import pytest

from adapters.answers import SKEW_MS, Record, ShapeError, Stage, judge, read_instant, read_key, recognise, sift
from adapters.capabilities import Action
from adapters.contract import Instruction, Question, Refused, Report
from keeling.serials import parse

LOT = parse("GS1-1-KE-GS99001-16-2024-50001-1-100")
OTHER = parse("GS1-1-KE-GS99001-16-2024-50001-101-200")
SENT = 1_774_000_000_000
ASKED = Instruction("a" * 32, Action.RETIRE, "1", (LOT,))
QUESTION = Question(ASKED, ("r1",), SENT)
MADE = Record("r1", Stage.DONE, 100, (LOT,), 0, "", "a" * 32, "1", SENT, SENT, b"{}")
NAMELESS = MADE._replace(reference="r2", key="")


@pytest.mark.parametrize(
    ("records", "references", "found"),
    [
        ([MADE], (), "r1"),
        ([MADE._replace(key="b")], ("r1",), None),
        ([MADE._replace(key="")], ("r1",), "r1"),
        ([NAMELESS], (), "doubt"),
        ([NAMELESS._replace(done=(OTHER,))], (), None),
        ([NAMELESS._replace(stage=Stage.WAITING, done=())], (), "doubt"),
        ([NAMELESS._replace(stage=Stage.WAITING, done=(), units=99)], (), None),
        ([NAMELESS._replace(stage=Stage.WAITING, done=()), MADE], (), "r1"),
        ([NAMELESS._replace(recorded_ms=SENT - SKEW_MS - 1)], (), None),
        ([NAMELESS, MADE], (), "r1"),
        ([MADE, MADE._replace(reference="r3")], (), "doubt"),
        ([MADE, MADE._replace(reference="r3")], ("r3",), "r3"),
        ([], ("r1",), None),
    ],
)
def test_whose_it_is(records: list[Record], references: tuple[str, ...], found: str | None) -> None:
    question = QUESTION._replace(references=references)
    if found == "doubt":
        with pytest.raises(ShapeError):
            recognise(records, question)
        return
    record = recognise(records, question)
    assert (record and record.reference) == found


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, (100, 0, 0)),
        ({"stage": Stage.WAITING, "done": ()}, (0, 100, 0)),
        ({"stage": Stage.PARTLY, "done": (LOT.part(1, 90),)}, (90, 10, 0)),
        ({"done": (LOT.part(1, 90),), "refused_units": 10}, (90, 0, 10)),
        ({"stage": Stage.REFUSED, "done": ()}, Refused),
        ({"units": 99}, ShapeError),
        ({"key": "b"}, ShapeError),
        ({"done": (LOT.part(1, 90),)}, ShapeError),
        ({"refused_units": 1}, ShapeError),
        ({"stage": Stage.WAITING}, ShapeError),
        ({"stage": Stage.REFUSED}, ShapeError),
        ({"stage": Stage.REFUSED, "done": (LOT.part(1, 40),), "refused_units": 60}, ShapeError),
        ({"stage": Stage.REFUSED, "done": (), "refused_units": 60}, ShapeError),
        ({"stage": Stage.REFUSED, "done": (), "refused_units": 100}, Refused),
        ({"stage": Stage.PARTLY, "done": (LOT.part(1, 40), LOT.part(1, 40))}, ShapeError),
        ({"done": (LOT.part(1, 60), LOT.part(21, 60))}, ShapeError),
    ],
)
def test_what_it_means(changed: dict[str, object], expected: object) -> None:
    record = MADE._replace(**changed)  # type: ignore[arg-type]
    if expected is ShapeError:
        with pytest.raises(ShapeError):
            judge(record, ASKED)
        return
    answer = judge(record, ASKED)
    if expected is Refused:
        assert isinstance(answer, Refused)
        assert answer.final
        return
    assert isinstance(answer, Report)
    assert (answer.done_units, answer.pending_units, answer.refused_units) == expected


def test_what_was_undone_says_so() -> None:
    answer = judge(MADE._replace(stage=Stage.UNDONE), ASKED)
    assert isinstance(answer, Report)
    assert answer.undone


@pytest.mark.parametrize(
    ("note", "key"), [("RE100 [abc-1]", "abc-1"), ("[a b]", ""), ("abc", ""), (None, ""), (["[a]"], ""), ("[é]", "")]
)
def test_the_key_in_a_note(note: object, key: str) -> None:
    assert read_key(note) == key


@pytest.mark.parametrize(
    ("printed", "ms"),
    [
        ("1970-01-01T00:00:01.500999", 1_500),
        ("1970-01-01T00:00:01Z", 1_000),
        ("1970-01-01T01:00:00+01:00", 0),
        ("0001-01-01T00:00:00+23:59", None),
        ("tomorrow", None),
        (5, None),
    ],
)
def test_an_instant_is_read_or_refused(printed: object, ms: int | None) -> None:
    if ms is not None:
        assert read_instant(printed, "at") == ms
        return
    with pytest.raises(ShapeError, match="is no instant"):
        read_instant(printed, "at")


@pytest.mark.parametrize(
    ("rows", "told", "unread"), [([1, 2, None], (1, 2), 0), ([1, "x"], (1,), 1), (["x"], (), 1), ([], (), 0)]
)
def test_rows_that_cannot_be_true_are_told_apart(rows: list[object], told: tuple[object, ...], unread: int) -> None:
    found, lines = sift(rows, read_row, "row")
    assert (found, len(lines)) == (told, unread)


def test_a_list_of_which_nothing_can_be_read_is_another_list() -> None:
    with pytest.raises(ShapeError, match="row 0"):
        sift(["x", "y"], read_row, "row")


def read_row(row: object) -> object:
    if row in ("x", "y"):
        raise ShapeError("no row")
    return row


def test_an_instant_without_its_zone_is_none_where_it_must_be_said() -> None:
    assert read_instant("1970-01-01T01:00:00+01:00", "at", zoned=True) == 0
    with pytest.raises(ShapeError, match="is no instant"):
        read_instant("1970-01-01T01:00:00", "at", zoned=True)
