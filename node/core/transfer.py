"""`Transfer`: legs of units and cash, all or none; and the cash operations themselves.

MIRRORED units move here only inside one link; between links they are held, dispatched and captured
(`node.core.holds`).
"""

from __future__ import annotations

from keeling.events import CashMove, EventKind, Move
from keeling.operations import CashLeg, IssueCash, RedeemCash, Transfer, UnitLeg
from keeling.reasons import Reason
from keeling.units import Purpose, UnitState
from node.core import tables as t
from node.core.authority import (
    check_owner,
    check_owner_or_mandate,
    check_participant,
    check_price,
    policy_in_force,
)
from node.core.context import Context
from node.core.lots import move
from node.core.programmes import batches_of, check_transfer
from node.core.records import Account, Currency, Piece
from node.core.refusal import Refused
from node.core.select import NO_SELECTION, check_selection, choose

AMOUNT_MAX = 2**63 - 1


def check_transfer_fields(op: Transfer) -> None:
    if not op.units and not op.cash:
        raise Refused(Reason.MISSING_FIELD, "the transfer has no legs", field="units")
    for leg in op.units:
        if leg.from_account == leg.to_account:
            raise Refused(Reason.ACCOUNTS_MUST_DIFFER, f"a leg from {leg.from_account} to itself")
        check_selection(leg.selection)
    for cash in op.cash:
        if cash.from_account == cash.to_account:
            raise Refused(Reason.ACCOUNTS_MUST_DIFFER, f"a cash leg from {cash.from_account} to itself")
        check_amount(cash.currency, cash.amount)


def check_amount(currency: str, amount: int) -> None:
    if not 0 < amount <= AMOUNT_MAX:
        raise Refused(Reason.AMOUNT_MUST_BE_POSITIVE, f"an amount of {amount} {currency}")
    code, _, bank = currency.partition("@")
    if not code or not bank:
        raise Refused(Reason.BAD_FIELD, f"{currency!r} is not CODE@BANK", field="currency")


def apply_transfer(tx: Context, op: Transfer) -> None:
    """All sides approve what they give; then the units are chosen, checked and moved, then the cash."""
    named = [(leg.from_account, leg.to_account) for leg in op.units] + [(c.from_account, c.to_account) for c in op.cash]
    accounts = {name: tx.account(name) for pair in named for name in pair}
    for leg in op.units:
        _check_leg_authority(tx, op, leg, accounts)
    for cash in op.cash:
        check_owner(tx, accounts[cash.from_account][1], op)
    moves: list[Move] = []
    cause = tx.next_ref
    for leg in op.units:
        (giver_number, giver), (taker_number, taker) = accounts[leg.from_account], accounts[leg.to_account]
        pieces = choose(tx, giver_number, giver, leg.selection or NO_SELECTION)
        for batch in batches_of(tx, pieces):
            check_transfer(tx, batch, giver, taker, op.settlement_reference)
        if op.mandate:
            _check_leg_price(tx, op, giver_number, pieces)
        for piece in pieces:
            moves += move(tx, piece, taker_number, UnitState.FREE, cause)
    cash_moves = [_move_cash(tx, leg, accounts) for leg in op.cash]
    subject = op.units[0].to_account if op.units else op.cash[0].to_account
    reference = op.settlement_reference
    tx.emit(EventKind.TRANSFERRED, subject, op.effective, moves, cash_moves, {"settlement_reference": reference})


def _check_leg_authority(tx: Context, op: Transfer, leg: UnitLeg, accounts: dict[str, tuple[int, Account]]) -> None:
    selection = leg.selection or NO_SELECTION
    asked = selection.units or sum(item.units for item in selection.ranges)
    number, giver = accounts[leg.from_account]
    if op.mandate:
        programme = selection.programme or (
            tx.batch(selection.ranges[0].batch)[1].programme if selection.ranges else ""
        )
        check_owner_or_mandate(tx, number, giver, op, asked, op.mandate, programme)
    else:
        check_owner(tx, giver, op, asked)
    taker = accounts[leg.to_account][1]
    if taker.owner != giver.owner and policy_in_force(tx, taker).incoming_approved:
        policy = policy_in_force(tx, taker)
        if not tx.people(taker.owner, Purpose.APPROVE, policy.approvers):
            detail = f"account {taker.name} approves what comes in, and has not"
            raise Refused(Reason.INCOMING_NOT_APPROVED, detail, account=taker.name)


