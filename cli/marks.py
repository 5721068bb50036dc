"""`keeling mark`, `keeling restrict`: facts about units that change neither owner nor state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.choices import (
    EVIDENCE,
    GRADE,
    POSITIONS,
    REFERENCE,
    SERIALS,
    Grade,
    build_evidence,
    find_positions,
    parse_positions,
)
from cli.command import writes
from cli.exits import misused
from cli.session import Session
from cli.writing import Change

if TYPE_CHECKING:
    from keeling.v1 import operations_pb2 as op

app = typer.Typer()


@writes(app, "mark")
def mark(
    session: Session,
    label: Annotated[str, typer.Argument(metavar="LABEL", help="Such as ccp or corsia:first.")],
    serials: SERIALS = None,
    positions: POSITIONS = None,
    value: Annotated[str, typer.Option("--value", help="Programme version, condition; may be empty.")] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Take the label off instead.")] = False,
    evidence: EVIDENCE = None,
    grade: GRADE = Grade.C,
    reference: REFERENCE = "",
) -> Change:
    """Put a label on units, or take it off. For the registry of the batch, or an importer of it.

    \b
    Example:
      keeling mark ccp --positions verra:19298:0-99 --value "ICVCM 2026" --evidence decision.pdf
      keeling mark ccp --positions verra:19298:0-99 --remove
    """
    from keeling.v1 import operations_pb2 as op

    ranges = _ranges(session, serials, positions)
    if remove:
        return Change([op.Unmark(label=label, ranges=ranges)], lambda _: [f"label {label} is off"])
    proof = build_evidence(evidence, grade, reference)
    return Change(
        [op.Mark(label=label, ranges=ranges, value=value, evidence=proof)], lambda _: [f"label {label} is on"]
    )


@writes(app, "restrict")
def restrict(
    session: Session,
    restriction: Annotated[str, typer.Argument(metavar="NAME", help="The restriction's name.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    serials: SERIALS = None,
    positions: POSITIONS = None,
    lift: Annotated[bool, typer.Option("--lift", help="End the restriction instead.")] = False,
) -> Change:
    """Freeze units, or free them: a restriction blocks every movement and changes no state.

    \b
    Example:
      keeling restrict case-17 --reason "court order" --positions verra:19298:0-99
      keeling restrict case-17 --reason "order lifted" --positions verra:19298:0-99 --lift
    """
    from keeling.v1 import operations_pb2 as op

    ranges = _ranges(session, serials, positions)
    kind = op.Unrestrict if lift else op.Restrict
    done = "lifted" if lift else "in force"
    return Change(
        [kind(restriction=restriction, ranges=ranges, reason=reason)],
        lambda _: [f"restriction {restriction} is {done}"],
    )


def _ranges(session: Session, serials: list[str] | None, positions: list[str] | None) -> list[op.Range]:
    ranges = [parse_positions(text) for text in positions or ()]
    for text in serials or ():
        ranges += find_positions(session, text)
    if not ranges:
        raise misused("no units are named", "give --serials or --positions")
    return ranges
