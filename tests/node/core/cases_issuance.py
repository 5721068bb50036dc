"""Tables for projects and batches, in the order of their checks."""

from typing import Any

from keeling.reasons import Reason as R
from keeling.v1 import operations_pb2 as op
from tests.node.core.sample import Case, evidence, issue, seen, when


def project(**fields: Any) -> op.RegisterProject:
    return op.RegisterProject(**{"project": "p", "programme": "NAT", "name": "P", "host": "MMR", **fields})


PROJECT = [
    Case("bad id", R.BAD_FIELD, "reg", project(project="")),
    Case("no name", R.MISSING_FIELD, "reg", project(name="")),
    Case("host is no code", R.BAD_FIELD, "reg", project(host="Burma")),
    Case("unknown programme", R.PROGRAMME_NOT_FOUND, "reg", project(programme="zzz")),
    Case("a rule is no programme", R.PROGRAMME_NOT_FOUND, "reg", project(programme="a-rule")),
    Case("programme ended", R.RECORD_NOT_IN_FORCE, "reg", project(programme="OLD")),
    Case("known", R.PROJECT_EXISTS, "reg", project(project="project-NAT")),
    Case("not the registry", R.NOT_PERMITTED, "alice", project()),
    Case("by an importer", None, "importer", project(programme="VCS")),
    Case("registered", None, "reg", project()),
]


def native(programme: str = "NAT", units: int = 10, **fields: Any) -> op.Issue:
    return issue("new", programme, units, "A", **fields)


def mirrored(account: str = "", **fields: Any) -> op.Issue:
    return issue("new", "VCS", 10, account, **{"space": "new space", **fields})


def part(*items: op.Observation, **fields: Any) -> op.Issue:
    return mirrored(extent=op.Issue.AT_LEAST, observations=items, **fields)


def changed(message: op.Issue, **fields: Any) -> op.Issue:
    for name, value in fields.items():
        setattr(message, name, value)
    return message


DATE = op.When.DATE
UNHEARD_OF = op.When(ms=1, precision=300)  # type: ignore[arg-type]

ISSUE = [
    Case("bad name", R.BAD_FIELD, "reg", changed(native(), batch="no good")),
    Case("no space", R.MISSING_FIELD, "reg", native(space="")),
    Case("number is no number", R.BAD_FIELD, "reg", changed(native(), first_number="01")),
    Case("extent unsaid", R.MISSING_FIELD, "reg", native(extent=0)),
    Case("extent unknown", R.MISSING_FIELD, "reg", native(extent=7)),
    Case("no units", R.UNITS_MUST_BE_POSITIVE, "reg", native(units=0)),
    Case("more than fit", R.UNITS_MUST_BE_POSITIVE, "reg", native(units=2**63)),
    Case("nothing was seen", R.MISSING_FIELD, "verra", part()),
    Case("whole, yet observed", R.BAD_FIELD, "verra", mirrored(observations=[seen(1, 1)])),
    Case("observed nothing", R.BAD_FIELD, "verra", part(seen(1, 0))),
    Case("observed as nothing", R.MISSING_FIELD, "verra", part(seen(1, 1, 0))),
    Case("observed as 300", R.MISSING_FIELD, "verra", part(seen(1, 1, 300))),
    Case("observed twice", R.RANGES_OVERLAP, "verra", part(seen(1, 2), seen(2, 1))),
    Case("label of 257", R.BAD_FIELD, "verra", part(seen(1, 1, labels=["x" * 257]))),
    Case("labels beyond the limit", R.TOO_MANY_RANGES, "verra", part(seen(1, 1, labels=["x"] * 5001))),
    Case("5,001 observations", R.TOO_MANY_RANGES, "verra", part(*[seen(2 * n, 1) for n in range(5001)])),
    Case("status since when", R.MISSING_FIELD, "verra", part(seen(1, 1, effective=UNHEARD_OF))),
    Case("serial form of 257", R.BAD_FIELD, "reg", native(serial_form="x" * 257)),
    Case("vintage at noon", R.BAD_FIELD, "reg", native(vintage_start=op.When(ms=43_200_000, precision=DATE))),
    Case("vintage backwards", R.BAD_FIELD, "reg", native(vintage_start=when(9), vintage_end=when(8))),
    Case("vintage in year 10000", R.BAD_FIELD, "reg", native(vintage_end=when(2**62))),
    Case("evidence of 4 bytes", R.BAD_FIELD, "reg", native(evidence=op.Evidence(digest=b"four"))),
    Case("grade E", R.BAD_FIELD, "reg", native(evidence=evidence("E"))),
    Case("unknown programme", R.PROGRAMME_NOT_FOUND, "reg", changed(native(), programme="zzz")),
    Case("unknown project", R.PROJECT_NOT_FOUND, "reg", changed(native(), project="zzz")),
    Case("project of another programme", R.PROJECT_NOT_FOUND, "reg", changed(native(), project="project-KG")),
    Case("known batch", R.BATCH_EXISTS, "reg", changed(native(), batch="nat")),
    Case("to nobody", R.MISSING_FIELD, "reg", changed(native(), account="")),
    Case("native, seen in part", R.MISSING_FIELD, "reg", native(extent=op.Issue.AT_LEAST, observations=[seen(1, 1)])),
    Case("seen in part, owned", R.BAD_FIELD, "verra", part(seen(1, 1), account="L1")),
    Case("unknown account", R.ACCOUNT_NOT_FOUND, "reg", changed(native(), account="Z")),
    Case("closed account", R.ACCOUNT_CLOSED, "reg", changed(native(), account="CLOSED")),
    Case("not the registry", R.NOT_PERMITTED, "alice", native()),
    Case("unverified", R.NEEDS_VERIFIER, "reg", native(programme="VERIFIED", evidence=evidence())),
    Case("verified without root", R.MISSING_FIELD, "reg", native(programme="VERIFIED"), ("verifier",)),
    Case("mirrored, unlinked", R.NO_LINK, "verra", mirrored(account="A")),
    Case("across 2^63", R.OUTSIDE_EXTENT, "verra", mirrored(first=2**63 - 5)),
    Case("observed outside", R.OUTSIDE_EXTENT, "verra", part(seen(5, 7))),
    Case("observed below", R.OUTSIDE_EXTENT, "verra", part(seen(0, 1))),
    Case("serials of another", R.SERIALS_OVERLAP, "verra", mirrored(space="space of vcs", first=9_991)),
    Case("levies take all", R.LEVY_EXCEEDS_ISSUANCE, "reg", native(programme="A64", units=1)),
    Case("seen", None, "importer", part(seen(1, 3, labels=["CCP"]), seen(8, 2, op.Observation.RETIRED))),
    Case("beside another", None, "verra", mirrored(space="space of vcs", first=10_001)),
    Case("verified", None, "reg", native(programme="VERIFIED", evidence=evidence()), ("verifier",)),
    Case("issued", None, "reg", native()),
]


