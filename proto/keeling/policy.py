"""Trust policies: which keys speak for a log, and how many of them must.

`PolicyFile` is any C2SP tlog-policy file. `Policy` is this ledger's own: n validators, each with a log key, a cosigner
key and a vote key, and a quorum of cosigners; its file has one canonical form, whose SHA-256 is the policy hash that
votes and headers carry. A policy that the ledger decided also says at which height, so that no file ever comes again,
and which keys sign entries. Votes themselves are not here, nor which policy is in force at a height
(`keeling.handover`). Source: C2SP tlog-policy, architecture §4.5 and §4.9.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Final, NamedTuple

from keeling.ed25519 import KeyRefused, check_public_key
from keeling.note import KeyType, NoteKey, check_key_name, format_vkey, key_ring, parse_vkey
from keeling.strict import FormatError, parse_decimal, parse_hex

POLICY_BYTES_MAX: Final = 64 * 1024
VALIDATORS_MAX: Final = 32
"""As many logs and witnesses as every reader of policy files must support."""

_CONTROL: Final = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_GROUP: Final = "participants"
_NONE: Final = "none"
_VOTE: Final = "# keeling vote "
_ENTRY: Final = "# keeling entry "
_SINCE: Final = "# keeling since "


def quorum(n: int) -> int:
    """Return how many of n validators decide: floor(2n/3)+1; two such sets share one that does not lie."""
    return 2 * n // 3 + 1


def faults(n: int) -> int:
    """Return how many of n validators may lie without harm to finality: fewer than a third."""
    return (n - 1) // 3


class PolicyLog(NamedTuple):
    """A key that may sign checkpoints; its name is the log's origin."""

    key: NoteKey
    url: str | None


class PolicyWitness(NamedTuple):
    """A cosigner under the name that groups use."""

    name: str
    key: NoteKey
    url: str | None


class PolicyGroup(NamedTuple):
    """Met when at least `threshold` members are."""

    name: str
    threshold: int
    members: tuple[str, ...]


class PolicyFile(NamedTuple):
    """What a tlog-policy file says; comments are not kept."""

    logs: tuple[PolicyLog, ...]
    witnesses: tuple[PolicyWitness, ...]
    groups: tuple[PolicyGroup, ...]
    quorum: str | None
    """The witness or group that must be met; None asks for no cosignature."""

    def is_met(self, signers: Collection[NoteKey]) -> bool:
        """Whether keys whose signatures were verified over one checkpoint are enough: a log's, and the quorum."""
        if not any(log.key in signers for log in self.logs):
            return False
        met = {witness.name: witness.key in signers for witness in self.witnesses}
        for group in self.groups:
            met[group.name] = sum(met[member] for member in group.members) >= group.threshold
        return self.quorum is None or met[self.quorum]


class Validator(NamedTuple):
    """One validator's public keys, each for one role only."""

    name: str
    """Unlike all others of the policy; not the key name of the cosigner, although it may be the same text."""
    log_key: NoteKey
    """PLAIN, named by the origin."""
    cosigner_key: NoteKey
    """COSIGNATURE: "this validator executed all of it"."""
    vote_key: bytes
    """32 bytes Ed25519."""
    entry_key: bytes = b""
    """32 bytes Ed25519; empty in a policy of genesis, where the genesis file names it."""


class Policy(NamedTuple):
    """The validators in force, in the order that certificates and checkpoints follow."""

    origin: str
    validators: tuple[Validator, ...]
    since: int = 0
    """The height of the block that decided it; 0 for the policy of genesis."""

    @property
    def quorum(self) -> int:
        return quorum(len(self.validators))

    @property
    def faults(self) -> int:
        return faults(len(self.validators))


