"""A small world for Article 6: Ghana hosts, Switzerland and Sweden buy; a registry issues; one account each.

Steps read as sentences; every helper asserts that the ledger took it. Events are looked at through `events_of`.
"""

from __future__ import annotations

import hashlib
from typing import Any

from keeling.encoding import Ref
from keeling.events import Event, EventKind
from keeling.v1 import operations_pb2 as op
from node.core import tables as t
from node.core.article6.records import PartyYear, Side
from node.core.block import Answer
from tests.fakes.world import World

DAY = 86_400_000
Y2021 = 1_609_459_200_000
AUTHORITIES = {"gha-epa": "GHA", "che-bafu": "CHE", "swe-energy": "SWE"}
TERMS = op.AuthorizationTerms
OIMP_FIRST = {
    "authorization": TERMS.AUTHORIZATION,
    "issuance": TERMS.ISSUANCE,
    "use or cancellation": TERMS.USE_OR_CANCELLATION,
}


def date(year: int, month: int = 1, day: int = 1) -> op.When:
    """A whole day in UTC."""
    days = (year - 2021) * 365 + (year - 2021) // 4 if year >= 2021 else (year - 2021) * 365 - (2024 - year) // 4
    lengths = [31, 29 if year % 4 == 0 else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    return op.When(ms=Y2021 + (days + sum(lengths[: month - 1]) + day - 1) * DAY, precision=op.When.DATE)


def evidence(text: str = "document") -> op.Evidence:
    return op.Evidence(digest=hashlib.sha256(text.encode()).digest(), grade="A", reference=text)


def programme(name: str = "GHA-CP", levies: Any = (), **fields: Any) -> op.SetRecord:
    body = op.Programme(
        registry="reg", native=True, grain="T_CO2E", scheme="opaque", transfer_rule=op.Programme.FREE, retirable=True
    )
    body.levies.extend(levies)
    for field, value in fields.items():
        setattr(body, field, value)
    return op.SetRecord(id=name, version=1, source="a test", programme=body)


def a64_levies(rounding: op.Levy.Rounding.ValueType = op.Levy.UP, exempt: tuple[str, ...] = ()) -> list[op.Levy]:
    """Article 6.4: 5 % for adaptation, then at least 2 % for overall mitigation, which is never rounded down."""
    return [
        op.Levy(name="SOP", basis_points=500, account="AF", rounding=rounding, kind=op.Levy.ADAPTATION, exempt=exempt),
        op.Levy(name="OMGE", basis_points=200, account="OMGE", cancelled=True, rounding=op.Levy.UP, kind=op.Levy.OMGE),
    ]


def party(code: str, authority: str, *participants: str, version: int = 1, **fields: Any) -> op.SetRecord:
    body = op.Party(
        party=code,
        alpha2=code[:2],
        itmo_registry=f"{code}01",
        authorities=[authority],
        participants=participants,
        ndc_first_year=2021,
        ndc_last_year=2025,
        method=op.Party.AVERAGING,
    )
    for field, value in fields.items():
        setattr(body, field, value)
    return op.SetRecord(id=f"party:{code}", version=version, source="a test", party=body)


def approach(
    name: str = "CA0004",
    parties: tuple[str, ...] = ("GHA", "CHE", "SWE"),
    state: op.CooperativeApproach.State.ValueType = op.CooperativeApproach.ACTIVE,
    reported: tuple[str, ...] | None = None,
    version: int = 1,
) -> op.SetRecord:
    reports = [
        op.InitialReport(party=code, digest=bytes(32), submitted=date(2021))
        for code in (parties if reported is None else reported)
    ]
    body = op.CooperativeApproach(approach=name, parties=parties, state=state, initial_reports=reports)
    return op.SetRecord(id=f"approach:{name}", version=version, source="a test", approach=body)


def terms(first: str = "", **fields: Any) -> op.AuthorizationTerms:
    """NDC use, or OIMP with the named definition of first transfer; for batch `b` unless something else is named."""
    made = TERMS(
        purpose=TERMS.OIMP if first else TERMS.NDC,
        first_transfer=OIMP_FIRST[first] if first else TERMS.FIRST_TRANSFER_UNSPECIFIED,
        sectors=["Waste management"],
        mitigation_type="Emission reductions",
    )
    if not {"batches", "projects", "programmes"} & set(fields):
        made.batches.append("b")
    for field, value in fields.items():
        if isinstance(value, list | tuple):
            getattr(made, field).extend(value)
        else:
            setattr(made, field, value)
    return made


class Parties(World):
    """Accounts: `gh` in Ghana, `ch` and `ch2` in Switzerland, `se` in Sweden, `AF` and `OMGE` of the registry's."""

    def __init__(self, *records: op.SetRecord, own: bool = True) -> None:
        given = list(records)
        named = {record.id for record in given}
        for record in (
            programme(),
            party("GHA", "gha-epa", "ghana-co"),
            party("CHE", "che-bafu", "swiss-co"),
            party("SWE", "swe-energy", "swedish-co"),
            approach(),
        ):
            if record.id not in named:
                given.append(record)
        roles: dict[str, tuple[str, ...]] = {"reg": ("registry",), **dict.fromkeys(AUTHORITIES, ("authority",))}
        roles |= {"ghana-co": ("group",), "swiss-co": ("group",), "swedish-co": ("group",), "nowhere-co": ("group",)}
        super().__init__(roles, records=given)
        for account, owner in (
            ("gh", "ghana-co"),
            ("gh2", "ghana-co"),
            ("ch", "swiss-co"),
            ("ch2", "swiss-co"),
            ("se", "swedish-co"),
            ("nw", "nowhere-co"),
            ("AF", "reg"),
            ("OMGE", "reg"),
        ):
            self.must(owner, op.OpenAccount(account=account, owner=owner))
        self.owners = {"gh": "ghana-co", "gh2": "ghana-co", "ch": "swiss-co", "ch2": "swiss-co", "se": "swedish-co"}
        self.owners |= {"nw": "nowhere-co", "AF": "reg", "OMGE": "reg"}
        self.projects: set[str] = set()

    def issue(self, batch: str = "b", units: int = 1000, vintage: int = 2023, **fields: Any) -> Answer:
        made: dict[str, Any] = {
            "programme": "GHA-CP",
            "project": "p",
            "account": "gh",
            "space": f"s/{batch}",
            "host": "GHA",
        } | fields
        host = made.pop("host")
        if made["project"] not in self.projects:
            self.projects.add(made["project"])
            named = {"project": made["project"], "programme": made["programme"]}
            self.must("reg", op.RegisterProject(**named, name="Project", host=host))
        span: dict[str, Any] = {
            "vintage_start": date(vintage),
            "vintage_end": date(vintage, 12, 31),
            "extent": op.Issue.EXACT,
        }
        first = made.pop("first_number", "1")
        message = op.Issue(batch=batch, first_number=first, units=units, **(span | made))
        return self.run("reg", message)

    def authorize(self, name: str = "GHA-1", when: op.When | None = None, by: str = "gha-epa", **fields: Any) -> Answer:
        made = {"terms": fields.pop("terms") if "terms" in fields else terms(**fields)}
        code = AUTHORITIES.get(by, "GHA")
        message = op.Authorize(
            authorization=name, party=code, approach="CA0004", date=when or date(2024), evidence=evidence(), **made
        )
        return self.run(by, message)

    def send(self, giver: str, taker: str, units: int = 0, when: op.When | None = None, *ranges: op.Range) -> Answer:
        selection = op.Selection(units=units) if units else op.Selection(ranges=ranges)
        leg = op.UnitLeg(from_account=giver, to_account=taker, selection=selection)
        return self.run(self.owners[giver], op.Transfer(units=[leg], effective=when or date(2025, 3, 14)))

    def use(self, account: str, units: int, year: int = 2025, when: op.When | None = None, **purpose: Any) -> Answer:
        made = op.Purposeful(**({"kind": op.Purposeful.NDC, "year": year} | purpose))
        message = op.Use(
            account=account, selection=op.Selection(units=units), use=made, effective=when or date(2025, 12, 1)
        )
        return self.run(self.owners[account], message)

    def cancel(
        self,
        account: str,
        units: int,
        kind: op.Cancel.Kind.ValueType = op.Cancel.VOLUNTARY,
        when: op.When | None = None,
    ) -> Answer:
        selection = op.Selection(units=units)
        message = op.Cancel(account=account, selection=selection, kind=kind, effective=when or date(2025, 12, 1))
        return self.run(self.owners[account], message)

    # -- looking

    def log(self) -> list[tuple[Ref, Event]]:
        """Every event of the ledger with its place."""
        return [(Ref(b.header.height, i), event) for b in self.blocks for i, event in enumerate(b.events)]

    def events_of(self, kind: EventKind) -> list[Event]:
        return [event for _, event in self.log() if event.kind == kind]

    def actions(self) -> list[tuple[str, str, int]]:
        """(action, "first" or "", units) of all actions, in order."""
        return [
            (e.fact("action"), "first" if e.fact("first_transfer") else "", int(e.fact("units")))
            for e in self.events_of(EventKind.ITMO_ACTION)
        ]

    def sums(self, code: str, year: int) -> tuple[int, int]:
        """(first transferred, used) of a Party and year, in tonnes."""
        ledger = self.state.get(t.PARTY_YEARS, code, year) or PartyYear((), (), None)
        found = {item.side: item.units for item in ledger.sums if not item.metric}
        return found.get(Side.HOST, 0), found.get(Side.USER, 0)


def accepted(answer: Answer) -> Answer:
    if answer.refusal is not None:
        raise AssertionError(f"expected acceptance, got {answer.refusal}")
    return answer
