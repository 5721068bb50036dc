"""How fast a registry's export is read: rows per second through a file adapter, on a file made here in its form.

Reading alone; what the rows do to a ledger is not measured here.
"""

from __future__ import annotations

import time

from adapters.exports import UnitRow
from adapters.registry import parse_file
from bench.figures import Figure, Section

HEADER = (
    "Issuance Date,Sustainable Development Goals,Vintage Start,Vintage End,ID,Name,Country/Area,Project Type,"
    "Methodology,Total Vintage Quantity,Quantity Issued,Serial Number,Additional Certifications,"
    "Retirement/Cancellation Date,Retirement Beneficiary,Retirement Reason,Retirement Details\n"
)
UNITS = 1_000


class ParseFailed(Exception):
    """The adapter did not take every row of a well-formed file."""


def make_verra_export(rows: int) -> bytes:
    """An export with this many rows of 1,000 units, every second of them retired."""
    return (HEADER + "".join(_row(i) for i in range(rows))).encode()


def _row(number: int) -> str:
    first = 3_000_000_000 + number * UNITS
    serial = f"30001-{first}-{first + UNITS - 1}-VCS-VCU-9001-VER-KE-14-90001-01012024-31122024-1"
    ended = "2026-03-02,Example Shipping Ltd,Environmental Benefit,Retired for 2025." if number % 2 else ",,,"
    return (
        "2026-02-10,13: Climate Action,2024-01-01,2024-12-31,90001,Example Mangrove Restoration,Kenya,"
        f'Agriculture Forestry and Other Land Use,VM0033,"120,000,000","1,000",{serial},ICVCM CCP,{ended}\n'
    )


def measure_parse(rows: int) -> Section:
    """Read a made-up Verra export on one core."""
    raw = make_verra_export(rows)
    started = time.perf_counter()
    records = parse_file("verra", raw, file_name="made-up.csv").rows()
    read = sum(isinstance(record, UnitRow) for record in records)
    seconds = time.perf_counter() - started
    if read != rows:
        raise ParseFailed(f"{read} of {rows} rows were read")
    figures = (
        Figure("rows read, one core", rows / seconds, "/s"),
        Figure("bytes read, one core", len(raw) / seconds / 1e6, "MB/s"),
    )
    return Section("Import: reading a registry's file", f"{rows:,} rows in Verra's form, made up.", figures)
