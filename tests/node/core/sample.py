"""One sample ledger that the tables of cases start from, and short builders for what they submit.

Everything a rule can look at is there once: programmes of every kind, linked and unlinked accounts, a mirrored batch
seen in part. `sample_world` gives each test its own copy.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from google.protobuf.message import Message

from keeling.reasons import Reason
from keeling.units import Purpose
from keeling.v1 import operations_pb2 as op
from tests.fakes.world import START_MS, Person, World

DAY_MS = 86_400_000
PARTICIPANTS = {
    "reg": ["registry"],
    "verra": ["registry"],
    "importer": ["auditor"],
    "alice": ["group"],
    "bob": ["group"],
    "mallory": ["group"],
    "hub": ["group"],
    "ex": ["exchange"],
    "bank": ["bank"],
    "verifier": ["verifier"],
    "authority": ["authority"],
}
PEOPLE = (
    Person("ravi", "alice"),
    Person("two", "hub"),
    Person("clerk", "alice", int(Purpose.SUBMIT)),
)


def second_key() -> Person:
    """Another key of alice's first person."""
    person = Person("ops", "alice")
    other = Person("second", "alice")
    person.seed, person.key = other.seed, other.key
    return person


def programme(
    name: str, native: bool = True, rule: op.Programme.TransferRule.ValueType = op.Programme.FREE, **fields: Any
) -> op.SetRecord:
    body = op.Programme(
        registry="reg" if native else "verra",
        native=native,
        scheme="opaque",
        transfer_rule=rule,
        **{"grain": "T_CO2E", "retirable": True, **fields},
    )
    return op.SetRecord(id=name, version=1, source="test", programme=body)


def levies(rounding: op.Levy.Rounding.ValueType) -> list[op.Levy]:
    return [
        op.Levy(name="SOP", basis_points=500, account="SOP", rounding=rounding),
        op.Levy(name="OMGE", basis_points=200, account="OMGE", cancelled=True, rounding=rounding),
    ]


def records() -> list[op.SetRecord]:
    ended = programme("OLD")
    ended.effective_to.CopyFrom(op.When(ms=DAY_MS, precision=op.When.DATE))
    verra = op.RegistryPolicy(
        scheme="opaque",
        attestors=["verra", "alice"],
        importers=["importer"],
        capture_grade="B",
        attestors_needed=1,
        settling_ms=60_000,
    )
    two = op.RegistryPolicy(scheme="opaque", attestors=["verra", "importer"], capture_grade="C", attestors_needed=2)
    return [
        programme("NAT"),
        programme("KG", grain="KG_CO2E"),
        programme("A64", levies=levies(op.Levy.UP)),
        programme("A64-DOWN", levies=levies(op.Levy.DOWN)),
        programme("CCC", rule=op.Programme.EXCHANGE_ONLY, exchanges=["ex"]),
        programme("AT-REGISTRY", rule=op.Programme.REGISTRY_ONLY),
        programme("FIXED", rule=op.Programme.NONE),
        programme("LINKED", rule=op.Programme.WITHIN_LINK),
        programme("EX-ANTE", retirable=False),
        programme("VERIFIED", verifier_needed=True),
        programme("WINDOW", reversal_window_ms=1000),
        programme("VCS", native=False),
        programme("VCS-FIXED", native=False, rule=op.Programme.NONE),
        ended,
        op.SetRecord(id="registry:verra", version=1, source="test", registry=verra),
        op.SetRecord(id="registry:two", version=1, source="test", registry=two),
        op.SetRecord(id="a-rule", version=1, source="test", rule=op.Rule(value="42")),
    ]


def when(ms: int = START_MS) -> op.When:
    return op.When(ms=ms, precision=op.When.INSTANT)


def evidence(grade: str = "B", reference: str = "REF-1") -> op.Evidence:
    return op.Evidence(digest=b"\x05" * 32, grade=grade, reference=reference)


def ranges(*items: tuple[str, int, int]) -> list[op.Range]:
    return [op.Range(batch=batch, first=first, units=units) for batch, first, units in items]


def some(units: int = 0, *items: tuple[str, int, int], **fields: Any) -> op.Selection:
    return op.Selection(units=units, ranges=ranges(*items), **fields)


def leg(giver: str, taker: str, selection: op.Selection | None = None) -> op.UnitLeg:
    return op.UnitLeg(from_account=giver, to_account=taker, selection=selection)


def cash(giver: str, taker: str, amount: int, currency: str = "INR@bank") -> op.CashLeg:
    return op.CashLeg(from_account=giver, to_account=taker, currency=currency, amount=amount)


