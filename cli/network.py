"""`keeling network`: describe a network in one file, check it, found it, and run it on this machine for a trial."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.command import works
from cli.exits import ExitCode, Failed, misused
from cli.network_succeed import app as succeed_app
from cli.network_succeed import read_parts, write_new
from cli.network_watch import app as watch_app
from cli.output import Answer, Grid
from cli.policy import members_app

if TYPE_CHECKING:
    from network.founding import Founded
    from network.plan import NetworkPlan

app = typer.Typer(
    help="Describe, found, run and watch a network of nodes.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(watch_app)
app.add_typer(succeed_app)
app.add_typer(members_app)

_FILE = Annotated[Path, typer.Argument(metavar="NETWORK.TOML", help="The network file.")]
FIRST_PORT = 7461


@works(app, "new")
def new(
    file: Annotated[Path, typer.Argument(metavar="NETWORK.TOML", help="The network file to write.")],
    organisation: Annotated[
        list[str] | None,
        typer.Option("--organisation", metavar="ID:ROLE[,ROLE]=NAME", help="Who takes part; may be repeated."),
    ] = None,
    origin: Annotated[str, typer.Option("--origin", help="The network's name, for ever.")] = "",
    port: Annotated[int, typer.Option("--port", help="The first of the ports on this machine.")] = FIRST_PORT,
    ordering: Annotated[
        str, typer.Option("--ordering", help="The ordering engine: embedded or jetstream.")
    ] = "embedded",
) -> Answer:
    """Write a network file to start from: all nodes on this machine, every organisation a validator.

    \b
    Example:
      keeling network new trial.toml --organisation natreg:registry,authority --organisation acme:group \\
          --organisation power:exchange --organisation audit:auditor
    """
    from cli.genesis import parse_wanted
    from network.plan import NetworkPlan, Organisation, format_plan

    wanted = [parse_wanted(text) for text in organisation or ()]
    if not wanted:
        raise misused("a network needs an organisation", "name them: --organisation natreg:registry,authority,bank")
    organisations = tuple(
        Organisation(id=each.participant, name=each.name, roles=each.roles, listen=f"127.0.0.1:{port + at}")
        for at, each in enumerate(wanted)
    )
    if ordering not in ("embedded", "jetstream"):
        raise misused(f"{ordering!r} is no ordering engine", "there are embedded and jetstream")
    plan = NetworkPlan.model_validate(
        {
            "origin": origin or f"{file.stem}.keeling.local/ledger",
            "ordering": ordering,
            "organisations": organisations,
        }
    )
    write_new(file, format_plan(plan).encode("utf-8"))
    return _describe(plan, f"next: keeling network up {file}")


@works(app, "plan")
def plan(
    file: _FILE,
    before: Annotated[
        Path | None,
        typer.Option("--before", metavar="FOLDER", help="A node folder of the network that this one shall succeed."),
    ] = None,
) -> Answer:
    """Check a network file and say what the network bears: how many may be down, how many may lie.

    With --before also what the file changes of who does what, before a successor is made of it.

    \b
    Example:
      keeling network plan trial.toml
      keeling network plan second.toml --before acme
    """
    from cli.succession_changes import compare_parts, format_changes, list_planned, warn_of_losses
    from network.founding import read_node
    from network.plan import load_plan

    described = load_plan(file)
    for each in described.organisations:
        if each.card is not None:
            read_node(each, described.origin)
    answer = _describe(described, "")
    if before is None:
        return answer
    changes = compare_parts(read_parts(before), list_planned(described))
    facts = answer.facts | {"changes": [each._asdict() for each in changes]}
    return Answer(facts, [*answer.sections, format_changes(changes), *warn_of_losses(changes)])


def _describe(plan: NetworkPlan, advice: str) -> Answer:
    from network.plan import compute_tolerance

    bears = compute_tolerance(len(plan.validators))
    rows = [
        (
            each.id,
            each.name or each.id,
            ", ".join(each.roles),
            "validator" if each.validator else "observer",
            each.listen,
        )
        for each in plan.organisations
    ]
    facts = {
        "origin": plan.origin,
        "ordering": plan.ordering,
        "organisations": [each.model_dump(mode="json") for each in plan.organisations],
        "validators": bears.validators,
        "quorum": bears.quorum,
        "may_be_down": bears.down,
        "may_lie": bears.lying,
    }
    lines: list[str | Grid] = [
        f"network {plan.origin}, ordering {plan.ordering}",
        Grid(("id", "name", "roles", "", "listens at"), rows),
        bears.describe(),
        advice,
    ]
    return Answer(facts, lines)


@works(app, "found")
def found(
    file: _FILE,
    output: Annotated[Path, typer.Option("-o", "--output", help="Where the genesis file goes.")] = Path("genesis"),
) -> Answer:
    """Make the genesis file of a network whose organisations have all given their cards.

    Give it to every operator; keeling node join puts it into a prepared node.

    \b
    Example:
      keeling network found network.toml -o genesis
    """
    import hashlib

    from network.founding import found_from_cards
    from network.plan import compute_tolerance, load_plan

    described = load_plan(file)
    founded = found_from_cards(described, datetime.now(UTC))
    write_new(output, founded.genesis)
    number = hashlib.sha256(founded.genesis).hexdigest()
    lines = [
        f"network {described.origin}",
        f"network id {number} (SHA-256 of {output})",
        compute_tolerance(len(described.validators)).describe(),
        "compare the network id over another channel, then on every machine: keeling node join FOLDER --genesis "
        f"{output}",
    ]
    return Answer({"origin": described.origin, "network": number, "genesis": str(output)}, lines)


@works(app, "up")
def up(
    file: _FILE,
    only: Annotated[list[str] | None, typer.Option("--only", metavar="ID", help="Start these nodes only.")] = None,
    ordering: Annotated[
        str, typer.Option("--ordering", help="The first time: order with this engine, embedded or jetstream.")
    ] = "",
) -> Answer:
    """Start the nodes of a network file on this machine, making folders, keys and genesis the first time.

    For trials and tests: all secrets are on one machine. The folders lie beside the file, in a folder of its name.

    \b
    Example:
      keeling network up trial.toml
      keeling network up trial.toml --only acme
    """
    from network.folders import NodeFolder
    from network.plan import compute_tolerance, load_plan
    from network.processes import NotStarted, Started, find_process, start_nodes

    described, nodes = load_plan(file), nodes_folder(file)
    if ordering and not nodes.exists():
        described = _choose_ordering(file, described, ordering)
    if ordering and ordering != described.ordering:
        text = f"the network was made with ordering {described.ordering}: all its nodes would have to change at once"
        raise Failed(ExitCode.REFUSED, text, reason="OTHER_ORDERING", advice="see docs/jetstream.md")
    if not nodes.exists():
        _found_here(described, nodes)
    if described.ordering == "jetstream":
        _start_servers(nodes)
    folders = [NodeFolder(nodes / name) for name in _chosen(described, only)]
    rows: list[tuple[str, str, str]] = []

    def told(folder: NodeFolder, started: Started) -> None:
        rows.append((folder.root.name, str(started.process), started.address))

    try:
        start_nodes([folder for folder in folders if find_process(folder) is None], told)
    except NotStarted as error:
        advice = f"stop the others with keeling network down {file}"
        raise Failed(ExitCode.REFUSED, str(error), reason="NOT_STARTED", advice=advice) from error
    facts: dict[str, Any] = {"folder": str(nodes), "started": [dict(zip(_STARTED, row, strict=True)) for row in rows]}
    bears = compute_tolerance(len(described.validators))
    advice = f"next: keeling network status {file}; keeling status --profile {described.organisations[0].id}"
    return Answer(facts, [Grid(_STARTED, rows, "all run already"), bears.describe(), advice])


_STARTED = ("node", "process", "address")


def _found_here(plan: NetworkPlan, nodes: Path) -> Founded:
    """Make all node folders, and remember each as a profile."""
    from network.folders import NodeFolder
    from network.founding import found_here
    from network.keys import read_passphrase
    from network.profiles import find_home, load_profiles, profile_of, save_profile

    if any(each.card is not None for each in plan.organisations):
        raise misused("some organisations have cards: their nodes run where they were made", "keeling network found")
    home = find_home()
    known = load_profiles(home).by_name
    taken = [each.id for each in plan.organisations if each.id in known]
    if taken:
        text = f"profiles are called {', '.join(taken)} already in {home}"
        raise Failed(
            ExitCode.REFUSED, text, reason="PROFILE_EXISTS", advice="set KEELING_HOME to a folder for the trial"
        )
    now, passphrase = datetime.now(UTC), read_passphrase()
    founded = found_here(plan, nodes, now, passphrase)
    if plan.ordering == "jetstream":
        from network.jetstream_trial import prepare_servers

        prepare_servers(nodes, [each.id for each in plan.organisations], now, passphrase)
    for node in founded.nodes:
        name = node.identity.participant
        save_profile(home, name, profile_of(NodeFolder(nodes / name), node.identity))
    return founded


def _choose_ordering(file: Path, plan: NetworkPlan, ordering: str) -> NetworkPlan:
    """The plan with another engine, and its file changed to say so: nothing was made of it yet."""
    import re

    from network.files import replace_file
    from network.plan import parse_plan

    if ordering not in ("embedded", "jetstream"):
        raise misused(f"{ordering!r} is no ordering engine", "there are embedded and jetstream")
    if ordering == plan.ordering:
        return plan
    text = re.sub(r"^ordering\s*=[^#\n]*", "", file.read_text("utf-8"), count=1, flags=re.MULTILINE)
    changed = f'ordering = "{ordering}"\n{text}'
    chosen = parse_plan(changed, str(file)).model_copy(update={"organisations": plan.organisations})
    replace_file(file, changed.encode("utf-8"), 0o644)
    return chosen


def _start_servers(nodes: Path) -> None:
    """The NATS servers of the trial, before the nodes that need them."""
    from network.jetstream_servers import ServersError
    from network.jetstream_trial import start_servers

    try:
        start_servers(nodes)
    except ServersError as error:
        raise Failed(ExitCode.REFUSED, str(error), reason="ORDERING_NOT_STARTED") from error


@works(app, "down")
def down(
    file: _FILE,
    only: Annotated[list[str] | None, typer.Option("--only", metavar="ID", help="Stop these nodes only.")] = None,
) -> Answer:
    """Stop the nodes of a network file that run on this machine. Nothing is lost.

    \b
    Example:
      keeling network down trial.toml
    """
    from network.folders import NodeFolder
    from network.jetstream_servers import ServersError
    from network.jetstream_trial import stop_servers
    from network.plan import load_plan
    from network.processes import StillRunning, stop_nodes

    described, nodes = load_plan(file), nodes_folder(file)
    try:
        stopped = stop_nodes([NodeFolder(nodes / name) for name in _chosen(described, only)])
        if described.ordering == "jetstream" and not only:
            stop_servers(nodes)
    except (StillRunning, ServersError) as error:
        raise Failed(ExitCode.REFUSED, str(error), reason="STILL_RUNNING") from error
    names = [folder.root.name for folder in stopped]
    return Answer({"stopped": names}, [f"stopped: {', '.join(names)}" if names else "none ran"])


def nodes_folder(file: Path) -> Path:
    """Where the node folders of a trial lie: beside its file, under its name."""
    return file.absolute().with_suffix("")


def _chosen(plan: NetworkPlan, only: list[str] | None) -> list[str]:
    names = [each.id for each in plan.organisations]
    unknown = [name for name in only or () if name not in names]
    if unknown:
        raise misused(f"{unknown[0]!r} is no organisation of the network", f"there are {', '.join(names)}")
    return [name for name in names if not only or name in only]
