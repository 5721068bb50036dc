"""Tables for accounts, policies, links and mandates, in the order of their checks."""

from typing import Any

from keeling.reasons import Reason as R
from keeling.v1 import operations_pb2 as op
from tests.node.core.sample import FOUR_EYES, MANDATE, Case, evidence, hold, ranges, seen, some

TWO = op.AccountPolicy(rules=[op.ApprovalRule(approvals=2)])


def rules(**fields: Any) -> op.AccountPolicy:
    return op.AccountPolicy(rules=[op.ApprovalRule(**fields)])


def opened(**fields: Any) -> op.OpenAccount:
    return op.OpenAccount(**{"account": "NEW", "owner": "alice", **fields})


OPEN = [
    Case("bad name", R.BAD_FIELD, "alice", opened(account="")),
    Case("reserved name", R.BAD_FIELD, "alice", opened(account="unassigned@x")),
    Case("approver of 3 bytes", R.BAD_FIELD, "alice", opened(policy=op.AccountPolicy(approvers=[b"key"]))),
    Case("delay of ages", R.BAD_FIELD, "alice", opened(policy=op.AccountPolicy(delay_ms=2**64 - 1))),
    Case("operation 65536", R.BAD_FIELD, "alice", opened(policy=rules(operations=[65_536], approvals=1))),
    Case("no approvals", R.BAD_FIELD, "alice", opened(policy=rules(approvals=0))),
    Case("17 approvals", R.BAD_FIELD, "alice", opened(policy=rules(approvals=17))),
    Case("unknown owner", R.PARTICIPANT_NOT_FOUND, "alice", opened(owner="nobody")),
    Case("name taken", R.ACCOUNT_EXISTS, "alice", opened(account="A")),
    Case("parent unknown", R.ACCOUNT_NOT_FOUND, "alice", opened(parent="Z")),
    Case("parent closed", R.ACCOUNT_CLOSED, "alice", opened(parent="CLOSED")),
    Case("parent of another", R.NOT_PERMITTED, "alice", opened(parent="B")),
    Case("for another", R.NOT_PERMITTED, "bob", opened()),
    Case("locks out", R.POLICY_LOCKS_OUT, "bob", opened(owner="bob", policy=TWO)),
    Case("opened below A", None, "alice", opened(parent="A", policy=FOUR_EYES)),
]

POLICY = [
    Case("no policy", R.MISSING_FIELD, "alice", op.SetAccountPolicy(account="A")),
    Case("unknown", R.ACCOUNT_NOT_FOUND, "alice", op.SetAccountPolicy(account="Z", policy=TWO)),
    Case("not the owner", R.NOT_PERMITTED, "bob", op.SetAccountPolicy(account="A", policy=TWO)),
    Case("as many as the strictest rule", R.NEEDS_APPROVAL, "alice", op.SetAccountPolicy(account="EYES", policy=TWO)),
    Case("locks out", R.POLICY_LOCKS_OUT, "bob", op.SetAccountPolicy(account="B", policy=TWO)),
    Case("set", None, "alice", op.SetAccountPolicy(account="EYES", policy=TWO), ("alice/ravi",)),
]

CLOSE = [
    Case("unknown", R.ACCOUNT_NOT_FOUND, "alice", op.CloseAccount(account="Z")),
    Case("closed", R.ACCOUNT_CLOSED, "alice", op.CloseAccount(account="CLOSED")),
    Case("nobody's", R.NOT_PERMITTED, "alice", op.CloseAccount(account="unassigned@verra")),
    Case("not the owner", R.NOT_PERMITTED, "bob", op.CloseAccount(account="A-OTHER")),
    Case("has units", R.ACCOUNT_NOT_EMPTY, "alice", op.CloseAccount(account="A")),
    Case("has cash", R.ACCOUNT_NOT_EMPTY, "bob", op.CloseAccount(account="B")),
    Case("closed now", None, "alice", op.CloseAccount(account="A-OTHER")),
]


def link(**fields: Any) -> op.Link:
    body = {"account": "M", "registry": "verra", "registry_account": "ACC-9", "hub": "hub", "control": op.Link.OWNER}
    return op.Link(**{**body, **fields})


def claim(*items: tuple[str, int, int], **fields: Any) -> op.Link:
    return link(claims=ranges(*items), evidence=evidence(), **fields)


FREEZE = op.Restrict(restriction="f", reason="r", ranges=ranges(("partly", 50, 1)))

CLAIMED = (("mallory", claim(("partly", 1, 1)), ("importer",)),)
GONE = (
    (
        "importer",
        op.ExtendBatch(
            batch="partly", evidence=evidence("C"), observations=[seen(1, 1, op.Observation.ENDED)], run="r"
        ),
    ),
)
SECOND = claim(("vcs", 1, 10))
WEAK = link(claims=ranges(("vcs", 1, 10)), evidence=evidence("C"))
CONTESTED = (("mallory", SECOND, ("importer",)),)
HELD = (("alice", hold("L1", some(0, ("vcs", 5, 1)))), *CONTESTED)

