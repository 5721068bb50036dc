"""What a liar says besides votes and reports: false tips, what others said again or spoilt, evidence it made up."""

from __future__ import annotations

from collections import deque
from random import Random

from node.incidents import ENGINE_EVIDENCE, VOTE_EVIDENCE
from node.peers.contract import EvidenceMessage, Message, TipMessage

REMEMBERED = 30
FAR = (0, 3, 1_000_000, (1 << 64) - 1)
"""Heights and epochs that a false tip names."""


class Gossip:
    """Hears everything that is sent to one liar, and makes something of it."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._heard: deque[Message] = deque(maxlen=REMEMBERED)

    def hear(self, message: Message) -> None:
        self._heard.append(message)

    def messages(self) -> list[Message]:
        """A few things that no honest node says now."""
        random = self._random
        said: list[Message] = []
        if random.random() < 0.3:
            said.append(TipMessage(random.choice(FAR), random.choice(FAR), random.random() < 0.5))
        if self._heard:
            old = random.choice(self._heard)
            said.append(old if random.random() < 0.3 else self._spoil(old))
        if random.random() < 0.1:
            said.append(EvidenceMessage(random.choice([VOTE_EVIDENCE, ENGINE_EVIDENCE, b"x"]), random.randbytes(99)))
        return said

    def _spoil(self, message: Message) -> Message:
        """One field of it is another: a bit of bytes, a number beside or far from it, the contrary."""
        name = self._random.choice(message._fields)
        value = getattr(message, name)
        changed: object
        if isinstance(value, bool):
            changed = not value
        elif isinstance(value, int):
            changed = self._random.choice([value + 1, max(0, value - 1), *FAR])
        elif value and self._random.random() < 0.8:
            at = self._random.randrange(len(value))
            changed = value[:at] + bytes([value[at] ^ 1 << self._random.randrange(8)]) + value[at + 1 :]
        else:
            changed = value[: len(value) // 2]
        return message._replace(**{name: changed})  # type: ignore[arg-type]
