"""Versions of the rules: decided by the electorate, in force from a height that everybody knows beforehand.

A node that does not know the version in force executes nothing more: it must be replaced by a later release, and says
so. Which versions this code knows is in `keeling.block`.
"""

from __future__ import annotations

from keeling import block
from keeling.events import EventKind
from keeling.operations import ActivateVersion
from keeling.reasons import Reason
from node.core import tables as t
from node.core.authority import check_electorate
from node.core.context import Context
from node.core.governance.records import RuleSchedule
from node.core.refusal import Refused
from node.core.state import State


class UnknownRules(Exception):
    """A later version of the rules is in force than this release has."""


def check_activate_fields(op: ActivateVersion) -> None:
    if not op.version:
        raise Refused(Reason.MISSING_FIELD, "name the version of the rules", field="version")


def read_schedule(state: State) -> RuleSchedule:
    found = state.get(t.SCHEDULE)
    if found is None:
        raise LookupError("the state does not say which rules are in force")
    return found


def apply_activate(tx: Context, op: ActivateVersion) -> None:
    """Decide the next version and its first height, or withdraw it before that height."""
    check_electorate(tx)
    schedule = read_schedule(tx.state)
    following = schedule.version + 1
    if op.version != following or (not op.height and not schedule.next_version):
        detail = f"version {schedule.version} is in force, {following} can be decided; not {op.version}"
        raise Refused(Reason.VERSION_NOT_NEXT, detail, version=schedule.version)
    if op.height and op.height <= tx.height:
        raise Refused(Reason.HEIGHT_HAS_PASSED, f"height {op.height} is not above {tx.height}", height=tx.height)
    chosen = (op.version, op.height) if op.height else (0, 0)
    tx.state.put(t.SCHEDULE, RuleSchedule(schedule.version, *chosen))
    tx.emit(EventKind.VERSION_DECIDED, str(op.version), facts={"height": op.height or "withdrawn"})


def find_unknown_rules(state: State, height: int) -> str:
    """Why this release cannot execute the block at `height`, the next upon `state`; empty where it can."""
    schedule = read_schedule(state)
    due = schedule.next_version and height >= schedule.next_height
    version = schedule.next_version if due else schedule.version
    if version in block.RULES_KNOWN:
        return ""
    known = ", ".join(map(str, block.RULES_KNOWN))
    return f"rules version {version} is in force, this release knows {known}: install a later one"


def find_unknown_decided(state: State) -> str:
    """What to do before the height of a version that was decided and that this release lacks; empty otherwise."""
    schedule = read_schedule(state)
    if not schedule.next_version or schedule.next_version in block.RULES_KNOWN:
        return ""
    return f"rules version {schedule.next_version} begins at height {schedule.next_height}: install its release before"


def start_rules(sweep: Context) -> int:
    """The version that the block of `sweep` is executed by; what was decided for its height comes into force.

    Raises `UnknownRules` where this release cannot execute it.
    """
    unknown = find_unknown_rules(sweep.state, sweep.height)
    if unknown:
        raise UnknownRules(unknown)
    schedule = read_schedule(sweep.state)
    if schedule.next_version and sweep.height >= schedule.next_height:
        schedule = RuleSchedule(schedule.next_version, 0, 0)
        sweep.state.put(t.SCHEDULE, schedule)
        sweep.emit(EventKind.VERSION_ACTIVATED, str(schedule.version))
    return schedule.version
