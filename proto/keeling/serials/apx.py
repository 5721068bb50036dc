"""Serials of the registries of APX descent: ACR, the Climate Action Reserve, ART, and the certificates NAR and TIGR.

All print ` to ` between the numbers, which are unique below the full text before them (ACR's batch counter restarted
when it moved, so nothing less will do). Source: 311 of 311 rows of the public exports of April 2026; NAR and TIGR from
the vendor's documentation.
"""

from __future__ import annotations

from typing import Final

from keeling.serials.model import Grain
from keeling.serials.scheme import Piece, Scheme

_COUNTRY: Final = Piece(r"(?P<country>[A-Z]{2})-", "a two-letter country")
_PROJECT: Final = Piece(r"(?P<project>\d+)-", "the project number")
_VINTAGE: Final = Piece(r"(?P<vintage>\d{4})-", "the vintage year")
_BATCH: Final = Piece(r"(?P<batch>\d+)-", "the batch number")
_FIRST: Final = Piece(r"(?P<first>\d+)", "the number of the first unit")
_LAST: Final = Piece(r" to (?P<last>\d+)", "' to ' and the number of the last unit")
_MONTH: Final = Piece(r"(?P<month>\d{2})-(?P<year>\d{4})-", "month and year of production")

ACR: Final = Scheme(
    "acr",
    registry="acr",
    grain=Grain.T_CO2E,
    space=("country", "project", "vintage", "batch"),
    pieces=(
        Piece(r"ACR-", "ACR-"),
        _COUNTRY,
        _PROJECT,
        _VINTAGE,
        _BATCH,
        _FIRST,
        Piece(r"(?: to |-)(?P<last>\d+)", "' to ' and the number of the last unit"),
    ),
)
"""Brokers also write a hyphen for ` to `; both are the same units."""

CAR: Final = Scheme(
    "car",
    registry="car",
    grain=Grain.T_CO2E,
    space=("kind", "country", "project", "type", "account", "state", "vintage", "batch"),
    pieces=(
        Piece(r"CAR-", "CAR-"),
        Piece(r"(?P<kind>1|ROC)-", "1 (offset credit) or ROC (registry offset credit)"),
        _COUNTRY,
        _PROJECT,
        Piece(r"(?P<type>\d+)-", "the project type number"),
        Piece(r"(?P<account>\d+)-", "the account number"),
        Piece(r"(?P<state>[A-Z]{2,3})-", "the state"),
        _VINTAGE,
        _BATCH,
        _FIRST,
        _LAST,
    ),
)

ART: Final = Scheme(
    "art",
    registry="art",
    grain=Grain.T_CO2E,
    space=("standard", "country", "project", "vintage", "batch"),
    pieces=(
        Piece(r"(?P<standard>ART|FCPF)-", "ART- or FCPF-"),
        _COUNTRY,
        _PROJECT,
        _VINTAGE,
        _BATCH,
        _FIRST,
        _LAST,
    ),
)

NAR: Final = Scheme(
    "nar",
    registry="nar",
    grain=Grain.MWH_CERTIFICATE,
    space=("project", "state", "month", "year", "batch"),
    pieces=(
        Piece(r"NAR-REC-", "NAR-REC-"),
        _PROJECT,
        Piece(r"(?P<state>[A-Z]{2})-", "the state"),
        _MONTH,
        _BATCH,
        _FIRST,
        _LAST,
    ),
)

TIGR: Final = Scheme(
    "tigr",
    registry="tigr",
    grain=Grain.MWH_CERTIFICATE,
    space=("project", "country", "fuel", "month", "year", "batch"),
    pieces=(
        Piece(r"TIGR-", "TIGR-"),
        _PROJECT,
        _COUNTRY,
        Piece(r"(?P<fuel>[A-Z]{2})-", "the fuel"),
        _MONTH,
        _BATCH,
        _FIRST,
        _LAST,
    ),
)
