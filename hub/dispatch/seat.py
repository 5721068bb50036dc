"""What a dispatcher is given: the ledger, the adapters, the shelf, the clock. Every door to the outside is here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from google.protobuf.message import Message as Operation

from adapters.capabilities import Limit
from adapters.contract import Adapter
from hub.dispatch.breaker import BreakerRule
from hub.ledger_client import Receipt
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op


class Ledger(Protocol):
    """What the dispatcher needs of `hub.ledger_client.LedgerClient`, whose promises these are."""

    async def submit(self, *operations: Operation, number: bytes | None = None, attests: bool = False) -> Receipt: ...

    async def hold(self, hold: bytes) -> pb.HoldInfo: ...

    async def live_holds(self) -> list[pb.HoldInfo]: ...

    async def account(self, account: str) -> pb.Account: ...

    async def accounts(self) -> list[pb.Account]: ...

    async def lots(self, *, account: str = "", batch: str = "", state: str = "") -> list[pb.Lot]: ...

    async def restrictions(self, account: str, prefix: str = "") -> list[pb.RestrictionInfo]: ...

    async def batch(self, batch: str) -> pb.Batch: ...

    async def find_lots(self, space: str, first: int, last: int) -> pb.FindLotsResponse: ...

    async def registry_policy(self, registry: str) -> op.RegistryPolicy: ...

    async def find_receipt(self, number: bytes) -> Receipt | None: ...

    async def event_at(self, height: int, ordinal: int) -> pb.Event: ...

    def events_of(self, account: str, after: tuple[int, int]) -> AsyncIterator[pb.Event]: ...


class Seat(NamedTuple):
    """One hub of one participant."""

    participant: str
    ledger: Ledger
    adapters: Mapping[str, Adapter]
    """By the name of the registry on the ledger."""
    keep: Callable[[bytes], bytes]
    """Puts a document on the shelf and returns its SHA-256."""
    now_ms: Callable[[], int]
    """The hub's clock. It may differ from ledger time; rules that matter are checked by the ledger again."""
    jitter: Callable[[], int]
    """0 to 1000, random."""
    details: Callable[[pb.HoldInfo], Mapping[str, str]]
    """Words for the registry about a hold: always the same for the same hold."""
    salt_keys: tuple[bytes, ...] = (b"",)
    """Keys of the salts of what is dispatched, the one in use first; secret, and the same for all processes of the hub.
    An empty one hides nothing: for rehearsals alone."""
    rule: BreakerRule = BreakerRule()
    timeout_ms: int = 20_000
    """The longest a call to a registry takes; what the adapters were opened with."""
    at_once: int = 32
    """Holds of a registry worked on at the same time."""
    limits: Mapping[str, tuple[Limit, ...]] = {}
    """By registry, what was agreed with it instead of what its adapter knows; none at all: an empty tuple."""
    quiet: Path | None = None
    """The folder in which it outlives the process until when registries want to be left alone; None: it does not."""
    tell: Callable[[str, Mapping[str, Any]], None] = lambda _said, _about: None
    """Hears what people may look for later, and what it is about; a running hub writes it in its log."""


def describe_buyer(hold: pb.HoldInfo) -> dict[str, str]:
    """The words when nothing else is known: the buyer, or the holder, by the name that is public on the ledger."""
    return {"beneficiary": hold.buyer or hold.holder}
