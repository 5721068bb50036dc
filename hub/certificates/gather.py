"""From an instruction to its certificates: what was captured, what was taken back since, and the proof of both.

One certificate for each capture. It is made anew whenever it is asked for, so that a reversal is in it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, Protocol

import grpc.aio

from hub.dispatch.wording import join_ranges
from hub.ledger_client import LedgerUnreachable
from hub.reconcile.report import format_instant
from hub.units import Names, Reader
from keeling.certificate import ENDINGS, Certificate, Origin, Purpose, Stretch, Withdrawal, format_when
from keeling.operations import When
from keeling.serials import print_range
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import log_pb2
from keeling.v1 import operations_pb2 as op
from keeling.v1.log_pb2_grpc import LogStub

EXPORT_S: Final = 60.0


class Ledger(Reader, Protocol):
    """What is needed of a ledger."""

    async def hold(self, hold: bytes) -> pb.HoldInfo: ...

    async def batch(self, batch: str) -> pb.Batch: ...

    async def find_lots(self, space: str, first: int, last: int) -> pb.FindLotsResponse: ...

    def events_of(self, account: str, after: tuple[int, int]) -> AsyncIterator[pb.Event]:
        """Events about an account after a place, up to now."""


class Prover(Protocol):
    """What makes proofs."""

    async def cut(self, account: str, from_ms: int, until_ms: int) -> bytes:
        """The audit bundle of what concerns an account in a period."""


class LogProver:
    """Proofs from a node."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: Any = LogStub(channel)

    async def cut(self, account: str, from_ms: int, until_ms: int) -> bytes:
        request = log_pb2.ExportRequest(account=account, from_ms=from_ms, until_ms=until_ms)
        try:
            return b"".join([chunk.data async for chunk in self._stub.Export(request, timeout=EXPORT_S)])
        except grpc.aio.AioRpcError as error:
            raise LedgerUnreachable(f"no proof: {error.details()}") from error


async def gather_certificates(
    ledger: Ledger, prover: Prover, network: bytes, hold: bytes, driver: str
) -> list[Certificate]:
    """The certificates of a hold, in the order of its captures; none: nothing was captured yet.

    `driver`: how the registry is reached by who makes them ("live", "sandbox", "file"; empty: it does not know).
    Raises `NotOnLedger` for a hold that does not exist, and other `LedgerError`s.
    """
    info = await ledger.hold(hold)
    endings: list[pb.Event] = []
    reversals: dict[str, list[pb.Event]] = {}
    async for event in ledger.events_of(info.account, (info.opened.height, info.opened.ordinal)):
        if event.kind in ENDINGS and _fact(event, "hold") == hold.hex():
            endings.append(event)
        elif event.kind == "REVERSED":
            reversals.setdefault(_fact(event, "reverses"), []).append(event)
    names = Names(ledger)
    return [
        (await _certify(ledger, names, prover, network, info, event, reversals.get(_place(event), [])))._replace(
            driver=driver
        )
        for event in endings
    ]


async def _certify(
    ledger: Ledger,
    names: Names,
    prover: Prover,
    network: bytes,
    info: pb.HoldInfo,
    event: pb.Event,
    reversals: Sequence[pb.Event],
) -> Certificate:
    lots = await _name_lots(names, event)
    moments = sorted({each.time_ms for each in (event, *reversals)})
    proofs = [await prover.cut(info.account, moment, moment + 1) for moment in moments]
    batches = [await ledger.batch(name) for name in dict.fromkeys(lot.batch for lot in lots)]
    return Certificate(
        network=network.hex(),
        hold=info.hold.hex(),
        ended=event.kind,
        event=_place(event),
        registry=info.registry,
        reference=_fact(event, "reference"),
        grade=_fact(event, "grade"),
        account=info.account,
        beneficiary=_fact(event, "beneficiary"),
        effective=_tell_when(event),
        recorded=format_instant(event.time_ms),
        grain=batches[0].grain,
        lots=lots,
        withdrawals=tuple([await _withdraw(names, each) for each in reversals]),
        proofs=tuple(proofs),
        purpose=_read_purpose(event),
        origins=tuple(_name_origin(batch) for batch in batches),
    )


def _read_purpose(event: pb.Event) -> Purpose | None:
    if event.kind != "USED":
        return None
    return Purpose(*(_fact(event, name) for name in Purpose._fields))


def _name_origin(batch: pb.Batch) -> Origin:
    return Origin(batch.batch, batch.programme, batch.project, batch.host, tell_vintage(batch))


def tell_vintage(batch: pb.Batch) -> str:
    """2023, or the days: 2020-07-01 to 2021-06-30; empty where none is known."""
    days = [format_when(When(each.ms, op.When.DATE)) for each in (batch.vintage_start, batch.vintage_end)]
    if not all(days):
        return "".join(days)
    first, last = days
    whole = first[:4] == last[:4] and first.endswith("-01-01") and last.endswith("-12-31")
    return first[:4] if whole else f"{first} to {last}"


async def _withdraw(names: Names, event: pb.Event) -> Withdrawal:
    lots = await _name_lots(names, event)
    recorded = format_instant(event.time_ms)
    return Withdrawal(_place(event), recorded, _fact(event, "reason"), _fact(event, "reference"), lots)


async def _name_lots(names: Names, event: pb.Event) -> tuple[Stretch, ...]:
    """What an event moved, neighbours joined, by the registry's names."""
    joined = join_ranges(move.range for move in event.moves)
    serials = await names.to_serials(joined)
    pairs = zip(joined, serials, strict=True)
    return tuple(Stretch(each.batch, each.first, each.units, print_range(serial)) for each, serial in pairs)


def _fact(event: pb.Event, name: str) -> str:
    return next((fact.value for fact in event.facts if fact.name == name), "")


def _place(event: pb.Event) -> str:
    return f"{event.place.height}.{event.place.ordinal}"


def _tell_when(event: pb.Event) -> str:
    if not event.HasField("effective"):
        return ""
    return format_when(When(event.effective.ms, event.effective.precision))
