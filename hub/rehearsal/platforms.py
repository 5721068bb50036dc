"""Two platforms as they are commonly built, in a few lines each, to stand beside the ledger: what they would show.

Neither is a caricature: the optimistic one writes down a sale as if the registry had done it already, the waiting one
shows the registry's last list until the next one comes. Pure.
"""

from __future__ import annotations


class Optimistic:
    """Believes itself: what it sold is gone and retired at once. It compares with the registry some other day."""

    def __init__(self, stock: int) -> None:
        self.free = stock
        self.certified = 0

    def sell(self, units: int) -> bool:
        """Whether it sells; a certificate is issued with it."""
        if units > self.free:
            return False
        self.free -= units
        self.certified += units
        return True

    def ghosts(self, retired: int) -> int:
        """Units it has certified and no registry has retired."""
        return max(self.certified - retired, 0)

    def describe(self, retired: int) -> str:
        ghosts = self.ghosts(retired)
        return f"{self.free:,} for sale, {self.certified:,} certified" + (f": {ghosts:,} GHOSTS" if ghosts else "")


class Waiting:
    """Believes the registry's last list: until the next one comes, what was sold is still for sale."""

    def __init__(self, stock: int) -> None:
        self.shown = stock
        self.sold = 0

    def sell(self, units: int) -> bool:
        """Whether it sells."""
        if units > self.shown:
            return False
        self.sold += units
        return True

    def refresh(self, active: int) -> None:
        """The next list."""
        self.shown = active

    def oversold(self, active: int, retired: int) -> int:
        """Units it has sold and cannot deliver any more."""
        return max(self.sold - retired - active, 0)

    def describe(self, active: int, retired: int) -> str:
        short = self.oversold(active, retired)
        stale = self.shown - active if not short else 0
        words = f"{self.shown:,} for sale, {self.sold:,} sold"
        if short:
            return f"{words}: {short:,} SOLD TWICE"
        return f"{words}: {stale:,} STALE" if stale > 0 else words
