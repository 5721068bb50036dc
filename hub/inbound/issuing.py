"""Units that a registry issued and nobody here knew: taken over, as a file of the registry would have brought them.

Names of projects and batches are those of `adapters.naming`, so that a file that comes later finds them known. What the
event does not say comes from its serials, else from the hub's file; where that is not enough, or the ledger does not
let us, the event waits for a person (`hub.inbound.waiting`). Who may take units over is decided by the ledger alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Final, NamedTuple

from google.protobuf.message import Message

from adapters.contract import Change, ChangeKind
from adapters.exports import Period
from adapters.naming import describe_project, name_issuance, name_project
from hub.inbound.refusals import Why
from hub.inbound.taken import Ledger, Outcome, Taken, wait, word_evidence, word_moment
from hub.ledger_client import NotOnLedger, Receipt
from hub.units import Gap, Names
from keeling.serials import SerialError, SerialRange, find_scheme, print_range
from keeling.v1 import operations_pb2 as op

_ALIGNMENT: Final = 2**63
"""Positions of a batch are its numbers counted from a multiple of this (`node.core.limits`)."""
_YEAR: Final = re.compile(r"\d{4}", re.ASCII)
_HOST: Final = re.compile(r"[A-Z]{3}", re.ASCII)
_LEVIES: Final = {"levy adaptation": (op.Levy.ADAPTATION, "SOP"), "levy omge": (op.Levy.OMGE, "OMGE")}
"""What an event says of levies: their kind in a programme's record, and their name where a record tells no kinds."""
_COME: Final = ("BATCH_EXISTS", "SERIALS_OVERLAP")
"""Somebody else may have brought the units in between."""


class Defaults(NamedTuple):
    """What the hub's file says of a registry's issuances, where the registry itself does not. Empty: nothing."""

    programme: str = ""
    project: str = ""
    host: str = ""
    vintage: str = ""
    """A year, or first and last day with a slash between."""


class Facts(NamedTuple):
    """Everything that makes a batch."""

    batch: str
    programme: str
    project: str
    host: str
    vintage: Period
    rules: op.Programme


class Issuer:
    """Takes issuances over. For one event loop."""

    def __init__(
        self, ledger: Ledger, keep: Callable[[bytes], bytes], names: Names, defaults: Mapping[str, Defaults]
    ) -> None:
        self._ledger, self._keep, self._names, self._defaults = ledger, keep, names, defaults

    async def take(self, registry: str, change: Change, grade: str) -> Taken:
        """Bring what is not on the ledger of the units of an issuance."""
        serials = change.serials
        if serials is None:
            raise TypeError("an issuance without units was noted before")
        gaps = await self._names.find_gaps(serials)
        if not gaps:
            return Taken(change.id, Outcome.KNOWN)
        said = await self._compose(registry, change, serials, gaps, grade)
        if isinstance(said, Taken):
            return said
        receipt = await self._submit(registry, said)
        if receipt.accepted:
            return Taken(change.id, Outcome.ISSUED)
        if receipt.reason in _COME and not await self._names.find_gaps(serials):
            return Taken(change.id, Outcome.KNOWN)
        return wait(change, Why.LEDGER_REFUSED, f"{receipt.reason}: {receipt.detail}")

    async def _submit(self, registry: str, said: list[Message]) -> Receipt:
        """A project that is not on the ledger is registered with its first batch."""
        receipt = await self._ledger.submit(*said, attests=True)
        issue = next((each for each in said if isinstance(each, op.Issue)), None)
        if receipt.reason != "PROJECT_NOT_FOUND" or issue is None:
            return receipt
        project = issue.project.removeprefix(f"{registry}:")
        title = describe_project(issue.programme, project)
        registration = op.RegisterProject(project=issue.project, programme=issue.programme, name=title)
        return await self._ledger.submit(registration, *said, attests=True)

    async def _compose(
        self, registry: str, change: Change, serials: SerialRange, gaps: Sequence[Gap], grade: str
    ) -> list[Message] | Taken:
        evidence = word_evidence(self._keep, change, grade)
        said: list[Message] = [
            op.ExtendBatch(batch=batch, observations=_observe(change, mine), evidence=evidence)
            for batch in dict.fromkeys(gap.batch for gap in gaps if gap.batch)
            if (mine := [gap for gap in gaps if gap.batch == batch])
        ]
        unknown = [gap for gap in gaps if not gap.batch]
        if not unknown:
            return said
        facts = await self._gather(registry, change, serials)
        if isinstance(facts, Taken):
            return facts
        try:
            known = await self._ledger.batch(facts.batch)
        except NotOnLedger:
            known = None
        if known is not None and not known.exact:
            return [*said, op.ExtendBatch(batch=facts.batch, observations=_observe(change, unknown), evidence=evidence)]
        if known is not None:
            facts = facts._replace(batch=f"{facts.batch}-{unknown[0].first}")
        issue = _issue(registry, change, serials, facts, evidence)
        if change.details.get("whole") == "yes" and unknown == [Gap("", serials.first, serials.last)]:
            return [*said, *await self._issue_whole(registry, change, serials, facts, issue)]
        issue.extent = op.Issue.AT_LEAST
        issue.first_number, issue.units = str(unknown[0].first), unknown[-1].last - unknown[0].first + 1
        issue.observations.extend(_observe(change, unknown))
        return [*said, issue]

    async def _issue_whole(
        self, registry: str, change: Change, serials: SerialRange, facts: Facts, issue: op.Issue
    ) -> list[Message]:
        """All units of an issuance, what was levied of them from the lowest numbers on, and in which state the rest is.

        Straight into the account that is linked to the one there, if there is just one and it is not our own.
        """
        issue.extent = op.Issue.EXACT
        levies = _name_levies(facts.rules, change.details)
        issue.levies.extend(levies)
        levied = sum(levy.units for levy in levies)
        status = _find_status(change)
        if status == op.Observation.ACTIVE:
            issue.account = await self._find_account(registry, change.to_account)
        rest = op.Range(
            batch=facts.batch, first=serials.first % _ALIGNMENT + levied, units=max(serials.units - levied, 1)
        )
        word = op.Attest(
            registry=registry,
            attestation=change.id,
            range=rest,
            status=status,
            evidence=issue.evidence,
            effective=word_moment(change.effective),
        )
        return [issue, word]

    async def _find_account(self, registry: str, there: str) -> str:
        accounts = await self._ledger.accounts() if there else []
        linked = [each for each in accounts if (each.link.registry, each.link.registry_account) == (registry, there)]
        return linked[0].account if len(linked) == 1 and linked[0].owner != self._ledger.participant else ""

    async def _gather(self, registry: str, change: Change, serials: SerialRange) -> Facts | Taken:
        """What makes the batch, or what of it is not known."""
        named, stated, file = name_issuance(serials), change.details, self._defaults.get(registry, Defaults())
        programmes = await self._ledger.programmes(registry)
        fitting = [name for name, rules in programmes.items() if is_alike(rules.scheme, serials.scheme)]
        programme = stated.get("programme", "") or file.programme or (fitting[0] if len(fitting) == 1 else "")
        project = stated.get("project", "") or named.project or file.project
        host = stated.get("host", named.host)
        host = file.host if host is None else host
        vintage = _read_vintage(stated.get("vintage", "")) or named.vintage or _read_vintage(file.vintage)
        known_host = host if host and _HOST.fullmatch(host) else ""
        if named.batch is None:
            return wait(
                change, Why.UNKNOWN_UNITS, f"units of scheme {serials.scheme} are named by the registry's files"
            )
        missing = [name for name, value in (("programme", programme), ("project", project)) if not value]
        missing += ["host"] if host == "" and named.host is None else []
        missing += ["vintage"] if vintage is None else []
        if missing or vintage is None:
            return wait(change, Why.UNKNOWN_UNITS, f"not known of the issuance: {', '.join(missing)}")
        if programme not in programmes:
            return wait(change, Why.UNKNOWN_UNITS, f"{registry} has no programme {programme!r} on record")
        return Facts(named.batch, programme, project, known_host, vintage, programmes[programme])


