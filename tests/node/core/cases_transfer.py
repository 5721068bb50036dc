"""Tables for transfers and cash, in the order of their checks."""

from typing import Any

from keeling.reasons import Reason as R
from keeling.v1 import operations_pb2 as op
from tests.node.core.cases_marks import restrict
from tests.node.core.sample import DAY_MS, MANDATE, Case, cash, give, hold, leg, some

MANY = [("nat", 2 * n, 1) for n in range(5001)]


def swap(units: int, amount: int, currency: str = "INR@bank") -> op.Transfer:
    return op.Transfer(units=[leg("A", "B", some(units, batch="nat"))], cash=[cash("B", "A", amount, currency)])


def sale(units: int, amount: int, **fields: Any) -> op.Transfer:
    fields = {"programme": "NAT", **fields}
    to = str(fields.pop("paid_to", "A"))
    named = fields.pop("ranges", ())
    selection = some(0, *named) if named else some(units, **fields)
    return op.Transfer(units=[leg("A", "B", selection)], cash=[cash("B", to, amount)], mandate="m")


def exchange(units: int) -> op.Transfer:
    made = give("A", "B", units, batch="ccc")
    made.settlement_reference = "session 1"
    return made


def split(units: int) -> op.Transfer:
    """Two legs, each below the limit of EYES, together at it."""
    return op.Transfer(units=[leg("EYES", "B", some(units)), leg("EYES", "M", some(units))])


GRANTED = (("alice", MANDATE),)
FREEZE = (("reg", restrict(("nat", 500, 1))),)
HELD = (("alice", hold("A", some(0, ("nat", 0, 10)))),)
RETIRED = (("alice", op.Retire(account="A", selection=some(0, ("nat", 0, 10)))),)
BUFFERED = (("reg", op.Buffer(action=op.Buffer.DEPOSIT, account="A", selection=some(0, ("nat", 0, 10)))),)
SUSPENDED = (("hub", op.LinkState(account="L1", state=op.LinkState.SUSPENDED, reason="errors")),)
INSTRUCTED = (
    ("alice", hold("L1", some(0, ("vcs", 1, 10)))),
    ("hub", op.Dispatch(hold=b"hold-number-one!", attempt=1, instruction=bytes(32))),
)

