"""Where a record asks for two attestors: nothing is captured by one, and the other signs only what it sees itself."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any

import grpc.aio
import pytest
from aiohttp import web
from google.protobuf.message import Message

from adapters.sandbox.faults import Fault, FaultKind
from hub.cosigning import Approval, Attestor, HttpPeer, Peer, collect_from
from hub.dispatch.lines import Lines
from hub.ledger_client import LedgerClient, Receipt, Signatory, WillNotAttest, make_number, wrap_operation
from keeling.ed25519 import check_signature
from keeling.submission import approval_message, compute_transaction_digest, format_transaction, parse_submission
from keeling.v1 import operations_pb2 as op
from keeling.v1 import transaction_pb2
from network.keys import SeedSigner
from tests.hub.dispatch.stage import SETTLING_MS, Stage, play
from tests.hub.memory_ledger import MemoryLedger

NETWORK = b"n" * 32
VERIFIER = SeedSigner(b"\x05" * 32)
BOTH = ("hub", "verifier")
TOKEN = "a token of sixteen or more"


class Cosigned(MemoryLedger):
    """Hands in as `LedgerClient` does: with the approvals that others give to these very bytes."""

    def __init__(self, stage: Stage, peers: dict[str, Peer]) -> None:
        super().__init__(stage.world, "hub")
        self._collect = collect_from(peers, stage.shelf.get)

    async def submit(self, *operations: Message, number: bytes | None = None, attests: bool = False) -> Receipt:
        number = number or make_number(self.world.now_ms)
        raw = to_raw(*operations, number=number)
        approvals = await self._collect(raw) if attests else []
        for key, signature in approvals:
            assert key == VERIFIER.public_key
            assert check_signature(key, signature, approval_message(NETWORK, compute_transaction_digest(raw)))
        self.attestors = ("verifier",) if approvals else ()
        return await super().submit(*operations, number=number, attests=attests)


def to_raw(*operations: Message, number: bytes = bytes(16)) -> bytes:
    message = transaction_pb2.Transaction(id=number, participant="hub")
    message.operations.extend(wrap_operation(each) for each in operations)
    return format_transaction(message)


def attestor(stage: Stage, lines: Lines | None = None) -> Attestor:
    seat = stage.seat("verifier", MemoryLedger(stage.world, "verifier"))
    return Attestor(seat, lines or Lines(seat), NETWORK, VERIFIER)


def test_what_others_want_looked_at_takes_its_turn_and_waits_with_everything_else() -> None:
    async def story(stage: Stage) -> None:
        hold, hub, document = stage.place(), stage.hub(), b"the registry's answer"
        await hub.step()
        lines, turns = Lines(stage.seat("verifier")), list[str]()

        async def take_turn(registry: str) -> None:
            turns.append(registry)

        lines.turn = take_turn  # type: ignore[method-assign]
        raw, asked = to_raw(capture(hold, document)), stage.sandbox.requests
        stage.sandbox.faults.add(Fault(FaultKind.THROTTLE, value=60))
        for _ in range(2):
            with pytest.raises(WillNotAttest, match="puro does not say so here: Throttled"):
                await attestor(stage, lines).attest(raw, [document])
        assert (turns, stage.sandbox.requests) == (["puro"] * 2, asked + 1), "the second was not even asked"
        stage.later(60_000)
        assert (await attestor(stage, lines).attest(raw, [document])).key == VERIFIER.public_key

    play(story, attestors=BOTH)


def test_one_attestor_of_two_captures_nothing_and_says_who_is_missing() -> None:
    async def story(stage: Stage) -> None:
        hold, hub = stage.place(), stage.hub()
        await hub.step()
        found = await stage.hold(hold)
        assert (found.phase, found.captured) == ("INSTRUCTED", 0)
        assert hub.backlog()[0].alert == "other attestors must sign too: NEEDS_APPROVAL: 1 of 2 attestors"
        assert stage.effects == {hold.hex(): 100}, "the registry did it; that is not lost"
        both = stage.hub(MemoryLedger(stage.world, "hub", ("verifier",)))
        assert (await stage.settle(both, hold)).captured == 100

    play(story, attestors=BOTH)


@pytest.mark.parametrize(
    ("fault", "captured"),
    [(None, 100), (Fault(FaultKind.REFUSE, "DESK"), 0), (Fault(FaultKind.PARTIAL, "DESK", value=400), 40)],
)
def test_another_organisation_attests_what_it_sees_at_the_registry(fault: Fault | None, captured: int) -> None:
    async def story(stage: Stage) -> None:
        stage.sandbox.faults.add(*([fault] if fault else []))
        hold = stage.place()
        hub = stage.hub(Cosigned(stage, {"verifier": attestor(stage)}))
        found = await stage.settle(hub, hold)
        assert (found.captured, found.released) == (captured, 100 - captured)

    play(story, attestors=BOTH)


class Down:
    """A peer that nobody reaches, so many times."""

    def __init__(self, times: int, peer: Peer) -> None:
        self.times, self.peer = times, peer

    async def attest(self, raw: bytes, documents: Sequence[bytes]) -> Approval:
        self.times -= 1
        if self.times >= 0:
            raise WillNotAttest("nobody answers")
        return await self.peer.attest(raw, documents)


def test_a_peer_that_is_down_only_delays() -> None:
    async def story(stage: Stage) -> None:
        stage.sandbox.faults.add(Fault(FaultKind.REFUSE, "DESK"))
        hold, down = stage.place(), Down(3, attestor(stage))
        found = await stage.settle(stage.hub(Cosigned(stage, {"verifier": down})), hold)
        assert (found.phase, found.released) == ("RELEASED", 100)
        assert down.times < 0

    play(story, attestors=BOTH)


def capture(hold: bytes, document: bytes, units: int = 100, first: int = 1) -> op.Capture:
    evidence = op.Evidence(digest=hashlib.sha256(document).digest(), grade="B", reference="")
    return op.Capture(hold=hold, ranges=[op.Range(batch="corc-1", first=first, units=units)], evidence=evidence)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"raw": b"\xff"}, "no transaction"),
        ({"operations": []}, "0 operations"),
        ({"operations": [op.Anchor(kind="evidence")]}, "only captures and releases"),
        ({"documents": [b"another"]}, "answer was not sent along"),
        ({"units": 101}, "shows 100 of 101 units"),
        ({"first": 2}, "shows 99 of 100 units"),
        ({"release": 1}, "declined 0 units more, not 1"),
        ({"undone": True}, "shows 0 of 100 units"),
        ({"other": True}, "OPEN at puro"),
        ({"units": 0}, "names the units that"),
        ({"grade": "A"}, "answers here have grade B, not A"),
        ({"twice": True}, "one operation for each hold"),
    ],
)
def test_what_is_not_attested(wrong: dict[str, Any], words: str) -> None:
    async def story(stage: Stage) -> None:
        hold, hub, document = stage.place(), stage.hub(), b"the registry's answer"
        await hub.step()
        if wrong.get("undone"):
            stage.sandbox.desk.undo(next(iter(stage.sandbox.desk.orders)))
        asked = stage.place("two", first=5_000) if wrong.get("other") else hold
        said: Any = capture(asked, document, wrong.get("units", 100), wrong.get("first", 1))
        if not wrong.get("units", 100):
            said.ClearField("ranges")  # the ledger takes it for all that is held
        said.evidence.grade = wrong.get("grade", "B")
        if "release" in wrong:
            said = op.Release(hold=hold, units=1, reason="no", evidence=said.evidence)
        raw = wrong.get("raw", to_raw(*wrong.get("operations", [said] * (2 if wrong.get("twice") else 1))))
        with pytest.raises(WillNotAttest, match=words):
            await attestor(stage).attest(raw, wrong.get("documents", [document]))
        approval = (
            await attestor(stage).attest(to_raw(capture(hold, document)), [document])
            if not (wrong.get("undone"))
            else None
        )
        assert approval is None or approval.key == VERIFIER.public_key

    play(story, attestors=BOTH)


def test_peers_reach_each_other_over_http_with_a_token() -> None:
    async def story(stage: Stage) -> None:
        app = web.Application()
        app.add_routes(attestor(stage).routes(lambda: TOKEN))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            for url, token, words in (
                (base, "wrong", "401"),
                (f"{base}/elsewhere", TOKEN, "does not answer"),
                ("http://127.0.0.1:1", TOKEN, "does not answer"),
            ):
                with pytest.raises(WillNotAttest, match=words):
                    await HttpPeer(url, lambda token=token: token).attest(to_raw(), [])  # type: ignore[misc]
            peer = HttpPeer(base, lambda: TOKEN)
            with pytest.raises(WillNotAttest, match="409 0 operations"):
                await peer.attest(to_raw(), [])
            hold = stage.place()
            found = await stage.settle(stage.hub(Cosigned(stage, {"verifier": peer})), hold)
            assert found.captured == 100
        finally:
            await runner.cleanup()

    play(story, attestors=BOTH)


def test_what_the_registry_may_still_do_is_not_attested_as_declined() -> None:
    async def story(stage: Stage) -> None:
        hold, hub, document = stage.place(), stage.hub(), b"[]"
        await hub.step()
        said = op.Release(hold=hold, units=100, reason="no", evidence=capture(hold, document).evidence)
        with pytest.raises(WillNotAttest, match="declined 0 units more"):
            await attestor(stage).attest(to_raw(said), [document])
        stage.later(SETTLING_MS)
        with pytest.raises(WillNotAttest, match="declined 0 units more"):
            await attestor(stage).attest(to_raw(said), [document])

    play(story, approval_ms=3_600_000, attestors=BOTH)


def test_a_client_hands_in_its_own_approvals_and_those_of_others() -> None:
    async def run() -> None:
        own, submitter = SeedSigner(b"\x06" * 32), SeedSigner(b"\x07" * 32)

        async def others(raw: bytes) -> list[tuple[bytes, bytes]]:
            return [(VERIFIER.public_key, VERIFIER.sign(approval_message(NETWORK, compute_transaction_digest(raw))))]

        async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
            client = LedgerClient(channel, NETWORK, "hub", Signatory(submitter, (own,), others))
            number = make_number(1_774_000_000_000, bytes(10))
            signed = await client.sign(number, [op.Anchor(kind="evidence", name="x", digest=bytes(32))], attests=True)
            alone = await client.sign(number, [op.Anchor(kind="evidence", name="x", digest=bytes(32))], attests=False)
        (transaction,) = parse_submission(signed).transactions
        assert [key for key, _ in transaction.approvals] == [own.public_key, VERIFIER.public_key]
        assert not parse_submission(alone).transactions[0].approvals

    asyncio.run(run())


def test_what_was_declined_is_not_attested_twice_in_one_transaction() -> None:
    async def story(stage: Stage) -> None:
        stage.sandbox.faults.add(Fault(FaultKind.PARTIAL, "DESK", value=500))
        hold, hub, document = stage.place(), stage.hub(), b"the registry's answer"
        await hub.step()
        evidence = op.Evidence(digest=hashlib.sha256(document).digest(), grade="B", reference="one")
        said = op.Release(hold=hold, units=50, reason="no", evidence=evidence)
        assert (await attestor(stage).attest(to_raw(said), [document])).key == VERIFIER.public_key
        with pytest.raises(WillNotAttest, match="one operation for each hold"):
            await attestor(stage).attest(to_raw(said, said), [document])

    play(story, attestors=BOTH)
