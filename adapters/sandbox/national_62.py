"""A sandbox of a Party's ITMO registry: transfers recognised on both sides, reporting files in a drop. Not a real one.

What registries under Article 6 do alike is in `party_acts`, how it is said in `exchange`. Files are kept, never read.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Final

from aiohttp import web

from adapters.answers import ShapeError
from adapters.contract import ChangeKind
from adapters.national_62.mapping import FileNote, read_file
from adapters.sandbox.book import Entry
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.exchange_values import Fact, MessageRefusal
from adapters.sandbox.party_acts import PartySandbox, describe_action
from keeling.serials import SerialRange, parse

ACCOUNT: Final = "GHA-100-0001"
_APPROACH: Final = "CA0004"


class NationalSandbox(PartySandbox):
    """`code`: whose registry it is; Ghana's first unless told otherwise."""

    name = "national_62"

    def __init__(
        self,
        clock: SandboxClock | None = None,
        seed: int = 0,
        check_ms: int = 0,
        acquirer_ms: int = 0,
        code: str = "GHA01",
    ) -> None:
        super().__init__(clock, seed, check_ms, acquirer_ms)
        self.code = code
        self.files: dict[str, tuple[FileNote, bytes]] = {}

    def fill(self, units: int = 1_000_000, account: str = ACCOUNT, vintage: int = 2023) -> SerialRange:
        """Issue ITMOs to an account."""
        name = f"{_APPROACH}-{self.code}-{self.code[:3]}-"
        serials = parse(f"{name}1-{vintage} - {name}{units}-{vintage}")
        self.book.issue(self.clock.now_ms, serials, account)
        return serials

    def publish(self, name: str, content: bytes, given_by: str = "") -> FileNote:
        """Put a file into the drop and tell of it; a name is used once."""
        note = FileNote(name, hashlib.sha256(content).hexdigest(), len(content), given_by or self.code)
        known = self.files.get(name)
        if known is not None:
            if known[0].sha256 != note.sha256:
                raise MessageRefusal(3004, f"{name} is there with other content")
            return known[0]
        self.files[name] = (note, content)
        self.announce("AEF file", None, {"name": name, "sha256": note.sha256, "given by": note.given_by})
        return note

    def name_entry(self, entry: Entry) -> list[Fact]:
        """The Party recognises on its own side what leaves and what comes in."""
        named = super().name_entry(entry)
        if entry.kind is not ChangeKind.TRANSFERRED or not self._crosses(entry):
            return named
        side = "transferring" if ":" in entry.to_account else "acquiring"
        if side == "acquiring":
            came = {"transferring party": entry.account[:3], **describe_action("Acquisition", "")}
            named = [Fact("Acquisition", fact.serials, fact.facts | came) for fact in named]
        seen = {"party": self.code[:3], "side": side}
        return [*named, *(Fact("Recognition", fact.serials, fact.facts | seen) for fact in named)]

    def _crosses(self, entry: Entry) -> bool:
        return (":" in entry.account) != (":" in entry.to_account)

    def routes(self) -> list[web.RouteDef]:
        return [
            *super().routes(),
            web.post("/exchange/acceptFile", self.hear(self._accept_file)),
            web.get("/exchange/files", self.hear(self._list_files)),
            web.get("/exchange/file", self.hear(self._show_file)),
        ]

    def _accept_file(self, _request: web.Request, body: dict[str, Any]) -> dict[str, Any]:
        self.check_versions(body)
        try:
            name = str(body["file"]["name"])
            note = self.publish(name, read_file(body["file"], name), str(body["from"]))
        except (ShapeError, KeyError, TypeError) as error:
            raise MessageRefusal(2001, f"no file: {error}") from error
        return {"resultIdentifier": 1, "responseCodes": [], "file": _describe(note)}

    def _list_files(self, _request: web.Request, _asked: dict[str, str]) -> dict[str, Any]:
        return {"files": [_describe(note) for note, _ in self.files.values()]}

    def _show_file(self, _request: web.Request, asked: dict[str, str]) -> dict[str, Any]:
        found = self.files.get(asked.get("name", ""))
        if found is None:
            return {"file": None}
        return {"file": _describe(found[0]) | {"content": base64.b64encode(found[1]).decode()}}


def _describe(note: FileNote) -> dict[str, Any]:
    return {"name": note.name, "sha256": note.sha256, "size": note.size, "givenBy": note.given_by}
