"""Transaction files: built, signed by several people, shown and checked without any node."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.identifiers import format_id, make_uuid7, parse_id
from keeling.ed25519 import check_signature
from keeling.reasons import Reason
from keeling.submission import approval_message, compute_transaction_digest, parse_submission, parse_transaction
from keeling.v1 import ledger_pb2 as pb
from network.folders import NodeFolder
from tests.cli.command_line import Keeling, fake_node


@pytest.fixture
def offline(keeling: Keeling) -> Keeling:
    """A node folder, a profile, two people's keys, and nothing that listens."""
    keeling.init()
    keeling.point_to("127.0.0.1:1")
    for person in ("asha", "ravi"):
        keeling.must("key", "new", f"{person}.key", "--participant", "natreg", "--person", person)
    return keeling


def test_build_sign_sign_and_submit(offline: Keeling) -> None:
    offline.must("retire", "5,000", "--from", "T", "--build", "retire.tx")
    assert offline.json("tx", "sign", "retire.tx", "--as", "asha.key")["approvals"] == 1
    again = offline("tx", "sign", "retire.tx", "--as", "asha.key")
    assert (again.code, "SAME_PERSON" in again.err) == (1, True)
    assert offline.json("tx", "sign", "retire.tx", "--as", "ravi.key")["approvals"] == 2
    shown = offline.json("tx", "show", "retire.tx")
    assert shown["transaction"]["operations"][0]["retire"]["selection"]["units"] == 5000
    received: list[bytes] = []

    def accept(request: pb.SubmitRequest) -> pb.SubmitResponse:
        received.extend(request.submissions)
        return pb.SubmitResponse(results=[pb.TransactionResult(reason=Reason.ACCEPTED)])

    with fake_node(offline, _folder(offline), {"Submit": accept}):
        offline.must("tx", "submit", "retire.tx")
    submission = parse_submission(received[0])
    (approved,) = submission.transactions
    assert [key.hex() for key, _ in approved.approvals] == shown["approvals"]
    message = approval_message(submission.network, compute_transaction_digest(approved.raw))
    assert all(check_signature(key, signature, message) for key, signature in approved.approvals)
    assert check_signature(submission.key, submission.signature, submission.signed)
    assert format_id(parse_transaction(approved.raw).id) == format_id(parse_id(shown["transaction"]["id"]))


def test_what_a_registry_shows_is_issued_with_its_quantity_where_the_serial_does_not_say_it(offline: Keeling) -> None:
    """Isometric: whether the last number belongs to the range follows from the quantity beside it."""
    issue = ("issue", "--programme", "P", "--activity", "X", "--vintage", "2024", "--build", "issue.tx")
    observed = (*issue, "--observed", "ISO-1-BSTORE-GBR-F5X7-2024-1-1000000")
    unsaid = offline(*observed)
    assert (unsaid.code, "give the quantity in kilograms too" in unsaid.err) == (2, True)
    assert offline(*observed, "--quantity", "7").code == 2
    offline.must(*observed, "--quantity", "1,000,000")
    made = offline.json("tx", "show", "issue.tx")["transaction"]["operations"][0]["issue"]
    assert (made["first_number"], made["units"], made["extent"]) == ("1", 1_000_000, "AT_LEAST")
    claim = offline(
        "hub", "link", "isometric", "o/s", "--account", "A", "--control", "custody", "--claim", observed[-1]
    )
    assert (claim.code, "BATCH:FIRST-LAST" in claim.err) == (2, True)
    by_place = ("--claim-positions", "ISO:1-1000000", "--evidence", "issue.tx", "--build", "link.tx")
    offline.must("hub", "link", "isometric", "o/s", "--account", "A", "--control", "custody", *by_place)
    assert offline(*issue).code == 2


def _folder(keeling: Keeling) -> NodeFolder:

    return NodeFolder(keeling.root / "natreg")


def test_a_built_file_is_never_overwritten(offline: Keeling) -> None:
    offline.must("retire", "5", "--from", "T", "--build", "r.tx")
    before = Path("r.tx").read_bytes()
    assert offline("retire", "6", "--from", "T", "--build", "r.tx").code == 2
    assert Path("r.tx").read_bytes() == before


def test_a_change_after_signing_is_found(offline: Keeling) -> None:
    offline.must("retire", "5", "--from", "T", "--build", "r.tx")
    offline.must("retire", "6", "--from", "T", "--build", "other.tx")
    offline.must("tx", "sign", "r.tx", "--as", "asha.key")
    signed, other = json.loads(Path("r.tx").read_text()), json.loads(Path("other.tx").read_text())
    Path("r.tx").write_text(json.dumps(signed | {"transaction": other["transaction"]}))
    ended = offline("tx", "show", "r.tx")
    assert (ended.code, "BAD_APPROVAL" in ended.err) == (4, True)


def test_a_file_of_another_network_is_not_sent(offline: Keeling) -> None:
    offline.must("retire", "5", "--from", "T", "--build", "r.tx")
    document = json.loads(Path("r.tx").read_text())
    Path("r.tx").write_text(json.dumps(document | {"network": "00" * 32}))
    ended = offline("tx", "submit", "r.tx")
    assert (ended.code, "FOREIGN_NETWORK" in ended.err) == (1, True)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"\xff", b'{"keeling": "transaction", "format": 2}', b'{"keeling": "genesis"}']
)
def test_what_is_no_transaction_file_is_told(offline: Keeling, content: bytes) -> None:
    Path("bad.tx").write_bytes(content)
    ended = offline("tx", "show", "bad.tx")
    assert (ended.code, "bad.tx" in ended.err) == (2, True)


def test_any_operation_can_be_described(offline: Keeling) -> None:
    operation = {"link_state": {"account": "A", "state": "SUSPENDED", "reason": "maintenance"}}
    Path("d.json").write_text(json.dumps({"operations": [operation, {"close_account": {"account": "B"}}]}))
    offline.must("tx", "build", "d.json", "--build", "d.tx")
    shown = offline.json("tx", "show", "d.tx")["transaction"]["operations"]
    assert shown[0]["link_state"]["state"] == "SUSPENDED"
    assert shown[1]["close_account"] == {"account": "B"}


@pytest.mark.parametrize(
    "text", ["{}", '{"operations": []}', '{"operations": [{"fly": {}}]}', '{"operations": [{}]}', "x"]
)
def test_a_description_that_is_none_is_told(offline: Keeling, text: str) -> None:
    Path("d.json").write_text(text)
    assert offline("tx", "build", "d.json", "--build", "d.tx").code == 2
    assert not Path("d.tx").exists()


def test_the_same_id_and_words_give_the_same_bytes(offline: Keeling) -> None:
    number = format_id(make_uuid7())
    for name in ("a.tx", "b.tx"):
        offline.must("transfer", "5", "--from", "A", "--to", "B", "--id", number, "--build", name)
    assert Path("a.tx").read_bytes() == Path("b.tx").read_bytes()


def test_a_key_file_is_never_overwritten(offline: Keeling) -> None:
    before = Path("asha.key").read_bytes()
    assert offline("key", "new", "asha.key", "--participant", "natreg", "--person", "x").code == 1
    assert Path("asha.key").read_bytes() == before


def test_an_id_is_a_uuid7_with_its_time() -> None:
    number = make_uuid7(1_795_000_000_000, bytes(range(10)))
    assert number[:6] == (1_795_000_000_000).to_bytes(6, "big")
    assert (number[6] >> 4, number[8] >> 6) == (7, 2)
    assert parse_id(format_id(number)) == number
