"""Serials of BioCarbon, Plan Vivo and SocialCarbon.

Source: 207, 24 and 98 serials of the registries' public pages. BioCarbon and SocialCarbon number below the full text
before the range, Plan Vivo (assumed) below unit kind, project and period.
"""

from __future__ import annotations

from typing import Final

from keeling.serials.model import Grain
from keeling.serials.scheme import Piece, Scheme

BIOCARBON: Final = Scheme(
    "biocarbon",
    registry="biocarbon",
    grain=Grain.T_CO2E,
    space=("standard", "country", "holder", "scope", "project", "verification", "vintage_start", "vintage_end"),
    pieces=(
        Piece(r"(?P<standard>BCR|PCR)-", "BCR- or PCR-"),
        Piece(r"(?P<country>[A-Z]{2})-", "a two-letter country"),
        Piece(r"(?P<holder>[A-Z0-9]+)-", "the holder"),
        Piece(r"(?P<scope>\d+)-", "the scope"),
        Piece(r"(?P<project>\d+)-", "the project's sequence number"),
        Piece(r"(?P<verification>\d+|R)-", "the verification number, or R for the reserve"),
        Piece(r"(?P<vintage_start>\d{4})-", "the vintage start as YYMM"),
        Piece(r"(?P<vintage_end>\d{4})-", "the vintage end as YYMM"),
        Piece(r"(?P<first>\d{7})-", "the first number with seven digits"),
        Piece(r"(?P<last>\d{7})", "the last number with seven digits"),
    ),
)

PLAN_VIVO: Final = Scheme(
    "plan_vivo",
    registry="plan_vivo",
    grain=Grain.T_CO2E,
    space=("unit", "project", "vintage_start", "vintage_end"),
    pieces=(
        Piece(r"PV-", "PV-"),
        Piece(r"(?P<unit>PVC|rPVC|fPVC|vPVC)-", "PVC, rPVC, fPVC or vPVC"),
        Piece(r"(?P<country>[A-Z]{2})-", "a two-letter country"),
        Piece(r"(?P<project>\d{15})-", "the project as 15 digits"),
        Piece(r"(?P<vintage_start>\d{8})-", "the vintage start as DDMMYYYY"),
        Piece(r"(?P<vintage_end>\d{8})-", "the vintage end as DDMMYYYY"),
        Piece(r"(?P<first>\d+)-", "the number of the first unit"),
        Piece(r"(?P<last>\d+)-", "the number of the last unit"),
        Piece(r"(?P<platform>MER|SPG)", "MER or SPG"),
        Piece(r"(?:-\d-[A-Z])?", "a digit and a letter, or nothing"),
    ),
)
"""`fPVC` are future units: never to be retired as achieved reductions."""

SOCIAL_CARBON: Final = Scheme(
    "social_carbon",
    registry="social_carbon",
    grain=Grain.T_CO2E,
    space=("unit", "project", "country", "vintage", "batch"),
    pieces=(
        Piece(r"(?:SCU|SC-(?P<unit>[A-Z]+ - [A-Za-z]+))-", "SCU or SC- and an asset type"),
        Piece(r"SOCIALCARBON-", "SOCIALCARBON-"),
        Piece(r"(?P<project>\d+)-", "the project number"),
        Piece(r"(?P<country>[A-Za-z ]+)-", "the country's name"),
        Piece(r"(?P<vintage>\d{4})-", "the vintage year"),
        Piece(r"(?P<batch>\d{14})-", "the batch as a 14-digit time"),
        Piece(r"(?P<first>\d+)-", "the number of the first unit"),
        Piece(r"(?P<last>\d+)", "the number of the last unit"),
    ),
)
