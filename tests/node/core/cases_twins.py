"""Table for twins, in the order of the checks: what is said, by whom, of which units, and what may be paired."""

from typing import Any

from keeling.reasons import Reason as R
from keeling.v1 import operations_pb2 as op
from tests.node.core.cases_ends import retire
from tests.node.core.cases_marks import restrict
from tests.node.core.sample import Case, evidence, hold, ranges, seen, some

WRAP, CONVERT, UNWRAP = op.Twin.WRAP, op.Twin.CONVERT, op.Twin.UNWRAP
BOTH = ("reg", "verra")


def twin(
    form: int,
    ours: tuple[str, int, int] | None = ("vcs", 1, 10),
    theirs: tuple[str, int, int] | None = ("nat", 0, 10),
    **fields: Any,
) -> op.Twin:
    sides = {name: ranges(side)[0] for name, side in (("ours", ours), ("theirs", theirs)) if side}
    body = {"evidence": evidence(), "their_evidence": evidence("A", "REF-2"), **sides, **fields}
    return op.Twin(form=form, **body)  # type: ignore[arg-type]


def outside(form: int = CONVERT, ours: tuple[str, int, int] = ("vcs", 1, 10), **fields: Any) -> op.Twin:
    return twin(form, ours, None, **{"destination": "arb", "identifier": "CAFR0001-A 1-10", **fields})


ENDED = op.ExtendBatch(
    batch="partly", observations=[seen(1, 50, op.Observation.CANCELLED), seen(60, 5, op.Observation.RETIRED)],
    evidence=evidence("C"),
)  # fmt: skip
CANCELLED = (("importer", ENDED),)
WRAPPED = (("alice", twin(WRAP), BOTH),)
ARB = (
    (
        "reg",
        op.SetRecord(
            id="registry:arb",
            version=1,
            source="test",
            registry=op.RegistryPolicy(scheme="opaque", attestors=["bank"], capture_grade="C", attestors_needed=1),
        ),
    ),
)
CONVERTED = (("alice", twin(CONVERT), BOTH),)

