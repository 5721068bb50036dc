"""Two hubs of two organisations, each with its file: one asks, the other looks at the registry itself and signs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from adapters.sandbox.puro import KEY_ID, KEY_SECRET
from hub.cosigning import HttpPeer, Peer
from hub.evidence import EvidenceShelf
from hub.ledger_client import LedgerClient, Signatory, WillNotAttest
from hub.service.attesting import open_signatory
from hub.service.config import HubConfig, parse_config, place_paths
from hub.service.parts import Parts
from hub.service.running import Running
from network.keys import SeedSigner
from tests.hub.dispatch.stage import Stage, play
from tests.hub.service.proposing import WatchedLedger
from tests.hub.test_cosigning import BOTH, NETWORK, TOKEN, VERIFIER, Cosigned, capture, to_raw

DOCUMENT = b"the registry's answer" * 100_000


class VerifierLedger(WatchedLedger):
    """The verifier's view, as its hub has it."""

    network = NETWORK
    signatory = Signatory(VERIFIER, (VERIFIER,))


def read_file(root: Path, stage: Stage, participant: str, more: str) -> HubConfig:
    root.mkdir(parents=True)
    for name, text in (("key-id", KEY_ID), ("key-secret", KEY_SECRET), ("attesting", TOKEN), ("short", "short")):
        (root / name).write_text(text)
    text = f'participant = "{participant}"\nlisten = "127.0.0.1:0"\n{more}[[registries]]\nname = "puro"\n'
    text += f'url = "{stage.sandbox.base_url}"\nsecrets = "."\npoll_ms = 0\nreconcile_ms = 0\n'
    return place_paths(parse_config(text), root)


@pytest.mark.parametrize(("token", "captured"), [("attesting", 100), ("key-id", 0), ("short", 0)])
def test_what_the_files_name_is_asked_and_attested(tmp_path: Path, token: str, captured: int) -> None:
    async def story(stage: Stage) -> None:
        theirs = "short" if token == "short" else "attesting"
        config = read_file(tmp_path / "theirs", stage, "verifier", f'[attesting]\ntoken = "{theirs}"\n')
        ledger = cast(LedgerClient, VerifierLedger(stage.world, "verifier"))
        verifier = Running(Parts(config, ledger, lambda: stage.world.now_ms))
        await verifier.start()
        try:
            url = f"http://{verifier.address}"
            peer = f'[[peers]]\nname = "verifier"\nurl = "{url}"\ntoken = "{token}"\n'
            ours = read_file(tmp_path / "ours", stage, "hub", peer)
            cast(Any, stage).keep = EvidenceShelf(ours.evidence).put
            own = SeedSigner(b"\x06" * 32)
            signatory = open_signatory(ours, own, ())
            assert signatory.approvers == (own,)
            asking = Cosigned(stage, cast(dict[str, Peer], {}))
            asking._collect = signatory.others
            hold, hub = stage.place(), stage.hub(asking)
            await hub.step()
            found = await stage.hold(hold)
            assert found.captured == captured
            if captured:
                return
            assert hub.backlog()[0].alert.startswith("other attestors must sign too")
            raw = to_raw(capture(hold, DOCUMENT))
            if token == "short":
                with pytest.raises(WillNotAttest, match="401"):
                    await HttpPeer(url, lambda: "short").attest(raw, [DOCUMENT])
            else:
                approval = await HttpPeer(url, lambda: TOKEN).attest(raw, [DOCUMENT])
                assert approval.key == VERIFIER.public_key
                assert EvidenceShelf(config.evidence).get(EvidenceShelf(tmp_path / "x").put(DOCUMENT)) == DOCUMENT
        finally:
            await verifier.stop()

    play(story, attestors=BOTH)


def test_a_hub_without_the_section_attests_nothing_and_asks_nobody(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        config = read_file(tmp_path / "theirs", stage, "verifier", "")
        verifier = Running(Parts(config, cast(LedgerClient, VerifierLedger(stage.world, "verifier"))))
        await verifier.start()
        try:
            with pytest.raises(WillNotAttest, match="404"):
                await HttpPeer(f"http://{verifier.address}", lambda: TOKEN).attest(to_raw(), [])
        finally:
            await verifier.stop()
        signatory = open_signatory(config, VERIFIER, ())
        assert await signatory.others(to_raw(capture(stage.place(), DOCUMENT))) == []

    play(story, attestors=BOTH)
