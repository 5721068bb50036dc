"""Printed serials: what the registry would write for a part of a batch, or nothing."""

from __future__ import annotations

import pytest

from keeling.serials import parse
from node.reads.serials import print_serials
from node.reads.view import ReadState
from tests.node.reads.trading_world import SERIAL, opened

CASES = [
    ("verra", SERIAL, 1_001, 100, SERIAL),
    ("verra", SERIAL, 1_009, 1, SERIAL.replace("1001-1100", "1009-1009")),
    ("verra/1", SERIAL, 1_009, 1, SERIAL.replace("1001-1100", "1009-1009")),
    ("verra", SERIAL, 5, 2, SERIAL.replace("1001-1100", "5-6")),
    ("opaque", "opaque:KG_CO2E:isometric/iss_1#0-9", 0, 1_000, "opaque:KG_CO2E:isometric/iss_1#0-999"),
    ("verra", "", 1, 1, ""),
    ("verra", "something else", 1, 1, ""),
    ("nobody's", SERIAL, 1, 1, ""),
    ("verra/99", SERIAL, 1, 1, ""),
    ("", SERIAL, 1, 1, ""),
]


@pytest.mark.parametrize(("scheme", "form", "first", "units", "text"), CASES, ids=range(len(CASES)))
def test_a_part_is_printed_from_any_serial_of_the_batch(
    scheme: str, form: str, first: int, units: int, text: str
) -> None:
    batch = ReadState(opened().store).batch_named("out-1")[1]._replace(scheme=scheme, serial_form=form)
    printed = print_serials(batch, first, units)
    assert printed == text
    if printed:
        again = parse(printed)
        assert (again.first, again.units) == (batch.base + first, units)
