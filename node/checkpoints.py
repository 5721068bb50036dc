"""Checkpoints of final blocks: this node's own lines, those of others, and the published note once a quorum is there.

A line is given only to what is final, so never to a smaller or an inconsistent tree, in whatever epoch; its time is the
block's ledger time, so that giving it again gives the same bytes (architecture 4.10). Notes are derived from lines: one
that is lost in a crash is collected again.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import structlog

from keeling.block import Header
from keeling.checkpoint import (
    Checkpoint,
    check_final,
    cosign_checkpoint,
    format_checkpoint,
    format_final,
    sign_checkpoint,
)
from keeling.encoding import U64
from keeling.note import (
    NoteKey,
    NoteRefused,
    SignatureLine,
    check_line,
    format_signature_line,
    parse_signature_line,
)
from keeling.policy import Policy, Validator
from keeling.strict import FormatError
from keeling.votes import CheckSignature
from node.archive import height_key
from node.ledger import PUBLISHED_KEY
from node.peers.contract import CosignedMessage
from node.signing import ValidatorKeys
from node.store.contract import Batch, Family, Store

log = structlog.get_logger()
UNPUBLISHED_MAX: Final = 64
"""Heights whose lines are collected at once; an older one stays unpublished here until somebody hands its note over."""
EARLY_HEIGHTS_MAX: Final = 16
"""Lines for heights so far ahead of our own are kept until we are there."""
LINES_OWN: Final = 2
"""A validator gives a log line and a cosignature."""
REPEATED_MAX: Final = 8
"""Unpublished heights asked for again at once, the newest."""


class _Open(NamedTuple):
    """A final height whose note is not complete: `lines` are genuine, by key id."""

    checkpoint: Checkpoint
    policy: Policy
    lines: dict[tuple[str, bytes], SignatureLine]
    own: bytes


class _Ring(NamedTuple):
    """The keys of a policy by what a signature line says of them; `logs` are the log keys among them."""

    policy: Policy
    logs: frozenset[tuple[str, bytes]]
    keys: dict[tuple[str, bytes], NoteKey]


class Checkpoints:
    """Written by the chain's thread alone."""

    def __init__(self, store: Store, keys: ValidatorKeys | None, check: CheckSignature) -> None:
        self._store = store
        self._keys = keys
        self._check = check
        self._open: dict[int, _Open] = {}
        self._early: dict[int, dict[str, bytes]] = {}
        self._done: list[tuple[int, bytes]] = []
        self._published = 0
        self._ring: _Ring | None = None
        self._fitting: tuple[Policy, list[bool]] | None = None  # whether our own keys are those a policy names

    def restore(self, header: Header, checkpoint: Checkpoint, policy: Policy) -> None:
        """Go on collecting for a final height whose note is not in the store."""
        own = self._store.get(Family.BLOCKS, height_key(b"s", header.height)) or b""
        genuine = [line for line in parse_lines(own) if self._is_genuine(line, checkpoint, policy)]
        lines = {(line.name, line.key_id): line for line in genuine}
        self._open[header.height] = _Open(checkpoint, policy, lines, format_lines(genuine))

    def finish(self, batch: Batch, header: Header, checkpoint: Checkpoint, policy: Policy, note: bytes) -> bytes:
        """A block became final: returns its published note, or nothing yet; then `message` has our own lines."""
        height = header.height
        if note and self._is_good(note, checkpoint, policy):
            self._publish(batch, height)
            return note
        own = self._sign(header, checkpoint, policy)
        if len(own) == LINES_OWN and policy.quorum == 1:
            self._publish(batch, height)
            return format_final(checkpoint, own, policy)
        raw = format_lines(own)
        if raw:
            batch.put(Family.BLOCKS, height_key(b"s", height), raw)
        self._open[height] = _Open(checkpoint, policy, {(line.name, line.key_id): line for line in own}, raw)
        for sender, lines in self._early.pop(height, {}).items():
            self.collect(sender, CosignedMessage(height, lines, False), height)
        self._early = {at: kept for at, kept in self._early.items() if at > height}
        while len(self._open) > UNPUBLISHED_MAX:
            del self._open[min(self._open)]
        return b""

    def _sign(self, header: Header, checkpoint: Checkpoint, policy: Policy) -> list[SignatureLine]:
        own = self._find_own(policy)
        if own is None or self._keys is None:
            return []
        log_line = sign_checkpoint(checkpoint, own.log_key, self._keys.log)
        seconds = header.time_ms // 1000
        lines = [log_line, cosign_checkpoint(checkpoint, own.cosigner_key, seconds, self._keys.cosigner)]
        if self._fitting is None or self._fitting[0] is not policy:
            self._fitting = policy, [self._is_genuine(line, checkpoint, policy) for line in lines]
            for what, fits in zip(("log", "cosigner"), self._fitting[1], strict=True):
                if not fits:
                    log.error("lines not given: the key here is not the one the policy in force names", key=what)
        return [line for line, fits in zip(lines, self._fitting[1], strict=True) if fits]

    def _is_genuine(self, line: SignatureLine, checkpoint: Checkpoint, policy: Policy) -> bool:
        """Whether a line is by the key that the policy names for it."""
        key = self._ring_of(policy).keys.get((line.name, line.key_id))
        if key is None:
            return False
        try:
            check_line(format_checkpoint(checkpoint), line, key, self._check)
        except NoteRefused:
            return False
        return True

    def _find_own(self, policy: Policy) -> Validator | None:
        if self._keys is None:
            return None
        return next((v for v in policy.validators if v.vote_key == self._keys.vote_key), None)

    def _is_good(self, note: bytes, checkpoint: Checkpoint, policy: Policy) -> bool:
        try:
            return check_final(note, policy, self._check).checkpoint == checkpoint
        except (FormatError, NoteRefused):
            return False

    def _publish(self, batch: Batch, height: int) -> None:
        if height > self._published:
            self._published = height
            batch.put(Family.META, PUBLISHED_KEY, U64.encode(height))

    # -- lines of others --------------------------------------------------------------------------------------------

    def collect(self, sender: str, message: CosignedMessage, tip: int) -> None:
        """Count another validator's lines. What is not genuine is passed over: lines are repeated by who needs them."""
        opened = self._open.get(message.height)
        if opened is None:
            if tip < message.height <= tip + EARLY_HEIGHTS_MAX:
                self._early.setdefault(message.height, {})[sender] = message.lines
            return
        text = format_checkpoint(opened.checkpoint)
        ring = self._ring_of(opened.policy)
        for line in parse_lines(message.lines):
            place = (line.name, line.key_id)
            key = ring.keys.get(place)
            if key is None or place in opened.lines or (place in ring.logs and self._has_log(opened)):
                continue
            try:
                check_line(text, line, key, self._check)
            except NoteRefused:
                continue
            opened.lines[place] = line
        cosigned = sum(place not in ring.logs for place in opened.lines)
        if cosigned >= opened.policy.quorum and self._has_log(opened):
            note = format_final(opened.checkpoint, opened.lines.values(), opened.policy)
            self._done.append((message.height, note))
            del self._open[message.height]

    def _has_log(self, opened: _Open) -> bool:
        """One log line is enough for a note; more are not even checked."""
        logs = self._ring_of(opened.policy).logs
        return any(place in logs for place in opened.lines)

    def _ring_of(self, policy: Policy) -> _Ring:
        """The keys whose lines count, made once for a policy: a key's id is a hash."""
        if self._ring is None or self._ring.policy is not policy:
            logs = {(v.log_key.name, v.log_key.id): v.log_key for v in policy.validators}
            cosigners = {(v.cosigner_key.name, v.cosigner_key.id): v.cosigner_key for v in policy.validators}
            self._ring = _Ring(policy, frozenset(logs), {**logs, **cosigners})
        return self._ring

    def flush(self, batch: Batch) -> None:
        """Add the notes that were completed to a batch."""
        for height, note in self._done:
            batch.put(Family.BLOCKS, height_key(b"k", height), note)
            self._publish(batch, height)
        self._done.clear()

    def message(self, height: int, again: bool = False) -> CosignedMessage | None:
        """Our own lines for a final height, if we gave any."""
        opened = self._open.get(height)
        raw = opened.own if opened is not None else self._store.get(Family.BLOCKS, height_key(b"s", height)) or b""
        return CosignedMessage(height, raw, again) if raw or again else None

    def repeat(self) -> list[CosignedMessage]:
        """What is asked for again: lines for the newest heights that are not published here."""
        heights = sorted(self._open)[-REPEATED_MAX:]
        return [message for height in heights if (message := self.message(height, again=True)) is not None]


def format_lines(lines: list[SignatureLine]) -> bytes:
    """Signature lines as they stand under a note."""
    return "".join(map(format_signature_line, lines)).encode("utf-8")


def parse_lines(data: bytes) -> list[SignatureLine]:
    """The signature lines in `data`, unchecked; none if any of it is something else."""
    try:
        return [parse_signature_line(text) for text in data.decode("utf-8").splitlines()[:4]]
    except (FormatError, UnicodeDecodeError):
        return []
