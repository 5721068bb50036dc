"""Authorizations, and the ledgers of Parties: sums always, balances where they can be computed (2/CMA.3 annex 7-9).

The arithmetic is `node.core.article6.balance`; the emissions are the caller's, the ledger has none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Final, NamedTuple

from keeling.operations import Party, PartyMethod, When
from keeling.reasons import Reason
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from node.core.article6.actions import format_adjustment
from node.core.article6.adjustments import YEARS_MAX, compute_life, year_acted
from node.core.article6.balance import YearSums, compute_balance, format_fraction, parse_fraction
from node.core.article6.calendar import year_of
from node.core.article6.records import Adjustment, AdjustmentKey, Authorization, PartyYear, Side
from node.core.records import RecordVersion
from node.reads.errors import BadRequest, BeyondFinal, NotFound
from node.reads.messages import convert_place, convert_when
from node.reads.pages import open_page, read_rows
from node.reads.view import ReadState
from node.store.contract import Reads

ADJUSTMENTS_MAX: Final = 1_000
"""Adjustments one answer lists."""
_DAY_MS: Final = 86_400_000
_LAST_SECOND: Final = 253_402_300_799
"""The end of the year 9999: the last one that a date can name."""


# -- authorizations


def list_authorizations(view: Reads, request: pb.ListRequest) -> pb.ListAuthorizationsResponse:
    """Authorizations, shorter ids first, each with the terms in force."""
    state = ReadState(view)
    page = open_page(state.height, request.page_size, request.page_token, "authorizations")
    rows, last = read_rows(state, t.AUTHORIZATIONS, [t.AUTHORIZATIONS.key()], page)
    response = pb.ListAuthorizationsResponse(next_page_token=page.token(last), height=state.height)
    for key, found in rows:
        name = t.AUTHORIZATIONS.parts(key)[0]
        message = _convert_authorization(state, name, found)
        message.terms.append(_convert_terms(state, name, found.version))
        response.authorizations.append(message)
    return response


def get_authorization(view: Reads, request: pb.GetAuthorizationRequest) -> pb.AuthorizationInfo:
    """One authorization with the terms of every version."""
    state = ReadState(view)
    found = state.get(t.AUTHORIZATIONS, request.authorization)
    if found is None:
        detail = f"no authorization is called {request.authorization!r}"
        raise NotFound(Reason.AUTHORIZATION_NOT_FOUND, detail, authorization=request.authorization)
    message = _convert_authorization(state, request.authorization, found)
    message.height = state.height
    versions = range(1, found.version + 1)
    message.terms.extend(_convert_terms(state, request.authorization, version) for version in versions)
    return message


def _convert_authorization(state: ReadState, name: str, found: Authorization) -> pb.AuthorizationInfo:
    return pb.AuthorizationInfo(
        authorization=name,
        party=found.party,
        approach=found.approach,
        version=found.version,
        status=_status(state, name, found),
        covered=found.covered,
        transferred=found.transferred,
        date=convert_when(found.date),
    )


def _status(state: ReadState, name: str, found: Authorization) -> str:
    terms = state.get(t.TERMS, name, found.version)
    approach = _in_force(state, f"approach:{found.approach}")
    if found.revoked:
        return "REVOKED"
    if terms is not None and terms.last_year and terms.last_year < year_of(state.time_ms):
        return "EXPIRED"
    if approach is None or approach.approach is None or approach.approach.state != op.CooperativeApproach.ACTIVE:
        return "SUSPENDED"
    if terms is not None and terms.cap and found.covered >= terms.cap:
        return "EXHAUSTED"
    return "AMENDED" if found.version > 1 else "ISSUED"


def _in_force(state: ReadState, record: str) -> RecordVersion | None:
    """The newest version of a record that is in force at ledger time, if any is."""
    versions: tuple[RecordVersion, ...] = state.get(t.RECORDS, record) or ()
    for version in reversed(versions):
        ends = version.effective_to_ms
        if version.effective_from_ms <= state.time_ms and (ends == 0 or state.time_ms < ends):
            return version
    return None


def _convert_terms(state: ReadState, name: str, version: int) -> op.AuthorizationTerms:
    terms = state.get(t.TERMS, name, version)
    if terms is None:
        raise LookupError(f"version {version} of authorization {name} is not in the state")
    fields = terms._asdict()
    fields["entities"] = [op.AuthorizedEntity(**entity._asdict()) for entity in terms.entities]
    return op.AuthorizationTerms(**fields)


# -- the ledgers of Parties


class _Past(NamedTuple):
    """Which clock is read: what was known at a height, and of that what was effective until a moment."""

    height: int
    until_ms: int | None

    def counts(self, height: int, effective: When) -> bool:
        return height <= self.height and (self.until_ms is None or effective.ms <= self.until_ms)


def get_party_years(view: Reads, request: pb.GetPartyYearsRequest) -> pb.PartyYears:
    """Sums by year, and what follows from them with the caller's inventory. Raises `NotFound`, `BadRequest`."""
    state = ReadState(view)
    party = _find_party(state, request.party)
    first, last = _years(request, party)
    past = _read_past(state, request)
    asked, period = range(first, last + 1), (party.ndc_first_year, party.ndc_last_year)
    # Averages and cumulative figures count from the start of the period, whichever of its years are asked for.
    of_period = range(period[0], min(period[1], period[0] + YEARS_MAX) + 1) if all(period) else ()
    years = sorted({*asked, *of_period})
    rows = list(_adjustments(state, request.party, years))
    sums = [_sum_year(rows, year, request.metric, past) for year in years]
    method = request.method or party.method
    inventory = _read_inventory(request)
    found = compute_balance(sums, inventory, method, *period, not request.metric)
    response = pb.PartyYears(
        party=request.party,
        final="" if found.final is None else format_fraction(found.final),
        why=found.why,
        method=PartyMethod(method).name if method else "",
        ndc_first_year=party.ndc_first_year,
        ndc_last_year=party.ndc_last_year,
        height=past.height,
        basis=_explain(past),
    )
    for row in found.rows:
        if row.year not in asked:
            continue
        ledger = state.get(t.PARTY_YEARS, request.party, row.year) or PartyYear((), (), None)
        response.rows.add(
            year=row.year,
            first_transferred=row.first_transferred,
            used=row.used,
            cumulative=row.cumulative,
            emissions="" if row.emissions is None else format_fraction(row.emissions, 9),
            balance="" if row.balance is None else format_fraction(row.balance, 9),
            adjustment="" if row.adjustment is None else format_fraction(row.adjustment),
            why=row.why,
            final=ledger.final is not None,
        )
    if request.adjustments:
        counted = [row for row in rows if row[0].year in asked and past.counts(row[0].height, row[1].effective)]
        response.adjustments.extend(_convert_adjustment(state, *row, past) for row in counted[:ADJUSTMENTS_MAX])
        response.adjustments_cut = len(counted) > ADJUSTMENTS_MAX
    return response


