"""Table 3: the rows a Party reports for its actions of a year. One action is no row, one, or one of each Party.

A cancellation that is itself the first transfer is one row, not two. What the row's Party did decides its type: the
giver of an international transfer reports the transfer, the taker the acquisition.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from hub.aef import nomenclature as n
from hub.aef.layout import ACTIONS, Edition, Row, make_row
from hub.aef.ledger import Action, Picture, format_date, format_time, to_moment
from keeling.operations import When

FIRST_BY_ADAPTATION: Final = "First transfer of these ITMOs"
"""Stands beside a transfer to the Adaptation Fund that first transferred them: the type cannot say both."""


class Reported(NamedTuple):
    """An action as one Party reports it."""

    action: Action
    type: str
    subtype: str
    when: When
    transferring: str = n.NOT_APPLICABLE
    acquiring: str = n.NOT_APPLICABLE
    user: str = n.NOT_APPLICABLE
    purpose: str = n.NOT_APPLICABLE
    entity: str = n.NOT_APPLICABLE
    year: str = n.NOT_APPLICABLE
    notes: str = ""


def reported_by(picture: Picture, party: str, year: int) -> list[Reported]:
    """What a Party reports for a year, by time, then place on the ledger."""
    found = []
    for action in picture.actions:
        host = picture.authorization(action.authorization, action.version).facts["party"]
        found += [item for item in _as_reported(action, party, host) if to_moment(item.when).year == year]
    found.sort(key=lambda item: (item.when.ms, item.action.place, item.action.skip, item.type))
    return found


def _as_reported(action: Action, party: str, host: str) -> list[Reported]:
    when = action.when
    if action.kind in ("AUTHORIZE", "ISSUE"):
        subtype = n.ON_ISSUANCE if action.kind == "ISSUE" else n.ON_AUTHORIZATION
        type_ = n.FIRST_TRANSFER if action.first_transfer else n.AUTHORIZATION
        return [Reported(action, type_, subtype, when)] if party == host else []
    if action.kind == "LEVY_OMGE":
        return [Reported(action, n.FIRST_TRANSFER, n.MANDATORY_OMGE, when, user=host)] if party == host else []
    if action.kind in ("LEVY_ADAPTATION", "ADAPTATION"):
        subtype = n.MANDATORY_ADAPTATION if action.kind == "LEVY_ADAPTATION" else n.VOLUNTARY_ADAPTATION
        notes = FIRST_BY_ADAPTATION if action.first_transfer else ""
        return [Reported(action, n.TRANSFER, subtype, when, notes=notes)] if party == action.from_party else []
    if action.kind == "TRANSFER":
        return _transfer(action, party)
    if action.kind == "USE":
        return _use(action, party, host)
    return _cancellation(action, party, host)


def _transfer(action: Action, party: str) -> list[Reported]:
    if party == action.from_party:
        first = (n.FIRST_TRANSFER, n.TO_ANOTHER_PARTY)
        names = first if action.first_transfer else (n.TRANSFER, n.NOT_YET_DEFINED)
        return [Reported(action, *names, action.given, acquiring=action.to_party)]
    if party == action.to_party:
        return [Reported(action, n.ACQUISITION, "", action.got, transferring=action.from_party)]
    return []


def _use(action: Action, party: str, host: str) -> list[Reported]:
    user, entity = action.from_party, action.facts.get("entity", "") or n.NOT_APPLICABLE
    if action.facts["purpose"] == "NDC":
        year = action.facts["use_year"]
        used = Reported(action, n.USE, "", action.when, user=user, entity=entity, year=year)
        return [used] if party == user else []
    purpose = action.facts.get("scheme", "") or action.facts["purpose"]
    names = (n.FIRST_TRANSFER, n.ON_USE_OR_CANCELLATION)
    first = Reported(action, *names, action.when, user=user, entity=entity, purpose=purpose)
    if action.first_transfer and party == host:
        return [first]
    return [first._replace(type=n.USE, subtype="")] if party == user else []


def _cancellation(action: Action, party: str, host: str) -> list[Reported]:
    kind = action.facts.get("cancellation", "")
    subtype = n.VOLUNTARY_OMGE if kind == "OMGE" else n.OTHER_CANCELLATIONS
    type_ = n.VOLUNTARY_CANCELLATION if kind == "VOLUNTARY" else n.CANCELLATION
    user, entity = action.from_party, action.facts.get("entity", "") or n.NOT_APPLICABLE
    ended = Reported(action, type_, subtype, action.when, user=user, entity=entity)
    if action.first_transfer and party == host:
        first = n.VOLUNTARY_OMGE if kind == "OMGE" else n.ON_USE_OR_CANCELLATION
        return [ended._replace(type=n.FIRST_TRANSFER, subtype=first)]
    return [ended] if party == user else []


def make_action_row(picture: Picture, item: Reported, registry: str, edition: Edition) -> Row:
    """The row of Table 3."""
    time = format_time(item.when) if edition.action_times else format_date(item.when)
    return make_row(
        ACTIONS,
        ActionDateTime=time,
        ActionType=item.type,
        ActionSubtype=item.subtype,
        TransferringPartyID=item.transferring,
        AcquiringPartyID=item.acquiring,
        PurposeITMOUsedForOIMP=item.purpose,
        Using_cancellingPartyID=item.user,
        Using_cancellingEntityID=item.entity,
        YearITMOUsedTowardsNDC=item.year,
        AdditionalExplanatoryInformation=item.notes,
        **identity_cells(picture, item.action, item.action.skip, item.action.units, registry, edition),
    )


def identity_cells(
    picture: Picture, action: Action, skip: int, units: int, registry: str, edition: Edition
) -> dict[str, str]:
    """What Tables 3 and 4 say of a range: `units` from the action's first unit plus `skip` on.

    With whole numbers as ids, the registry is the reporting Party's own, and the originating registry is only in the
    full identifier, which the ledger keeps.
    """
    facts = action.facts
    version = picture.authorization(action.authorization, action.version).facts
    metric = version.get("non_ghg_metric", "")
    first = int(facts["first_id"]) + skip
    last = first + units - 1
    head, _, vintage = facts["itmo"].rsplit("-", 2)
    cells = {
        "CooperativeApproachID": version["approach"],
        "AuthorizationID": action.authorization,
        "FirstTransferringPartyID": version["party"],
        "PartyITMORegistryID": registry,
        "FirstID": str(first) if edition.whole_ids else f"{head}-{first}-{vintage}",
        "LastID": str(last) if edition.whole_ids else f"{head}-{last}-{vintage}",
        "UnderlyingUnitRegistryID": facts.get("underlying", n.NOT_APPLICABLE),
        "Metric": "non-GHG" if metric else "GHG",
        "GWPValues": version.get("gwp", "") or n.NOT_APPLICABLE,
        "Non_GHGMetric": metric or n.NOT_APPLICABLE,
        "QuantityCO2": n.NOT_APPLICABLE if metric else str(units),
        "QuantityNon_GHG": str(units) if metric else n.NOT_APPLICABLE,
        "MitigationType": version.get("mitigation_type", ""),
        "Vintage": facts["vintage"],
    }
    for name, fact in (("UnderlyingUnitFirstUnitID", "first_unit"), ("UnderlyingUnitLastUnitID", "last_unit")):
        cells[name] = n.NOT_APPLICABLE
        if fact in facts:
            cells[name] = str(int(facts["first_unit"]) + skip + (units - 1 if fact == "last_unit" else 0))
    return cells
