"""Key grants and purposes as people write them: shared by the commands that put keys on the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cli.exits import misused

if TYPE_CHECKING:
    from keeling.v1 import operations_pb2 as op


def parse_purposes(text: str) -> int:
    """The bits of purposes such as "submit,approve"."""
    from keeling.units import Purpose

    bits = 0
    for word in text.split(","):
        name = word.strip().upper()
        if name not in Purpose.__members__:
            raise misused(f"{word!r} is no purpose", f"there are {', '.join(Purpose.__members__).lower()}")
        bits |= Purpose[name]
    return bits


def describe_purposes(bits: int) -> list[str]:
    """The purposes of a key, by name."""
    from keeling.units import Purpose

    return [purpose.name.lower() for purpose in Purpose if bits & purpose and purpose.name]


def grant_of(path: Path, person: str | None, purposes: str | None) -> op.KeyGrant:
    """The grant for a key file's public key: its person is the one it was made for, unless another is given."""
    from keeling.v1 import operations_pb2 as op
    from network.keys import describe_key_file

    described = describe_key_file(path.expanduser())
    own_person = described.owner.partition("/")[2]
    label = person or own_person
    if not label:
        raise misused(f"{path} does not say which person holds it", "give --person with an opaque label")
    bits = parse_purposes(purposes or "submit,approve,admin,attest")
    return op.KeyGrant(key=described.public_key, person=label, purposes=bits)
