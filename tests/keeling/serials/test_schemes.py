"""Every scheme on vectors of real serials, any numbers and any text: read, printed back as it was, or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeling.serials import (
    CURRENT,
    SCHEMES,
    Grain,
    SerialError,
    SerialFault,
    SerialRange,
    detect_scheme,
    find_scheme,
    number_opaque,
    parse,
    parse_fields,
    parse_form,
    parse_itmo_tolerant,
    parse_segments,
    parse_widest,
    print_label,
    print_range,
)

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "serials.json").read_text(encoding="utf-8")
)
VALID = VECTORS["valid"]


def read(row: dict[str, Any]) -> SerialRange:
    return parse(row["text"], row["scheme"], units=row["units"])


@pytest.mark.parametrize("row", VALID, ids=lambda row: f"{row['scheme']}-{row['units']}")
def test_valid(row: dict[str, Any]) -> None:
    serials = read(row)
    assert (serials.space, serials.first, serials.last) == (row["space"], int(row["first"]), int(row["last"]))
    assert (serials.units, serials.grain) == (row["units"], Grain[row["grain"]])
    assert print_range(serials) == row["text"]
    assert detect_scheme(f"  {row['text']}\n").name == row["scheme"]


@pytest.mark.parametrize("row", VECTORS["labels"], ids=lambda row: row["text"])
def test_serials_without_a_range_take_it_from_other_fields(row: dict[str, Any]) -> None:
    serials = parse_fields(row["text"], 0, 9, row["scheme"])
    assert (serials.first, serials.last, print_label(serials)) == (0, 9, row["text"])
    assert detect_scheme(row["text"]).name == row["scheme"]


@pytest.mark.parametrize("row", VALID, ids=lambda row: f"{row['scheme']}-{row['units']}")
def test_units_are_looked_for_where_their_serial_says(row: dict[str, Any]) -> None:
    """Isometric's may end one earlier than it prints; nothing but the quantity beside it would tell."""
    space, first, last, sure = parse_widest(f" {row['text']} ")
    assert (space, first, sure) == (row["space"], int(row["first"]), row["scheme"] != "isometric")
    assert last in (int(row["last"]), int(row["last"]) + (not sure))


@pytest.mark.parametrize("row", VECTORS["labels"], ids=lambda row: row["text"])
def test_a_serial_without_numbers_stands_for_all_it_has(row: dict[str, Any]) -> None:
    part = parse_fields(row["text"], 0, 9, row["scheme"])
    assert parse_widest(row["text"]) == (part.space, 0, (1 << 63) - 1, False)
    assert parse_widest(f"{row['text']}#0-9") == (part.space, 0, 9, True)


@pytest.mark.parametrize("row", VECTORS["invalid"], ids=lambda row: f"{row['fault']}-{row['text'][:40]}")
def test_invalid(row: dict[str, Any]) -> None:
    with pytest.raises(SerialError) as caught:
        parse(row["text"], row["scheme"])
    assert caught.value.fault == row["fault"]


def test_every_scheme_has_a_vector_and_every_version_stays() -> None:
    assert {row["scheme"] for row in VALID} == set(CURRENT)
    assert set(SCHEMES) >= {(name, 1) for name in CURRENT}


def test_grain_numbers_are_ledger_facts() -> None:
    expected = [("T_CO2E", 1), ("KG_CO2E", 2), ("MWH_CERTIFICATE", 3), ("WH", 4), ("SHORT_TON", 5), ("CCC", 6)]
    assert [(grain.name, grain.value) for grain in Grain] == [*expected, ("OPAQUE", 7)]


