"""`keeling hub sandbox fault`, `act` and `book`: what an admin of sandboxes sets, does and reads.

Starting, stopping and the clock are in `hub_sandbox`; what faults and acts mean, in `adapters.sandbox`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cli.command import works
from cli.exits import misused
from cli.output import Answer, Grid
from cli.quantities import format_units
from cli.sandboxes import ask_sandbox

app = typer.Typer(rich_markup_mode=None)

ORDERS_SHOWN: Final = 20
_REGISTRY = Annotated[str, typer.Argument(metavar="REGISTRY", help="Which; it must be running.")]


@works(app, "fault")
def fault(
    registry: _REGISTRY,
    kind: Annotated[str, typer.Argument(metavar="KIND", help="What goes wrong; none: show what is set.")] = "",
    times: Annotated[int, typer.Option("--times", help="How often; -1: for ever.")] = 1,
    value: Annotated[int, typer.Option("--value", help="Milliseconds, seconds or thousandths, by kind.")] = 0,
    path: Annotated[str, typer.Option("--path", metavar="REGEX", help='Only where it fits "METHOD /path".')] = "",
    skip: Annotated[int, typer.Option("--skip", help="So many that fit go well first.")] = 0,
    clear: Annotated[bool, typer.Option("--clear", help="Take away all that are set.")] = False,
) -> Answer:
    """Let a sandbox go wrong from now on, or show what is set. The kinds are in docs/hub.md.

    \b
    Example:
      keeling hub sandbox fault puro throttle --value 3600
      keeling hub sandbox fault puro cut-after --path "^POST /mypuro" --times 2
      keeling hub sandbox fault puro --clear
    """
    from adapters.sandbox.faults import FaultKind

    if kind and clear:
        raise misused("either a kind of fault, or --clear")
    kinds = [each.value for each in FaultKind]
    if kind and kind not in kinds:
        raise misused(f"there is no fault {kind!r}", f"there are {', '.join(kinds)}")
    wanted = [{"kind": kind, "times": times, "value": value, "path": path, "skip": skip}] if kind else None
    standing = ask_sandbox(registry, "faults", "DELETE" if clear else "", wanted)
    rows = [
        (each["kind"], str(each["value"] or ""), _count_times(each["times"]), each["path"], str(each["skip"] or ""))
        for each in standing
    ]
    grid = Grid(("fault", ">value", ">times", "where", ">after"), rows, f"nothing goes wrong at {registry}")
    return Answer({"registry": registry, "faults": standing}, [grid])


def _count_times(times: int) -> str:
    return "for ever" if times < 0 else str(times)


@works(app, "act")
def act(
    registry: _REGISTRY,
    name: Annotated[
        str, typer.Argument(metavar="ACT", help="What the registry does by itself; they are in docs/hub.md.")
    ],
    values: Annotated[
        list[str] | None, typer.Argument(metavar="NAME=VALUE", help="With what; @FILE: the lines of a file.")
    ] = None,
) -> Answer:
    """Let a registry do something that nobody here asked for: retire, undo, issue, another's proposal, settings.

    \b
    Example:
      keeling hub sandbox act verra retire account=8294 \\
        serials=19385-1340500000-1340500099-VCS-VCU-1507-VER-ET-14-1340-01012020-31122020-1 reference=OWN-1
      keeling hub sandbox act verra undo reference=OWN-1
      keeling hub sandbox act uk_ets set approval_ms=0
    """
    said: dict[str, Any] = {}
    for text in values or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise misused(f"{text!r} is no NAME=VALUE")
        said[key] = _read_lines(Path(value[1:])) if value.startswith("@") else value
    done = ask_sandbox(registry, name, "POST", said)
    rows = [(key, "; ".join(map(str, value)) if isinstance(value, list) else str(value)) for key, value in done.items()]
    return Answer(done, [f"{registry} (sandbox) did: {name}", Grid(("", ""), rows)])


def _read_lines(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]


@works(app, "book")
def book(registry: _REGISTRY) -> Answer:
    """Show a sandbox's own books: units by account and state, orders, and what each instruction really did.

    \b
    Example:
      keeling hub sandbox book verra
    """
    found = ask_sandbox(registry, "book")
    sums: dict[tuple[str, str], int] = {}
    for row in found["holdings"]:
        place = row["account"], row["state"]
        sums[place] = sums.get(place, 0) + row["units"]
    holdings = [(account, state, format_units(units)) for (account, state), units in sorted(sums.items())]
    newest = found["orders"][-ORDERS_SHOWN:]
    orders = [
        (
            each["reference"],
            each["action"],
            format_units(each["units"]),
            each["status"],
            "; ".join(each["done"]),
            format_units(each["refused_units"]) if each["refused_units"] else "",
            each["key"],
        )
        for each in newest
    ]
    more = len(found["orders"]) - len(newest)
    effects = [(key, format_units(units)) for key, units in found["effects"].items()]
    sections: list[str | Grid] = [
        f"{registry}: a sandbox, not the registry",
        Grid(("account", "state", ">units"), holdings, "no units"),
        Grid(("order", "", ">units", "", "done", ">refused", "key"), orders, "no orders"),
        f"and {more:,} orders before these: --json has all" if more else "",
        Grid(("what took effect", ">units"), effects[-ORDERS_SHOWN:], "nothing took effect"),
    ]
    adjusted = [
        (each["party"], each["side"], str(each["year"]), f"{each['units']:+,}", each["reference"])
        for each in found.get("adjusted", ())
    ]
    if adjusted:
        sections.append(Grid(("adjusted", "side", "year", ">units", "for"), adjusted))
    return Answer(found, sections)
