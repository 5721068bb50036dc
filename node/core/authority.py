"""Who may: account policies, four eyes, mandates, registries, the electorate (units and rules §4, §6).

A rule asks here and gets silence or a refusal; it never looks at keys itself. Signatures were verified before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from keeling.operations import NUMBERS, AnyOperation, CashLeg, RegistryPolicy
from keeling.reasons import Reason
from keeling.units import Purpose
from node.core import tables as t
from node.core.context import Context
from node.core.fields import GRADES
from node.core.records import Account, ApprovalRule, Mandate, Policy
from node.core.refusal import Refused

_ONE_APPROVAL: Final = ApprovalRule((), 0, 1)


def policy_in_force(tx: Context, account: Account) -> Policy:
    """The account's policy now: a changed one only once its delay has passed."""
    if account.next_policy is not None and tx.time_ms >= account.next_from_ms:
        return account.next_policy
    return account.policy


def find_rule(policy: Policy, operation: int, units: int) -> ApprovalRule:
    """The rule for an operation of this many units: the one with the highest threshold that is reached."""
    if not policy.rules:
        return _ONE_APPROVAL
    fitting = [
        rule
        for rule in policy.rules
        if (not rule.operations or operation in rule.operations) and rule.from_units <= units
    ]
    return max(fitting, key=lambda rule: (rule.from_units, rule.approvals), default=_ONE_APPROVAL)


def check_owner(
    tx: Context, account: Account, operation: AnyOperation, units: int = 0, leads_to: Sequence[int] = ()
) -> None:
    """The account's own approvers have signed, as many different people as its policy asks.

    An operation that only prepares others (a hold, a mandate) needs what those need: `leads_to` are their numbers.
    """
    policy = account.policy if account.next_policy is None else policy_in_force(tx, account)
    needed = 1
    if policy.rules:
        needed = max(find_rule(policy, number, units).approvals for number in (NUMBERS[type(operation)], *leads_to))
    _check_people(tx, account, policy, needed)


def check_owner_strictly(tx: Context, account: Account) -> None:
    """As many people as the strictest rule asks: who can change the policy can do all that it guards."""
    policy = policy_in_force(tx, account)
    _check_people(tx, account, policy, max((rule.approvals for rule in policy.rules), default=1))


def _check_people(tx: Context, account: Account, policy: Policy, needed: int) -> None:
    people = tx.people(account.owner, Purpose.APPROVE, policy.approvers)
    if not people:
        detail = f"no approver of account {account.name} has signed"
        raise Refused(Reason.NOT_PERMITTED, detail, account=account.name, owner=account.owner)
    if len(people) < needed:
        keys = sum(
            1
            for s in tx.signers
            if s.participant == account.owner
            and s.purposes & Purpose.APPROVE
            and (not policy.approvers or s.key in policy.approvers)
        )
        values = {"account": account.name, "have": len(people), "need": needed}
        if keys > len(people):
            raise Refused(
                Reason.SAME_PERSON, f"{keys} keys, but {len(people)} of {needed} people have signed", **values
            )
        raise Refused(
            Reason.NEEDS_APPROVAL, f"{len(people)} of {needed} approvals for account {account.name}", **values
        )


def check_mandate(
    tx: Context,
    number: int,
    account: Account,
    operation: AnyOperation,
    units: int,
    mandate: str,
    programmes: Sequence[str],
) -> None:
    """Instead of the owner: the named mandate covers this operation, its grantee has signed. Its rest shrinks.

    `programmes` are all that the units may be of; "" stands for any.
    """
    found = tx.state.get(t.MANDATES, number, mandate)
    if found is None:
        raise Refused(Reason.MANDATE_NOT_FOUND, f"account {account.name} has no mandate {mandate!r}", mandate=mandate)
    if not tx.signed_by(found.grantee, Purpose.APPROVE):
        raise Refused(Reason.NOT_PERMITTED, f"{found.grantee} has not signed", mandate=mandate, grantee=found.grantee)
    _check_mandate(tx, found, NUMBERS[type(operation)], units, mandate, programmes)
    tx.state.put(t.MANDATES, found._replace(units_left=found.units_left - units), number, mandate)


def _check_mandate(
    tx: Context, found: Mandate, operation: int, units: int, mandate: str, programmes: Sequence[str]
) -> None:
    if tx.time_ms >= found.until_ms:
        raise Refused(Reason.OUTSIDE_MANDATE, f"mandate {mandate} has ended", mandate=mandate)
    if operation not in found.operations:
        raise Refused(Reason.OUTSIDE_MANDATE, f"mandate {mandate} does not cover this operation", mandate=mandate)
    if found.programme and any(name != found.programme for name in programmes):
        detail = f"mandate {mandate} covers programme {found.programme} only"
        raise Refused(Reason.OUTSIDE_MANDATE, detail, mandate=mandate, programme=found.programme)
    limit = min(found.units_each, found.units_left)
    if units > limit:
        detail = f"{units} units; mandate {mandate} allows {limit} now"
        raise Refused(Reason.OUTSIDE_MANDATE, detail, mandate=mandate, units=units, limit=limit)


