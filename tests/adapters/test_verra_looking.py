"""Looking up in Verra's public rows: a row that shows twice is one, and a likely row is not passed by."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from adapters.answers import ShapeError
from adapters.capabilities import Action
from adapters.contract import ChangeKind, Instruction, Question, Report
from adapters.sandbox.faults import Fault, FaultKind
from adapters.verra.mapping import recognise
from adapters.verra.rows import EndRow
from adapters.web import Line, Reply
from keeling.serials import parse
from tests.adapters import test_verra_exchange as verra
from tests.adapters.exchange_stand import DAY_MS

SERIAL = "19385-{}-{}-VCS-VCU-1507-VER-ET-14-1340-01012020-31122020-1"
ASKED = Instruction(
    "k", Action.RETIRE, "8294", (parse(SERIAL.format(1001, 1100), "verra"),), details={"beneficiary": "Asha Textiles"}
)
OTHERS = parse(SERIAL.format(5001, 5100), "verra")
ROW = EndRow(7, ChangeKind.RETIRED, OTHERS, 100 * DAY_MS, "8294", "Asha Textiles", "", b"{}")
QUESTION = Question(ASKED, (), 100 * DAY_MS)


@pytest.mark.parametrize(
    ("row", "doubted"),
    [
        (ROW, True),
        (ROW._replace(owner="asha  textiles"), True),
        (ROW._replace(owner="Somebody Else"), False),
        (ROW._replace(owner=""), False),
        (ROW._replace(serials=parse(SERIAL.format(5001, 5099), "verra")), False),
        (ROW._replace(key="other"), False),
        (ROW._replace(day_ms=90 * DAY_MS), False),
    ],
)
def test_as_many_other_units_for_the_same_beneficiary_could_be_ours(row: EndRow, doubted: bool) -> None:
    """The portal may use other units than those named, and the person may forget the key: it is not sent again then."""
    if doubted:
        with pytest.raises(ShapeError, match="person must look"):
            recognise([row], QUESTION)
    else:
        assert recognise([row], QUESTION) is None


def test_a_row_that_stands_on_two_pages_counts_once() -> None:
    """New rows push older ones to the next page while it is read."""

    async def run() -> None:
        async with verra.TestVerra().stand() as stand:
            stand.sandbox.faults.add(Fault(FaultKind.PARTIAL_OPEN, "DESK", value=500))
            said = await stand.adapter.instruct(stand.instruction())
            stand.settle()
            call = Line._call

            async def push_down(line: Line, method: str, path: str, params: Any, headers: Any, body: Any) -> Any:
                if "/retirements/" not in path:
                    return await call(line, method, path, params, headers, body)
                again = b'"start":1' in body
                reply = await call(line, method, path, params, headers, body.replace(b'"start":1', b'"start":0'))
                assert isinstance(reply, Reply)
                return reply._replace(json={**reply.json, "totalEntities": 2, "start": int(again)})

            assert isinstance(said, Report)
            Line._call = push_down  # type: ignore[method-assign, assignment]
            try:
                found = await stand.ask(stand.instruction(), said)
            finally:
                Line._call = call  # type: ignore[method-assign]
            assert isinstance(found, Report), found
            assert (found.done_units, found.pending_units) == (50, 50)

    asyncio.run(run())
