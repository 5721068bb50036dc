"""Tables for labels, restrictions and notices, in the order of their checks."""

from typing import Any

from keeling.reasons import Reason as R
from keeling.v1 import operations_pb2 as op
from tests.node.core.sample import Case, evidence, hold, ranges, some

ITEM = ("vcs", 1, 10)
MANY = [("vcs", 2 * n, 1) for n in range(5001)]


def mark(*items: tuple[str, int, int], **fields: Any) -> op.Mark:
    return op.Mark(**{"label": "CCP", "value": "2024", "ranges": ranges(*items), **fields})


def unmark(*items: tuple[str, int, int], label: str = "CCP") -> op.Unmark:
    return op.Unmark(label=label, ranges=ranges(*items))


def restrict(
    *items: tuple[str, int, int], name: str = "freeze", reason: str = "court", account: str = ""
) -> op.Restrict:
    return op.Restrict(restriction=name, ranges=ranges(*items), reason=reason, account=account)


def unrestrict(
    *items: tuple[str, int, int], name: str = "freeze", reason: str = "lifted", **fields: Any
) -> op.Unrestrict:
    return op.Unrestrict(restriction=name, ranges=ranges(*items), reason=reason, **fields)


def notice(*items: tuple[str, int, int], **fields: Any) -> op.Notice:
    return op.Notice(**{"notice": "n1", "kind": "recall", "ranges": ranges(*items), **fields})


MARK = [
    Case("no label", R.MISSING_FIELD, "verra", mark(ITEM, label="")),
    Case("no units", R.UNITS_MUST_BE_POSITIVE, "verra", mark()),
    Case("empty range", R.UNITS_MUST_BE_POSITIVE, "verra", mark(("vcs", 1, 0))),
    Case("5,001 ranges", R.TOO_MANY_RANGES, "verra", mark(*MANY)),
    Case("twice", R.RANGES_OVERLAP, "verra", mark(ITEM, ("vcs", 10, 1))),
    Case("value of 257", R.BAD_FIELD, "verra", mark(ITEM, value="x" * 257)),
    Case("grade E", R.BAD_FIELD, "verra", mark(ITEM, evidence=evidence("E"))),
    Case("unknown batch", R.BATCH_NOT_FOUND, "verra", mark(("zzz", 1, 1))),
    Case("outside the batch", R.OUTSIDE_EXTENT, "verra", mark(("vcs", 10_000, 2))),
    Case("not the registry", R.NOT_PERMITTED, "alice", mark(("nat", 1, 1))),
    Case("native by its registry", None, "reg", mark(("nat", 1, 1))),
    Case("marked", None, "importer", mark(ITEM)),
]

UNMARK = [
    Case("no label", R.MISSING_FIELD, "verra", unmark(ITEM, label="")),
    Case("no units", R.UNITS_MUST_BE_POSITIVE, "verra", unmark()),
    Case("not the registry", R.NOT_PERMITTED, "bob", unmark(ITEM)),
    Case("unmarked", None, "verra", unmark(("vcs", 3, 2)), (), (("verra", mark(ITEM)),)),
]

RESTRICT = [
    Case("no name", R.MISSING_FIELD, "verra", restrict(ITEM, name="")),
    Case("no reason", R.MISSING_FIELD, "verra", restrict(ITEM, reason="")),
    Case("reason of 257", R.BAD_FIELD, "verra", restrict(ITEM, reason="x" * 257)),
    Case("no units", R.UNITS_MUST_BE_POSITIVE, "verra", restrict()),
    Case("the ledger's own name", R.BAD_FIELD, "verra", restrict(ITEM, name="discrepancy/1.1")),
    Case("unknown batch", R.BATCH_NOT_FOUND, "verra", restrict(("zzz", 1, 1))),
    Case("not the registry", R.NOT_PERMITTED, "bob", restrict(ITEM)),
    Case("by an authority", None, "authority", restrict(ITEM)),
    Case("by the registry", None, "verra", restrict(ITEM)),
    Case("again under another name", None, "verra", restrict(ITEM, name="x"), (), (("verra", restrict(ITEM)),)),
    Case("reserved in no account", R.ACCOUNT_NOT_FOUND, "verra", restrict(ITEM, account="ZZZ")),
    Case("reserved by anyone", R.NOT_PERMITTED, "bob", restrict(ITEM, account="L1")),
    Case("reserved elsewhere", R.UNITS_NOT_OWNED, "verra", restrict(ITEM, account="L2")),
    Case(
        "reserved twice",
        R.UNITS_RESTRICTED,
        "verra",
        restrict(("vcs", 10, 5), name="x", account="L1"),
        (),
        (("verra", restrict(ITEM, account="L1")),),
    ),
    Case(
        "reserved where some are held",
        R.UNITS_HELD,
        "verra",
        restrict(ITEM, account="L1"),
        (),
        (("alice", hold("L1", some(0, ("vcs", 10, 1)))),),
    ),
    Case("reserved", None, "verra", restrict(ITEM, account="L1")),
]

UNRESTRICT = [
    Case("no reason", R.MISSING_FIELD, "verra", unrestrict(ITEM, reason="")),
    Case("not the registry", R.NOT_PERMITTED, "bob", unrestrict(ITEM)),
    Case("grade E", R.BAD_FIELD, "verra", unrestrict(ITEM, evidence=evidence("E"))),
    Case("not restricted", R.RESTRICTION_NOT_FOUND, "verra", unrestrict(ITEM)),
    Case("no such discrepancy", R.RESTRICTION_NOT_FOUND, "verra", unrestrict(ITEM, name="discrepancy/1.1")),
    Case("no discrepancy's name", R.RESTRICTION_NOT_FOUND, "verra", unrestrict(ITEM, name="discrepancy/01.1")),
    Case("lifted in part", None, "verra", unrestrict(("vcs", 1, 3)), (), (("verra", restrict(ITEM)),)),
]

NOTICE = [
    Case("no name", R.MISSING_FIELD, "verra", notice(ITEM, notice="")),
    Case("no kind", R.MISSING_FIELD, "verra", notice(ITEM, kind="")),
    Case("due some time", R.MISSING_FIELD, "verra", notice(ITEM, due=op.When(ms=1, precision=-1))),  # type: ignore[arg-type]
    Case("unknown batch", R.BATCH_NOT_FOUND, "verra", notice(("zzz", 1, 1))),
    Case("from anyone", R.NOT_PERMITTED, "alice", notice(ITEM)),
    Case("closing none", R.NOTICE_NOT_FOUND, "verra", notice(close=True)),
    Case("closed", None, "verra", notice(close=True), (), (("verra", notice(ITEM)),)),
    Case("opened", None, "authority", notice(ITEM)),
]

CASES = {"Mark": MARK, "Unmark": UNMARK, "Restrict": RESTRICT, "Unrestrict": UNRESTRICT, "Notice": NOTICE}
