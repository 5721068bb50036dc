"""News that cannot be taken yet, because the ledger lacks the units or does not let us: kept, shown, and tried again.

It is kept in the hub's folder, because what was pushed or dropped is not told again by itself; where the folder is
lost, polling tells it again. Whether it can be taken by now is decided by the intake.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from adapters.contract import Change, ChangeKind, Moment
from hub.inbound.journal import Journal
from hub.inbound.refusals import Refusal, Why
from hub.inbound.taken import ISSUANCES
from keeling.serials import Grain, SerialRange, print_range

KEPT_MAX: Final = 10_000
"""Events of one registry that are kept; what comes beyond is counted, and told again by polling once there is room, or
after a restart."""
AGAIN_MS: Final = 15_000
"""What waits is tried again after so long, then after twice as long, and so on."""
AGAIN_MAX_MS: Final = 300_000
REFUSED_MAX_MS: Final = 3_600_000
"""What the ledger refused is said to it less and less often: a refusal is on record too."""


class Waiting(NamedTuple):
    """One event that waits."""

    registry: str
    change: Change
    grade: str
    since_ms: int
    """When it was first heard of here."""
    refusal: Refusal

    @property
    def advice(self) -> str:
        """What a person can do, so that it is taken by itself soon after."""
        if self.refusal.why is Why.UNKNOWN_REGISTRY:
            return f"have the electorate set a record registry:{self.registry}"
        if self.refusal.why is Why.UNDER_WAY:
            return "nothing: it is looked at again once the instruction on these units is over"
        if self.refusal.why is Why.LEDGER_REFUSED and self.refusal.detail.startswith("NOT_PERMITTED"):
            return f"have the record registry:{self.registry} name us, or let one of those it names bring it"
        if self.refusal.why is Why.LEDGER_REFUSED:
            return "correct what the ledger names, or ask the registry"
        if self.change.kind in ISSUANCES:
            return "say what is missing in the hub's file (registries.issued), or bring the units with keeling import"
        return "bring the units: keeling import, or keeling issue --observed"


class WaitingList:
    """What waits, of all registries. For one event loop."""

    def __init__(self, folder: Path | None, now_ms: Callable[[], int]) -> None:
        """`folder`: where it is kept, a file for each registry; None: in memory alone."""
        self.left_out: dict[str, int] = {}
        """Events that there was no room for, by registry."""
        self._folder, self._now_ms = folder, now_ms
        self._known: dict[str, dict[str, Waiting]] = {}
        self._tries: dict[tuple[str, str], tuple[int, int]] = {}
        """How often an event was tried again, and when it is the next time."""
        self._journals: dict[str, Journal] = {}
        self._changed: dict[str, dict[str, None]] = {}
        """Events that came or went since they were written down, by registry."""

    def add(self, registry: str, change: Change, grade: str, refusal: Refusal) -> None:
        """Keep an event; one that is there keeps its age."""
        known = self._read(registry)
        before = known.get(change.id)
        if before is None and len(known) >= KEPT_MAX:
            self.left_out[registry] = self.left_out.get(registry, 0) + 1
            return
        since = before.since_ms if before is not None else self._now_ms()
        item = Waiting(registry, change, grade, since, refusal)
        if before != item:
            known[change.id] = item
            self._note(registry, change.id)

    def has_room(self, registry: str) -> bool:
        """Whether so much less waits than there is room for that what was left out may be told again."""
        return len(self._read(registry)) <= KEPT_MAX // 2

    def has(self, registry: str, change: str) -> bool:
        """Whether an event waits."""
        return change in self._read(registry)

    def remove(self, registry: str, change: str) -> None:
        """It was taken, or is known."""
        self._tries.pop((registry, change), None)
        if self._read(registry).pop(change, None) is not None:
            self._note(registry, change)

    def _note(self, registry: str, change: str) -> None:
        self._changed.setdefault(registry, {})[change] = None

    def flush(self) -> None:
        """Write down what changed. Raises `OSError`."""
        for registry in sorted(self._changed):
            self._write(registry)
            del self._changed[registry]

    def registries(self) -> set[str]:
        """Those of which something waits or did."""
        kept = {path.stem for path in self._folder.glob("*.json")} if self._folder is not None else set()
        return kept | set(self._known)

    def list_all(self, registry: str) -> list[Waiting]:
        """What waits of a registry, the oldest event first."""
        return sorted(self._read(registry).values(), key=lambda each: (each.change.at_ms, each.change.id))

    def list_due(self, registry: str) -> list[Waiting]:
        """What is to be tried again now; each is due the next time later than it was before."""
        now, due = self._now_ms(), list[Waiting]()
        for each in self.list_all(registry):
            tries, at_ms = self._tries.get((registry, each.change.id), (0, 0))
            if now >= at_ms:
                most = REFUSED_MAX_MS if each.refusal.why is Why.LEDGER_REFUSED else AGAIN_MAX_MS
                pause = min(AGAIN_MS << min(tries, 10), most)
                self._tries[registry, each.change.id] = (tries + 1, now + pause)
                due.append(each)
        return due

    def _read(self, registry: str) -> dict[str, Waiting]:
        if registry not in self._known:
            self._known[registry] = {each.change.id: each for each in self._load(registry)}
        return self._known[registry]

    def _journal(self, registry: str) -> Journal | None:
        if self._folder is not None and registry not in self._journals:
            self._journals[registry] = Journal(self._folder / f"{registry}.json")
        return self._journals.get(registry)

    def _load(self, registry: str) -> Iterable[Waiting]:
        """What was kept, without what cannot be read: it costs reading the registry's events again."""
        journal = self._journal(registry)
        for row in journal.read().values() if journal is not None else ():
            try:
                yield _decode(registry, row)
            except (ValueError, KeyError, TypeError):
                continue

    def _write(self, registry: str) -> None:
        journal, known = self._journal(registry), self._known[registry]
        if journal is None:
            return
        rows = _Rows(known)
        journal.write({name: rows.get(name) for name in self._changed[registry]}, rows)


