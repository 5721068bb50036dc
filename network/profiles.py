"""The user's home: profiles that let the command line say `keeling status` without options.

A profile names the node to talk to, for whom, with which keys and against which genesis. All are in one file,
`profiles.toml` in `$KEELING_HOME` or `~/.config/keeling`. It holds the paths of secrets and no secrets. Which command
uses what lives in `cli`.
"""

from __future__ import annotations

import base64
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from network.config import Listen, Origin, ParticipantId, TlsPublicKey
from network.config_text import format_tables, locate_keys
from network.files import PRIVATE_FOLDER, replace_file
from network.folders import EVERY_INTERFACE, NodeFolder, NodeIdentity
from network.keys import Role
from network.names import Address, NameRefused, check_participant, format_address, parse_address
from network.trust import PinnedKey, build_trust

if TYPE_CHECKING:
    from network.transport import Destination

HOME_VARIABLE: Final = "KEELING_HOME"
PROFILE_VARIABLE: Final = "KEELING_PROFILE"
HEADING: Final = "Profiles of the `keeling` command. `default` is the one that is used when none is named."


class ProfileError(ValueError):
    """There is no usable profile; the text says which file, why, and what to do."""


class Profile(BaseModel):
    """One node and how a person or program reaches it. Paths are absolute or begin with `~`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    origin: Origin
    """The name of the network."""
    participant: ParticipantId
    """Whose node it is, and for whom its user acts."""
    address: Listen
    """Where the node listens (host:port)."""
    node_key: TlsPublicKey
    """The node's TLS public key, in base64: only its holder is spoken to."""
    genesis: Path
    """The network's genesis file, against which answers are checked."""
    signing_key: Path
    """The key file that signs what is submitted."""
    tls_key: Path
    """The TLS key that shows the node who asks."""
    tls_certificate: Path
    """Its certificate."""


class Profiles(NamedTuple):
    """All profiles of a home. `default` is the name of one of them, or None while there is none."""

    default: str | None
    by_name: Mapping[str, Profile]


class _ProfilesFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    default: str | None = None
    profiles: dict[str, Profile] = {}


