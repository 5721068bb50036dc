"""Two Parties' reports beside each other, and the sums a report makes for the ledgers of Parties.

Rows of an acquirer carry its own registry, so two rows are joined on approach, authorization, first transferring Party,
vintage and numbers, never on the registry.
"""

from __future__ import annotations

from typing import Final

from hub.aef import nomenclature as n
from hub.aef.actions import FIRST_BY_ADAPTATION
from hub.aef.check import Finding, read_range
from hub.aef.layout import ACTIONS, SUBMISSION, Report, Row, cell, is_given

_JOINED: Final = ("CooperativeApproachID", "AuthorizationID", "FirstTransferringPartyID", "Vintage")
_Key = tuple[object, ...]


def match_reports(ours: Report, theirs: Report) -> list[Finding]:
    """What one of the two Parties reports of transfers between them and the other does not, as findings in `ours`."""
    here = cell(SUBMISSION, ours.submission, "ParticipatingParty")
    there = cell(SUBMISSION, theirs.submission, "ParticipatingParty")
    found: list[Finding] = []
    for given_by, got_by, ours_gives in ((ours, theirs, True), (theirs, ours, False)):
        giver, taker = (here, there) if ours_gives else (there, here)
        given = _rows(given_by, (n.FIRST_TRANSFER, n.TRANSFER), "AcquiringPartyID", taker)
        got = _rows(got_by, (n.ACQUISITION,), "TransferringPartyID", giver)
        mine, other = (given, got) if ours_gives else (got, given)
        what = f"no {'acquisition' if ours_gives else 'transfer'} in the report of {there} matches"
        for key in mine.keys() - other.keys():
            found.append(Finding(3, mine[key], "bilateral", f"{what} {key[-2]} to {key[-1]}"))
    return sorted(found)


def _rows(report: Report, types: tuple[str, ...], name: str, party: str) -> dict[_Key, int]:
    found: dict[_Key, int] = {}
    for i, row in enumerate(report.actions, 1):
        ids = read_range(report.edition, ACTIONS, row)
        if cell(ACTIONS, row, "ActionType") in types and cell(ACTIONS, row, name) == party and ids is not None:
            found[(*(cell(ACTIONS, row, joined) for joined in _JOINED), ids.first, ids.last)] = i
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
