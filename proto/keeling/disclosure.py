"""Disclosures: what is private about units, of which the ledger carries a salted hash and nothing else.

A disclosure is named fields in an order, and a random salt. Its digest is what a hold or a retirement names as its
beneficiary. Each field is hashed under a salt of its own, so that an *excerpt* can show some fields and prove them
while the others stay hidden: a certificate names the beneficiary and not the price. How a disclosure travels to the
parties is in `keeling.attachment`. Source: architecture G11; bytes: docs/formats.md; decision 11.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

from keeling.encoding import BYTES32, TEXT, U32, EncodingError, listing, record

SALT_BYTES: Final = 32
FIELDS_MAX: Final = 32
NAME_MAX: Final = 64
VALUE_BYTES_MAX: Final = 1_000
"""Of one value in UTF-8. A document travels as the SHA-256 of its file, not as a value."""
EXCERPT_BYTES_MAX: Final = 256 << 10
BENEFICIARY: Final = "beneficiary"
"""The field that a certificate shows unless others are asked for."""

FORMAT: Final = "keeling/disclosure/v1"
_DOMAIN: Final = b"keeling/disclosure/v1\n"
_FIELD_DOMAIN: Final = b"keeling/disclosure-field/v1\n"
_SALT_DOMAIN: Final = b"keeling/disclosure-salt/v1\n"

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
_HEX: Final = re.compile(r"[0-9a-f]{64}")
_UNSEEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Characters that nobody sees and that make a text look like another one: controls, line ends, changes of direction."""


class DisclosureError(ValueError):
    """It is no disclosure, or no excerpt of one; the text says where and why."""


class Field(NamedTuple):
    """A name of lower-case letters, digits and underscores, and what is said under it."""

    name: str
    value: str


class Disclosure(NamedTuple):
    """Everything: who has this can show any part of it. `salt` is 32 random bytes, used once."""

    salt: bytes
    fields: tuple[Field, ...]


class Shown(NamedTuple):
    """A field that an excerpt shows, with the salt it was hashed under."""

    salt: bytes
    name: str
    value: str


class Excerpt(NamedTuple):
    """The fields of a disclosure in their order; of those that stay hidden, the hash."""

    fields: tuple[Shown | bytes, ...]

    @property
    def shown(self) -> tuple[Field, ...]:
        return tuple(Field(each.name, each.value) for each in self.fields if isinstance(each, Shown))


_FIELD: Final = record(Field, TEXT, TEXT)
_SHOWN: Final = record(Shown, BYTES32, TEXT, TEXT)
_HASHES: Final = listing(BYTES32)
_DISCLOSURE: Final = record(Disclosure, BYTES32, listing(_FIELD))


def check_disclosure(disclosure: Disclosure) -> None:
    """Refuse what no disclosure may be. Raises `DisclosureError`."""
    if len(disclosure.salt) != SALT_BYTES:
        raise DisclosureError(f"a salt has {SALT_BYTES} bytes, this one has {len(disclosure.salt)}")
    _check_size(disclosure.fields)
    _check_fields(disclosure.fields)


def _check_size(fields: Sequence[object]) -> None:
    if not 1 <= len(fields) <= FIELDS_MAX:
        raise DisclosureError(f"a disclosure has 1 to {FIELDS_MAX} fields, this one has {len(fields)}")


def _check_fields(fields: Sequence[Field]) -> None:
    names: set[str] = set()
    for name, value in fields:
        if len(name) > NAME_MAX or _NAME.fullmatch(name) is None:
            said = "lower-case letters, digits and underscores, a letter first"
            raise DisclosureError(f"{name[:80]!r} is no name of a field: write up to {NAME_MAX} {said}")
        if name in names:
            raise DisclosureError(f"there are two fields {name}")
        names.add(name)
        try:
            size = len(value.encode("utf-8"))
        except UnicodeEncodeError as error:
            raise DisclosureError(f"{name} is not Unicode that UTF-8 can carry") from error
        if not 1 <= size <= VALUE_BYTES_MAX:
            raise DisclosureError(f"{name} has {size} bytes: write 1 to {VALUE_BYTES_MAX}")
        unseen = _UNSEEN.search(value)
        if unseen is not None:
            raise DisclosureError(f"{name} has the character U+{ord(unseen[0]):04X}, which nobody sees: leave it out")


def encode_disclosure(disclosure: Disclosure) -> bytes:
    """The canonical bytes. Raises `DisclosureError`."""
    check_disclosure(disclosure)
    return _DISCLOSURE.encode(disclosure)


def decode_disclosure(data: bytes) -> Disclosure:
    """The disclosure whose encoding is exactly `data`. Raises `DisclosureError`."""
    try:
        found = _DISCLOSURE.decode(data)
    except EncodingError as error:
        raise DisclosureError(f"this is no disclosure: {error}") from error
    check_disclosure(found)
    return found


