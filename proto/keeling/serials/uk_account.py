"""Account numbers of the UK registries and their check digits. Account types and periods are not judged here.

`{UK or GB}-{type}-{identifier}-{period}-{check}`. Source: the public code of the UK Emissions Trading Registry, which
always generates with "UK" and accepts a match under either prefix, so real GB numbers pass only under the hash of UK.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_ACCOUNT: Final = re.compile(r"(UK|GB)-(\d{3})-(\d{1,12})-(\d)-(\d{1,2})", re.ASCII)

IDENTIFIER_DIGITS_MAX: Final = 8
"""The registry's check 2504 for its own accounts. Its test systems use nine digits, so callers may say otherwise."""


class AccountNumberError(ValueError):
    """The text is no account number; the message says which part is wrong."""


class UkAccount(NamedTuple):
    """An account number whose check digits are right."""

    registry: str
    account_type: int
    identifier: int
    period: int

    def __str__(self) -> str:
        return format_account(*self)


def compute_check_digits(account_type: int, identifier: int, period: int) -> int:
    """Return the one or two check digits the registry prints, a number from 2 to 98."""
    return 98 - _remainder("UK", account_type, identifier, period, 0)


def format_account(registry: str, account_type: int, identifier: int, period: int) -> str:
    """Return the full account number."""
    check = compute_check_digits(account_type, identifier, period)
    return f"{registry}-{account_type:03d}-{identifier}-{period}-{check}"


def parse_account(text: str, *, identifier_digits_max: int = IDENTIFIER_DIGITS_MAX) -> UkAccount:
    """Read a full account number and check its digits; raise `AccountNumberError`."""
    found = _ACCOUNT.fullmatch(text)
    if found is None:
        raise AccountNumberError(f"{text[:40]!r} is not like UK-100-1010-0-47 (registry-type-identifier-period-check)")
    registry, account_type, identifier, period, check = (
        found[1],
        int(found[2]),
        int(found[3]),
        int(found[4]),
        int(found[5]),
    )
    if len(found[3]) > identifier_digits_max:
        raise AccountNumberError(f"{text!r} has an identifier of more than {identifier_digits_max} digits")
    if all(_remainder(prefix, account_type, identifier, period, check) != 1 for prefix in ("UK", "GB")):
        raise AccountNumberError(f"{text!r} has wrong check digits {check}")
    return UkAccount(registry, account_type, identifier, period)


def _remainder(prefix: str, account_type: int, identifier: int, period: int, check: int) -> int:
    letters = "".join(str(ord(letter) - ord("A") + 10) for letter in prefix)
    return int(f"{identifier}{letters}{account_type:03d}{period:02d}{check:02d}") % 97
