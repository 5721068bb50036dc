"""What is wrong with a field whatever the state is: names, texts, times, evidence, ranges of positions.

Clients send any bytes protobuf can carry, and state keeps fixed-width values: each field that is kept is bounded here,
so that no accepted request can fail to be encoded later (guarantee G10). What a field means is known by its operation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from keeling.operations import Evidence, Range, When, WhenPrecision
from keeling.reasons import Reason
from node.core.limits import LOTS_MAX, TEXT_MAX, UNITS_MAX
from node.core.refusal import Refused

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,63}", re.ASCII)
"""Names of participants, accounts, programmes, batches: they are shown, typed and sorted everywhere."""

GRADES: Final = "ABCD"
"""Grades of evidence, strongest first (units and rules §4)."""

DAY_MS: Final = 86_400_000
_FIRST_MS: Final = -62_135_596_800_000
_LAST_MS: Final = 253_402_300_799_999
"""The years 1 to 9999: what a calendar can print."""


def check_name(name: str, field: str) -> None:
    if not NAME.fullmatch(name):
        detail = f"{name!r} is no name: 1 to 64 of A-Z a-z 0-9 . _ : / @ -, starting with a letter or digit"
        raise Refused(Reason.BAD_FIELD, detail, field=field)


def check_text(text: str, field: str, what: str) -> None:
    """A text that must be given."""
    if not text:
        raise Refused(Reason.MISSING_FIELD, f"{what}: 1 to {TEXT_MAX} characters", field=field)
    check_length(text, field)


def check_length(text: str, field: str) -> None:
    """A text that may be empty."""
    if len(text) > TEXT_MAX:
        raise Refused(Reason.BAD_FIELD, f"{field} has {len(text)} characters; {TEXT_MAX} are allowed", field=field)


def check_when(when: When | None, field: str) -> None:
    """A time, if given, is a whole day at 00:00 UTC or an instant, in a year that calendars have."""
    if when is None:
        return
    if when.precision not in (WhenPrecision.DATE, WhenPrecision.INSTANT):
        raise Refused(Reason.MISSING_FIELD, f"{field} says whether it is a DATE or an INSTANT", field=field)
    if not _FIRST_MS <= when.ms <= _LAST_MS:
        raise Refused(Reason.BAD_FIELD, f"{field} {when.ms} lies outside the years 1 to 9999", field=field)
    if when.precision == WhenPrecision.DATE and when.ms % DAY_MS:
        raise Refused(Reason.BAD_FIELD, f"{field} {when.ms} is a DATE, but not 00:00 UTC", field=field)


def check_instant(ms: int, field: str) -> None:
    """Milliseconds of ledger time; 0 stands for "not said"."""
    if not 0 <= ms <= _LAST_MS:
        raise Refused(Reason.BAD_FIELD, f"{field} {ms} lies outside the years 1970 to 9999", field=field)


def check_evidence(evidence: Evidence | None, needed: str = "") -> None:
    """Evidence, if given, is well formed; `needed` says for what it must be given, by its digest."""
    if evidence is not None:
        if len(evidence.digest) not in (0, 32):
            raise Refused(Reason.BAD_FIELD, "evidence is named by a SHA-256: 32 bytes", field="evidence.digest")
        if evidence.grade and evidence.grade not in tuple(GRADES):
            detail = f"grade {evidence.grade[:TEXT_MAX]!r} is not A, B, C or D"
            raise Refused(Reason.BAD_FIELD, detail, field="evidence.grade")
        check_length(evidence.reference, "evidence.reference")
    if needed and (evidence is None or not evidence.digest):
        raise Refused(Reason.MISSING_FIELD, f"{needed} brings the SHA-256 of its evidence", field="evidence.digest")


def check_ranges(ranges: Sequence[Range], field: str) -> None:
    """Ranges are not empty, lie within what positions can be, and name no unit twice."""
    if len(ranges) > LOTS_MAX:
        raise Refused(Reason.TOO_MANY_RANGES, f"{len(ranges)} ranges; {LOTS_MAX} are allowed", field=field)
    if not ranges:
        return
    total = 0
    for item in ranges:
        if not item.units:
            raise Refused(Reason.UNITS_MUST_BE_POSITIVE, f"a range of {item.batch} is empty", field=field)
        total += item.units
        if item.first + item.units - 1 > UNITS_MAX or total > UNITS_MAX:
            detail = f"{item.batch} {item.first} + {item.units}: positions and sums end at {UNITS_MAX}"
            raise Refused(Reason.BAD_FIELD, detail, field=field)
    if len(ranges) == 1:
        return
    for before, after in pairwise(sorted(ranges)):
        if before.batch == after.batch and before.first + before.units > after.first:
            raise Refused(Reason.RANGES_OVERLAP, f"{after.batch} position {after.first} is named twice", field=field)
