"""Tables for holds, dispatches, captures and releases, in the order of their checks."""

from typing import Any

from keeling.reasons import Reason as R
from keeling.v1 import operations_pb2 as op
from tests.fakes.world import START_MS
from tests.node.core.cases_marks import restrict
from tests.node.core.cases_transfer import SUSPENDED
from tests.node.core.sample import DAY_MS, HOLD, MANDATE, Case, evidence, hold, issue, ranges, some, when

TRANSFER = op.Hold.FOR_TRANSFER
MANY = [("vcs", 2 * n, 1) for n in range(5001)]
NATIVE = ("alice", hold("A", some(0, ("nat", 0, 10))))
MIRRORED = ("alice", hold("L1", some(0, ("vcs", 1, 100)), buyer="bob"))
DISPATCH = ("hub", op.Dispatch(hold=HOLD, attempt=1, instruction=bytes(32)))
SENT = (MIRRORED, DISPATCH)


def native(purpose: int = op.Hold.FOR_RETIREMENT, **fields: Any) -> op.Hold:
    return hold("A", some(10, batch="nat"), purpose, **fields)


HOLDS = [
    Case("id of 5 bytes", R.BAD_FIELD, "alice", native(hold=b"short")),
    Case("id of zeros", R.BAD_FIELD, "alice", native(hold=bytes(16))),
    Case("nothing", R.UNITS_MUST_BE_POSITIVE, "alice", hold("A", some(0))),
    Case("no purpose", R.MISSING_FIELD, "alice", native(0)),
    Case("purpose 77", R.MISSING_FIELD, "alice", native(77)),
    Case("no expiry", R.MISSING_FIELD, "alice", native(expires_ms=0)),
    Case("expiry in year 10000", R.BAD_FIELD, "alice", native(expires_ms=2**62)),
    Case("no taker", R.MISSING_FIELD, "alice", native(TRANSFER)),
    Case("a taker of a retirement", R.BAD_FIELD, "alice", native(to_account="B")),
    Case("to itself", R.ACCOUNTS_MUST_DIFFER, "alice", native(TRANSFER, to_account="A")),
    Case("used for nothing", R.MISSING_FIELD, "alice", native(op.Hold.FOR_USE)),
    Case("beneficiary in clear", R.BAD_FIELD, "alice", native(beneficiary=b"Asha")),
    Case("unknown account", R.ACCOUNT_NOT_FOUND, "alice", hold("Z", some(1))),
    Case("known hold", R.HOLD_EXISTS, "bob", native(), (), (NATIVE,)),
    Case("unknown taker", R.ACCOUNT_NOT_FOUND, "alice", native(TRANSFER, to_account="Z")),
    Case("unknown buyer", R.PARTICIPANT_NOT_FOUND, "alice", native(buyer="nobody")),
    Case("unknown batch", R.BATCH_NOT_FOUND, "alice", hold("A", some(0, ("zzz", 0, 1)))),
    Case("no mandate", R.MANDATE_NOT_FOUND, "ex", native(mandate="m")),
    Case(
        "outside the mandate",
        R.OUTSIDE_MANDATE,
        "ex",
        hold("A", some(51, batch="nat"), mandate="m"),
        (),
        (("alice", MANDATE),),
    ),
    Case("not the owner", R.NOT_PERMITTED, "bob", native()),
    Case("one of two", R.NEEDS_APPROVAL, "alice", hold("EYES", some(100))),
    Case("incoming unapproved", R.INCOMING_NOT_APPROVED, "alice", native(TRANSFER, to_account="INCOMING")),
    Case("expired before it began", R.HOLD_EXPIRED, "alice", native(expires_ms=START_MS)),
    Case("held by another", R.UNITS_HELD, "alice", hold("A", some(0, ("nat", 9, 1)), hold=b"2" * 16), (), (NATIVE,)),
    Case("more than there are", R.INSUFFICIENT_UNITS, "alice", hold("A", some(1001, batch="nat"))),
    Case(
        "of two registries",
        R.BAD_FIELD,
        "alice",
        hold("L1", some(0, ("vcs", 1, 1), ("eyes", 0, 1))),
        (),
        (("alice", op.Transfer(units=[op.UnitLeg(from_account="EYES", to_account="L1", selection=some(1))])),),
    ),
    Case("link stopped", R.LINK_SUSPENDED, "alice", MIRRORED[1], (), SUSPENDED),
    Case("to an unlinked taker", R.NO_LINK, "alice", hold("L1", some(1, batch="vcs"), TRANSFER, to_account="B")),
    Case("not retirable", R.NOT_RETIRABLE, "alice", hold("A", some(1, batch="ex-ante"))),
    Case(
        "never transferable",
        R.NOT_TRANSFERABLE,
        "alice",
        hold("L1", some(1, batch="vcs-fixed"), TRANSFER, to_account="L2"),
    ),
    Case("exchange only", R.EXCHANGE_ONLY, "alice", hold("A", some(1, batch="ccc"), TRANSFER, to_account="B")),
    Case("between links", None, "alice", hold("L1", some(1, batch="vcs"), TRANSFER, to_account="L2")),
    Case("under a mandate", None, "ex", native(mandate="m"), (), (("alice", MANDATE),)),
    Case("held", None, "alice", native()),
]