def _issue(registry: str, change: Change, serials: SerialRange, facts: Facts, evidence: op.Evidence) -> op.Issue:
    return op.Issue(
        batch=facts.batch,
        project=name_project(registry, facts.project),
        programme=facts.programme,
        space=serials.space,
        first_number=str(serials.first),
        units=serials.units,
        serial_form=print_range(serials),
        host=facts.host,
        vintage_start=_word_day(facts.vintage.first),
        vintage_end=_word_day(facts.vintage.last),
        evidence=evidence,
        effective=word_moment(change.effective),
    )


def _observe(change: Change, gaps: Iterable[Gap]) -> list[op.Observation]:
    status, when = _find_status(change), word_moment(change.effective)
    return [
        op.Observation(
            first_number=str(gap.first), units=gap.last - gap.first + 1, status=status, effective=when, issued=when
        )
        for gap in gaps
    ]


def _find_status(change: Change) -> op.Observation.Status.ValueType:
    """In which state the registry shows units that it has just issued."""
    if change.kind is ChangeKind.BUFFERED:
        return op.Observation.BUFFER
    return op.Observation.PENDING if change.details.get("state") == "pending" else op.Observation.ACTIVE


def _name_levies(rules: op.Programme, stated: Mapping[str, str]) -> list[op.LevyTaken]:
    """What was taken, by the names of the programme's record; nothing where the record has no place for it."""
    found = []
    for said, (kind, usual) in _LEVIES.items():
        units = stated.get(said, "")
        levy = next((each for each in rules.levies if each.kind == kind), None)
        levy = levy or next((each for each in rules.levies if not each.kind and each.name == usual), None)
        if levy is not None and units.isascii() and units.isdigit():
            found.append(op.LevyTaken(name=levy.name, units=int(units)))
    return found


def is_alike(one: str, other: str) -> bool:
    """Whether two schemes are spellings of one registry's serials."""
    try:
        return one == other or find_scheme(one).registry == find_scheme(other).registry
    except SerialError:
        return False


def _read_vintage(text: str) -> Period | None:
    """ "2024", or "2024-01-01/2024-06-30"; None: it is neither."""
    try:
        if _YEAR.fullmatch(text):
            return Period(date(int(text), 1, 1), date(int(text), 12, 31))
        first, last = (date.fromisoformat(part) for part in text.split("/"))
        return Period(first, last) if first <= last else None
    except ValueError:
        return None


def _word_day(day: date) -> op.When:
    since = datetime(day.year, day.month, day.day, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return op.When(ms=since.days * 86_400_000, precision=op.When.DATE)