def check_price(tx: Context, number: int, mandate: str, paid: Sequence[CashLeg], units: int) -> None:
    """What the giver is paid under a mandate lies in its band (whole minor units per unit of the batch)."""
    found = tx.state.get(t.MANDATES, number, mandate)
    if found is None or not (found.price_min or found.price_max):
        return
    amount = sum(leg.amount for leg in paid)
    too_low = amount < found.price_min * units
    too_high = bool(found.price_max) and amount > found.price_max * units
    if any(leg.currency != found.currency for leg in paid) or too_low or too_high:
        band = f"{found.price_min}..{found.price_max} {found.currency} per unit"
        detail = f"the giver of {units} units is paid {amount}; the band is {band}"
        raise Refused(Reason.OUTSIDE_PRICE_BAND, detail, band=band)


def check_incoming(tx: Context, giver: Account, taker: Account) -> None:
    """Where a policy says so, the taker's owner approves what comes in from others."""
    if taker.owner == giver.owner or (taker.next_policy is None and not taker.policy.incoming_approved):
        return
    policy = policy_in_force(tx, taker)
    if policy.incoming_approved and not tx.people(taker.owner, Purpose.APPROVE, policy.approvers):
        detail = f"account {taker.name} approves what comes in, and has not"
        raise Refused(Reason.INCOMING_NOT_APPROVED, detail, account=taker.name)


def check_participant(tx: Context, participant: str, purpose: Purpose = Purpose.APPROVE) -> None:
    """Somebody of the participant has signed with a key for `purpose`."""
    if not tx.signed_by(participant, purpose):
        detail = f"nobody of {participant} has signed with a key for {purpose.name}"
        raise Refused(Reason.NOT_PERMITTED, detail, participant=participant)


def check_electorate(tx: Context) -> None:
    """A quorum of the validators in force has signed with governing keys, one vote each."""
    validators = [t.PARTICIPANTS.parts(key)[0] for key, p in tx.state.scan(t.PARTICIPANTS) if p.validator]
    needed = 2 * len(validators) // 3 + 1
    have = [name for name in validators if tx.signed_by(name, Purpose.GOVERN)]
    if not have:
        raise Refused(Reason.NOT_PERMITTED, "no governing key of the electorate has signed", need=needed)
    if len(have) < needed:
        detail = f"{len(have)} of {needed} votes of the electorate"
        raise Refused(Reason.NEEDS_APPROVAL, detail, have=len(have), need=needed)


def check_registry(tx: Context, registry: str, also: Sequence[str] = ()) -> None:
    """The registry itself has signed, or one of the participants in `also`."""
    for name in (registry, *also):
        if tx.signed_by(name, Purpose.ATTEST) or tx.signed_by(name, Purpose.APPROVE):
            return
    allowed = ", ".join((registry, *also))
    raise Refused(Reason.NOT_PERMITTED, f"{registry} has not signed, nor anyone it allows", allowed=allowed)


def check_attestors(tx: Context, policy: RegistryPolicy, grade: str, parties: Sequence[str], wanted: str) -> None:
    """Enough attestors who are no party have signed, on evidence of at least the grade `wanted`.

    A buyer or beneficiary cannot attest for the registry (units and rules §4).
    """
    if not grade or grade not in GRADES:
        raise Refused(Reason.MISSING_FIELD, "the evidence has no grade A, B, C or D", field="evidence.grade")
    signed = [name for name in policy.attestors if tx.signed_by(name, Purpose.ATTEST)]
    neutral = [name for name in signed if name not in parties]
    if not neutral and (signed or any(tx.signed_by(p, Purpose.ATTEST | Purpose.APPROVE) for p in parties if p)):
        raise Refused(Reason.ATTESTOR_IS_PARTY, "the only one who attests is a party to it", parties=", ".join(parties))
    needed = max(1, policy.attestors_needed)
    if not neutral:
        raise Refused(Reason.NOT_PERMITTED, "no attestor of the registry has signed", attestors=policy.attestors)
    if len(neutral) < needed:
        detail = f"{len(neutral)} of {needed} attestors"
        raise Refused(Reason.NEEDS_APPROVAL, detail, have=len(neutral), need=needed)
    if GRADES.index(grade) > GRADES.index(wanted or "D"):
        detail = f"evidence of grade {grade}; the registry's policy asks for {wanted}"
        raise Refused(Reason.GRADE_TOO_WEAK, detail, grade=grade, wanted=wanted)