class _Rows(Mapping[str, Mapping[str, Any]]):
    """Events as rows of a journal, each made when it is asked for: mostly only those that changed are."""

    def __init__(self, known: Mapping[str, Waiting]) -> None:
        self._known = known

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        return _encode(self._known[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def tell_waiting(item: Waiting) -> dict[str, Any]:
    """For callers: numbers that others may not be able to read are text."""
    change, serials = item.change, item.change.serials
    return {
        "registry": item.registry,
        "id": change.id,
        "kind": change.kind.value,
        "units": str(serials.units) if serials is not None else "0",
        "serials": print_range(serials) if serials is not None else "",
        "account": change.account,
        "to_account": change.to_account,
        "reference": change.reference,
        "at_ms": change.at_ms,
        "since_ms": item.since_ms,
        "why": item.refusal.why.value,
        "detail": item.refusal.detail,
        "advice": item.advice,
    }


def _encode(item: Waiting) -> Mapping[str, Any]:
    change = item.change
    return {
        **change._asdict(),
        "serials": _encode_serials(change.serials),
        "effective": None if change.effective is None else list(change.effective),
        "details": dict(change.details),
        "evidence": base64.b64encode(change.evidence).decode(),
        "grade": item.grade,
        "since_ms": item.since_ms,
        "why": item.refusal.why.value,
        "detail": item.refusal.detail,
    }


def _decode(registry: str, row: Mapping[str, Any]) -> Waiting:
    values = {name: row[name] for name in Change._fields}
    values |= {
        "kind": ChangeKind(row["kind"]),
        "serials": _decode_serials(row["serials"]),
        "effective": None if row["effective"] is None else Moment(*row["effective"]),
        "evidence": base64.b64decode(row["evidence"]),
    }
    refusal = Refusal(Why(row["why"]), str(row["detail"]))
    return Waiting(registry, Change(**values), str(row["grade"]), int(row["since_ms"]), refusal)


def _encode_serials(serials: SerialRange | None) -> Sequence[Any] | None:
    return None if serials is None else list(serials)


def _decode_serials(row: Sequence[Any] | None) -> SerialRange | None:
    if row is None:
        return None
    found = SerialRange(*row)
    return found._replace(grain=Grain(found.grain))
