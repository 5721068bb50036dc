"""Accounts: policy, link and how it works, cash, mandates. Units are in `node.reads.availability` and `lots`."""

from __future__ import annotations

from collections.abc import Iterator

from keeling.operations import LinkStateState
from keeling.v1 import ledger_pb2 as pb
from node.core import tables as t
from node.core.records import Account
from node.reads.messages import convert_link, convert_mandate, convert_policy
from node.reads.pages import open_page, read_rows
from node.reads.view import ReadState
from node.store.contract import Reads


def get_account(view: Reads, request: pb.GetAccountRequest) -> pb.Account:
    """An account by its name, open or closed. Raises `NotFound`."""
    state = ReadState(view)
    number, account = state.account_named(request.account)
    return convert_account(state, number, account)


def list_accounts(view: Reads, request: pb.ListRequest) -> pb.ListAccountsResponse:
    """Accounts in the order of their opening; with `account`, that one and all below it. Raises `NotFound`."""
    state = ReadState(view)
    page = open_page(state.height, request.page_size, request.page_token, "accounts", request.account)
    if request.account:
        state.account_named(request.account)
    keep = (lambda _, account: _is_within(state, account, request.account)) if request.account else None
    rows, last = read_rows(state, t.ACCOUNTS, [t.ACCOUNTS.key()], page, keep)
    response = pb.ListAccountsResponse(next_page_token=page.token(last), height=state.height)
    for key, account in rows:
        response.accounts.append(convert_account(state, t.ACCOUNTS.parts(key)[0], account))
    return response


def _is_within(state: ReadState, account: Account, top: str) -> bool:
    """Whether the account is `top`, or below it in its owner's tree."""
    while account.name != top and account.parent:
        account = state.account_named(account.parent)[1]
    return account.name == top


def convert_account(state: ReadState, number: int, account: Account) -> pb.Account:
    """The account with what state keeps about it elsewhere. A delayed policy whose time has come is the policy."""
    message = pb.Account(
        account=account.name,
        owner=account.owner,
        parent=account.parent,
        closed=account.closed,
        height=state.height,
    )
    policy, following = account.policy, account.next_policy
    if following is not None and account.next_from_ms <= state.time_ms:
        policy, following = following, None
    message.policy.CopyFrom(convert_policy(policy))
    if following is not None:
        message.next_policy.CopyFrom(convert_policy(following))
        message.next_policy_from_ms = account.next_from_ms
    if account.link is not None:
        message.link.CopyFrom(convert_link(account.name, account.link))
        message.link_state = _describe_link(state, account.name, account.link.registry)
        message.link_windows.extend(_find_windows(state, account.name, account.link.registry))
    for key, amount in state.scan_prefix(t.CASH, number):
        currency = t.CASH.parts(key)[1]
        issued = state.get(t.CURRENCIES, currency)
        message.cash.add(currency=currency, amount=amount, scale=0 if issued is None else issued.scale)
    for key, mandate in state.scan_prefix(t.MANDATES, number):
        message.mandates.append(convert_mandate(account.name, t.MANDATES.parts(key)[1], mandate))
    return message


def _find_windows(state: ReadState, account: str, registry: str) -> Iterator[pb.LinkWindow]:
    """The stops of the link and of the registry behind it, in force or announced."""
    for subject in (f"account:{account}", f"registry:{registry}"):
        for key, condition in state.scan_prefix(t.CONDITIONS, subject):
            if not condition.until_ms or condition.until_ms > state.time_ms:
                yield pb.LinkWindow(
                    state=t.CONDITIONS.parts(key)[1],
                    from_ms=condition.from_ms,
                    until_ms=condition.until_ms,
                    reason=condition.reason,
                    whole_registry=subject.startswith("registry:"),
                )


def _describe_link(state: ReadState, account: str, registry: str) -> str:
    """NORMAL, or why the link (or the whole registry behind it) does not work at ledger time."""
    found: list[str] = []
    for subject in (f"account:{account}", f"registry:{registry}"):
        for key, condition in state.scan_prefix(t.CONDITIONS, subject):
            kind = t.CONDITIONS.parts(key)[1]
            begun = condition.from_ms <= state.time_ms
            over = condition.until_ms and state.time_ms >= condition.until_ms
            if begun and not over and kind != LinkStateState.NORMAL:
                whole = "" if subject.startswith("account:") else f" (all of {registry})"
                reason = f": {condition.reason}" if condition.reason else ""
                found.append(LinkStateState(kind).name + whole + reason)
    return "; ".join(found) or LinkStateState.NORMAL.name
