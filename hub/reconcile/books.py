"""Both sides of a reconciliation as rows: the registry's books page by page, and the ledger's lots of linked accounts.

A list that shrank, that disagrees with its own total, or that is not the registry's language is believed in nothing:
an alarm, and no differences. Comparing is not here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from itertools import pairwise
from typing import Final, NamedTuple, Protocol

from adapters.contract import Holding, Holdings, Trouble, WrongShape
from hub.reconcile.classes import BLOCKED_HERE, ENDED_HERE, LIVE_HERE, LIVE_THERE
from hub.reconcile.join import Row
from hub.restrictions import BLOCK, name_of_kind
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op

PAGES_MAX: Final = 1_000_000
"""More pages than this are a list that does not end."""
SHRINK_PERMILLE: Final = 100
"""A list that lost more of its units than this, beyond what is explained by the ledger, is not believed."""
POOL_NAMED_MAX: Final = 3
"""Accounts that share one at the registry and are all named."""

Sides = dict[str, list[Row]]
"""Rows by serial space."""


class AlarmKind(StrEnum):
    """Why nothing of a registry's list is believed."""

    WRONG_SHAPE = "wrong shape"
    UNREACHABLE = "unreachable"
    TOTAL_DISAGREES = "total disagrees"
    SHRANK = "registry shrank"
    ENDLESS = "list does not end"


class Alarm(NamedTuple):
    """No comparison was made."""

    kind: AlarmKind
    detail: str


class Books(NamedTuple):
    """A registry's list, whole and counted."""

    rows: Sides
    units: int
    live_units: int
    as_of_ms: int
    pages: int
    unread: tuple[str, ...] = ()
    """Rows that contradict themselves, one line each: what units they are about is not known."""


ListPage = Callable[[str], Awaitable[Holdings | Trouble]]
"""Reads a page of a registry's books, when it is its turn: an adapter's `snapshot`."""


class Lister(Protocol):
    """What of a ledger client is needed."""

    async def accounts(self) -> list[pb.Account]: ...

    async def lots(self, *, account: str = "", batch: str = "", state: str = "") -> list[pb.Lot]: ...

    async def batch(self, batch: str) -> pb.Batch: ...

    async def restrictions(self, account: str, prefix: str = "") -> list[pb.RestrictionInfo]: ...


async def read_books(list_page: ListPage, names: Mapping[str, str]) -> Books | Alarm:
    """All pages of a registry's list. `names`: our accounts here, by the registry's name of each."""
    rows: Sides = {}
    unread: list[str] = []
    units = live = pages = 0
    stated: int | None = None
    as_of: int | None = None
    page, seen = "", {""}
    while True:
        answer = await list_page(page)
        if not isinstance(answer, Holdings):
            if isinstance(answer, WrongShape):
                return Alarm(AlarmKind.WRONG_SHAPE, answer.detail[:500])
            return Alarm(AlarmKind.UNREACHABLE, f"{type(answer).__name__}: {answer.detail}"[:500])
        pages += 1
        for row in answer.rows:
            units += row.serials.units
            live += row.serials.units if row.state.value in LIVE_THERE else 0
            rows.setdefault(row.serials.space, []).append(_convert_holding(row, names))
        unread += answer.unread
        as_of = answer.as_of_ms if as_of is None else min(as_of, answer.as_of_ms)
        stated = answer.stated_units if answer.stated_units is not None else stated
        page = answer.next_page
        if not page:
            break
        if page in seen or pages >= PAGES_MAX:
            return Alarm(AlarmKind.ENDLESS, f"page {page!r} came twice, or more than {PAGES_MAX} pages")
        seen.add(page)
    # Rows that could not be read are in the total and not in the count.
    if stated is not None and (stated < units if unread else stated != units):
        return Alarm(AlarmKind.TOTAL_DISAGREES, f"the registry says {stated} units in all and lists {units}")
    return Books(rows, units, live, as_of or 0, pages, tuple(unread))


def _convert_holding(row: Holding, names: Mapping[str, str]) -> Row:
    account = names.get(row.account, f"{row.account} at the registry" if row.account else "")
    if not row.account and len(names) == 1:
        account = next(iter(names.values()))
    return Row(row.serials.first, row.serials.last, account, row.state.value, row.reference)


class Lots(NamedTuple):
    """The ledger's side: lots of the accounts linked to a registry."""

    rows: Sides
    names: dict[str, str]
    """Accounts here by the registry's name: of several that share one there (a custodian's), what they are called
    together."""
    pools: dict[str, str]
    """What each account here is called in `rows`: itself, or together with those it shares one there with."""
    live_units: int
    ended_units: int
    counted: dict[str, Counted | None]
    """How the batches of the lots count; None: of another registry."""

    def list_borders(self) -> dict[str, list[tuple[int, Counted]]]:
        """By space the batches of the lots with their first numbers, in order."""
        found: dict[str, list[tuple[int, Counted]]] = {}
        for each in sorted((each for each in self.counted.values() if each is not None), key=lambda each: each.first):
            found.setdefault(each.space, []).append((each.first, each))
        return found


