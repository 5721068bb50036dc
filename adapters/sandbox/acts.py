"""What an admin lets a registry do by itself: acts by name, each with its values as JSON. `keeling hub sandbox act`.

What only one registry can do is added there; what is ordered is the desk's, what goes wrong is in `faults`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from joserfc import jws
from joserfc.jwk import OctKey

from adapters.contract import ChangeKind, HoldingState
from adapters.sandbox.notices import read_secret
from keeling.serials import SerialRange, parse, print_range

if TYPE_CHECKING:
    from adapters.sandbox.server import Sandbox

Values = Mapping[str, Any]
Act = Callable[[Values], Any]
"""Does it and returns what to tell, or what to wait for. Raises `ValueError`, also for what the books do not allow."""
Settings = Mapping[str, Callable[[str], Any]]
"""What an admin may set, by name, and how each is read from text."""

_KINDS: Final = {
    "retire": (ChangeKind.RETIRED, HoldingState.RETIRED),
    "cancel": (ChangeKind.CANCELLED, HoldingState.CANCELLED),
    "use": (ChangeKind.USED, HoldingState.USED),
    "transfer": (ChangeKind.TRANSFERRED, HoldingState.ACTIVE),
    "block": (ChangeKind.BLOCKED, HoldingState.BLOCKED),
    "unblock": (ChangeKind.UNBLOCKED, HoldingState.ACTIVE),
}


def list_acts(sandbox: Sandbox) -> dict[str, Act]:
    """What every registry can do by itself; docs/hub.md says each with its values."""
    changes = {name: _change_with(sandbox, name) for name in _KINDS}
    return changes | {
        "issue": lambda values: _issue(sandbox, values),
        "undo": lambda values: _undo(sandbox, values),
        "complete": lambda values: {"status": sandbox.desk.complete(_known(sandbox, values)).status},
        "set": lambda values: _set(sandbox, values),
        "file": lambda values: _write_files(sandbox, values),
        "secrets": lambda values: _write_secrets(sandbox, values),
    }


def read_text(values: Values, name: str, default: str | None = None) -> str:
    """A value that is a text; raises `ValueError`."""
    found = values.get(name, default)
    if not isinstance(found, str):
        raise ValueError(f"{name}=… is needed")
    return found


def read_serials(values: Values) -> tuple[SerialRange, ...]:
    """`serials`: one range as the registry prints it, or a list of them; raises `ValueError`."""
    found = values.get("serials")
    texts = [found] if isinstance(found, str) else found
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError("serials=… is needed, as the registry prints them")
    return tuple(parse(text) for text in texts)


def _known(sandbox: Sandbox, values: Values) -> str:
    reference = read_text(values, "reference")
    if reference not in sandbox.desk.orders and all(each.reference != reference for each in sandbox.book.entries):
        raise ValueError(f"nothing here has the reference {reference!r}: keeling hub sandbox book {sandbox.name}")
    return reference


def _change_with(sandbox: Sandbox, name: str) -> Act:
    kind, state = _KINDS[name]
    before = HoldingState.BLOCKED if name == "unblock" else HoldingState.ACTIVE

    def change(values: Values) -> Any:
        account, ranges = read_text(values, "account"), read_serials(values)
        to_account = read_text(values, "to_account", None if name == "transfer" else "")
        reference = read_text(values, "reference", f"OWN-{len(sandbox.book.entries) + 1}")
        at_ms, where = sandbox.clock.now_ms, {"to_account": to_account, "before": before}
        sandbox.book.change(at_ms, kind, account, ranges, state=state, reference=reference, **where)  # type: ignore[arg-type]
        sandbox.tell()
        return {"reference": reference, "units": sum(item.units for item in ranges)}

    return change


def _undo(sandbox: Sandbox, values: Values) -> Any:
    undone = sandbox.desk.undo(_known(sandbox, values))
    sandbox.tell()
    return {"undone": _print(undone)}


def _issue(sandbox: Sandbox, values: Values) -> Any:
    account, ranges = read_text(values, "account"), read_serials(values)
    for item in ranges:
        sandbox.book.issue(sandbox.clock.now_ms, item, account)
    sandbox.tell()
    return {"issued": len(ranges), "units": sum(item.units for item in ranges)}


def _set(sandbox: Sandbox, values: Values) -> Any:
    """Change how this registry behaves: its `settings`, by name."""
    if not values or not set(values) <= set(sandbox.settings):
        raise ValueError(f"{sandbox.name} has the settings {', '.join(sandbox.settings) or 'none'}")
    read = {name: sandbox.settings[name](str(text)) for name, text in values.items()}
    for name, value in read.items():
        setattr(sandbox, name, value)
    return {name: str(value) for name, value in read.items()}


def read_number(text: str) -> int:
    """A whole number from 0 on; raises `ValueError`."""
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"{text!r} is no whole number")
    return int(text)


def read_switch(text: str) -> bool:
    """ "true" or "false"; raises `ValueError`."""
    if text not in ("true", "false"):
        raise ValueError(f"{text!r} is neither true nor false")
    return text == "true"


def _write_files(sandbox: Sandbox, values: Values) -> Any:
    """Put the notices that wait into a folder instead: each a file, beside it its detached signature (RFC 7515)."""
    folder, key = Path(read_text(values, "folder")), OctKey.import_key(read_secret(read_text(values, "secret")))
    folder.mkdir(parents=True, exist_ok=True)
    waiting, sandbox.notices.waiting = sandbox.notices.waiting, []
    for notice in waiting:
        whole = jws.serialize_compact({"alg": "HS256"}, notice.body, key)
        (folder / f"{notice.id}.json").write_bytes(notice.body)
        (folder / f"{notice.id}.json.jws").write_text(jws.detach_content(whole))
    return {"files": [str(folder / f"{notice.id}.json") for notice in waiting]}


def _write_secrets(sandbox: Sandbox, values: Values) -> Any:
    """Put the credentials that this sandbox takes into a folder, one file each, as a hub reads them."""
    folder = Path(read_text(values, "folder"))
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in sandbox.credentials().items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    return {"files": [str(folder / name) for name in sandbox.credentials()]}


def _print(ranges: list[SerialRange]) -> list[str]:
    return [print_range(item) for item in ranges]
