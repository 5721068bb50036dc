"""`keeling node backup|restore|rekey|rebuild|prune|snapshot|succeed`: copies of a node, what is derived or forgotten.

The work is the node's own; these hand over to it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.command import works
from cli.handing_over import hand_over
from cli.output import Answer

if TYPE_CHECKING:
    from network.folders import NodeFolder

app = typer.Typer()

_FOLDER = Annotated[Path, typer.Argument(metavar="FOLDER", help="The node folder.")]


@app.command("backup")
def backup(
    folder: _FOLDER,
    target: Annotated[Path, typer.Argument(help="Where the copy goes; must not exist.")],
) -> None:
    """Copy a node's ledger, consistent even while it runs. The vote journal and secret keys are never in it.

    A restored node observes and does not vote: a vote key whose journal is lost is replaced by governance.

    \b
    Example:
      keeling node backup natreg /backups/natreg-2026-04-30
    """
    hand_over("backup", str(folder), str(target))


@works(app, "restore")
def restore(
    backup: Annotated[Path, typer.Argument(help="The copy that keeling node backup made.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The node folder to make; must not exist.")],
    secrets: Annotated[Path, typer.Option("--secrets", help="A folder with keys/ and tls/ of the node, kept apart.")],
) -> Answer:
    """Make a node folder from a backup and the secrets that were kept apart from it.

    The node observes until its vote key is replaced: nobody knows what the old one signed after the backup, and a
    forgotten vote is as bad as a lie. Nothing that exists is touched.

    \b
    Example:
      keeling node restore /backups/natreg-2026-04-30 natreg --secrets /safe/natreg
    """
    from network.folders import NodeFolder, restore_folder

    restore_folder(backup, NodeFolder(folder), secrets)
    lines = [
        f"{folder} has the ledger of {backup} and the secrets of {secrets}",
        f"it observes until it has a new vote key: keeling node rekey {folder}, and the others decide on its card",
        f"next: keeling node doctor {folder}; keeling node run {folder}",
    ]
    return Answer({"folder": str(folder), "votes": False}, lines)


@works(app, "rekey")
def rekey(
    folder: _FOLDER,
    part: Annotated[
        list[str] | None,
        typer.Option("--part", help="entry, vote, log, cosigner, submission, tls; may be repeated. Default: vote."),
    ] = None,
    use: Annotated[
        bool, typer.Option("--use", help="Take the new keys into use. The node must not be running.")
    ] = False,
) -> Answer:
    """Make new keys for a node beside those it has, and a card that shows them; with --use, put them in their place.

    In between the ledger decides on the card: keeling key node CARD, or keeling participant replace ID --card CARD. A
    new vote key begins a new vote journal, so a node that was restored votes again. A TLS key alone comes into use
    under the running node.

    \b
    Example:
      keeling node rekey acme --part vote
      keeling key node acme/card-next.json
      keeling node rekey acme --use
    """
    from network.cards import compute_card_digest
    from network.folders import NodeFolder
    from network.keys import read_passphrase
    from network.rekeying import prepare_keys

    if use:
        _note_next(NodeFolder(folder))
        hand_over("rekey", str(folder))
    chosen = part or ["vote"]
    card = prepare_keys(NodeFolder(folder), chosen, read_passphrase(), datetime.now(UTC))
    digest = compute_card_digest(card.read_bytes())
    lines = [
        f"new keys wait in {folder}: {', '.join(chosen)}; those in use go on signing",
        f"card {card}, digest {digest}",
        f"next: keeling key node {card}; then, with the node stopped, keeling node rekey {folder} --use",
    ]
    return Answer({"folder": str(folder), "parts": chosen, "card": str(card), "digest": digest}, lines)


def _note_next(folder: NodeFolder) -> None:
    """Profiles know a node by its TLS key."""
    from network.config import load_config
    from network.keys import read_passphrase
    from network.profiles import find_home, note_node_key, profile_of
    from network.rekeying import describe_next

    identity = describe_next(load_config(folder.config), read_passphrase())
    note_node_key(find_home(), profile_of(folder, identity))


@app.command("rebuild")
def rebuild(folder: _FOLDER) -> None:
    """Derive a node's state and indexes again from its log. The node must not be running.

    \b
    Example:
      keeling node rebuild natreg
    """
    hand_over("rebuild", str(folder))


@app.command("prune")
def prune(
    folder: _FOLDER,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be forgotten; change nothing.")] = False,
) -> None:
    """Forget entries and answers below the last but one attested snapshot. Every proof is kept.

    Who asks for older history asks a node that keeps all. The node must not be running.

    \b
    Example:
      keeling node prune natreg --dry-run
    """
    hand_over("prune", str(folder), *(["--dry-run"] if dry_run else []))


@app.command("snapshot")
def snapshot(
    folder: _FOLDER,
    never_signed: Annotated[
        bool, typer.Option("--never-signed", help="This node's vote key is new: it has never signed anything.")
    ] = False,
) -> None:
    """Begin a node that has no ledger yet at the newest attested snapshot of its peers, each piece checked.

    Nobody is trusted: the snapshot is proved from the genesis file. Interrupted, it goes on where it was.

    \b
    Example:
      keeling node snapshot acme --never-signed
    """
    hand_over("join", str(folder), *(["--never-signed"] if never_signed else []))


@app.command("succeed")
def succeed(
    folder: _FOLDER,
    before: Annotated[
        Path,
        typer.Option(
            "--before", metavar="OLD", help="A node folder of the network before, or a copy of its snapshots."
        ),
    ],
) -> None:
    """Begin the node of a successor network with the state that its genesis file takes over.

    The state may come from anywhere: it is the one whose digest the genesis file names, or it is refused.

    \b
    Example:
      keeling node succeed acme-2 --before acme
    """
    hand_over("succeed", str(folder), str(before))
