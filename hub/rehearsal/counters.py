"""The registries of a rehearsal: a sandbox, the adapter to it, and units in the same account there and on the ledger.

Each has two bundles of units in one space with a gap between: stock, which is sold, and spare units with lower numbers,
so that a registry that uses other serials than it was asked for has some that nobody else was promised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias

from adapters.contract import Adapter, Driver, Settings
from adapters.sandbox import puro, uk_ets, unfccc, verra
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.exchange import HUB_CODE, HUB_SEED
from adapters.sandbox.server import Sandbox
from adapters.systems import open_system
from keeling.serials import SerialRange, parse
from keeling.v1 import operations_pb2 as op

GAP: Final = 1_000
MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
_BUNDLE: Final = 10_000_000
"""Numbers kept for each registry of a kind, where it is the numbers that tell them apart."""

Purpose: TypeAlias = op.Hold.Purpose.ValueType


class Kind(NamedTuple):
    """What a rehearsal must know of a registry to set it up."""

    system: str
    """Its key in `adapters.systems`."""
    build: Callable[[SandboxClock, int], Sandbox]
    printed: str
    """A serial with places for first and last number, and for which of several registries of the kind it is."""
    first: int
    account: str
    secrets: Mapping[str, str]
    programme: str
    settling_ms: int
    """Of its record on the ledger."""
    tells: bool
    """It decides at once or pushes a notice; else its outcomes are found by asking after a cycle."""
    purposes: tuple[Purpose, ...] = (op.Hold.FOR_RETIREMENT,)
    """What is asked of it, each as often as it stands here."""
    buyers_account: str = ""
    """Where it transfers to, if it does: an account of globex there."""
    whole: bool = False
    """It does what it is asked whole or not at all, on serials it chooses."""
    like: str = ""
    """In a word, for people."""


KINDS: Final = (
    Kind(
        system="puro",
        build=puro.PuroSandbox,
        printed="PURO_PR_CORC100+_FI_643002_2024_40980b1a-cff7-4c78-9cc5-a3a2f18c7e{which:02x}_{first}-{last}",
        first=1,
        account=puro.ACCOUNTS[0],
        secrets={"key-id": puro.KEY_ID, "key-secret": puro.KEY_SECRET},
        programme="CORC",
        settling_ms=MINUTE_MS,
        tells=True,
        like="a key, and an answer at once",
    ),
    Kind(
        system="verra",
        build=verra.VerraSandbox,
        printed="19385-{first}-{last}-VCS-VCU-1507-VER-ET-14-{project}-01012020-31122020-1",
        first=1340 * _BUNDLE,
        account=verra.ACCOUNTS[0],
        secrets={"appkey": verra.APPKEY, "desk-token": verra.TOKEN},
        programme="VCS",
        settling_ms=2 * DAY_MS,
        tells=False,
        like="no key, a desk once a day, the owner keeps control",
    ),
    Kind(
        system="uk_ets",
        build=uk_ets.UkEtsSandbox,
        printed="UKA-{first}-{last}",
        first=10_000_000_000,
        account=uk_ets.OURS,
        secrets={"initiator": uk_ets.INITIATOR, "approver": uk_ets.APPROVER},
        programme="UKA",
        settling_ms=10 * MINUTE_MS,
        tells=False,
        purposes=(*[op.Hold.FOR_CANCELLATION] * 7, op.Hold.FOR_TRANSFER),
        buyers_account=uk_ets.OUTSIDE,
        whole=True,
        like="proposals, a second person, delays in working days, it chooses the serials",
    ),
    Kind(
        system="unfccc",
        build=lambda clock, seed: unfccc.UnfcccSandbox(clock, seed, check_ms=10 * MINUTE_MS),
        printed="MMR-UN01-{which:04d}-2024-{first}-{last}",
        first=1,
        account=unfccc.HOLDING,
        secrets={"registry-code": HUB_CODE, "signing-key": HUB_SEED},
        programme="A64",
        settling_ms=10 * MINUTE_MS,
        tells=True,
        purposes=(op.Hold.FOR_RETIREMENT, op.Hold.FOR_CANCELLATION),
        like="signed messages, accepted and decided apart, events pushed",
    ),
)
"""Four that are deliberately different."""


class Counter(NamedTuple):
    """One registry of a rehearsal, where it stands open."""

    registry: str
    """Its key on the ledger."""
    kind: Kind
    sandbox: Sandbox
    spare: SerialRange
    stock: SerialRange

    @property
    def ledger_account(self) -> str:
        return f"acme/{self.registry}"

    @property
    def buyers_account(self) -> str:
        """globex's account on the ledger; empty: nothing is transferred at this registry."""
        return f"globex/{self.registry}" if self.kind.buyers_account else ""

    @property
    def stock_batch(self) -> str:
        return f"{self.registry}-stock"

    @property
    def spare_batch(self) -> str:
        return f"{self.registry}-spare"

    def open_adapter(self, timeout_ms: int) -> Adapter:
        """A line of one hub's own; close it."""
        secrets = dict(self.kind.secrets)
        if isinstance(self.sandbox, unfccc.UnfcccSandbox):
            secrets["their-key"] = self.sandbox.public_key
        settings = Settings(self.sandbox.base_url, secrets.__getitem__, (self.kind.account,), timeout_ms)
        return open_system(self.kind.system, Driver.SANDBOX, settings)


def build_counters(wanted: int, clock: SandboxClock, stock: int, spare: int, seed: int = 0) -> list[Counter]:
    """Make so many registries with units; they do not listen yet."""
    counters = []
    for place in range(wanted):
        kind = KINDS[place % len(KINDS)]
        sandbox = kind.build(clock, seed + place)
        name = f"{kind.system}-{place + 1}" if place >= len(KINDS) else kind.system
        first = kind.first + (_BUNDLE * place if kind.system in ("verra", "uk_ets") else 0)
        low = _print(kind, place, first, spare)
        high = _print(kind, place, first + spare + GAP, stock)
        for item in (low, high):
            sandbox.book.issue(clock.now_ms, item, kind.account)
        counters.append(Counter(name, kind, sandbox, low, high))
    return counters


def _print(kind: Kind, place: int, first: int, units: int) -> SerialRange:
    last = first + units - 1
    return parse(kind.printed.format(which=place, first=first, last=last, project=1340 + place))
