"""Emissions balances of Parties, and what each method of corresponding adjustment makes of them, in exact fractions.

    EB[y] = E[y] + FT[y] - USE[y]        2/CMA.3 annex para 8; there is no term for what was merely acquired

FT is by vintage year, USE by the year of use. For a metric other than GHG the signs are the opposite (para 9: the host
subtracts, the user adds). Without inventory or method there is no balance: INDETERMINATE with the reason, no guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Final, NamedTuple

from keeling.operations import PartyMethod

SCALE: Final = 4
"""Digits after the point when a fraction is printed; kept exact until then."""


class YearSums(NamedTuple):
    """What one Party first transferred (by vintage) and used (by year of use) in one metric."""

    year: int
    first_transferred: int
    used: int


class BalanceRow(NamedTuple):
    """One year. `adjustment` is what the method applies then; None where it cannot be said, and `why` says why."""

    year: int
    first_transferred: int
    used: int
    cumulative: int
    emissions: Fraction | None
    balance: Fraction | None
    adjustment: Fraction | None
    why: str


class Balance(NamedTuple):
    """All years; `final` is what is applied at the end of the period, where the method says so."""

    rows: tuple[BalanceRow, ...]
    final: Fraction | None
    why: str


def compute_balance(
    sums: Sequence[YearSums], inventory: Mapping[int, Fraction], method: int, first_year: int, last_year: int, ghg: bool
) -> Balance:
    """The rows of a period, in order; `first_year`, `last_year` are those of the NDC period, 0 where unknown.

    Averaging (para 7(a)(ii)): each year the average of all net transfers so far, at the end that over the whole period.
    Trajectory and multi-year (7(a)(i), 7(b)): each year its own, and cumulatively at the end.
    """
    sign = 1 if ghg else -1
    rows: list[BalanceRow] = []
    cumulative = 0
    problem = _why_no_method(method, first_year, last_year)
    for item in sorted(sums):
        net = sign * (item.first_transferred - item.used)
        inside = not problem and first_year <= item.year <= last_year
        cumulative += net if problem or inside else 0
        emissions = inventory.get(item.year)
        adjustment: Fraction | None = None
        if inside:
            elapsed = item.year - first_year + 1
            adjustment = Fraction(cumulative, elapsed) if method == PartyMethod.AVERAGING else Fraction(net)
        why = problem
        if not why and not inside:
            why = f"{item.year} is outside the NDC period {first_year} - {last_year}"
        if not why and emissions is None:
            why = f"no emissions were given for {item.year}"
        balance = emissions + net if emissions is not None and not why else None
        rows.append(
            BalanceRow(item.year, item.first_transferred, item.used, cumulative, emissions, balance, adjustment, why)
        )
    return Balance(tuple(rows), *_close(rows, method, first_year, last_year, problem, cumulative))


def _why_no_method(method: int, first_year: int, last_year: int) -> str:
    if method == PartyMethod.METHOD_UNSPECIFIED:
        return "no method of corresponding adjustment was given"
    if not first_year or not last_year:
        return "the NDC period is not on record"
    return ""


def _close(
    rows: Sequence[BalanceRow], method: int, first_year: int, last_year: int, problem: str, cumulative: int
) -> tuple[Fraction | None, str]:
    """What applies at the end of the period: only once all its years are there."""
    if problem:
        return None, problem
    years = {row.year for row in rows}
    missing = [year for year in range(first_year, last_year + 1) if year not in years]
    if missing:
        return None, f"the period {first_year} - {last_year} is not complete: {missing[0]} is missing"
    if method == PartyMethod.AVERAGING:
        return Fraction(cumulative, last_year - first_year + 1), ""
    return Fraction(cumulative), ""


def format_fraction(value: Fraction, scale: int = SCALE) -> str:
    """Decimal text with at most `scale` digits after the point, rounded half up, without trailing zeros."""
    sign, value = ("-", -value) if value < 0 else ("", value)
    whole, rest = divmod((value.numerator * 10**scale * 2 + value.denominator) // (2 * value.denominator), 10**scale)
    digits = f"{rest:0{scale}d}".rstrip("0") if scale else ""
    text = f"{whole}.{digits}" if digits else str(whole)
    return text if text == "0" else sign + text


def parse_fraction(text: str) -> Fraction | None:
    """Decimal text as an exact fraction; None where it is none."""
    body = text.removeprefix("-")
    whole, point, part = body.partition(".")
    if not (whole.isascii() and whole.isdigit()) or (point and not (part.isascii() and part.isdigit())):
        return None
    if len(body) > 40:
        return None
    value = Fraction(int(whole + part), 10 ** len(part))
    return -value if text.startswith("-") else value
