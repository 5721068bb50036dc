"""Two Parties' reports beside each other, and the sums a report makes for the ledgers of Parties.

Rows of an acquirer carry its own registry, so two rows are joined on approach, authorization, first transferring Party,
vintage and numbers, never on the registry.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Final

from hub.aef import nomenclature as n
from hub.aef.actions import FIRST_BY_ADAPTATION
from hub.aef.check import Finding, read_range
from hub.aef.layout import ACTIONS, SUBMISSION, Report, Row, cell, is_given

_JOINED: Final = ("CooperativeApproachID", "AuthorizationID", "FirstTransferringPartyID", "Vintage")
_Key = tuple[str, ...]
_Rows = dict[_Key, list[tuple[int, int, int]]]
"""(first number, last number, row) of what two rows are joined by."""


def match_reports(ours: Report, theirs: Report) -> list[Finding]:
    """What one of the two Parties reports of transfers between them and the other does not, as findings in `ours`.

    Numbers are compared, not rows: one Party may report in pieces what the other reports at once. What only the other
    one reports has no row here: its row is 0.
    """
    here = cell(SUBMISSION, ours.submission, "ParticipatingParty")
    there = cell(SUBMISSION, theirs.submission, "ParticipatingParty")
    found: list[Finding] = []
    for given_by, got_by, ours_gives in ((ours, theirs, True), (theirs, ours, False)):
        giver, taker = (here, there) if ours_gives else (there, here)
        given = _rows(given_by, (n.FIRST_TRANSFER, n.TRANSFER), "AcquiringPartyID", taker)
        got = _rows(got_by, (n.ACQUISITION,), "TransferringPartyID", giver)
        mine, other = (given, got) if ours_gives else (got, given)
        words = ("transfer", "acquisition") if ours_gives else ("acquisition", "transfer")
        for key in sorted({*mine, *other}):
            for first, last, row in _without_match(mine.get(key, []), other.get(key, [])):
                text = f"no {words[1]} in the report of {there} matches {first} to {last}"
                found.append(Finding(3, row, "bilateral", text))
            for first, last, row in _without_match(other.get(key, []), mine.get(key, [])):
                text = f"no {words[0]} here matches {first} to {last} of row {row} in the report of {there}"
                found.append(Finding(3, 0, "bilateral", text))
    return sorted(found)


def _rows(report: Report, types: tuple[str, ...], name: str, party: str) -> _Rows:
    found: _Rows = {}
    for i, row in enumerate(report.actions, 1):
        ids = read_range(report.edition, ACTIONS, row)
        if cell(ACTIONS, row, "ActionType") in types and cell(ACTIONS, row, name) == party and ids is not None:
            key = tuple(cell(ACTIONS, row, joined) for joined in _JOINED)
            found.setdefault(key, []).append((ids.first, ids.last, i))
    return found


def _without_match(rows: list[tuple[int, int, int]], others: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """The parts of rows for which the others have nothing left: each number of theirs matches one of ours."""
    left = sorted((first, last) for first, last, _ in others)
    found = []
    for first, last, row in sorted(rows):
        at, kept = first, list[tuple[int, int]]()
        while left and left[0][0] <= last and at <= last:
            begins, ends = heappop(left)
            if begins > at:
                found.append((at, begins - 1, row))
            # What lies before this row can match none of the rows after it, which do not begin earlier.
            if begins < at and first < at:
                kept.append((begins, min(ends, at - 1)))
            if ends > last:
                kept.append((last + 1, ends))
            at = max(at, min(ends, last) + 1)
        if at <= last:
            found.append((at, last, row))
        for part in kept:
            heappush(left, part)
    return found


def sum_adjustments(report: Report) -> dict[tuple[str, int, str], int]:
    """Units by (Party, year, "FT" or "USE") that the report's rows add: the host's by vintage, the user's by use year.

    Only tonnes; a metric other than GHG is summed in its own registry account.
    """
    found: dict[tuple[str, int, str], int] = {}
    for row in report.actions:
        if cell(ACTIONS, row, "Metric") == "GHG":
            key = _adjusted(row)
            if key is not None:
                found[key] = found.get(key, 0) + int(cell(ACTIONS, row, "QuantityCO2"))
    return found


def _adjusted(row: Row) -> tuple[str, int, str] | None:
    type_ = cell(ACTIONS, row, "ActionType")
    by_adaptation = cell(ACTIONS, row, "AdditionalExplanatoryInformation") == FIRST_BY_ADAPTATION
    if type_ == n.FIRST_TRANSFER or (type_ == n.TRANSFER and by_adaptation):
        return cell(ACTIONS, row, "FirstTransferringPartyID"), int(cell(ACTIONS, row, "Vintage")), "FT"
    year = cell(ACTIONS, row, "YearITMOUsedTowardsNDC")
    if type_ == n.USE and is_given(year):
        return cell(ACTIONS, row, "Using/cancellingPartyID"), int(year), "USE"
    return None
