"""The genesis file: what everybody must agree on before the first block, and the root of all trust in a network.

It is JSON for people to read; the network's id is the SHA-256 of its exact bytes, so nothing in it can change. Parsing
is strict: what is not described here is refused. The state it opens is made in `node.core.opening`. A network whose
quorum is gone for good is continued by another one, whose genesis file says what it `succeeds` (protocol review O4).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from google.protobuf import json_format

from keeling.decoding import decode_operation
from keeling.operations import Contact, KeyGrant, SetRecord
from keeling.v1 import operations_pb2 as pb

FORMAT: Final = 1


class GenesisError(ValueError):
    """The bytes are no genesis file; the text says where and what was expected."""


class Founder(NamedTuple):
    """A participant of the first hour, with its keys; `contact` where its node is reached, if it has one."""

    participant: str
    name: str
    roles: tuple[str, ...]
    keys: tuple[KeyGrant, ...]
    contact: Contact | None = None


class Validator(NamedTuple):
    """A founder that runs a validator: its entry key. The policy has the others, validators in the same order."""

    participant: str
    entry_key: bytes


class Succession(NamedTuple):
    """The network that this one continues: its id, its last certificate, and the digest of the state taken over.

    `height` is that of both; the first block of this network is the one after it, so that no place is named twice.
    """

    network: bytes
    certificate: bytes
    height: int
    digest: bytes


class Genesis(NamedTuple):
    """The parsed file. `network` is its id."""

    network: bytes
    origin: str
    created_ms: int
    policy: bytes
    founders: tuple[Founder, ...]
    validators: tuple[Validator, ...]
    records: tuple[SetRecord, ...]
    succeeds: Succession | None = None

    @property
    def base(self) -> int:
        """The height that the first block follows: 0, or where the network that this one succeeds ended."""
        return 0 if self.succeeds is None else self.succeeds.height


def format_genesis(
    origin: str,
    created_ms: int,
    policy: bytes,
    founders: Sequence[Founder],
    validators: Sequence[Validator],
    records: Sequence[pb.SetRecord] = (),
    succeeds: Succession | None = None,
) -> bytes:
    """The bytes of a genesis file. `policy` is a tlog-policy file naming every validator."""
    document: dict[str, Any] = {
        "keeling": "genesis",
        "format": FORMAT,
        "origin": origin,
        "created_ms": created_ms,
        "participants": [_describe_founder(founder) for founder in founders],
        "validators": [{"participant": v.participant, "entry_key": v.entry_key.hex()} for v in validators],
        "records": [json_format.MessageToDict(r, preserving_proto_field_name=True) for r in records],
        "policy": policy.decode("utf-8").split("\n"),
    }
    if succeeds is not None:
        document["succeeds"] = describe_succession(succeeds)
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode("utf-8")


def describe_succession(succeeds: Succession) -> dict[str, Any]:
    """What a genesis file says of the network before, as JSON."""
    return {
        "network": succeeds.network.hex(),
        "certificate": succeeds.certificate.hex(),
        "height": succeeds.height,
        "digest": succeeds.digest.hex(),
    }


def _describe_founder(founder: Founder) -> dict[str, Any]:
    described: dict[str, Any] = {
        "participant": founder.participant,
        "name": founder.name,
        "roles": list(founder.roles),
        "keys": [{"key": k.key.hex(), "person": k.person, "purposes": k.purposes} for k in founder.keys],
    }
    if founder.contact is not None:
        keys = [key.hex() for key in founder.contact.tls_keys]
        described["contact"] = {"address": founder.contact.address, "tls_keys": keys}
    return described


def parse_genesis(data: bytes) -> Genesis:
    """Parse and check a genesis file; raises `GenesisError`."""
    try:
        document = json.loads(data.decode("utf-8"), object_pairs_hook=_no_duplicates)
    except ValueError as error:
        raise GenesisError(f"not a genesis file: {error}") from error
    fields = ("keeling", "format", "origin", "created_ms", "participants", "validators", "records", "policy")
    top = _fields(document, "the file", fields, ("succeeds",))
    if top["keeling"] != "genesis" or top["format"] != FORMAT:
        raise GenesisError(f"keeling {top['keeling']!r} format {top['format']!r}; this version reads genesis {FORMAT}")
    founders = tuple(_founder(item) for item in _items(top["participants"], "participants"))
    validators = tuple(_validator(item) for item in _items(top["validators"], "validators"))
    names = [founder.participant for founder in founders]
    if not validators or len(set(names)) != len(names) or any(v.participant not in names for v in validators):
        raise GenesisError("validators: at least one, each a participant of the file, no participant twice")
    return Genesis(
        network=hashlib.sha256(data).digest(),
        origin=_text(top["origin"], "origin"),
        created_ms=_whole(top["created_ms"], "created_ms"),
        policy="\n".join(_text(line, "policy") for line in _items(top["policy"], "policy")).encode("utf-8"),
        founders=founders,
        validators=validators,
        records=tuple(_record(item) for item in _items(top["records"], "records")),
        succeeds=parse_succession(top["succeeds"]) if "succeeds" in top else None,
    )


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise GenesisError("a key stands twice in one object")
    return found


def _fields(value: Any, where: str, names: Sequence[str], may: Sequence[str] = ()) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not set(names) <= set(value) <= {*names, *may}:
        got = sorted(value) if isinstance(value, dict) else type(value).__name__
        besides = f" (and {', '.join(may)})" if may else ""
        raise GenesisError(f"{where}: expected exactly {', '.join(names)}{besides}; got {got}")
    return value


def _items(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise GenesisError(f"{where}: expected a list")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise GenesisError(f"{where}: expected text, got {value!r}")
    return value


def _whole(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise GenesisError(f"{where}: expected a whole number, got {value!r}")
    return value


def _hex(value: Any, where: str) -> bytes:
    text = _text(value, where)
    try:
        found = bytes.fromhex(text)
    except ValueError as error:
        raise GenesisError(f"{where}: {text!r} is not hex") from error
    if found.hex() != text:
        raise GenesisError(f"{where}: expected lower-case hex digits")
    return found


def _key(value: Any, where: str) -> bytes:
    key = _hex(value, where)
    if len(key) != 32:
        raise GenesisError(f"{where}: expected 64 lower-case hex digits")
    return key


def _contact(value: Any) -> Contact:
    item = _fields(value, "contact", ("address", "tls_keys"))
    keys = tuple(_hex(key, "tls_keys") for key in _items(item["tls_keys"], "tls_keys"))
    return Contact(_text(item["address"], "address"), keys)


def parse_succession(value: Any) -> Succession:
    """The inverse of `describe_succession`; raises `GenesisError`."""
    item = _fields(value, "succeeds", ("network", "certificate", "height", "digest"))
    network, digest = _key(item["network"], "network"), _key(item["digest"], "digest")
    return Succession(network, _hex(item["certificate"], "certificate"), _whole(item["height"], "height"), digest)


def _founder(value: Any) -> Founder:
    item = _fields(value, "participants", ("participant", "name", "roles", "keys"), ("contact",))
    keys = []
    for entry in _items(item["keys"], "keys"):
        key = _fields(entry, "keys", ("key", "person", "purposes"))
        purposes = _whole(key["purposes"], "purposes")
        keys.append(KeyGrant(_key(key["key"], "key"), _text(key["person"], "person"), purposes))
    roles = tuple(_text(role, "roles") for role in _items(item["roles"], "roles"))
    contact = _contact(item["contact"]) if "contact" in item else None
    return Founder(_text(item["participant"], "participant"), _text(item["name"], "name"), roles, tuple(keys), contact)


def _validator(value: Any) -> Validator:
    item = _fields(value, "validators", ("participant", "entry_key"))
    return Validator(_text(item["participant"], "participant"), _key(item["entry_key"], "entry_key"))


def _record(value: Any) -> SetRecord:
    try:
        message = json_format.ParseDict(value, pb.SetRecord())
    except json_format.ParseError as error:
        raise GenesisError(f"records: {error}") from error
    decoded = decode_operation(pb.Operation(set_record=message))
    if not isinstance(decoded, SetRecord):
        raise GenesisError("records: expected a record")
    return decoded
