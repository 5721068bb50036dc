"""`Transfer`: legs of units and cash, all or none; and the cash operations themselves.

MIRRORED units move here only inside one link; between links they are held, dispatched and captured
(`node.core.holds`).
"""

from __future__ import annotations

import re
from typing import Final

from keeling.events import CashMove, EventKind, Move
from keeling.operations import CashLeg, IssueCash, RedeemCash, Transfer, UnitLeg
from keeling.reasons import Reason
from keeling.units import UnitState
from node.core import tables as t
from node.core.authority import check_incoming, check_mandate, check_owner, check_participant, check_price
from node.core.context import Context
from node.core.fields import check_length, check_when
from node.core.lots import move_all
from node.core.programmes import batches_of, check_transfer
from node.core.records import Account, Currency
from node.core.refusal import Refused
from node.core.select import NO_SELECTION, check_selection, choose, count_asked, find_programmes

AMOUNT_MAX: Final = 2**63 - 1
"""The largest amount, and the most of one currency that may be issued."""

LEGS_MAX: Final = 500
_CURRENCY: Final = re.compile(r"[A-Z][A-Z0-9]{2,11}@[A-Za-z0-9][A-Za-z0-9._:/@-]{0,63}", re.ASCII)


def check_transfer_fields(op: Transfer) -> None:
    if not op.units and not op.cash:
        raise Refused(Reason.MISSING_FIELD, "the transfer has no legs", field="units")
    if len(op.units) > LEGS_MAX or len(op.cash) > LEGS_MAX:
        detail = f"{len(op.units)} legs of units, {len(op.cash)} of cash; {LEGS_MAX} each are allowed"
        raise Refused(Reason.BAD_FIELD, detail, field="units")
    for leg in op.units:
        if leg.from_account == leg.to_account:
            raise Refused(Reason.ACCOUNTS_MUST_DIFFER, f"a leg from {leg.from_account} to itself")
        check_selection(leg.selection)
    for cash in op.cash:
        if cash.from_account == cash.to_account:
            raise Refused(Reason.ACCOUNTS_MUST_DIFFER, f"a cash leg from {cash.from_account} to itself")
        check_amount(cash.currency, cash.amount)
    check_length(op.settlement_reference, "settlement_reference")
    check_when(op.effective, "effective")


def check_amount(currency: str, amount: int) -> None:
    if not 0 < amount <= AMOUNT_MAX:
        raise Refused(Reason.AMOUNT_MUST_BE_POSITIVE, f"an amount of {amount} {currency}")
    if not _CURRENCY.fullmatch(currency):
        raise Refused(Reason.BAD_FIELD, f"{currency!r} is not CODE@BANK", field="currency")


class _Giver:
    """One account that gives units in a transfer: all its legs together are what its policy or mandate looks at."""

    def __init__(self, number: int, account: Account) -> None:
        self.number = number
        self.account = account
        self.units = 0
        self.programmes: list[str] = []


def apply_transfer(tx: Context, op: Transfer) -> None:
    """All sides approve what they give; then the units are chosen, checked and moved, then the cash."""
    accounts: dict[str, tuple[int, Account]] = {}
    legs: tuple[UnitLeg | CashLeg, ...] = (*op.units, *op.cash)
    for leg in legs:
        for name in (leg.from_account, leg.to_account):
            if name not in accounts:
                accounts[name] = tx.account(name)
    for cash in op.cash:
        _find_currency(tx, cash.currency)
    givers = _check_authority(tx, op, accounts)
    moves: list[Move] = []
    cause = tx.next_ref
    for part in op.units:
        (giver_number, giver_account), (taker_number, taker) = accounts[part.from_account], accounts[part.to_account]
        pieces = choose(tx, giver_number, giver_account, part.selection or NO_SELECTION)
        for batch in batches_of(tx, pieces):
            check_transfer(tx, batch, giver_account, taker, op.settlement_reference)
        moves += move_all(tx, pieces, taker_number, UnitState.FREE, cause)
    if op.mandate:
        for giver in givers:
            owner = giver.account.owner
            paid = [cash for cash in op.cash if accounts[cash.to_account][1].owner == owner]
            check_price(tx, giver.number, op.mandate, paid, giver.units)
    cash_moves = [_move_cash(tx, leg, accounts) for leg in op.cash]
    subject = op.units[0].to_account if op.units else op.cash[0].to_account
    reference = op.settlement_reference
    facts = {"settlement_reference": reference} if reference else None
    tx.emit(EventKind.TRANSFERRED, subject, op.effective, moves, cash_moves, facts)


