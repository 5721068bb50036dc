"""The configuration of one node: `node.toml`, read once at start into one frozen value.

What is wrong is refused at start, all of it at once, each with its line and key; a setting nobody reads is an error,
because a mistyped one would otherwise silently be the default. `KEELING_` variables override single settings:
`KEELING_LISTEN`, or `KEELING_LIMITS__LINGER_MS` for one in a table. Passphrases are no settings (`network.keys`), and
what all participants must agree on is in genesis and ledger, not here. How the file is written and where its keys are
found in the text lives in `network.config_text`.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, Field, model_validator

from network.certificates import CertificateError, decode_public_key
from network.names import check_origin, check_participant, parse_address
from network.settings import ConfigError, Section, build_model, nearest, parse_toml, read_text
from network.trust import PinnedKey, Trust, build_trust

PREFIX: Final = "KEELING_"
CALL_OVERHEAD_BYTES: Final = 64 * 1024
"""Room for what travels around an entry in one call."""


def _check_address(text: str) -> str:
    parse_address(text)
    return text


def _check_address_or_none(text: str) -> str:
    return _check_address(text) if text else text


def _check_tls_key(text: str) -> str:
    try:
        decode_public_key(base64.b64decode(text, validate=True))
    except (binascii.Error, CertificateError) as error:
        raise ValueError(f"this is no TLS public key in base64, as `keeling init` prints it: {error}") from error
    return text


Origin = Annotated[str, AfterValidator(check_origin)]
ParticipantId = Annotated[str, AfterValidator(check_participant)]


def _check_urls(text: str) -> str:
    for url in text.split(",") if text else ():
        scheme, found, rest = url.strip().partition("://")
        if not found or scheme not in ("tls", "http", "https") or "@" in rest:
            raise ValueError(f"{url!r} is no URL of a server, such as tls://host:4222 (no user, no password)")
        parse_address(rest.rstrip("/"))
    return text


UrlList = Annotated[str, AfterValidator(_check_urls)]
Listen = Annotated[str, AfterValidator(_check_address)]
ListenOrNone = Annotated[str, AfterValidator(_check_address_or_none)]
TlsPublicKey = Annotated[str, AfterValidator(_check_tls_key)]


class KeyPaths(Section):
    """Where the node's five signing keys lie, one for each role; relative to the folder of this file."""

    submission: Path = Path("keys/submission.key")
    """Signs this participant's own submissions and approvals."""
    entry: Path = Path("keys/entry.key")
    """Signs the entries that this node gives to the ordering log."""
    vote: Path = Path("keys/vote.key")
    """Signs votes on blocks. Never put it into a backup together with an older vote journal."""
    cosigner: Path = Path("keys/cosigner.key")
    """Cosigns final checkpoints."""
    log: Path = Path("keys/log.key")
    """Signs final checkpoints as the log."""


class TlsPaths(Section):
    """Where the TLS key and its certificate lie. Both are read again whenever they change."""

    key: Path = Path("tls/key.pem")
    """The P-256 private key that peers have pinned (PEM)."""
    certificate: Path = Path("tls/certificate.pem")
    """Its certificate (PEM). Renewing it with the same key needs nothing from anybody else."""


class Limits(Section):
    """What is turned away at the door, and how long to wait for company. The bounds are the protocol's (§4.2)."""

    submission_transactions: Annotated[int, Field(ge=1, le=500)] = 500
    """Most transactions in one submission. Fewer makes a block shorter; no validator takes more than 500."""
    call_bytes: Annotated[int, Field(ge=256 * 1024, le=4 * 1024 * 1024)] = 4 * 1024 * 1024
    """Largest gRPC message in bytes, either way. Larger ones are refused before they are read into memory."""
    entry_bytes: Annotated[int, Field(ge=64 * 1024, le=1024 * 1024)] = 1024 * 1024
    """Largest entry in bytes that this node makes. Larger entries carry more and make the first one wait longer."""
    linger_ms: Annotated[int, Field(ge=0, le=1000)] = 3
    """Milliseconds to wait for more submissions after the first. Load fills entries anyway; this is for light load."""

    @model_validator(mode="after")
    def _an_entry_fits_a_call(self) -> Limits:
        if self.entry_bytes + CALL_OVERHEAD_BYTES > self.call_bytes:
            raise ValueError(
                f"entry_bytes ({self.entry_bytes}) and {CALL_OVERHEAD_BYTES} bytes around it must fit into call_bytes "
                f"({self.call_bytes})"
            )
        return self


class OrderingConfig(Section):
    """Which engine orders entries, the same at every node. It is trusted for progress only."""

    engine: Literal["embedded", "jetstream"] = "embedded"
    """embedded: validators take turns as hosts, nothing to install. jetstream: a NATS cluster (docs/jetstream.md)."""
    servers: UrlList = ""
    """URLs of the NATS servers, tls://host:port, with commas between."""
    monitoring: UrlList = ""
    """Their monitoring URLs, http://host:port, with commas between: their settings are read before they are used."""
    nkey: Path = Path("keys/nats.nk")
    """The seed with which this node logs in there."""
    replicas: Annotated[int, Field(ge=1, le=5)] = 3
    """Servers that keep each log. Three survive one; one is for trials."""
    deletes: bool = False
    """Whether this node deletes streams of epochs that are over. One node does, which the cluster must let."""

    @model_validator(mode="after")
    def _a_cluster_is_named(self) -> OrderingConfig:
        if self.engine == "jetstream" and not (self.servers and self.monitoring):
            raise ValueError("jetstream needs servers and monitoring URLs")
        return self


