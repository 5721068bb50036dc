"""What a dispatcher counts, for metrics. What is made of it is in `hub.service.figures`."""

from __future__ import annotations


class Figures:
    """Counters for metrics. Plain numbers, written by the dispatcher alone."""

    def __init__(self) -> None:
        self.rounds = 0
        self.dispatched = 0
        self.sent = 0
        self.asked = 0
        self.captured_units = 0
        self.released_units = 0
        self.unseen_units = 0
        """Released because their registry showed nothing of them until it settled."""
        self.answers: dict[str, int] = {}