def dispatch(attempt: int = 1, **fields: Any) -> op.Dispatch:
    return op.Dispatch(**{"hold": HOLD, "attempt": attempt, "instruction": bytes(32), **fields})


FREEZE = ("verra", restrict(("vcs", 50, 1)))
LOOKED_UP = dispatch(2, lookup=b"\x07" * 32)

DISPATCHES = [
    Case("id of zeros", R.BAD_FIELD, "hub", dispatch(hold=bytes(16))),
    Case("attempt 0", R.MISSING_FIELD, "hub", dispatch(0)),
    Case("instruction in clear", R.BAD_FIELD, "hub", dispatch(instruction=b"send")),
    Case("again without looking", R.MISSING_FIELD, "hub", dispatch(2)),
    Case("unknown hold", R.HOLD_NOT_FOUND, "hub", dispatch()),
    Case("native", R.BAD_FIELD, "hub", dispatch(), (), (NATIVE,)),
    Case("not the hub", R.NOT_PERMITTED, "alice", dispatch(), (), (MIRRORED,)),
    Case("released before", R.HOLD_ENDED, "hub", dispatch(), (), (MIRRORED, ("alice", op.Release(hold=HOLD)))),
    Case("expired before", R.HOLD_ENDED, "hub", dispatch(), (), (MIRRORED,), later_ms=3 * DAY_MS),
    Case("taken", R.ATTEMPT_TAKEN, "hub", dispatch(), (), SENT),
    Case("skipping one", R.BAD_FIELD, "hub", dispatch(3, lookup=bytes(32)), (), SENT),
    Case("before it settled", R.NOT_SETTLED_YET, "hub", LOOKED_UP, (), SENT),
    Case("link stopped", R.LINK_SUSPENDED, "hub", dispatch(), (), (MIRRORED, *SUSPENDED)),
    Case("frozen since", R.UNITS_RESTRICTED, "hub", dispatch(), (), (MIRRORED, FREEZE)),
    Case("again after settling", None, "hub", LOOKED_UP, (), SENT, later_ms=60_000),
    Case("dispatched", None, "hub", dispatch(), (), (MIRRORED,)),
]


def capture(*items: tuple[str, int, int], **fields: Any) -> op.Capture:
    return op.Capture(**{"hold": HOLD, "ranges": ranges(*items), "evidence": evidence(), **fields})


