"""`keeling hub proposals` and `answer`, asked of a running hub at Ghana's registry."""

from __future__ import annotations

import asyncio
from pathlib import Path

from structlog.testing import capture_logs

from tests.cli.command_line import Keeling
from tests.hub.service.proposing import HOUR_MS, PROPOSER, open_embassy

WAIT_S = 120.0


def test_a_proposal_is_shown_and_answered(tmp_path: Path) -> None:
    keeling = Keeling(tmp_path)
    file = str(tmp_path / "group.toml")

    async def story() -> None:
        async with open_embassy(tmp_path) as embassy, embassy.hub():
            listing = ("hub", "proposals", "--config", file)
            while not (found := await asyncio.to_thread(keeling.json, *listing))["proposals"]:
                continue
            (line,) = found["proposals"]
            assert (line["registry"], line["units"], line["account"]) == ("national_62", "500", PROPOSER)
            shown = (await asyncio.to_thread(keeling.must, *listing)).out
            assert all(word in shown for word in (line["reference"], "500", PROPOSER, "waits for a person"))
            answering = ("hub", "answer", "national_62", line["reference"], "--config", file)
            for words, told in (((), "either --accept or --decline"), (("--accept", "--decline"), "either --accept")):
                ended = await asyncio.to_thread(keeling, *answering, *words)
                assert (ended.code, told in ended.err) == (2, True)
            assert not embassy.decisions()
            said = await asyncio.to_thread(keeling.must, *answering, "--accept", "--because", "sale 4711")
            assert said.out.startswith(f"accepted: 500 units of {PROPOSER} at national_62, {line['reference']}")
            while (await asyncio.to_thread(keeling.json, *listing))["proposals"]:
                embassy.scene.later(HOUR_MS // 10)
            assert embassy.our_units() == 500
            gone = await asyncio.to_thread(keeling, *answering, "--decline")
            assert (gone.code, "no open proposal" in gone.err) == (3, True)
            assert "nothing waits for an answer" in (await asyncio.to_thread(keeling.must, *listing)).out

    with capture_logs():  # the hub's log would stand among what the commands print
        asyncio.run(asyncio.wait_for(story(), WAIT_S))
