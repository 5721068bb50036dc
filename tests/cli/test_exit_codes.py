"""Exit codes as a table, against a node that answers as each row says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from cli.failures import code_of
from keeling.reasons import Reason
from keeling.v1 import ledger_pb2 as pb
from tests.cli.command_line import FakeLedger, Keeling, Refusing, fake_node

Code = grpc.StatusCode


@pytest.fixture
def node(keeling: Keeling) -> Iterator[FakeLedger]:
    with fake_node(keeling, keeling.init()) as ledger:
        yield ledger


def result(reason: Reason, **fields: Any) -> pb.SubmitResponse:
    one = pb.TransactionResult(reason=reason, reason_name=reason.name, detail="so it is", advice="do this", **fields)
    return pb.SubmitResponse(results=[one])


TRANSFER = ("transfer", "5", "--from", "A", "--to", "B")
READS: list[tuple[tuple[str, ...], str, Any, int, str]] = [
    (("account", "list"), "ListAccounts", pb.ListAccountsResponse(), 0, ""),
    (("account", "show", "A"), "GetAccount", Refusing(Code.NOT_FOUND, "no A", "ACCOUNT_NOT_FOUND"), 3, "ACCOUNT_NOT_F"),
    (("batch", "show", "x"), "GetBatch", Refusing(Code.NOT_FOUND, "no x", "BATCH_NOT_FOUND"), 3, "keeling batch list"),
    (("status",), "GetStatus", Refusing(Code.UNAUTHENTICATED, "who?", "UNKNOWN_KEY"), 5, "UNKNOWN_KEY: who?"),
    (("status",), "GetStatus", Refusing(Code.PERMISSION_DENIED, "no", "NOT_PERMITTED"), 5, "NOT_PERMITTED: no"),
    (("status",), "GetStatus", Refusing(Code.UNAVAILABLE, "starting"), 69, "natreg"),
    (("status",), "GetStatus", Refusing(Code.INTERNAL, "broken"), 69, "INTERNAL: broken"),
    (
        ("available", "--at-height", "9"),
        "GetAvailability",
        Refusing(Code.OUT_OF_RANGE, "x", "BEYOND_FINAL"),
        1,
        "BEYON",
    ),
    (("tx", "get", "x"), "GetTransaction", None, 2, "is no id"),
    (("lot", "find", "nonsense"), "FindLots", None, 2, "nonsense"),
    (("events", "--from", "12"), "Watch", None, 2, "HEIGHT.ORDINAL"),
    (("available", "--as-of", "March"), "GetAvailability", None, 2, "2026-03-31"),
]
WRITES: list[tuple[tuple[str, ...], Any, int, str]] = [
    (TRANSFER, result(Reason.ACCEPTED), 0, ""),
    (TRANSFER, result(Reason.INSUFFICIENT_UNITS), 1, "INSUFFICIENT_UNITS: so it is; do this"),
    (TRANSFER, result(Reason.ACCOUNT_NOT_FOUND), 3, "ACCOUNT_NOT_FOUND"),
    (TRANSFER, result(Reason.NOT_PERMITTED), 5, "NOT_PERMITTED"),
    (TRANSFER, Refusing(Code.INVALID_ARGUMENT, "MALFORMED: bad", "MALFORMED"), 1, "MALFORMED: bad; build"),
    (TRANSFER, Refusing(Code.UNAUTHENTICATED, "who?", "UNKNOWN_KEY"), 5, "UNKNOWN_KEY"),
    (TRANSFER, Refusing(Code.RESOURCE_EXHAUSTED, "full", "NODE_FULL"), 69, "NODE_FULL: full"),
    (TRANSFER, Refusing(Code.UNAVAILABLE, "not leading", "NOT_READY"), 69, "NOT_READY"),
    (TRANSFER, Refusing(Code.UNAVAILABLE, "stopped", "OUTCOME_UNKNOWN"), 75, "outcome unknown, ask: keeling tx get "),
    (TRANSFER, Refusing(Code.UNAVAILABLE, "Socket closed"), 75, "outcome unknown, ask: keeling tx get "),
    (TRANSFER, Refusing(Code.INTERNAL, "oops"), 75, "outcome unknown"),
    (TRANSFER, Refusing(Code.DEADLINE_EXCEEDED, "late"), 75, "outcome unknown"),
    (("transfer", "0x5", "--from", "A", "--to", "B"), None, 2, "whole number of units"),
    (("transfer", "5", "--from", "A"), None, 2, "two sides"),
    ((*TRANSFER, "--id", "7"), None, 2, "is no id"),
    ((*TRANSFER, "--as", "missing.key"), None, 2, "there is no key file missing.key"),
]


@pytest.mark.parametrize(("command", "method", "answer", "code", "said"), READS)
def test_reads(
    keeling: Keeling, node: FakeLedger, command: tuple[str, ...], method: str, answer: Any, code: int, said: str
) -> None:
    node.answers[method] = answer
    ended = keeling(*command)
    assert (ended.code, said in ended.err) == (code, True), ended
    assert ended.err.count("\n") <= 1 or "Usage" in ended.err


@pytest.mark.parametrize(("command", "answer", "code", "said"), WRITES)
def test_writes(
    keeling: Keeling, node: FakeLedger, command: tuple[str, ...], answer: Any, code: int, said: str
) -> None:
    node.answers["Submit"] = answer
    ended = keeling(*command)
    assert (ended.code, said in ended.err) == (code, True), ended
    assert "ocket closed" not in ended.err
    open_ids = keeling.json("tx", "list")["open"]
    assert len(open_ids) == (1 if code == 75 else 0)


def test_an_answer_that_does_not_come_in_time_is_unknown_and_can_be_asked_for(
    keeling: Keeling, node: FakeLedger
) -> None:
    node.answers["Submit"] = Refusing(Code.DEADLINE_EXCEEDED, "late")
    assert keeling(*TRANSFER, "--deadline", "1ms").code == 75
    kept = keeling.json("tx", "list")["open"][0]
    node.answers["GetTransaction"] = Refusing(Code.NOT_FOUND, "not final", "TRANSACTION_NOT_FOUND")
    asked = keeling("tx", "get", kept["id"])
    assert asked.code == 3
    assert f"keeling tx submit {kept['file']}" in asked.err
    sent: list[bytes] = []

    def accept(request: pb.SubmitRequest) -> pb.SubmitResponse:
        sent.extend(request.submissions)
        return result(Reason.ACCEPTED)

    node.answers["Submit"] = accept
    assert keeling("tx", "submit", kept["file"]).code == 0
    assert bytes.fromhex(kept["id"].replace("-", "")) in sent[0]
    assert keeling.json("tx", "list")["open"] == []


def test_a_node_that_is_not_there_is_told_from_an_unknown_outcome(keeling: Keeling) -> None:
    keeling.init()
    keeling.point_to("127.0.0.1:1")
    ended = keeling(*TRANSFER)
    assert (ended.code, "nothing listens at 127.0.0.1:1: is the node running?" in ended.err) == (69, True)
    assert keeling.json("tx", "list")["open"] == []


def test_without_a_profile_the_way_to_get_one_is_told(keeling: Keeling) -> None:
    ended = keeling("status")
    assert (ended.code, "keeling init" in ended.err) == (2, True)


def test_json_errors_are_one_document_with_the_reason(keeling: Keeling, node: FakeLedger) -> None:
    node.answers["GetAccount"] = Refusing(Code.NOT_FOUND, "no A", "ACCOUNT_NOT_FOUND")
    ended = keeling("account", "show", "A", "--json")
    assert ended.facts["error"] == {
        "reason": "ACCOUNT_NOT_FOUND",
        "text": "no A",
        "advice": "see: keeling account list",
        "values": {},
        "exit_code": 3,
    }


def test_a_refusal_as_json_has_the_whole_result(keeling: Keeling, node: FakeLedger) -> None:
    node.answers["Submit"] = result(Reason.UNITS_HELD, values=[pb.Value(name="hold", value="ab")])
    ended = keeling(*TRANSFER, "--json")
    assert (ended.code, ended.facts["accepted"], ended.facts["reason_name"]) == (1, False, "UNITS_HELD")
    assert ended.facts["values"] == {"hold": "ab"}


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_an_exit_code(reason: Reason) -> None:
    assert code_of(reason) in (0, 1, 3, 5)
    assert (code_of(reason) == 0) == (reason == Reason.ACCEPTED)


def test_a_second_init_overwrites_nothing(keeling: Keeling) -> None:
    folder = keeling.init()
    before = {path: path.read_bytes() for path in folder.root.rglob("*") if path.is_file()}
    ended = keeling("init", folder.root, "--name", "Other")
    assert (ended.code, "nothing was changed" in ended.err) == (1, True)
    assert {path: path.read_bytes() for path in folder.root.rglob("*") if path.is_file()} == before


def test_an_init_that_fails_leaves_no_keys_of_others(keeling: Keeling, tmp_path: Path) -> None:
    ended = keeling("init", "n", "--name", "N", "--participant", "acme:group=Acme", "--listen", "nowhere")
    assert ended.code == 2
    assert not (tmp_path / "n").exists()
    assert list(tmp_path.glob("n-keys/*")) == []
