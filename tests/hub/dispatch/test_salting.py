"""What a dispatch says of its message: nothing to who reads the ledger, everything to who is given the document."""

from __future__ import annotations

import hashlib

import pytest

from adapters.sandbox.faults import Fault, FaultKind
from hub.dispatch.memory import begin
from hub.dispatch.run import Dispatcher
from hub.dispatch.salting import compute_digests, derive_salt_key, read_salt_keys, write_document
from hub.units import Names
from keeling.v1 import operations_pb2 as op
from network.keys import SeedSigner
from tests.hub.dispatch.stage import Stage, play
from tests.hub.dispatch.test_crashes import forgetful

KEY, OLD, STRANGE = (hashlib.sha256(name).digest() for name in (b"in use", b"of before", b"somebody else's"))
NETWORK = bytes(32)


def hub_with(stage: Stage, *keys: bytes) -> Dispatcher:
    return Dispatcher(stage.seat("hub")._replace(salt_keys=keys))


def read_bodies(stage: Stage, hold: bytes) -> list[bytes]:
    """The one message of the one instruction on the shelf."""
    (document,) = (each for each in stage.shelf.values() if each.startswith(b"keeling instruction 1\n"))
    head, length, rest = document.partition(b"message ")[0], *document.partition(b"message ")[2].split(b"\n", 1)
    assert head.startswith(b"keeling instruction 1\nhold " + hold.hex().encode())
    return [rest[: int(length)]]


def test_names_cannot_be_tried_and_an_auditor_needs_the_document_alone() -> None:
    async def story(stage: Stage) -> None:
        hold = stage.place()
        await hub_with(stage, KEY).step()
        said = next(each for each in stage.ledger.said if isinstance(each, op.Dispatch)).instruction
        assert hashlib.sha256(stage.shelf[said]).digest() == said, "as sha256sum says of the file"
        (body,) = read_bodies(stage, hold)
        assert b'"bob"' in body, "the beneficiary, whom somebody may guess"
        guesses = [hashlib.sha256(body).digest(), hashlib.sha256(write_document([body], b"", hold)).digest()]
        assert said not in guesses
        assert said == compute_digests([body], [KEY], hold).now

    play(story)


@pytest.mark.parametrize(
    ("keys", "known"), [((KEY,), True), ((OLD, KEY), True), ((STRANGE,), False)], ids=["same", "listed", "strange"]
)
def test_another_process_knows_what_was_dispatched_by_the_keys_it_has(keys: tuple[bytes, ...], known: bool) -> None:
    async def story(stage: Stage) -> None:
        forgetful(stage)
        stage.sandbox.faults.add(Fault(FaultKind.CUT_AFTER, "^POST"), Fault(FaultKind.SERVER_ERROR, "^GET", times=2))
        hold = stage.place()
        await hub_with(stage, KEY).step()
        other = hub_with(stage, *keys)
        await other.step()
        (line,) = other.backlog()
        assert ("not what was dispatched" not in line.alert) is known
        found = await stage.settle(other, hold)
        assert (found.phase, found.attempt) == ("CAPTURED", 1)
        assert stage.effects == {hold.hex(): 100}

    play(story, approval_ms=0)


def test_what_was_dispatched_before_there_were_salts_is_known_and_carried_on() -> None:
    async def story(stage: Stage) -> None:
        hold = stage.place()
        seat = stage.seat("hub")._replace(salt_keys=(KEY,))
        known = await begin(await stage.hold(hold), await stage.ledger.account("alice/puro"), seat, Names(stage.ledger))
        (message,) = known.messages
        bare = hashlib.sha256(stage.adapter.compose(message.instruction)).digest()
        stage.world.must("hub", op.Dispatch(hold=hold, attempt=1, instruction=bare))
        hub = Dispatcher(seat)
        await hub.step()
        (line,) = hub.backlog()
        assert (line.attempt, line.alert) == (1, "")
        found = await stage.settle(hub, hold)
        assert (found.phase, found.attempt) == ("CAPTURED", 2), "it was never sent, and is now"
        again = next(each for each in stage.ledger.said if isinstance(each, op.Dispatch))
        assert again.instruction == known.digests.now != bare
        assert stage.effects == {hold.hex(): 100}

    play(story)


def test_a_key_is_the_same_for_one_signer_on_one_network_and_a_secret_is_long() -> None:
    one, two = SeedSigner(bytes([1] * 32)), SeedSigner(bytes([2] * 32))
    key = derive_salt_key(one.sign, NETWORK)
    assert key == derive_salt_key(SeedSigner(bytes([1] * 32)).sign, NETWORK)
    assert len({key, derive_salt_key(two.sign, NETWORK), derive_salt_key(one.sign, bytes([1] * 32))}) == 3
    first, second = "n" * 32, "a secret of thirty-two letters or more"
    assert read_salt_keys(f"{first}\n\n {second} \n") == (*read_salt_keys(first), *read_salt_keys(second))
    for text in ("", "\n", "short", f"{first}\nshort"):
        with pytest.raises(ValueError, match="32 characters or more"):
            read_salt_keys(text)


def test_messages_and_holds_are_told_apart() -> None:
    hold, other = bytes(16), bytes([1] * 16)
    written = {
        write_document(bodies, key, about)
        for bodies in ([b"a"], [b"b"], [b"a", b"b"], [b"a\nmessage 1\nb"], [])
        for key in (KEY, OLD)
        for about in (hold, other)
    }
    assert len(written) == 20
