"""What a running hub is made of, put together from its configuration: ledger client, adapters, dispatcher, intake.

What runs and what is served is in `running` and `web`. Nothing is asked of anybody here.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import structlog
from aiohttp import web

from adapters.capabilities import Action, Limit
from adapters.contract import Adapter, Settings, System, Trouble
from adapters.systems import SYSTEMS, CannotOpenError, open_system
from hub.adjustments.feed import Feed
from hub.adjustments.recognition import Recogniser
from hub.dispatch.answering import Answering
from hub.dispatch.blocking import Blocking
from hub.dispatch.run import Dispatcher
from hub.dispatch.salting import derive_salt_key, read_salt_keys
from hub.dispatch.seat import Seat
from hub.dispatch.withdrawing import Withdrawing
from hub.dispatch.words import Words, describe_with
from hub.evidence import EvidenceShelf
from hub.guarded import GuardedAdapter
from hub.inbound.intake import Defaults, Desk
from hub.inbound.keys import InboundKey, KeyTextError, parse_key
from hub.inbound.proposals import Proposals, Rule
from hub.inbound.waiting import WaitingList
from hub.ledger_client import LedgerClient
from hub.reconcile.report import Run, name_run, sum_up
from hub.reconcile.run import Bench
from hub.service.article6 import Announcements, AnnouncingIntake, make_locator
from hub.service.attesting import open_attesting
from hub.service.comparing import Comparisons
from hub.service.config import HubConfig, RegistrySection
from hub.service.figures import HubFigures, judge_run
from hub.service.secrets import open_secrets, read_secret
from hub.units import Names

log = structlog.get_logger()


def clock_ms() -> int:
    """The machine's clock, milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


def read_words(config: HubConfig) -> dict[str, Words]:
    """What each registry is told about holds besides their units."""
    return {each.name: Words(each.words, each.buyers) for each in config.registries}


def read_limits(config: HubConfig) -> dict[str, tuple[Limit, ...]]:
    """What was agreed with registries about calls, where it is not what their adapters know."""
    return {
        each.name: tuple(Limit(limit.requests, limit.per_ms, stated=True) for limit in each.limits)
        for each in config.registries
        if each.limits is not None
    }


def read_rules(config: HubConfig, adapters: Mapping[str, Adapter]) -> list[Rule]:
    """The rules that answer proposals. Raises `CannotOpenError` where a registry takes no such answer."""
    for each in config.rules:
        if Action(each.action) not in adapters[each.registry].capabilities.actions:
            raise CannotOpenError(f"rule {each.name}: {each.registry} has no proposals to {each.action}")
    return [
        Rule(each.name, each.registry, Action(each.action), frozenset(each.accounts), each.units_most)
        for each in config.rules
    ]


def open_salt_keys(config: HubConfig, ledger: LedgerClient) -> tuple[bytes, ...]:
    """The keys of salts: those of the file, then that of the signing key. Raises `CannotOpenError`."""
    own = derive_salt_key(ledger.signatory.submitter.sign, ledger.network)
    if config.ledger.salt is None:
        return (own,)
    try:
        return (*read_salt_keys(read_secret(config.ledger.salt)), own)
    except ValueError as error:
        raise CannotOpenError(f"{config.ledger.salt}: {error}") from error


def read_issued(config: HubConfig) -> dict[str, Defaults]:
    """What is known of each registry's issuances beforehand."""
    return {each.name: Defaults(**each.issued.model_dump()) for each in config.registries}


