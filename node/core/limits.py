"""Declared limits of one transaction and one block (design, protocol review E5): execution is always bounded.

These are part of the rules: changing one is a new rules version.
"""

from __future__ import annotations

from typing import Final

LOTS_MAX: Final = 5_000
"""Lots one selection may touch, and ranges one transaction may name."""

OPERATIONS_MAX: Final = 64
"""Operations in one transaction."""

SWEEP_MAX: Final = 1_000
"""Expired holds released, and old ids forgotten, at the start of one block."""

ID_WINDOW_MS: Final = 35 * 86_400_000
"""An id is executed only while its time is within this of ledger time; older ones leave the state."""

TEXT_MAX: Final = 256
"""Characters of a name or reference."""

UNITS_MAX: Final = 2**63 - 1
"""Units of one batch, and the largest position."""

ALIGNMENT: Final = 2**63
"""Bases of MIRRORED batches are multiples of this, so that positions do not depend on which units were seen first."""

CLOCK_AHEAD_MAX_MS: Final = 60_000
"""A validator does not vote for a block whose time is further ahead of its own clock."""
