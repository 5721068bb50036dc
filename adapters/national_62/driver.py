"""A national Article 6.2 registry as a `System`: the exchange, and the drop of reporting files beside it."""

from __future__ import annotations

from typing import Final

from adapters.answers import ShapeError
from adapters.capabilities import Action
from adapters.contract import Adapter, Driver, NothingFound, Refused, Settings, System, Trouble, Unknown, WrongShape
from adapters.des.driver import SECRETS, Dialect, ExchangeAdapter, Opened
from adapters.des.messages import read_rows
from adapters.national_62 import mapping
from adapters.national_62.basis import BASIS, CAPABILITIES
from adapters.national_62.mapping import FileNote
from adapters.web import format_json

_HOUR_MS: Final = 3_600_000
DIALECT: Final = Dialect("national_62", "", CAPABILITIES, mapping.place, {Action.TRANSFER: 24 * _HOUR_MS})


class NationalAdapter(ExchangeAdapter):
    """The exchange, and files."""

    def __init__(self, driver: Driver, settings: Settings) -> None:
        super().__init__(DIALECT, driver, settings)

    async def list_files(self) -> tuple[FileNote, ...] | Trouble:
        """All files in the drop, in the order they came."""
        reply = await self.read_message("/exchange/files", {})
        if not isinstance(reply, Opened):
            return reply
        try:
            return tuple(mapping.read_note(row) for row in read_rows(reply.message, "files"))
        except ShapeError as error:
            return WrongShape(str(error), format_json(reply.envelope))

    async def fetch_file(self, name: str) -> bytes | NothingFound | Trouble:
        """The bytes of one file, with the digest the registry signed."""
        reply = await self.read_message("/exchange/file", {"name": name})
        if not isinstance(reply, Opened):
            return reply
        if reply.message.get("file") is None:
            return NothingFound(frozenset(), format_json(reply.envelope))
        try:
            return mapping.read_file(reply.message["file"], name)
        except ShapeError as error:
            return WrongShape(str(error), format_json(reply.envelope))

    async def hand_in_file(self, name: str, content: bytes) -> FileNote | Refused | Trouble | Unknown:
        """Put a file into the drop; the same again changes nothing. Raises `UnsendableError`."""
        body = mapping.compose_file(name, content, self.ours, self.code)
        reply = await self.write_message("/exchange/acceptFile", body)
        if not isinstance(reply, Opened):
            return reply
        try:
            return mapping.read_taken(reply.message, name, format_json(reply.envelope))
        except ShapeError as error:
            return WrongShape(str(error), format_json(reply.envelope))


def _open(driver: Driver, settings: Settings) -> Adapter:
    return NationalAdapter(driver, settings)


SYSTEM: Final = System(
    "national_62", "National Article 6.2 registry", (Driver.SANDBOX,), BASIS, (*SECRETS, "their-code"), _open
)
