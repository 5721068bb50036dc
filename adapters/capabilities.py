"""What a registry can do and how it answers: everything the hub must know before it sends the first byte. Plain values.

What is said and answered is in `adapters.contract`.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import NamedTuple


class Idempotency(StrEnum):
    """What the registry does with the same instruction handed in twice."""

    NATIVE = "native"
    """It takes our key, and does what one key asks once."""
    BY_REFERENCE = "by-reference"
    """It keeps our reference and can be asked for it; a second instruction is done a second time."""
    NONE = "none"
    """It knows neither: only accounts and serials tell what happened."""


class Decision(StrEnum):
    """Whether the answer to an instruction is already its outcome."""

    AT_ONCE = "at-once"
    LATER = "later"
    """That the message was accepted and what was decided are answered apart."""


class Confirmation(StrEnum):
    """How the hub learns of an outcome, where it comes later."""

    PUSH = "push"
    POLL = "poll"
    BATCH = "batch"
    """Outcomes become visible in cycles; see `Capabilities.cycle_ms`."""


class SerialChoice(StrEnum):
    """Who says which units are used."""

    OURS = "ours"
    REGISTRY = "registry"
    """Serials in an instruction are a wish; the report names those really used."""


class Action(StrEnum):
    """What an instruction asks for."""

    RETIRE = "retire"
    CANCEL = "cancel"
    USE = "use"
    TRANSFER = "transfer"
    BLOCK = "block"
    """Reserve units at the registry, where it can."""
    UNBLOCK = "unblock"
    ACCEPT = "accept"
    """Answer yes to what another account proposed under `Instruction.answers`."""
    DECLINE = "decline"
    WITHDRAW = "withdraw"
    """Take back what we proposed ourselves under `Instruction.answers`, while that is still possible."""


class LookUp(StrEnum):
    """By what an instruction can be found again."""

    KEY = "key"
    REFERENCE = "reference"
    SERIAL = "serial"


class Limit(NamedTuple):
    """At most so many requests in any span of so many milliseconds. `stated`: by the registry, else our own caution."""

    requests: int
    per_ms: int
    stated: bool


class Calendar(NamedTuple):
    """When a registry works. Minutes count from midnight of `zone` (IANA); weekdays 0 Monday to 6 Sunday."""

    zone: str
    opens_minute: int
    closes_minute: int
    weekdays: tuple[int, ...]
    holidays: tuple[date, ...] = ()


class Capabilities(NamedTuple):
    """What the hub must know of a registry before it sends the first byte."""

    actions: frozenset[Action]
    idempotency: Idempotency
    decision: Decision
    confirmation: Confirmation
    settles_within_ms: int
    """After this long, a look-up that finds nothing means that nothing happened. Rules use the ledger's record."""
    looked_up_by: frozenset[LookUp]
    serials: SerialChoice
    lots_max: int
    """Most serial ranges one message may name."""
    limits: tuple[Limit, ...]
    grade: str
    """Evidence grade of its answers: "A" to "D"."""
    cycle_ms: int = 0
    calendar: Calendar | None = None
    """None: at all hours."""
    in_order: bool = False
    """One instruction at a time for each registry account, in order of dispatch."""