TWO_ATTESTORS = op.SetRecord(
    id="registry:verra",
    version=2,
    source="test",
    registry=op.RegistryPolicy(attestors=["verra", "importer"], capture_grade="B", attestors_needed=2),
)
FREE_ELSEWHERE = ("vcs", 5000, 100)
OTHER = b"2" * 16
OTHER_HELD = ("alice", hold("L1", some(0, ("vcs", 101, 100)), hold=OTHER))
MORE = ("verra", issue("more", "VCS", 100, "L1"))
MORE_HELD = (MORE, *SENT, ("alice", hold("L1", some(0, ("more", 1, 10)), hold=OTHER)))
MORE_SENT = (
    MORE,
    ("alice", hold("L1", some(0, ("vcs", 1, 100), ("more", 11, 10)), buyer="bob")),
    DISPATCH,
    ("alice", hold("L1", some(0, ("more", 1, 10), ("more", 21, 10)), hold=OTHER)),
)
TWO_NATIVE = (NATIVE, ("alice", hold("A", some(0, ("nat", 10, 10)), hold=OTHER)))
TO_CLOSED = (
    ("alice", native(TRANSFER, to_account="A-OTHER")),
    ("alice", op.CloseAccount(account="A-OTHER")),
)

CAPTURES = [
    Case("id of zeros", R.BAD_FIELD, "verra", capture(hold=bytes(16))),
    Case("5,001 ranges", R.TOO_MANY_RANGES, "verra", capture(*MANY)),
    Case("empty range", R.UNITS_MUST_BE_POSITIVE, "verra", capture(("vcs", 1, 0))),
    Case("effective once", R.MISSING_FIELD, "verra", capture(effective=op.When(ms=1))),
    Case("unknown hold", R.HOLD_NOT_FOUND, "verra", capture()),
    Case("unknown batch", R.BATCH_NOT_FOUND, "verra", capture(("zzz", 1, 1)), (), SENT),
    Case("no reference", R.MISSING_FIELD, "verra", capture(evidence=evidence(reference="")), (), SENT),
    Case("no grade", R.MISSING_FIELD, "verra", capture(evidence=evidence(grade="")), (), SENT),
    Case("the owner attests", R.ATTESTOR_IS_PARTY, "alice", capture(), (), SENT),
    Case("the buyer attests", R.ATTESTOR_IS_PARTY, "bob", capture(), (), SENT),
    Case("nobody attests", R.NOT_PERMITTED, "mallory", capture(), (), SENT),
    Case("one of two", R.NEEDS_APPROVAL, "verra", capture(), (), (*SENT, ("reg", TWO_ATTESTORS))),
    Case("a public page", R.GRADE_TOO_WEAK, "verra", capture(evidence=evidence("C")), (), SENT),
    Case("native by another", R.NOT_PERMITTED, "bob", capture(), (), (NATIVE,)),
    Case("captured before", R.HOLD_ENDED, "verra", capture(), (), (*SENT, ("verra", capture()))),
    Case("native, past its time", R.HOLD_ENDED, "alice", capture(), (), (NATIVE,), later_ms=3 * DAY_MS),
    Case("taker closed since", R.ACCOUNT_CLOSED, "alice", capture(), (), TO_CLOSED),
    Case("not dispatched", R.HOLD_NOT_INSTRUCTED, "verra", capture(), (), (MIRRORED,)),
    Case("more than held", R.CAPTURE_EXCEEDS_HOLD, "verra", capture(("vcs", 1, 101)), (), SENT),
    Case("of another project", R.DISCREPANCY, "verra", capture(("vcs-fixed", 1, 1)), (), SENT),
    Case("in another account", R.DISCREPANCY, "verra", capture(("partly", 1, 1)), (), SENT),
    Case("reserved, none of that batch to give", R.DISCREPANCY, "verra", capture(("more", 1, 10)), (), MORE_HELD),
    Case("reserved, too few to give", R.DISCREPANCY, "verra", capture(("more", 1, 10), ("more", 21, 1)), (), MORE_SENT),
    Case("native, reserved by another", R.DISCREPANCY, "alice", capture(("nat", 10, 1)), (), TWO_NATIVE),
    Case("never seen", R.UNITS_UNSEEN, "verra", capture(("partly", 500, 1)), (), SENT),
    Case("frozen", R.UNITS_RESTRICTED, "verra", capture(), (), (*SENT, FREEZE)),
    Case("on other serials", None, "verra", capture(FREE_ELSEWHERE), (), SENT),
    Case("on units another hold reserves", None, "verra", capture(("vcs", 101, 100)), (), (*SENT, OTHER_HELD)),
    Case("on some of each", None, "verra", capture(("vcs", 91, 60)), (), SENT),
    Case("by two", None, "verra", capture(), ("importer",), (*SENT, ("reg", TWO_ATTESTORS))),
    Case("native by its holder", None, "alice", capture(evidence=None), (), (NATIVE,)),
    Case("captured", None, "verra", capture(effective=when()), (), SENT),
]


