"""How much of each load a run makes: a few minutes by default, seconds for a quick look. Loads end by count or by time.

Amounts only; what is done with them lives with each load.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Sizes(NamedTuple):
    """Amounts of one run. Seconds bound a load that is slower than thought; it then stops early and says so."""

    limit_seconds: float
    """How long each limit of the machine is measured."""
    accounts: int
    """Accounts of each of the eight participants."""
    calls: int
    """Calls of 500 transactions under one signature."""
    growth: int
    """Ten times as many: what the history grows by before the same is measured again."""
    single_calls: int
    """Calls of 500 submissions with one transaction and one signature each."""
    light: int
    """Transactions one at a time."""
    network_calls: int
    """Calls of 500 transactions under one signature to four validators."""
    network_single: int
    """Calls of 500 submissions with one transaction and one signature each to four validators."""
    peer_commits: int
    """Commits of 500 rows in the peer."""
    peer_single: int
    """Commits of one row in the peer."""
    parse_rows: int
    """Rows of a registry's file."""
    join_lots: int
    """Lots in the state that a node joins from a snapshot."""
    hub_events: int
    """Decisions of a registry, one at a time, told by webhook."""
    seconds_max: float
    """The longest one load may take."""


QUICK: Final = Sizes(0.2, 20, 12, 120, 8, 60, 16, 8, 12, 200, 5_000, 50_000, 5, 20.0)
FULL: Final = Sizes(1.0, 125, 100, 1_000, 60, 400, 40, 20, 100, 2_000, 50_000, 1_000_000, 30, 120.0)