def compute_digest(disclosure: Disclosure) -> bytes:
    """The 32 bytes for the ledger. Raises `DisclosureError`."""
    return compute_excerpt_digest(show_fields(disclosure))


def show_fields(disclosure: Disclosure, names: Collection[str] | None = None) -> Excerpt:
    """The excerpt that shows the fields of these names; None: all. Raises `DisclosureError`, for unknown names too."""
    check_disclosure(disclosure)
    known = [field.name for field in disclosure.fields]
    for name in names or ():
        if name not in known:
            raise DisclosureError(f"there is no field {name[:80]!r}: it has {', '.join(known)}")
    shown = [Shown(_salt_of(disclosure, i), *field) for i, field in enumerate(disclosure.fields)]
    return Excerpt(tuple(each if names is None or each.name in names else _hash_field(each) for each in shown))


def narrow_excerpt(excerpt: Excerpt, names: Collection[str]) -> Excerpt:
    """The same, showing only these names. Raises `DisclosureError` for one that it does not show."""
    known = [field.name for field in excerpt.shown]
    for name in names:
        if name not in known:
            raise DisclosureError(f"{name[:80]!r} is not shown: it shows {', '.join(known) or 'nothing'}")
    hidden = {field.name for field in excerpt.shown}.difference(names)
    return Excerpt(
        tuple(_hash_field(each) if isinstance(each, Shown) and each.name in hidden else each for each in excerpt.fields)
    )


def compute_excerpt_digest(excerpt: Excerpt) -> bytes:
    """The digest of the disclosure that this is an excerpt of."""
    hashes = tuple(_hash_field(each) if isinstance(each, Shown) else each for each in excerpt.fields)
    return hashlib.sha256(_DOMAIN + _HASHES.encode(hashes)).digest()


def _salt_of(disclosure: Disclosure, ordinal: int) -> bytes:
    return hashlib.sha256(_SALT_DOMAIN + disclosure.salt + U32.encode(ordinal)).digest()


def _hash_field(shown: Shown) -> bytes:
    return hashlib.sha256(_FIELD_DOMAIN + _SHOWN.encode(shown)).digest()


def tell_excerpt(excerpt: Excerpt) -> dict[str, Any]:
    """An excerpt as plain values for JSON: in one way."""
    fields = [
        {"name": each.name, "value": each.value, "salt": each.salt.hex()}
        if isinstance(each, Shown)
        else {"hidden": each.hex()}
        for each in excerpt.fields
    ]
    return {"format": FORMAT, "digest": compute_excerpt_digest(excerpt).hex(), "fields": fields}


def hear_excerpt(told: Any) -> Excerpt:
    """The excerpt of plain values; `tell_excerpt` of it is equal to `told`. Raises `DisclosureError`."""
    try:
        found = Excerpt(tuple(_hear_field(each) for each in told["fields"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise DisclosureError(f"this is no disclosure: {type(error).__name__} {str(error)[:120]}") from error
    _check_size(found.fields)
    _check_fields(found.shown)
    if tell_excerpt(found) != told:
        raise DisclosureError("its digest is not that of its fields, or something was added or left out")
    return found


def _hear_field(told: Any) -> Shown | bytes:
    if "hidden" in told:
        return _hear_hash(told["hidden"])
    name, value = told["name"], told["value"]
    if not isinstance(name, str) or not isinstance(value, str):
        raise DisclosureError("a field is a name and a text")
    return Shown(_hear_hash(told["salt"]), name, value)


def _hear_hash(text: Any) -> bytes:
    if not isinstance(text, str) or _HEX.fullmatch(text) is None:
        raise DisclosureError(f"{str(text)[:80]!r} is not the 64 hex digits of 32 bytes")
    return bytes.fromhex(text)


def format_excerpt(excerpt: Excerpt) -> bytes:
    """The JSON document, readable by anybody who is given it: one spelling for one excerpt."""
    return json.dumps(tell_excerpt(excerpt), sort_keys=True, ensure_ascii=False, indent=1).encode() + b"\n"


def parse_excerpt(data: bytes) -> Excerpt:
    """Read a document. Raises `DisclosureError`."""
    if len(data) > EXCERPT_BYTES_MAX:
        raise DisclosureError(f"{len(data)} bytes; an opened disclosure has at most {EXCERPT_BYTES_MAX}")
    try:
        told = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DisclosureError(f"this is no opened disclosure: {str(error)[:120]}") from error
    found = hear_excerpt(told)
    if format_excerpt(found) != data:
        raise DisclosureError("it is not in its canonical form: something was added, left out or written otherwise")
    return found