class _Reader:
    """Reads a policy file line by line; what a line names must stand above it."""

    def __init__(self) -> None:
        self.logs: list[PolicyLog] = []
        self.witnesses: list[PolicyWitness] = []
        self.groups: list[PolicyGroup] = []
        self.quorums: list[str] = []
        self._free: dict[str, bool] = {}  # every name defined so far, and whether it is in no group yet

    def read_line(self, items: Sequence[str]) -> None:
        match items:
            case ["log", vkey, *url] if len(url) <= 1:
                self._read_log(parse_vkey(vkey), url[0] if url else None)
            case ["witness", name, vkey, *url] if len(url) <= 1:
                self._read_witness(name, parse_vkey(vkey), url[0] if url else None)
            case ["group", name, threshold, *members]:
                self._read_group(name, threshold, members)
            case ["quorum", name]:
                if name != _NONE and name not in self._free:
                    raise FormatError(f"the quorum {name!r} is not defined above")
                self.quorums.append(name)
            case _:
                raise FormatError(f"{' '.join(items)[:80]!r} is no line of a policy")

    def _define(self, name: str) -> None:
        if name == _NONE or name in self._free:
            raise FormatError(f"the name {name!r} is reserved or defined twice")
        self._free[name] = True

    def _read_log(self, key: NoteKey, url: str | None) -> None:
        if any(log.key.public_key == key.public_key for log in self.logs):
            raise FormatError(f"the public key of log {key.name!r} stands twice among the logs")
        self.logs.append(PolicyLog(key, url))

    def _read_witness(self, name: str, key: NoteKey, url: str | None) -> None:
        if key.type is not KeyType.COSIGNATURE:
            raise FormatError(f"the key of witness {name!r} is of type {key.type:02x}, a witness signs with type 04")
        if any(witness.key.public_key == key.public_key for witness in self.witnesses):
            raise FormatError(f"the public key of witness {name!r} stands twice among the witnesses")
        self._define(name)
        self.witnesses.append(PolicyWitness(name, key, url))

    def _read_group(self, name: str, threshold: str, members: Sequence[str]) -> None:
        for member in members:
            if not self._free.get(member, False):
                raise FormatError(f"member {member!r} of group {name!r} is not defined above or already in a group")
            self._free[member] = False
        words = {"all": len(members), "any": 1}
        least = words[threshold] if threshold in words else parse_decimal(threshold, "group threshold")
        if not 1 <= least <= len(members):
            raise FormatError(f"group {name!r} asks for {least} of {len(members)} members")
        self._define(name)
        self.groups.append(PolicyGroup(name, least, tuple(members)))


def _decode(data: bytes) -> str:
    """Return the file as text; octets that are not UTF-8 survive as surrogates, for names are compared as octets."""
    if len(data) > POLICY_BYTES_MAX:
        raise FormatError(f"the policy has {len(data)} bytes, the most is {POLICY_BYTES_MAX}")
    if found := _CONTROL.search(data):
        raise FormatError(f"the policy holds the control character {found[0].hex()} at byte {found.start()}")
    return data.decode("utf-8", "surrogateescape")


def parse_policy_file(data: bytes) -> PolicyFile:
    """Return what any tlog-policy file says, at most 64 KiB. Keys are Ed25519 only (types 01 and 04)."""
    reader = _Reader()
    for number, line in enumerate(_decode(data).split("\n"), start=1):
        items = line.replace("\t", " ").split(" ")
        items = [item for item in items if item]
        if not items or items[0].startswith("#"):
            continue
        try:
            reader.read_line(items)
        except FormatError as error:
            raise FormatError(f"policy line {number}: {error}") from error
    if len(reader.quorums) != 1:
        raise FormatError(f"the policy has {len(reader.quorums)} quorum lines, it needs exactly one")
    key_ring([log.key for log in reader.logs] + [witness.key for witness in reader.witnesses])
    chosen = reader.quorums[0]
    return PolicyFile(
        logs=tuple(reader.logs),
        witnesses=tuple(reader.witnesses),
        groups=tuple(reader.groups),
        quorum=None if chosen == _NONE else chosen,
    )


def format_policy_file(policy: PolicyFile) -> bytes:
    """Return the file without comments: logs, witnesses, groups, quorum, each in the order given."""
    rows: list[tuple[str, ...]] = []
    rows += [("log", format_vkey(log.key), log.url or "") for log in policy.logs]
    rows += [("witness", witness.name, format_vkey(witness.key), witness.url or "") for witness in policy.witnesses]
    rows += [("group", group.name, str(group.threshold), *group.members) for group in policy.groups]
    rows.append(("quorum", policy.quorum or _NONE))
    return "".join(" ".join(filter(None, row)) + "\n" for row in rows).encode("utf-8", "surrogateescape")


def _check_name(name: str) -> None:
    check_key_name(name)
    if "\x7f" in name:
        raise FormatError(f"{name!r} holds a character that no policy file can carry")