TRANSFER = [
    Case("no legs", R.MISSING_FIELD, "alice", op.Transfer()),
    Case("501 legs", R.BAD_FIELD, "alice", op.Transfer(units=[leg("A", "B", some(1))] * 501)),
    Case("to itself", R.ACCOUNTS_MUST_DIFFER, "alice", give("A", "A", 1)),
    Case("nothing selected", R.UNITS_MUST_BE_POSITIVE, "alice", op.Transfer(units=[leg("A", "B")])),
    Case("zero units", R.UNITS_MUST_BE_POSITIVE, "alice", give("A", "B", 0)),
    Case("units and ranges", R.BAD_FIELD, "alice", give("A", "B", 1, ("nat", 1, 1))),
    Case("ranges and programme", R.BAD_FIELD, "alice", give("A", "B", 0, ("nat", 1, 1), programme="KG")),
    Case("units beyond 2^63", R.BAD_FIELD, "alice", give("A", "B", 2**64 - 1)),
    Case("strategy 9", R.BAD_FIELD, "alice", give("A", "B", 1, strategy=9)),
    Case("registry chooses", R.MISSING_FIELD, "alice", give("A", "B", 1, strategy=op.Selection.REGISTRY)),
    Case("5,001 ranges", R.TOO_MANY_RANGES, "alice", give("A", "B", 0, *MANY)),
    Case("empty range", R.UNITS_MUST_BE_POSITIVE, "alice", give("A", "B", 0, ("nat", 1, 0))),
    Case("the last position there is", R.BAD_FIELD, "alice", give("A", "B", 0, ("nat", 2**64 - 1, 1))),
    Case("twice", R.RANGES_OVERLAP, "alice", give("A", "B", 0, ("nat", 1, 2), ("nat", 2, 1))),
    Case("cash to itself", R.ACCOUNTS_MUST_DIFFER, "bob", op.Transfer(cash=[cash("B", "B", 1)])),
    Case("no cash", R.AMOUNT_MUST_BE_POSITIVE, "bob", op.Transfer(cash=[cash("B", "A", 0)])),
    Case("too much cash", R.AMOUNT_MUST_BE_POSITIVE, "bob", op.Transfer(cash=[cash("B", "A", 2**63)])),
    Case("rupees of nobody", R.BAD_FIELD, "bob", op.Transfer(cash=[cash("B", "A", 1, "INR")])),
    Case("effective once", R.MISSING_FIELD, "alice", op.Transfer(cash=[cash("B", "A", 1)], effective=op.When(ms=1))),
    Case("unknown giver", R.ACCOUNT_NOT_FOUND, "alice", give("Z", "B", 1)),
    Case("unknown taker", R.ACCOUNT_NOT_FOUND, "alice", give("A", "Z", 1)),
    Case("closed taker", R.ACCOUNT_CLOSED, "alice", give("A", "CLOSED", 1)),
    Case("to nobody's account", R.NOT_PERMITTED, "alice", give("A", "unassigned@verra", 1)),
    Case("unknown currency", R.CURRENCY_MISMATCH, "alice", swap(1, 1, "USD@bank"), ("bob",)),
    Case("not the owner", R.NOT_PERMITTED, "bob", give("A", "B", 1)),
    Case("the clerk may not approve", R.NOT_PERMITTED, "alice/clerk", give("A", "B", 1)),
    Case("one of two", R.NEEDS_APPROVAL, "alice", give("EYES", "B", 100)),
    Case("two legs, one of two", R.NEEDS_APPROVAL, "alice", split(50)),
    Case("twice the same person", R.SAME_PERSON, "alice", give("EYES", "B", 100), ("alice/second",)),
    Case("twice the same key", R.SAME_PERSON, "alice", give("EYES", "B", 100), ("alice",)),
    Case("the payer has not signed", R.NOT_PERMITTED, "alice", swap(1, 1)),
    Case("incoming unapproved", R.INCOMING_NOT_APPROVED, "alice", give("A", "INCOMING", 1, batch="nat")),
    Case("unknown batch", R.BATCH_NOT_FOUND, "alice", give("A", "B", 0, ("zzz", 1, 1))),
    Case("another's units", R.UNITS_NOT_OWNED, "alice", give("A", "B", 0, ("eyes", 990, 10))),
    Case("held units", R.UNITS_HELD, "alice", give("A", "B", 0, ("nat", 5, 10)), (), HELD),
    Case("instructed units", R.UNITS_INSTRUCTED, "alice", give("L1", "L3", 0, ("vcs", 5, 10)), (), INSTRUCTED),
    Case("retired units", R.UNITS_ENDED, "alice", give("A", "B", 0, ("nat", 5, 10)), (), RETIRED),
    Case("buffer units", R.UNITS_NOT_FREE, "alice", give("A", "B", 0, ("nat", 5, 10)), (), BUFFERED),
    Case("beyond the batch", R.UNITS_UNSEEN, "alice", give("A", "B", 0, ("nat", 999, 2))),
    Case("frozen units", R.UNITS_RESTRICTED, "alice", give("A", "B", 0, ("nat", 400, 200)), (), FREEZE),
    Case("frozen units are not chosen", R.INSUFFICIENT_UNITS, "alice", give("A", "B", 1000, batch="nat"), (), FREEZE),
    Case("what is not frozen of their lot is", None, "alice", give("A", "B", 999, batch="nat"), (), FREEZE),
    Case("more than there are", R.INSUFFICIENT_UNITS, "alice", give("A", "B", 1001, batch="nat")),
    Case("two grains", R.MIXED_GRAINS, "alice", give("A", "B", 0, ("nat", 1, 1), ("kg", 1, 1))),
    Case("mirrored to the unlinked", R.NO_LINK, "alice", give("L1", "B", 1, batch="vcs")),
    Case("between links", R.NEEDS_REGISTRY_CONFIRMATION, "alice", give("L1", "L2", 1, batch="vcs")),
    Case("suspended link", R.LINK_SUSPENDED, "alice", give("L1", "L3", 1, batch="vcs"), (), SUSPENDED),
    Case("exchange only", R.EXCHANGE_ONLY, "alice", give("A", "B", 1, batch="ccc")),
    Case("a reference alone", R.EXCHANGE_ONLY, "alice", exchange(1)),
    Case("registry only", R.REGISTRY_ONLY, "alice", give("A", "B", 1, batch="at-registry")),
    Case("never", R.NOT_TRANSFERABLE, "alice", give("A", "B", 1, batch="fixed")),
    Case("within no link", R.NOT_TRANSFERABLE, "alice", give("A", "B", 1, batch="linked")),
    Case("short by 0.01", R.INSUFFICIENT_CASH, "alice", swap(1000, 85_000_000), ("bob",)),
    Case("two people, two legs", None, "alice", split(50), ("alice/ravi",)),
    Case("below the limit", None, "alice", give("EYES", "B", 99)),
    Case("incoming approved", None, "alice", give("A", "INCOMING", 1, batch="nat"), ("bob",)),
    Case("inside one link", None, "alice", give("L1", "L3", 1, batch="vcs")),
    Case("through the exchange", None, "alice", exchange(1), ("ex",)),
    Case("oldest first", None, "alice", give("A", "B", 5, batch="nat", strategy=op.Selection.OLDEST_ACQUIRED)),
    Case("lowest first", None, "alice", give("A", "B", 5, batch="nat", strategy=op.Selection.LOWEST)),
    Case("delivery against payment", None, "alice", swap(1000, 84_999_999), ("bob",)),
]

