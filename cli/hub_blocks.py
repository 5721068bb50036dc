"""`keeling hub block`, `unblock`, `blocks`, `sell` and `balance`: units for sessions of exchanges, through a hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.choices import SERIALS, find_positions
from cli.command import works, writes
from cli.exits import misused
from cli.hub_calls import HUB_FILE, call_hub, call_pages, tell_time
from cli.identifiers import format_id, make_uuid7, parse_id
from cli.output import Answer, Grid
from cli.quantities import format_time, format_units, parse_duration, parse_units
from cli.session import Session
from cli.writing import Change

if TYPE_CHECKING:
    from keeling.v1 import ledger_pb2 as pb
    from keeling.v1 import operations_pb2 as op

app = typer.Typer(rich_markup_mode=None)

_ACCOUNT = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The linked account here.")]
_EXCHANGE = Annotated[str, typer.Option("--exchange", help="Which, such as IEX.")]
_SESSION = Annotated[str, typer.Option("--session", metavar="DAY", help="The day it is held: 2027-01-27.")]
_UNITS = Annotated[int, typer.Option("--units", parser=parse_units, help="The first so many; or --serials.")]
_BECAUSE = Annotated[str, typer.Option("--because", metavar="TEXT", help="Why; kept as evidence.")]
_ORDER = Annotated[
    str | None,
    typer.Option("--order", metavar="UUID", help="The order's id; default: fresh. The same again is the same."),
]


@works(app, "block")
def block(
    account: _ACCOUNT,
    exchange: _EXCHANGE,
    session: _SESSION,
    units: _UNITS = "0",  # type: ignore[assignment]
    serials: SERIALS = None,
    because: _BECAUSE = "",
    order: _ORDER = None,
    config: HUB_FILE = Path("group.toml"),
) -> Answer:
    """Have units blocked at their registry for a session of an exchange.

    From the height at which the ledger has the order nobody else can have them. The registry's no frees them again.

    \b
    Example:
      keeling hub block acme/icm --units 600 --exchange IEX --session 2027-01-27
    """
    return _order("block", config, order, _word(account, exchange, session, units, serials, because))


@works(app, "unblock")
def unblock(
    account: _ACCOUNT,
    exchange: _EXCHANGE,
    session: _SESSION,
    units: _UNITS = "0",  # type: ignore[assignment]
    serials: SERIALS = None,
    because: _BECAUSE = "",
    order: _ORDER = None,
    config: HUB_FILE = Path("group.toml"),
) -> Answer:
    """Have units let out of a block for a session: free again when the registry says so.

    \b
    Example:
      keeling hub unblock acme/icm --units 200 --exchange IEX --session 2027-01-27
    """
    return _order("unblock", config, order, _word(account, exchange, session, units, serials, because))


def _word(account: str, exchange: str, session: str, units: int, serials: list[str] | None, why: str) -> dict[str, Any]:
    if bool(units) == bool(serials):
        raise misused("either --units or --serials")
    what: dict[str, Any] = {"units": units} if units else {"serials": serials}
    return {"account": account, "exchange": exchange, "session": session, "because": why, **what}


def _order(action: str, config: Path, order: str | None, body: dict[str, Any]) -> Answer:
    number = format_id(parse_id(order) if order else make_uuid7())
    told = json.loads(call_hub(config, "POST", "/v1/blocks", "operator", body={"action": action, **body}, key=number))
    said = f"{told['standing']}: {format_units(int(told['units']))} units of {told['account']} for the session of "
    said += f"{told['session']} at {told['exchange']}"
    expected = f"the registry decides by {format_time(told['expected_ms'])}" if told["expected_ms"] else ""
    return Answer(told, [said, f"order {number}", "; ".join(filter(None, [told["alert"] or told["why"], expected]))])


@works(app, "blocks")
def blocks(config: HUB_FILE = Path("group.toml")) -> Answer:
    """List what is blocked for sessions, what waits to be, and what was refused or let out since the hub started.

    \b
    Example:
      keeling hub blocks --config group.toml
    """
    lines = list(call_pages(config, "/v1/blocks", "blocks"))
    rows = [
        (
            line["account"],
            line["exchange"],
            line["session"],
            format_units(int(line["units"])),
            line["standing"],
            "; ".join(line["serials"]),
            tell_time(line["expected_ms"]),
            line["alert"] or line["why"],
        )
        for line in lines
    ]
    columns = ("account", "exchange", "session", ">units", "", "serials", "expected", "why")
    return Answer({"blocks": lines}, [Grid(columns, rows, "nothing is blocked for a session")])


@works(app, "balance")
def balance(
    registry: Annotated[str, typer.Argument(metavar="REGISTRY", help="Which registry.")],
    account: Annotated[str, typer.Argument(metavar="NUMBER", help="The account's number there.")],
    config: HUB_FILE = Path("group.toml"),
) -> Answer:
    """Ask a registry how an account stands in sums: free, blocked, banked, surrendered; breaches, and any ban.

    \b
    Example:
      keeling hub balance icm GCI-OE-CEM0042
    """
    from urllib.parse import quote

    path = f"/v1/registries/{quote(registry, safe='')}/balances/{quote(account, safe='')}"
    told = json.loads(call_hub(config, "GET", path, "viewer"))
    rows = [(name, format_units(value)) for name, value in told.items() if isinstance(value, int)]
    until = told["debarred_until"]
    rows.append(("debarred until", until or "not debarred"))
    return Answer({"registry": registry, "account": account, **told}, [Grid(("", ">"), rows)])


@writes(app, "sell")
def sell(
    session: Session,
    account: _ACCOUNT,
    exchange: _EXCHANGE,
    day: _SESSION,
    to: Annotated[str, typer.Option("--to", metavar="ACCOUNT", help="Who takes them, here.")],
    units: _UNITS = "0",  # type: ignore[assignment]
    serials: SERIALS = None,
    buyer: Annotated[str, typer.Option("--buyer", metavar="PARTICIPANT", help="For whom they are held.")] = "",
    expires: Annotated[str, typer.Option("--expires", metavar="TIME", help="From now: 48h, 7d.")] = "48h",
    hold: Annotated[str | None, typer.Option("--hold", metavar="UUID", help="The hold's id; default: fresh.")] = None,
) -> Change:
    """Sell out of a block: lifted and held for the buyer in one transaction, so that nobody comes between.

    The owner signs for the hold, an attestor of the registry for the block, and the exchange where its programme wants
    that: build it, have it signed, hand it in. The hub then instructs the transfer for this session.

    \b
    Example:
      keeling hub sell acme/icm --units 200 --exchange IEX --session 2027-01-27 --to globex/icm --buyer globex \\
          --build sale.tx
    """
    import time

    from keeling.v1 import operations_pb2 as op

    if bool(units) == bool(serials):
        raise misused("either --units or --serials")
    try:
        expires_ms = time.time_ns() // 1_000_000 + parse_duration(expires)
    except ValueError as error:
        raise misused(str(error)) from error
    chosen = _choose(session, account, f"session/block/{exchange}/{day}/", units, serials)
    number = parse_id(hold) if hold else make_uuid7()
    lifted = [
        op.Unrestrict(restriction=name, ranges=ranges, reason=f"sold at {exchange} in the session of {day}")
        for name, ranges in chosen.items()
    ]
    held = op.Hold(
        hold=number,
        account=account,
        selection=op.Selection(ranges=[item for ranges in chosen.values() for item in ranges]),
        purpose=op.Hold.FOR_TRANSFER,
        expires_ms=expires_ms,
        to_account=to,
        buyer=buyer,
    )
    facts = {"hold": format_id(number), "expires": format_time(expires_ms)}
    return Change([*lifted, held], lambda _: [f"hold {format_id(number)} until {format_time(expires_ms)}"], facts)


def _choose(
    session: Session, account: str, prefix: str, units: int, serials: list[str] | None
) -> dict[str, list[op.Range]]:
    """By the restriction that lies on them, the units of the blocks that are sold. Raises `Failed`."""
    from keeling.v1 import ledger_pb2 as pb

    request = pb.ListRestrictionsRequest(account=account, prefix=prefix)
    pages = session.ask_pages(session.ledger.ListRestrictions, request)
    blocked = [info for page in pages for info in page.restrictions]
    wanted = find_positions(session, serials) if serials else []
    found: dict[str, list[op.Range]] = {}
    left = units
    for info in blocked:
        parts = [_cut(info, item) for item in wanted] if serials else [_take(info, left)]
        for part in parts:
            if part.units:
                found.setdefault(info.restriction, []).append(part)
                left -= part.units
    sold = sum(item.units for ranges in found.values() for item in ranges)
    asked = units or sum(item.units for item in wanted)
    if sold != asked:
        raise misused(f"{format_units(sold)} of {format_units(asked)} units are blocked there for this session")
    return found


def _take(info: pb.RestrictionInfo, units: int) -> op.Range:
    from keeling.v1 import operations_pb2 as op

    size = max(0, min(units, info.range.units))
    return op.Range(batch=info.range.batch, first=info.range.first, units=size)


def _cut(info: pb.RestrictionInfo, item: op.Range) -> op.Range:
    from keeling.v1 import operations_pb2 as op

    low = max(info.range.first, item.first)
    high = min(info.range.first + info.range.units, item.first + item.units)
    return op.Range(batch=item.batch, first=low, units=max(0, high - low) if item.batch == info.range.batch else 0)
