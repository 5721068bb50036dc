"""`keeling cash`: money a settlement bank owes, paid in and paid out."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.command import writes
from cli.exits import misused
from cli.quantities import format_amount, parse_amount
from cli.session import Session
from cli.transfer import find_scale
from cli.writing import Change

app = typer.Typer(help="Cash that a settlement bank owes: paid in, paid out.", no_args_is_help=True)

_ACCOUNT = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Whose money.")]
_AMOUNT = Annotated[str, typer.Argument(metavar="AMOUNT", help="A decimal, such as 850,000.00.")]
_CURRENCY = Annotated[str, typer.Argument(metavar="CODE@BANK", help="Currency, and the participant that owes it.")]


@writes(app, "issue")
def issue_cash(
    session: Session,
    account: _ACCOUNT,
    amount: _AMOUNT,
    currency: _CURRENCY,
    scale: Annotated[int, typer.Option("--scale", help="Digits after the decimal point.")] = 2,
) -> Change:
    """Credit an account with money the bank owes from now on. Signed by the bank.

    \b
    Example:
      keeling cash issue B 850,000.00 INR@bank --as bank.key
    """
    from keeling.v1 import operations_pb2 as op

    minor = _minor(amount, scale)
    operation = op.IssueCash(account=account, currency=currency, amount=minor, scale=scale)
    told = f"{format_amount(minor, scale)} {currency} credited to {account}"
    return Change([operation], lambda _: [told])


@writes(app, "redeem")
def redeem_cash(session: Session, account: _ACCOUNT, amount: _AMOUNT, currency: _CURRENCY) -> Change:
    """Pay money out: it leaves the ledger. Approved by the account's owner and the bank.

    \b
    Example:
      keeling cash redeem A 1,000.00 INR@bank --build payout.json
    """
    from keeling.v1 import operations_pb2 as op

    scale = find_scale(session, currency, (account,))
    minor = _minor(amount, scale)
    operation = op.RedeemCash(account=account, currency=currency, amount=minor)
    told = f"{format_amount(minor, scale)} {currency} paid out of {account}"
    return Change([operation], lambda _: [told])


def _minor(amount: str, scale: int) -> int:
    try:
        return parse_amount(amount, scale)
    except ValueError as error:
        raise misused(str(error)) from error
