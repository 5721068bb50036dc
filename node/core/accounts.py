"""Accounts and who may act for them: open, close, policies, links with claims, mandates (units and rules §4, §6)."""

from __future__ import annotations

from typing import Final

from keeling.events import EventKind
from keeling.operations import (
    NUMBERS,
    AccountPolicy,
    Cancel,
    CloseAccount,
    GrantMandate,
    Hold,
    LinkControl,
    OpenAccount,
    Retire,
    RevokeMandate,
    SetAccountPolicy,
    Transfer,
    Use,
)
from keeling.operations import Link as SetLink
from keeling.reasons import Reason
from keeling.units import TERMINAL, Purpose, UnitState
from node.core import tables as t
from node.core.authority import (
    check_owner,
    check_owner_strictly,
    check_participant,
    check_registry,
    policy_in_force,
)
from node.core.claims import Claimant, claim_units
from node.core.context import Context
from node.core.fields import check_evidence, check_instant, check_name, check_ranges, check_text
from node.core.limits import POLICY_DELAY_MAX_MS
from node.core.records import Account, ApprovalRule, Link, Mandate, Policy
from node.core.refusal import Refused
from node.core.select import find_pieces

OPEN_POLICY: Final = Policy((), (), 0, False)
MANDATED: Final = (NUMBERS[Transfer], NUMBERS[Hold])
"""What a mandate can cover. Capturing and releasing what one holds is its own right."""

_HOLDS_END_IN: Final = (NUMBERS[Retire], NUMBERS[Use], NUMBERS[Cancel], NUMBERS[Transfer])


def convert_policy(policy: AccountPolicy | None) -> Policy:
    """The policy as state keeps it."""
    if policy is None:
        return OPEN_POLICY
    rules = tuple(ApprovalRule(tuple(sorted(r.operations)), r.from_units, r.approvals) for r in policy.rules)
    return Policy(policy.approvers, rules, policy.delay_ms, policy.incoming_approved)


def check_policy_fields(policy: AccountPolicy | None) -> None:
    if policy is None:
        return
    if any(len(key) != 32 for key in policy.approvers):
        raise Refused(Reason.BAD_FIELD, "an approver is a key of 32 bytes", field="policy.approvers")
    if policy.delay_ms > POLICY_DELAY_MAX_MS:
        detail = f"a delay of {policy.delay_ms} ms; {POLICY_DELAY_MAX_MS} at most"
        raise Refused(Reason.BAD_FIELD, detail, field="policy.delay_ms")
    for rule in policy.rules:
        if any(number not in NUMBERS.values() for number in rule.operations):
            raise Refused(Reason.BAD_FIELD, f"operations are numbers of operations: {rule.operations}", field="rules")
        if not 1 <= rule.approvals <= 16:
            raise Refused(Reason.BAD_FIELD, f"a rule asks for {rule.approvals} approvals; 1 to 16", field="approvals")


def check_policy_opens(tx: Context, owner: str, policy: Policy) -> None:
    """As many different people could sign as the strictest rule asks: a policy must not lock everyone out."""
    people: set[str] = set()
    for key, found in tx.state.scan(t.KEYS):
        public = t.KEYS.parts(key)[0]
        allowed = not policy.approvers or public in policy.approvers
        if found.participant == owner and not found.retired and found.purposes & Purpose.APPROVE and allowed:
            people.add(found.person)
    needed = max((rule.approvals for rule in policy.rules), default=1)
    if len(people) < needed:
        detail = f"{needed} approvals are asked for, {len(people)} people of {owner} could give one"
        raise Refused(Reason.POLICY_LOCKS_OUT, detail, need=needed, people=len(people))


def create_account(tx: Context, name: str, owner: str, parent: str, policy: Policy) -> int:
    """Give the account its number. The name must be free."""
    progress = tx.state.get(t.PROGRESS)
    if progress is None:
        raise LookupError("the state has no progress row")
    number = progress.accounts + 1
    account = Account(name, owner, parent, policy, None, 0, None, False)
    tx.state.put(t.PROGRESS, progress._replace(accounts=number))
    tx.state.put(t.ACCOUNTS, account, number)
    tx.state.put(t.ACCOUNT_NUMBERS, number, name)
    tx.emit(EventKind.ACCOUNT_OPENED, name, facts={"owner": owner, "parent": parent})
    return number


def check_open_fields(op: OpenAccount) -> None:
    check_name(op.account, "account")
    if op.account.startswith("unassigned@"):
        raise Refused(Reason.BAD_FIELD, "unassigned@ accounts come with their registry's record", field="account")
    check_policy_fields(op.policy)


def apply_open(tx: Context, op: OpenAccount) -> None:
    """An account of a participant, or a sub-account below one of the same participant."""
    tx.member(op.owner)
    if tx.state.get(t.ACCOUNT_NUMBERS, op.account) is not None:
        raise Refused(Reason.ACCOUNT_EXISTS, f"an account is called {op.account}", account=op.account)
    if op.parent and tx.account(op.parent)[1].owner != op.owner:
        raise Refused(Reason.NOT_PERMITTED, f"{op.parent} does not belong to {op.owner}", parent=op.parent)
    check_participant(tx, op.owner)
    policy = convert_policy(op.policy)
    check_policy_opens(tx, op.owner, policy)
    create_account(tx, op.account, op.owner, op.parent, policy)


def check_set_policy_fields(op: SetAccountPolicy) -> None:
    if op.policy is None:
        raise Refused(Reason.MISSING_FIELD, "no policy is given", field="policy")
    check_policy_fields(op.policy)