LINK = [
    Case("no account there", R.MISSING_FIELD, "mallory", link(registry_account="")),
    Case("no control", R.MISSING_FIELD, "mallory", link(control=0)),
    Case("control 256", R.MISSING_FIELD, "mallory", link(control=256)),
    Case("empty claim", R.UNITS_MUST_BE_POSITIVE, "mallory", claim(("partly", 0, 0))),
    Case("claimed twice", R.RANGES_OVERLAP, "mallory", claim(("partly", 0, 2), ("partly", 1, 1))),
    Case("claimed at the end of numbers", R.BAD_FIELD, "mallory", claim(("partly", 2**64 - 1, 1))),
    Case("claim unproved", R.MISSING_FIELD, "mallory", link(claims=ranges(("partly", 1, 1)))),
    Case("unknown account", R.ACCOUNT_NOT_FOUND, "mallory", link(account="Z")),
    Case("unknown registry", R.REGISTRY_NOT_FOUND, "mallory", link(registry="gs")),
    Case("unknown hub", R.PARTICIPANT_NOT_FOUND, "mallory", link(hub="nobody")),
    Case("unknown batch", R.BATCH_NOT_FOUND, "mallory", claim(("zzz", 1, 1))),
    Case("not the owner", R.NOT_PERMITTED, "bob", link()),
    Case("claim without the registry", R.NOT_PERMITTED, "mallory", claim(("partly", 1, 1))),
    Case("linked elsewhere", R.LINK_EXISTS, "alice", link(account="L1")),
    Case("claimed twice by one", R.CLAIM_CONTESTED, "mallory", claim(("partly", 1, 1)), ("importer",), CLAIMED),
    Case("claimed though ended", R.CLAIM_CONTESTED, "mallory", claim(("partly", 1, 1)), ("importer",), GONE),
    Case("claimed unseen", R.UNITS_UNSEEN, "mallory", claim(("partly", 100, 2)), ("importer",)),
    Case("claimed frozen", R.UNITS_RESTRICTED, "mallory", claim(("partly", 1, 99)), ("verra",), (("verra", FREEZE),)),
    Case("decided by the claimant", R.ATTESTOR_IS_PARTY, "mallory", SECOND, ("importer",), CONTESTED),
    Case("decided by the other claimant", R.ATTESTOR_IS_PARTY, "mallory", SECOND, ("importer", "alice"), CONTESTED),
    Case("decided on a public page", R.GRADE_TOO_WEAK, "mallory", WEAK, ("verra",), CONTESTED),
    Case("decided while held", R.CLAIM_CONTESTED, "mallory", SECOND, ("verra",), HELD),
    Case("claimed by a second", None, "mallory", SECOND, ("importer",)),
    Case("decided for the second", None, "mallory", SECOND, ("verra",), CONTESTED),
    Case("linked", None, "mallory", link()),
    Case("claimed", None, "mallory", claim(("partly", 901, 10), ("partly", 1, 100)), ("importer",)),
]


def mandate(**fields: Any) -> op.GrantMandate:
    made = op.GrantMandate()
    made.CopyFrom(MANDATE)
    for name, value in fields.items():
        if isinstance(value, list):
            del getattr(made, name)[:]
            getattr(made, name).extend(value)
        else:
            setattr(made, name, value)
    return made


GRANT = [
    Case("bad name", R.BAD_FIELD, "alice", mandate(mandate="")),
    Case("to retire", R.BAD_FIELD, "alice", mandate(operations=[50])),
    Case("no limit", R.MISSING_FIELD, "alice", mandate(units_total=0)),
    Case("for ever", R.BAD_FIELD, "alice", mandate(until_ms=2**63 - 1)),
    Case("price of what", R.MISSING_FIELD, "alice", mandate(currency="")),
    Case("unknown account", R.ACCOUNT_NOT_FOUND, "alice", mandate(account="Z")),
    Case("unknown grantee", R.PARTICIPANT_NOT_FOUND, "alice", mandate(grantee="nobody")),
    Case("twice", R.MANDATE_EXISTS, "alice", mandate(), before=(("alice", MANDATE),)),
    Case("not the owner", R.NOT_PERMITTED, "bob", mandate()),
    Case("for more than one may move", R.NEEDS_APPROVAL, "alice", mandate(account="EYES", units_total=100)),
    Case("granted", None, "alice", mandate()),
]

REVOKE = [
    Case("unknown account", R.ACCOUNT_NOT_FOUND, "alice", op.RevokeMandate(account="Z", mandate="m")),
    Case("unknown mandate", R.MANDATE_NOT_FOUND, "alice", op.RevokeMandate(account="A", mandate="m")),
    Case("not the owner", R.NOT_PERMITTED, "ex", op.RevokeMandate(account="A", mandate="m"), (), (("alice", MANDATE),)),
    Case(
        "used after",
        R.MANDATE_NOT_FOUND,
        "ex",
        hold("A", some(1, programme="NAT"), mandate="m"),
        (),
        (("alice", MANDATE), ("alice", op.RevokeMandate(account="A", mandate="m"))),
    ),
    Case("revoked", None, "alice", op.RevokeMandate(account="A", mandate="m"), (), (("alice", MANDATE),)),
]

CASES = {
    "OpenAccount": OPEN,
    "SetAccountPolicy": POLICY,
    "CloseAccount": CLOSE,
    "Link": LINK,
    "GrantMandate": GRANT,
    "RevokeMandate": REVOKE,
}
