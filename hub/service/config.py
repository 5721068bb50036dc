"""The configuration of a hub: `group.toml`, read once at start; every mistake is refused with its line and key.

Credentials are no settings: the file says where they are, and `hub.service.secrets` reads them there at every call.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from adapters.contract import Driver
from adapters.systems import SYSTEMS
from network.config import Listen, ListenOrNone, ParticipantId, TlsPublicKey
from network.settings import Section, build_model, parse_toml, read_text

ROLES: Final = ("viewer", "trader", "operator")
"""What a caller may do, each all that the one before may: look; place holds; reconcile."""
Role = Literal["viewer", "trader", "operator"]


def _check_system(text: str) -> str:
    if text not in SYSTEMS:
        raise ValueError(f"{text!r} is no system; there are {', '.join(sorted(SYSTEMS))}")
    return text


def _check_name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,63}", text):
        raise ValueError(f"{text!r} is no name: lower case letters, digits, _ . -")
    return text


def _check_url(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s/@]+(/\S*)?", text):
        raise ValueError(f"{text!r} is no http or https address without a password in it")
    return text.rstrip("/")


def _check_private(text: str) -> str:
    """A token goes there: nobody on the way may read it."""
    if not re.match(r"https://|http://(127\.0\.0\.1|localhost|\[::1\])(:|/|$)", text):
        raise ValueError(f"{text!r} would show the token on the way: https, or http to this machine")
    return text


Name = Annotated[str, AfterValidator(_check_name)]
SystemName = Annotated[str, AfterValidator(_check_system)]
Url = Annotated[str, AfterValidator(_check_url)]


class LedgerSection(Section):
    """How the hub reaches the ledger, and who signs for it there."""

    profile: str = ""
    """The profile of the `keeling` command that names the node; empty: the default one."""
    key: Path | None = None
    """The key file that signs for `participant`, where it is another than the profile's."""
    address: str = ""
    """The node's address, where it is another than the profile's."""
    approvers: tuple[Path, ...] = ()
    """Key files that approve and attest besides the profile's own key, relative to this file."""
    salt: Path | None = None
    """A file with a secret that salts what is dispatched, for processes that sign with different keys."""


class LimitSection(Section):
    """So many calls in so long, as agreed with a registry."""

    requests: Annotated[int, Field(ge=1, le=10_000_000)]
    per_ms: Annotated[int, Field(ge=100, le=86_400_000)]


class IssuedSection(Section):
    """What is known beforehand of units that a registry issues, where its events and serials do not say it."""

    programme: str = ""
    """Under which programme of the ledger; empty: the only one whose serials they are."""
    project: str = ""
    """The registry's number of the project, if it is the same for all."""
    host: Annotated[str, Field(pattern=r"^([A-Z]{3})?$")] = ""
    """The host Party, three letters."""
    vintage: Annotated[str, Field(pattern=r"^(\d{4}(-\d\d-\d\d/\d{4}-\d\d-\d\d)?)?$")] = ""
    """A year, or first and last day with a slash."""


class RegistrySection(Section):
    """One registry the hub speaks with."""

    name: Name
    """Its key on the ledger (`Link.registry`)."""
    system: SystemName | None = None
    """Which adapter; the name if left out."""
    driver: Driver = Driver.SANDBOX
    """sandbox, or live: https and all credentials are needed."""
    url: Url
    """Where its interface is."""
    accounts: tuple[str, ...] = ()
    """The registry accounts that are ours."""
    secrets: Path | None = None
    """A folder with one file for each credential, read at every call; else the environment (docs/hub.md)."""
    timeout_ms: Annotated[int, Field(ge=100, le=120_000)] = 20_000
    """The longest that a call may take."""
    limits: tuple[LimitSection, ...] | None = None
    """How often it may be called, instead of what its adapter knows; none at all: an empty list. Two hubs that share
    credentials each get their part."""
    poll_ms: Annotated[int, Field(ge=0, le=86_400_000)] = 60_000
    """How often its list of events is read; 0: never, only what it pushes."""
    drop_folder: Path | None = None
    """Where its signed files are put, if it sends such."""
    inbound_keys: tuple[str, ...] = ()
    """Names of the credentials whose keys sign what it pushes."""
    words: Mapping[str, str] = {}
    """What the registry is told about every hold besides its units. Keep them while holds are under way."""
    buyers: Mapping[str, Mapping[str, str]] = {}
    """The same about holds of one buyer, by participant id: they go before `words`."""
    recognise: bool = False
    """Whether transfers that Parties announce there (Article 6) are recognised on the ledger in our name."""
    issued: IssuedSection = IssuedSection()
    """What its issuances do not say of themselves."""
    reconcile_ms: Annotated[int, Field(ge=0, le=31 * 86_400_000)] = 21_600_000
    """How often its books are compared with the ledger by themselves; 0: only when somebody asks."""

    @model_validator(mode="after")
    def _check_known(self) -> RegistrySection:
        if self.system is None:
            _check_system(self.name)
        return self

    @property
    def adapter(self) -> str:
        """The adapter's key in `SYSTEMS`."""
        return self.system or self.name


class Article6Section(Section):
    """The feed of our Article 6 events for other registries."""

    code: Annotated[str, Field(pattern=r"^[A-Z0-9]{2,20}$")]
    """Our registry code; stands in every page of the feed."""
    secrets: Path | None = None
    """A folder with `feed-key`, our seed, and `reader:CODE` for each registry that reads; else the environment."""


