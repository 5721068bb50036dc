"""`keeling hub maintenance` and `resume`: what is said of a link, as an operation."""

from __future__ import annotations

from typing import Any

import pytest

from keeling.operations import LinkState
from keeling.submission import parse_submission, parse_transaction
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from tests.cli.command_line import Keeling, fake_node

AHEAD = ("--from", "2027-01-15T02:00Z", "--until", "2027-01-15T06:00Z")


@pytest.mark.parametrize(
    ("words", "state", "told"),
    [
        (("maintenance", "acme/icm", *AHEAD, "--reason", "works"), op.LinkState.MAINTENANCE, "rests from"),
        (("resume", "acme/icm", "--reason", "lifted on appeal"), op.LinkState.NORMAL, "works: lifted on appeal"),
    ],
    ids=["maintenance", "resume"],
)
def test_what_is_said_of_a_link(keeling: Keeling, words: tuple[str, ...], state: Any, told: str) -> None:
    folder, received = keeling.init(), list[bytes]()

    def accept(request: pb.SubmitRequest) -> pb.SubmitResponse:
        received.extend(request.submissions)
        return pb.SubmitResponse(results=[pb.TransactionResult()])

    with fake_node(keeling, folder, {"Submit": accept}):
        assert told in keeling.must("hub", *words).out
    (transaction,) = parse_submission(received[0]).transactions
    (operation,) = parse_transaction(transaction.raw).operations
    assert isinstance(operation, LinkState)
    assert (operation.account, operation.state) == ("acme/icm", state)
