"""Tables for attestations, link states and anchors, in the order of their checks."""

from typing import Any

from keeling.reasons import Reason as R
from keeling.v1 import operations_pb2 as op
from tests.fakes.world import START_MS
from tests.node.core.sample import Case, evidence, ranges


def attest(*item: tuple[str, int, int], **fields: Any) -> op.Attest:
    where = ranges(*(item or (("vcs", 1, 10),)))[0]
    body = {"registry": "verra", "attestation": "e1", "range": where, "status": op.Observation.RETIRED}
    return op.Attest(**{**body, "evidence": evidence(), **fields})


ATTEST = [
    Case("no id", R.MISSING_FIELD, "verra", attest(attestation="")),
    Case("no range", R.MISSING_FIELD, "verra", attest(range=None)),
    Case("empty range", R.UNITS_MUST_BE_POSITIVE, "verra", attest(("vcs", 1, 0))),
    Case("no status", R.MISSING_FIELD, "verra", attest(status=0)),
    Case("status 300", R.MISSING_FIELD, "verra", attest(status=300)),
    Case("no evidence", R.MISSING_FIELD, "verra", attest(evidence=None)),
    Case("no grade", R.MISSING_FIELD, "verra", attest(evidence=evidence(""))),
    Case("grade E", R.BAD_FIELD, "verra", attest(evidence=evidence("E"))),
    Case("unknown batch", R.BATCH_NOT_FOUND, "verra", attest(("zzz", 1, 1))),
    Case("unknown registry", R.REGISTRY_NOT_FOUND, "verra", attest(registry="gs")),
    Case("nobody signs", R.NOT_PERMITTED, "alice/clerk", attest()),
    Case("outside the batch", R.OUTSIDE_EXTENT, "verra", attest(("vcs", 10_001, 1))),
    Case("by anybody", None, "mallory", attest()),
    Case("again", None, "verra", attest(), (), (("verra", attest()),)),
    Case("attested", None, "verra", attest()),
]


def state(**fields: Any) -> op.LinkState:
    return op.LinkState(**{"account": "L1", "state": op.LinkState.SUSPENDED, "reason": "errors", **fields})


LINK_STATE = [
    Case("no state", R.MISSING_FIELD, "hub", state(state=0)),
    Case("state 300", R.MISSING_FIELD, "hub", state(state=300)),
    Case("of account and registry", R.BAD_FIELD, "hub", state(registry="verra")),
    Case("of nothing", R.BAD_FIELD, "hub", state(account="")),
    Case("since before time", R.BAD_FIELD, "hub", state(from_ms=-1)),
    Case("backwards", R.BAD_FIELD, "hub", state(from_ms=START_MS, until_ms=START_MS)),
    Case("reason of 257", R.BAD_FIELD, "hub", state(reason="x" * 257)),
    Case("unknown account", R.ACCOUNT_NOT_FOUND, "hub", state(account="Z")),
    Case("unknown registry", R.REGISTRY_NOT_FOUND, "hub", state(account="", registry="gs")),
    Case("by a stranger", R.NOT_PERMITTED, "mallory", state()),
    Case("registry-wide by the hub", R.NOT_PERMITTED, "hub", state(account="", registry="verra")),
    Case("without a link", R.NO_LINK, "alice", state(account="A")),
    Case("by the owner", None, "alice", state()),
    Case("registry-wide by the registry", None, "verra", state(account="", registry="verra")),
    Case("by the hub", None, "hub", state()),
]


def anchor(**fields: Any) -> op.Anchor:
    return op.Anchor(**{"kind": "evidence", "name": "n", "digest": bytes(32), **fields})


ANCHOR = [
    Case("half a digest", R.BAD_FIELD, "alice", anchor(digest=bytes(16))),
    Case("of another kind", R.BAD_FIELD, "alice", anchor(kind="gossip")),
    Case("no name", R.MISSING_FIELD, "alice", anchor(name="")),
    Case("nobody signs", R.NOT_PERMITTED, "alice/clerk", anchor()),
    Case("anchored", None, "alice", anchor()),
]

CASES = {"Attest": ATTEST, "LinkState": LINK_STATE, "Anchor": ANCHOR}
