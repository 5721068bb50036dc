"""What a national registry may be proposed, and its reporting files as messages. Pure; no file's content is read."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from adapters.answers import ShapeError
from adapters.contract import Instruction, Refused, UnsendableError
from adapters.des import placing
from adapters.des.messages import MAJOR_VERSION, MINOR_VERSION, Ends, read_text, read_units
from adapters.web import format_json

FILE_BYTES_MAX: Final = 8 << 20
_NAME: Final = re.compile(r"[\w][\w .-]{0,99}", re.ASCII)


class FileNote(NamedTuple):
    """A file in the drop. `sha256` in hex; `given_by`: the registry code of who put it there."""

    name: str
    sha256: str
    size: int
    given_by: str


def place(instruction: Instruction, code: str) -> Ends:
    """Raises `UnsendableError`."""
    if any(lot.scheme != "itmo" for lot in instruction.lots):
        raise UnsendableError("a national registry under Article 6.2 keeps ITMOs, no other units")
    return placing.place(instruction, code, ("Other cancellations", "Voluntary cancellation to deliver OMGE"))


def compose_file(name: str, content: bytes, sender: str, receiver: str) -> bytes:
    """The message that hands in a file; raises `UnsendableError`."""
    if not _NAME.fullmatch(name):
        raise UnsendableError(f"a file name has 1 to 100 letters, digits, spaces, dots or hyphens; not {name[:120]!r}")
    if not 0 < len(content) <= FILE_BYTES_MAX:
        raise UnsendableError(f"{len(content)} bytes; a file has 1 to {FILE_BYTES_MAX}")
    file = {
        "name": name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "content": base64.b64encode(content).decode(),
    }
    said = {"from": sender, "to": receiver, "majorVersion": MAJOR_VERSION, "minorVersion": MINOR_VERSION}
    return format_json(said | {"file": file})


def read_note(value: Mapping[str, Any]) -> FileNote:
    """One row of the list of files; raises `ShapeError`."""
    name, digest = read_text(value, "name"), read_text(value, "sha256")
    if not _NAME.fullmatch(name) or not re.fullmatch(r"[0-9a-f]{64}", digest, re.ASCII):
        raise ShapeError(f"{name[:100]!r} with digest {digest[:64]!r} is no file")
    return FileNote(name, digest, read_units(value, "size"), read_text(value, "givenBy"))


def read_file(value: Any, name: str) -> bytes:
    """A file's content, which has the digest that stands beside it; raises `ShapeError`."""
    if not isinstance(value, dict) or read_text(value, "name") != name:
        raise ShapeError(f"asked for {name!r}, another file or none was answered")
    try:
        content = base64.b64decode(read_text(value, "content"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ShapeError(f"the content of {name!r} is no base64") from error
    if hashlib.sha256(content).hexdigest() != read_text(value, "sha256"):
        raise ShapeError(f"the content of {name!r} does not have the digest it is said to have")
    return content


def read_taken(message: Mapping[str, Any], name: str, evidence: bytes) -> FileNote | Refused:
    """Whether a file was taken; raises `ShapeError`."""
    if read_units(message, "resultIdentifier") == 0:
        return Refused(f"file not accepted: {read_text(message, 'responseText')}", final=False, evidence=evidence)
    row = message.get("file")
    if not isinstance(row, dict) or row.get("name") != name:
        raise ShapeError(f"handed in {name!r}, another file or none was confirmed")
    return read_note(row)
