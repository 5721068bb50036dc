"""Verra's serials: one space for all, padding, the scope that may be absent, and what is refused."""

from __future__ import annotations

import pytest

from keeling.serials import SerialError, SerialFault, parse, parse_segments, print_range

SERIAL = "19385-941467007-941467431-VCS-VCU-1507-VER-ET-14-1340-01012020-31122020-1"


def test_numbers_are_global_so_every_serial_is_in_one_space() -> None:
    serials = parse(SERIAL)
    assert (serials.space, serials.first, serials.last, serials.units) == ("verra", 941467007, 941467431, 425)


def test_a_part_prints_as_the_registry_would() -> None:
    part = parse(SERIAL).part(941467010, 941467010)
    assert print_range(part) == "19385-941467010-941467010-VCS-VCU-1507-VER-ET-14-1340-01012020-31122020-1"


def test_padding_survives_a_split() -> None:
    part = parse("0001-000001-000100-VCS-VCU-003-VER-US-0003-01012020-31122020-1").part(2, 100)
    assert print_range(part) == "0001-000002-000100-VCS-VCU-003-VER-US-0003-01012020-31122020-1"


def test_the_scope_may_be_absent() -> None:
    segments = parse_segments("19902-1139690318-1139925921-VCS-VCU-500-VER-US-3352-01012024-31122024-0", "verra")
    assert segments["project"] == "3352"
    assert "scope" not in segments


def test_one_unit_under_two_texts_overlaps() -> None:
    child = SERIAL.replace("19385-941467007-941467431", "19999-941467431-941467500")
    assert parse(SERIAL).overlaps(parse(child))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (SERIAL * 5, SerialFault.TOO_LONG),
        (SERIAL.replace("VER", "VCS"), SerialFault.WRONG_SHAPE),
        (SERIAL.replace("ET", "ETH"), SerialFault.WRONG_SHAPE),
        (SERIAL + " x", SerialFault.WRONG_SHAPE),
        (SERIAL.replace("1", "\N{ARABIC-INDIC DIGIT ONE}"), SerialFault.WRONG_SHAPE),
        (SERIAL.replace("941467431", "0941467431"), SerialFault.PADDING),
        (SERIAL.replace("941467431", "941467006"), SerialFault.END_BEFORE_START),
    ],
)
def test_refusals(text: str, fault: SerialFault) -> None:
    with pytest.raises(SerialError) as caught:
        parse(text, "verra")
    assert caught.value.fault is fault


def test_a_disagreeing_quantity_is_refused() -> None:
    with pytest.raises(SerialError, match="holds 425 units, but 424 are stated"):
        parse(SERIAL, units=424)
