"""One Party's report on one year, from the ledger's events: a pure function, so that a year can be rebuilt at any time.

Actions belong to the UTC year of their effective time, or of the Party's own recognition of a transfer. What the tables
look like is in `layout`; the rows of Table 3 are made in `actions`, those of Table 4 in `holdings`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import pycountry

from hub.aef import nomenclature as n
from hub.aef.actions import make_action_row, reported_by
from hub.aef.holdings import hold_at_year_end, make_holding_row
from hub.aef.layout import AUTHORIZATIONS, CURRENT, ENTITIES, SUBMISSION, Edition, Report, Row, make_row
from hub.aef.ledger import Authorization, Picture, format_date, to_moment
from keeling.operations import When, WhenPrecision

_PURPOSES: Final = {
    "NDC": "NDC",
    "OIMP": "OIMP",
    "IMP": "IMP",
    "OP": "OP",
    "NDC_AND_OIMP": "NDC and OIMP",
    "NDC_AND_IMP": "NDC and IMP",
    "NDC_AND_OP": "NDC and OP",
}
_DEFINITIONS: Final = {
    "AUTHORIZATION": "Authorisation",
    "ISSUANCE": "Issuance",
    "USE_OR_CANCELLATION": "Use or Cancellation",
}
SEPARATOR: Final = "; "
"""Between several values in one cell."""


class ReportError(ValueError):
    """The report cannot be made; the text says what is missing."""


class Stated(NamedTuple):
    """What Table 1 says and the ledger may not: version and date of the submission. None: as the ledger has them."""

    version: str | None = None
    date: When | None = None


def build_report(
    picture: Picture, party: str, year: int, stated: Stated | None = None, edition: Edition = CURRENT
) -> Report:
    """The five tables of `party` for `year`. Raises `ReportError` where the Party is not on record."""
    if party not in picture.parties:
        raise ReportError(f"no Party {party} is on record; there are {', '.join(sorted(picture.parties)) or 'none'}")
    actions = reported_by(picture, party, year)
    held = hold_at_year_end(picture, party, year)
    registry = picture.parties[party].get("itmo_registry", "")
    named = {(item.action.authorization, item.action.version) for item in actions}
    named |= {(item.authorization, item.version) for item in held}
    versions = [a for a in picture.authorizations if _is_reported(a, party, year, named)]
    versions.sort(key=lambda a: (a.name, a.version))
    return Report(
        edition,
        _submission(picture, party, year, stated or Stated()),
        tuple(_authorization(version) for version in versions),
        tuple(make_action_row(picture, item, registry, edition) for item in actions),
        tuple(make_holding_row(picture, item, registry, edition) for item in held),
        _entities(versions, edition),
    )


def _is_reported(version: Authorization, party: str, year: int, named: set[tuple[str, int]]) -> bool:
    own = version.facts["party"] == party and to_moment(version.date).year <= year
    return own or (version.name, version.version) in named


def _submission(picture: Picture, party: str, year: int, stated: Stated) -> Row:
    """A version that was submitted keeps its date; else the next version, of the day of the newest event behind it."""
    facts = picture.parties[party]
    made = picture.submitted.get((party, year), ())
    version = stated.version or (_next_version(made[-1].version) if made else "1.0")
    dated = {item.version: item.date for item in made}
    date = stated.date or dated.get(version) or When(picture.time_ms, WhenPrecision.INSTANT)
    return make_row(
        SUBMISSION,
        ParticipatingParty=party,
        SubmissionVersion=version,
        ReportedYear=str(year),
        DateOfSubmission=format_date(date),
        FirstYearOfNDCPeriod=facts.get("ndc_first_year", ""),
        LastYearOfNDCPeriod=facts.get("ndc_last_year", ""),
    )


def _next_version(version: str) -> str:
    major, _, minor = version.partition(".")
    return f"{major}.{int(minor) + 1}"


def _authorization(version: Authorization) -> Row:
    facts = version.facts
    other_purposes = facts["purpose"] != "NDC"
    metric = facts.get("non_ghg_metric", "")
    conditions = facts.get("conditions", "")
    if facts.get("conditional") == "yes":
        conditions = f"Conditional: {conditions}" if conditions else "Conditional"
    return make_row(
        AUTHORIZATIONS,
        AuthorizationID=version.name,
        DateOfAuthorization=format_date(version.date),
        CooperativeApproachID=facts["approach"],
        AuthorizationVersion=str(version.version),
        AuthorizedQuantity=facts.get("cap", ""),
        Metric="non-GHG" if metric else "GHG",
        GWPValues=facts.get("gwp", "") or n.NOT_APPLICABLE,
        Non_GHGMetric=metric or n.NOT_APPLICABLE,
        Sectors=facts.get("sectors", ""),
        ActivityType=facts.get("activity_types", ""),
        PurposeForAuthorization=_PURPOSES[facts["purpose"]],
        AuthorizedPartyIDs=SEPARATOR.join(facts.get("parties", "").split()),
        AuthorizedEntityIDs=SEPARATOR.join(entity["identification"] for entity in version.entities),
        OIMPAuthorized=facts.get("oimp", "") if other_purposes else n.NOT_APPLICABLE,
        AuthorizedTimeframe=facts.get("timeframe", ""),
        AuthorizationT_Cs=conditions,
        FirstTransferDefnForOIMP=_DEFINITIONS[facts["first_transfer"]] if other_purposes else n.NOT_APPLICABLE,
        AdditionalExplanatoryInformation=facts.get("notes", ""),
    )


def _entities(versions: Iterable[Authorization], edition: Edition) -> tuple[Row, ...]:
    """Each entity once for each authorization and what is said of it."""
    found: dict[Row, None] = {}
    for version in versions:
        for entity in version.entities:
            date = format_date(version.date)
            row = make_entity_row(date, version.facts["approach"], entity, edition)
            found[row] = None
    return tuple(found)


def make_entity_row(date: str, approach: str, entity: Mapping[str, str], edition: Edition) -> Row:
    """One row of Table 5: an authorized entity and what is said of it."""
    return make_row(
        ENTITIES,
        DateOfTheAuthorization=date,
        Name=entity["name"],
        CountryOfIncorporation=_print_country(entity["country"], edition),
        IdentificationNumber=entity["identification"],
        CooperativeApproachID=approach,
        Conditions=entity.get("conditions", ""),
        ChangeAndRevocationConditions=entity.get("change_conditions", ""),
        AdditionalExplanatoryInformation=entity.get("notes", ""),
    )


def _print_country(code: str, edition: Edition) -> str:
    """The alpha-3 code, or the name (ISO 3166-1) where the edition asks for one; a code it does not know stays."""
    if edition.country_codes:
        return code
    found = pycountry.countries.get(alpha_3=code)
    return str(found.name) if found is not None else code
