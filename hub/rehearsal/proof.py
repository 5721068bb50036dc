"""The proof after chaos: every instruction as the ledger has it beside what the registries' own books say. Pure.

A *ghost* is on the ledger and not at the registry, a *loss* the other way round, a *duplicate* was done more than once
there. Units are compared too, number by number: what is retired here must be exactly what is retired there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from adapters.contract import ChangeKind, HoldingState
from adapters.sandbox.book import Book

Span = tuple[int, int]
"""First and last number."""
Left = Mapping[str, Sequence[Span]]
"""Units that were sold and carried out, by what they are now: "retired", "cancelled", "used", or "moved" away."""
MOVED: Final = "moved"
_ENDED: Final = (HoldingState.RETIRED, HoldingState.CANCELLED, HoldingState.USED)


class Fate(NamedTuple):
    """How an instruction ended on the ledger."""

    hold: str
    registry: str
    units: int
    captured: int
    released: int
    phase: str


class Verdict(NamedTuple):
    """What was found. All but the first four are empty or zero if the promise was kept."""

    instructions: int
    captured_units: int
    released_units: int
    effects: int
    """Messages that had an effect at a registry, by its own books."""
    duplicates: tuple[str, ...]
    ghosts: tuple[str, ...]
    losses: tuple[str, ...]
    unfinished: tuple[str, ...]
    differences: tuple[str, ...]
    """Ranges retired, cancelled, used or moved on one side alone, each with the side."""

    @property
    def kept(self) -> bool:
        return not (self.duplicates or self.ghosts or self.losses or self.unfinished or self.differences)


def judge(
    fates: Sequence[Fate], books: Mapping[str, Book], left: Mapping[str, Left], homes: Mapping[str, str]
) -> Verdict:
    """Compare. By registry: its book, what left the account on the ledger, and which account that is in the book.

    Raises `KeyError` for a registry without a book.
    """
    counted = {registry: count_effects(book) for registry, book in books.items()}
    duplicates, ghosts, losses, unfinished = [], [], [], []
    for fate in fates:
        done, orders = counted[fate.registry].pop(fate.hold, (0, 0))
        line = f"{fate.hold} at {fate.registry}: {fate.captured} captured, {done} done by {orders} orders"
        if orders > 1:
            duplicates.append(line)
        if fate.captured > done:
            ghosts.append(line)
        if fate.captured < done:
            losses.append(line)
        if fate.phase not in ("CAPTURED", "RELEASED") or fate.captured + fate.released != fate.units:
            unfinished.append(f"{line}, {fate.released} released, {fate.phase}")
    for registry, rest in counted.items():
        losses += [f"{key} at {registry}: {units} done, which nobody asked for" for key, (units, _) in rest.items()]
    differences = []
    for registry, book in books.items():
        there, here = find_left(book, homes[registry]), left.get(registry, {})
        for what in sorted({*there, *here}):
            found = compare_spans(here.get(what, ()), there.get(what, ()))
            differences += [f"{registry}, {what}: {text}" for text in found]
    return Verdict(
        instructions=len(fates),
        captured_units=sum(fate.captured for fate in fates),
        released_units=sum(fate.released for fate in fates),
        effects=sum(
            len({e.reference for e in book.entries if e.kind is not ChangeKind.ISSUED}) for book in books.values()
        ),
        duplicates=tuple(duplicates),
        ghosts=tuple(ghosts),
        losses=tuple(losses),
        unfinished=tuple(unfinished),
        differences=tuple(differences),
    )


def find_left(book: Book, home: str) -> dict[str, list[Span]]:
    """What the book shows as ended, or in another account than this."""
    found: dict[str, list[Span]] = {}
    for row in book.rows():
        what = row.state.value if row.state in _ENDED else MOVED if row.account != home else ""
        if what:
            found.setdefault(what, []).append((row.serials.first, row.serials.last))
    return found


def count_effects(book: Book) -> dict[str, tuple[int, int]]:
    """By the hold that asked for it: units really retired, and by how many orders."""
    orders: dict[str, set[str]] = {}
    for entry in book.entries:
        if entry.kind is not ChangeKind.ISSUED:
            orders.setdefault(entry.key.partition("-")[0], set()).add(entry.reference)
    units: dict[str, int] = {}
    for key, done in book.effects().items():
        units[key.partition("-")[0]] = units.get(key.partition("-")[0], 0) + done
    return {key: (done, len(orders.get(key, ()))) for key, done in units.items()}


def compare_spans(here: Iterable[Span], there: Iterable[Span]) -> list[str]:
    """Numbers on one side alone: "11..20 only here"."""
    ends: list[tuple[int, int, int]] = []
    for first, last in here:
        ends += [(first, 1, 0), (last + 1, -1, 0)]
    for first, last in there:
        ends += [(first, 0, 1), (last + 1, 0, -1)]
    found: list[str] = []
    on_here = on_there = 0
    begun = 0
    side = ""
    for at, step_here, step_there in sorted(ends):
        if side and at > begun:
            found.append(f"{begun}..{at - 1} only {side}")
        on_here += step_here
        on_there += step_there
        side = "" if bool(on_here) == bool(on_there) else ("here" if on_here else "there")
        begun = at
    return found
