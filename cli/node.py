"""`keeling node`: prepare a node, give it its network, run it, look it over. Copies and repairs: `cli.keeping`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.command import works
from cli.exits import ExitCode
from cli.handing_over import hand_over
from cli.keeping import app as keeping_app
from cli.output import Answer, Grid

app = typer.Typer(help="Make, run, copy and mend one node.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(keeping_app)

_FOLDER = Annotated[Path, typer.Argument(metavar="FOLDER", help="The node folder.")]


@works(app, "prepare")
def prepare(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The node folder to make.")],
    origin: Annotated[str, typer.Option("--origin", help="The network's name, as all its operators agreed.")],
    participant: Annotated[str, typer.Option("--participant", metavar="ID", help="Your id on the network.")],
    listen: Annotated[str, typer.Option("--listen", metavar="HOST:PORT", help="Where the others reach your node.")],
    metrics: Annotated[str, typer.Option("--metrics", metavar="HOST:PORT", help="Where Prometheus reads.")] = "",
) -> Answer:
    """Make a node with its own keys that belongs to no network yet, and its card for those who found or admit it.

    The card holds public keys only. Read its digest to the others over another channel.

    \b
    Example:
      keeling node prepare acme --origin ledger.example/main --participant acme --listen node.acme.example:7451
    """
    from network.cards import compute_card_digest
    from network.founding import prepare_node
    from network.keys import read_passphrase

    prepare_node(folder, origin, participant, listen, metrics, datetime.now(UTC), read_passphrase())
    card = folder / "card.json"
    digest = compute_card_digest(card.read_bytes())
    lines = [
        f"node of {participant} for {origin} in {folder}; its secrets stay there",
        f"card {card}, digest {digest}",
        "give the card to the others, and read them the digest over another channel",
        f"next, when the genesis file is there: keeling node join {folder} --genesis FILE",
    ]
    return Answer({"folder": str(folder), "card": str(card), "digest": digest}, lines)


@works(app, "join")
def join(
    folder: _FOLDER,
    genesis: Annotated[Path, typer.Option("--genesis", help="The network's genesis file.")],
    card: Annotated[list[Path] | None, typer.Option("--card", help="Another node's card; may be repeated.")] = None,
) -> Answer:
    """Give a prepared node its network: the genesis file, which names the founders' nodes.

    Cards are needed only of nodes it should begin with that were admitted later. All others it learns from the ledger.

    Compare the network id that is printed with the others over another channel: it is the root of all trust here.

    \b
    Example:
      keeling node join acme --genesis genesis
    """
    import hashlib

    from cli.exits import misused
    from keeling.genesis import parse_genesis
    from network.cards import parse_card
    from network.config import load_config
    from network.contacts import with_founders
    from network.folders import NodeFolder, install_genesis
    from network.founding import FoundingNode, list_peers
    from network.profiles import find_home, load_profiles, profile_of, replace_profile, save_profile

    raw = genesis.read_bytes()
    parsed = parse_genesis(raw)
    origin = parsed.origin
    own = parse_card((folder / "card.json").read_bytes())
    others = [parse_card(path.read_bytes()) for path in card or ()]
    foreign = [each.participant for each in (own, *others) if each.origin != origin]
    if foreign:
        text = f"the card of {foreign[0]} is for another network than {origin}"
        raise misused(text, "ask its operator for the right one")
    install_genesis(NodeFolder(folder), raw, list_peers([FoundingNode(each, "", ()) for each in others]))
    home = find_home()
    if parsed.succeeds is not None:
        replace_profile(home, own.participant, profile_of(NodeFolder(folder), own))
    elif own.participant not in load_profiles(home).by_name:
        save_profile(home, own.participant, profile_of(NodeFolder(folder), own))
    number = hashlib.sha256(raw).hexdigest()
    peers = [peer.participant for peer in with_founders(load_config(NodeFolder(folder).config), parsed).peers]
    lines = [
        f"network {origin}",
        f"network id {number}: compare it with the others over another channel",
        f"connects to {', '.join(peers) or 'nobody yet'}",
        f"next: keeling node run {folder}"
        if parsed.succeeds is None
        else f"next: keeling node succeed {folder} --before OLD; then keeling node run {folder}",
    ]
    return Answer({"origin": origin, "network": number, "peers": peers}, lines)


@app.command("run")
def run(
    folder: Annotated[Path, typer.Argument(help="The node folder that keeling init made.")],
) -> None:
    """Run the node of a folder until it is told to stop (Ctrl-C, or SIGTERM).

    A second node on the same folder is refused with "locked by pid N". Passphrases of its keys are read from
    KEELING_PASSPHRASE, or from the file that KEELING_PASSPHRASE_FILE names.

    \b
    Example:
      keeling node run natreg
    """
    hand_over(str(folder))


@works(app, "renew")
def renew(folder: _FOLDER) -> Answer:
    """Give a node a new certificate for the same key. A running node takes it up by itself; nobody else does anything.

    \b
    Example:
      keeling node renew acme
    """
    from network.certificates import format_time
    from network.folders import NodeFolder
    from network.folders import renew as renew_folder
    from network.keys import read_passphrase

    until = renew_folder(NodeFolder(folder), read_passphrase(), datetime.now(UTC))
    return Answer({"until": format_time(until)}, [f"the certificate is good until {format_time(until)}"])


@works(app, "doctor")
def doctor(folder: _FOLDER) -> Answer:
    """Look a node folder over: configuration, genesis, keys, certificate, disk, process, and every peer.

    Changes nothing. Exit code 4 if something is wrong.

    \b
    Example:
      keeling node doctor acme
    """
    from network.checkup import Mark, examine
    from network.folders import NodeFolder
    from network.keys import read_passphrase

    findings = list(examine(NodeFolder(folder), read_passphrase(), datetime.now(UTC)))
    rows = [(each.mark.value, each.what, each.text + (f" ({each.advice})" if each.advice else "")) for each in findings]
    wrong = [each for each in findings if each.mark is Mark.WRONG]
    facts = {"findings": [each._asdict() | {"mark": each.mark.value} for each in findings], "wrong": len(wrong)}
    complaint = f"{len(wrong)} things are wrong" if wrong else ""
    code = ExitCode.VERIFICATION_FAILED if wrong else ExitCode.DONE
    return Answer(facts, [Grid(("", "what", ""), rows)], code, complaint)
