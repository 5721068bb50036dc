"""From an entry to a block: `execute` runs every submission and closes with a header (design §4.2-4.4).

Pure: entry, state and the tip of the chain in; leaves, results, events and state changes out. Signatures are checked by
the function passed in, so that they can be verified ahead by other processes. Storing, voting and answering are the
node's business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import NamedTuple

from keeling.block import (
    FORMAT,
    HEADER_LEAF,
    RECORD_LEAF,
    Header,
    SubmissionRecord,
    chain_writes,
    compute_header_hash,
    compute_results_root,
    compute_sweeps_root,
    encode_record,
    format_header,
)
from keeling.entry import SignedEntry
from keeling.events import EVENT, SWEEP, Event, compute_events_digest
from keeling.merkle import Frontier, Growth, hash_leaf
from keeling.operations import Transaction
from keeling.reasons import Reason
from keeling.submission import (
    Approved,
    Submission,
    SubmissionError,
    approval_message,
    parse_submission,
    parse_transaction,
)
from keeling.units import Purpose
from node.core import tables as t
from node.core.apply import apply_transaction, forget_ids
from node.core.context import Context, Signer
from node.core.governance.records import PolicyInForce
from node.core.governance.snapshots import count_work, is_work
from node.core.governance.validators import policy_in_force
from node.core.governance.versions import start_rules
from node.core.holds import expire_holds
from node.core.limits import LOT_BYTES, LOTS_BLOCK_MAX, LOTS_SPARED, LOTS_TOUCHED_MAX, SWEEP_MAX
from node.core.records import Author, Decided, make
from node.core.refusal import Refusal
from node.core.state import State

CheckSignature = Callable[[bytes, bytes, bytes], bool]
ParseSubmission = Callable[[bytes], Submission]
"""`parse_submission`, or one that remembers what it answered: the bytes decide alone."""


class Tip(NamedTuple):
    """Where the chain ends: what the next block must follow. The state must be the one after exactly this block."""

    network: bytes
    policy: bytes
    height: int
    header_hash: bytes
    writes: bytes
    frontier: Frontier


class Place(NamedTuple):
    """Where in the ordering log the entry was read."""

    epoch: int
    position: int


class Answer(NamedTuple):
    """The result of one transaction; `refusal` None means accepted."""

    digest: bytes
    refusal: Refusal | None
    events: tuple[bytes, ...]
    transaction: Transaction | None


class Executed(NamedTuple):
    """One submission's record, the leaf bytes, and its answers in order."""

    record: SubmissionRecord
    leaf: bytes
    answers: tuple[Answer, ...]
    participant: str


class Decision(NamedTuple):
    """The block decided a policy: the new file, and the header leaf's inclusion proof in the log after the block."""

    policy: bytes
    proof: tuple[bytes, ...]


class Block(NamedTuple):
    """An executed entry, neither final nor stored. `growth` is the log after it, `changes` the writes in key order.

    `decision` is set where the blocks after this one are certified under another policy.
    """

    header: Header
    header_leaf: bytes
    submissions: tuple[Executed, ...]
    sweeps: tuple[bytes, ...]
    events: tuple[Event, ...]
    changes: tuple[tuple[bytes, bytes | None], ...]
    forgotten: tuple[tuple[bytes, Decided], ...]
    growth: Growth
    decision: Decision | None = None

    @property
    def tip(self) -> Tip:
        """What the block after this one follows."""
        header, log = self.header, self.growth.frontier
        header_hash = compute_header_hash(self.header_leaf)
        return Tip(header.network, header.next_policy, header.height, header_hash, header.writes, log)


def is_admissible(state: State, tip: Tip, entry: SignedEntry) -> bool:
    """Whether an entry makes a block: of this network, by a validator in force, numbered above its last (rule E1)."""
    author = state.get(t.AUTHORS, entry.entry.author)
    if author is None or not author.active:
        return False
    return entry.entry.network == tip.network and entry.entry.number > author.number


def compute_time(state: State, previous_ms: int) -> int:
    """Ledger time: the (q-f)-th largest of the validators' newest clocks, never before the previous block (rule T1)."""
    clocks = sorted((author.clock_ms for _, author in state.scan(t.AUTHORS) if author.active), reverse=True)
    quorum, faults = 2 * len(clocks) // 3 + 1, (len(clocks) - 1) // 3
    return max(previous_ms, clocks[quorum - faults - 1])