def extend(*items: op.Observation, **fields: Any) -> op.ExtendBatch:
    fields = {"batch": "partly", "evidence": evidence("C"), **fields}
    return op.ExtendBatch(observations=items, **fields)


YEAR = {
    "vintage_start": op.When(ms=86_400_000, precision=op.When.DATE),
    "vintage_end": op.When(ms=172_800_000, precision=op.When.DATE),
}
BACKWARDS = {"vintage_start": YEAR["vintage_end"], "vintage_end": YEAR["vintage_start"]}

EXTEND = [
    Case("nothing", R.MISSING_FIELD, "importer", extend()),
    Case("observed nothing", R.BAD_FIELD, "importer", extend(seen(1, 0))),
    Case("no file", R.MISSING_FIELD, "importer", extend(seen(1, 1), evidence=None)),
    Case("a vintage and no issuance", R.BAD_FIELD, "importer", extend(seen(1, 1), **YEAR)),
    Case("a vintage that ends before it starts", R.BAD_FIELD, "importer", extend(exact=True, **BACKWARDS)),
    Case("run of 257", R.BAD_FIELD, "importer", extend(seen(1, 1), run="x" * 257)),
    Case("unknown batch", R.BATCH_NOT_FOUND, "importer", extend(seen(1, 1), batch="zzz")),
    Case("native", R.BAD_FIELD, "importer", extend(seen(1, 1), batch="nat")),
    Case("not an importer", R.NOT_PERMITTED, "alice", extend(seen(1, 1))),
    Case("beyond an exact extent", R.OUTSIDE_EXTENT, "importer", extend(seen(10_001, 1), batch="vcs")),
    Case("below the base", R.OUTSIDE_EXTENT, "importer", extend(seen(2**63, 1))),
    Case(
        "into another's serials",
        R.SERIALS_OVERLAP,
        "importer",
        extend(seen(1500, 1)),
        (),
        (("verra", mirrored(space="space of partly", first=1400)),),
    ),
    Case("grown", None, "importer", extend(seen(1500, 1), seen(101, 5))),
    Case("known", None, "importer", extend(seen(1, 100))),
    Case("exact from now on", None, "verra", extend(exact=True)),
    Case("exact, and of which vintage", None, "verra", extend(exact=True, **YEAR)),
]

CASES = {"RegisterProject": PROJECT, "Issue": ISSUE, "ExtendBatch": EXTEND}
