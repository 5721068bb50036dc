"""Which units "500 units" are: named ranges checked, or lots chosen by a strategy (units and rules §4).

A choice depends only on state, so every node chooses the same. It is refused above 5,000 lots, with how to split it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from keeling.operations import Range, Selection, SelectionStrategy
from keeling.reasons import Reason
from keeling.units import UnitState
from node.core import tables as t
from node.core.context import Context
from node.core.fields import check_ranges
from node.core.intervals import leave_out, overlaps, restricted_ranges
from node.core.limits import LOTS_MAX, LOTS_PASSED_MAX, UNITS_MAX
from node.core.lots import check_available
from node.core.records import Account, Holding, Piece, make
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
        pieces, left = _take_in_order(sorted(candidates, key=lambda lot: lot[3:]), selection.units)
    elif selection.strategy == SelectionStrategy.LOWEST:
        pieces, left = _take_in_order(candidates, selection.units)
    else:
        pieces, left = _take_whole_first(candidates, selection.units)
    if left:
        have = selection.units - left
        detail = f"account {account.name} has {have} free units of the {selection.units} asked"
        raise Refused(Reason.INSUFFICIENT_UNITS, detail, account=account.name, have=have, asked=selection.units)
    return sorted(pieces) if len(pieces) > 1 else pieces


_Free = tuple[int, int, int, int, int]
"""A lot that may be chosen, or a part of one: batch, first position, units, and the (height, ordinal) at which it was
acquired."""
_holding_parts: Final = t.HOLDINGS.parts


def _free_lots(tx: Context, number: int, account: Account, selection: Selection) -> Iterator[_Free]:
    """FREE lots by batch and position; of one that is restricted in part, each part that is not."""
    if not selection.batch:
        return _fitting_lots(tx, tx.look(tx.state.scan(t.HOLDINGS, number, UnitState.FREE)), selection)
    batch = tx.find_batch(selection.batch)
    held = tx.look(tx.state.scan(t.HOLDINGS, number, UnitState.FREE, batch))
    if selection.programme or tx.batch_number(batch).restrictions:
        return _fitting_lots(tx, held, selection)
    return ((batch, _holding_parts(key)[3], *holding) for key, holding in held)


def _fitting_lots(tx: Context, held: Iterable[tuple[bytes, Holding]], selection: Selection) -> Iterator[_Free]:
    fits: dict[int, bool] = {}
    stopped: dict[int, list[tuple[int, int]]] = {}
    for key, holding in held:
        _, _, batch, first = _holding_parts(key)
        if batch not in fits:
            found = tx.batch_number(batch)
            fits[batch] = not selection.programme or found.programme == selection.programme
            stopped[batch] = restricted_ranges(tx.state, batch, found)
        if not fits[batch]:
            continue
        if stopped[batch] and overlaps(stopped[batch], first, holding.units):
            for low, units in leave_out(stopped[batch], first, holding.units):
                yield (batch, low, *holding._replace(units=units))
            continue
        yield (batch, first, *holding)


def _take_in_order(lots: Iterable[_Free], units: int) -> tuple[list[Piece], int]:
    """Lots in the given order, the last one cut."""
    taken: list[Piece] = []
    for batch, first, size, _, _ in lots:
        part = min(size, units)
        _check_room(taken)
        taken.append(make(Piece, (batch, first, part)))
        units -= part
        if not units:
            break
    return taken, units


def _take_whole_first(lots: Iterable[_Free], units: int) -> tuple[list[Piece], int]:
    """Whole lots that fit, in order; then the rest from the smallest of those that were too large, of which it passes
    over no more than `LOTS_PASSED_MAX`."""
    taken: list[Piece] = []
    smallest: tuple[int, int, int] | None = None
    passed = 0
    for batch, first, size, _, _ in lots:
        if size > units:
            if smallest is None or size < smallest[2]:
                smallest = (batch, first, size)
            passed += 1
            if passed == LOTS_PASSED_MAX:
                break
            continue
        _check_room(taken)
        taken.append(make(Piece, (batch, first, size)))
        units -= size
        if not units:
            return taken, 0
    if smallest is not None:
        _check_room(taken)
        taken.append(make(Piece, (smallest[0], smallest[1], units)))
        return taken, 0
    return taken, units


def _check_room(taken: list[Piece]) -> None:
    if len(taken) >= LOTS_MAX:
        held = sum(piece.units for piece in taken)
        detail = f"the choice touches more than {LOTS_MAX} lots; ask for at most {held} units in one transaction"
        raise Refused(Reason.TOO_MANY_LOTS, detail, limit=LOTS_MAX, units=held)