def _check_leg_price(tx: Context, op: Transfer, giver: int, pieces: list[Piece]) -> None:
    units = sum(piece.units for piece in pieces)
    paid = sum(cash.amount for cash in op.cash)
    currency = op.cash[0].currency if op.cash else ""
    check_price(tx, giver, op.mandate, currency, paid, units)


def _format_amount(amount: int, scale: int) -> str:
    if not scale:
        return str(amount)
    whole, part = divmod(amount, 10**scale)
    return f"{whole}.{part:0{scale}d}"


def _move_cash(tx: Context, leg: CashLeg, accounts: dict[str, tuple[int, Account]]) -> CashMove:
    currency = tx.state.get(t.CURRENCIES, leg.currency)
    if currency is None:
        raise Refused(Reason.CURRENCY_MISMATCH, f"nobody has issued {leg.currency}", currency=leg.currency)
    giver, taker = accounts[leg.from_account][0], accounts[leg.to_account][0]
    _take_cash(tx, giver, leg.from_account, leg.currency, leg.amount, currency.scale)
    has = tx.state.get(t.CASH, taker, leg.currency) or 0
    tx.state.put(t.CASH, has + leg.amount, taker, leg.currency)
    return CashMove(leg.from_account, leg.to_account, leg.currency, leg.amount)


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
    _check_bank(tx, op.currency)
    currency = tx.state.get(t.CURRENCIES, op.currency) or Currency(op.scale, 0)
    if currency.scale != op.scale:
        detail = f"{op.currency} has {currency.scale} digits after the point, not {op.scale}"
        raise Refused(Reason.CURRENCY_MISMATCH, detail, currency=op.currency)
    if currency.issued + op.amount > AMOUNT_MAX:
        raise Refused(Reason.AMOUNT_OVERFLOWS, f"more than {AMOUNT_MAX} {op.currency} in all")
    tx.state.put(t.CURRENCIES, currency._replace(issued=currency.issued + op.amount), op.currency)
    tx.state.put(t.CASH, (tx.state.get(t.CASH, number, op.currency) or 0) + op.amount, number, op.currency)
    tx.emit(EventKind.CASH_ISSUED, account.name, cash=[CashMove("", account.name, op.currency, op.amount)])


def apply_redeem_cash(tx: Context, op: RedeemCash) -> None:
    """Money leaves the ledger: the owner gives it up, the bank confirms it paid out."""
    number, account = tx.account(op.account)
    check_owner(tx, account, op)
    _check_bank(tx, op.currency)
    currency = tx.state.get(t.CURRENCIES, op.currency)
    if currency is None:
        raise Refused(Reason.CURRENCY_MISMATCH, f"nobody has issued {op.currency}", currency=op.currency)
    _take_cash(tx, number, account.name, op.currency, op.amount, currency.scale)
    tx.state.put(t.CURRENCIES, currency._replace(issued=currency.issued - op.amount), op.currency)
    tx.emit(EventKind.CASH_REDEEMED, account.name, cash=[CashMove(account.name, "", op.currency, op.amount)])


def _check_bank(tx: Context, currency: str) -> None:
    bank = currency.partition("@")[2]
    if "bank" not in tx.member(bank).roles:
        raise Refused(Reason.NOT_PERMITTED, f"{bank} is not a settlement bank", participant=bank)
    check_participant(tx, bank)


def check_issue_cash_fields(op: IssueCash) -> None:
    check_amount(op.currency, op.amount)
    if op.scale > 9:
        raise Refused(Reason.BAD_FIELD, f"{op.scale} digits after the point; 9 at most", field="scale")


def check_redeem_cash_fields(op: RedeemCash) -> None:
    check_amount(op.currency, op.amount)