@given(st.sampled_from(VALID), st.integers(0, 10**30), st.integers(0, 10**9), st.integers(0, 12), st.data())
def test_any_numbers_print_and_read_back(
    row: dict[str, Any], first: int, size: int, pad: int, data: st.DataObject
) -> None:
    fixed_digits = {"biocarbon": 7, "puro_short_v1": 30}.get(row["scheme"], 0)
    bound = {"biocarbon": 10**7 - 1, "puro_short_v1": 10**30 - 1, "a64er": 10**15 - 1, "icm_ccc": 10**15 - 1}.get(
        row["scheme"], 10**31
    )
    strict = row["scheme"] in ("itmo", "itmo_undp", "a64er", "icm_ccc")
    first = min(max(first, 1), bound)
    width = fixed_digits or (0 if strict else pad)
    serials = read(row)._replace(first=first, last=min(first + size, bound), width=width)
    text = print_range(serials)
    again = parse(text, row["scheme"], units=serials.units)
    assert (again.first, again.last) == (serials.first, serials.last)
    if not row["scheme"].startswith("puro"):  # whose numbers of thirty digits have a space of their own
        assert again.space == row["space"]
    assert print_range(again) == text
    cut = data.draw(st.integers(serials.first, serials.last))
    left, right = serials.part(serials.first, cut), serials.part(cut, serials.last)
    assert left.units + right.units == serials.units + 1
    assert left.overlaps(right)
    part = parse(print_range(left), row["scheme"], units=left.units)
    assert (part.first, part.last) == (left.first, left.last)


@pytest.mark.parametrize("name", sorted(CURRENT))
@settings(max_examples=25)
@given(data=st.data())
def test_any_text_of_the_right_shape_prints_as_it_was(name: str, data: st.DataObject) -> None:
    shape = "".join(piece.pattern for piece in CURRENT[name].pieces)
    text = data.draw(st.from_regex(shape, fullmatch=True, alphabet=st.characters(max_codepoint=127)))
    try:
        serials = parse(text, name, units=None if name != "isometric" else 1)
    except SerialError as error:
        assert error.fault is not SerialFault.UNKNOWN_SCHEME  # noqa: PT017
    else:
        assert print_range(serials) == text


@given(st.text(max_size=60) | st.sampled_from(VALID).flatmap(lambda row: st.text().map(lambda end: row["text"] + end)))
def test_any_text_at_all_is_a_range_or_a_serial_error(text: str) -> None:
    try:
        assert parse(text).units > 0
    except SerialError as error:
        assert str(error)  # noqa: PT017


def test_near_misses_say_how_far_each_scheme_got() -> None:
    with pytest.raises(SerialError) as caught:
        parse("8339-449183249-449183748-VCS-VCU-4721-VCS-KEN-14-2023-01012023-31122023-0")
    best = caught.value.near[0]
    assert (best.scheme, best.expected) == ("verra", "the registry code VER")
    assert best.read == "8339-449183249-449183748-VCS-VCU-4721-"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ACR-US-192-2010-203-1-5000", "ACR-US-0192-2010-203-5000 to 6000"),
        (
            "PURO_PR_CORC_FR_181856_2021_8646834b-ea59-4167-996e-16d8a084cfc1_"
            "643002406555908610000000273330-643002406555908610000000273379",
            "643002406555908610000000273379-643002406555908610000000273380",
        ),
        (
            "PURO_PR_CORC100+_US_517437_2025_40980b1a-cff7-4c78-9cc5-a3a2f18c7e0d_1-3272",
            "40980b1a-cff7-4c78-9cc5-a3a2f18c7e0d_3272-3273",
        ),
        ("GS1-1-KE-GS7-16-2025-30-1-10", "GS1-1-UG-GS7-16-2025-30-10-11"),
        ("CDC_28_1_11_321_14_R6_1A_CO_1_4_2023#1-10", "CDC_28_1_11_321_14_R17_1A_CO_1_4_2023#10-11"),
    ],
)
def test_two_spellings_of_one_unit_overlap(one: str, other: str) -> None:
    assert parse(one).overlaps(parse(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ACR-US-1187-2025-2-1 to 16820", "ACR-US-1187-2025-3-1 to 16820"),
        ("GS1-1-KE-GS7-16-2025-30-1-10", "GS1-1-KE-GS7-16-2024-30-1-10"),
        ("CAR-1-US-1335-31-983-KS-2025-9205-1 to 5000", "CAR-ROC-US-1335-31-983-KS-2025-9205-1 to 5000"),
        ("CDC_28_1_11_321_14_R6_1A_CO_1_4_2023#1-10", "CDC_28_1_11_321_14_R6_1B_CO_1_4_2023#1-10"),
        ("CDC_28_1_11_321_14_R6_1A_CO_1_4_2023#1-10", "CDC_28_1_11_321_14_R6_1A_CO_1_4_BFC_2023#1-10"),
        ("CDC_28_1_11_321_14_XX_XX_CO_1_4_2023#1-10", "CDC_28_1_11_321_14_R1_XX_CO_1_4_2023#1-10"),
        ("CDC_2_1_1_321_14_1#0-9", "CDC_2_1_1_321_14_1_BF#0-9"),
    ],
)
def test_equal_numbers_in_two_spaces_are_different_units(one: str, other: str) -> None:
    assert not parse(one).overlaps(parse(other))


