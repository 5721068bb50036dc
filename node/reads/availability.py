"""How many units an account has of each batch, by what can be done with them: now, at a height, or as of a date.

The two clocks of the ledger (units and rules §5): a height answers what was known then, a date what was effective then
by the words of whoever reported it. Now is read from totals in the state; the past is summed from `node.indexes`, and
what was restricted or unseen then is worked out in `node.reads.past`.
Units of different grains are never added.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from keeling.operations import LinkControl
from keeling.units import TERMINAL, UnitState
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from node.core.intervals import restricted_ranges
from node.core.records import Account, Batch
from node.core.tables import after
from node.indexes import DAY_MS, account_key, scan_account, scan_accounts
from node.reads.batches import count_unseen
from node.reads.lots import lots_between
from node.reads.pages import Page, open_page
from node.reads.past import Moment, count_restricted_then, sum_unseen
from node.reads.view import ReadState
from node.store.contract import Reads

Sums = dict[str, dict[int, int]]
"""Of one account: units by batch name and state."""

_FIELDS: Final = {
    UnitState.FREE: "free",
    UnitState.HELD: "held",
    UnitState.INSTRUCTED: "instructed",
    UnitState.BUFFER: "buffer",
    UnitState.PENDING: "pending",
    UnitState.IMMOBILISED: "immobilised",
    **dict.fromkeys(TERMINAL, "ended"),
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def get_availability(view: Reads, request: pb.GetAvailabilityRequest) -> pb.Availability:
    """Lines of account and batch, accounts in order; a page ends after the account that fills it.

    The past takes reading all that ever happened to the account. Raises `NotFound`, `BeyondFinal`, `NotKept`.
    """
    state = ReadState(view)
    past = bool(request.at_height) or request.HasField("as_of")
    height = request.at_height or state.height
    moment = Moment(height, _last_moment(request.as_of) if request.HasField("as_of") else None)
    arguments = (request.account, request.batch, str(request.at_height), str(moment.until_ms))
    page = open_page(state.height, request.page_size, request.page_token, "availability", *arguments)
    if past:
        state.check_kept(height)
    account = state.account_named(request.account)[0] if request.account else None
    batch = state.batch_named(request.batch)[0] if request.batch else None
    response = pb.Availability(height=height, time_ms=state.time_at(height), basis=_explain(moment, past))
    if past:
        _add_past(state, response, request, page, moment)
        if not page.after:
            _add_unseen_then(state, response, request, moment)
    else:
        _add_now(state, response, page, account, batch)
        if not page.after:
            _add_unseen(state, response, account, batch)
    return response


# -- now


def _add_now(state: ReadState, response: pb.Availability, page: Page, account: int | None, batch: int | None) -> None:
    """Lines from the totals that the state keeps."""
    prefix = t.TOTALS.key() if account is None else t.TOTALS.key(account)
    restricted: dict[int, dict[int, int]] = {}
    for number, rows in _by_account(state, max(prefix, page.after), after(prefix)):
        if len(response.lines) >= page.size:
            response.next_page_token = page.token(t.TOTALS.key(number))
            return
        sums: dict[int, dict[int, int]] = {}
        for unit_state, name, units in rows:
            if batch in (None, name):
                sums.setdefault(name, {})[unit_state] = units
        owner = state.account(number)
        for name, units_of in sorted(sums.items()):
            found = state.batch(name)
            if found.restrictions and name not in restricted:
                restricted[name] = _count_restricted(state, name, found)
            line = _line(owner.name, found, units_of, restricted.get(name, {}).get(number, 0))
            line.control = _control(owner, found)
            response.lines.append(line)


def _by_account(state: ReadState, low: bytes, high: bytes) -> Iterator[tuple[int, list[tuple[int, int, int]]]]:
    """Rows of totals, (state, batch, units), account by account."""
    current, rows = 0, list[tuple[int, int, int]]()
    for key, total in state.scan_keys(t.TOTALS, low, high):
        account, unit_state, batch = t.TOTALS.parts(key)
        if account != current and rows:
            yield current, rows
            rows = []
        current = account
        rows.append((unit_state, batch, total.units))
    if rows:
        yield current, rows


def _count_restricted(state: ReadState, number: int, batch: Batch) -> dict[int, int]:
    """Units of a batch that would be FREE if nothing restricted them, by account."""
    found: dict[int, int] = {}
    for low, high in restricted_ranges(state, number, batch):
        for first, lot in lots_between(state, number, low, high - low):
            if lot.state == UnitState.FREE:
                units = min(first + lot.units, high) - max(first, low)
                found[lot.account] = found.get(lot.account, 0) + units
    return found


def _control(account: Account, batch: Batch) -> str:
    """Who could still move these units outside: known where the account is linked to the batch's registry."""
    if account.link is None or account.link.registry != batch.registry:
        return ""
    return LinkControl(account.link.control).name


