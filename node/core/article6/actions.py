"""Actions and what follows from them: the first transfer of units, once, and the adjustments of host and user (G4).

An action is recorded as an event anybody can make reports from, and kept by its place so that the Parties can recognise
it. Whether something is an action, and whether it may happen, is decided in `following` and `gates`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from keeling.encoding import Ref
from keeling.events import EventKind
from keeling.operations import AuthorizationTerms, When, WhenPrecision
from keeling.reasons import Reason
from node.core import tables as t
from node.core.article6.calendar import year_of
from node.core.article6.records import (
    Action,
    ActionKind,
    ActionYear,
    Adjustment,
    AdjustmentKey,
    Authorization,
    PartyYear,
    Side,
    Sum,
    Withdrawal,
)
from node.core.article6.stretches import (
    Stretch,
    format_itmo,
    mark_first_transferred,
    numbers_of,
    read_stretches,
    unmark_first_transferred,
    vintage_of,
)
from node.core.context import Context
from node.core.intervals import MarkKind, read_layer
from node.core.limits import UNITS_MAX
from node.core.records import Batch
from node.core.refusal import Refused
from node.core.twins import WAS, read_twins

_NO_YEAR: Final = PartyYear((), (), None)
_SIDES: Final = {Side.HOST: "FT", Side.USER: "USE"}


class Cause(NamedTuple):
    """The event an action was derived from."""

    place: Ref
    effective: When
    news: bool
    """Something that happened outside: it is recorded whatever the rules say of it."""


class Doing(NamedTuple):
    """What is done with a stretch: `from_party` has it before, `to_party` after; `use_year` is of an NDC use."""

    kind: ActionKind
    first_transfer: bool
    from_party: str
    to_party: str
    use_year: int = 0
    facts: Mapping[str, object] = {}


class _Underlying(NamedTuple):
    """Where a run of units is in its crediting programme: from position `first` of the batch on."""

    batch: Batch
    first: int


def find_authorization(tx: Context, authorization: str) -> Authorization:
    found = tx.state.get(t.AUTHORIZATIONS, authorization)
    if found is None:
        detail = f"no authorization is called {authorization!r}"
        raise Refused(Reason.AUTHORIZATION_NOT_FOUND, detail, authorization=authorization)
    return found


def find_terms(tx: Context, authorization: str, version: int) -> AuthorizationTerms:
    found = tx.state.get(t.TERMS, authorization, version)
    if found is None:
        raise LookupError(f"version {version} of authorization {authorization} is not in the state")
    return found


def terms_of(tx: Context, stretch: Stretch) -> AuthorizationTerms:
    """What binds the stretch: the terms at its first transfer, or those in force (4/CMA.6)."""
    version = stretch.version or find_authorization(tx, stretch.authorization).version
    return find_terms(tx, stretch.authorization, version)


def format_adjustment(key: AdjustmentKey) -> str:
    """An adjustment as people name it: `GHA-2023-FT-1200.4`."""
    return f"{key.party}-{key.year}-{_SIDES[Side(key.side)]}-{key.height}.{key.ordinal}"


def parse_adjustment(text: str) -> AdjustmentKey | None:
    """The inverse of `format_adjustment`; None where the text names none."""
    parts = text.split("-")
    places = parts[-1].split(".")
    sides = {name: side for side, name in _SIDES.items()}
    if len(parts) != 4 or len(places) != 2 or parts[2] not in sides:
        return None
    if not all(number.isascii() and number.isdigit() and len(number) < 20 for number in (parts[1], *places)):
        return None
    year, height, ordinal = int(parts[1]), int(places[0]), int(places[1])
    fits = year < 2**16 and height < 2**63 and ordinal < 2**32
    return AdjustmentKey(parts[0], year, sides[parts[2]], height, ordinal) if fits else None


def act(tx: Context, stretch: Stretch, cause: Cause, doing: Doing) -> None:
    """Record one action, mark a first transfer, and book the adjustments that follow.

    It is one for each run of underlying units, because a row of a report names the first and the last of them.
    """
    for part, underlying in _split_by_underlying(tx, stretch):
        _act(tx, part, underlying, cause, doing)


def _act(tx: Context, stretch: Stretch, underlying: _Underlying, cause: Cause, doing: Doing) -> None:
    authorization = find_authorization(tx, stretch.authorization)
    version = stretch.version or authorization.version
    terms = find_terms(tx, stretch.authorization, version)
    facts = _facts(tx, stretch, underlying, cause, doing, version)
    place = tx.emit(EventKind.ITMO_ACTION, stretch.authorization, cause.effective, facts=facts)
    keys: list[AdjustmentKey] = []
    if doing.first_transfer:
        mark_first_transferred(tx, stretch, version, place)
        transferred = authorization.transferred + stretch.units
        tx.state.put(t.AUTHORIZATIONS, authorization._replace(transferred=transferred), stretch.authorization)
        keys.append(_adjust(tx, authorization.party, vintage_of(stretch), Side.HOST, stretch, terms, cause, place))
    if doing.use_year:
        keys.append(_adjust(tx, doing.from_party, doing.use_year, Side.USER, stretch, terms, cause, place))
    action = Action(
        doing.kind,
        stretch.authorization,
        version,
        stretch.batch,
        stretch.first,
        stretch.units,
        doing.from_party,
        doing.to_party,
        doing.first_transfer,
        tuple(keys),
        None,
        None,
    )
    tx.state.put(t.ACTIONS, action, place.height, place.ordinal)
    tx.state.put(t.ACTIONS_OF, b"", cause.place.height, cause.place.ordinal, place.ordinal)


def _facts(
    tx: Context, stretch: Stretch, underlying: _Underlying, cause: Cause, doing: Doing, version: int
) -> dict[str, object]:
    batch, number_first, _ = numbers_of(tx, stretch)
    itmo = stretch.itmo
    if itmo is None:
        raise LookupError(f"{batch.name} from {number_first} is under an authorization and has no ITMO number")
    first = itmo.number_at(stretch.first)
    facts: dict[str, object] = {
        "action": doing.kind.name,
        "first_transfer": "yes" if doing.first_transfer else "",
        "version": version,
        "cause": f"{cause.place.height}.{cause.place.ordinal}",
        "itmo": format_itmo(itmo.space, first),
        "first_id": first,
        "last_id": first + stretch.units - 1,
        "units": stretch.units,
        "grain": batch.grain,
        "vintage": vintage_of(stretch),
        "from_party": doing.from_party,
        "to_party": doing.to_party,
        "use_year": doing.use_year or "",
        "batch": batch.name,
        "position": stretch.first,
    }
    version_of = tx.version(underlying.batch.programme)
    code = version_of.programme.underlying if version_of is not None and version_of.programme is not None else ""
    if code:
        unit = underlying.batch.base + underlying.first
        facts |= {"underlying": code, "first_unit": unit, "last_unit": unit + stretch.units - 1}
    return {**facts, **doing.facts}


def _split_by_underlying(tx: Context, stretch: Stretch) -> list[tuple[Stretch, _Underlying]]:
    """The unit in its crediting programme: that of the batch itself, or what its units were before they became these.

    Parts that are neighbours there too are one.
    """
    found: list[tuple[Stretch, _Underlying]] = []
    at, batch = stretch.first, tx.batch_number(stretch.batch)
    for was in read_twins(tx.state, stretch.batch, WAS, stretch.first, stretch.units):
        if was.batch:
            _append(found, stretch, at, was.first, _Underlying(batch, at))
            _append(
                found, stretch, was.first, was.first + was.units, _Underlying(tx.batch(was.batch)[1], was.other_first)
            )
            at = was.first + was.units
    _append(found, stretch, at, stretch.stop, _Underlying(batch, at))
    return found


def _append(
    found: list[tuple[Stretch, _Underlying]], stretch: Stretch, start: int, stop: int, underlying: _Underlying
) -> None:
    if start == stop:
        return
    if found:
        last, before = found[-1]
        if (before.batch.name, before.first + last.units) == (underlying.batch.name, underlying.first):
            found[-1] = (last._replace(units=stop - last.first), before)
            return
    found.append((stretch._replace(first=start, units=stop - start), underlying))


# -- the ledgers of Parties


def _adjust(
    tx: Context,
    party: str,
    year: int,
    side: Side,
    stretch: Stretch,
    terms: AuthorizationTerms,
    cause: Cause,
    action: Ref,
) -> AdjustmentKey:
    """Book one adjustment: the host's in the vintage year, the user's in the year of use (2/CMA.3 annex para 8)."""
    ledger = tx.state.get(t.PARTY_YEARS, party, year) or _NO_YEAR
    if ledger.final is not None and not cause.news:
        detail = f"the adjustments of {party} for {year} are final since {ledger.final.height}.{ledger.final.ordinal}"
        raise Refused(Reason.YEAR_IS_FINAL, detail, party=party, year=year)
    place = tx.next_ref
    key = AdjustmentKey(party, year, side, place.height, place.ordinal)
    metric = terms.non_ghg_metric
    adjustment = Adjustment(stretch.units, metric, stretch.authorization, action, cause.effective, ())
    tx.state.put(t.ADJUSTMENTS, adjustment, *key)
    acted = year_of(cause.effective.ms)
    years = {item.year: item.height for item in ledger.actions} | {acted: tx.height}
    ledger = _add(ledger, side, metric, stretch.units)
    ledger = ledger._replace(actions=tuple(ActionYear(*item) for item in sorted(years.items())))
    tx.state.put(t.PARTY_YEARS, ledger, party, year)
    facts = {
        "party": party,
        "year": year,
        "side": side.name,
        "units": stretch.units,
        "metric": metric,
        "authorization": stretch.authorization,
        "action": f"{action.height}.{action.ordinal}",
    }
    tx.emit(EventKind.ADJUSTED, format_adjustment(key), cause.effective, facts=facts)
    return key


def _add(ledger: PartyYear, side: int, metric: str, units: int) -> PartyYear:
    sums = {(item.side, item.metric): item.units for item in ledger.sums}
    sums[side, metric] = sums.get((side, metric), 0) + units
    if sums[side, metric] > UNITS_MAX:
        raise Refused(Reason.AMOUNT_OVERFLOWS, f"more than {UNITS_MAX} units in one Party-year")
    return ledger._replace(sums=tuple(Sum(*key, total) for key, total in sorted(sums.items()) if total))


def withdraw(
    tx: Context, cause: Ref, batch: int, first: int, units: int, effective: When, keep_final: bool = False
) -> None:
    """A cause was reversed for a range: its adjustments lose these units, its first transfers did not happen.

    An adjustment that is final refuses it, or with `keep_final` keeps its action as it is.
    """
    for key, _ in list(tx.state.scan(t.ACTIONS_OF, cause.height, cause.ordinal)):
        ordinal = t.ACTIONS_OF.parts(key)[2]
        action = tx.state.get(t.ACTIONS, cause.height, ordinal)
        if action is None or action.batch != batch:
            continue
        start, stop = max(first, action.first), min(first + units, action.first + action.units)
        if start >= stop or (keep_final and any(_is_final(tx, key) for key in action.adjustments)):
            continue
        if action.first_transfer:
            _undo_first_transfer(tx, action.authorization, batch, start, stop - start)
        _withdraw_part(tx, Ref(cause.height, ordinal), action, start - action.first, stop - start, effective)


def withdraw_first_transfer(tx: Context, stretch: Stretch, effective: When) -> None:
    """A stretch turns out to be tonnes that were first transferred under another identity too: only that one counts."""
    for at, mark in read_layer(tx.state, stretch.batch, MarkKind.FIRST_TRANSFER, "", stretch.first, stretch.units):
        start, stop = max(at, stretch.first), min(at + mark.units, stretch.stop)
        height, _, ordinal = mark.value.partition(" ")[2].partition(".")
        place = Ref(int(height), int(ordinal))
        action = tx.state.get(t.ACTIONS, *place)
        if action is None or stretch.itmo is None:
            raise LookupError(f"action {height}.{ordinal} first transferred units, and is not in the state")
        # By number, not by position: the mark may have come here from the identity that the tonne had before.
        began = read_stretches(tx.state, action.batch, action.first, 1)[0].itmo
        alone = action.units == 1 or began is None
        skip = 0 if alone or began is None else stretch.itmo.number_at(start) - began.number_at(action.first)
        _undo_first_transfer(tx, action.authorization, stretch.batch, start, stop - start)
        _withdraw_part(tx, place, action, skip, stop - start, effective)


def _undo_first_transfer(tx: Context, authorization: str, batch: int, first: int, units: int) -> None:
    undone = unmark_first_transferred(tx, batch, first, units)
    known = find_authorization(tx, authorization)
    tx.state.put(t.AUTHORIZATIONS, known._replace(transferred=known.transferred - undone), authorization)


def _withdraw_part(tx: Context, place: Ref, action: Action, skip: int, units: int, effective: When) -> None:
    """`units` of an action, from its first one plus `skip` on, did not happen."""
    now = tx.next_ref
    for key in action.adjustments:
        _withdraw_units(tx, key, units, now, effective)
    facts = {
        "action": f"{place.height}.{place.ordinal}",
        "skip": skip,
        "units": units,
        "adjustments": " ".join(format_adjustment(key) for key in action.adjustments),
    }
    tx.emit(EventKind.ACTION_WITHDRAWN, action.authorization, effective, facts=facts)


def _is_final(tx: Context, key: AdjustmentKey) -> bool:
    ledger = tx.state.get(t.PARTY_YEARS, key.party, key.year)
    return ledger is not None and ledger.final is not None


def _withdraw_units(tx: Context, key: AdjustmentKey, units: int, at: Ref, effective: When) -> None:
    adjustment = tx.state.get(t.ADJUSTMENTS, *key)
    ledger = tx.state.get(t.PARTY_YEARS, key.party, key.year)
    if adjustment is None or ledger is None:
        raise LookupError(f"adjustment {format_adjustment(key)} is not in the state")
    if ledger.final is not None:
        detail = f"adjustment {format_adjustment(key)} is final"
        raise Refused(Reason.YEAR_IS_FINAL, detail, party=key.party, year=key.year)
    withdrawn = (*adjustment.withdrawn, Withdrawal(units, at, effective))
    tx.state.put(t.ADJUSTMENTS, adjustment._replace(withdrawn=withdrawn), *key)
    years = {item.year: item.height for item in ledger.actions} | {year_of(adjustment.effective.ms): tx.height}
    ledger = _add(ledger, key.side, adjustment.metric, -units)
    ledger = ledger._replace(actions=tuple(ActionYear(*item) for item in sorted(years.items())))
    tx.state.put(t.PARTY_YEARS, ledger, key.party, key.year)


def cause_of(tx: Context, place: Ref, effective: When, news: bool = False) -> Cause:
    """The event at `place` as a cause; years beyond what a ledger key can have are refused, or are today's for news."""
    if 1900 <= year_of(effective.ms) <= 9999:
        return Cause(place, effective, news)
    if news:
        return Cause(place, When(tx.time_ms, WhenPrecision.INSTANT), news)
    raise Refused(Reason.BAD_FIELD, f"effective {effective.ms} lies outside the years 1900 to 9999", field="effective")