def _check_authority(tx: Context, op: Transfer, accounts: dict[str, tuple[int, Account]]) -> list[_Giver]:
    """Every giver approves all it gives in one sum, so that many small legs are not below a limit that one is above."""
    givers: dict[str, _Giver] = {}
    for leg in op.units:
        giver = givers.get(leg.from_account)
        if giver is None:
            giver = givers[leg.from_account] = _Giver(*accounts[leg.from_account])
        selection = leg.selection or NO_SELECTION
        giver.units += count_asked(selection)
        if op.mandate:
            giver.programmes += find_programmes(tx, selection)
    for giver in givers.values():
        if op.mandate:
            check_mandate(tx, giver.number, giver.account, op, giver.units, op.mandate, giver.programmes)
        else:
            check_owner(tx, giver.account, op, giver.units)
    for cash in op.cash:
        check_owner(tx, accounts[cash.from_account][1], op)
    for leg in op.units:
        check_incoming(tx, accounts[leg.from_account][1], accounts[leg.to_account][1])
    return list(givers.values())


def _find_currency(tx: Context, currency: str) -> Currency:
    found = tx.state.get(t.CURRENCIES, currency)
    if found is None:
        raise Refused(Reason.CURRENCY_MISMATCH, f"nobody has issued {currency}", currency=currency)
    return found


def _format_amount(amount: int, scale: int) -> str:
    if not scale:
        return str(amount)
    whole, part = divmod(amount, 10**scale)
    return f"{whole}.{part:0{scale}d}"


def _move_cash(tx: Context, leg: CashLeg, accounts: dict[str, tuple[int, Account]]) -> CashMove:
    currency = _find_currency(tx, leg.currency)
    giver, taker = accounts[leg.from_account][0], accounts[leg.to_account][0]
    _take_cash(tx, giver, leg.from_account, leg.currency, leg.amount, currency.scale)
    has = tx.state.get(t.CASH, taker, leg.currency) or 0
    tx.state.put(t.CASH, has + leg.amount, taker, leg.currency)
    return CashMove(leg.from_account, leg.to_account, leg.currency, leg.amount, currency.scale)


def _take_cash(tx: Context, number: int, name: str, currency: str, amount: int, scale: int) -> None:
    has = tx.state.get(t.CASH, number, currency) or 0
    if has < amount:
        short = _format_amount(amount - has, scale)
        detail = f"account {name} has {_format_amount(has, scale)} {currency}, short by {short}"
        raise Refused(Reason.INSUFFICIENT_CASH, detail, account=name, currency=currency, short=short)
    if has > amount:
        tx.state.put(t.CASH, has - amount, number, currency)
    else:
        tx.state.delete(t.CASH, number, currency)


def apply_issue_cash(tx: Context, op: IssueCash) -> None:
    """The bank puts money that it owes into an account. Its first issue fixes the currency's scale."""
    number, account = tx.account(op.account)
    bank = _find_bank(tx, op.currency)
    currency = tx.state.get(t.CURRENCIES, op.currency) or Currency(op.scale, 0)
    if currency.scale != op.scale:
        detail = f"{op.currency} has {currency.scale} digits after the point, not {op.scale}"
        raise Refused(Reason.CURRENCY_MISMATCH, detail, currency=op.currency)
    check_participant(tx, bank)
    if currency.issued + op.amount > AMOUNT_MAX:
        raise Refused(Reason.AMOUNT_OVERFLOWS, f"more than {AMOUNT_MAX} {op.currency} in all")
    tx.state.put(t.CURRENCIES, currency._replace(issued=currency.issued + op.amount), op.currency)
    tx.state.put(t.CASH, (tx.state.get(t.CASH, number, op.currency) or 0) + op.amount, number, op.currency)
    paid = CashMove("", account.name, op.currency, op.amount, currency.scale)
    tx.emit(EventKind.CASH_ISSUED, account.name, cash=[paid])


def apply_redeem_cash(tx: Context, op: RedeemCash) -> None:
    """Money leaves the ledger: the owner gives it up, the bank confirms it paid out."""
    number, account = tx.account(op.account)
    bank = _find_bank(tx, op.currency)
    currency = _find_currency(tx, op.currency)
    check_owner(tx, account, op)
    check_participant(tx, bank)
    _take_cash(tx, number, account.name, op.currency, op.amount, currency.scale)
    tx.state.put(t.CURRENCIES, currency._replace(issued=currency.issued - op.amount), op.currency)
    paid = CashMove(account.name, "", op.currency, op.amount, currency.scale)
    tx.emit(EventKind.CASH_REDEEMED, account.name, cash=[paid])


def _find_bank(tx: Context, currency: str) -> str:
    """The settlement bank that owes the currency."""
    bank = currency.partition("@")[2]
    if "bank" not in tx.member(bank).roles:
        raise Refused(Reason.NOT_PERMITTED, f"{bank} is not a settlement bank", participant=bank)
    return bank


def check_issue_cash_fields(op: IssueCash) -> None:
    check_amount(op.currency, op.amount)
    if op.scale > 9:
        raise Refused(Reason.BAD_FIELD, f"{op.scale} digits after the point; 9 at most", field="scale")


def check_redeem_cash_fields(op: RedeemCash) -> None:
    check_amount(op.currency, op.amount)
