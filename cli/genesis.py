"""`keeling init`: a new node with its keys, and a network of one that it founds.

How a node folder is made whole or not at all is in `network.folders`; the records it begins with, in
`network.standard_records`.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from cli.command import works
from cli.exits import ExitCode, Failed, misused
from cli.output import Answer, Grid

if TYPE_CHECKING:
    from keeling.genesis import Founder
    from network.folders import NodeIdentity

app = typer.Typer()

TAMPER_NOTE = "1 validator: tamper-evident, not tamper-proof"


class Wanted(NamedTuple):
    """A further participant of the first hour, as the command line describes it."""

    participant: str
    roles: tuple[str, ...]
    name: str


_NAME = Annotated[str, typer.Option("--name", help="The organisation's name, as people know it.")]
_OWN = Annotated[str, typer.Option("--own-id", metavar="ID", help="Your participant's id; default: the folder's name.")]
_ROLE = Annotated[
    list[str] | None, typer.Option("--role", help="Your roles; default: registry, authority, bank. May be repeated.")
]
_PARTICIPANT = Annotated[
    list[str] | None,
    typer.Option(
        "--participant",
        metavar="ID:ROLE[,ROLE]=NAME",
        help="A further participant of the first hour, with a key file of its own; may be repeated.",
    ),
]
_ORIGIN = Annotated[
    str, typer.Option("--origin", help="The network's name, for ever; default: ID.keeling.local/ledger.")
]
_LISTEN = Annotated[str, typer.Option("--listen", metavar="HOST:PORT", help="Where the node listens.")]
_METRICS = Annotated[
    str, typer.Option("--metrics", metavar="HOST:PORT", help="Where Prometheus reads; empty: nowhere.")
]
_PROFILE = Annotated[str, typer.Option("--save-profile", metavar="NAME", help="Remember it as; default: your id.")]


class Founding(NamedTuple):
    """A network to found: who, where, and with whom."""

    folder: Path
    own_id: str
    name: str
    roles: tuple[str, ...]
    others: tuple[Wanted, ...]
    origin: str
    listen: str
    metrics: str


@works(app, "init")
def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The node folder to make.")],
    name: _NAME,
    own: _OWN = "",
    role: _ROLE = None,
    participant: _PARTICIPANT = None,
    origin: _ORIGIN = "",
    listen: _LISTEN = "127.0.0.1:7451",
    metrics: _METRICS = "127.0.0.1:7452",
    profile: _PROFILE = "",
) -> Answer:
    """Make a node: folder, keys, certificate, configuration, and the genesis of a network it founds.

    Roles are registry, authority, exchange, group, bank, verifier, auditor. The genesis file carries records for the
    registries whose exports can be imported. Nothing that exists is overwritten. With KEELING_PASSPHRASE (or
    KEELING_PASSPHRASE_FILE) set, every secret is encrypted.

    \b
    Example:
      keeling init natreg --name "National registry"
      keeling init natreg --name "National registry" --participant acme:group=Acme --participant buyer:group=Buyer
    """
    from network.folders import NodeFolder
    from network.keys import read_passphrase
    from network.names import check_participant
    from network.profiles import find_home, load_profiles, profile_of, save_profile

    own_id = check_participant(own or folder.name)
    others = tuple(parse_wanted(text) for text in participant or ())
    passphrase, saved_as, home = read_passphrase(), profile or own_id, find_home()
    if saved_as in load_profiles(home).by_name and not folder.exists():
        text = f"a profile is called {saved_as!r} already"
        raise Failed(ExitCode.REFUSED, text, reason="PROFILE_EXISTS", advice="choose another with --save-profile")
    roles = check_roles(role or ["registry", "authority", "bank"])
    where = origin or f"{own_id}.keeling.local/ledger"
    identity, made = _found(Founding(folder, own_id, name, roles, others, where, listen, metrics), passphrase)
    save_profile(home, saved_as, profile_of(NodeFolder(folder), identity))
    return _tell(folder, identity, made, passphrase is not None, saved_as, [each.participant for each in others])


def _found(founding: Founding, passphrase: str | None) -> tuple[NodeIdentity, list[Path]]:
    """Make the node folder and the key files of the others: all of them, or none."""
    from network.folders import create_node_folder
    from network.founding import FoundingNode, build_genesis

    now = datetime.now(UTC)
    keys = founding.folder.with_name(f"{founding.folder.name}-keys")
    made: list[Path] = []

    def write(identity: NodeIdentity) -> bytes:
        own = FoundingNode(identity, founding.name, founding.roles)
        return build_genesis([own], _make_founders(list(founding.others), keys, passphrase, made), now)

    try:
        identity = create_node_folder(
            founding.folder,
            origin=founding.origin,
            participant=founding.own_id,
            genesis=write,
            now=now,
            listen=founding.listen,
            metrics=founding.metrics,
            passphrase=passphrase,
        )
    except BaseException:
        for path in made:
            path.unlink()
        raise
    return identity, made


def parse_wanted(text: str) -> Wanted:
    """Read "acme:group,verifier=Acme Ltd"; the name may be left out."""
    from keeling.units import ROLES
    from network.names import check_participant

    head, _, name = text.partition("=")
    participant, colon, words = head.partition(":")
    roles = tuple(word.strip() for word in words.split(",") if word.strip())
    unknown = [word for word in roles if word not in ROLES]
    if not colon or not roles or unknown:
        advice = f"write ID:ROLE[,ROLE]=NAME; roles are {', '.join(ROLES)}"
        raise misused(
            f"{text!r} describes no participant" + (f": {unknown[0]!r} is no role" if unknown else ""), advice
        )
    return Wanted(check_participant(participant), roles, name or participant)


def check_roles(roles: list[str]) -> tuple[str, ...]:
    """The roles as given, none of them misspelt."""
    from keeling.units import ROLES

    unknown = [word for word in roles if word not in ROLES]
    if unknown:
        raise misused(f"{unknown[0]!r} is no role", f"roles are {', '.join(ROLES)}")
    return tuple(roles)


def _make_founders(wanted: list[Wanted], folder: Path, passphrase: str | None, made: list[Path]) -> list[Founder]:
    from keeling.genesis import Founder
    from keeling.operations import KeyGrant
    from keeling.units import Purpose
    from network.files import PRIVATE_FOLDER
    from network.keys import Role, create_key_file

    founders = []
    purposes = int(Purpose.SUBMIT | Purpose.APPROVE | Purpose.ADMIN | Purpose.ATTEST)
    for each in wanted:
        folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        path = folder / f"{each.participant}.key"
        owner = f"{each.participant}/operator-1"
        try:
            signer = create_key_file(path, role=Role.APPROVAL, owner=owner, passphrase=passphrase)
        except FileExistsError as error:
            text = f"{path} exists already; nothing was overwritten"
            raise Failed(ExitCode.REFUSED, text, reason="FILE_EXISTS", advice="move it away") from error
        made.append(path)
        grant = KeyGrant(signer.public_key, "operator-1", purposes)
        founders.append(Founder(each.participant, each.name, each.roles, (grant,)))
    return founders


_KEY_USES = {
    "submission": "signs what you hand in, and your approvals",
    "entry": "signs the node's entries for the ordering log",
    "vote": "signs votes on blocks; never restore it from a backup",
    "cosigner": "cosigns final checkpoints",
    "log": "signs checkpoints as the log",
}


def _tell(
    folder: Path, identity: NodeIdentity, made: list[Path], encrypted: bool, profile: str, others: list[str]
) -> Answer:
    network = hashlib.sha256((folder / "genesis").read_bytes()).hexdigest()
    tls = base64.b64encode(identity.tls.public_key).decode("ascii")
    keys = {role.value: public.hex() for role, public in identity.keys.items()}
    secrets = "encrypted with your passphrase" if encrypted else "NOT encrypted; readable by you alone (mode 0600)"
    facts = {
        "folder": str(folder),
        "origin": identity.origin,
        "network": network,
        "participant": identity.participant,
        "listen": identity.address,
        "keys": keys,
        "tls_key": tls,
        "secrets": [str(folder / "keys"), str(folder / "tls" / "key.pem"), *(str(path) for path in made)],
        "encrypted": encrypted,
        "participants": {name: str(path) for name, path in zip(others, made, strict=True)},
        "profile": profile,
        "validators": 1,
        "note": TAMPER_NOTE,
    }
    rows = [(role, public, _KEY_USES[role]) for role, public in keys.items()]
    lines: list[str | Grid] = [
        f"network {identity.origin}",
        f"network id {network} (SHA-256 of {folder / 'genesis'})",
        Grid(("role", "public key", ""), rows),
        f"TLS public key {tls}",
        f"secrets: {folder / 'keys'} and {folder / 'tls' / 'key.pem'}, {secrets}",
        *(f"participant {name}: key file {path}" for name, path in zip(others, made, strict=True)),
        TAMPER_NOTE,
        f"profile {profile} saved; next: keeling node run {folder}",
    ]
    return Answer(facts, lines)
