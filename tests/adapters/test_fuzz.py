"""Every file adapter on a great many damaged files: a one-line error or records, never anything else.

Files are our samples with bytes flipped, cut, doubled and swapped, by a seed that a failure prints. A slice runs
always; a million inputs for each adapter with `make soak`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from functools import cache

import pytest

from adapters.registry import FILE_ADAPTERS, recognise_file
from keeling.serials import SerialError, parse, print_range
from tests.adapters import test_cadt, test_cdop
from tests.adapters.exports import SAMPLES, check_outcome
from tests.keeling.serials.test_schemes import VALID

SLICE, SOAK = 150, 1_000_000
SPITE = (
    b'"',
    b",",
    b"\n",
    b"\r",
    b"\x00",
    b"\xff",
    b"\xe9",
    b";",
    b"\t",
    b"-",
    b"0",
    b"9" * 40,
    b"'",
    b"@",
    b"{",
    b"]",
)


@cache
def samples(registry: str) -> tuple[bytes, ...]:
    """Small files in the registry's form: one record, or the header and one row of our samples."""
    records = {"cadt": test_cadt.UNIT, "cdop": test_cdop.RECORD}
    if registry in records:
        return (json.dumps([records[registry]]).encode(),)
    found = []
    for path in sorted(SAMPLES.glob("*.csv")):
        known = recognise_file(path.read_bytes())
        if known is not None and known[0] == registry:
            header, *rows = path.read_bytes().split(b"\n")
            found += [b"\n".join([header, row, b""]) for row in rows if row.strip()]
    return tuple(found)


def damage(raw: bytes, chance: random.Random) -> bytes:
    """One file with a few things wrong."""
    spoilt = bytearray(raw)
    for _ in range(chance.randint(1, 4)):
        at, until = sorted(chance.randrange(len(spoilt) + 1) for _ in range(2))
        kind = chance.randrange(6)
        if kind == 0:
            spoilt[at:at] = chance.choice(SPITE)
        elif kind == 1:
            spoilt[at : min(until, at + 30)] = b""
        elif kind == 2 and at < len(spoilt):
            spoilt[at] = chance.randrange(256)
        elif kind == 3:
            spoilt[at:at] = spoilt[at : min(until, at + 200)]
        elif kind == 4:
            cells = bytes(spoilt).split(b",")
            one, two = chance.randrange(len(cells)), chance.randrange(len(cells))
            cells[one], cells[two] = cells[two], cells[one]
            spoilt[:] = b",".join(cells)
        else:
            spoilt[at:] = b""
    return bytes(spoilt)


def damaged(registry: str, amount: int, first_seed: int) -> Iterator[bytes]:
    whole = samples(registry)
    for seed in range(first_seed, first_seed + amount):
        chance = random.Random(seed)
        yield damage(chance.choice(whole), chance)


def check(registry: str, amount: int, first_seed: int) -> None:
    for at, raw in enumerate(damaged(registry, amount, first_seed)):
        try:
            check_outcome(registry, raw)
        except Exception as error:
            raise AssertionError(f"{registry}, seed {first_seed + at}: {error!r} on {raw!r}") from error


@pytest.mark.parametrize("registry", sorted(FILE_ADAPTERS))
def test_damaged_files_are_read_or_told(registry: str) -> None:
    assert samples(registry)
    check(registry, SLICE, 0)


@pytest.mark.soak
@pytest.mark.timeout(20_000)
@pytest.mark.parametrize("registry", sorted(FILE_ADAPTERS))
def test_a_million_damaged_files_are_read_or_told(registry: str) -> None:
    check(registry, SOAK, SLICE)


SERIALS = [row["text"] for row in VALID]


def check_serials(amount: int, first_seed: int) -> None:
    """What can be read is printed as it was, without the blanks around it; what cannot is a `SerialError`."""
    for seed in range(first_seed, first_seed + amount):
        chance = random.Random(seed)
        text = damage(chance.choice(SERIALS).encode(), chance).decode("latin-1")
        try:
            found = parse(text)
        except SerialError:
            continue
        assert print_range(found) == text.strip(), (seed, text)


def test_damaged_serials_are_read_exactly_or_not_at_all() -> None:
    check_serials(1_000, 0)


@pytest.mark.soak
@pytest.mark.timeout(20_000)
def test_a_million_damaged_serials_are_read_exactly_or_not_at_all() -> None:
    check_serials(SOAK, 1_000)