def find_home(environment: Mapping[str, str] = os.environ) -> Path:
    """Return `$KEELING_HOME`, or `keeling` in the user's configuration folder (XDG Base Directory)."""
    chosen = environment.get(HOME_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    folder = environment.get("XDG_CONFIG_HOME")
    return (Path(folder) if folder else Path.home() / ".config") / "keeling"


def load_profiles(home: Path) -> Profiles:
    """Return the profiles in `home`, none if there is no file yet; raise `ProfileError` for a file that is wrong."""
    path = _file(home)
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return Profiles(None, {})
    except OSError as error:
        raise ProfileError(f"the profiles {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ProfileError(f"the profiles {path} are not UTF-8 text (byte {error.start})") from error
    try:
        content = _ProfilesFile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{path} is not TOML: {error}") from error
    except ValidationError as error:
        raise ProfileError(_format_problems(path, text, error)) from error
    if content.default is not None and content.default not in content.profiles:
        raise ProfileError(f"{path}: the default profile {content.default!r} is none of those in the file")
    return Profiles(content.default, content.profiles)


def choose_profile(home: Path, name: str | None = None, environment: Mapping[str, str] = os.environ) -> Profile:
    """Return the profile `name`, or that in KEELING_PROFILE, or the default; raise `ProfileError` if there is none."""
    profiles = load_profiles(home)
    chosen = name or environment.get(PROFILE_VARIABLE) or profiles.default
    if chosen is None:
        raise ProfileError(f"there is no profile in {_file(home)}: make a node with `keeling init`")
    if chosen not in profiles.by_name:
        known = ", ".join(sorted(profiles.by_name)) or "none"
        raise ProfileError(f"there is no profile {chosen!r} in {_file(home)} (there are: {known})")
    return profiles.by_name[chosen]


def save_profile(home: Path, name: str, profile: Profile) -> None:
    """Add `profile` to `home`, made if need be, durably. The first one becomes the default.

    Saving the same profile again changes nothing; a name that stands for another raises `ProfileError`.
    """
    try:
        check_participant(name)
    except NameRefused as error:
        raise ProfileError(f"a profile is named like a participant: {error}") from error
    profiles = load_profiles(home)
    existing = profiles.by_name.get(name)
    if existing == profile:
        return
    if existing is not None:
        raise ProfileError(
            f"the profile {name} in {_file(home)} already stands for {existing.participant} at {existing.address}"
        )
    _write(home, profiles.default or name, {**profiles.by_name, name: profile})


def replace_profile(home: Path, name: str, profile: Profile) -> None:
    """Let the name stand for `profile` from now on, whatever it stood for: its network was succeeded by another."""
    profiles = load_profiles(home)
    _write(home, profiles.default or name, {**profiles.by_name, name: profile})


def note_node_key(home: Path, profile: Profile) -> None:
    """The node of `profile` has another TLS key now: let the profiles that use its TLS files know it by that."""
    profiles = load_profiles(home)
    changed = {
        name: known.model_copy(update={"node_key": profile.node_key}) if known.tls_key == profile.tls_key else known
        for name, known in profiles.by_name.items()
    }
    if changed != profiles.by_name and profiles.default is not None:
        _write(home, profiles.default, changed)


def set_default_profile(home: Path, name: str) -> None:
    """Make `name` the profile that is used when none is named; raise `ProfileError` if there is none of that name."""
    choose_profile(home, name)
    _write(home, name, load_profiles(home).by_name)


def profile_of(folder: NodeFolder, identity: NodeIdentity) -> Profile:
    """Return the profile of who made the node folder: same machine, the participant's own submission key."""
    address = parse_address(identity.address)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}[address.host] if address.host in EVERY_INTERFACE else address.host
    root = NodeFolder(folder.root.absolute())
    return Profile(
        origin=identity.origin,
        participant=identity.participant,
        address=format_address(Address(host, address.port)),
        node_key=base64.b64encode(identity.tls.public_key).decode("ascii"),
        genesis=root.genesis,
        signing_key=root.key(Role.SUBMISSION),
        tls_key=root.tls_key,
        tls_certificate=root.tls_certificate,
    )


def open_destination(profile: Profile, passphrase: str | None = None) -> Destination:
    """Return where the profile leads, for `network.transport.open_channel` and `network.diagnosis.diagnose`.

    Raises `CertificateError` when its TLS files cannot be used.
    """
    from network.transport import Destination, TlsFiles  # gRPC takes a moment to load; not every command needs it

    pin = PinnedKey(profile.participant, base64.b64decode(profile.node_key))
    files = TlsFiles(profile.tls_key.expanduser(), profile.tls_certificate.expanduser(), passphrase)
    return Destination(profile.address, profile.participant, build_trust(profile.origin, [pin]), files.current())


def _file(home: Path) -> Path:
    return home / "profiles.toml"


def _write(home: Path, default: str, by_name: Mapping[str, Profile]) -> None:
    tables = {f"profiles.{name}": profile.model_dump() for name, profile in sorted(by_name.items())}
    home.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    replace_file(_file(home), format_tables(tables, {"default": default}, HEADING).encode("utf-8"))


def _format_problems(path: Path, text: str, error: ValidationError) -> str:
    lines = locate_keys(text)
    problems = []
    for detail in error.errors():
        place = detail["loc"]
        at = next((lines[place[:size]] for size in range(len(place), 0, -1) if place[:size] in lines), None)
        where = path if at is None else f"{path} line {at}"
        said = {"missing": "is missing", "extra_forbidden": "is no setting"}.get(detail["type"], detail["msg"])
        problems.append(f"{where}: {'.'.join(map(str, place))}: {said}")
    return "\n".join(problems)
