"""Tables for retirement, use, cancellation, buffers and reversals, in the order of their checks."""

from typing import Any

from keeling.reasons import Reason as R
from keeling.v1 import operations_pb2 as op
from tests.node.core.cases_holds import SENT, capture
from tests.node.core.cases_marks import restrict
from tests.node.core.sample import Case, evidence, hold, ranges, sample_world, some, when

NDC = op.Purposeful(kind=op.Purposeful.NDC, year=2030)
PLAIN = some(0, ("nat", 0, 10))


def retire(account: str = "A", selection: op.Selection = PLAIN, **fields: Any) -> op.Retire:
    return op.Retire(account=account, selection=selection, **fields)


RETIRE = [
    Case("nothing", R.UNITS_MUST_BE_POSITIVE, "alice", retire(selection=some(0))),
    Case("beneficiary in clear", R.BAD_FIELD, "alice", retire(beneficiary=b"Asha")),
    Case("reason of 257", R.BAD_FIELD, "alice", retire(reason="x" * 257)),
    Case("effective once", R.MISSING_FIELD, "alice", retire(effective=op.When(ms=1))),
    Case("unknown account", R.ACCOUNT_NOT_FOUND, "alice", retire("Z")),
    Case("not the owner", R.NOT_PERMITTED, "bob", retire()),
    Case("one of two", R.NEEDS_APPROVAL, "alice", retire("EYES", some(100))),
    Case("retired before", R.UNITS_ENDED, "alice", retire(), (), (("alice", retire()),)),
    Case("more than there are", R.INSUFFICIENT_UNITS, "alice", retire(selection=some(1001, batch="nat"))),
    Case("mirrored", R.NEEDS_REGISTRY_CONFIRMATION, "alice", retire("L1", some(1, batch="vcs"))),
    Case("ex-ante", R.NOT_RETIRABLE, "alice", retire(selection=some(1, batch="ex-ante"))),
    Case("retired", None, "alice", retire(beneficiary=bytes(32), reason="offset", effective=when())),
]


def use(kind: int = op.Purposeful.NDC, **fields: Any) -> op.Use:
    return op.Use(account="A", selection=PLAIN, use=op.Purposeful(kind=kind, **fields))  # type: ignore[arg-type]


USE = [
    Case("nothing", R.UNITS_MUST_BE_POSITIVE, "alice", op.Use(account="A", use=NDC)),
    Case("for nothing", R.MISSING_FIELD, "alice", op.Use(account="A", selection=PLAIN)),
    Case("for an NDC of no year", R.MISSING_FIELD, "alice", use()),
    Case("for no scheme", R.MISSING_FIELD, "alice", use(op.Purposeful.COMPLIANCE, year=2030)),
    Case("entity of 257", R.BAD_FIELD, "alice", use(year=2030, entity="x" * 257)),
    Case("not the owner", R.NOT_PERMITTED, "bob", use(year=2030)),
    Case("towards an NDC", None, "alice", use(year=2030)),
    Case("towards an obligation", None, "alice", use(op.Purposeful.COMPLIANCE, year=2030, scheme="CORSIA")),
]


def cancel(kind: int = op.Cancel.VOLUNTARY, **fields: Any) -> op.Cancel:
    return op.Cancel(**{"account": "A", "selection": PLAIN, "kind": kind, **fields})


CANCEL = [
    Case("nothing", R.UNITS_MUST_BE_POSITIVE, "alice", cancel(selection=None)),
    Case("no kind", R.MISSING_FIELD, "alice", cancel(0)),
    Case("kind 300", R.MISSING_FIELD, "alice", cancel(300)),
    Case("not the owner", R.NOT_PERMITTED, "bob", cancel()),
    Case("cancelled", None, "alice", cancel(op.Cancel.OMGE)),
]


def buffer(action: int, *items: tuple[str, int, int], **fields: Any) -> op.Buffer:
    body = {"account": "A", "selection": some(0, *(items or (("nat", 0, 10),)))}
    return op.Buffer(action=action, **{**body, **fields})  # type: ignore[arg-type]


DEPOSIT, WITHDRAW, COMPENSATE = op.Buffer.DEPOSIT, op.Buffer.WITHDRAW, op.Buffer.COMPENSATE
DEPOSITED = (("reg", buffer(DEPOSIT)),)

