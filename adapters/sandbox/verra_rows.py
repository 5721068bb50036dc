"""What Verra's public searches list, from the sandbox's books: which rows there are, and each as it is shown.

Only the rows of a page are made: a registry has hundreds of thousands. What is asked, and with which traps it is
answered, is in `verra`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from adapters.contract import ChangeKind, Holding, HoldingState
from adapters.sandbox.book import Book, Entry
from adapters.sandbox.desk import Order
from keeling.serials import SerialRange, parse_segments, print_range

_ENDS: Final = {
    "retirements": (ChangeKind.RETIRED, HoldingState.RETIRED),
    "cancellations": (ChangeKind.CANCELLED, HoldingState.CANCELLED),
}


class Item(NamedTuple):
    """A row that a search may show."""

    entity: int
    project: str
    about: Entry | Holding | None
    """None: the project itself."""


class Flags(NamedTuple):
    """What the person who retired units made public."""

    owner: bool
    details: bool


class PublicRows:
    """The lists of one registry's books, kept until the books change."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._lists: dict[str, tuple[int, dict[str, list[Item]]]] = {}
        self._projects: dict[str, str] = {}
        """By what a serial has besides its numbers."""

    def find(self, resource: str, at_ms: int, project: str | None) -> Sequence[Item]:
        """The rows of a list as the books were then, lowest `entityId` first; of one project, or of all."""
        entries = self._book.entries
        if entries and entries[-1].at_ms > at_ms:
            return [item for item in self._list(resource, at_ms) if project in (None, item.project)]
        version, by_project = self._lists.get(resource, (-1, {}))
        if version != self._book.version:
            by_project = {"*": list(self._list(resource, at_ms))}
            for item in by_project["*"]:
                by_project.setdefault(item.project, []).append(item)
            self._lists[resource] = self._book.version, by_project
        return by_project.get("*" if project is None else project, [])

    def _list(self, resource: str, at_ms: int) -> Iterator[Item]:
        entries = [entry for entry in self._book.entries if entry.at_ms <= at_ms]
        match resource:
            case "issuances":
                return (self._name(each) for each in entries if each.kind is ChangeKind.ISSUED)
            case "holdings":
                rows = self._book.rows(states=(HoldingState.ACTIVE, HoldingState.BUFFER))
                return (Item(number, self._project(row.serials), row) for number, row in enumerate(rows, 1))
            case "retirements" | "cancellations":
                kind, state = _ENDS[resource]
                gone = {(e.reference, e.serials.first) for e in entries if e.kind is ChangeKind.REVERSED}
                ends = (e for e in entries if e.kind is kind and (e.reference, e.serials.first) not in gone)
                back = (e for e in entries if e.kind is ChangeKind.REVERSED and e.before is state)
                return iter(sorted((self._name(each) for each in (*ends, *back)), key=lambda item: item.entity))
            case "project":
                names = {self._project(entry.serials) for entry in entries if entry.kind is ChangeKind.ISSUED}
                return (Item(number, name, None) for number, name in enumerate(sorted(names), 1))
        return iter(())

    def _name(self, entry: Entry) -> Item:
        return Item(entry.number, self._project(entry.serials), entry)

    def _project(self, serials: SerialRange) -> str:
        form = serials.prefix + serials.joint + serials.suffix
        if form not in self._projects:
            self._projects[form] = parse_segments(print_range(serials), "verra")["project"].lstrip("0")
        return self._projects[form]


def show_row(resource: str, item: Item, orders: Mapping[str, Order], flags: Flags) -> dict[str, Any]:
    """A row as JSON, in the fields of its list."""
    about = item.about
    if about is None:
        return {"entityId": item.entity, "vcsProjectId": item.project}
    if isinstance(about, Holding):
        buffered = about.state is HoldingState.BUFFER
        told = {"accountName": about.account, "stateCode": "ACTIVE", "isBuffer": buffered}
        return _show_common(item, about.serials) | told
    match resource:
        case "retirements":
            return _show_common(item, about.serials) | _show_retirement(about, orders, flags)
        case "cancellations":
            return _show_cancellation(item, about, orders, flags)
    return _show_common(item, about.serials) | {
        "issueDate": _day(about.at_ms),
        "stateCode": "ISSUED",
        "accountName": about.to_account,
        "vintage": "2020",
        "unitType": "VCU",
        "isBuffer": about.state is HoldingState.BUFFER,
    }


def _show_common(item: Item, serials: SerialRange) -> dict[str, Any]:
    return {
        "entityId": item.entity,
        "serialNo": print_range(serials),
        "holdingQuantity": float(serials.units),
        "projectId": 103_000_000_000_000 + int(item.project),
        "vcsProjectId": item.project,
    }


def _show_retirement(entry: Entry, orders: Mapping[str, Order], flags: Flags) -> dict[str, Any]:
    order = orders.get(entry.reference)
    said = order.said if order is not None else {"owner": "", "details": ""}
    return {
        "retiredDate": _day(entry.at_ms),
        "stateCode": "REVERSED" if entry.kind is ChangeKind.REVERSED else "RETIRED",
        "accountName": entry.account,
        "beneficialOwner": said["owner"] if flags.owner else "",
        "makeBeneficialOwnerPublic": flags.owner,
        "retirementReason": "Retirement for Person or Organization",
        "retirementReasonDetails": said["details"] if flags.details else "",
        "makeRetirementReasonDetailsPublic": flags.details,
        "emailNotification": "asha.rao@example.org",
    }


def _show_cancellation(item: Item, entry: Entry, orders: Mapping[str, Order], flags: Flags) -> dict[str, Any]:
    order = orders.get(entry.reference)
    return {
        "entityId": item.entity,
        "serial_no": print_range(entry.serials),
        "vcsProjectId": item.project,
        "holdingQuantity": float(entry.serials.units),
        "block_start": entry.serials.first,
        "block_end": entry.serials.last,
        "cancellation_date": _day(entry.at_ms),
        "status": "Reversed" if entry.kind is ChangeKind.REVERSED else "Cancelled",
        "cancellation_remarks": order.said["details"] if order is not None and flags.details else "",
        "trading_name": f"Cancel/Export - {entry.account}",
        "aquiring_country": None,
    }


def _day(at_ms: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).date().isoformat()
