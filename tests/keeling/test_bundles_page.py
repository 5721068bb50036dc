"""docs/bundles.md is enough to read a bundle: its program reads the recorded ones, and it names every field."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from keeling.bundle import FIXED_PARTS, PART_BLOCKS_MAX, PART_BYTES_FULL, Kind
from keeling.bundle_parts import CutBlock, CutSubmission, CutSweep, CutTransaction, WholeBlock, WholeSubmission
from tests.keeling.bundle_forgery import data_of, vectors

PAGE = (Path(__file__).parents[2] / "docs" / "bundles.md").read_text(encoding="utf-8")
PROGRAM = PAGE[PAGE.index("```python\n") + len("```python\n") : PAGE.rindex("```")]
SHOWN = {item["name"]: item for item in vectors()["bundles"]}


def read(bundle: bytes, folder: Path) -> subprocess.CompletedProcess[str]:
    """What the page's program says of a bundle, run on its own: no package of ours can be imported."""
    (folder / "a.bundle").write_bytes(bundle)
    (folder / "read.py").write_text(PROGRAM)
    command = [sys.executable, "-I", "-S", str(folder / "read.py"), str(folder / "a.bundle")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_program_reads_a_whole_bundle_down_to_its_root(tmp_path: Path) -> None:
    done = read(data_of("whole"), tmp_path)
    assert done.returncode == 0, done.stderr
    said = re.fullmatch(r"kind whole height 3 parts 4 leaves (\d+) transactions (\d+)\n", done.stdout)
    assert said is not None, done.stdout
    assert f": {said[2]} transactions" in SHOWN["whole"]["scope"]


def test_the_program_reads_the_parts_of_a_cut(tmp_path: Path) -> None:
    assert read(data_of("cut"), tmp_path).stdout.startswith("kind cut height 3 parts 5 ")


@pytest.mark.parametrize("name", ["whole", "cut"])
def test_the_program_notices_a_changed_byte_in_every_part(name: str, tmp_path: Path) -> None:
    data = data_of(name)
    for at in (len(data) - 1, len(data) // 2, data.index(b"\nend\n") + 6):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        assert read(changed, tmp_path).returncode != 0


def test_the_page_names_every_part_field_and_limit() -> None:
    for kind in Kind:
        assert f"`kind {kind}`" in PAGE
        assert all(f"| `{part}` |" in PAGE for part in FIXED_PARTS[kind])
    for record in (WholeBlock, WholeSubmission, CutBlock, CutSubmission, CutTransaction, CutSweep):
        assert all(f"`{field}`" in PAGE for field in record._fields), record
    assert f"{PART_BLOCKS_MAX:,} of them or {PART_BYTES_FULL:,} bytes" in PAGE
