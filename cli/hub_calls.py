"""How the commands of `keeling hub` ask a running hub: over HTTP, as a caller that its own file names.

What is asked, and how the answer is shown, is the commands'.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cli.exits import ExitCode, Failed, misused
from cli.quantities import format_time, format_units

ASK_S: Final = 600.0
LOOK_S: Final = 1.0
"""How often a long call is asked how far it is."""
WHY_SHOWN: Final = 84
"""Characters of a reason that a table shows: with more of it no terminal has room for the rest of a row."""
HUB_FILE = Annotated[Path, typer.Option("--config", metavar="FILE", help="The hub's file.")]


def call_pages(file: Path, path: str, name: str) -> Iterator[Any]:
    """Everything on a list of the hub, page by page."""
    from urllib.parse import quote

    token = ""
    while True:
        page = json.loads(call_hub(file, "GET", f"{path}?page_size=1000&page_token={quote(token)}", "viewer"))
        yield from page[name]
        token = page["next_page_token"]
        if not token:
            return


def call_hub(
    file: Path,
    method: str,
    path: str,
    role: str,
    accept: str = "application/json",
    body: Any = None,
    key: str = "",
    patience_s: float | None = ASK_S,
) -> str:
    """Ask the hub of a file, with the token of its first caller that may; `body` is sent as JSON, `key` as its
    Idempotency-Key. `patience_s`: None waits for as long as the hub works. Raises `Failed`."""
    import urllib.error
    import urllib.request

    from hub.service.config import ROLES, load_config
    from hub.service.secrets import read_secret

    config = load_config(file)
    callers = [each for each in config.callers if each.token and ROLES.index(each.role) >= ROLES.index(role)]
    if not callers or callers[0].token is None:
        raise misused(f"{file} names no caller that is {role}", f'add a [[callers]] with role = "{role}" and a token')
    headers = {"Authorization": f"Bearer {read_secret(callers[0].token)}", "Accept": accept}
    data = None if body is None else json.dumps(body).encode()
    headers |= {} if body is None else {"Content-Type": "application/json"}
    headers |= {"Idempotency-Key": key} if key else {}
    request = urllib.request.Request(f"http://{config.listen}{path}", data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=patience_s) as answer:
            text: str = answer.read().decode()
            return text
    except urllib.error.HTTPError as error:
        raise _explain(error.read(), error.code) from error
    except OSError as error:
        raise Failed(
            ExitCode.UNREACHABLE, f"no hub answers at {config.listen}", advice=f"keeling hub run {file}"
        ) from error


def compare(file: Path, registry: str, query: str) -> Any:
    """Have the hub compare a registry, however long its books are; who watches sees how far it is."""
    path = f"/v1/reconciliations/{registry}"
    with ThreadPoolExecutor(1) as pool, _watching() as tell:
        asked = pool.submit(call_hub, file, "POST", path + query, "operator", patience_s=None)
        while tell is not None and not wait([asked], LOOK_S).done:
            with suppress(Failed):  # the call itself says what is wrong
                found = json.loads(call_hub(file, "GET", path, "viewer"))["progress"]
                if found:
                    units = format_units(int(found["units"]))
                    tell(f"{registry}: {units} units on {found['pages']:,} pages of its books read")
        return json.loads(asked.result())


@contextmanager
def _watching() -> Iterator[Callable[[str], None] | None]:
    """A line on standard error where somebody watches; None: nobody does."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status("comparing") as line:
        yield line.update


def _explain(body: bytes, status: int) -> Failed:
    codes: dict[int, ExitCode] = {401: ExitCode.NOT_PERMITTED, 403: ExitCode.NOT_PERMITTED, 404: ExitCode.NOT_FOUND}
    codes |= {503: ExitCode.UNREACHABLE, 504: ExitCode.OUTCOME_UNKNOWN}
    try:
        said: Any = json.loads(body)
        text, name = str(said["detail"]), str(said["title"])
    except (ValueError, KeyError, TypeError):
        text, name = f"the hub answered {status}", ""
    return Failed(codes.get(status, ExitCode.REFUSED), text, reason=name)


def shorten_why(text: str) -> str:
    """A reason for a table: the beginning of a long one, whole words; --json has all of it."""
    if len(text) <= WHY_SHOWN:
        return text
    return text[: WHY_SHOWN - 1].rpartition(" ")[0].rstrip(" ,;:") + "…"


def tell_time(at_ms: int) -> str:
    """A time as people read it; nothing for none."""
    return format_time(at_ms) if at_ms else ""
