"""A real node on loopback for end-to-end tests: its folder, keys and genesis made as `keeling init` makes them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from keeling.genesis import Founder, Validator, format_genesis
from keeling.note import KeyType, NoteKey
from keeling.operations import KeyGrant
from keeling.policy import Policy, format_policy
from keeling.policy import Validator as PolicyValidator
from keeling.v1 import operations_pb2 as op
from network.folders import NodeFolder, NodeIdentity, create_node_folder
from network.keys import Role
from network.ports import find_ports
from network.profiles import open_destination, profile_of
from network.transport import Destination
from tests.fakes.world import EVERYTHING, Person

ORIGIN = "ledger.example/test"


def free_port() -> int:
    """A port nobody listens on just now."""
    return find_ports()[0]


def make_folder(
    root: Path, people: list[Person], records: list[op.SetRecord], roles: dict[str, list[str]]
) -> tuple[NodeFolder, Destination]:
    """The folder of a network of one validator, "natreg", with these people and records, and the way in."""

    def genesis(identity: NodeIdentity) -> bytes:
        own = KeyGrant(identity.keys[Role.SUBMISSION], "operator", EVERYTHING)
        founders = [Founder("natreg", "National registry", ("registry",), (own, *grants(people, "natreg")))]
        founders += [Founder(name, name.title(), tuple(r), grants(people, name)) for name, r in roles.items()]
        log = NoteKey(ORIGIN, KeyType.PLAIN, identity.keys[Role.LOG])
        cosigner = NoteKey(f"{ORIGIN}/natreg", KeyType.COSIGNATURE, identity.keys[Role.COSIGNER])
        validator = PolicyValidator("natreg", log, cosigner, identity.keys[Role.VOTE])
        policy = format_policy(Policy(ORIGIN, (validator,)))
        now_ms = int(datetime.now(UTC).timestamp() * 1000)
        validators = [Validator("natreg", identity.keys[Role.ENTRY])]
        return format_genesis(ORIGIN, now_ms, policy, founders, validators, records)

    listen = f"127.0.0.1:{free_port()}"
    identity = create_node_folder(
        root,
        origin=ORIGIN,
        participant="natreg",
        genesis=genesis,
        now=datetime.now(UTC),
        listen=listen,
        metrics="",
    )
    return NodeFolder(root), open_destination(profile_of(NodeFolder(root), identity))


def grants(people: list[Person], participant: str) -> tuple[KeyGrant, ...]:
    return tuple(person.grant() for person in people if person.participant == participant)