UNDER_MANDATE = [
    Case("no such mandate", R.MANDATE_NOT_FOUND, "ex", sale(1, 100), ("bob",)),
    Case("by another", R.NOT_PERMITTED, "mallory", sale(1, 100), ("bob",), GRANTED),
    Case("ended", R.OUTSIDE_MANDATE, "ex", sale(1, 100), ("bob",), GRANTED, later_ms=DAY_MS),
    Case("another programme", R.OUTSIDE_MANDATE, "ex", sale(1, 100, programme="KG"), ("bob",), GRANTED),
    Case("any programme", R.OUTSIDE_MANDATE, "ex", sale(1, 100, programme=""), ("bob",), GRANTED),
    Case(
        "another programme behind the first",
        R.OUTSIDE_MANDATE,
        "ex",
        sale(0, 100, ranges=[("nat", 1, 1), ("kg", 1, 1)]),
        ("bob",),
        GRANTED,
    ),
    Case("more than each", R.OUTSIDE_MANDATE, "ex", sale(51, 5100), ("bob",), GRANTED),
    Case(
        "more than in all",
        R.OUTSIDE_MANDATE,
        "ex",
        sale(50, 5000),
        ("bob", "ex"),
        (*GRANTED, ("ex", sale(40, 4000), ("bob",))),
    ),
    Case("too cheap", R.OUTSIDE_PRICE_BAND, "ex", sale(10, 999), ("bob",), GRANTED),
    Case("too dear", R.OUTSIDE_PRICE_BAND, "ex", sale(10, 2001), ("bob",), GRANTED),
    Case("paid to another", R.OUTSIDE_PRICE_BAND, "ex", sale(10, 1000, paid_to="M"), ("bob",), GRANTED),
    Case("paid into the owner's other account", None, "ex", sale(10, 1000, paid_to="A-OTHER"), ("bob",), GRANTED),
    Case("one batch of it", None, "ex", sale(10, 1000, programme="", batch="nat"), ("bob",), GRANTED),
    Case("within", None, "ex", sale(50, 10_000), ("bob",), GRANTED),
]


def issued(**fields: Any) -> op.IssueCash:
    body = {"account": "B", "currency": "INR@bank", "amount": 1, "scale": 2}
    return op.IssueCash(**{**body, **fields})


def redeemed(**fields: Any) -> op.RedeemCash:
    return op.RedeemCash(**{"account": "B", "currency": "INR@bank", "amount": 1, **fields})


ISSUE_CASH = [
    Case("nothing", R.AMOUNT_MUST_BE_POSITIVE, "bank", issued(amount=0)),
    Case("of nobody", R.BAD_FIELD, "bank", issued(currency="INR@")),
    Case("ten digits", R.BAD_FIELD, "bank", issued(scale=10)),
    Case("unknown account", R.ACCOUNT_NOT_FOUND, "bank", issued(account="Z")),
    Case("unknown bank", R.PARTICIPANT_NOT_FOUND, "bank", issued(currency="INR@nobody")),
    Case("no bank", R.NOT_PERMITTED, "alice", issued(currency="INR@alice")),
    Case("other scale", R.CURRENCY_MISMATCH, "bank", issued(scale=3)),
    Case("not the bank", R.NOT_PERMITTED, "alice", issued()),
    Case("more than fits", R.AMOUNT_OVERFLOWS, "bank", issued(amount=2**63 - 1)),
    Case("issued", None, "bank", issued()),
]

REDEEM_CASH = [
    Case("nothing", R.AMOUNT_MUST_BE_POSITIVE, "bob", redeemed(amount=0), ("bank",)),
    Case("unknown account", R.ACCOUNT_NOT_FOUND, "bob", redeemed(account="Z"), ("bank",)),
    Case("unknown currency", R.CURRENCY_MISMATCH, "bob", redeemed(currency="USD@bank"), ("bank",)),
    Case("not the owner", R.NOT_PERMITTED, "bank", redeemed()),
    Case("not the bank", R.NOT_PERMITTED, "bob", redeemed()),
    Case("more than there is", R.INSUFFICIENT_CASH, "bob", redeemed(amount=85_000_000), ("bank",)),
    Case("redeemed", None, "bob", redeemed(), ("bank",)),
]

CASES = {"Transfer": TRANSFER, "mandate": UNDER_MANDATE, "IssueCash": ISSUE_CASH, "RedeemCash": REDEEM_CASH}
