"""Signed notes: text with signature lines under it, and the keys that check them.

Two kinds of signature are known, both Ed25519: of the text itself (type 01) and the timestamped cosignature (type 04).
Lines of unknown keys are ignored and never counted: they carry key rotation and other people's witnesses. What the text
says is not here (`keeling.checkpoint`), nor how many signatures are enough (`keeling.policy`). Source: C2SP signed-note
v1.0.0 and tlog-cosignature v1.0.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from hashlib import sha256
from typing import Final, NamedTuple

from keeling.ed25519 import KEY_BYTES, SIGNATURE_BYTES, KeyRefused, check_public_key, check_signature
from keeling.strict import (
    FormatError,
    check_number,
    decode_text,
    format_base64,
    parse_base64,
    parse_hex,
)

NOTE_BYTES_MAX: Final = 64 * 1024
SIGNATURE_LINES_MAX: Final = 64

KEY_ID_BYTES: Final = 4
TIME_BYTES: Final = 8

_DASH: Final = "— "
_SPACES: Final = frozenset(
    ["\t", "\n", "\v", "\f", "\r", " ", "\x85", "\xa0", "\u1680", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"]
    + [chr(code) for code in range(0x2000, 0x200B)]
)
"""The Unicode property White_Space, written out so that no Python version can change it."""

Sign = Callable[[bytes], bytes]
"""Returns the 64-byte Ed25519 signature of a message; the private key stays behind it."""
CheckSignature = Callable[[bytes, bytes, bytes], bool]
"""(public key, signature, message) -> is it genuine."""


class NoteRefused(ValueError):
    """The note is well formed, but its signatures do not make it trusted."""


class KeyType(IntEnum):
    """What a key signs; the first byte of an encoded key."""

    PLAIN = 0x01
    """The note's text."""
    COSIGNATURE = 0x04
    """A time and the note's text, as `cosignature_message` joins them."""


class NoteKey(NamedTuple):
    """A public key under a name: what checks one signature line."""

    name: str
    type: KeyType
    public_key: bytes

    @property
    def id(self) -> bytes:
        """The four bytes that lead from a signature line to its key: a label, of no value against an attacker."""
        return sha256(self.name.encode("utf-8") + b"\n" + bytes([self.type]) + self.public_key).digest()[:KEY_ID_BYTES]


class SignatureLine(NamedTuple):
    """One signature under a note, as it stands there."""

    name: str
    key_id: bytes
    signature: bytes
    """Without the key id; for a cosignature the u64 time, then the signature."""


class Note(NamedTuple):
    """A note as it stands: nothing is verified yet."""

    text: str
    """What the signatures cover; ends in a newline."""
    signatures: tuple[SignatureLine, ...]


class Verified(NamedTuple):
    """A signature that was checked and is good."""

    key: NoteKey
    line: SignatureLine
    time: int | None
    """Seconds since 1970 for a cosignature; no rule of the ledger may depend on it."""


def check_key_name(name: str) -> None:
    """Refuse a key name that is empty or holds a space, a control character or a plus sign."""
    if not name or any(char in _SPACES or char == "+" or char < " " for char in name):
        raise FormatError(f"key name {name[:80]!r} is empty or holds a space, a control character or '+'")
    try:
        name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise FormatError(f"key name {name[:80]!r} is not Unicode that UTF-8 can carry") from error


def format_vkey(key: NoteKey) -> str:
    """Return the verifier key text: name, key id and key."""
    return f"{key.name}+{key.id.hex()}+{format_base64(bytes([key.type]) + key.public_key)}"


def parse_vkey(text: str) -> NoteKey:
    """Return the key of a verifier key text; refuse other types than 01 and 04, and a key that nobody may use."""
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise FormatError(f"verifier key {text[:120]!r} is not name+id+key")
    name, key_id, encoded = parts
    check_key_name(name)
    data = parse_base64(encoded, "verifier key")
    if data[:1] not in (b"\x01", b"\x04"):
        raise FormatError(f"verifier key of {name!r} has the type {data[:1].hex() or 'none'}, only 01 and 04 are known")
    if len(data) != 1 + KEY_BYTES:
        raise FormatError(f"verifier key of {name!r} has {len(data) - 1} bytes, an Ed25519 key has {KEY_BYTES}")
    key = NoteKey(name, KeyType(data[0]), data[1:])
    try:
        check_public_key(key.public_key)
    except KeyRefused as error:
        raise FormatError(f"verifier key of {name!r}: {error}") from error
    if parse_hex(key_id, "key id") != key.id:
        raise FormatError(f"verifier key of {name!r} carries the id {key_id}, computed is {key.id.hex()}")
    return key


def format_signature_line(line: SignatureLine) -> str:
    return f"{_DASH}{line.name} {format_base64(line.key_id + line.signature)}\n"


