"""A ledger founded with the standard records and the UNFCCC's registry, and intakes that bring it news."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.contract import Change, ChangeKind, Moment
from hub.inbound.intake import Defaults, Desk, Intake
from hub.inbound.waiting import WaitingList
from hub.ledger_client import digest_of
from keeling.serials import parse
from keeling.v1 import operations_pb2 as op
from network.standard_records import build_standard_records
from tests.cli.importing.rows import lots_of
from tests.hub.inbound.scene import tell
from tests.hub.memory_ledger import MemoryLedger
from tests.node.reads.trading_world import IndexedWorld

ROLES: dict[str, Sequence[str]] = {"natreg": ("registry",), "acme": ("group",), "other": ("group",)}
ISSUED, RETIRED = ChangeKind.ISSUED, ChangeKind.RETIRED


class Deaf:
    async def hear(self, registry: str, change: Change) -> bool:
        return False


def records(importer: str = "natreg") -> list[op.SetRecord]:
    """The standard ones, and the UNFCCC's registry with the levies of Article 6.4."""
    policy = op.RegistryPolicy(
        scheme="a64er", attestors=[importer], importers=[importer], capture_grade="B", attestors_needed=1
    )
    levies = [
        op.Levy(name="SOP", basis_points=500, rounding=op.Levy.UP, kind=op.Levy.ADAPTATION, account="x"),
        op.Levy(name="OMGE", basis_points=200, rounding=op.Levy.UP, kind=op.Levy.OMGE, cancelled=True, account="x"),
    ]
    rules = op.Programme(
        registry="unfccc",
        grain="T_CO2E",
        scheme="a64er",
        transfer_rule=op.Programme.FREE,
        retirable=True,
        levies=levies,
    )
    return [
        *build_standard_records("natreg"),
        op.SetRecord(id="registry:unfccc", version=1, source="test", registry=policy),
        op.SetRecord(id="A6.4ER", version=1, source="test", programme=rules),
    ]


class Registry:
    """The ledger, and intakes that remember nothing of each other but the waiting list of a folder."""

    def __init__(self, world: IndexedWorld, issued: Mapping[str, Defaults] | None = None) -> None:
        self.world, self.issued = world, issued or {}
        self.ledger = MemoryLedger(world, "natreg")
        self.waiting = WaitingList(None, lambda: world.now_ms)

    def intake(self) -> Intake:
        desk = Desk(self.ledger, {}, Deaf(), digest_of, waiting=self.waiting, issued=self.issued)
        return Intake(desk)

    async def take(self, registry: str, *changes: Change, grade: str = "B") -> list[str]:
        return tell(await self.intake().take(registry, changes, grade))

    def lots(self, batch: str) -> list[tuple[int, int, str, str]]:
        return lots_of(self.world, batch)

    def said(self, kind: type[Any]) -> list[Any]:
        return [each for each in self.ledger.said if isinstance(each, kind)]


def open_registry(issued: Mapping[str, Defaults] | None = None, importer: str = "natreg") -> Registry:
    return Registry(IndexedWorld(ROLES, records(importer)), issued)


def verra(first: int, last: int, kind: ChangeKind = ISSUED, name: str = "", at_ms: int = 1) -> Change:
    serials = parse(f"29001-{first}-{last}-VCS-VCU-1491-VER-RW-3-9101-01102024-31122024-0")
    return Change(name or f"{kind}/{first}", kind, at_ms, serials, effective=Moment(86_400_000, exact=False))
