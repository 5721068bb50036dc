"""Whatever is authorized, issued, split, sent, used, cancelled, reversed and revoked: G4 holds, and the sums are right.

A unit has a model of its own: where it is, under which definition, whether it was first transferred. The ledger must
agree with the model on every sum, and reports made from its events must rebuild the same sums.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.aef.build import build_report
from hub.aef.check import check_report
from hub.aef.ledger import Logged, read_picture
from hub.aef.match import match_reports, sum_adjustments
from keeling.events import EventKind
from keeling.units import TERMINAL
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from node.core.article6.records import AdjustmentKey, Side
from node.core.article6.stretches import read_stretches
from tests.node.core.article6.parties import Parties, date, evidence, terms
from tests.node.core.conservation import check_told

UNITS = 60
DEFINITIONS = ("", "authorization", "issuance", "use or cancellation")
ACCOUNTS = {"gh": "GHA", "gh2": "GHA", "ch": "CHE", "ch2": "CHE", "se": "SWE"}
YEARS = range(2023, 2028)

account = st.sampled_from(sorted(ACCOUNTS))
batch = st.integers(0, 2)
amount = st.integers(1, UNITS)
year = st.sampled_from([2025, 2026])
step = st.one_of(
    st.tuples(st.just("issue"), batch),
    st.tuples(st.just("authorize"), batch, st.sampled_from(DEFINITIONS), st.integers(0, UNITS)),
    st.tuples(st.just("send"), account, account, batch, st.integers(0, UNITS - 1), amount, year),
    st.tuples(st.just("use"), account, amount, year),
    st.tuples(st.just("oimp"), account, amount, year),
    st.tuples(st.just("cancel"), account, amount, year),
    st.tuples(st.just("reverse"), st.integers(0, 5)),
    st.tuples(st.just("revoke"), batch),
)


def perform(world: Parties, item: tuple[Any, ...]) -> None:
    """One step, which the ledger takes or refuses."""
    kind, *rest = item
    if kind == "issue":
        world.issue(f"b{rest[0]}", UNITS, 2023 + rest[0] % 2, project=f"p{rest[0]}")
    elif kind == "authorize":
        made = terms(rest[1], projects=[f"p{rest[0]}"], cap=rest[2])
        world.authorize(f"GHA-{rest[0]}", date(2025), terms=made)
    elif kind == "send":
        giver, taker, number, first, units, when = rest
        part = op.Range(batch=f"b{number}", first=first, units=min(units, UNITS - first))
        world.send(giver, taker, 0, date(when, 3, 1), part)
    elif kind == "use":
        world.use(rest[0], rest[1], rest[2], date(rest[2], 6, 1))
    elif kind == "oimp":
        world.use(rest[0], rest[1], rest[2], date(rest[2], 6, 1), kind=op.Purposeful.OIMP)
    elif kind == "cancel":
        world.cancel(rest[0], rest[1], when=date(rest[2], 6, 1))
    elif kind == "reverse":
        ended = [place for place, e in world.log() if e.kind in (EventKind.USED, EventKind.CANCELLED)]
        if ended:
            place = ended[rest[0] % len(ended)]
            world.run(
                "reg", op.Reverse(height=place.height, ordinal=place.ordinal, reason="error", evidence=evidence())
            )
    else:
        message = op.RevokeAuthorization(
            authorization=f"GHA-{rest[0]}", reason="why", date=date(2026), evidence=evidence()
        )
        world.run("gha-epa", message)


def check_once(world: Parties) -> None:
    """G4: each first-transferred unit has one host adjustment that stands, each NDC use one of its user."""
    hosts = users = 0
    for key_bytes, item in world.state.scan(t.ADJUSTMENTS):
        key = AdjustmentKey(*t.ADJUSTMENTS.parts(key_bytes))
        standing = item.units - sum(part.units for part in item.withdrawn)
        assert standing >= 0
        if key.side == Side.HOST:
            hosts += standing
        else:
            users += standing
    marked = used = 0
    for number in (1, 2, 3):
        known = world.state.get(t.BATCHES, number)
        if known is None:
            continue
        for stretch in read_stretches(world.state, number, known.low, known.high + 1):
            marked += stretch.units if stretch.version else 0
    for place, event in world.log():
        if event.kind == EventKind.ITMO_ACTION and event.fact("action") == "USE" and event.fact("use_year"):
            action = world.state.get(t.ACTIONS, place.height, place.ordinal)
            assert action is not None
            used += sum(
                lot.units
                for key_bytes, lot in world.state.scan(t.LOTS, action.batch)
                if action.first <= t.LOTS.parts(key_bytes)[1] < action.first + action.units
                and lot.state in TERMINAL
                and f"{lot.height}.{lot.ordinal}" == event.fact("cause")
            )
    assert (hosts, users) == (marked, used)
    transferred = sum(a.transferred for _, a in world.state.scan(t.AUTHORIZATIONS))
    assert transferred == marked
    for _, authorization in world.state.scan(t.AUTHORIZATIONS):
        assert authorization.transferred <= authorization.covered


def check_reports(world: Parties) -> None:
    """Rows rebuild every Party-year's sums; nothing is wrong in a report, and the Parties' reports match."""
    times = {block.header.height: block.header.time_ms for block in world.blocks}
    picture = read_picture(world.genesis.records, [Logged(p, times[p.height], e) for p, e in world.log()])
    found: dict[tuple[str, int, str], int] = {}
    for when in YEARS:
        reports = {code: build_report(picture, code, when) for code in ("GHA", "CHE", "SWE")}
        for made in reports.values():
            assert check_report(made) == []
            for key, units in sum_adjustments(made).items():
                found[key] = found.get(key, 0) + units
            for other in reports.values():
                assert made is other or match_reports(made, other) == []
    for code in ("GHA", "CHE", "SWE"):
        for when in YEARS:
            assert world.sums(code, when) == (found.get((code, when, "FT"), 0), found.get((code, when, "USE"), 0))


@settings(max_examples=50, deadline=None)
@given(st.lists(step, min_size=3, max_size=14))
def test_g4_and_the_sums_hold_whatever_is_done(steps: list[tuple[Any, ...]]) -> None:
    world = Parties()
    for number in (0, 1):
        perform(world, ("issue", number))
        perform(world, ("authorize", number, DEFINITIONS[3 * number], 0))
    for item in steps:
        perform(world, item)
    check_once(world)
    check_told(world)
    check_reports(world)
