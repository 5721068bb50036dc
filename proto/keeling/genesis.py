"""The genesis file: what everybody must agree on before the first block, and the root of all trust in a network.

It is JSON for people to read; the network's id is the SHA-256 of its exact bytes, so nothing in it can change. Parsing
is strict: what is not described here is refused. The state it opens is made in `node.core.opening`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from google.protobuf import json_format

from keeling.decoding import decode_operation
from keeling.operations import KeyGrant, SetRecord
from keeling.v1 import operations_pb2 as pb

FORMAT: Final = 1


class GenesisError(ValueError):
    """The bytes are no genesis file; the text says where and what was expected."""


class Founder(NamedTuple):
    """A participant of the first hour, with its keys."""

    participant: str
    name: str
    roles: tuple[str, ...]
    keys: tuple[KeyGrant, ...]


class Validator(NamedTuple):
    """A founder that runs a validator: its entry key. Vote, log and cosigner keys stand in the policy."""

    participant: str
    entry_key: bytes


class Genesis(NamedTuple):
    """The parsed file. `network` is its id."""

    network: bytes
    origin: str
    created_ms: int
    policy: bytes
    founders: tuple[Founder, ...]
    validators: tuple[Validator, ...]
    records: tuple[SetRecord, ...]


def format_genesis(
    origin: str,
    created_ms: int,
    policy: bytes,
    founders: Sequence[Founder],
    validators: Sequence[Validator],
    records: Sequence[pb.SetRecord] = (),
) -> bytes:
    """The bytes of a genesis file. `policy` is a tlog-policy file naming every validator."""
    document = {
        "keeling": "genesis",
        "format": FORMAT,
        "origin": origin,
        "created_ms": created_ms,
        "participants": [
            {
                "participant": f.participant,
                "name": f.name,
                "roles": list(f.roles),
                "keys": [{"key": k.key.hex(), "person": k.person, "purposes": k.purposes} for k in f.keys],
            }
            for f in founders
        ],
        "validators": [{"participant": v.participant, "entry_key": v.entry_key.hex()} for v in validators],
        "records": [json_format.MessageToDict(r, preserving_proto_field_name=True) for r in records],
        "policy": policy.decode("utf-8").split("\n"),
    }
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode("utf-8")


def parse_genesis(data: bytes) -> Genesis:
    """Parse and check a genesis file; raises `GenesisError`."""
    try:
        document = json.loads(data.decode("utf-8"), object_pairs_hook=_no_duplicates)
    except ValueError as error:
        raise GenesisError(f"not a genesis file: {error}") from error
    fields = ("keeling", "format", "origin", "created_ms", "participants", "validators", "records", "policy")
    top = _fields(document, "the file", fields)
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
    )


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise GenesisError("a key stands twice in one object")
    return found


def _fields(value: Any, where: str, names: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(value, dict) or set(value) != set(names):
        got = sorted(value) if isinstance(value, dict) else type(value).__name__
        raise GenesisError(f"{where}: expected exactly {', '.join(names)}; got {got}")
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


def _key(value: Any, where: str) -> bytes:
    text = _text(value, where)
    try:
        key = bytes.fromhex(text)
    except ValueError as error:
        raise GenesisError(f"{where}: {text!r} is not hex") from error
    if len(key) != 32 or key.hex() != text:
        raise GenesisError(f"{where}: expected 64 lower-case hex digits")
    return key


def _founder(value: Any) -> Founder:
    item = _fields(value, "participants", ("participant", "name", "roles", "keys"))
    keys = []
    for entry in _items(item["keys"], "keys"):
        key = _fields(entry, "keys", ("key", "person", "purposes"))
        purposes = _whole(key["purposes"], "purposes")
        keys.append(KeyGrant(_key(key["key"], "key"), _text(key["person"], "person"), purposes))
    roles = tuple(_text(role, "roles") for role in _items(item["roles"], "roles"))
    return Founder(_text(item["participant"], "participant"), _text(item["name"], "name"), roles, tuple(keys))


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
