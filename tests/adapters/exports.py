"""What the adapters' tests share: the real exports, beside the repository or not there, and a check for fuzzing."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.exports import FileError, Record
from adapters.registry import parse_file

EXPORTS = Path(__file__).parents[3] / "shared" / "data" / "registry-exports"
SAMPLES = Path(__file__).parent / "samples"


def read_export(path: str) -> bytes:
    """Return the bytes of a real export, or skip the test."""
    file = EXPORTS / path
    if not file.exists():
        pytest.skip(f"the real export {path} is not beside the repository")
    return file.read_bytes()


def read_sample(registry: str, name: str) -> list[Record]:
    """Return the records of one of our own samples."""
    return list(parse_file(registry, (SAMPLES / name).read_bytes(), file_name=name).rows())


def check_outcome(registry: str, raw: bytes) -> list[Record]:
    """Read a file that may be anything: a one-line error, or records that number the rows without a gap."""
    try:
        records = list(parse_file(registry, raw, file_name="some.csv").rows())
    except FileError as error:
        refusal = str(error)
    else:
        assert [record.source.row for record in records] == list(range(1, len(records) + 1))
        return records
    assert "\n" not in refusal
    assert refusal.startswith("some.csv: found ")
    return []