def parse_signature_line(text: str) -> SignatureLine:
    """Return the signature of a line, given without its newline."""
    if not text.startswith(_DASH):
        raise FormatError(f"signature line {text[:80]!r} does not start with a dash and a space")
    name, space, encoded = text[len(_DASH) :].partition(" ")
    if not space:
        raise FormatError(f"signature line {text[:80]!r} is not a dash, a name and a signature")
    check_key_name(name)
    data = parse_base64(encoded, f"signature of {name!r}")
    if len(data) <= KEY_ID_BYTES:
        raise FormatError(f"signature of {name!r} has {len(data)} bytes, fewer than a key id and one more")
    return SignatureLine(name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])


def format_note(note: Note) -> bytes:
    return (note.text + "\n" + "".join(map(format_signature_line, note.signatures))).encode("utf-8")


def parse_note(data: bytes) -> Note:
    """Return the note that `data` spells, at most 64 KiB with 1 to 64 signature lines; nothing is verified.

    The separator is the last empty line: the text may contain empty lines itself.
    """
    if len(data) > NOTE_BYTES_MAX:
        raise FormatError(f"the note has {len(data)} bytes, the most is {NOTE_BYTES_MAX}")
    whole = decode_text(data, "the note")
    at = whole.rfind("\n\n")
    if at < 0:
        raise FormatError("the note has no empty line between text and signatures")
    lines = whole[at + 2 :].split("\n")
    if lines.pop() != "" or not lines:
        raise FormatError("the note does not end in a signature line and a newline")
    if len(lines) > SIGNATURE_LINES_MAX:
        raise FormatError(f"the note has {len(lines)} signature lines, the most is {SIGNATURE_LINES_MAX}")
    return Note(whole[: at + 1], tuple(map(parse_signature_line, lines)))


def cosignature_message(text: str, time: int) -> bytes:
    """Return what a cosigner signs: a domain line, the time in seconds since 1970, and the note's text."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def sign_text(text: str, key: NoteKey, sign: Sign) -> SignatureLine:
    """Return the line that a PLAIN key puts under `text`."""
    if key.type is not KeyType.PLAIN:
        raise FormatError(f"the key of {key.name!r} is a cosigner's and signs no plain text")
    return SignatureLine(key.name, key.id, sign(text.encode("utf-8")))


def cosign_text(text: str, key: NoteKey, time: int, sign: Sign) -> SignatureLine:
    """Return the line that a COSIGNATURE key puts under `text` at `time`, in seconds since 1970.

    Never call it twice for trees that contradict each other: the caller keeps the record on disk first.
    """
    if key.type is not KeyType.COSIGNATURE:
        raise FormatError(f"the key of {key.name!r} signs plain text and no cosignatures")
    check_number(time, "cosignature time")
    return SignatureLine(key.name, key.id, time.to_bytes(TIME_BYTES, "big") + sign(cosignature_message(text, time)))


def check_line(text: str, line: SignatureLine, key: NoteKey, check: CheckSignature = check_signature) -> Verified:
    """Refuse unless `line` is a good signature of `key` under `text`. Raises `NoteRefused`."""
    if (line.name, line.key_id) != (key.name, key.id):
        raise NoteRefused(f"the signature line of {line.name!r} is not of the key {key.name!r} {key.id.hex()}")
    time: int | None = None
    signature, message = line.signature, text.encode("utf-8")
    if key.type is KeyType.COSIGNATURE:
        time, signature = int.from_bytes(line.signature[:TIME_BYTES], "big"), line.signature[TIME_BYTES:]
        message = cosignature_message(text, time)
    if len(signature) != SIGNATURE_BYTES or (time or 0) >> 63:
        raise NoteRefused(f"the signature of {line.name!r} has a wrong length or a time that cannot be")
    if not check(key.public_key, signature, message):
        raise NoteRefused(f"the signature of {line.name!r} is not good for this text")
    return Verified(key, line, time)


def key_ring(keys: Iterable[NoteKey]) -> dict[tuple[str, bytes], NoteKey]:
    """Return the keys by what a signature line says of them; refuse two that no line could tell apart."""
    ring: dict[tuple[str, bytes], NoteKey] = {}
    for key in keys:
        if ring.setdefault((key.name, key.id), key) != key:
            raise FormatError(f"two keys have the name {key.name!r} and the id {key.id.hex()}; one must be made anew")
    return ring


def check_note(note: Note, keys: Iterable[NoteKey]) -> tuple[Verified, ...]:
    """Return the good signatures of known keys, one per key, in the order of the keys' first lines.

    A known key's line that is not good refuses the whole note, and so does a note without any known key. Of several
    cosignatures of one key the newest counts; two different plain ones refuse the note. Raises `NoteRefused`.
    """
    ring: Mapping[tuple[str, bytes], NoteKey] = key_ring(keys)
    good: dict[NoteKey, Verified] = {}
    for line in dict.fromkeys(note.signatures):
        key = ring.get((line.name, line.key_id))
        if key is None:
            continue
        verified = check_line(note.text, line, key)
        earlier = good.setdefault(key, verified)
        if earlier is verified:
            continue
        if key.type is KeyType.PLAIN:
            raise NoteRefused(f"the note carries two different signatures of {key.name!r}")
        if (verified.time or 0) > (earlier.time or 0):
            good[key] = verified
    if not good:
        raise NoteRefused("the note carries no signature of a known key")
    return tuple(good.values())
