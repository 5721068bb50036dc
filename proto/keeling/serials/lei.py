"""Legal Entity Identifiers (ISO 17442): twenty characters of which the last two check the others.

Whether an entity of that name exists, only GLEIF's register knows.
"""

from __future__ import annotations

import re
from typing import Final

_LEI: Final = re.compile(r"[A-Z0-9]{18}[0-9]{2}", re.ASCII)
_BASE: Final = re.compile(r"[A-Z0-9]{18}", re.ASCII)


class LeiError(ValueError):
    """The text is no Legal Entity Identifier; the message says why."""


def compute_check_digits(base: str) -> str:
    """Return the two check digits (ISO 7064, MOD 97-10) of the first 18 characters."""
    if not _BASE.fullmatch(base):
        raise LeiError(f"{base[:40]!r} is not 18 characters A-Z and 0-9")
    return f"{98 - _remainder(base + '00'):02d}"


def check_lei(text: str) -> str:
    """Return the identifier if it is well formed and its check digits are right; raise `LeiError`."""
    if not _LEI.fullmatch(text):
        raise LeiError(f"{text[:40]!r} is not 18 characters A-Z and 0-9 and two digits")
    if _remainder(text) != 1:
        raise LeiError(f"{text!r} has wrong check digits, {compute_check_digits(text[:18])} would be right")
    return text


def _remainder(text: str) -> int:
    return int("".join(str(int(character, 36)) for character in text)) % 97
