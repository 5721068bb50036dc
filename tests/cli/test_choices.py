"""Serials into positions: any part of any batch, and each batch is asked for once, however many ranges it has."""

from __future__ import annotations

from typing import Any, cast

import pytest

from cli.choices import find_positions
from cli.exits import ExitCode, Failed
from cli.session import Session
from keeling.serials import parse
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op

FORM = "19385-{}-{}-VCS-VCU-1507-VER-ET-14-1340-01012020-31122020-1"
SPACE = parse(FORM.format(1, 2)).space
BATCHES = [
    pb.Batch(batch="a", space=SPACE, first_number="100", last_number="199", base_number="100"),
    pb.Batch(batch="b", space=SPACE, first_number="200", last_number="299", base_number="150"),
    pb.Batch(batch="c", space=SPACE, first_number="400", last_number="499", base_number="400"),
]


class Ledger:
    """Answers as a node does, and counts the questions."""

    FindLots, GetBatch = "FindLots", "GetBatch"

    def __init__(self) -> None:
        self.ledger = self
        self.asked = 0

    def ask(self, call: str, request: Any) -> Any:
        self.asked += 1
        if call == self.GetBatch:
            return next(batch for batch in BATCHES if batch.batch == request.batch)
        first, last = int(request.first_number), int(request.last_number)
        shared = [each for each in BATCHES if int(each.first_number) <= last and first <= int(each.last_number)]
        return pb.FindLotsResponse(unseen=[op.Range(batch=each.batch) for each in shared])


def find(ledger: Ledger, *ends: tuple[int, int]) -> list[tuple[str, int, int]]:
    found = find_positions(cast(Session, ledger), [FORM.format(*each) for each in ends])
    return [(item.batch, item.first, item.units) for item in found]


@pytest.mark.parametrize(
    ("ends", "positions"),
    [
        ([(100, 199)], [("a", 0, 100)]),
        ([(110, 110)], [("a", 10, 1)]),
        ([(190, 209)], [("a", 90, 10), ("b", 50, 10)]),
        ([(210, 219), (100, 109)], [("b", 60, 10), ("a", 0, 10)]),
        ([(100, 109), (190, 299)], [("a", 0, 10), ("a", 90, 10), ("b", 50, 100)]),
        ([(200, 209), (195, 204), (400, 401)], [("b", 50, 10), ("a", 95, 5), ("b", 50, 5), ("c", 0, 2)]),
    ],
)
def test_serials_are_cut_by_batches(ends: list[tuple[int, int]], positions: list[tuple[str, int, int]]) -> None:
    assert find(Ledger(), *ends) == positions


def test_a_batch_is_asked_for_once() -> None:
    ledger = Ledger()
    assert len(find(ledger, *[(first, first) for first in range(100, 300)])) == 200
    assert ledger.asked == 4


@pytest.mark.parametrize("ends", [[(299, 300)], [(100, 199), (99, 100)], [(300, 399)]])
def test_what_is_in_no_batch_is_named(ends: list[tuple[int, int]]) -> None:
    with pytest.raises(Failed, match="are in no batch of this ledger") as caught:
        find(Ledger(), *ends)
    assert (caught.value.code, caught.value.reason) == (ExitCode.NOT_FOUND, "SERIALS_UNKNOWN")
