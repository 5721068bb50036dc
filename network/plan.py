"""A network described in one TOML file: who takes part, who validates, where everybody listens.

`load_plan` reads it and refuses every mistake with its line. What the numbers mean, how many may be down and how many
may lie, is computed here; making keys, genesis and folders from a plan is in `network.founding`.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import AfterValidator, model_validator

from keeling.policy import faults, quorum
from keeling.units import ROLES
from network.config import Listen, ListenOrNone, Origin, ParticipantId
from network.settings import Section, build_model, parse_toml, read_text

VALIDATORS_MAX: Final = 32
"""The most that one policy file is guaranteed to hold (C2SP tlog-policy)."""


def _check_role(text: str) -> str:
    if text not in ROLES:
        raise ValueError(f"{text!r} is no role; roles are {', '.join(ROLES)}")
    return text


Role = Annotated[str, AfterValidator(_check_role)]


class Organisation(Section):
    """One participant and its node."""

    id: ParticipantId
    """Its id on the network."""
    name: str = ""
    """Its name, as people know it; the id if left out."""
    roles: tuple[Role, ...] = ("group",)
    """What it does here."""
    listen: Listen
    """Where its node is reached (host:port)."""
    metrics: ListenOrNone = ""
    """Where Prometheus reads its figures; empty for nowhere."""
    validator: bool = True
    """Whether its node votes on blocks. One that does not only follows and serves reads."""
    card: Path | None = None
    """The card that its operator made with `keeling node prepare`, relative to this file. Without one, the folder and
    keys of its node are made beside this file, which is for trials on one machine."""


class NetworkPlan(Section):
    """The whole network. Made by `load_plan`; paths are absolute."""

    origin: Origin
    """The name of the network, for ever: the log's origin line."""
    ordering: Literal["embedded", "jetstream"] = "embedded"
    """Which engine orders entries. It is trusted for progress only."""
    organisations: tuple[Organisation, ...] = ()
    """Everybody, in the order of the policy file."""

    @model_validator(mode="after")
    def _check_together(self) -> NetworkPlan:
        twice = _repeated([each.id for each in self.organisations])
        if twice:
            raise ValueError(f"two organisations have the id {twice}")
        addresses = [place for each in self.organisations for place in (each.listen, each.metrics)]
        shared = _repeated([place for place in addresses if place and not place.endswith(":0")])
        if shared:
            raise ValueError(f"two nodes, or a node and its figures, would listen at {shared}")
        if not 1 <= len(self.validators) <= VALIDATORS_MAX:
            raise ValueError(f"{len(self.validators)} validators; a network has 1 to {VALIDATORS_MAX}")
        return self

    @property
    def validators(self) -> tuple[Organisation, ...]:
        """Those whose nodes vote, in policy order."""
        return tuple(each for each in self.organisations if each.validator)


class Tolerance(NamedTuple):
    """What a set of validators bears."""

    validators: int
    quorum: int
    """How many make a decision."""
    down: int
    """How many may be stopped while blocks go on becoming final."""
    lying: int
    """How many may lie without two histories becoming final."""

    def describe(self) -> str:
        """In one line, for people."""
        noun = "validator" if self.validators == 1 else "validators"
        line = f"{self.validators} {noun}: {self.down} may be down, {self.lying} may lie; {self.quorum} decide"
        if self.validators == 1:
            return f"{line}. Tamper-evident, not tamper-proof"
        if not self.down:
            return f"{line}. One that stops, stops everything: have four"
        return line


def compute_tolerance(validators: int) -> Tolerance:
    """What `validators` of them bear (design §4.5: q = floor(2n/3)+1, f = ceil(n/3)-1)."""
    return Tolerance(validators, quorum(validators), validators - quorum(validators), faults(validators))


def load_plan(path: Path) -> NetworkPlan:
    """Read a network file; card paths come back absolute. Raises `ConfigError` with every problem."""
    text = read_text(path, "write one (docs/network.md), or start from `keeling network new`")
    plan = parse_plan(text, str(path))
    folder = path.absolute().parent
    organisations = tuple(
        each if each.card is None else each.model_copy(update={"card": folder / each.card})
        for each in plan.organisations
    )
    return plan.model_copy(update={"organisations": organisations})


def parse_plan(text: str, name: str = "network.toml") -> NetworkPlan:
    """The plan in `text`, paths as written; raise `ConfigError` that calls the file `name`."""
    return build_model(NetworkPlan, parse_toml(text, name), text, name, {})


def format_plan(plan: NetworkPlan) -> str:
    """Write a plan as a network file that explains itself; `parse_plan` reads it."""
    lines = [
        "# A Keeling network. `keeling network plan` checks this file and says what it bears.",
        f'origin = "{plan.origin}"  # its name, for ever',
        f'ordering = "{plan.ordering}"  # embedded, or jetstream',
    ]
    for each in plan.organisations:
        roles = ", ".join(f'"{role}"' for role in each.roles)
        lines += ["", "[[organisations]]", f'id = "{each.id}"', f'name = "{each.name}"', f"roles = [{roles}]"]
        lines += [f'listen = "{each.listen}"', f'metrics = "{each.metrics}"']
        if not each.validator:
            lines.append("validator = false  # follows, and does not vote")
        if each.card is not None:
            lines.append(f'card = "{each.card}"')
    return "\n".join(lines) + "\n"


def _repeated(texts: list[str]) -> str | None:
    return next((text for text, times in Counter(texts).items() if times > 1), None)
