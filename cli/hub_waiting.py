"""`keeling hub waiting`: news of registries that a hub cannot take yet, why, and what a person can do."""

from __future__ import annotations

from pathlib import Path

import typer

from cli.command import works
from cli.hub_calls import HUB_FILE, call_pages
from cli.output import Answer, Grid
from cli.quantities import format_time, format_units

app = typer.Typer(rich_markup_mode=None)


@works(app, "waiting")
def waiting(config: HUB_FILE = Path("group.toml")) -> Answer:
    """List news of registries that cannot be taken yet: of units the ledger does not have, or that it refuses.

    They are taken by themselves once what is missing is there: units come by `keeling import` or `keeling issue
    --observed`, what an issuance does not say of itself stands in the hub's file.

    \b
    Example:
      keeling hub waiting --config group.toml
    """
    lines = list(call_pages(config, "/v1/waiting", "waiting"))
    rows = [
        (
            line["registry"],
            line["id"],
            line["kind"],
            line["serials"],
            format_units(int(line["units"])),
            format_time(line["since_ms"]),
            line["detail"],
        )
        for line in lines
    ]
    columns = ("registry", "event", "", "serials", ">units", "since", "why")
    advice = [f"{line['registry']} {line['id']}: {line['advice']}" for line in lines]
    return Answer({"waiting": lines}, [Grid(columns, rows, "nothing waits"), *advice])