class Parts:
    """Everything of one hub. `close` lets go of the lines to registries."""

    def __init__(self, config: HubConfig, ledger: LedgerClient, now_ms: Callable[[], int] = clock_ms) -> None:
        """Raises `CannotOpenError` where a registry cannot be opened as configured."""
        self.config: Final = config
        self.ledger: Final = ledger
        self.now_ms: Final = now_ms
        self._sections = {each.name: each for each in config.registries}
        self._secrets = {each.name: open_secrets(each.name, each.secrets) for each in config.registries}
        self._broken_keys: set[tuple[str, str]] = set()
        """What is wrong with keys of registries, as it was told."""
        self.systems: Final[dict[str, tuple[System, Adapter]]] = {
            each.name: (SYSTEMS[each.adapter], self._open(each)) for each in config.registries
        }
        adapters = {name: adapter for name, (_, adapter) in self.systems.items()}
        shelf = EvidenceShelf(config.evidence)
        chance = random.SystemRandom()
        seat = Seat(
            participant=config.participant,
            ledger=ledger,
            adapters=adapters,
            keep=shelf.put,
            now_ms=now_ms,
            jitter=lambda: chance.randrange(1001),
            details=describe_with(read_words(config)),
            salt_keys=open_salt_keys(config, ledger),
            timeout_ms=max(each.timeout_ms for each in config.registries),
            limits=read_limits(config),
            quiet=config.folder / "quiet",
            tell=_tell,
        )
        self._seat = seat
        self.dispatcher: Final = Dispatcher(seat)
        self.proposals: Final = Proposals()
        self.answering: Final = Answering(seat, self.dispatcher.lines, self.proposals, read_rules(config, adapters))
        self.withdrawing: Final = Withdrawing(seat, self.dispatcher.lines, self.dispatcher)
        self.blocking: Final = Blocking(seat, self.dispatcher.lines, self.dispatcher)
        self.decided: Final = asyncio.Event()
        """Set when somebody gave an order: it is carried now."""
        locate = make_locator(Names(ledger))
        self.announced: Final = {
            each.name: Announcements(
                each.name,
                Recogniser(ledger, locate, shelf.put, adapters[each.name].capabilities.grade),
            )
            for each in config.registries
            if each.recognise
        }
        self.waiting: Final = WaitingList(config.folder / "waiting", now_ms)
        self.intake: Final = self._open_intake(adapters, shelf)
        bench = Bench(ledger, adapters, self.dispatcher, shelf.put, now_ms, self.dispatcher.lines.ask)
        self.comparisons: Final = Comparisons(bench, self._take_run)
        asked = self.answering, self.blocking, self.waiting
        self.figures: Final = HubFigures(
            self.dispatcher, now_ms, self.intake.figures, self.comparisons.newest, self.announced, *asked
        )

    def _open_intake(self, adapters: Mapping[str, Adapter], shelf: EvidenceShelf) -> AnnouncingIntake:
        issued = read_issued(self.config)
        desk = Desk(self.ledger, adapters, self.blocking, shelf.put, self.proposals, self.waiting, issued)
        return AnnouncingIntake(desk, self.announced)

    def _open(self, section: RegistrySection) -> Adapter:
        settings = Settings(section.url, self._secrets[section.name], section.accounts, section.timeout_ms)
        return GuardedAdapter(open_system(section.adapter, section.driver, settings), _tell)

    def list_steps(self) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        """What carries orders that are no holds, a round each."""
        steps = (self.answering.step, self.withdrawing.step, self.blocking.step)
        return list(zip(("answers", "withdrawals", "blocks"), steps, strict=True))

    def open_feed(self) -> Feed | None:
        """The feed of our Article 6 events; None: none is configured."""
        section = self.config.article6
        return None if section is None else Feed(self.ledger, section.code, open_secrets("article6", section.secrets))

    def open_attesting(self) -> list[web.RouteDef]:
        """What other organisations' hubs may ask of us."""
        if self.config.attesting is None:
            return []
        ledger = self.ledger
        lines, signers = self.dispatcher.lines, ledger.signatory.approvers
        return open_attesting(self.config.attesting, self._seat, lines, ledger.network, signers)

    def _take_run(self, run: Run) -> None:
        self.figures.count_run(run)
        _tell_ended(run)

    def find_keys(self, registry: str) -> list[InboundKey]:
        """The keys that sign what a registry pushes, read now. One that is none is told and left out, so that what
        the others signed is taken; raises `KeyTextError` where no other is left."""
        section = self._sections.get(registry)
        found, broken = list[InboundKey](), list[KeyTextError]()
        for name in section.inbound_keys if section is not None else ():
            text = self._secrets[registry](name)
            try:
                found += [parse_key(name, text)] if text else []
            except KeyTextError as error:
                broken.append(error)
        told = {(registry, str(error)) for error in broken}
        for _, why in sorted(told - self._broken_keys):
            log.warning("a key cannot be used", registry=registry, why=why)
        self._broken_keys = {each for each in self._broken_keys if each[0] != registry} | told
        if broken and not found:
            raise broken[0]
        return found

    def cursor_path(self, registry: str) -> Path:
        """Where polling of a registry remembers how far it is."""
        return self.config.folder / "cursors" / registry

    async def close(self) -> None:
        await self.comparisons.close()
        for _, adapter in self.systems.values():
            await adapter.close()


def describe_trouble(trouble: Trouble) -> dict[str, str]:
    """Why a registry's books could not be read, for the log."""
    return {"trouble": type(trouble).__name__, "detail": trouble.detail[:300]}


def _tell(said: str, about: Mapping[str, Any]) -> None:
    """As a line of the log: a warning where there is a reason to tell, for then it is no routine."""
    (log.warning if about.get("why") else log.info)(said, **about)


def _tell_ended(run: Run) -> None:
    """A reconciliation as a line of the log: a warning where somebody should look."""
    outcome = judge_run(run)
    tell = log.info if outcome == "agreed" and run.anchored.isdecimal() else log.warning
    told: Counter[str] = Counter()
    for each in sum_up(run) if not run.alarm else ():
        told[each.name] += each.units
    about = {"registry": run.registry, "outcome": outcome, "run": name_run(run), "record": run.anchored}
    tell("reconciled", **about, alarm=run.alarm, unread=len(run.unread), units=dict(told))
