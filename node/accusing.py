"""Spreading evidence: what proves that a validator lied reaches every node, whoever came by it.

A piece is checked before it is kept, like everything that peers send, and told on once. Of one key a few pieces are
enough: a liar must not fill the disks of the others with its lies. What evidence is stands in `keeling.votes` and
`keeling.engine_word`; finding it is the business of the finality machine and of the readers of ordering logs.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from functools import partial
from hashlib import sha256
from typing import Any, Final

import structlog

from keeling.encoding import EncodingError
from keeling.engine_word import ENGINE_EVIDENCE as ENGINE_CODEC
from keeling.engine_word import EngineWordError, check_engine_evidence
from keeling.genesis import Genesis
from keeling.votes import EVIDENCE, CheckSignature, VoteError, check_evidence
from node.chain import Chain
from node.handovers import read_reigns
from node.incidents import ENGINE_EVIDENCE, VOTE_EVIDENCE, scan_evidence
from node.ledger import read_height
from node.outcome import Done
from node.peers.contract import EvidenceMessage, Peers
from node.store.contract import Reads

log = structlog.get_logger()
LOOK_S: Final = 5.0
"""What this node found by itself is told within about this long."""
HEARD_MAX: Final = 64
"""Pieces that wait to be checked; above, the oldest are dropped: they come again with the next link."""
PIECES_PER_KEY: Final = 4
"""Pieces against one key that are taken from others, and told to them."""


class EvidenceRefused(ValueError):
    """The bytes accuse nobody of this network; the text says why."""


class Accusing:
    """Owned by one event loop; `run` is its task. `turn` and `run_in_thread` are the replica's."""

    def __init__(
        self,
        chain: Chain,
        peers: Peers,
        check: CheckSignature,
        turn: Callable[..., Awaitable[Done]],
        run_in_thread: Callable[[Callable[[], Any]], Awaitable[Any]],
    ) -> None:
        self._chain = chain
        self._peers = peers
        self._check = check
        self._turn = turn
        self._run_in_thread = run_in_thread
        self._known: dict[bytes, EvidenceMessage] = {}
        self._against: Counter[bytes] = Counter()
        self._heard: deque[EvidenceMessage] = deque(maxlen=HEARD_MAX)
        self._filled = asyncio.Event()

    def hear(self, message: EvidenceMessage) -> None:
        """A peer sent a piece: it is looked at in its turn."""
        if sha256(message.evidence).digest() not in self._known:
            self._heard.append(message)
            self._filled.set()

    def greet(self, participant: str) -> None:
        """A link is open: what this node knows, the other should."""
        for message in self._known.values():
            self._peers.send(participant, message)

    async def run(self) -> None:
        """Check what came, keep what holds, and tell what is new, for ever."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._filled.wait()
            self._filled.clear()
            while self._heard:
                await self._take(self._heard.popleft())
            for kind in (VOTE_EVIDENCE, ENGINE_EVIDENCE):
                for raw in await self._run_in_thread(partial(_read_all, self._chain.store, kind)):
                    self._tell(EvidenceMessage(kind, raw))

    async def _take(self, message: EvidenceMessage) -> None:
        work = partial(check_piece, self._chain.store, self._chain.genesis, message, self._check)
        try:
            key = await self._run_in_thread(work)
        except EvidenceRefused as refused:
            log.info("no evidence", why=str(refused))
            return
        if self._against[key] < PIECES_PER_KEY and sha256(message.evidence).digest() not in self._known:
            log.error("evidence against a validator came from a peer", key=key.hex())
            await self._turn(self._chain.keep_evidence, message.kind, message.evidence)
            self._tell(message)

    def _tell(self, message: EvidenceMessage) -> None:
        """Tell everybody, once; a newcomer is told when its link opens."""
        digest, key = sha256(message.evidence).digest(), _accused(message)
        if digest not in self._known and self._against[key] < PIECES_PER_KEY:
            self._known[digest] = message
            self._against[key] += 1
            self._peers.broadcast(message)


def _read_all(store: Reads, kind: bytes) -> list[bytes]:
    return list(scan_evidence(store, kind))


def _accused(message: EvidenceMessage) -> bytes:
    if message.kind == VOTE_EVIDENCE:
        return EVIDENCE.decode(message.evidence).first.key
    return ENGINE_CODEC.decode(message.evidence).first.key


def check_piece(store: Reads, genesis: Genesis, message: EvidenceMessage, check: CheckSignature) -> bytes:
    """The key that the piece proves to have lied. Raises `EvidenceRefused`."""
    reigns = read_reigns(store, genesis, read_height(store) + 1)
    try:
        if message.kind == VOTE_EVIDENCE:
            votes = EVIDENCE.decode(message.evidence)
            reign = next((known for known in reigns if known.hash == votes.first.vote.policy), None)
            if reign is None or votes.first.vote.network != genesis.network:
                raise EvidenceRefused("votes of another network, or under a policy that is not known here")
            check_evidence(votes, reign.voters, check)
            return votes.first.key
        if message.kind == ENGINE_EVIDENCE:
            words = ENGINE_CODEC.decode(message.evidence)
            hosts = {key for reign in reigns for key in reign.entry_keys}
            if words.first.word.network != genesis.network or words.first.key not in hosts:
                raise EvidenceRefused("words of another network, or of no validator")
            check_engine_evidence(words, check)
            return words.first.key
    except (EncodingError, VoteError, EngineWordError) as error:
        raise EvidenceRefused(str(error)) from error
    raise EvidenceRefused("evidence of a kind that this release does not know")
