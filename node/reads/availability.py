"""How many units an account has of each batch, by what can be done with them: now, at a height, or as of a date.

The two clocks of the ledger (units and rules §5): a height answers what was known then, a date what was effective then
by the words of whoever reported it. Now is read from totals in the state, the past is summed from `node.indexes`.
Units of different grains are never added.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    until = _last_moment(request.as_of) if request.HasField("as_of") else None
    arguments = (request.account, request.batch, str(request.at_height), str(until))
    page = open_page(state.height, request.page_size, request.page_token, "availability", *arguments)
    if past:
        state.check_kept(height)
    account = state.account_named(request.account)[0] if request.account else None
    batch = state.batch_named(request.batch)[0] if request.batch else None
    response = pb.Availability(height=height, time_ms=state.time_at(height), basis=_explain(height, until, past))
    if past:
        _add_past(state, response, request, page, height, until)
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
    unseen: dict[str, int] = {}
    for found in batches:
        unseen[found.grain] = unseen.get(found.grain, 0) + count_unseen(found)
    for grain, units in sorted(unseen.items()):
        if units:
            response.unseen.add(grain=grain, units=units)


# -- the past


def _add_past(
    state: ReadState,
    response: pb.Availability,
    request: pb.GetAvailabilityRequest,
    page: Page,
    height: int,
    until: int | None,
) -> None:
    """Lines from what each block up to `height` did, as far as it was effective by `until`."""
    for name, sums in _sums(state.view, request.account, page, height, until):
        if len(response.lines) >= page.size:
            response.next_page_token = page.token(account_key(name))
            return
        for batch, units_of in sorted(sums.items()):
            if request.batch in ("", batch) and any(units_of.values()):
                response.lines.append(_line(name, state.batch_named(batch)[1], units_of, 0))


def _sums(view: Reads, account: str, page: Page, height: int, until: int | None) -> Iterator[tuple[str, Sums]]:
    """Units by account: of one, or of all from the page's start on."""
    if account:
        rows = ((account, touched) for _, touched in scan_account(view, account, 1, height))
    else:
        rows = ((name, touched) for name, _, touched in scan_accounts(view, page.after, height))
    current, sums = "", Sums()
    for name, touched in rows:
        if name != current and current:
            yield current, sums
            sums = {}
        current = name
        for batch, unit_state, since_ms, units in touched.deltas:
            if until is None or since_ms <= until:
                of = sums.setdefault(batch, {})
                of[unit_state] = of.get(unit_state, 0) + units
    if current:
        yield current, sums


def _last_moment(when: op.When) -> int:
    """The last millisecond that counts: of the UTC day for a date, else the instant itself."""
    if when.precision == op.When.DATE:
        return when.ms - when.ms % DAY_MS + DAY_MS - 1
    return when.ms


def _explain(height: int, until: int | None, past: bool) -> str:
    known = f"known at height {height}"
    if not past:
        return f"{known}: all that this ledger has recorded"
    left_out = "restricted units count as free, and unseen ones are not counted"
    if until is None:
        return f"{known}: what this ledger had recorded by then, whenever it took effect; {left_out}"
    moment = _EPOCH + timedelta(milliseconds=until)
    said = f"by the end of {moment:%Y-%m-%d} UTC" if until % DAY_MS == DAY_MS - 1 else f"at {moment.isoformat()}"
    return f"effective {said} by the dates of those who reported it, as {known}; {left_out}"


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
