"""Interval arithmetic against a reference that looks at every unit by itself."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hub.reconcile.classes import (
    AGREED,
    ENDED_HERE,
    ENDED_THERE,
    Difference,
    Kind,
    classify,
    compare,
    explain_other_serials,
)
from hub.reconcile.join import TWICE, Row, join, untangle

OURS = frozenset({"a", "b"})
THERE = ("active", "blocked", "pending", "retired", "cancelled", "converted", "buffer")
HERE = ("FREE", "HELD", "INSTRUCTED", "RETIRED", "CONVERTED", "IMMOBILISED", "PENDING")
BIG = 10**29


@st.composite
def rows(draw: st.DrawFn, states: tuple[str, ...], accounts: tuple[str, ...], *, tangled: bool) -> list[Row]:
    found, at = [], BIG
    for _ in range(draw(st.integers(0, 6))):
        at += draw(st.integers(-8 if tangled else 0, 6))
        first = max(at, BIG)
        at = first + draw(st.integers(1, 9))
        found.append(Row(first, at - 1, draw(st.sampled_from(accounts)), draw(st.sampled_from(states))))
    return draw(st.permutations(found))


def by_unit(given_rows: list[Row]) -> dict[int, Row]:
    """What a side says of each unit; said twice is believed in nothing."""
    said: dict[int, list[Row]] = {}
    for row in given_rows:
        for number in range(row.first, row.last + 1):
            said.setdefault(number, []).append(row)
    return {number: each[0] if len(each) == 1 else Row(0, 0, "", TWICE) for number, each in said.items()}


def name(row: Row | None) -> tuple[str, str] | None:
    return None if row is None else (row.account, row.state)


@given(rows(THERE, ("a", "b", "x"), tangled=True))
def test_no_number_is_left_twice(given_rows: list[Row]) -> None:
    found = untangle(given_rows)
    assert all(left.last < right.first for left, right in pairwise(found))
    assert {n: name(row) for n, row in by_unit(found).items()} == {
        n: name(row) for n, row in by_unit(given_rows).items()
    }


@given(rows(THERE, ("a", "b"), tangled=True), rows(HERE, ("a", "b"), tangled=False))
def test_the_join_says_of_each_number_what_both_sides_say(there: list[Row], here: list[Row]) -> None:
    left, right = by_unit(there), by_unit(here)
    joined = join(untangle(there), untangle(here), AGREED)
    told = {
        number: (name(segment.there), name(segment.here))
        for segment in joined.segments
        for number in range(segment.first, segment.last + 1)
    }
    assert sum(segment.units for segment in joined.segments) == len(told), "no number twice"
    expected = {n: (name(left.get(n)), name(right.get(n))) for n in {*left, *right}}
    agreed = {
        n
        for n, (a, b) in expected.items()
        if a is not None and b is not None and a[0] == b[0] and (a[1], b[1]) in AGREED
    }
    assert joined.agreed_units == len(agreed)
    assert told == {n: pair for n, pair in expected.items() if n not in agreed}


def classify_each(there: list[Row], here: list[Row]) -> Counter[str]:
    """The reference: every unit by itself."""
    left, right = by_unit(there), by_unit(here)
    rows_there = untangle(there)
    found: Counter[str] = Counter()
    for number in {*left, *right}:
        a, b = left.get(number), right.get(number)
        if a and b and a.account == b.account and (a.state, b.state) in AGREED:
            found["agreed"] += 1
            continue
        kind = classify(a, b, OURS)
        if kind is Kind.MISSING_HERE:
            row = next(row for row in rows_there if row.first <= number <= row.last)
            if any(n in right for n in range(row.first, row.last + 1)):
                kind = Kind.QUANTITY
        found[kind.value if kind else "ended" if a is None else "others"] += 1
    return found


@given(rows(THERE, ("a", "b", "x", ""), tangled=True), rows(HERE, ("a", "b"), tangled=False))
def test_every_unit_is_in_exactly_one_class_however_rows_are_cut(there: list[Row], here: list[Row]) -> None:
    compared = compare({"s": there}, {"s": here}, OURS)
    found = Counter(agreed=compared.agreed_units, ended=compared.ended_units, others=compared.others_units)
    for each in compared.differences:
        found[each.kind.value] += each.units
    assert +found == classify_each(there, here)
    cut = [part for row in here for part in (row._replace(last=row.first), row._replace(first=row.first + 1))]
    again = compare({"s": there}, {"s": [row for row in cut if row.first <= row.last]}, OURS)
    units: Counter[str] = Counter()
    for each in again.differences:
        units[each.kind.value] += each.units
    assert units == Counter({k: n for k, n in found.items() if k not in ("agreed", "ended", "others") and n})


def test_spaces_do_not_meet() -> None:
    compared = compare({"one": [Row(1, 9, "a", "active")]}, {"two": [Row(1, 9, "a", "FREE")]}, OURS)
    assert [(each.space, each.kind) for each in compared.differences] == [
        ("one", Kind.MISSING_HERE),
        ("two", Kind.MISSING_THERE),
    ]


@given(rows(THERE, ("a",), tangled=False), rows(HERE, ("a",), tangled=False))
def test_other_serials_are_believed_for_as_many_units_as_wait(there: list[Row], here: list[Row]) -> None:
    before = compare({"s": there}, {"s": here}, OURS).differences
    after = explain_other_serials(before)
    assert sum(each.units for each in after) == sum(each.units for each in before)

    def units(found: list[Difference], wanted: bool) -> int:
        return sum(
            each.units
            for each in found
            if each.here and each.there and each.here.state == "FREE" and each.there.state in ENDED_THERE
            if (each.kind is Kind.IN_FLIGHT) == wanted and each.kind in (Kind.IN_FLIGHT, Kind.STATE)
        )

    waiting = sum(e.units for e in before if e.kind is Kind.IN_FLIGHT and not e.confirms and e.there and e.here)
    assert units(after, wanted=True) == min(waiting, units(before, wanted=False))
    assert all(state not in ENDED_THERE for state in ENDED_HERE)
