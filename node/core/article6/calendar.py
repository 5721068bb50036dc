"""Calendar years of moments, in UTC, and the one year of a vintage. Pure integers: the rules read no clock.

A date stands for its whole UTC day, so a transfer at 23:59 local time may belong to another year than its seller thinks
(accounts are annual, 2/CMA.3 annex para 8).
"""

from __future__ import annotations

from typing import Final

from node.core.records import Batch

_DAY_MS: Final = 86_400_000
_ERA_DAYS: Final = 146_097
"""Days in 400 years of the Gregorian calendar."""
_TO_MARCH_0000: Final = 719_468
"""Days from 0000-03-01 to 1970-01-01."""


def year_of(ms: int) -> int:
    """The UTC calendar year of a moment in milliseconds since 1970."""
    era, day = divmod(ms // _DAY_MS + _TO_MARCH_0000, _ERA_DAYS)
    of_era = (day - day // 1_460 + day // 36_524 - day // 146_096) // 365
    of_year = day - (365 * of_era + of_era // 4 - of_era // 100)
    return 400 * era + of_era + (1 if of_year >= 306 else 0)


def vintage_year(batch: Batch) -> int:
    """The calendar year whose emissions a unit lowered; 0 where the batch does not lie in one and names none."""
    if batch.ndc_year:
        return batch.ndc_year
    if not batch.vintage_start.precision or not batch.vintage_end.precision:
        return 0
    first, last = year_of(batch.vintage_start.ms), year_of(batch.vintage_end.ms)
    return first if first == last else 0
