"""`keeling hub simulate|chaos`: the founding story and the proof, each on a real ledger made for it and thrown away."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.command import works
from cli.exits import ExitCode, misused
from cli.output import Answer, Grid
from cli.quantities import format_units

if TYPE_CHECKING:
    from hub.rehearsal.chaos import Chaos
    from hub.rehearsal.ghost import Story

app = typer.Typer()
DIFFERENCES_SHOWN = 20


@works(app, "simulate")
def simulate(
    what: Annotated[str, typer.Argument(metavar="STORY", help="ghost: a unit sold, and a registry a day behind.")],
) -> Answer:
    """Play a story on a real node and sandboxes, with what common platforms would have shown beside it.

    \b
    Example:
      keeling hub simulate ghost
    """
    import asyncio

    from hub.rehearsal.ghost import tell_story

    if what != "ghost":
        raise misused(f"there is no story {what!r}", "there is: ghost")
    with tempfile.TemporaryDirectory(prefix="keeling-ghost-") as folder:
        return describe_story(asyncio.run(tell_story(Path(folder))))


def describe_story(story: Story) -> Answer:
    """The table, and in three lines what it shows."""
    rows = [
        (
            f"+{moment.at_ms // 3_600_000}:{moment.at_ms // 60_000 % 60:02d} h",
            moment.happened,
            moment.registry,
            moment.optimistic,
            moment.waiting,
            moment.ledger,
        )
        for moment in story.moments
    ]
    columns = ("", "", "the registry's books", "a platform that believes itself", "one that waits", "keeling")
    facts: dict[str, Any] = {
        "moments": [moment._asdict() for moment in story.moments],
        "ghosts": story.ghosts,
        "sold_twice": story.sold_twice,
        "ledger_differences": story.ledger_ghosts,
        "at_once_ms": story.at_once_ms,
    }
    lines = [
        f"the second buyer was told: {story.refusal}",
        f"believing itself: up to {format_units(story.ghosts)} ghost credits; waiting: "
        f"{format_units(story.sold_twice)} sold twice; keeling: {format_units(story.ledger_ghosts)} units that ledger "
        "and registry disagree on, at any moment",
        f"where a registry answers at once, from sale to final retirement: {story.at_once_ms} ms",
    ]
    return Answer(facts, [Grid(columns, rows), *lines], 0 if not story.ledger_ghosts else ExitCode.VERIFICATION_FAILED)


@works(app, "chaos")
def chaos(
    instructions: Annotated[int, typer.Option("--instructions", min=1, max=100_000, help="How many.")] = 200,
    registries: Annotated[int, typer.Option("--registries", min=1, max=8, help="Over how many registries.")] = 4,
    seed: Annotated[int, typer.Option("--seed", help="Of weather, crashes and order.")] = 7,
) -> Answer:
    """Carry out instructions in bad weather with hubs that crash, and compare with the registries' own books.

    A real node, sandboxes with random faults, two hubs of one organisation. A crash is the end of a hub's memory and
    lines at one of its calls, before the call took effect or after, with its answer lost; processes are killed in the
    tests. Exit code 4 if anything is doubled, invented, lost or unexplained. A seed repeats the weather, not every
    step. Ten thousand take an hour of one processor core.

    \b
    Example:
      keeling hub chaos --instructions 200 --registries 4 --seed 7
    """
    import asyncio

    from hub.rehearsal.chaos import run_chaos

    def tell(over: int, whole: int) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{over:,} of {whole:,} instructions over ")

    with tempfile.TemporaryDirectory(prefix="keeling-chaos-") as folder:
        found = asyncio.run(run_chaos(Path(folder), instructions, registries, seed, tell))
    if sys.stderr.isatty():
        sys.stderr.write("\n")
    return describe_chaos(found)


def describe_chaos(found: Chaos) -> Answer:
    """The report. Exit code 4 when the promise was broken."""
    from hub.rehearsal.chaos import describe_speed

    verdict = found.verdict
    median, tail = describe_speed(found.event_to_ledger_ms)
    rows = [
        ("instructions", format_units(verdict.instructions)),
        *((f"  {name}", like) for name, like in found.registries.items()),
        ("captured, released", f"{format_units(verdict.captured_units)}, {format_units(verdict.released_units)} units"),
        ("orders with an effect, by the books", format_units(verdict.effects)),
        ("duplicates", format_units(len(verdict.duplicates))),
        ("ghosts", format_units(len(verdict.ghosts))),
        ("lost", format_units(len(verdict.losses))),
        ("not over", format_units(len(verdict.unfinished))),
        ("ranges that differ", format_units(len(verdict.differences))),
        ("given back, declined unseen", f"{format_units(found.unseen)} units, found by asking when it had settled"),
        ("left to people", format_units(len(found.backlog))),
        ("crashes of hubs", f"{format_units(found.deaths)}: {_list(found.crashes)}"),
        ("faults", _list(found.faults)),
        ("time", f"{found.days} days at the registries, {found.seconds:.0f} s here"),
        ("registry's decision to final event", f"p50 {median} ms, p95 {tail} ms, where it is told at once"),
    ]
    broken = [*verdict.duplicates, *verdict.ghosts, *verdict.losses, *verdict.differences]
    broken += [f"{line}: {found.backlog.get(line.partition(' ')[0], 'unexplained')}" for line in verdict.unfinished]
    facts: dict[str, Any] = {
        **verdict._asdict(),
        "kept": verdict.kept,
        "registries": found.registries,
        "given_back_unseen": found.unseen,
        "left_to_people": found.backlog,
        "crashes": found.crashes,
        "faults": found.faults,
        "days": found.days,
        "seconds": round(found.seconds, 1),
        "event_to_ledger_p50_ms": median,
        "event_to_ledger_p95_ms": tail,
    }
    code = ExitCode.DONE if verdict.kept else ExitCode.VERIFICATION_FAILED
    complaint = "" if verdict.kept else f"the promise was broken {len(broken)} times"
    return Answer(facts, [Grid(("", ""), rows), *broken[:DIFFERENCES_SHOWN]], code, complaint)


def _list(counted: dict[str, int]) -> str:
    return ", ".join(f"{name} {times}" for name, times in sorted(counted.items()))
