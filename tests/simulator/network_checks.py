"""What must hold of a simulated network at the end of a run, whatever happened (guarantees G1, G5, G6, G7, G8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeling.reasons import Reason as Result
from node.archive import height_key, read_archive
from node.core.state import State
from node.finality.events import Reason
from node.ledger import StateReader, read_height
from node.store.contract import Family
from tests.node.core.conservation import check_conservation

if TYPE_CHECKING:
    from tests.simulator.network_run import Node, Run


class Violation(AssertionError):
    """What the design promises did not hold."""


def check_run(run: Run) -> None:
    """Raise `Violation` for the first promise that was broken."""
    if run.broken:
        raise Violation(run.broken[0])
    errors = [error for error in run.loop.errors if not isinstance(error, AssertionError)]
    if errors:
        raise Violation(f"a task failed and nobody looked: {errors[0]!r}")
    for name, node in run.nodes.items():
        stopped = node.replica.chain.finality.pen.stopped if node.replica is not None else None
        if stopped is not (Reason.JOURNAL_LOST if node.is_restored else None):
            raise Violation(f"{name} stopped signing, or did not when it should have: {stopped}")
    nodes = list(run.nodes.values())
    for node in nodes[1:]:
        _check_same_history(nodes[0], node)
    _check_answers(run, nodes[0])
    for node in nodes:
        try:
            check_conservation(State(StateReader(node.disk)))
        except AssertionError as error:
            raise Violation(f"conservation at {node.name}: {error}") from error


def _check_same_history(one: Node, other: Node) -> None:
    """The same blocks at each height, and from them the same state (G6, G7)."""
    for height in range(1, min(read_height(one.disk), read_height(other.disk)) + 1):
        key = height_key(b"h", height)
        if one.disk.get(Family.BLOCKS, key) != other.disk.get(Family.BLOCKS, key):
            raise Violation(f"two final blocks at height {height}: of {one.name} and of {other.name}")
    if read_height(one.disk) != read_height(other.disk):
        raise Violation(f"{one.name} and {other.name} are not level")
    if list(one.disk.scan(Family.STATE)) != list(other.disk.scan(Family.STATE)):
        raise Violation(f"{one.name} and {other.name} have the same log and not the same state")


def _check_answers(run: Run, node: Node) -> None:
    """What was acknowledged is final, was done once, and answered with the first result (G5, G8)."""
    found: dict[tuple[str, bytes], list[int]] = {}
    for height in range(1, read_height(node.disk) + 1):
        archived = read_archive(node.disk, height)
        if archived is None:
            raise Violation(f"{node.name} does not have block {height}")
        for submission in archived.submissions:
            for answer in submission.answers:
                found.setdefault((submission.participant, answer.id), []).append(answer.reason)
    for wish in run.asked:
        results = found.get((wish.participant, wish.id), [])
        if results.count(Result.ACCEPTED) > 1:
            raise Violation(f"transaction {wish.id.hex()} took effect {results.count(Result.ACCEPTED)} times")
        answered = run.answered.get(wish)
        if answered is None:
            continue
        told = answered.submission.answers[0].reason
        if told not in results:
            raise Violation(f"transaction {wish.id.hex()} was answered {told}, the final log says {results}")
