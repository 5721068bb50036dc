"""Signing keys: the `Signer` door, and the key files that stand behind it.

A node signs in five roles with five keys, and people sign with keys of their own; one key never serves two roles,
because a signature made for one purpose must not be usable for another. Here live the file format and its errors. What
is signed lives with the thing signed, the curve in `keeling.ed25519`, TLS keys in `network.certificates`. A signer in
a hardware module is one more class with the two members of `Signer`.

A key file is two lines: a JSON header, readable without the passphrase, and base64. The base64 holds the 32-byte seed
and the SHA-256 of the header line, so that a changed header is noticed; with a passphrase both are sealed by
XSalsa20-Poly1305 under a key from Argon2id, whose cost the header states (RFC 9106; libsodium's `secretbox`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn, Protocol

import nacl.exceptions
import nacl.pwhash.argon2id
import nacl.secret

from keeling import ed25519
from keeling.attachment import open_attachment
from keeling.disclosure import Disclosure
from network.files import FileRefused, read_private_file, write_new_file

PASSPHRASE_VARIABLE: Final = "KEELING_PASSPHRASE"
PASSPHRASE_FILE_VARIABLE: Final = "KEELING_PASSPHRASE_FILE"
FORMAT: Final = "keeling-key"
UNPROTECTED_NOTE: Final = (
    "NOT ENCRYPTED: whoever can read this file can sign as its owner. Only its permissions (0600) protect it."
)


class KeyFileError(ValueError):
    """The file gives no key; the text says which file, why, and what to do."""


class WrongPassphrase(KeyFileError):
    """The file is a whole key file and the passphrase does not open it."""


class Role(StrEnum):
    """What a key is for. A key file carries its role, and loading it for another is refused."""

    SUBMISSION = "submission"
    """Hands in submissions and signs the participant's approvals."""
    ENTRY = "entry"
    """The node's: signs the entries it gives to the ordering log."""
    VOTE = "vote"
    """The validator's: VOTE, LOCK and REPORT. Lost memory means a new key (design §4.8)."""
    COSIGNER = "cosigner"
    """Cosigns final checkpoints (C2SP tlog-cosignature, type 04)."""
    LOG = "log"
    """Signs final checkpoints as the log (C2SP signed note, type 01)."""
    APPROVAL = "approval"
    """A person's, kept outside any node folder: approves transactions."""


SIGNING_ROLES: Final = (Role.SUBMISSION, Role.APPROVAL)
"""Keys that a participant or a person approves and attests with."""
NODE_ROLES: Final = (Role.SUBMISSION, Role.ENTRY, Role.VOTE, Role.COSIGNER, Role.LOG)


