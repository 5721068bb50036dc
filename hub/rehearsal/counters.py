"""The registries of a rehearsal: a sandbox, the adapter to it, and units in the same account there and on the ledger.

Each has two bundles of units in one space with a gap between: stock, which is sold, and spare units, so that a registry
that uses other serials than it was asked for has some that nobody else was promised.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from adapters.contract import Adapter, Driver, Settings
from adapters.sandbox import puro, verra
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.server import Sandbox
from adapters.systems import open_system
from keeling.serials import SerialRange, parse

GAP: Final = 1_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS


class Kind(NamedTuple):
    """What a rehearsal must know of a registry to set it up."""

    system: str
    """Its key in `adapters.systems`."""
    build: Callable[[SandboxClock, int], Sandbox]
    printed: str
    """A serial with places for first and last number, and for which of several registries of the kind it is."""
    first: int
    account: str
    secrets: dict[str, str]
    programme: str
    settling_ms: int
    """Of its record on the ledger."""
    tells: bool
    """It decides at once or pushes a notice; else its outcomes are found by asking after a cycle."""


KINDS: Final = (
    Kind(
        "puro",
        puro.PuroSandbox,
        "PURO_PR_CORC100+_FI_643002_2024_40980b1a-cff7-4c78-9cc5-a3a2f18c7e{which:02x}_{first}-{last}",
        1,
        puro.ACCOUNTS[0],
        {"key-id": puro.KEY_ID, "key-secret": puro.KEY_SECRET},
        "CORC",
        60_000,
        True,
    ),
    Kind(
        "verra",
        verra.VerraSandbox,
        "19385-{first}-{last}-VCS-VCU-1507-VER-ET-14-{project}-01012020-31122020-1",
        1,
        verra.ACCOUNTS[0],
        {"appkey": verra.APPKEY, "desk-token": verra.TOKEN},
        "VCS",
        2 * DAY_MS,
        False,
    ),
    Kind(
        "puro",
        lambda clock, seed: puro.PuroSandbox(clock, seed, approval_ms=HOUR_MS),
        "PURO_PR_CORC100+_FI_643002_2024_40980b1a-cff7-4c78-9cc5-a3a2f18c7e{which:02x}_{first}-{last}",
        1,
        puro.ACCOUNTS[0],
        {"key-id": puro.KEY_ID, "key-secret": puro.KEY_SECRET},
        "CORC",
        60_000,
        True,
    ),
    Kind(
        "verra",
        verra.VerraSandbox,
        "19385-{first}-{last}-VCS-VCU-1507-VER-ET-14-{project}-01012020-31122020-1",
        1,
        verra.ACCOUNTS[0],
        {"appkey": verra.APPKEY, "desk-token": verra.TOKEN},
        "VCS",
        2 * DAY_MS,
        False,
    ),
)
"""By what they are like: a key and an answer at once; a desk once a day without any key; a person who approves within
the hour; and a second desk, with weather of its own."""


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
    def stock_batch(self) -> str:
        return f"{self.registry}-stock"

    @property
    def spare_batch(self) -> str:
        return f"{self.registry}-spare"

    def open_adapter(self, timeout_ms: int) -> Adapter:
        """A line of one hub's own; close it."""
        settings = Settings(self.sandbox.base_url, self.kind.secrets.__getitem__, (self.kind.account,), timeout_ms)
        return open_system(self.kind.system, Driver.SANDBOX, settings)


def build_counters(wanted: int, clock: SandboxClock, stock: int, spare: int, seed: int = 0) -> list[Counter]:
    """Make so many registries with units; they do not listen yet."""
    counters = []
    for place in range(wanted):
        kind = KINDS[place % len(KINDS)]
        sandbox = kind.build(clock, seed + place)
        again = place >= len({each.system for each in KINDS})
        name = f"{kind.system}-{place + 1}" if again else kind.system
        first = kind.first if kind.system != "verra" else (1340 + place) * 10_000_000
        low = _print(kind, place, first, spare)
        high = _print(kind, place, first + spare + GAP, stock)
        for item in (low, high):
            sandbox.book.issue(clock.now_ms, item, kind.account)
        counters.append(Counter(name, kind, sandbox, low, high))
    return counters


def _print(kind: Kind, place: int, first: int, units: int) -> SerialRange:
    last = first + units - 1
    return parse(kind.printed.format(which=place, first=first, last=last, project=1340 + place))