def test_only_the_inside_of_a_range_can_be_cut() -> None:
    serials = parse("ACR-US-1187-2025-2-1 to 16820")
    for first, last in [(0, 1), (5, 4), (16820, 16821)]:
        with pytest.raises(SerialError, match="is not a part of 1 to 16820"):
            serials.part(first, last)


def test_a_part_of_an_itmo_range_of_one_unit_is_an_identifier() -> None:
    serials = parse("CA0004-GHA01-GHA-1-2023 - CA0004-GHA01-GHA-1000-2023")
    assert print_range(serials.part(7, 7)) == "CA0004-GHA01-GHA-7-2023"


def test_the_tolerant_reader_takes_thousands_commas_and_prints_none() -> None:
    assert print_range(parse_itmo_tolerant("CA0004-VUT01-VUT-1,234,567-2024")) == "CA0004-VUT01-VUT-1234567-2024"
    with pytest.raises(SerialError):
        parse_itmo_tolerant("CA0004-GHA01-GHA-12,34-2023")


def test_a_part_of_an_exclusive_isometric_range_keeps_its_spelling() -> None:
    serials = parse("ISO-1-BSTORE-GBR-F5X7-2024-78177-81177", units=3000)
    assert print_range(serials.part(78177, 79176)) == "ISO-1-BSTORE-GBR-F5X7-2024-78177-79177"


def test_positions_without_a_registrys_numbers() -> None:
    serials = number_opaque("isometric", "iss_1KP6EDZ8K1S036PY", 2_765_370, Grain.KG_CO2E)
    assert (serials.units, serials.grain, serials.space) == (
        2_765_370,
        Grain.KG_CO2E,
        "opaque:isometric/iss_1KP6EDZ8K1S036PY",
    )
    assert parse(print_range(serials)) == serials
    with pytest.raises(SerialError):
        number_opaque("isometric", "two words", 1, Grain.KG_CO2E)
    with pytest.raises(SerialError):
        number_opaque("isometric", "iss_1", 0, Grain.KG_CO2E)


def test_ranges_from_fields_are_refused_where_the_text_has_one() -> None:
    with pytest.raises(SerialError, match="use parse"):
        parse_fields("ACR-US-1187-2025-2-1 to 16820", 1, 2, "acr")
    with pytest.raises(SerialError, match="already"):
        parse_fields("CDC_2_1_1_321_14_1#0-9", 1, 2, "cercarbono")


def test_segments_are_the_registrys_words() -> None:
    assert parse_segments("FCPF-CI-130-2023-20-1 to 46404", "art") == {
        "standard": "FCPF",
        "country": "CI",
        "project": "130",
        "vintage": "2023",
        "batch": "20",
        "first": "1",
        "last": "46404",
    }


def test_a_batch_may_show_another_spelling_of_its_registry_and_no_other_registrys() -> None:
    issuance = "40980b1a-cff7-4c78-9cc5-a3a2f18c7e0d"
    short, long = f"{issuance}_1-9", f"PURO_PR_CORC100+_FI_643002_2024_{issuance}_1-9"
    puro = find_scheme("puro")
    assert [parse_form(puro, text).scheme for text in (long, short)] == ["puro", "puro_short_v2"]
    assert parse_form(puro, short, 9).units == 9
    for scheme, text, units in (
        ("verra", short, None),
        ("puro", "UKA-1-9", None),
        ("puro", short, 8),
        ("puro", "x", None),
    ):
        with pytest.raises(SerialError):
            parse_form(find_scheme(scheme), text, units)