def apply_set_policy(tx: Context, op: SetAccountPolicy) -> None:
    """The old policy approves its successor, which takes effect after the delay the old one states."""
    number, account = tx.account(op.account)
    check_owner_strictly(tx, account)
    policy = convert_policy(op.policy)
    check_policy_opens(tx, account.owner, policy)
    now = policy_in_force(tx, account)
    from_ms = tx.time_ms + now.delay_ms
    changed = account._replace(policy=now, next_policy=policy, next_from_ms=from_ms)
    tx.state.put(t.ACCOUNTS, changed, number)
    tx.emit(EventKind.POLICY_SET, account.name, facts={"from_ms": from_ms})


def apply_close(tx: Context, op: CloseAccount) -> None:
    """Only an empty account closes; what ended in it stays on record."""
    number, account = tx.account(op.account)
    check_owner(tx, account, op)
    for key, total in tx.state.scan(t.TOTALS, number):
        state = t.TOTALS.parts(key)[1]
        if state not in TERMINAL:
            detail = f"account {account.name} has {total.units} units {UnitState(state).name}"
            raise Refused(Reason.ACCOUNT_NOT_EMPTY, detail, account=account.name)
    for key, amount in tx.state.scan(t.CASH, number):
        currency = t.CASH.parts(key)[1]
        raise Refused(Reason.ACCOUNT_NOT_EMPTY, f"account {account.name} has {amount} {currency}", account=account.name)
    tx.state.put(t.ACCOUNTS, account._replace(closed=True), number)
    tx.emit(EventKind.ACCOUNT_CLOSED, account.name)


# -- links and claims


def check_link_fields(op: SetLink) -> None:
    check_text(op.registry_account, "registry_account", "the account at the registry")
    if op.control not in list(LinkControl) or op.control == LinkControl.CONTROL_UNSPECIFIED:
        raise Refused(Reason.MISSING_FIELD, "a link says who controls the units there", field="control")
    check_ranges(op.claims, "claims")
    check_evidence(op.evidence, "a claim of units" if op.claims else "")


def apply_link(tx: Context, op: SetLink) -> None:
    """Tie an account to one at an outside registry, and take units that are shown there out of unassigned@registry."""
    number, account = tx.account(op.account)
    policy = tx.registry(op.registry)
    tx.member(op.hub)
    pieces = find_pieces(tx, op.claims)
    check_owner(tx, account, op)
    if pieces:
        check_registry(tx, op.registry, (*policy.attestors, *policy.importers))
    link = Link(op.registry, op.registry_account, op.hub, op.control)
    known = account.link
    if known is not None and (known.registry, known.registry_account) != (op.registry, op.registry_account):
        detail = f"account {account.name} is linked to {known.registry_account} at {known.registry}"
        raise Refused(Reason.LINK_EXISTS, detail, account=account.name)
    claimant = Claimant(number, account.name, account.owner, op.registry, op.evidence)
    moves = claim_units(tx, claimant, policy, pieces)
    tx.state.put(t.ACCOUNTS, account._replace(link=link), number)
    facts = {"registry": op.registry, "hub": op.hub, "control": LinkControl(op.control).name}
    grade = op.evidence.grade if op.evidence else ""
    tx.emit(EventKind.LINKED, account.name, None, moves, facts={**facts, "grade": grade})


# -- mandates


def check_mandate_fields(op: GrantMandate) -> None:
    check_name(op.mandate, "mandate")
    if not op.operations or any(number not in MANDATED for number in op.operations):
        raise Refused(Reason.BAD_FIELD, f"a mandate covers operations of {MANDATED}", field="operations")
    if not op.units_each or not op.units_total or op.until_ms <= 0:
        raise Refused(
            Reason.MISSING_FIELD, "a mandate has limits: units each, units in all, an end", field="units_each"
        )
    check_instant(op.until_ms, "until_ms")
    if (op.price_min or op.price_max) and not op.currency:
        raise Refused(Reason.MISSING_FIELD, "a price band names its currency", field="currency")


def apply_grant_mandate(tx: Context, op: GrantMandate) -> None:
    """The owner lets another participant hold or transfer within limits; capturing what it held is its own right."""
    number, account = tx.account(op.account)
    tx.member(op.grantee)
    if tx.state.get(t.MANDATES, number, op.mandate) is not None:
        raise Refused(Reason.MANDATE_EXISTS, f"account {account.name} has a mandate {op.mandate}", mandate=op.mandate)
    ends = _HOLDS_END_IN if NUMBERS[Hold] in op.operations else ()
    check_owner(tx, account, op, op.units_total, (*op.operations, *ends))
    mandate = Mandate(
        op.grantee,
        tuple(sorted(op.operations)),
        op.units_each,
        op.units_total,
        op.programme,
        op.price_min,
        op.price_max,
        op.currency,
        op.until_ms,
    )
    tx.state.put(t.MANDATES, mandate, number, op.mandate)
    tx.emit(EventKind.MANDATE_GRANTED, account.name, facts={"mandate": op.mandate, "grantee": op.grantee})


def apply_revoke_mandate(tx: Context, op: RevokeMandate) -> None:
    """No new use of the mandate; holds that were placed under it run on."""
    number, account = tx.account(op.account)
    if tx.state.get(t.MANDATES, number, op.mandate) is None:
        raise Refused(Reason.MANDATE_NOT_FOUND, f"account {account.name} has no mandate {op.mandate!r}")
    check_owner(tx, account, op)
    tx.state.delete(t.MANDATES, number, op.mandate)
    tx.emit(EventKind.MANDATE_REVOKED, account.name, facts={"mandate": op.mandate})