class RuleSection(Section):
    """An answer to proposals that somebody gave beforehand: the hub gives it by itself, in our name."""

    name: Name
    """Stands in the evidence of every answer that it gives, and in the log."""
    registry: Name
    """Whose proposals: one of `registries`."""
    action: Literal["accept", "decline"]
    """What is answered."""
    accounts: Annotated[tuple[str, ...], Field(min_length=1)]
    """Who proposes: registry accounts, as `keeling hub proposals` shows them under `from`."""
    units_most: Annotated[int, Field(ge=1)]
    """Proposals of more units wait for a person."""


class AttestingSection(Section):
    """Attesting, for other organisations' hubs, what we see at a registry ourselves."""

    token: Path
    """The file with the bearer token of those who ask, read at every call; at least 16 characters."""


class PeerSection(Section):
    """Another organisation's hub that is asked to attest what a registry did."""

    name: Name
    """Who it is; stands in the log."""
    url: Annotated[Url, AfterValidator(_check_private)]
    """Where it serves HTTP: https, or this machine."""
    token: Path
    """The file with the bearer token that it knows us by, read at every call."""


class CallerSection(Section):
    """Somebody who may call the hub."""

    name: Name
    """Who it is; stands in the log."""
    role: Role
    """viewer, trader or operator."""
    token: Path | None = None
    """The file with the caller's bearer token for HTTP, read at every call; at least 16 characters."""
    tls_key: TlsPublicKey | Literal[""] = ""
    """The caller's TLS public key in base64, for gRPC."""
    participant: ParticipantId | Literal[""] = ""
    """Whose name is in the caller's TLS certificate; empty: the hub's participant."""

    @model_validator(mode="after")
    def _check_reachable(self) -> CallerSection:
        if self.token is None and not self.tls_key:
            raise ValueError("a caller needs a token (for HTTP), a tls_key (for gRPC), or both")
        return self


class HubConfig(Section):
    """The whole file. Made by `load_config`; paths are absolute."""

    participant: ParticipantId
    """For whom the hub acts on the ledger: `Link.hub`."""
    listen: Listen = "127.0.0.1:7480"
    """Where HTTP is served. Loopback, or behind a proxy that ends TLS."""
    grpc_listen: ListenOrNone = ""
    """Where gRPC is served, under mutual TLS with the profile's TLS key; empty: nowhere."""
    public_url: str = ""
    """How senders of signed requests call it, behind a proxy."""
    folder: Path = Path("hub")
    """Cursors, and how long registries want to be left alone. May be deleted at any time: everything is read again, and
    a registry that is called too early says so again."""
    evidence: Path = Path("evidence")
    """The shelf of what registries said, by its SHA-256. Keep it: nothing needs it to go on, auditors do."""
    ledger: LedgerSection = LedgerSection()
    article6: Article6Section | None = None
    """Left out: no feed is served."""
    attesting: AttestingSection | None = None
    """Left out: nobody may ask us to attest."""
    peers: tuple[PeerSection, ...] = ()
    registries: tuple[RegistrySection, ...] = ()
    rules: tuple[RuleSection, ...] = ()
    """The first that fits a proposal answers it; left out: every proposal waits for a person."""
    callers: tuple[CallerSection, ...] = ()

    @model_validator(mode="after")
    def _check_together(self) -> HubConfig:
        if not self.registries:
            raise ValueError("no registry: add a [[registries]]")
        for what, names in (
            ("registries", [each.name for each in self.registries]),
            ("callers", [each.name for each in self.callers]),
            ("peers", [each.name for each in self.peers]),
            ("rules", [each.name for each in self.rules]),
        ):
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice:
                raise ValueError(f"two {what} are called {twice}")
        connected = {each.name for each in self.registries}
        lost = next((each for each in self.rules if each.registry not in connected), None)
        if lost is not None:
            raise ValueError(f"rule {lost.name} is for {lost.registry}, which is none of the registries here")
        if self.grpc_listen and not any(each.tls_key for each in self.callers):
            raise ValueError("grpc_listen is set and no [[callers]] has a tls_key, so that nobody could connect")
        return self


def load_config(path: Path) -> HubConfig:
    """Read a hub's file; paths come back absolute. Raises `ConfigError` with every problem."""
    text = read_text(path, "write one (docs/hub.md)")
    return place_paths(parse_config(text, str(path)), path.absolute().parent)


def parse_config(text: str, name: str = "group.toml") -> HubConfig:
    """The configuration in `text`, paths as written; raise `ConfigError` that calls the file `name`."""
    return build_model(HubConfig, parse_toml(text, name), text, name, {})


def place_paths(config: HubConfig, root: Path) -> HubConfig:
    """The same with all paths below `root`."""
    key = None if config.ledger.key is None else root / config.ledger.key
    approvers = tuple(root / each for each in config.ledger.approvers)
    salt = None if config.ledger.salt is None else root / config.ledger.salt
    ledger = config.ledger.model_copy(update={"key": key, "approvers": approvers, "salt": salt})
    registries = tuple(
        each.model_copy(
            update={
                "secrets": None if each.secrets is None else root / each.secrets,
                "drop_folder": None if each.drop_folder is None else root / each.drop_folder,
            }
        )
        for each in config.registries
    )
    article6 = config.article6
    if article6 is not None and article6.secrets is not None:
        article6 = article6.model_copy(update={"secrets": root / article6.secrets})
    callers = tuple(
        each.model_copy(update={"token": None if each.token is None else root / each.token}) for each in config.callers
    )
    peers = tuple(each.model_copy(update={"token": root / each.token}) for each in config.peers)
    attesting = None if config.attesting is None else AttestingSection(token=root / config.attesting.token)
    others = {"peers": peers, "attesting": attesting}
    places = {"article6": article6, "folder": root / config.folder, "evidence": root / config.evidence}
    return config.model_copy(
        update={**places, **others, "ledger": ledger, "registries": registries, "callers": callers}
    )
