"""What a registry's units are called here, and what their serials alone say of the issuance they are from. Pure.

Whoever brings units first, a file or an event, gives their batch and project the same names, so that the other finds
them known. What a serial does not say is None, which is not the same as a text that is empty: stated, and of no use.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

from adapters.exports import Period, RowRefused
from adapters.fields import batch_key, read_host, read_serial_day
from keeling.serials import SerialError, SerialRange, parse_segments, print_range


class Named(NamedTuple):
    """What is known of an issuance from a serial of it."""

    batch: str | None
    """Our name for the batch; None: it cannot be told from the serial."""
    project: str | None = None
    """The registry's public number, as files have it: without prefix and leading zeros."""
    host: str | None = None
    """ISO 3166-1 alpha-3; empty: a code of no country."""
    vintage: Period | None = None


def name_project(registry: str, project: str) -> str:
    """Our id of a registry's project: "verra:1340"."""
    return f"{registry}:{project}"


def describe_project(programme: str, project: str) -> str:
    """What a project is called that nobody gave a name."""
    return f"{programme} {project}"


def name_issuance(serials: SerialRange) -> Named:
    """What the serial of some units says of their issuance."""
    try:
        named = parse_segments(print_range(serials), serials.scheme)
        return _name(serials, named)
    except (SerialError, RowRefused, ValueError, KeyError):
        return Named(None)


def _name(serials: SerialRange, named: Mapping[str, str]) -> Named:
    match serials.scheme:
        case "verra":
            vintage = Period(read_serial_day(named["vintage_start"]), read_serial_day(named["vintage_end"]))
            project, host = named["project"].lstrip("0"), read_host(named["country"])
            return Named(batch_key(serials, named, 0), project, host, vintage)
        case "gold_standard" | "puro":
            batch, project = batch_key(serials, named, 0), named["project"].lstrip("0")
            return Named(batch, project, read_host(named["country"]), _year(named["vintage"]))
        case "puro_short_v2":
            return Named(batch_key(serials, named, 0))
        case "uka":  # one sequence for all of them, and no file to agree with
            return Named(f"{serials.space}:{serials.first}")
        case "a64er":
            return Named(batch_key(serials, named, 0), named["activity"], named["host"], _year(named["vintage"]))
        case "itmo":
            return Named(batch_key(serials, named, 0), None, named["party"], _year(named["vintage"]))
        case "icm_ccc":
            year = int(named["year"][:4])
            vintage = Period(date(year, 4, 1), date(year + 1, 3, 31))
            return Named(batch_key(serials, named, 0), named["entity"], "IND", vintage)
        case "irec_redex":
            produced = (
                date.fromisoformat(named["year"] + named[end]) for end in ("production_start", "production_end")
            )
            host = read_host(named["country"])
            return Named(batch_key(serials, named, 0), named["device"], host, Period(*produced))
    return Named(None)


def _year(text: str) -> Period:
    return Period(date(int(text), 1, 1), date(int(text), 12, 31))
