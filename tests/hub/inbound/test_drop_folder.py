"""Files whose key is not known yet: they are looked at again when the keys have changed."""

from __future__ import annotations

from pathlib import Path

from hub.inbound.drop_folder import DropFolder
from hub.inbound.keys import InboundKey
from hub.inbound.refusals import Why
from tests.hub.dispatch.stage import Stage, play
from tests.hub.inbound.scene import KEY, open_hub, retire_there, tell
from tests.hub.inbound.test_doors import sign_file


def test_a_file_is_taken_once_the_key_that_signed_it_is_known(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await retire_there(stage, 10, 19)
        stage.sandbox.tell()
        (tmp_path / "day.json").write_bytes(stage.sandbox.notices.waiting[0].body)
        sign_file(tmp_path / "day.json", (tmp_path / "day.json").read_bytes())
        keys: list[InboundKey] = []
        folder = DropFolder(tmp_path, "puro", stage.adapter, lambda registry: keys, open_hub(stage).intake)
        assert [each.refusal.why for each in await folder.look() if each.refusal] == [Why.BAD_SIGNATURE]
        assert await folder.look() == []
        keys.append(KEY)
        assert [tell(list(each.taken)) for each in await folder.look()] == [["contradicted"]]

    play(story)
