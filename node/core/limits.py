"""Declared limits of one transaction and one block (design, protocol review E5): execution is always bounded.

These are part of the rules: changing one is a new rules version.
"""

from __future__ import annotations

from typing import Final

LOTS_MAX: Final = 5_000
"""Lots one selection may touch, and ranges one transaction may name."""

LOTS_TOUCHED_MAX: Final = 20_000
"""Lots one transaction may look at or move in all its operations: two full selections, each chosen and then moved."""

LOTS_PASSED_MAX: Final = 1_000
"""Too large lots that "whole lots first" passes over before it cuts the smallest of them."""

LOTS_BLOCK_MAX: Final = 100_000
"""Lots all transactions of one block may look at or move: some seconds of work where every other limit is used up."""

LOTS_SPARED: Final = 100
LOT_BYTES: Final = 4
"""Whatever the block has spent, a transaction may touch so many lots, and one more for each so many bytes of its own:
others' large choices stop neither small ones nor those that name what they want, whose number a block's bytes limit."""

OPERATIONS_MAX: Final = 64
"""Operations in one transaction."""

SWEEP_MAX: Final = 1_000
"""Expired holds released, and old ids forgotten, at the start of one block."""

ID_WINDOW_MS: Final = 35 * 86_400_000
"""An id is executed only while its time is within this of ledger time; older ones leave the state."""

TEXT_MAX: Final = 256
"""Characters of a name or reference."""

POLICY_DELAY_MAX_MS: Final = 366 * 86_400_000
"""The longest delay of an account policy's changes: a year."""

UNITS_MAX: Final = 2**63 - 1
"""Units of one batch, and the largest position."""

ALIGNMENT: Final = 2**63
"""Bases of MIRRORED batches are multiples of this, so that positions do not depend on which units were seen first."""

CLOCK_AHEAD_MAX_MS: Final = 60_000
"""A validator does not vote for a block whose time is further ahead of its own clock."""
