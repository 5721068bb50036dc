"""Files that cannot be taken yet: of a key that is not known, or that may not be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.inbound.drop_folder import DropFolder
from hub.inbound.keys import InboundKey
from hub.inbound.refusals import Refusal, Why
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


def test_a_file_that_may_not_be_read_keeps_no_other_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path.name == "a.json":
            raise PermissionError(13, "Permission denied")
        return read(path)

    async def story(stage: Stage) -> None:
        await retire_there(stage, 10, 19)
        stage.sandbox.tell()
        for name in ("a.json", "b.json"):
            (tmp_path / name).write_bytes(stage.sandbox.notices.waiting[0].body)
            sign_file(tmp_path / name, read(tmp_path / name))
        folder = DropFolder(tmp_path, "puro", stage.adapter, lambda registry: [KEY], open_hub(stage).intake)
        with monkeypatch.context() as patched:
            patched.setattr(Path, "read_bytes", refuse)
            refused, taken = await folder.look()
            assert refused.refusal == Refusal(Why.UNREADABLE, "a.json cannot be read: Permission denied")
            assert (taken.name, tell(list(taken.taken))) == ("b.json", ["contradicted"])
            assert await folder.look() == [], "told once"
        (tmp_path / "a.json").chmod(0o600)
        assert [each.refusal.why for each in await folder.look() if each.refusal] == [Why.REPLAYED], "looked at again"

    play(story)


def test_a_folder_that_is_not_there_is_told_once_and_looked_at_when_it_is(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await retire_there(stage, 10, 19)
        stage.sandbox.tell()
        place = tmp_path / "drop"
        folder = DropFolder(place, "puro", stage.adapter, lambda registry: [KEY], open_hub(stage).intake)
        for _ in range(2):
            (told,) = await folder.look()
            assert told.refusal == Refusal(
                Why.UNREADABLE, f"the folder {place} cannot be read: No such file or directory"
            )
            assert await folder.look() == []
            place.mkdir()
            assert await folder.look() == []
            place.rmdir()
        place.mkdir()
        (place / "day.json").write_bytes(stage.sandbox.notices.waiting[0].body)
        sign_file(place / "day.json", (place / "day.json").read_bytes())
        assert [tell(list(each.taken)) for each in await folder.look()] == [["contradicted"]]

    play(story)
