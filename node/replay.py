"""Re-execution: does what the log shows follow from the rules, block by block, from genesis on?

The blocks come from a bundle or from a node's own store; here they are executed again in memory and compared byte for
byte. Signatures of validators are not looked at (`keeling.verify`), and nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sortedcontainers import SortedDict

from keeling.block import RULES, parse_header
from keeling.bundle_parts import ResultRow, WholeBlock
from keeling.ed25519 import check_signature
from keeling.encoding import EncodingError
from keeling.entry import SignedEntry, parse_entry
from keeling.genesis import Genesis, GenesisError
from node.core.block import Block, Executed, Place, Tip, execute, is_admissible
from node.core.opening import open_ledger
from node.core.state import State
from node.core.succession import open_successor

Shown = WholeBlock
"""A block as the log shows it."""


class Difference(NamedTuple):
    """Where the log first departs from the rules: what executing gives (`expected`), and what the log says."""

    height: int
    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"height {self.height}: {self.what}: expected {self.expected}, found {self.found}"


class MemoryState:
    """Consensus state in memory, as `node.core.state` reads it."""

    def __init__(self) -> None:
        self.data: Any = SortedDict()

    def get(self, key: bytes) -> bytes | None:
        value: bytes | None = self.data.get(key)
        return value

    def get_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        return [self.data.get(key) for key in keys]

    def scan(self, start: bytes, stop: bytes, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        for key in list(self.data.irange(start, stop, (True, False), reverse)):
            yield key, self.data[key]

    def write(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Apply the changes of one block."""
        for key, value in changes:
            if value is None:
                self.data.pop(key, None)
            else:
                self.data[key] = value


class Replayed(NamedTuple):
    """How far the log follows the rules, which version of them, and the state after the last block that does.

    `tip` is where the log ends there.
    """

    height: int
    transactions: int
    rules: int
    difference: Difference | None
    state: MemoryState
    tip: Tip


def replay(
    genesis: Genesis,
    blocks: Iterable[tuple[int, Shown]],
    progress: Callable[[int], None] = lambda height: None,
    before: Iterable[Sequence[tuple[bytes, bytes]]] | None = None,
) -> Replayed:
    """Execute the blocks from genesis on, and stop at the first that differs. `progress` is told each height.

    A network that succeeds another begins with that one's state: `before` are its rows, which must be checked already.
    Raises `GenesisError` where the genesis file breaks a rule, or takes a state over that is not given.
    """
    memory = MemoryState()
    tip = _open(memory, genesis, before)
    state = State(memory)
    transactions = 0
    for height, shown in blocks:
        found = _execute(state, tip, height, shown)
        difference = found if isinstance(found, Difference) else _compare(found, shown)
        if difference is not None or isinstance(found, Difference):
            return Replayed(tip.height, transactions, RULES, difference, memory, tip)
        memory.write(found.changes)
        state.settle(height)
        tip = found.tip
        transactions += sum(len(done.answers) for done in found.submissions)
        progress(height)
    return Replayed(tip.height, transactions, RULES, None, memory, tip)


def _open(memory: MemoryState, genesis: Genesis, before: Iterable[Sequence[tuple[bytes, bytes]]] | None) -> Tip:
    """Fill the memory with the state before the first block."""
    tip, changes = open_ledger(State(MemoryState()), genesis)
    if genesis.succeeds is not None:
        if before is None:
            raise GenesisError("this network takes over the state of another: give its snapshot (--before)")
        for rows in before:
            memory.data.update(rows)
        changes = open_successor(State(memory), genesis)
    memory.write(changes)
    return tip


def _execute(state: State, tip: Tip, height: int, shown: Shown) -> Block | Difference:
    if height != tip.height + 1:
        return Difference(height, "height of the next block", str(tip.height + 1), str(height))
    try:
        header = parse_header(shown.header)
        entry: SignedEntry = parse_entry(shown.entry, check_signature)
    except EncodingError as error:
        return Difference(height, "header and entry", "canonical form, signed by the author", str(error))
    if not is_admissible(state, tip, entry):
        number = f"number {entry.entry.number} of {entry.entry.author.hex()}"
        return Difference(height, "entry", "one of a validator, numbered above its last", number)
    return execute(state, tip, entry, Place(header.epoch, header.position), check_signature)


def _compare(block: Block, shown: Shown) -> Difference | None:
    """The first difference, the most telling one first: an answer, a sweep, a record, then each field of the header."""
    height = block.header.height
    if len(block.submissions) != len(shown.submissions):
        return Difference(height, "submissions", str(len(block.submissions)), str(len(shown.submissions)))
    for number, (done, said) in enumerate(zip(block.submissions, shown.submissions, strict=True)):
        found = _compare_answers(height, number, done, said.results)
        if found is not None:
            return found
        if done.leaf != said.leaf:
            return Difference(height, f"record of submission {number}", done.leaf.hex(), said.leaf.hex())
    if block.sweeps != shown.sweeps:
        expected, stated = (b"".join(events).hex() for events in (block.sweeps, shown.sweeps))
        return Difference(height, "sweep events", expected or "none", stated or "none")
    stated_header = parse_header(shown.header)
    for name, one, other in zip(block.header._fields, block.header, stated_header, strict=True):
        if one != other:
            return Difference(height, f"{name} in the header", _show(one), _show(other))
    return None


def _compare_answers(height: int, number: int, done: Executed, said: Sequence[ResultRow]) -> Difference | None:
    if len(done.answers) != len(said):
        return Difference(height, f"results of submission {number}", str(len(done.answers)), str(len(said)))
    for ordinal, (answer, row) in enumerate(zip(done.answers, said, strict=True)):
        where = f"submission {number}, transaction {ordinal}"
        reason = 0 if answer.refusal is None else int(answer.refusal.reason)
        if reason != row.reason:
            return Difference(height, f"{where}: reason", str(reason), str(row.reason))
        events = b"".join(answer.events)
        if events != row.events:
            return Difference(height, f"{where}: events", events.hex(), row.events.hex())
    return None


def _show(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