async def read_lots(ledger: Lister, registry: str) -> Lots:
    """All lots of all accounts linked to the registry, by its numbers; those of one account there as one sum."""
    rows: Sides = {}
    counted: dict[str, Counted | None] = {}
    live = ended = 0
    linked: dict[str, list[str]] = {}
    for account in await ledger.accounts():
        if account.link.registry == registry:
            linked.setdefault(account.link.registry_account, []).append(account.account)
    names = {there: name_pool(there, sharing) for there, sharing in linked.items()}
    pools = {account: names[there] for there, sharing in linked.items() for account in sharing}
    for account_name, pool in pools.items():
        blocked = await _read_blocked(ledger, account_name)
        for lot in await ledger.lots(account=account_name):
            numbering = await _find_counted(ledger, counted, lot.range.batch, registry)
            if numbering is None:
                continue
            first = numbering.base + lot.range.first
            held = lot.hold.hex() if any(lot.hold) else ""
            row = Row(first, first + lot.range.units - 1, pool, lot.state, held)
            cuts = blocked.get(lot.range.batch, ()) if lot.state == "FREE" else ()
            rows.setdefault(numbering.space, []).extend(_cut_blocked(row, numbering.base, cuts) if cuts else [row])
            live += lot.range.units if lot.state in LIVE_HERE else 0
            ended += lot.range.units if lot.state in ENDED_HERE else 0
    return Lots(rows, names, pools, live, ended, counted)


async def _read_blocked(ledger: Lister, account: str) -> dict[str, list[op.Range]]:
    """What of an account is restricted because the registry blocked it, by batch, in order."""
    found: dict[str, list[op.Range]] = {}
    for each in await ledger.restrictions(account, name_of_kind(BLOCK)):
        found.setdefault(each.range.batch, []).append(each.range)
    return {batch: sorted(ranges, key=lambda each: each.first) for batch, ranges in found.items()}


def _cut_blocked(row: Row, base: int, blocked: Sequence[op.Range]) -> list[Row]:
    """A row of free units, cut where blocks begin and end."""
    spans = [(base + each.first, base + each.first + each.units) for each in blocked]
    inside = [(max(low, row.first), min(stop, row.last + 1)) for low, stop in spans]
    inside = [(low, stop) for low, stop in inside if low < stop]
    borders = sorted({row.first, row.last + 1} | {at for span in inside for at in span})
    return [
        row._replace(
            first=at,
            last=stop - 1,
            state=BLOCKED_HERE if any(low <= at and stop <= end for low, end in inside) else row.state,
        )
        for at, stop in pairwise(borders)
    ]


def name_pool(there: str, sharing: Sequence[str]) -> str:
    """What accounts here are called together that are linked to one account there."""
    ordered = sorted(sharing)
    if len(ordered) <= POOL_NAMED_MAX:
        return " + ".join(ordered)
    return f"{ordered[0]} + {len(ordered) - 1} more of {there}"


class Counted(NamedTuple):
    """How a batch counts, whatever its serials look like: position = number - base."""

    space: str
    base: int
    first: int
    """The number of its first unit."""
    made_of: tuple[str, str]
    """Programme and project."""


async def _find_counted(ledger: Lister, known: dict[str, Counted | None], batch: str, registry: str) -> Counted | None:
    """How a batch of this registry counts; None: it is of another registry."""
    if batch not in known:
        found = await ledger.batch(batch)
        first, made_of = int(found.first_number), (found.programme, found.project)
        counted = Counted(found.space, int(found.base_number), first, made_of)
        known[batch] = counted if found.registry == registry else None
    return known[batch]


class Baseline(NamedTuple):
    """What the run before saw: the registry's units, and the units that had ended here."""

    units: int
    ended_units: int


def check_size(books: Books, lots: Lots, before: Baseline | None) -> Alarm | None:
    """An alarm where the list lost more than the ledger explains; without a run before, fewer than are live here."""
    if before is None:
        expected, had = lots.live_units, f"the ledger has {lots.live_units} live units there"
    else:
        expected = before.units - max(lots.ended_units - before.ended_units, 0)
        had = f"it listed {before.units} before"
    shown = books.units
    instructed = sum(r.last - r.first + 1 for rows in lots.rows.values() for r in rows if r.state == "INSTRUCTED")
    lost = expected - instructed - shown
    if lost * 1000 > max(expected, 1) * SHRINK_PERMILLE and lost > 0:
        left_out = f", and {len(books.unread)} rows that cannot be read" if books.unread else ""
        return Alarm(AlarmKind.SHRANK, f"the registry lists {shown} units now{left_out}; {had}")
    return None
