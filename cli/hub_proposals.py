"""`keeling hub proposals`, `answer` and `withdraw`: what registries ask to accept or decline, what a person says to it,
and taking back what was instructed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from cli.command import works
from cli.exits import misused
from cli.hub_calls import HUB_FILE, call_hub, call_pages
from cli.identifiers import format_id
from cli.output import Answer, Grid
from cli.quantities import format_time, format_units

app = typer.Typer(rich_markup_mode=None)


@works(app, "proposals")
def proposals(config: HUB_FILE = Path("group.toml")) -> Answer:
    """List what registries ask to accept or decline, the soonest to end first: units, from whom, to whom, until when.

    What other accounts propose to yours, and what your own people began there and a second one must approve.

    \b
    Example:
      keeling hub proposals --config group.toml
    """
    lines = list(call_pages(config, "/v1/proposals", "proposals"))
    rows = [
        (
            line["registry"],
            line["reference"],
            format_units(int(line["units"])),
            line["account"],
            line["to_account"],
            format_time(line["due_ms"]) if line["due_ms"] else "",
            "at risk" if line["at_risk"] else "",
            line["decided"],
            line["alert"] or line["why"],
        )
        for line in lines
    ]
    columns = ("registry", "reference", ">units", "from", "to", "ends", "", "decided", "why")
    return Answer({"proposals": lines}, [Grid(columns, rows, "nothing waits for an answer")])


@works(app, "answer")
def answer(
    registry: Annotated[str, typer.Argument(metavar="REGISTRY", help="Which registry.")],
    reference: Annotated[str, typer.Argument(metavar="REFERENCE", help="Its name of the proposal.")],
    accept: Annotated[bool, typer.Option("--accept", help="Say yes.")] = False,
    decline: Annotated[bool, typer.Option("--decline", help="Say no.")] = False,
    because: Annotated[str, typer.Option("--because", metavar="TEXT", help="Why; kept as evidence.")] = "",
    config: HUB_FILE = Path("group.toml"),
) -> Answer:
    """Accept or decline a proposal, once and for all. It is final on the ledger before the registry hears of it.

    The same answer may be given again; another one is refused, whoever gives it and at whichever hub.

    \b
    Example:
      keeling hub answer national_62 GHA0000001 --accept --because "sale 4711"
    """
    if accept == decline:
        raise misused("an answer is either --accept or --decline")
    body = {"action": "accept" if accept else "decline", "because": because}
    path = f"/v1/proposals/{quote(registry, safe='')}/{quote(reference, safe='')}"
    told = json.loads(call_hub(config, "POST", path, "operator", body=body))
    said = "accepted" if told["decided"] == "accept" else "declined"
    units = format_units(int(told["units"]))
    return Answer(told, [f"{said}: {units} units of {told['account']} at {registry}, {reference}; {told['why']}"])


@works(app, "withdraw")
def withdraw(
    hold: Annotated[str, typer.Argument(metavar="HOLD", help="The hold's id.")],
    because: Annotated[str, typer.Option("--because", metavar="TEXT", help="Why; kept as evidence.")],
    config: HUB_FILE = Path("group.toml"),
) -> Answer:
    """Take back what was instructed under a hold, while its registry still allows it: once for each attempt.

    It is final on the ledger before the registry hears of it. What becomes of the hold is the registry's word: taken
    back there, it is released; too late, it stays instructed. Before anything was sent, `keeling release` does it.

    \b
    Example:
      keeling hub withdraw 019a0000-0000-7000-8000-0000000000b1 --because "the buyer cancelled"
    """
    path = f"/v1/holds/{quote(hold, safe='')}/withdrawal"
    told = json.loads(call_hub(config, "POST", path, "operator", body={"because": because}))
    what = (
        f"{format_units(int(told['units']))} units at {told['registry']}, hold {format_id(bytes.fromhex(told['hold']))}"
    )
    said = f"withdrawn: {what}" if told["withdrawal"] == "withdrawn" else f"{what}: {told['withdrawal']}"
    return Answer(told, [said, told["told"]])