def give(giver: str, taker: str, units: int = 0, *items: tuple[str, int, int], **fields: Any) -> op.Transfer:
    return op.Transfer(units=[leg(giver, taker, some(units, *items, **fields))])


def issue(batch: str, programme_id: str, units: int, account: str, first: int = 1, **fields: Any) -> op.Issue:
    return op.Issue(
        batch=batch,
        project=f"project-{programme_id}",
        programme=programme_id,
        first_number=str(first),
        units=units,
        account=account,
        **{"space": f"space of {batch}", "extent": op.Issue.EXACT, **fields},
    )


def seen(first: int, units: int, status: int = op.Observation.ACTIVE, **fields: Any) -> op.Observation:
    """`status` may be one that nobody defined."""
    return op.Observation(**{"first_number": str(first), "units": units, "status": status, **fields})


def hold(account: str, selection: op.Selection, purpose: int = op.Hold.FOR_RETIREMENT, **fields: Any) -> op.Hold:
    """`purpose` may be one that nobody defined."""
    fields = {"hold": HOLD, "expires_ms": START_MS + 2 * DAY_MS, "purpose": purpose, **fields}
    return op.Hold(account=account, selection=selection, **fields)


HOLD = b"hold-number-one!"
MANDATE = op.GrantMandate(
    account="A",
    mandate="m",
    grantee="ex",
    operations=[40, 41],
    units_each=50,
    units_total=80,
    programme="NAT",
    price_min=100,
    price_max=200,
    currency="INR@bank",
    until_ms=START_MS + DAY_MS,
)
FOUR_EYES = op.AccountPolicy(rules=[op.ApprovalRule(from_units=100, approvals=2)], delay_ms=DAY_MS)


class Case(NamedTuple):
    """One row: what is submitted by whom, after which accepted steps, and the reason it ends with (None: accepted)."""

    name: str
    reason: Reason | None
    by: str
    operation: Message
    approvals: tuple[str, ...] = ()
    before: tuple[tuple[str, Message] | tuple[str, Message, tuple[str, ...]], ...] = ()
    later_ms: int = 0


@cache
def _built() -> World:
    world = World(PARTICIPANTS, records(), PEOPLE)
    world.people["alice/second"] = second_key()
    grant = world.people["alice/second"].grant()
    world.must("alice", op.RotateKey(add=op.KeyGrant(key=grant.key, person=grant.person, purposes=grant.purposes)))
    for account, owner in ACCOUNTS.items():
        world.must(owner, op.OpenAccount(account=account, owner=owner, policy=POLICIES.get(account)))
    for account, owner, theirs in (("L1", "alice", "ACC-1"), ("L2", "bob", "ACC-2"), ("L3", "bob", "ACC-1")):
        link = op.Link(account=account, registry="verra", registry_account=theirs, hub="hub", control=op.Link.CUSTODY)
        world.must(owner, link)
    world.must("alice", op.CloseAccount(account="CLOSED"))
    for record in records():
        if record.HasField("programme") and record.id != "OLD":
            issuer = "reg" if record.programme.native else "verra"
            project = op.RegisterProject(project=f"project-{record.id}", programme=record.id, name="P", host="MMR")
            world.must(issuer, project)
    for batch, name, account in (
        ("nat", "NAT", "A"),
        ("eyes", "NAT", "EYES"),
        ("kg", "KG", "A"),
        ("ccc", "CCC", "A"),
        ("at-registry", "AT-REGISTRY", "A"),
        ("fixed", "FIXED", "A"),
        ("linked", "LINKED", "A"),
        ("ex-ante", "EX-ANTE", "A"),
        ("window", "WINDOW", "A"),
    ):
        world.must("reg", issue(batch, name, 1000, account))
    world.must("verra", issue("vcs", "VCS", 10_000, "L1"))
    world.must("verra", issue("vcs-fixed", "VCS-FIXED", 100, "L1"))
    partly = issue("partly", "VCS", 1000, "", extent=op.Issue.AT_LEAST, observations=[seen(1, 100), seen(901, 100)])
    world.must("importer", partly)
    world.must("bank", op.IssueCash(account="B", currency="INR@bank", amount=84_999_999, scale=2))
    return world


ACCOUNTS = {
    "A": "alice",
    "A-OTHER": "alice",
    "EYES": "alice",
    "CLOSED": "alice",
    "B": "bob",
    "INCOMING": "bob",
    "M": "mallory",
    "SOP": "reg",
    "OMGE": "reg",
    "L1": "alice",
    "L2": "bob",
    "L3": "bob",
}
POLICIES = {"EYES": FOUR_EYES, "INCOMING": op.AccountPolicy(incoming_approved=True)}


def sample_world() -> World:
    """A fresh copy of the sample ledger."""
    return _built().clone()
