"""Which units "500 units" are: named ranges checked, or lots chosen by a strategy (units and rules §4).

A choice depends only on state, so every node chooses the same. It is refused above 5,000 lots, with how to split it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from keeling.operations import Range, Selection, SelectionStrategy
from keeling.reasons import Reason
from keeling.units import UnitState
from node.core import tables as t
from node.core.context import Context
from node.core.fields import check_ranges
from node.core.intervals import overlaps, restricted_ranges
from node.core.limits import LOTS_MAX, UNITS_MAX
from node.core.lots import check_available
from node.core.records import Account, Piece
from node.core.refusal import Refused

NO_SELECTION: Final = Selection()
_STRATEGIES: Final = frozenset(int(strategy) for strategy in SelectionStrategy)


def check_selection(selection: Selection | None) -> None:
    """What is wrong with a selection whatever the state is."""
    if selection is None or (not selection.ranges and not selection.units):
        raise Refused(Reason.UNITS_MUST_BE_POSITIVE, "the selection names no units")
    if selection.ranges and (selection.units or selection.batch or selection.programme):
        raise Refused(Reason.BAD_FIELD, "give ranges, or a number of units and of what, not both", field="selection")
    if selection.units > UNITS_MAX:
        raise Refused(Reason.BAD_FIELD, f"{selection.units} units; {UNITS_MAX} at most", field="selection.units")
    if selection.strategy not in _STRATEGIES:
        raise Refused(Reason.BAD_FIELD, f"no strategy has the number {selection.strategy}", field="selection.strategy")
    if selection.strategy == SelectionStrategy.REGISTRY and not selection.ranges:
        detail = "with the strategy REGISTRY the registry chooses: name the ranges it chose"
        raise Refused(Reason.MISSING_FIELD, detail, field="selection.ranges")
    check_ranges(selection.ranges, "selection.ranges")


def count_asked(selection: Selection) -> int:
    """How many units a selection asks for."""
    return selection.units or sum([units for _, _, units in selection.ranges])


def find_programmes(tx: Context, selection: Selection) -> list[str]:
    """The programmes the selected units can be of, before any is chosen; "" stands for any."""
    if selection.ranges:
        return sorted({tx.batch(item.batch)[1].programme for item in selection.ranges})
    return [tx.batch(selection.batch)[1].programme] if selection.batch else [selection.programme]


def find_pieces(tx: Context, ranges: Sequence[Range]) -> list[Piece]:
    """Named ranges as pieces, in order of batch and position."""
    return sorted([Piece(tx.find_batch(batch), first, units) for batch, first, units in ranges])


def choose(tx: Context, number: int, account: Account, selection: Selection) -> list[Piece]:
    """The pieces a selection means in an account: FREE, unrestricted, in order of batch and position, one grain."""
    if selection.ranges:
        pieces = find_pieces(tx, selection.ranges)
        check_available(tx, number, account.name, pieces)
    else:
        pieces = _choose_units(tx, number, account, selection)
    if len(pieces) == 1:
        return pieces
    grains = sorted({tx.batch_number(number).grain for number in {piece.batch for piece in pieces}})
    if len(grains) > 1:
        raise Refused(Reason.MIXED_GRAINS, f"the units are of {' and '.join(grains)}", grains=", ".join(grains))
    return pieces


def _choose_units(tx: Context, number: int, account: Account, selection: Selection) -> list[Piece]:
    candidates = _free_lots(tx, number, account, selection)
    if selection.strategy == SelectionStrategy.OLDEST_ACQUIRED:
        ordered = sorted(candidates, key=lambda lot: lot[1])
        pieces, left = _take_in_order((piece for piece, _ in ordered), selection.units)
    elif selection.strategy == SelectionStrategy.LOWEST:
        pieces, left = _take_in_order((piece for piece, _ in candidates), selection.units)
    else:
        pieces, left = _take_whole_first((piece for piece, _ in candidates), selection.units)
    if left:
        have = selection.units - left
        detail = f"account {account.name} has {have} free units of the {selection.units} asked"
        raise Refused(Reason.INSUFFICIENT_UNITS, detail, account=account.name, have=have, asked=selection.units)
    return sorted(pieces)


def _free_lots(
    tx: Context, number: int, account: Account, selection: Selection
) -> Iterator[tuple[Piece, tuple[int, int]]]:
    """FREE unrestricted lots by batch and position, each with when it was acquired."""
    parts = (number, UnitState.FREE)
    if selection.batch:
        parts = (*parts, tx.find_batch(selection.batch))  # type: ignore[assignment]
    fits: dict[int, bool] = {}
    stopped: dict[int, list[tuple[int, int]]] = {}
    for key, holding in tx.state.scan(t.HOLDINGS, *parts):
        _, _, batch, first = t.HOLDINGS.parts(key)
        if batch not in fits:
            found = tx.batch_number(batch)
            fits[batch] = not selection.programme or found.programme == selection.programme
            stopped[batch] = restricted_ranges(tx.state, batch, found)
        if not fits[batch] or (stopped[batch] and overlaps(stopped[batch], first, holding.units)):
            continue
        yield Piece(batch, first, holding.units), (holding.height, holding.ordinal)


def _take_in_order(lots: Iterator[Piece], units: int) -> tuple[list[Piece], int]:
    """Lots in the given order, the last one cut."""
    taken: list[Piece] = []
    for lot in lots:
        part = min(lot.units, units)
        _check_room(taken)
        taken.append(lot._replace(units=part))
        units -= part
        if not units:
            break
    return taken, units


def _take_whole_first(lots: Iterator[Piece], units: int) -> tuple[list[Piece], int]:
    """Whole lots that fit, in order; then the rest from the smallest lot that was too large."""
    taken: list[Piece] = []
    smallest: Piece | None = None
    for lot in lots:
        if lot.units > units:
            if smallest is None or lot.units < smallest.units:
                smallest = lot
            continue
        _check_room(taken)
        taken.append(lot)
        units -= lot.units
        if not units:
            return taken, 0
    if smallest is not None:
        _check_room(taken)
        taken.append(Piece(smallest.batch, smallest.first, units))
        return taken, 0
    return taken, units


def _check_room(taken: list[Piece]) -> None:
    if len(taken) >= LOTS_MAX:
        held = sum(piece.units for piece in taken)
        detail = f"the choice touches more than {LOTS_MAX} lots; ask for at most {held} units in one transaction"
        raise Refused(Reason.TOO_MANY_LOTS, detail, limit=LOTS_MAX, units=held)
