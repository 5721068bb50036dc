"""docs/operations.md has one row for every operation, with its number."""

import re
from pathlib import Path

import pytest

from keeling.operations import NUMBERS

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("operation", NUMBERS)
def test_operation_is_documented(operation: type) -> None:
    [row] = re.findall(rf"^\| `{operation.__name__}` \|.*$", PAGE, re.MULTILINE)
    _, _, number, approved_by, effect, _ = (cell.strip() for cell in row.split("|"))
    assert int(number) == NUMBERS[operation]
    assert approved_by
    assert effect


def test_no_other_operation_is_documented() -> None:
    assert len(re.findall(r"^\| `", PAGE, re.MULTILINE)) == len(NUMBERS)
