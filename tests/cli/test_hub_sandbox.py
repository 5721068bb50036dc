"""`keeling hub sandbox fault`, `act`, `book` and `clock`: the page's section typed, and one line for what is wrong."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command_line import Keeling

PAGE = (Path(__file__).parents[2] / "docs" / "hub.md").read_text("utf-8")
SECTION = PAGE.partition("## Let it go wrong")[2].partition("\n## ")[0]


@pytest.fixture
def keeling(tmp_path: Path) -> Iterator[Keeling]:
    made = Keeling(tmp_path)
    process = made.home / "sandboxes" / "running.json"
    try:
        yield made
    finally:
        made("hub", "sandbox", "down")
        if process.exists():
            os.waitpid(int(json.loads(process.read_text())["process"]), 0)


def test_the_section_is_typed_as_it_stands(keeling: Keeling) -> None:
    lines = [line.strip() for line in SECTION.splitlines() if line.startswith("    keeling ")]
    said = {line: keeling.must(*shlex.split(line)[1:]).out for line in lines}
    assert "cut-after" in said["keeling hub sandbox fault puro"]
    assert "nothing goes wrong at puro" in said["keeling hub sandbox fault puro --clear"]
    book = said["keeling hub sandbox book verra"]
    assert "a sandbox, not the registry" in book
    assert "1,000,000" in book
    assert "retired" not in book, "it was taken back"


def test_the_clock_moves_to_a_moment_and_never_back(keeling: Keeling) -> None:
    keeling.must("hub", "sandbox", "up", "verra", "--frozen")
    assert "2099-04-30T12:30:00Z" in keeling.must("hub", "sandbox", "clock", "--to", "2099-04-30T12:30Z").out
    back = keeling("hub", "sandbox", "clock", "--to", "2099-04-30T12:29Z")
    assert (back.code, "no clock goes back to 2099-04-30T12:29" in back.err) == (1, True)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("fault", "verra", "htlm"), 2, "there is no fault 'htlm'"),
        (("fault", "verra", "html", "--clear"), 2, "either a kind of fault, or --clear"),
        (("fault", "verra", "html", "--path", "("), 1, "no regular expression"),
        (("fault", "puro"), 3, "no sandbox of 'puro' runs"),
        (("act", "verra", "fly"), 2, "there are block"),
        (("act", "verra", "undo", "OWN-1"), 2, "'OWN-1' is no NAME=VALUE"),
        (("act", "verra", "undo", "reference=OWN-1"), 1, "nothing here has the reference"),
        (("clock", "--to", "friday"), 2, "is no date"),
        (("clock", "--to", "2099-01-01", "--advance", "1h"), 2, "either --advance or --to"),
    ],
)
def test_what_is_wrong_is_one_line(keeling: Keeling, words: tuple[str, ...], code: int, told: str) -> None:
    keeling.must("hub", "sandbox", "up", "verra")
    ended = keeling("hub", "sandbox", *words)
    assert (ended.code, told in ended.err, ended.err.count("\n")) == (code, True, 1), ended.err