class Signer(Protocol):
    """Who can sign with one Ed25519 key without showing it."""

    @property
    def public_key(self) -> bytes:
        """The 32 bytes of RFC 8032."""

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature over `message`."""


class SeedSigner:
    """A signer whose 32-byte seed is in memory. It prints as its public key and refuses to be pickled."""

    __slots__ = ("_public_key", "_seed")

    def __init__(self, seed: bytes) -> None:
        self._public_key = ed25519.public_key(seed)
        self._seed = seed

    @property
    def public_key(self) -> bytes:
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        return ed25519.sign(self._seed, message)

    def open_attachment(self, data: bytes) -> Disclosure:
        """Decrypt an attachment to this key; raises as `keeling.attachment.open_attachment`."""
        return open_attachment(data, self._seed)

    def __repr__(self) -> str:
        return f"SeedSigner(public_key={self._public_key.hex()})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signing key is not sent to other processes: load it there from its file")


class KdfCost(NamedTuple):
    """What opening the file costs, so that guessing passphrases costs the same each time."""

    operations: int
    memory_bytes: int


DEFAULT_COST: Final = KdfCost(operations=3, memory_bytes=64 * 1024 * 1024)
"""About 0.2 s a key, the second recommended setting of RFC 9106 §4: a node with five keys starts in a second."""
HIGHEST_COST: Final = KdfCost(operations=20, memory_bytes=1024 * 1024 * 1024)
"""A file that asks for more is refused: it would stop the machine that opens it."""


class KeyDescription(NamedTuple):
    """What a key file says without its passphrase. The word of the file: only `load_key_file` proves it."""

    role: Role
    owner: str
    public_key: bytes
    encrypted: bool


def create_key_file(
    path: Path, *, role: Role, owner: str, passphrase: str | None = None, cost: KdfCost = DEFAULT_COST
) -> Signer:
    """Make a new key, write it to the new file `path` with mode 0600, and return its signer.

    Without a passphrase the seed is in the file in clear and the file says so. Raises `FileExistsError` when there is
    a file already, `KeyFileError` when the passphrase is empty.
    """
    if passphrase == "":
        raise KeyFileError("the passphrase is empty: give one, or none at all for a file that is not encrypted")
    seed = os.urandom(ed25519.SEED_BYTES)
    signer = SeedSigner(seed)
    salt = os.urandom(nacl.pwhash.argon2id.SALTBYTES)
    protection = {"kind": "none", "note": UNPROTECTED_NOTE} if passphrase is None else _protection(cost, salt)
    header = _format_header(role, owner, signer.public_key, protection)
    body = seed + hashlib.sha256(header).digest()
    if passphrase is not None:
        body = bytes(nacl.secret.SecretBox(_derive(passphrase, cost, salt)).encrypt(body))
    write_new_file(path, header + b"\n" + base64.b64encode(body) + b"\n")
    return signer


def load_key_file(path: Path, *, role: Role, passphrase: str | None = None) -> SeedSigner:
    """Return the signer of the key file `path`; raise `KeyFileError` (`WrongPassphrase`) with what to do otherwise."""
    header, body = _read_parts(path)
    described = _describe(path, header)
    if described.role != role:
        raise KeyFileError(f"{path} is a {described.role} key, and a {role} key is needed here")
    if described.encrypted:
        body = _open_body(path, _parse_header(path, header)["protection"], body, passphrase)
    if len(body) != ed25519.SEED_BYTES + hashlib.sha256().digest_size:
        raise KeyFileError(f"{path} is cut off or damaged: restore it from its backup")
    seed, seal = body[: ed25519.SEED_BYTES], body[ed25519.SEED_BYTES :]
    signer = SeedSigner(seed)
    if seal != hashlib.sha256(header).digest() or signer.public_key != described.public_key:
        raise KeyFileError(f"the first line of {path} was changed after the key was made: restore it from its backup")
    return signer


def load_signing_key(path: Path, passphrase: str | None = None) -> SeedSigner:
    """The signer of a participant's key or of a person's, whichever the file has. Raises as `load_key_file` does."""
    role = describe_key_file(path).role
    if role not in SIGNING_ROLES:
        raise KeyFileError(f"{path} is a {role} key: people and participants sign with a submission or an approval key")
    return load_key_file(path, role=role, passphrase=passphrase)


def describe_key_file(path: Path) -> KeyDescription:
    """Return role, owner and public key of a key file; needs no passphrase. Raises `KeyFileError`."""
    header, _ = _read_parts(path)
    return _describe(path, header)


def read_passphrase(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the passphrase named by KEELING_PASSPHRASE or by the file KEELING_PASSPHRASE_FILE, or None for neither.

    One line feed at the end of the file does not count. Raises `KeyFileError` when both are set, when the passphrase is
    empty, and when the file cannot be read or can be read by others.
    """
    direct, named = environment.get(PASSPHRASE_VARIABLE), environment.get(PASSPHRASE_FILE_VARIABLE)
    if direct is not None and named is not None:
        raise KeyFileError(f"{PASSPHRASE_VARIABLE} and {PASSPHRASE_FILE_VARIABLE} are both set: unset one of them")
    if named is not None:
        try:
            direct = _read_private(Path(named), "passphrase file").decode("utf-8").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            raise KeyFileError(f"the passphrase file {named} is not UTF-8 text") from error
    if direct == "":
        raise KeyFileError(f"{PASSPHRASE_VARIABLE if named is None else named} holds an empty passphrase: unset it")
    return direct


