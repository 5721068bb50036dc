"""`keeling transfer`: units and cash change hands, all legs or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.choices import (
    EFFECTIVE,
    OF_BATCH,
    OF_PROGRAMME,
    POSITIONS,
    SERIALS,
    STRATEGY,
    UNITS,
    Choice,
    Strategy,
    build_selection,
    build_when,
)
from cli.command import writes
from cli.exits import misused
from cli.output import Grid
from cli.quantities import format_units, parse_amount
from cli.session import Session
from cli.writing import Change

if TYPE_CHECKING:
    from keeling.v1 import ledger_pb2 as pb

app = typer.Typer()


@writes(app, "transfer")
def transfer(
    session: Session,
    units: UNITS = None,
    giver: Annotated[str, typer.Option("--from", metavar="ACCOUNT", help="Who gives the units.")] = "",
    taker: Annotated[str, typer.Option("--to", metavar="ACCOUNT", help="Who takes them.")] = "",
    serials: SERIALS = None,
    positions: POSITIONS = None,
    batch: OF_BATCH = None,
    programme: OF_PROGRAMME = None,
    strategy: STRATEGY = Strategy.WHOLE_LOTS_FIRST,
    cash: Annotated[
        tuple[str, str] | None,
        typer.Option("--cash", metavar="AMOUNT CODE@BANK", help="What the taker pays in the same step."),
    ] = None,
    settlement: Annotated[
        str, typer.Option("--settlement", metavar="TEXT", help="Reference of a listed exchange's session.")
    ] = "",
    mandate: Annotated[str, typer.Option("--mandate", help="Act under this mandate of the giver.")] = "",
    effective: EFFECTIVE = None,
) -> Change:
    """Transfer units, against cash if you like: all of it happens in one block, or none.

    Every account that gives something approves; with several people, use --build and keeling tx sign.

    \b
    Example:
      keeling transfer 500 --from A --to B
      keeling transfer 1,000 --from A --to B --cash 850,000.00 INR@bank --build trade.json
      keeling transfer --from A --to B --serials "19385-941467007-941467100-VCS-VCU-1507-VER-ET-14-1340-…-1"
    """
    from keeling.v1 import operations_pb2 as op

    if not giver or not taker:
        raise misused("a transfer has two sides", "give --from and --to")
    selection = build_selection(session, Choice(units, serials, positions, batch, programme, strategy))
    operation = op.Transfer(
        units=[op.UnitLeg(from_account=giver, to_account=taker, selection=selection)],
        settlement_reference=settlement,
        mandate=mandate,
        effective=build_when(effective),
    )
    if cash is not None:
        amount, currency = cash
        scale = find_scale(session, currency, (taker, giver))
        try:
            minor = parse_amount(amount, scale)
        except ValueError as error:
            raise misused(str(error)) from error
        operation.cash.add(from_account=taker, to_account=giver, currency=currency, amount=minor)
    how = "as named" if selection.ranges else f"chosen {strategy.value}"
    return Change([operation], lambda result: _tell(result, giver, taker, how), {"strategy": strategy.name})


def find_scale(session: Session, currency: str, accounts: tuple[str, ...]) -> int:
    """How many decimals a currency has, from the balances of the accounts that deal in it."""
    from keeling.v1 import ledger_pb2 as pb

    for name in accounts:
        account = session.ask(session.ledger.GetAccount, pb.GetAccountRequest(account=name))
        for balance in account.cash:
            if balance.currency == currency:
                return balance.scale
    raise misused(
        f"none of {', '.join(accounts)} has ever had {currency}", "write it as it was issued, such as INR@bank"
    )


def _tell(result: pb.TransactionResult, giver: str, taker: str, how: str) -> list[str | Grid]:
    moved = sum(move.range.units for event in result.events for move in event.moves)
    return [f"{format_units(moved)} units from {giver} to {taker}, {how}"]
