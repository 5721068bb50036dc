"""The journal of what is about to be sent: one transaction file for each id whose outcome this client does not know.

It is written before the first byte leaves and removed when the node has answered, so that after a crash or a lost
answer `keeling tx get` and `keeling tx submit` can go on with the same id and bytes (guarantee G5).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cli.identifiers import format_id
from cli.session import find_state_folder

if TYPE_CHECKING:
    from cli.transactions import TransactionFile


def find_outbox() -> Path:
    """Where the journal lies."""
    return find_state_folder() / "outbox"


def path_of(number: bytes) -> Path:
    """The journal's file for a transaction id."""
    return find_outbox() / f"{format_id(number)}.json"


def keep(number: bytes, file: TransactionFile) -> Path:
    """Write the transaction down, durably; return where."""
    from cli.transactions import format_transaction_file
    from network.files import PRIVATE_FOLDER, replace_file

    path = path_of(number)
    path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    replace_file(path, format_transaction_file(file))
    return path


def forget(number: bytes) -> None:
    """The node has answered: the ledger remembers now."""
    path_of(number).unlink(missing_ok=True)


def list_open() -> list[Path]:
    """The files of all transactions whose outcome was never learned, oldest id first."""
    return sorted(find_outbox().glob("*.json"))