def _find_party(state: ReadState, code: str) -> Party:
    version = _in_force(state, f"party:{code}")
    if version is None or version.party is None:
        raise NotFound(Reason.PARTY_NOT_FOUND, f"no Party {code!r} is on record", party=code)
    return version.party


def _years(request: pb.GetPartyYearsRequest, party: Party) -> tuple[int, int]:
    first = request.first_year or party.ndc_first_year
    last = request.last_year or party.ndc_last_year
    if not 1900 <= first <= last <= 9999 or last - first >= YEARS_MAX:
        detail = f"years {first} to {last}: name the first and the last, in order, {YEARS_MAX} at most"
        raise BadRequest(Reason.BAD_FIELD, detail, field="first_year")
    return first, last


def _read_past(state: ReadState, request: pb.GetPartyYearsRequest) -> _Past:
    if request.at_height > state.height:
        detail = f"height {request.at_height} is not final here; the newest is {state.height}"
        raise BeyondFinal(Reason.BEYOND_FINAL, detail, height=request.at_height)
    until: int | None = None
    if request.HasField("as_of"):
        when = request.as_of
        until = when.ms - when.ms % _DAY_MS + _DAY_MS - 1 if when.precision == op.When.DATE else when.ms
    return _Past(request.at_height or state.height, until)


def _read_inventory(request: pb.GetPartyYearsRequest) -> dict[int, Fraction]:
    found: dict[int, Fraction] = {}
    for item in request.inventory:
        value = parse_fraction(item.value)
        if value is None or item.year in found:
            detail = f"emissions of {item.year}: {item.value[:40]!r} is no decimal number, or the year stands twice"
            raise BadRequest(Reason.BAD_FIELD, detail, field="inventory")
        found[item.year] = value
    return found


def _adjustments(state: ReadState, party: str, years: Sequence[int]) -> Iterator[tuple[AdjustmentKey, Adjustment]]:
    for year in years:
        for key, row in state.scan_prefix(t.ADJUSTMENTS, party, year):
            yield AdjustmentKey(*t.ADJUSTMENTS.parts(key)), row


def _withdrawn(row: Adjustment, past: _Past) -> int:
    return sum(item.units for item in row.withdrawn if past.counts(item.at.height, item.effective))


def _sum_year(rows: list[tuple[AdjustmentKey, Adjustment]], year: int, metric: str, past: _Past) -> YearSums:
    sums = {Side.HOST: 0, Side.USER: 0}
    for key, row in rows:
        if key.year == year and row.metric == metric and past.counts(key.height, row.effective):
            sums[Side(key.side)] += row.units - _withdrawn(row, past)
    return YearSums(year, sums[Side.HOST], sums[Side.USER])


def _convert_adjustment(state: ReadState, key: AdjustmentKey, row: Adjustment, past: _Past) -> pb.AdjustmentInfo:
    steps = state.get(t.REPORTS, key.party, year_acted(row)) or ()
    ledger = state.get(t.PARTY_YEARS, key.party, key.year)
    withdrawn = _withdrawn(row, past)
    message = pb.AdjustmentInfo(
        adjustment=format_adjustment(key),
        year=key.year,
        side=Side(key.side).name,
        units=row.units - withdrawn,
        withdrawn=withdrawn,
        authorization=row.authorization,
        action=convert_place(row.action),
        effective=convert_when(row.effective),
    )
    for step in compute_life(key, row, steps, ledger.final if ledger is not None else None):
        message.life.add(state=step.state, at=convert_place(step.at))
    return message


def _explain(past: _Past) -> str:
    known = f"known at height {past.height}; host by vintage year, user by year of use"
    if past.until_ms is None:
        return known
    until = datetime.fromtimestamp(min(max(past.until_ms // 1000, 0), _LAST_SECOND), UTC)
    return f"{known}; what was effective by {until:%Y-%m-%d %H:%M:%S} UTC"
