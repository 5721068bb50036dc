"""What a reader remembers of the words of one log's host, to notice when two of them exclude each other.

Pure bookkeeping: what was shown goes in, evidence comes out. The words' form and check are in `keeling.engine_word`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from keeling.engine_word import EngineEvidence, SignedWord, extend_running, make_engine_evidence

REMEMBERED: Final = 4_096
"""Positions kept; a lie about older ones shows in the hashes behind them all the same."""
PENDING_MAX: Final = 16
"""Words of positions not read yet, as others were given them, kept until they can be compared."""


class Shown(NamedTuple):
    """What a host showed with a word: the entries' digests behind position `after`, where the hash is `running`."""

    after: int
    running: bytes
    digests: tuple[bytes, ...]
    word: SignedWord


class WordBook:
    """The words of one log, as this reader and others were given them. All are checked before they come here."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, tuple[bytes, bytes]] = OrderedDict()  # position: running hash, digest there
        self._newest: SignedWord | None = None
        self._pending: OrderedDict[int, SignedWord] = OrderedDict()

    @property
    def newest(self) -> SignedWord | None:
        """The word with the highest position that this reader was given, for others to compare."""
        return self._newest

    def note(self, shown: Shown) -> EngineEvidence | None:
        """Remember what was shown; the evidence, if it excludes what was shown before."""
        runs = list(accumulate(shown.digests, lambda run, digest: extend_running(run, [digest]), initial=shown.running))
        newest = self._newest
        if newest is not None:
            at = newest.word.position - shown.after
            if 0 <= at < len(runs) and runs[at] != newest.word.running:
                return make_engine_evidence(newest, shown.word, runs[at], shown.digests[at:])
            if at >= len(runs):
                return self._compare_kept(shown.word, newest)
        self._keep(shown, runs)
        for position in [position for position in self._pending if position <= shown.word.word.position]:
            found = self.compare(self._pending.pop(position))
            if found is not None:
                return found
        return None

    def compare(self, other: SignedWord) -> EngineEvidence | None:
        """The evidence, if `other`, which somebody else was given, excludes what was shown here."""
        newest = self._newest
        if newest is None or other.word.position > newest.word.position:
            self._pending[other.word.position] = other
            if len(self._pending) > PENDING_MAX:
                self._pending.popitem(last=False)
            return None
        return self._compare_kept(other, newest)

    def _compare_kept(self, earlier: SignedWord, newest: SignedWord) -> EngineEvidence | None:
        kept = self._kept.get(earlier.word.position)
        if kept is None or kept[0] == earlier.word.running:
            return None
        between = self._digests(earlier.word.position, newest.word.position)
        return None if between is None else make_engine_evidence(earlier, newest, kept[0], between)

    def _digests(self, after: int, last: int) -> list[bytes] | None:
        kept = [self._kept.get(position) for position in range(after + 1, last + 1)]
        digests = [item[1] for item in kept if item is not None]
        return digests if len(digests) == len(kept) else None

    def _keep(self, shown: Shown, runs: Sequence[bytes]) -> None:
        for position, (running, digest) in enumerate(zip(runs[1:], shown.digests, strict=True), shown.after + 1):
            self._kept[position] = (running, digest)
        while len(self._kept) > REMEMBERED:
            self._kept.popitem(last=False)
        self._newest = shown.word