def execute(
    state: State,
    tip: Tip,
    entry: SignedEntry,
    place: Place,
    check: CheckSignature,
    parse: ParseSubmission = parse_submission,
) -> Block:
    """Execute an admissible entry on the state after `tip`. Changes `state`; the caller stores or discards it.

    Raises `UnknownRules` where the rules in force are of a later release.
    """
    progress = state.get(t.PROGRESS)
    if progress is None or progress.height != tip.height:
        raise LookupError(f"the state is not the one after block {tip.height}")
    body = entry.entry
    state.put(t.AUTHORS, Author(body.number, body.clock_ms), body.author)
    height, time_ms = tip.height + 1, compute_time(state, progress.time_ms)
    events: list[Event] = []
    sweep = Context(state, height, time_ms, SWEEP, 0, "", ())
    rules = start_rules(sweep)
    expire_holds(sweep, SWEEP_MAX)
    forgotten = forget_ids(sweep, SWEEP_MAX)
    events += sweep.events
    sweeps = tuple(EVENT.encode(event) for event in sweep.events)
    run = _Run(state, tip, height, time_ms, check, events)
    submissions: list[Executed] = []
    ordinal = 0
    read = [_read_submission(raw, parse) for raw in body.submissions]
    _prefetch_ids(state, read)
    for raw, known in zip(body.submissions, read, strict=True):
        done = _execute_submission(run, len(submissions), ordinal, raw, known)
        submissions.append(done)
        ordinal += len(done.answers)
    latest = (state.get(t.PROGRESS) or progress)._replace(height=height, time_ms=time_ms)
    worked = any(is_work(answer.transaction) for done in submissions for answer in done.answers)
    state.put(t.PROGRESS, count_work(state, latest, worked))
    policy = policy_in_force(state)
    changes = state.finish_block(height)
    executed = (tuple(submissions), sweeps, events, changes, forgotten)
    return _close(tip, entry, place, time_ms, rules, policy, *executed)


def _close(
    tip: Tip,
    entry: SignedEntry,
    place: Place,
    time_ms: int,
    rules: int,
    next_policy: PolicyInForce,
    submissions: tuple[Executed, ...],
    sweeps: tuple[bytes, ...],
    events: Sequence[Event],
    changes: list[tuple[bytes, bytes | None]],
    forgotten: list[tuple[bytes, Decided]],
) -> Block:
    header = Header(
        kind=HEADER_LEAF,
        format=FORMAT,
        rules=rules,
        network=tip.network,
        policy=tip.policy,
        next_policy=next_policy.hash,
        epoch=place.epoch,
        position=place.position,
        height=tip.height + 1,
        previous=tip.header_hash,
        time_ms=time_ms,
        entry=entry.digest,
        author=entry.entry.author,
        number=entry.entry.number,
        first_leaf=tip.frontier.size,
        leaves=len(submissions) + 1,
        sweeps=compute_sweeps_root(sweeps),
        writes=chain_writes(tip.writes, changes),
    )
    leaf = format_header(header)
    hashes = [hash_leaf(done.leaf) for done in submissions] + [hash_leaf(leaf)]
    growth = tip.frontier.extend(hashes)
    decision = None
    if next_policy.hash != tip.policy:
        before = tip.frontier.extend(hashes[:-1]).frontier
        # The last leaf's siblings are all complete subtrees before it, the smallest first.
        decision = Decision(next_policy.file, tuple(reversed(before.peaks)))
    return Block(header, leaf, submissions, sweeps, tuple(events), tuple(changes), tuple(forgotten), growth, decision)


class _Run:
    """What the transactions of one block share, and how many lots are left to them."""

    __slots__ = ("check", "events", "height", "lots_left", "state", "time_ms", "tip")

    def __init__(
        self, state: State, tip: Tip, height: int, time_ms: int, check: CheckSignature, events: list[Event]
    ) -> None:
        self.state = state
        self.tip = tip
        self.height = height
        self.time_ms = time_ms
        self.check = check
        self.events = events
        self.lots_left = LOTS_BLOCK_MAX


def _execute_submission(run: _Run, number: int, ordinal: int, raw: bytes, submission: Submission | None) -> Executed:
    """Every transaction gets one result. A submission that is not authentic has none, and pins nothing."""
    participant = "" if submission is None else _authenticate(run.state, run.tip, submission, run.check)
    answers: list[Answer] = []
    if submission is not None and participant:
        for item in submission.transactions:
            answers.append(_execute_transaction(run, ordinal + len(answers), submission.key, participant, item))
    root = compute_results_root([(a[0], a[1].reason if a[1] else 0, compute_events_digest(a[2])) for a in answers])
    if submission is not None and participant:
        digest, key = submission.digest, submission.key
    else:
        digest, key = sha256(raw).digest(), bytes(32)
    record = make(SubmissionRecord, (RECORD_LEAF, run.height, number, digest, key, len(answers), root))
    return make(Executed, (record, encode_record(record), tuple(answers), participant))


def _read_submission(raw: bytes, parse: ParseSubmission) -> Submission | None:
    """The submission in these bytes; None where they are malformed."""
    try:
        return parse(raw)
    except SubmissionError:
        return None