def _add_unseen(state: ReadState, response: pb.Availability, account: int | None, batch: int | None) -> None:
    """By grain, the positions nobody has shown of the batches in question."""
    if batch is not None:
        batches = [state.batch(batch)]
    elif account is not None:
        held = sorted({t.TOTALS.parts(key)[2] for key, _ in state.scan_prefix(t.TOTALS, account)})
        batches = [state.batch(number) for number in held]
    else:
        batches = [found for _, found in state.scan_prefix(t.BATCHES)]
    _show_unseen(response, ((found.grain, count_unseen(found)) for found in batches))


def _show_unseen(response: pb.Availability, unseen: Iterable[tuple[str, int]]) -> None:
    """Positions by grain, added up."""
    sums: dict[str, int] = {}
    for grain, units in unseen:
        sums[grain] = sums.get(grain, 0) + units
    for grain, units in sorted(sums.items()):
        if units:
            response.unseen.add(grain=grain, units=units)


# -- the past


def _add_past(
    state: ReadState, response: pb.Availability, request: pb.GetAvailabilityRequest, page: Page, moment: Moment
) -> None:
    """Lines from what the blocks did that the moment includes."""
    restricted: dict[str, dict[str, int]] = {}
    for name, sums in _sums(state.view, request.account, page, moment):
        if len(response.lines) >= page.size:
            response.next_page_token = page.token(account_key(name))
            return
        for batch, units_of in sorted(sums.items()):
            if request.batch not in ("", batch) or not any(units_of.values()):
                continue
            number, found = state.batch_named(batch)
            if batch not in restricted:
                restricted[batch] = count_restricted_then(state, number, found, moment)
            response.lines.append(_line(name, found, units_of, restricted[batch].get(name, 0)))


def _sums(view: Reads, account: str, page: Page, moment: Moment) -> Iterator[tuple[str, Sums]]:
    """Units by account: of one, or of all from the page's start on."""
    if account:
        rows = ((account, touched) for _, touched in scan_account(view, account, 1, moment.height))
    else:
        rows = ((name, touched) for name, _, touched in scan_accounts(view, page.after, moment.height))
    current, sums = "", Sums()
    for name, touched in rows:
        if name != current and current:
            yield current, sums
            sums = {}
        current = name
        for batch, unit_state, since, units in touched.deltas:
            if moment.covers(since):
                of = sums.setdefault(batch, {})
                of[unit_state] = of.get(unit_state, 0) + units
    if current:
        yield current, sums


def _add_unseen_then(
    state: ReadState, response: pb.Availability, request: pb.GetAvailabilityRequest, moment: Moment
) -> None:
    """The same positions as `_add_unseen`, of the moment."""
    if request.batch:
        batches = [request.batch]
    elif request.account:
        sums = next((of for _, of in _sums(state.view, request.account, Page(1, b"", 0, b""), moment)), Sums())
        batches = [name for name, units_of in sums.items() if any(units_of.values())]
    else:
        batches = [""]
    found = (row for name in batches for row in sum_unseen(state.view, moment, name))
    _show_unseen(response, ((state.batch_named(name)[1].grain, units) for name, units in found))


def _last_moment(when: op.When) -> int:
    """The last millisecond that counts: of the UTC day for a date, else the instant itself."""
    if when.precision == op.When.DATE:
        return when.ms - when.ms % DAY_MS + DAY_MS - 1
    return when.ms


def _explain(moment: Moment, past: bool) -> str:
    known = f"known at height {moment.height}"
    if not past:
        return f"{known}: all that this ledger has recorded"
    until = moment.until_ms
    if until is None:
        return f"{known}: what this ledger had recorded by then, whenever it took effect"
    at = _EPOCH + timedelta(milliseconds=until)
    said = f"by the end of {at:%Y-%m-%d} UTC" if until % DAY_MS == DAY_MS - 1 else f"at {at.isoformat()}"
    return f"effective {said} by the dates of those who reported it, as {known}"


# -- both


def _line(account: str, batch: Batch, units_of: dict[int, int], restricted: int) -> pb.AvailabilityLine:
    """One line; every unit is in exactly one of its numbers."""
    line = pb.AvailabilityLine(
        account=account, batch=batch.name, grain=batch.grain, registry=batch.registry, restricted=restricted
    )
    for unit_state, units in units_of.items():
        field = _FIELDS[UnitState(unit_state)]
        setattr(line, field, getattr(line, field) + units)
    line.free -= restricted
    return line
