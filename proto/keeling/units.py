"""The closed vocabularies of units: states, purposes of keys, roles. Numbers are on the ledger and never reused.

What may move from which state to which is decided in `node.core`; here are only the words (units and rules §2).
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Final


class UnitState(IntEnum):
    """What a lot is now. NONE stands for "nowhere yet" in events of issuance."""

    NONE = 0
    PENDING = 1
    FREE = 2
    HELD = 3
    INSTRUCTED = 4
    BUFFER = 5
    IMMOBILISED = 6
    RETIRED = 7
    USED = 8
    CANCELLED = 9
    CONVERTED = 10
    ENDED = 11


TERMINAL: Final = frozenset(
    {UnitState.RETIRED, UnitState.USED, UnitState.CANCELLED, UnitState.CONVERTED, UnitState.ENDED}
)
"""They absorb; the only way back is `Reverse` (guarantee G2)."""


class Purpose(IntFlag):
    """What a participant's key may do."""

    SUBMIT = 1
    APPROVE = 2
    ADMIN = 4
    GOVERN = 8
    ATTEST = 16
    NODE = 32


ROLES: Final = ("registry", "authority", "exchange", "group", "bank", "verifier", "auditor")

NATIVE: Final = "ledger"
"""The registry of record of NATIVE batches: this ledger."""


def unassigned_account(registry: str) -> str:
    """The account that shows an outside registry's units nobody has claimed here: visible, not tradable."""
    return f"unassigned@{registry}"
