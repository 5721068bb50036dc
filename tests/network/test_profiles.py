"""Profiles: found, chosen, saved, and leading to the node that made them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from network.diagnosis import diagnose
from network.folders import NodeFolder, NodeIdentity, create_node_folder
from network.profiles import (
    Profile,
    ProfileError,
    Profiles,
    choose_profile,
    find_home,
    load_profiles,
    open_destination,
    profile_of,
    save_profile,
    set_default_profile,
)
from network.transport import TlsFiles
from tests.network.party import NETWORK, NOW, ask, serving


def create(root: Path, participant: str, listen: str = "127.0.0.1:7451") -> NodeIdentity:
    return create_node_folder(
        root, origin=NETWORK, participant=participant, genesis=lambda identity: b"g", now=NOW, listen=listen
    )


def make(folder: Path, participant: str, listen: str = "127.0.0.1:7451") -> Profile:
    return profile_of(NodeFolder(folder / participant), create(folder / participant, participant, listen))


def test_home() -> None:
    assert find_home({"KEELING_HOME": "/k"}) == Path("/k")
    assert find_home({"XDG_CONFIG_HOME": "/x"}) == Path("/x/keeling")
    assert find_home({}) == Path.home() / ".config" / "keeling"


def test_an_empty_home_says_how_to_begin(tmp_path: Path) -> None:
    assert load_profiles(tmp_path / "none") == Profiles(None, {})
    with pytest.raises(ProfileError, match=r"there is no profile in .*profiles\.toml: make a node with `keeling init`"):
        choose_profile(tmp_path / "none", environment={})


def test_the_first_profile_is_the_default_and_others_are_named(tmp_path: Path) -> None:
    home, a, b = tmp_path / "home", make(tmp_path, "a"), make(tmp_path, "b")
    save_profile(home, "a", a)
    save_profile(home, "b", b)
    save_profile(home, "b", b)
    assert (home / "profiles.toml").stat().st_mode & 0o777 == 0o600
    assert choose_profile(home, environment={}) == a
    assert choose_profile(home, environment={"KEELING_PROFILE": "b"}) == b
    assert choose_profile(home, "a", environment={"KEELING_PROFILE": "b"}) == a
    set_default_profile(home, "b")
    assert choose_profile(home, environment={}) == b
    with pytest.raises(ProfileError, match=r"there is no profile 'c' in .* \(there are: a, b\)"):
        choose_profile(home, "c")


def test_a_name_is_not_given_to_another_node(tmp_path: Path) -> None:
    home, a = tmp_path / "home", make(tmp_path, "a")
    save_profile(home, "a", a)
    with pytest.raises(ProfileError, match=r"already stands for a at 127\.0\.0\.1:7451"):
        save_profile(home, "a", make(tmp_path, "b"))
    with pytest.raises(ProfileError, match="named like a participant"):
        save_profile(home, "A b", a)
    assert load_profiles(home).by_name == {"a": a}


ADDRESSES = [
    ("0.0.0.0:7451", "127.0.0.1:7451"),
    ("[::]:7451", "[::1]:7451"),
    ("10.0.0.7:7451", "10.0.0.7:7451"),
]


@pytest.mark.parametrize(("listen", "reached_at"), ADDRESSES)
def test_a_node_that_listens_everywhere_is_reached_here(tmp_path: Path, listen: str, reached_at: str) -> None:
    assert make(tmp_path, "a", listen).address == reached_at


def test_a_profile_leads_to_its_node(tmp_path: Path) -> None:
    identity = create(tmp_path / "natreg", "natreg")
    folder = NodeFolder(tmp_path / "natreg")
    destination = open_destination(profile_of(folder, identity))
    trust = destination.trust
    with serving(TlsFiles(folder.tls_key, folder.tls_certificate), lambda: trust) as address:
        reached = destination._replace(address=address)
        assert ask(reached)["peer"] == "natreg"
        assert diagnose(reached) is None


WRONG_FILES = [
    (b"x = = 1", "is not TOML: .*line 1"),
    (b"\xff", r"are not UTF-8 text \(byte 0\)"),
    (b'default = "a"', "the default profile 'a' is none of those in the file"),
    (b'[profiles.a]\naddress = "7451"', "line 2: profiles.a.address: .*is not an address"),
    (b"[profiles.a]\nadress = 1", "line 2: profiles.a.adress: is no setting"),
    (b"[profiles.a]\n", "line 1: profiles.a.origin: is missing"),
]


@pytest.mark.parametrize(("content", "expected"), WRONG_FILES)
def test_wrong_files(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "profiles.toml").write_bytes(content)
    with pytest.raises(ProfileError) as refusal:
        load_profiles(tmp_path)
    assert re.search(expected, str(refusal.value))