def _protection(cost: KdfCost, salt: bytes) -> dict[str, Any]:
    return {"kind": "argon2id+xsalsa20poly1305", **cost._asdict(), "salt": salt.hex()}


def _format_header(role: Role, owner: str, public_key: bytes, protection: dict[str, Any]) -> bytes:
    fields = {
        "format": FORMAT,
        "version": 1,
        "role": role.value,
        "owner": owner,
        "algorithm": "ed25519",
        "public_key": public_key.hex(),
        "protection": protection,
    }
    return json.dumps(fields, separators=(",", ":")).encode("ascii")


def _read_private(path: Path, what: str) -> bytes:
    try:
        return read_private_file(path, what)
    except FileRefused as error:
        raise KeyFileError(str(error)) from error


def _read_parts(path: Path) -> tuple[bytes, bytes]:
    header, _, body = _read_private(path, "key file").partition(b"\n")
    _parse_header(path, header)
    try:
        return header, base64.b64decode(body.removesuffix(b"\n"), validate=True)
    except binascii.Error as error:
        raise KeyFileError(f"{path} is cut off or damaged: restore it from its backup") from error


def _parse_header(path: Path, header: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(header)
    except ValueError as error:
        raise KeyFileError(f"{path} is not a key file: its first line is not a key file's header") from error
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        raise KeyFileError(f"{path} is not a key file: its first line does not say {FORMAT}")
    if fields.get("version") != 1:
        raise KeyFileError(f"{path} is a key file of version {fields.get('version')}, and this program reads version 1")
    return fields


def _describe(path: Path, header: bytes) -> KeyDescription:
    fields = _parse_header(path, header)
    try:
        public_key = bytes.fromhex(fields["public_key"])
        encrypted = fields["protection"]["kind"] != "none"
        return KeyDescription(Role(fields["role"]), str(fields["owner"]), public_key, encrypted)
    except (KeyError, TypeError, ValueError) as error:
        raise KeyFileError(f"the header of the key file {path} is damaged: {error}") from error


def _open_body(path: Path, protection: dict[str, Any], sealed: bytes, passphrase: str | None) -> bytes:
    if passphrase is None:
        raise KeyFileError(
            f"{path} is encrypted: set {PASSPHRASE_VARIABLE}, or {PASSPHRASE_FILE_VARIABLE} to a file that holds it"
        )
    try:
        cost = KdfCost(int(protection["operations"]), int(protection["memory_bytes"]))
        salt = bytes.fromhex(protection["salt"])
    except (KeyError, TypeError, ValueError) as error:
        raise KeyFileError(f"the header of the key file {path} is damaged: {error}") from error
    if cost.operations > HIGHEST_COST.operations or cost.memory_bytes > HIGHEST_COST.memory_bytes:
        raise KeyFileError(
            f"{path} asks for {cost.operations} passes over {cost.memory_bytes} bytes, more than the highest cost "
            f"({HIGHEST_COST.operations}, {HIGHEST_COST.memory_bytes}): it was not made by this program"
        )
    smallest = nacl.secret.SecretBox.NONCE_SIZE + nacl.secret.SecretBox.MACBYTES
    if len(sealed) < smallest + ed25519.SEED_BYTES + hashlib.sha256().digest_size:
        raise KeyFileError(f"{path} is cut off or damaged: restore it from its backup")
    try:
        return nacl.secret.SecretBox(_derive(passphrase, cost, salt)).decrypt(sealed)
    except (nacl.exceptions.ValueError, nacl.exceptions.TypeError) as error:
        raise KeyFileError(f"the header of the key file {path} is damaged: {error}") from error
    except nacl.exceptions.CryptoError as error:
        raise WrongPassphrase(f"the passphrase does not open {path} (or the file was changed)") from error


def _derive(passphrase: str, cost: KdfCost, salt: bytes) -> bytes:
    return nacl.pwhash.argon2id.kdf(
        nacl.secret.SecretBox.KEY_SIZE, passphrase.encode("utf-8"), salt, cost.operations, cost.memory_bytes
    )
