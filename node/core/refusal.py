"""How a rule says no: `Refused` inside the core, carrying the stable reason and the values that explain it.

The vocabulary of reasons is `keeling.reasons`. Only `node.core.apply` catches `Refused`; any other exception is a bug
and must stop the block (design §4.3), never become an answer.
"""

from __future__ import annotations

from typing import NamedTuple

from keeling.meanings import MEANINGS
from keeling.reasons import Reason


class Refusal(NamedTuple):
    """An answer that changed nothing. `detail` names what, where and how much; it is not hashed, the reason is."""

    reason: Reason
    detail: str = ""
    values: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.reason.name}: {self.detail or MEANINGS[self.reason].text}"


class Refused(Exception):
    """Raised where a check fails; becomes a `Refusal`."""

    def __init__(self, reason: Reason, detail: str = "", **values: object) -> None:
        self.refusal = Refusal(reason, detail, tuple((name, str(value)) for name, value in values.items()))
        super().__init__(str(self.refusal))