def release(units: int = 0, **fields: Any) -> op.Release:
    return op.Release(units=units, **{"hold": HOLD, **fields})


HUB_ATTESTS = op.SetRecord(
    id="registry:verra",
    version=2,
    source="test",
    registry=op.RegistryPolicy(attestors=["verra", "hub"], capture_grade="B"),
)
SENT_BY_ATTESTOR = (*SENT, ("reg", HUB_ATTESTS))
PROVED: dict[str, Any] = {"evidence": evidence("D"), "reason": "the registry never had it"}

RELEASES = [
    Case("id of zeros", R.BAD_FIELD, "alice", release(hold=bytes(16))),
    Case("reason of 257", R.BAD_FIELD, "alice", release(reason="x" * 257)),
    Case("unknown hold", R.HOLD_NOT_FOUND, "alice", release()),
    Case("by another", R.NOT_PERMITTED, "bob", release(), (), (NATIVE,)),
    Case("instructed", R.HOLD_INSTRUCTED, "alice", release(), (), SENT),
    Case("instructed, by a stranger", R.NOT_PERMITTED, "mallory", release(**PROVED), (), SENT),
    Case("instructed, lone operator", R.NEEDS_TWO_OPERATORS, "hub", release(**PROVED), (), SENT),
    Case("instructed, weak word", R.GRADE_TOO_WEAK, "verra", release(**PROVED), (), SENT),
    Case("instructed, lone attestor", R.NEEDS_TWO_OPERATORS, "hub", release(**PROVED), (), SENT_BY_ATTESTOR),
    Case("instructed, one of two", R.NEEDS_APPROVAL, "verra", release(**PROVED), (), (*SENT, ("reg", TWO_ATTESTORS))),
    Case("released before", R.HOLD_ENDED, "alice", release(), (), (NATIVE, ("alice", release()))),
    Case("more than held", R.CAPTURE_EXCEEDS_HOLD, "alice", release(11), (), (NATIVE,)),
    Case("by two operators", None, "hub", release(**PROVED), ("hub/two",), SENT),
    Case("by two operators whose keys attest", None, "hub", release(**PROVED), ("hub/two",), SENT_BY_ATTESTOR),
    Case("by two operators and a weak word", None, "verra", release(**PROVED), ("hub", "hub/two"), SENT),
    Case(
        "by one who attests, on good evidence",
        None,
        "hub",
        release(reason="no", evidence=evidence()),
        (),
        SENT_BY_ATTESTOR,
    ),
    Case("by the registry", None, "verra", release(reason="no", evidence=evidence()), (), SENT),
    Case("in part", None, "alice", release(4), (), (NATIVE,)),
    Case("released", None, "alice", release(), (), (NATIVE,)),
]

CASES = {"Hold": HOLDS, "Dispatch": DISPATCHES, "Capture": CAPTURES, "Release": RELEASES}