def _authenticate(state: State, tip: Tip, submission: Submission, check: CheckSignature) -> str:
    """The participant who hands in; empty where the submission is foreign, unsigned or by no submitter."""
    if submission.network != tip.network or check_submitter(state, submission.key) is not None:
        return ""
    if not check(submission.key, submission.signature, submission.signed):
        return ""
    key = state.get(t.KEYS, submission.key)
    return key.participant if key is not None else ""


def check_submitter(state: State, public: bytes) -> Refusal | None:
    """Why this key may not hand in submissions; None when it may. The door asks the same question."""
    may = state.concluded["submitter"]
    if public not in may:
        may[public] = _check_submitter(state, public)
    found: Refusal | None = may[public]
    return found


def _check_submitter(state: State, public: bytes) -> Refusal | None:
    key = state.get(t.KEYS, public)
    if key is None:
        return Refusal(Reason.UNKNOWN_KEY, f"key {public.hex()[:16]} is not on this ledger")
    if key.retired or not key.purposes & Purpose.SUBMIT:
        return Refusal(Reason.KEY_NOT_ACTIVE, f"key {public.hex()[:16]} is retired or may not submit")
    if is_suspended(state, key.participant):
        return Refusal(Reason.PARTICIPANT_SUSPENDED, f"{key.participant} is suspended")
    return None


def is_suspended(state: State, name: str) -> bool:
    """Whether a participant may not act: neither hand in nor approve."""
    participant = state.get(t.PARTICIPANTS, name)
    return participant is None or participant.suspended


def _prefetch_ids(state: State, submissions: Sequence[Submission | None]) -> None:
    """Read the ids of all transactions in one go: an id is the first field of a transaction, 16 bytes after its tag."""
    keys: list[bytes] = []
    for submission in submissions:
        submitter = None if submission is None else state.get(t.KEYS, submission.key)
        if submission is not None and submitter is not None:
            for item in submission.transactions:
                if item.raw[:2] == b"\x0a\x10":
                    keys.append(t.IDS.whole_key(item.raw[2:18], submitter.participant))
    state.prefetch(t.IDS, keys)


def _execute_transaction(run: _Run, ordinal: int, submitter: bytes, participant: str, item: Approved) -> Answer:
    try:
        transaction = parse_transaction(item.raw)
    except SubmissionError as error:
        return Answer(item.digest, Refusal(error.reason, str(error)), (), None)
    if transaction.participant != participant:
        detail = f"the transaction names {transaction.participant!r}, the key belongs to {participant!r}"
        return Answer(item.digest, Refusal(Reason.NOT_THE_SUBMITTER, detail), (), transaction)
    signers = _resolve_signers(run.state, run.tip, submitter, participant, item, run.check)
    if isinstance(signers, Refusal):
        return Answer(item.digest, signers, (), transaction)
    events = run.events
    allowed = min(LOTS_TOUCHED_MAX, max(run.lots_left, LOTS_SPARED + len(item.raw) // LOT_BYTES))
    tx = Context(run.state, run.height, run.time_ms, ordinal, len(events), participant, signers, allowed)
    refusal = apply_transaction(tx, transaction, item.digest)
    run.lots_left -= tx.lots_touched
    caused = tx.events
    events += caused
    encoded = (EVENT.encode(caused[0]),) if len(caused) == 1 else tuple([EVENT.encode(event) for event in caused])
    return make(Answer, (item.digest, refusal, encoded, transaction))


def _resolve_signers(
    state: State, tip: Tip, submitter: bytes, participant: str, item: Approved, check: CheckSignature
) -> tuple[Signer, ...] | Refusal:
    """The submitter and every approver, each with what their key may do; refuses a signature that does not verify."""
    alone = state.concluded["signer alone"]
    if not item.approvals and submitter in alone:
        known: tuple[Signer, ...] = alone[submitter]
        return known
    found = []
    for public in (submitter, *(key for key, _ in item.approvals)):
        key = state.get(t.KEYS, public) if len(public) == 32 else None
        if key is None:
            return Refusal(Reason.BAD_APPROVAL, f"approval by {public.hex()[:16]}, which is not on this ledger")
        if key.retired:
            return Refusal(Reason.KEY_NOT_ACTIVE, f"approval by {public.hex()[:16]}, which was retired")
        if key.participant != participant and is_suspended(state, key.participant):
            return Refusal(Reason.PARTICIPANT_SUSPENDED, f"approval by {key.participant}, which is suspended")
        found.append(Signer(public, key.participant, key.person, key.purposes))
    message = approval_message(tip.network, item.digest) if item.approvals else b""
    for public, signature in item.approvals:
        if not check(public, signature, message):
            return Refusal(Reason.BAD_APPROVAL, f"the approval by {public.hex()[:16]} does not verify")
    signers = tuple(found)
    if not item.approvals:
        alone[submitter] = signers
    return signers
