"""A node folder is made whole or not at all, touches nothing that exists, and is used by one process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from network.certificates import encode_public_key, parse_certificate, parse_tls_key, read_identity
from network.config import load_config
from network.folders import FolderRefused, NodeFolder, NodeIdentity, create_node_folder, locked
from network.keys import NODE_ROLES, KdfCost, describe_key_file, load_key_file
from network.names import NameRefused
from tests.network.party import NETWORK, NOW

CHEAP = KdfCost(operations=1, memory_bytes=8192)


def write_genesis(identity: NodeIdentity) -> bytes:
    return repr(sorted(identity.keys.items())).encode()


def create(root: Path, **changes: Any) -> NodeIdentity:
    wanted: dict[str, Any] = {"origin": NETWORK, "participant": "natreg", "genesis": write_genesis, "now": NOW}
    return create_node_folder(root, cost=CHEAP, **(wanted | changes))


@pytest.mark.parametrize("passphrase", [None, "geheim"])
def test_everything_is_there_and_fits_together(tmp_path: Path, passphrase: str | None) -> None:
    identity = create(tmp_path / "natreg", passphrase=passphrase, listen="10.0.0.7:7451")
    folder = NodeFolder(tmp_path / "natreg")
    config = load_config(folder.config, {})
    assert (config.origin, config.participant, config.listen) == (NETWORK, "natreg", "10.0.0.7:7451")
    assert config.genesis == folder.genesis
    assert folder.genesis.read_bytes() == write_genesis(identity)
    assert set(identity.keys) == set(NODE_ROLES)
    for role, public_key in identity.keys.items():
        path = getattr(config.keys, role)
        assert load_key_file(path, role=role, passphrase=passphrase).public_key == public_key
        assert describe_key_file(path).encrypted == (passphrase is not None)
    key = parse_tls_key(config.tls.key.read_bytes(), passphrase)
    certificate = parse_certificate(config.tls.certificate.read_bytes())
    assert encode_public_key(key) == identity.tls.public_key
    assert certificate.public_key() == key.public_key()
    assert read_identity(certificate) == (NETWORK, "natreg")
    assert config.trust(identity.tls.public_key).keys == (identity.tls,)
    assert config.data.is_dir()


def test_nobody_else_can_read_any_of_it(tmp_path: Path) -> None:
    create(tmp_path / "natreg")
    for path in [tmp_path / "natreg", *(tmp_path / "natreg").rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_parents_are_made_and_nothing_is_left_beside(tmp_path: Path) -> None:
    create(tmp_path / "a" / "b" / "natreg")
    assert os.listdir(tmp_path / "a" / "b") == ["natreg"]


def contents(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_second_time_it_refuses_and_names_what_is_there(tmp_path: Path) -> None:
    create(tmp_path / "natreg")
    before = contents(tmp_path)
    with pytest.raises(
        FolderRefused, match=r"exists already \(holds data, genesis, keys, node.toml, tls\): nothing was"
    ):
        create(tmp_path / "natreg")
    assert contents(tmp_path) == before


def test_other_things_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name, expected in [("file", "is no folder"), ("empty", "is empty"), ("link", "is no folder")]:
        with pytest.raises(FolderRefused, match=expected):
            create(tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == ["empty", "file", "link"]
    assert (tmp_path / "file").read_bytes() == b"x"


def test_what_fails_on_the_way_leaves_nothing(tmp_path: Path) -> None:
    def fail(identity: NodeIdentity) -> bytes:
        raise RuntimeError("no genesis today")

    with pytest.raises(RuntimeError, match="no genesis today"):
        create(tmp_path / "natreg", genesis=fail)
    assert os.listdir(tmp_path) == []


def test_somebody_who_makes_the_folder_meanwhile_keeps_it(tmp_path: Path) -> None:
    def interfere(identity: NodeIdentity) -> bytes:
        (tmp_path / "natreg").mkdir()
        (tmp_path / "natreg" / "theirs").write_bytes(b"x")
        return b""

    with pytest.raises(FolderRefused, match=r"exists already \(holds theirs\)"):
        create(tmp_path / "natreg", genesis=interfere)
    assert contents(tmp_path) == {tmp_path / "natreg" / "theirs": b"x"}


WRONG_NAMES = [
    ("origin", "Not An Origin"),
    ("participant", "Nat Reg"),
    ("listen", "nowhere"),
    ("listen", ""),
    ("metrics", "nowhere"),
]


@pytest.mark.parametrize(("field", "value"), WRONG_NAMES)
def test_names_that_can_be_none_make_nothing(tmp_path: Path, field: str, value: str) -> None:
    with pytest.raises(NameRefused, match=re.escape(repr(value))):
        create(tmp_path / "natreg", **{field: value})
    assert os.listdir(tmp_path) == []


HOLD = """
import sys
from pathlib import Path
from network.folders import NodeFolder, locked
with locked(NodeFolder(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_told_who_has_the_folder(tmp_path: Path) -> None:
    folder = NodeFolder(tmp_path)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(FolderRefused, match=f"is in use: locked by pid {holder.pid}$"), locked(folder):
            raise RuntimeError("two processes hold the folder")
    finally:
        holder.kill()
        holder.communicate()
    with locked(folder):
        assert folder.lock.read_text() == f"{os.getpid()}\n", "a killed holder leaves no lock behind"


def test_a_folder_that_is_not_there_cannot_be_locked(tmp_path: Path) -> None:
    with pytest.raises(FolderRefused, match=r"cannot be used: .*No such file"), locked(NodeFolder(tmp_path / "none")):
        raise RuntimeError("a lock without a folder")