def check_policy(policy: Policy) -> None:
    """Refuse a set of validators that cannot be in force, for its size, a name, or a key in two roles."""
    if not 1 <= len(policy.validators) <= VALIDATORS_MAX:
        raise FormatError(f"a policy has 1 to {VALIDATORS_MAX} validators, this one has {len(policy.validators)}")
    _check_name(policy.origin)
    seen: dict[bytes, str] = {}
    for validator in policy.validators:
        _check_name(validator.name)
        _check_name(validator.cosigner_key.name)
        if validator.name in (_NONE, _GROUP):
            raise FormatError(f"no validator can have the name {validator.name!r}")
        if validator.log_key[:2] != (policy.origin, KeyType.PLAIN):
            raise FormatError(f"the log key of {validator.name!r} is not of type 01 and named {policy.origin!r}")
        if validator.cosigner_key.type is not KeyType.COSIGNATURE:
            raise FormatError(f"the cosigner key of {validator.name!r} is not of type 04")
        if bool(validator.entry_key) != bool(policy.since):
            raise FormatError(f"{validator.name!r}: policies that the ledger decided, and only they, name entry keys")
        entry = (validator.entry_key,) if policy.since else ()
        for public_key in (validator.log_key.public_key, validator.cosigner_key.public_key, validator.vote_key, *entry):
            if public_key in seen:
                raise FormatError(f"{seen[public_key]!r} and {validator.name!r} share a key; every role needs its own")
            seen[public_key] = validator.name
            try:
                check_public_key(public_key)
            except KeyRefused as error:
                raise FormatError(f"validator {validator.name!r}: {error}") from error
    for first, second in pairwise(sorted(validator.name for validator in policy.validators)):
        if first == second:
            raise FormatError(f"two validators have the name {first!r}")
    key_ring(key for validator in policy.validators for key in (validator.log_key, validator.cosigner_key))


def describe_policy(policy: Policy) -> PolicyFile:
    """Return the policy in the terms of any tlog tool, which see no vote keys."""
    names = tuple(validator.name for validator in policy.validators)
    return PolicyFile(
        logs=tuple(PolicyLog(validator.log_key, None) for validator in policy.validators),
        witnesses=tuple(PolicyWitness(v.name, v.cosigner_key, None) for v in policy.validators),
        groups=(PolicyGroup(_GROUP, policy.quorum, names),),
        quorum=_GROUP,
    )


def format_policy(policy: Policy) -> bytes:
    """Return the one file that states `policy`: a tlog-policy file, at its end as comments what only we read."""
    check_policy(policy)
    ours = [f"{_VOTE}{validator.name} {validator.vote_key.hex()}\n" for validator in policy.validators]
    if policy.since:
        ours += [f"{_ENTRY}{validator.name} {validator.entry_key.hex()}\n" for validator in policy.validators]
        ours.append(f"{_SINCE}{policy.since}\n")
    data = format_policy_file(describe_policy(policy)) + "".join(ours).encode("utf-8")
    if len(data) > POLICY_BYTES_MAX:
        raise FormatError(f"the policy would have {len(data)} bytes, the most is {POLICY_BYTES_MAX}; shorten the names")
    return data


def parse_policy(data: bytes) -> Policy:
    """Return the policy whose only file is `data`; any other spelling of it is refused."""
    described = parse_policy_file(data)
    lines = _decode(data).split("\n")
    votes = [line[len(_VOTE) :].partition(" ")[2] for line in lines if line.startswith(_VOTE)]
    entries = [line[len(_ENTRY) :].partition(" ")[2] for line in lines if line.startswith(_ENTRY)]
    since = [line[len(_SINCE) :] for line in lines if line.startswith(_SINCE)]
    if not len(described.logs) == len(described.witnesses) == len(votes) > 0:
        raise FormatError("the policy does not have one log, one witness and one vote line for each validator")
    if len(since) > 1 or len(entries) != len(votes) * len(since):
        raise FormatError("the policy does not say once since when it is, with one entry line for each validator")
    rows = zip(described.logs, described.witnesses, votes, entries or [""] * len(votes), strict=True)
    policy = Policy(
        origin=described.logs[0].key.name,
        validators=tuple(
            Validator(
                name=witness.name,
                log_key=log.key,
                cosigner_key=witness.key,
                vote_key=parse_hex(vote, f"vote key of {witness.name!r}"),
                entry_key=parse_hex(entry, f"entry key of {witness.name!r}"),
            )
            for log, witness, vote, entry in rows
        ),
        since=parse_decimal(since[0], "height of the policy") if since else 0,
    )
    if format_policy(policy) != data:
        raise FormatError("the policy file is not the canonical form of what it says")
    return policy


def hash_policy(data: bytes) -> bytes:
    """Return the policy hash: SHA-256 of the exact bytes of the file."""
    return sha256(data).digest()
