"""Three Parties, two approaches, three definitions of first transfer: told from beginning to end."""

from __future__ import annotations

from keeling.events import EventKind
from keeling.reasons import Reason
from keeling.v1 import operations_pb2 as op
from tests.node.core.article6.parties import Parties, accepted, approach, date, evidence, terms
from tests.node.core.conservation import check_told

ISSUED_2023, ISSUED_2024 = date(2024, 2, 1), date(2025, 2, 1)


def test_three_parties_two_approaches_three_definitions() -> None:
    # Ghana hosts. With Switzerland it has approach CA0004, with Sweden CA0007.
    world = Parties(approach("CA0004", ("GHA", "CHE")), approach("CA0007", ("GHA", "SWE")))

    # 1. Cookstoves of 2023, authorized for Switzerland's NDC: the first international transfer counts.
    accepted(world.issue("stoves", 1000, 2023, project="stoves", effective=ISSUED_2023))
    accepted(world.authorize("GHA-CHE-1", terms=terms(batches=["stoves"], parties=["CHE"])))
    assert world.sums("GHA", 2023) == (0, 0)
    accepted(world.send("gh", "ch", 400))
    assert world.sums("GHA", 2023) == (400, 0), "the part that left is first transferred, in its vintage year"
    accepted(world.send("gh", "ch", 600))
    accepted(world.send("ch", "ch2", 250))
    assert world.sums("GHA", 2023) == (1000, 0), "inside Switzerland nothing is transferred between Parties"

    # 2. Biogas of 2024, authorized for CORSIA at authorization, under the same approach.
    accepted(world.issue("biogas", 300, 2024, project="biogas", effective=ISSUED_2024))
    corsia = terms("authorization", batches=["biogas"], oimp="CORSIA")
    accepted(world.authorize("GHA-OIMP-1", terms=corsia, when=date(2025, 5, 1)))
    assert world.sums("GHA", 2024) == (300, 0), "the authorization itself is the first transfer"

    # 3. Solar of 2024 with Sweden, for other purposes: only use or cancellation counts.
    accepted(world.issue("solar", 500, 2024, project="solar", effective=ISSUED_2024))
    message = op.Authorize(
        authorization="GHA-SWE-1",
        party="GHA",
        approach="CA0007",
        terms=terms("use or cancellation", batches=["solar"]),
        date=date(2025, 5, 2),
        evidence=evidence(),
    )
    accepted(world.run("gha-epa", message))
    accepted(world.send("gh", "se", 0, None, op.Range(batch="solar", first=0, units=500)))
    assert world.sums("GHA", 2024) == (300, 0), "going to Sweden is no first transfer here"
    accepted(world.cancel("se", 120))
    assert world.sums("GHA", 2024) == (420, 0), "the cancellation is the first transfer"

    # Switzerland uses 700 tonnes towards its NDC, for 2025; Ghana's airline uses CORSIA units.
    accepted(world.use("ch", 700, 2025))
    assert world.sums("CHE", 2025) == (0, 700), "use is subtracted by the user in the year of use"
    accepted(world.use("gh", 100, kind=op.Purposeful.OIMP, scheme="CORSIA"))
    assert world.sums("GHA", 2024) == (420, 0), "it was first transferred when it was authorized"

    # Ghana revokes what Sweden has: 120 stay adjusted, 380 are restricted, a notice is open.
    revocation = op.RevokeAuthorization(
        authorization="GHA-SWE-1", reason="over-crediting", date=date(2025, 12, 2), evidence=evidence()
    )
    accepted(world.run("gha-epa", revocation))
    revoked = world.events_of(EventKind.AUTHORIZATION_REVOKED)[0]
    assert (revoked.fact("spared"), revoked.fact("restricted")) == ("120", "380")
    check_told(world)
    refused = world.cancel("se", 10)
    assert refused.refusal is not None
    assert refused.refusal.reason in (Reason.UNITS_RESTRICTED, Reason.INSUFFICIENT_UNITS)
    assert world.sums("GHA", 2024) == (420, 0)
    assert world.sums("SWE", 2025) == (0, 0), "nobody subtracts what was used for other purposes"