BUFFER = [
    Case("nothing", R.UNITS_MUST_BE_POSITIVE, "reg", buffer(DEPOSIT, selection=None)),
    Case("no action", R.MISSING_FIELD, "reg", buffer(0)),
    Case("any ten", R.MISSING_FIELD, "reg", buffer(DEPOSIT, selection=some(10))),
    Case("unknown account", R.ACCOUNT_NOT_FOUND, "reg", buffer(DEPOSIT, account="Z")),
    Case("unknown batch", R.BATCH_NOT_FOUND, "reg", buffer(DEPOSIT, ("zzz", 0, 1))),
    Case("not the registry", R.NOT_PERMITTED, "alice", buffer(DEPOSIT)),
    Case("held", R.UNITS_HELD, "reg", buffer(DEPOSIT), (), (("alice", hold("A", PLAIN)),)),
    Case("not in the buffer", R.UNITS_NOT_FREE, "reg", buffer(WITHDRAW)),
    Case("frozen", R.UNITS_RESTRICTED, "reg", buffer(WITHDRAW), (), (*DEPOSITED, ("reg", restrict(("nat", 1, 1))))),
    Case("mirrored", None, "verra", buffer(DEPOSIT, ("vcs", 1, 10), account="L1")),
    Case("withdrawn", None, "reg", buffer(WITHDRAW, ("nat", 2, 3)), (), DEPOSITED),
    Case("compensated", None, "reg", buffer(COMPENSATE), (), DEPOSITED),
    Case("deposited", None, "reg", buffer(DEPOSIT)),
]

HEIGHT = sample_world().tip.height + 1
"""The block of a case's first step: where the event is that it reverses."""


def reverse(*items: tuple[str, int, int], **fields: Any) -> op.Reverse:
    body = {"height": HEIGHT, "reason": "erroneous", "evidence": evidence(), "ranges": ranges(*items)}
    return op.Reverse(**{**body, **fields})


RETIRED = (("alice", retire()),)
CAPTURED = (SENT[0], SENT[1], ("verra", capture()))
WINDOW = (("alice", retire(selection=some(10, batch="window"))),)

REVERSE = [
    Case("of nothing", R.MISSING_FIELD, "reg", reverse(height=0)),
    Case("for no reason", R.MISSING_FIELD, "reg", reverse(reason="")),
    Case("without evidence", R.MISSING_FIELD, "reg", reverse(evidence=None)),
    Case("empty range", R.UNITS_MUST_BE_POSITIVE, "reg", reverse(("nat", 1, 0))),
    Case("twice", R.RANGES_OVERLAP, "reg", reverse(("nat", 1, 1), ("nat", 1, 1))),
    Case("unknown event", R.EVENT_NOT_FOUND, "reg", reverse()),
    Case("unknown batch", R.BATCH_NOT_FOUND, "reg", reverse(("zzz", 1, 1)), (), RETIRED),
    Case("by the owner", R.NOT_PERMITTED, "alice", reverse(), (), RETIRED),
    Case("mirrored, by the electorate", R.NOT_PERMITTED, "reg", reverse(height=HEIGHT + 2), (), CAPTURED),
    Case("mirrored, by the owner", R.ATTESTOR_IS_PARTY, "alice", reverse(height=HEIGHT + 2), (), CAPTURED),
    Case("more than it ended", R.NOT_REVERSIBLE, "reg", reverse(("nat", 5, 6)), (), RETIRED),
    Case("what nobody ever saw", R.NOT_REVERSIBLE, "reg", reverse(("nat", 2**62, 6)), (), RETIRED),
    Case("again", R.ALREADY_REVERSED, "reg", reverse(), (), (*RETIRED, ("reg", reverse()))),
    Case(
        "in part again",
        R.ALREADY_REVERSED,
        "reg",
        reverse(("nat", 4, 2)),
        (),
        (*RETIRED, ("reg", reverse(("nat", 5, 1)))),
    ),
    Case("after the window", R.OUTSIDE_REVERSAL_WINDOW, "reg", reverse(), (), WINDOW, later_ms=1001),
    Case("within the window", None, "reg", reverse(), (), WINDOW, later_ms=1000),
    Case("what still stands", None, "reg", reverse(), (), (*RETIRED, ("reg", reverse(("nat", 5, 1))))),
    Case("mirrored", None, "verra", reverse(height=HEIGHT + 2), (), CAPTURED),
    Case("reversed", None, "reg", reverse(), (), RETIRED),
]

CASES = {"Retire": RETIRE, "Use": USE, "Cancel": CANCEL, "Buffer": BUFFER, "Reverse": REVERSE}