TWIN = [
    Case("no form", R.MISSING_FIELD, "alice", twin(0)),
    Case("form 256", R.MISSING_FIELD, "alice", twin(256)),
    Case("of nothing", R.MISSING_FIELD, "alice", twin(CONVERT, None, None)),
    Case("wrapping what is elsewhere", R.MISSING_FIELD, "alice", twin(WRAP, None)),
    Case("empty", R.UNITS_MUST_BE_POSITIVE, "alice", twin(WRAP, ("vcs", 1, 0))),
    Case("with itself", R.RANGES_OVERLAP, "alice", twin(WRAP, ("vcs", 1, 10), ("vcs", 10, 10))),
    Case("unwrapping into another", R.BAD_FIELD, "alice", twin(UNWRAP)),
    Case("unequal", R.BAD_FIELD, "alice", twin(WRAP, ("vcs", 1, 9))),
    Case("here and elsewhere", R.BAD_FIELD, "alice", twin(WRAP, destination="arb")),
    Case("identifier of 257", R.BAD_FIELD, "alice", twin(WRAP, identifier="x" * 257)),
    Case("no destination", R.MISSING_FIELD, "alice", outside(destination="")),
    Case("no identifier", R.MISSING_FIELD, "alice", outside(identifier="")),
    Case("two destinations", R.BAD_FIELD, "alice", outside(destination="a|b")),
    Case("without our evidence", R.MISSING_FIELD, "alice", twin(WRAP, evidence=None)),
    Case("without their evidence", R.MISSING_FIELD, "alice", twin(WRAP, their_evidence=None)),
    Case("proposal of 257", R.BAD_FIELD, "alice", twin(WRAP, proposal="x" * 257)),
    Case("effective once", R.MISSING_FIELD, "alice", twin(WRAP, effective=op.When(ms=1))),
    Case("unknown batch", R.BATCH_NOT_FOUND, "alice", twin(WRAP, ("zzz", 1, 10))),
    Case("units nobody saw", R.UNITS_UNSEEN, "alice", outside(ours=("partly", 200, 10)), BOTH),
    Case("without our registry", R.NOT_PERMITTED, "bob", twin(WRAP), ("reg",)),
    Case("our registry is the owner", R.ATTESTOR_IS_PARTY, "alice", twin(WRAP), ("reg",)),
    Case("a public page", R.GRADE_TOO_WEAK, "alice", twin(WRAP, evidence=evidence("C")), BOTH),
    Case("without their registry", R.NOT_PERMITTED, "alice", twin(WRAP), ("verra",)),
    Case("without the registry outside", R.NOT_PERMITTED, "verra", outside(), ("alice",), ARB),
    Case("without the owner", R.NOT_PERMITTED, "reg", twin(WRAP), ("verra",)),
    Case("wrapped before", R.TWIN_EXISTS, "alice", twin(WRAP, theirs=("nat", 20, 10)), BOTH, WRAPPED),
    Case("held", R.UNITS_HELD, "alice", twin(WRAP), BOTH, (("alice", hold("L1", some(0, ("vcs", 5, 1)))),)),
    Case("frozen", R.UNITS_RESTRICTED, "alice", twin(WRAP), BOTH, (("verra", restrict(("vcs", 1, 1))),)),
    Case("wrapping what ended", R.UNITS_ENDED, "importer", outside(WRAP, ("partly", 1, 10)), (), CANCELLED),
    Case("converting what was retired", R.UNITS_ENDED, "importer", outside(ours=("partly", 60, 5)), (), CANCELLED),
    Case("taken by another", R.TWIN_EXISTS, "alice", twin(WRAP, ("vcs", 20, 10), ("nat", 5, 10)), BOTH, WRAPPED),
    Case("into what is wrapped", R.TWIN_EXISTS, "alice", twin(WRAP, ("vcs", 20, 1), ("vcs", 1, 1)), BOTH, WRAPPED),
    Case(
        "into what was converted",
        R.UNITS_NOT_FREE,
        "alice",
        twin(CONVERT, ("vcs", 1, 5), ("partly", 1, 5)),
        ("verra",),
        (("importer", op.ExtendBatch(batch="partly", observations=[seen(1, 9, op.Observation.CONVERTED)],
                                     evidence=evidence("C"))),),
    ),
    Case("partly unseen", R.UNITS_UNSEEN, "alice", twin(WRAP, theirs=("partly", 95, 10)), BOTH),
    Case("kilograms", R.MIXED_GRAINS, "alice", twin(WRAP, theirs=("kg", 0, 10)), BOTH),
    Case("no pair", R.TWIN_NOT_FOUND, "alice", twin(UNWRAP, theirs=None), BOTH),
    Case("more than the pair", R.TWIN_NOT_FOUND, "alice", twin(UNWRAP, ("vcs", 1, 11), None), BOTH, WRAPPED),
    Case("unwrapped without our registry", R.NOT_PERMITTED, "bob", twin(UNWRAP, theirs=None), ("reg",), WRAPPED),
    Case("converted for good", R.UNITS_ENDED, "alice", twin(UNWRAP, theirs=None), BOTH, CONVERTED),
    Case("what it lives as was retired", R.UNITS_ENDED, "alice", twin(UNWRAP, theirs=None), BOTH,
         (*WRAPPED, ("alice", retire()))),
    Case("unwrapped without their registry", R.NOT_PERMITTED, "alice", twin(UNWRAP, theirs=None), ("verra",), WRAPPED),
    Case("of nobody's, already converted", None, "importer", outside(ours=("partly", 1, 50)), (), CANCELLED),
    Case("from elsewhere", None, "verra", twin(CONVERT, None, destination="car", identifier="CAR-1"), ("reg",)),
    Case("half of a pair", None, "alice", twin(UNWRAP, ("vcs", 3, 4), None), BOTH, WRAPPED),
    Case("unwrapped", None, "alice", twin(UNWRAP, theirs=None), BOTH, WRAPPED),
    Case("converted", None, "alice", twin(CONVERT), BOTH),
    Case("wrapped", None, "alice", twin(WRAP, identifier="CA0001-GHA01-1-10-2024"), BOTH),
]  # fmt: skip

CASES = {"Twin": TWIN}
