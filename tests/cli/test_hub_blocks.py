"""`keeling hub sell`: out of a block and held for the buyer, in one transaction."""

from __future__ import annotations

from typing import Any

import pytest

from keeling.operations import Hold, Range, Unrestrict
from keeling.submission import parse_submission, parse_transaction
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from tests.cli.command_line import Keeling, fake_node

SELL = (
    "hub",
    "sell",
    "acme/icm",
    "--exchange",
    "IEX",
    "--session",
    "2027-01-27",
    "--to",
    "globex/icm",
    "--buyer",
    "globex",
)
BLOCKS = "session/block/IEX/2027-01-27/"


def answers(received: list[bytes]) -> dict[str, Any]:
    """A node where 1 to 200 and 501 to 600 are blocked, by two orders."""

    def accept(request: pb.SubmitRequest) -> pb.SubmitResponse:
        received.extend(request.submissions)
        return pb.SubmitResponse(results=[pb.TransactionResult()])

    rows = [
        pb.RestrictionInfo(restriction=f"{BLOCKS}{name}", range=op.Range(batch="b", first=first, units=units))
        for name, first, units in (("one", 1, 200), ("two", 501, 100))
    ]
    return {"Submit": accept, "ListRestrictions": pb.ListRestrictionsResponse(restrictions=rows)}


def test_what_is_sold_is_lifted_and_held_at_once(keeling: Keeling) -> None:
    folder, received = keeling.init(), list[bytes]()
    with fake_node(keeling, folder, answers(received)) as ledger:
        assert keeling.must(*SELL, "--units", "250").out.count("hold ") == 1
        asked = next(request for method, request in ledger.asked if method == "ListRestrictions")
        assert (asked.account, asked.prefix) == ("acme/icm", BLOCKS)
    (transaction,) = parse_submission(received[0]).transactions
    one, two, held = parse_transaction(transaction.raw).operations
    sold = (Range("b", 1, 200), Range("b", 501, 50))
    assert isinstance(one, Unrestrict)
    assert isinstance(two, Unrestrict)
    assert isinstance(held, Hold)
    assert [(each.restriction, each.ranges) for each in (one, two)] == [
        (f"{BLOCKS}one", sold[:1]),
        (f"{BLOCKS}two", sold[1:]),
    ]
    assert held.selection is not None
    assert (held.selection.ranges, held.to_account, held.buyer) == (sold, "globex/icm", "globex")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--units", "301"), "300 of 301 units are blocked there for this session"),
        ((), "either --units or --serials"),
        (("--units", "1", "--expires", "soon"), "soon"),
    ],
    ids=["too many", "nothing", "no time"],
)
def test_what_cannot_be_sold_is_handed_in_nowhere(keeling: Keeling, words: tuple[str, ...], told: str) -> None:
    folder, received = keeling.init(), list[bytes]()
    with fake_node(keeling, folder, answers(received)):
        ended = keeling(*SELL, *words)
    assert (ended.code, told in ended.err, received) == (2, True, [])
