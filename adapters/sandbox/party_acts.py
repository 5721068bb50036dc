"""What registries under Article 6 do alike in a sandbox: letters and their end, first transfers, use, recognition.

How it is said is in `exchange`; what is kept beside the books in `article6`.
"""

from __future__ import annotations

from typing import Any, Final

from adapters.contract import ChangeKind, HoldingState
from adapters.sandbox.acts import Act, Values, read_serials, read_text
from adapters.sandbox.article6 import Letter, Marks, intersect, read_host, subtract
from adapters.sandbox.book import Entry
from adapters.sandbox.exchange import HUB_CODE, HUB_SEED, ExchangeSandbox
from adapters.sandbox.exchange_values import Fact
from adapters.sandbox.listening import Listener
from keeling.serials import SerialRange, print_range

_OUTSIDE: Final = ("OIMP", "IMP", "OP")
"""Purposes for which no transfer is the first one: the letter says what is."""


class PartySandbox(ExchangeSandbox):
    """An exchange whose units are mitigation outcomes."""

    def __init__(self, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)  # type: ignore[arg-type]
        self.marks: Final = Marks()
        self._listener: Listener | None = None

    def acts(self) -> dict[str, Act]:
        named: dict[str, Act] = {
            "authorize": self._act_authorize,
            "revoke": self._act_revoke,
            "recognise": self._act_recognise,
            "subscribe": lambda values: self._listen().subscribe(values),
            "read": lambda values: self._listen().read(values, self.marks.booked),
        }
        return super().acts() | named

    def credentials(self) -> dict[str, str]:
        return {
            "registry-code": HUB_CODE,
            "signing-key": HUB_SEED,
            "their-key": self.public_key,
            "their-code": self.code,
        }

    def more_of_book(self) -> dict[str, Any]:
        """The adjustments that followed from first transfers and uses."""
        return {"adjusted": [booked._asdict() for booked in self.marks.booked]}

    def _listen(self) -> Listener:
        if self._listener is None:
            self._listener = Listener(self.code, self.key)
        return self._listener

    def _act_authorize(self, values: Values) -> Any:
        """`first`: for other purposes than an NDC, which act is the first transfer."""
        name, party, purpose = (read_text(values, each) for each in ("letter", "party", "purpose"))
        first = read_text(values, "first", "Use or Cancellation")
        self.authorize(Letter(name, party, purpose, read_serials(values), first))
        return {"letter": name}

    def _act_revoke(self, values: Values) -> Any:
        name = read_text(values, "letter")
        if name not in self.marks.letters:
            raise ValueError(f"there is no letter {name!r}; there are {', '.join(self.marks.letters) or 'none'}")
        return {"restricted": [print_range(item) for item in self.revoke(name)]}

    def _act_recognise(self, values: Values) -> Any:
        party, reference = read_text(values, "party"), read_text(values, "reference")
        if reference not in self.desk.orders:
            raise ValueError(f"no order has the reference {reference!r}: keeling hub sandbox book {self.name}")
        self.recognise(party, reference)
        return {"recognised": reference, "party": party}

    def authorize(self, letter: Letter) -> None:
        """A host's letter: what it covers is authorized from now on."""
        self.marks.letters[letter.id] = letter
        for part in letter.covers:
            self.announce("Authorization", part, self.facts(part, letter))
            if letter.oimp_first == "Authorisation" and letter.purpose != "NDC":
                self.marks.first_transfer(part, letter.id)

    def revoke(self, letter_id: str) -> list[SerialRange]:
        """Revoke a letter: active units that were not first transferred are restricted; returns them."""
        letter = self.marks.letters[letter_id]._replace(revoked_ms=self.clock.now_ms)
        self.marks.letters[letter_id] = letter
        restricted = []
        for part in letter.covers:
            self.announce("Authorization revoked", part, self.facts(part, letter))
            for free in subtract(part, self.marks.transferred):
                for row in self.book.touch(free):
                    if row.state == HoldingState.ACTIVE:
                        restricted.append(row.serials)
                        kind, state = ChangeKind.BLOCKED, HoldingState.BLOCKED
                        now = self.clock.now_ms
                        self.book.change(now, kind, row.account, [row.serials], state=state, reference=letter_id)
        self.tell()
        return restricted

    def recognise(self, party: str, reference: str) -> None:
        """A Party announces a transfer on its own side. Two announcements are two facts; they adjust nothing."""
        order = self.desk.orders[reference]
        for part in order.done:
            host, _ = read_host(part)
            side = "transferring" if party == host else "acquiring"
            facts = self.facts(part, self.marks.letter_of(part)) | {"party": party, "side": side}
            self.announce("Recognition", part, facts, order=order)

    def name_entry(self, entry: Entry) -> list[Fact]:
        letter = self.marks.letter_of(entry.serials)
        facts = self.facts(entry.serials, letter)
        match entry.kind:
            case ChangeKind.TRANSFERRED if ":" in entry.to_account:
                return self.name_transfer(entry, letter)
            case ChangeKind.CANCELLED | ChangeKind.USED | ChangeKind.RETIRED:
                return [self.name_end(entry, letter, facts)]
            case ChangeKind.ISSUED if (
                letter is not None and letter.oimp_first == "Issuance" and letter.purpose != "NDC"
            ):
                self.first(entry, letter)
        return [fact._replace(facts=facts) for fact in super().name_entry(entry)]

    def name_transfer(self, entry: Entry, letter: Letter | None) -> list[Fact]:
        """A transfer to another Party: what was never transferred is first transferred now, the rest is a transfer."""
        fresh = self.first(entry, letter) if letter is not None and letter.purpose not in _OUTSIDE else []
        acquirer = entry.to_account[:3]
        found = []
        for event, parts in (("First transfer", fresh), ("Transfer", subtract(entry.serials, fresh))):
            subtype = "First transfer to another Party" if event == "First transfer" else "Not yet defined"
            for part in parts:
                facts = self.facts(part, letter) | describe_action(event, subtype) | {"acquiring party": acquirer}
                found.append(Fact(event, part, facts))
        return sorted(found, key=lambda fact: fact.serials.first)

    def name_end(self, entry: Entry, letter: Letter | None, facts: dict[str, str]) -> Fact:
        """An end. Where the letter makes use or cancellation the first transfer, it is one action, not two."""
        order = self.desk.orders.get(entry.reference)
        said = dict(order.said) if order is not None else {}
        names = {ChangeKind.CANCELLED: "Cancellation", ChangeKind.USED: "Use", ChangeKind.RETIRED: "Retirement"}
        action = said.get("action type", "Cancellation")
        subtype = said.get("action subtype", "Mandatory cancellation to deliver OMGE" if order is None else "")
        outside = letter is not None and letter.purpose != "NDC" and said.get("purpose") != "NDC"
        by_ending = order is not None and outside and letter is not None and letter.oimp_first == "Use or Cancellation"
        if (by_ending or order is None) and self.first(entry, letter) and by_ending:
            action, subtype = "First transfer", "Use or cancellation"
        if said.get("purpose") == "NDC" and order is not None:
            self.marks.use(
                said.get("party", entry.account[:3]), int(said["use year"]), entry.serials.units, entry.reference
            )
        kept = {name: said[name] for name in ("purpose", "use year") if said.get(name)}
        return Fact(names[entry.kind], entry.serials, facts | describe_action(action, subtype) | kept)

    def first(self, entry: Entry, letter: Letter | None) -> list[SerialRange]:
        """Only authorized units are ever first transferred."""
        if letter is None:
            return []
        fresh = []
        for part in intersect(entry.serials, letter.covers):
            fresh += self.marks.first_transfer(part, entry.reference)
        return fresh

    def facts(self, serials: SerialRange, letter: Letter | None) -> dict[str, str]:
        """What every event says of its units."""
        host, vintage = read_host(serials)
        facts = {"first transferring party": host, "vintage": str(vintage), "units": str(serials.units)}
        if letter is None:
            return facts
        return facts | {"authorization": letter.id, "purpose authorized": letter.purpose}


def describe_action(kind: str, subtype: str) -> dict[str, str]:
    """Action type and subtype, as facts of an event."""
    return {"action type": kind} | ({"action subtype": subtype} if subtype else {})