class PeerConfig(Section):
    """Another participant that may connect. Give it twice, with the old and the new key, while it replaces its key."""

    participant: ParticipantId
    """Its id on this network."""
    tls_key: TlsPublicKey
    """Its TLS public key, in base64, as its operator gives it to you. Compare the fingerprint over another channel."""
    address: ListenOrNone = ""
    """Where its node listens (host:port); empty for one that only connects to us."""

    def pin(self) -> PinnedKey:
        """Return the peer's key as the transport wants it."""
        return PinnedKey(self.participant, base64.b64decode(self.tls_key))


class NodeConfig(Section):
    """Everything that one node has to be told. Made by `load_config`, whose paths are absolute."""

    origin: Origin
    """The name of the network, as in its genesis: the log's origin line. It never changes."""
    participant: ParticipantId
    """Whose node this is."""
    listen: Listen = "127.0.0.1:7451"
    """Where clients and peers reach this node (host:port). The default is reachable from this machine only."""
    metrics: ListenOrNone = "127.0.0.1:7452"
    """Where Prometheus reads figures, without TLS, so keep it on a private address; empty for nowhere."""
    data: Path = Path("data")
    """The folder of the ledger itself: log, state, journals."""
    genesis: Path = Path("genesis")
    """The network's genesis file."""
    signature_workers: Annotated[int, Field(ge=0, le=64)] = 0
    """Processes that check signatures; 0 for one fewer than the machine has cores. More than cores gains nothing."""
    keys: KeyPaths = KeyPaths()
    """Where the signing keys lie."""
    tls: TlsPaths = TlsPaths()
    """Where key and certificate of the transport lie."""
    limits: Limits = Limits()
    """What is turned away at the door."""
    ordering: OrderingConfig = OrderingConfig()
    """Which engine orders entries."""
    peers: tuple[PeerConfig, ...] = ()
    """The other participants that may connect, until the ledger names more."""

    def trust(self, own_public_key: bytes) -> Trust:
        """Return the keys that this configuration trusts: the node's own (DER), and its peers'."""
        own = PinnedKey(self.participant, own_public_key)
        return build_trust(self.origin, [own, *(peer.pin() for peer in self.peers)])


def load_config(path: Path, environment: Mapping[str, str] = os.environ) -> NodeConfig:
    """Read `path` and the `KEELING_` variables; paths come back absolute. Raises `ConfigError` with every problem."""
    text = read_text(path, "make a node folder with `keeling init`")
    return _resolve(parse_config(text, environment, name=str(path)), path.absolute().parent)


def parse_config(text: str, environment: Mapping[str, str], *, name: str = "node.toml") -> NodeConfig:
    """Return the configuration in `text`, paths as written; raise `ConfigError` that calls the file `name`."""
    values = parse_toml(text, name)
    overridden = _override(values, environment)
    return build_model(NodeConfig, values, text, name, overridden)


def list_variables() -> dict[str, tuple[str, ...]]:
    """Return every environment variable that overrides a setting, with the place of the setting."""
    return {PREFIX + "__".join(place).upper(): place for place in _places(NodeConfig)}


def _places(model: type[BaseModel]) -> list[tuple[str, ...]]:
    places: list[tuple[str, ...]] = []
    for key, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            places += [(key, *inner) for inner in _places(kind)]
        elif key != "peers":
            places.append((key,))
    return places


def _override(values: dict[str, Any], environment: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """Put the variables' values into `values`; return which variable set which place."""
    known, used = list_variables(), {}
    for variable in sorted(name for name in environment if name.startswith(PREFIX)):
        if variable not in known:
            close = nearest(variable.removeprefix(PREFIX), [name.removeprefix(PREFIX) for name in known])
            if close:
                raise ConfigError(f"the variable {variable} is no setting: did you mean {PREFIX}{close}?")
            continue
        table, place = values, known[variable]
        for key in place[:-1]:
            table = table.setdefault(key, {})
            if not isinstance(table, dict):
                raise ConfigError(f"the variable {variable} sets one of [{key}], and the file has no such table")
        table[place[-1]] = environment[variable]
        used[place] = variable
    return used


def _resolve(config: NodeConfig, folder: Path) -> NodeConfig:
    """Paths in the file are relative to the file; `/` keeps absolute ones as they are."""

    def absolute(paths: Section) -> dict[str, Path]:
        return {key: folder / getattr(paths, key) for key in type(paths).model_fields}

    return config.model_copy(
        update={
            "data": folder / config.data,
            "genesis": folder / config.genesis,
            "keys": KeyPaths(**absolute(config.keys)),
            "tls": TlsPaths(**absolute(config.tls)),
            "ordering": config.ordering.model_copy(update={"nkey": folder / config.ordering.nkey}),
        }
    )
