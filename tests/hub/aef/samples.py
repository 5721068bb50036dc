"""Reports to test with: one made from a small ledger, and the sheet's example rows written by hand."""

from __future__ import annotations

from hub.aef.build import Stated, build_report
from hub.aef.layout import ACTIONS, AUTHORIZATIONS, CURRENT, ENTITIES, HOLDINGS, SUBMISSION, Report, make_row
from hub.aef.ledger import Logged, Picture, read_picture
from keeling.v1 import operations_pb2 as op
from tests.node.core.article6.parties import Parties, accepted, date, evidence, terms


def picture_of(world: Parties) -> Picture:
    """The picture of everything a world's blocks say."""
    times = {block.header.height: block.header.time_ms for block in world.blocks}
    log = [Logged(place, times[place.height], event) for place, event in world.log()]
    return read_picture(world.genesis.records, log)


def report_of(world: Parties, party: str, year: int, stated: Stated | None = None) -> Report:
    return build_report(picture_of(world), party, year, stated)


def busy_world() -> Parties:
    """Ghana's units: authorized for NDC use, sent in parts, used, cancelled, and some reversed."""
    world = Parties()
    entity = op.AuthorizedEntity(participant="swiss-co", name="Swiss Co", country="CHE", identification="CHE-123")
    other = op.AuthorizedEntity(participant="swedish-co", name="Swedish Co", country="SWE", identification="SWE-9")
    accepted(world.issue("b", 1000, 2023))
    accepted(world.authorize("GHA-CHE-2024-001", terms=terms(entities=[entity, other], cap=5000)))
    accepted(world.issue("c", 300, 2024, project="q"))
    accepted(
        world.authorize("GHA-OIMP-2025", date(2025), terms=terms("use or cancellation", batches=["c"], oimp="CORSIA"))
    )
    sent = accepted(world.send("gh", "ch", 0, date(2025, 3, 14), op.Range(batch="b", first=0, units=1000)))
    assert sent.refusal is None
    place = next(p for p, e in reversed(world.log()) if e.fact("action") == "TRANSFER")
    for by, code, day in (("gha-epa", "GHA", 15), ("che-bafu", "CHE", 16)):
        message = op.Recognise(
            authorization="GHA-CHE-2024-001",
            height=place.height,
            ordinal=place.ordinal,
            party=code,
            at=date(2025, 3, day),
            evidence=evidence(),
        )
        accepted(world.run(by, message))
    accepted(world.send("ch", "se", 200, date(2025, 6, 1)))
    accepted(world.use("ch", 400, 2025, date(2025, 12, 1)))
    accepted(world.use("gh", 50, 2025, date(2025, 12, 2), kind=op.Purposeful.OIMP, scheme="CORSIA"))
    accepted(world.cancel("gh", 25, when=date(2025, 12, 3)))
    return world


_RANGE = {
    "CooperativeApproachID": "CA0004",
    "AuthorizationID": "GHA-CHE-2024-001",
    "FirstTransferringPartyID": "GHA",
    "UnderlyingUnitRegistryID": "NA",
    "UnderlyingUnitFirstUnitID": "NA",
    "UnderlyingUnitLastUnitID": "NA",
    "Metric": "GHG",
    "GWPValues": "NA",
    "Non_GHGMetric": "NA",
    "QuantityNon_GHG": "NA",
    "MitigationType": "Emission reductions",
    "Vintage": "2023",
}
_NOTHING = dict.fromkeys(
    (
        "TransferringPartyID",
        "AcquiringPartyID",
        "PurposeITMOUsedForOIMP",
        "Using_cancellingPartyID",
        "Using_cancellingEntityID",
        "YearITMOUsedTowardsNDC",
    ),
    "NA",
)


def action_row(when: str, type_: str, first: int, last: int, registry: str = "CHE01", **cells: str) -> tuple[str, ...]:
    """A row of Table 3 about the ITMOs `first` to `last`."""
    made = {
        "ActionDateTime": when,
        "ActionType": type_,
        "PartyITMORegistryID": registry,
        "FirstID": str(first),
        "LastID": str(last),
        "QuantityCO2": str(last - first + 1),
    }
    return make_row(ACTIONS, **{**_RANGE, **_NOTHING, **made, **cells})


def holding_row(first: int, last: int, registry: str = "CHE01", **cells: str) -> tuple[str, ...]:
    """A row of Table 4."""
    made = {"PartyITMORegistryID": registry, "FirstID": str(first), "LastID": str(last)}
    return make_row(HOLDINGS, **{**_RANGE, **made, "QuantityCO2": str(last - first + 1), **cells})


def hand_written() -> Report:
    """Switzerland's report of 2025: it acquired 1,000, used 400 and holds the rest."""
    return Report(
        CURRENT,
        make_row(
            SUBMISSION,
            ParticipatingParty="CHE",
            SubmissionVersion="1.0",
            ReportedYear="2025",
            DateOfSubmission="10/04/2026",
            FirstYearOfNDCPeriod="2021",
            LastYearOfNDCPeriod="2030",
        ),
        (
            make_row(
                AUTHORIZATIONS,
                AuthorizationID="GHA-CHE-2024-001",
                DateOfAuthorization="05/03/2024",
                CooperativeApproachID="CA0004",
                AuthorizationVersion="1",
                Metric="GHG",
                GWPValues="NA",
                Non_GHGMetric="NA",
                Sectors="Waste management; Energy generation",
                ActivityType="C02 usage",
                PurposeForAuthorization="NDC",
                AuthorizedPartyIDs="CHE",
                OIMPAuthorized="NA",
                AuthorizedTimeframe="2021 - 2030",
                FirstTransferDefnForOIMP="NA",
            ),
        ),
        (
            action_row("2025-03-15T10:00:00.000Z", "Acquisition", 1, 1000, TransferringPartyID="GHA"),
            action_row(
                "2025-12-01T12:00:00.000Z",
                "Use",
                1,
                400,
                Using_cancellingPartyID="CHE",
                Using_cancellingEntityID="CHE-123",
                YearITMOUsedTowardsNDC="2025",
            ),
        ),
        (holding_row(401, 1000),),
        (
            make_row(
                ENTITIES,
                DateOfTheAuthorization="05/03/2024",
                Name="Swiss Co",
                CountryOfIncorporation="CHE",
                IdentificationNumber="CHE-123",
                CooperativeApproachID="CA0004",
            ),
        ),
    )
