"""Key files: what they hold, what they refuse, and in which words."""

from __future__ import annotations

import base64
import copy
import json
import pickle
from pathlib import Path

import pytest

from keeling import ed25519
from network.keys import (
    DEFAULT_COST,
    NODE_ROLES,
    SIGNING_ROLES,
    UNPROTECTED_NOTE,
    KdfCost,
    KeyFileError,
    Role,
    SeedSigner,
    WrongPassphrase,
    create_key_file,
    describe_key_file,
    load_key_file,
    load_signing_key,
    read_passphrase,
)

CHEAP = KdfCost(operations=1, memory_bytes=8192)
PASSPHRASE = "korrekt häst"


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    create_key_file(tmp_path / "vote.key", role=Role.VOTE, owner="natreg")
    return tmp_path / "vote.key"


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    create_key_file(tmp_path / "sealed.key", role=Role.VOTE, owner="natreg", passphrase=PASSPHRASE, cost=CHEAP)
    return tmp_path / "sealed.key"


def header_of(path: Path) -> dict[str, object]:
    fields = json.loads(path.read_bytes().split(b"\n")[0])
    assert isinstance(fields, dict)
    return fields


def rewrite_header(path: Path, **changes: object) -> None:
    _, body = path.read_bytes().split(b"\n", 1)
    path.write_bytes(json.dumps(header_of(path) | changes, separators=(",", ":")).encode() + b"\n" + body)


def test_signs_as_rfc_8032_test_1() -> None:
    signer = SeedSigner(bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
    assert signer.public_key.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert signer.sign(b"").hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe"
        "24655141438e7a100b"
    )


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_a_loaded_key_signs_as_the_created_one(tmp_path: Path, passphrase: str | None) -> None:
    path = tmp_path / "a.key"
    created = create_key_file(path, role=Role.LOG, owner="natreg", passphrase=passphrase, cost=CHEAP)
    loaded = load_key_file(path, role=Role.LOG, passphrase=passphrase)
    assert loaded.sign(b"head") == created.sign(b"head")
    assert ed25519.check_signature(created.public_key, loaded.sign(b"head"), b"head")
    assert path.stat().st_mode & 0o777 == 0o600


def test_two_keys_are_never_the_same(tmp_path: Path) -> None:
    made = {create_key_file(tmp_path / role, role=role, owner="natreg").public_key for role in NODE_ROLES}
    assert len(made) == len(NODE_ROLES) == 5


def test_a_plain_file_says_that_it_is_not_encrypted(plain: Path) -> None:
    assert header_of(plain)["protection"] == {"kind": "none", "note": UNPROTECTED_NOTE}
    assert not describe_key_file(plain).encrypted


def test_an_encrypted_file_holds_its_cost_and_no_seed(plain: Path, sealed: Path) -> None:
    seed = base64.b64decode(plain.read_bytes().split(b"\n")[1])[:32]
    assert SeedSigner(seed).public_key == describe_key_file(plain).public_key, "the plain file holds its seed"
    protection = header_of(sealed)["protection"]
    assert isinstance(protection, dict)
    assert (protection["operations"], protection["memory_bytes"]) == CHEAP
    body = base64.b64decode(sealed.read_bytes().split(b"\n")[1])
    public = describe_key_file(sealed).public_key
    assert all(SeedSigner(body[at : at + 32]).public_key != public for at in range(len(body) - 31))


def test_the_default_cost_is_rfc_9106s_second_recommendation() -> None:
    assert DEFAULT_COST == (3, 64 * 1024 * 1024)


def test_a_file_is_described_without_its_passphrase(sealed: Path) -> None:
    described = describe_key_file(sealed)
    loaded = load_key_file(sealed, role=Role.VOTE, passphrase=PASSPHRASE)
    assert described == (Role.VOTE, "natreg", loaded.public_key, True)


def test_nothing_is_overwritten(plain: Path) -> None:
    before = plain.read_bytes()
    with pytest.raises(FileExistsError):
        create_key_file(plain, role=Role.VOTE, owner="natreg")
    assert plain.read_bytes() == before


def test_a_seed_is_not_printed_and_not_pickled() -> None:
    seed = bytes(range(32))
    signer = SeedSigner(seed)
    assert seed.hex() not in repr(signer)
    assert repr(seed)[2:20] not in f"{signer!r} {signer}"
    for spread in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="load it there from its file"):
            spread(signer)


def test_wrong_passphrase(sealed: Path) -> None:
    with pytest.raises(WrongPassphrase, match=r"the passphrase does not open .*sealed.key"):
        load_key_file(sealed, role=Role.VOTE, passphrase="guess")


def test_no_passphrase_names_the_variables(sealed: Path) -> None:
    with pytest.raises(KeyFileError, match="is encrypted: set KEELING_PASSPHRASE, or KEELING_PASSPHRASE_FILE"):
        load_key_file(sealed, role=Role.VOTE)


