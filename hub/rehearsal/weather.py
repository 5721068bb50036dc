"""What goes wrong while instructions are carried out, each by a chance of its own. Every registry has other weather."""

from __future__ import annotations

import random

from adapters.sandbox.faults import Fault, FaultKind

_LINE = (
    (FaultKind.CUT_BEFORE, 60, 0),
    (FaultKind.CUT_AFTER, 80, 0),
    (FaultKind.HTML_AFTER, 40, 0),
    (FaultKind.HTML, 20, 0),
    (FaultKind.SERVER_ERROR, 40, 0),
    (FaultKind.THROTTLE, 50, 7),
    (FaultKind.THROTTLE, 20, 0),
    (FaultKind.THROTTLE_AS_401, 20, 0),
    (FaultKind.MAINTENANCE, 15, 60),
    (FaultKind.ERROR_IN_OK, 20, 0),
    (FaultKind.STALE, 30, 5_000),
)
_NOTICES = ((FaultKind.DUPLICATE_NOTICE, 60, 0), (FaultKind.LATE_NOTICE, 60, 0))
_DESK = (
    (FaultKind.REFUSE, 80, 0),
    (FaultKind.PARTIAL, 80, 500),
    (FaultKind.PARTIAL_OPEN, 50, 500),
    (FaultKind.OTHER_SERIALS, 60, 0),
)
_WHOLE = ((FaultKind.REFUSE, 120, 0),)


def make_weather(chance: random.Random, *, whole: bool) -> list[Fault]:
    """Faults for one registry: those of its line by up to twice their usual chance, those of its desk as usual.

    `whole`: its desk does what was asked whole or not at all, and chooses the serials anyway.
    """
    line = [
        Fault(kind, times=-1, permille=1 + usual * chance.randrange(2001) // 1000, value=value)
        for kind, usual, value in _LINE
    ]
    rows = _WHOLE if whole else _DESK
    desk = [Fault(kind, "DESK", times=-1, permille=usual, value=value) for kind, usual, value in rows]
    return (
        line + desk + [Fault(kind, "NOTICE", times=-1, permille=usual, value=value) for kind, usual, value in _NOTICES]
    )
