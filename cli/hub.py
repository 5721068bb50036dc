"""`keeling hub`: the outside registries: which there are, links to them, running a hub and asking one.

Sandboxes are in `hub_sandbox`, the story and the chaos in `hub_rehearsal`, proposals in `hub_proposals`, news that
wait in `hub_waiting`, blocks for sessions in `hub_blocks`, how a hub is asked in `hub_calls`; what a hub does, in
`hub.service`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.account import Control, link_account
from cli.attachment import KEY, SHOW, read_for_page, write_disclosed
from cli.choices import EVIDENCE, GRADE, REFERENCE, Grade
from cli.command import works, writes
from cli.exits import ExitCode, Failed, misused
from cli.hub_blocks import app as blocks_app
from cli.hub_calls import HUB_FILE, call_hub, call_pages, compare, shorten_why, tell_time
from cli.hub_proposals import app as proposals_app
from cli.hub_rehearsal import app as rehearsal_app
from cli.hub_sandbox import app as sandbox_app
from cli.hub_waiting import app as waiting_app
from cli.identifiers import format_id
from cli.output import Answer, Grid
from cli.quantities import format_time, format_units, parse_moment
from cli.session import Session
from cli.writing import Change

if TYPE_CHECKING:
    from adapters.contract import System
    from keeling.disclosure import Excerpt

app = typer.Typer(help="Carry between the ledger and outside registries.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(sandbox_app, name="sandbox")
app.add_typer(rehearsal_app)
app.add_typer(proposals_app)
app.add_typer(waiting_app)
app.add_typer(blocks_app)

UNREAD_SHOWN: Final = 10
LINES_SHOWN: Final = 20
_MARKS: Final = {"sandbox": "sandbox: not a real registry"}


@works(app, "registries")
def registries() -> Answer:
    """List outside systems: how each can be reached, and how much of that is known and how much assumed.

    file: real formats of today; sandbox: a stand-in of ours; live: refused until credentials and address are given.

    \b
    Example:
      keeling hub registries
    """
    from adapters.registry import FILE_ADAPTERS
    from adapters.systems import SYSTEMS
    from cli.sandboxes import find_sandboxes

    running = find_sandboxes().get("sandboxes", {})
    names = sorted({*SYSTEMS, *FILE_ADAPTERS})
    rows = []
    facts = []
    for name in names:
        system = SYSTEMS.get(name)
        drivers = describe_drivers(system, name in FILE_ADAPTERS)
        rows.append((name, system.title if system else name, " / ".join(drivers.values()), running.get(name, "")))
        basis = [item._asdict() for item in system.basis] if system else []
        facts.append({"registry": name, "drivers": drivers, "basis": basis, "sandbox": running.get(name)})
    return Answer({"registries": facts}, [Grid(("registry", "", "drivers", "sandbox at"), rows)])


def describe_drivers(system: System | None, has_files: bool) -> dict[str, str]:
    """The drivers that honestly exist, each with its mark."""
    from adapters.contract import Driver

    found = {"file": "file (real format)"} if has_files else {}
    for driver in system.drivers if system is not None else ():
        if driver is Driver.SANDBOX and system is not None:
            found["sandbox"] = f"sandbox ({system.marks})"
        elif driver is Driver.LIVE and system is not None:
            needed = ", ".join(["url", *system.secrets])
            found["live"] = f"live (refused until given: {needed})"
    return found


@writes(app, "link")
def link(
    session: Session,
    registry: Annotated[str, typer.Argument(metavar="REGISTRY", help="Its key, such as verra.")],
    registry_account: Annotated[str, typer.Argument(metavar="NUMBER", help="The account's number there.")],
    account: Annotated[str, typer.Option("--account", help="The account here.")],
    control: Annotated[Control, typer.Option("--control", help="Who can move the units there.")],
    hub: Annotated[str | None, typer.Option("--hub", help="Who carries; default: you.")] = None,
    claim: Annotated[
        list[str] | None, typer.Option("--claim", metavar="SERIALS", help="Units there; may be repeated.")
    ] = None,
    claim_positions: Annotated[
        list[str] | None,
        typer.Option("--claim-positions", metavar="BATCH:FIRST-LAST", help="The same by positions."),
    ] = None,
    evidence: EVIDENCE = None,
    grade: GRADE = Grade.C,
    reference: REFERENCE = "",
) -> Change:
    """Tie an account to one at a registry: `keeling account link` by the registry's side.

    With --control owner the seller could still move units there until the registry confirms, and offers say so.

    \b
    Example:
      keeling hub link verra 8294 --account acme/verra --control owner
      keeling hub link puro f4826423-21b9-4ee0-905d-311e758ee750 --account acme/puro --control custody
    """
    change = link_account(
        session,
        account,
        registry,
        registry_account,
        control,
        hub,
        claim,
        claim_positions,
        evidence,
        grade,
        reference,
    )
    tell = change.tell
    if control is not Control.OWNER or tell is None:
        return change
    warning = f"until {registry} confirms, the seller could still move it there"
    return change._replace(tell=lambda result: [*tell(result), warning])


@writes(app, "maintenance")
def maintenance(
    session: Session,
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="The linked account.")],
    start: Annotated[str, typer.Option("--from", metavar="TIME", help="When it begins, such as 2027-01-15T02:00Z.")],
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="When it ends.")],
    reason: Annotated[str, typer.Option("--reason", help="What the registry says.")] = "announced maintenance",
) -> Change:
    """Announce that the registry of a link will be closed: visible ahead, and nothing is sent while it lasts.

    Until it begins everything goes on; what is instructed is asked about all along. The link's hub announces it.

    \b
    Example:
      keeling hub maintenance acme/puro --from 2027-01-15T02:00Z --until 2027-01-15T06:00Z
    """
    from keeling.v1 import operations_pb2 as op

    try:
        begins, ends = parse_moment(start), parse_moment(until)
    except ValueError as error:
        raise misused(str(error)) from error
    if not begins.ms < ends.ms:
        raise misused(f"it ends at {until}, which is not after {start}")
    said = op.LinkState(
        account=account, state=op.LinkState.MAINTENANCE, from_ms=begins.ms, until_ms=ends.ms, reason=reason
    )
    told = f"the link of {account} rests from {format_time(begins.ms)} until {format_time(ends.ms)}: {reason}"
    return Change([said], lambda _: [told])


@writes(app, "resume")
def resume(
    session: Session,
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="The linked account.")],
    reason: Annotated[str, typer.Option("--reason", help="Why it works again.")],
) -> Change:
    """End everything that stops a link now: a suspension, a ban that was lifted early, maintenance that ended sooner.

    What is announced for later stays. A breaker that still sees failures stops it again. The link's hub says so.

    \b
    Example:
      keeling hub resume acme/icm --reason "the ban was lifted on appeal"
    """
    from keeling.v1 import operations_pb2 as op

    said = op.LinkState(account=account, state=op.LinkState.NORMAL, reason=reason)
    return Change([said], lambda _: [f"the link of {account} works: {reason}"])


@works(app, "run")
def run(
    file: Annotated[Path, typer.Argument(metavar="GROUP.TOML", help="The hub's file.")],
) -> None:
    """Run a hub until it is told to stop. It keeps no truth: its folder may be deleted at any time.

    \b
    Example:
      keeling hub run group.toml
    """
    import asyncio

    from adapters.systems import CannotOpenError
    from hub.service.config import load_config
    from hub.service.process import serve

    config = load_config(file)

    def tell(http: str, grpc: str) -> None:
        typer.echo(f"serving {config.participant} at {http}{f', gRPC at {grpc}' if grpc else ''}")

    try:
        asyncio.run(serve(config, tell))
    except CannotOpenError as error:
        advice = 'see "The file" in docs/hub.md: registries.driver, .url, .secrets, folder'
        raise Failed(ExitCode.USAGE, str(error), reason="CANNOT_OPEN", advice=advice) from error


@works(app, "backlog")
def backlog(config: HUB_FILE = Path("group.toml")) -> Answer:
    """Show what a running hub has not finished: age, when it is expected, why it waits, and what needs a person.

    Of a long reason the table has the beginning, --json the whole.

    \b
    Example:
      keeling hub backlog --config group.toml
    """
    page = json.loads(call_hub(config, "GET", "/v1/backlog?page_size=1", "viewer"))
    lines = list(call_pages(config, "/v1/backlog", "backlog"))
    rows = [
        (
            format_id(bytes.fromhex(line["hold"])),
            line["registry"],
            format_units(line["units"]),
            line["phase"],
            tell_time(line["since_ms"]),
            tell_time(line["expected_ms"]),
            shorten_why(line["alert"] or line["why"]),
            " ".join(word for word in ("late", "at_risk") if line[word]).replace(
                "at_risk", "unconfirmed at 31 December?"
            ),
        )
        for line in lines
    ]
    columns = ("hold", "registry", ">units", "", "since", "expected", "why", "")
    news = [(each["registry"], each["account"], tell_time(each["at_ms"]), each["text"]) for each in page["news"]]
    told = [Grid(("registry", "account", "told", ""), news)] if news else []
    cut = "… goes on in: keeling hub backlog --json" if any(row[6].endswith("…") for row in rows) else ""
    return Answer({"backlog": lines, "news": page["news"]}, [Grid(columns, rows, "nothing is under way"), cut, *told])


@works(app, "certificate")
def certificate(
    hold: Annotated[str, typer.Argument(metavar="HOLD", help="The hold's id.")],
    config: HUB_FILE = Path("group.toml"),
    folder: Annotated[
        Path | None, typer.Option("--folder", metavar="FOLDER", help="Write each as a page and as JSON there.")
    ] = None,
    attachment: Annotated[
        Path | None,
        typer.Option("--attachment", metavar="FILE", help="Write each also with the beneficiary in clear, from this."),
    ] = None,
    key: KEY = None,
    show: SHOW = None,
) -> Answer:
    """Show the certificates of a hold, one for each capture, made now by a running hub. None: nothing was confirmed.

    Written out, a page stands alone and carries its proof: `keeling audit certificate` checks it without a node. With
    --attachment there is one more of each, which names the beneficiary; the hub does not learn it. Exit code 3 if they
    were to be written and there is none.

    \b
    Example:
      keeling hub certificate 019a0000-0000-7000-8000-0000000000a1 --folder certificates
      keeling hub certificate 019a0000-0000-7000-8000-0000000000a1 --folder certificates \\
          --attachment sale.sealed --key asha.key
    """
    excerpt = None if attachment is None else read_for_page(attachment, key, show)
    if excerpt is not None and folder is None:
        raise misused("a certificate that names the beneficiary is written to a file", "give --folder FOLDER")
    told = json.loads(call_hub(config, "GET", f"/v1/holds/{hold}", "viewer"))["told"]
    found = list(call_pages(config, f"/v1/holds/{hold}/certificates", "certificates"))
    rows = [
        (
            each["event"],
            each["status"],
            format_units(int(each["units"])),
            each["ended"],
            each["registry"],
            _MARKS.get(each["driver"], each["driver"]),
            each["reference"],
            each["grade"],
        )
        for each in found
    ]
    events = [each["event"] for each in found]
    files = [] if folder is None else _write_certificates(config, hold, events, folder, excerpt)
    columns = ("event", "", ">units", "", "registry", "", "reference", "grade")
    grid = Grid(columns, rows, f"no certificate: {told}")
    code = ExitCode.DONE if found or folder is None else ExitCode.NOT_FOUND
    return Answer({"told": told, "certificates": found, "files": files}, [grid, *files], code)


@works(app, "reconcile")
def reconcile(
    registry: Annotated[str, typer.Argument(metavar="REGISTRY", help="Which registry.")],
    config: HUB_FILE = Path("group.toml"),
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the differences there too.")] = None,
    believe_shrunk: Annotated[
        bool,
        typer.Option("--believe-shrunk", help="You have seen at the registry that its list really is so much shorter."),
    ] = False,
) -> Answer:
    """Have a running hub compare a registry with the ledger now. Exit code 4 for an alarm or a break.

    A list that lost more than a tenth of its units compares nothing, unless you say that it is right: then all units it
    no longer shows are restricted.

    \b
    Example:
      keeling hub reconcile verra
      keeling hub reconcile verra --csv differences.csv --json
    """
    query = "?believe_shrunk=true" if believe_shrunk else ""
    found = compare(config, registry, query)
    if csv is not None:
        csv.write_text(found["csv"], "utf-8")
    found.pop("csv")
    rows = [
        (s["class"], s["action"], format_units(int(s["units"])), str(s["lines"] or ""), s["oldest"])
        for s in found["sums"]
    ]
    grid = Grid(("class", "action", ">units", ">lines", "oldest"), rows, "nothing was compared")
    anchored = found["anchored"]
    record = f"on record at height {anchored}" if anchored.isdecimal() else anchored
    broken = bool(found["alarm"]) or int(found["broken_units"]) > 0
    warnings = [f"not read, because it contradicts itself: {row}" for row in found["unread"][:UNREAD_SHOWN]]
    warnings += [f"and {len(found['unread']) - UNREAD_SHOWN} more"] if len(found["unread"]) > UNREAD_SHOWN else []
    complaint = f"warning: believed because you said so: {found['believed']}" if found["believed"] else ""
    head = f"{registry} ({_MARKS.get(found['driver'], found['driver'])}), as of {found['as_of']}"
    alarm = [f"ALARM {found['alarm']}: nothing was compared and nothing changed"] if found["alarm"] else []
    code = ExitCode.VERIFICATION_FAILED if broken else ExitCode.DONE
    table = [] if found["alarm"] else [grid, _side_by_side(found["differences"])]
    sections = [head, *alarm, *warnings, *table, record]
    return Answer(found, sections, code, complaint)


def _side_by_side(lines: list[Any]) -> Grid | str:
    """What the registry shows and what the ledger says of the units that differ, oldest first."""
    if not lines:
        return ""
    ordered = sorted(lines, key=lambda line: (line["since"], line["space"], int(line["first"])))
    rows = [
        (
            line["class"],
            f"{line['space']} {line['first']}..{line['last']}",
            f"{line['there_state'] or 'nothing'} {line['there_account']}",
            f"{line['here_state'] or 'nothing'} {line['here_account']}",
            line["since"],
            line["outcome"] or line["why"],
        )
        for line in ordered[:LINES_SHOWN]
    ]
    if len(lines) > LINES_SHOWN:
        rows.append((f"and {len(lines) - LINES_SHOWN:,} more", "--csv and --json have all", "", "", "", ""))
    return Grid(("", "units", "the registry shows", "the ledger says", "since", ""), rows)


def _write_certificates(config: Path, hold: str, events: list[str], folder: Path, excerpt: Excerpt | None) -> list[str]:
    """Each as a page and as JSON, named by the hold, from the second on with a number; returns the names."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number, event in enumerate(events, start=1):
        name = hold if number == 1 else f"{hold}-{number}"
        for ending, accept in (("html", "text/html"), ("json", "application/json")):
            path = folder / f"{name}.{ending}"
            path.write_text(
                call_hub(config, "GET", f"/v1/holds/{hold}/certificates/{event}", "viewer", accept), "utf-8"
            )
            files.append(str(path))
        if excerpt is not None:
            files += write_disclosed(folder / f"{name}.json", excerpt)
    return files