def test_another_role_is_refused(plain: Path) -> None:
    with pytest.raises(KeyFileError, match="is a vote key, and a cosigner key is needed here"):
        load_key_file(plain, role=Role.COSIGNER)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_people_and_participants_sign_and_nodes_do_not(tmp_path: Path, role: Role, passphrase: str | None) -> None:
    path = tmp_path / "one.key"
    made = create_key_file(path, role=role, owner="natreg/asha", passphrase=passphrase, cost=CHEAP)
    if role in SIGNING_ROLES:
        assert load_signing_key(path, PASSPHRASE).public_key == made.public_key
    else:
        with pytest.raises(KeyFileError, match=f"is a {role} key: people and participants sign with"):
            load_signing_key(path, PASSPHRASE)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666])
def test_a_file_open_to_others_is_refused(plain: Path, mode: int) -> None:
    plain.chmod(mode)
    with pytest.raises(KeyFileError, match=rf"is open to others \(mode {mode:04o}\): run `chmod 600 "):
        load_key_file(plain, role=Role.VOTE)


NOT_KEYS = [
    (b"", "is not a key file"),
    (b"\x00\xff\x00", "is not a key file"),
    (b"-----BEGIN PRIVATE KEY-----\nMC4CAQ\n", "is not a key file"),
    (b'["keeling-key"]\n', "does not say keeling-key"),
    (b'{"format":"other"}\n', "does not say keeling-key"),
    (b'{"format":"keeling-key","version":2}\n', "version 2, and this program reads version 1"),
    (b'{"format":"keeling-key","version":1}\n', "header of the key file .* is damaged"),
    (b"x" * 2_000_000, "larger than a key file can be"),
]


@pytest.mark.parametrize(("content", "expected"), NOT_KEYS)
def test_what_is_not_a_key_file(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "x.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match=expected):
        load_key_file(path, role=Role.VOTE)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"there is no key file .*none.key"):
        load_key_file(tmp_path / "none.key", role=Role.VOTE)
    with pytest.raises(KeyFileError, match="is not a file"):
        load_key_file(tmp_path, role=Role.VOTE)


def test_every_truncation_is_refused(plain: Path, sealed: Path) -> None:
    for path in (plain, sealed):
        whole = path.read_bytes()
        for size in sorted({*range(0, len(whole) - 1, 5), *range(len(whole) - 9, len(whole) - 1)}):
            path.write_bytes(whole[:size])
            with pytest.raises(KeyFileError):
                load_key_file(path, role=Role.VOTE, passphrase=PASSPHRASE)


def test_a_changed_header_is_noticed(plain: Path, sealed: Path) -> None:
    for path in (plain, sealed):
        rewrite_header(path, owner="somebody else")
        with pytest.raises(KeyFileError, match="was changed after the key was made"):
            load_key_file(path, role=Role.VOTE, passphrase=PASSPHRASE)


PROTECTIONS = [
    ({"operations": 21, "memory_bytes": 8192, "salt": "00" * 16}, "more than the highest cost"),
    ({"operations": 1, "memory_bytes": 2**40, "salt": "00" * 16}, "more than the highest cost"),
    ({"operations": 0, "memory_bytes": 8192, "salt": "00" * 16}, "damaged"),
    ({"operations": 1, "memory_bytes": 8192, "salt": "00"}, "damaged"),
    ({"operations": 1, "memory_bytes": 8192}, "damaged"),
]


@pytest.mark.parametrize(("protection", "expected"), PROTECTIONS)
def test_a_dangerous_or_broken_cost_is_refused(sealed: Path, protection: dict[str, object], expected: str) -> None:
    rewrite_header(sealed, protection={"kind": "argon2id+xsalsa20poly1305", **protection})
    with pytest.raises(KeyFileError, match=expected):
        load_key_file(sealed, role=Role.VOTE, passphrase=PASSPHRASE)


def test_an_empty_passphrase_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="the passphrase is empty"):
        create_key_file(tmp_path / "x.key", role=Role.VOTE, owner="natreg", passphrase="")
    assert not list(tmp_path.iterdir())


def test_the_passphrase_comes_from_the_environment_or_a_private_file(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text("from file \n")
    file.chmod(0o600)
    assert read_passphrase({}) is None
    assert read_passphrase({"KEELING_PASSPHRASE": "direct"}) == "direct"
    assert read_passphrase({"KEELING_PASSPHRASE_FILE": str(file)}) == "from file "
    with pytest.raises(KeyFileError, match="both set"):
        read_passphrase({"KEELING_PASSPHRASE": "direct", "KEELING_PASSPHRASE_FILE": str(file)})
    with pytest.raises(KeyFileError, match="KEELING_PASSPHRASE holds an empty passphrase"):
        read_passphrase({"KEELING_PASSPHRASE": ""})
    file.chmod(0o644)
    with pytest.raises(KeyFileError, match=r"passphrase file .* is open to others"):
        read_passphrase({"KEELING_PASSPHRASE_FILE": str(file)})
    file.chmod(0o600)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(KeyFileError, match="not UTF-8"):
        read_passphrase({"KEELING_PASSPHRASE_FILE": str(file)})
