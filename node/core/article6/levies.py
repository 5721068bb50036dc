"""Levies of an issuance: computed for NATIVE batches, checked for MIRRORED ones, by the programme's record alone.

Under Article 6.4 the record takes the adaptation share first and then the mandatory minimum of overall mitigation, both
of the gross issuance, lowest positions first. Article 6.2 has no mandatory levy: its programmes have none on record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from keeling.operations import Issue, Levy, LevyKind, Programme
from keeling.reasons import Reason
from node.core.records import Project
from node.core.refusal import Refused

Compute = Callable[[tuple[Levy, ...], int], list[int]]


def check_levies_taken(op: Issue) -> None:
    """What is wrong with the stated levies whatever the state is."""
    names = [levy.name for levy in op.levies]
    if len(names) > 16 or len(set(names)) != len(names):
        raise Refused(Reason.BAD_FIELD, "up to 16 levies, each named once", field="levies")


def find_levies(op: Issue, programme: Programme, project: Project, compute: Compute) -> list[int]:
    """Units of each levy of the record, in its order: 0 where host or project is exempt."""
    due = compute(programme.levies, op.units)
    for i, levy in enumerate(programme.levies):
        if op.project in levy.exempt or (op.host or project.host) in levy.exempt:
            due[i] = 0
    if programme.native:
        if op.levies:
            raise Refused(Reason.BAD_FIELD, "the levies of a NATIVE issuance are computed, not stated", field="levies")
        return due
    return _check_stated(op, programme, due)


def _check_stated(op: Issue, programme: Programme, due: Sequence[int]) -> list[int]:
    """MIRRORED: what the registry says it levied. Nothing stated: nothing is known of levies, and none is booked."""
    if not op.levies:
        return [0] * len(due)
    stated = {levy.name: levy.units for levy in op.levies}
    unknown = [name for name in stated if name not in [levy.name for levy in programme.levies]]
    if unknown:
        detail = f"{op.programme} has no levy {unknown[0]!r} on record"
        raise Refused(Reason.LEVIES_DISAGREE, detail, levy=unknown[0])
    found = []
    for levy, units in zip(programme.levies, due, strict=True):
        said = stated.get(levy.name, 0)
        if said < units or (said > units and levy.kind != LevyKind.OMGE):
            least = "at least " if levy.kind == LevyKind.OMGE else ""
            detail = f"levy {levy.name} of {op.units}: {said} stated, {least}{units} by the record of {op.programme}"
            raise Refused(Reason.LEVIES_DISAGREE, detail, levy=levy.name, stated=said, due=units)
        found.append(said)
    return found
