"""Which adapter a file belongs to, and what is said of one that was given to another."""

from __future__ import annotations

import csv
import io

import pytest

from adapters.exports import FileError, FileFault
from adapters.registry import FILE_ADAPTERS, UnknownRegistryError, find_adapter, parse_file, recognise_file
from tests.adapters.exports import SAMPLES

OWNERS = {
    "acr-cancellations.csv": ("acr", "cancellations"),
    "acr-issuances.csv": ("acr", "issuances"),
    "acr-retirements.csv": ("acr", "retirements"),
    "arb-issuances.csv": ("arb", "issuances"),
    "art-cancellations.csv": ("art", "cancellations"),
    "art-issuances.csv": ("art", "issuances"),
    "art-retirements.csv": ("art", "retirements"),
    "car-cancellations.csv": ("car", "cancellations"),
    "car-issuances.csv": ("car", "issuances"),
    "car-retirements-cp1252.csv": ("car", "retirements"),
    "cercarbono-issuances.csv": ("cercarbono", "issuances"),
    "cercarbono-retirements.csv": ("cercarbono", "retirements"),
    "gold-standard-issuances.csv": ("gold_standard", "issuances"),
    "gold-standard-retirements.csv": ("gold_standard", "retirements"),
    "isometric-issuances.csv": ("isometric", "issuances"),
    "isometric-retirements.csv": ("isometric", "retirements"),
    "verra-transactions.csv": ("verra", "transactions"),
}


def test_every_sample_has_an_owner() -> None:
    assert set(OWNERS) == {path.name for path in SAMPLES.glob("*.csv")}


@pytest.mark.parametrize("name", sorted(OWNERS))
def test_a_file_is_read_by_its_own_adapter_and_named_by_all_others(name: str) -> None:
    raw, (owner, kind) = (SAMPLES / name).read_bytes(), OWNERS[name]
    parsed = parse_file(owner, raw, file_name=name)
    assert (parsed.registry, parsed.kind) == (owner, kind)
    assert recognise_file(raw) == (owner, kind)
    for other in FILE_ADAPTERS.keys() - {owner}:
        with pytest.raises(FileError) as caught:
            parse_file(other, raw, file_name=name)
        assert caught.value.fault is FileFault.WRONG_FILE
        assert str(caught.value) == (
            f"{name}: found an export of {owner} ({kind}); expected an export of {other}; "
            f"import it with --registry {owner}"
        )


@pytest.mark.parametrize("name", sorted(OWNERS))
def test_a_renamed_column_is_named_with_the_nearest(name: str) -> None:
    owner, kind = OWNERS[name]
    rows = list(csv.reader(io.StringIO((SAMPLES / name).read_bytes().decode("cp1252"))))
    sheet = next(each for each in find_adapter(owner).sheets if each.layout.kind == kind)  # type: ignore[attr-defined]
    for column in sheet.layout.columns:
        if not column.required:
            continue
        at = next(place for place, heading in enumerate(rows[0]) if " ".join(heading.split()) in column.headings)
        renamed = [*rows[0][:at], f"{rows[0][at]}_x", *rows[0][at + 1 :]]
        with pytest.raises(FileError) as caught:
            parse_file(owner, (",".join(f'"{heading}"' for heading in renamed) + "\n").encode(), file_name=name)
        assert caught.value.fault is FileFault.HEADER, column
        assert f"{column.headings[0]!r} (nearest is " in str(caught.value)


def test_a_file_of_no_registry_is_said_to_be_one() -> None:
    with pytest.raises(FileError, match="found a header that begins 'colour, shape'; expected an export of verra"):
        parse_file("verra", b"colour,shape\n1,2\n", file_name="toys.csv")


def test_an_unknown_registry_lists_those_known() -> None:
    with pytest.raises(UnknownRegistryError, match="there are acr, arb, art, cadt, car"):
        find_adapter("eutl")


def test_names_may_have_hyphens() -> None:
    assert find_adapter("gold-standard").name == "gold_standard"
