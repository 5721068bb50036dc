"""Events that an adapter could not understand are told by name, and the others taken."""

from __future__ import annotations

from pathlib import Path

from adapters.contract import ChangeKind, Changes
from hub.inbound.polling import Poller
from hub.inbound.refusals import Why
from hub.kept_file import KeptFile
from tests.hub.dispatch.stage import Stage, play
from tests.hub.inbound.scene import change, open_hub, restricted, tell


class Riddles:
    """One event that can be understood, and one that cannot."""

    async def changes(self, cursor: str) -> Changes:
        items = () if cursor else (change("e1", ChangeKind.RETIRED, 10, 19),)
        return Changes(items, "2", False, 0, () if cursor else ("transaction 1: type: 'Riddle' is none",))


def test_what_cannot_be_understood_is_told_once_and_stops_nothing(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        hub = open_hub(stage)
        poller = Poller("puro", Riddles(), KeptFile(tmp_path / "puro"), hub.intake, "B")
        taken = (await poller.poll()).taken
        assert tell(taken) == ["contradicted", "wrong-shape"]
        assert taken[1].refusal is not None
        assert taken[1].refusal.detail == "transaction 1: type: 'Riddle' is none"
        assert await restricted(stage) == [(10, 19)]
        assert tell((await poller.poll()).taken) == []
        assert hub.intake.figures[Why.WRONG_SHAPE.value] == 1

    play(story)
