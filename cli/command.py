"""How a function becomes a command: its common options, one way to end, one readable line for every error.

`reads` is for commands that ask, `writes` for those that change the ledger, `works` for those that need no node. What
each command does lives in the module of its noun; signing and sending a change, in `writing`.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar, get_type_hints

import typer

from cli.exits import ExitCode, Failed
from cli.output import Answer, print_answer, print_json
from cli.quantities import parse_duration
from cli.session import READ_DEADLINE_MS, Session

Function = TypeVar("Function", bound=Callable[..., Any])

_PROFILE = Annotated[
    str | None,
    typer.Option("--profile", metavar="NAME", help="The node to talk to; default: KEELING_PROFILE, or your first one."),
]
_JSON = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
_DEADLINE = Annotated[
    int,
    typer.Option("--deadline", parser=parse_duration, metavar="TIME", help="How long to wait, such as 5s."),
]
_AS = Annotated[
    Path | None,
    typer.Option("--as", metavar="KEYFILE", help="Sign with this key file instead of the profile's."),
]
_ID = Annotated[
    str | None, typer.Option("--id", metavar="UUID", help="The transaction's id; default: a fresh one, which is kept.")
]
_DRY_RUN = Annotated[bool, typer.Option("--dry-run", help="Ask what would happen; change nothing.")]
_BUILD = Annotated[
    Path | None,
    typer.Option("--build", metavar="FILE", help="Write a transaction file to sign and submit later; send nothing."),
]

_READING: Final[dict[str, tuple[Any, Any]]] = {
    "profile": (_PROFILE, None),
    "deadline": (_DEADLINE, f"{READ_DEADLINE_MS}ms"),
    "as_json": (_JSON, False),
}
_WRITING: Final[dict[str, tuple[Any, Any]]] = {
    "as_key": (_AS, None),
    "number": (_ID, None),
    "dry_run": (_DRY_RUN, False),
    "build": (_BUILD, None),
    **_READING,
}
_WORKING: Final[dict[str, tuple[Any, Any]]] = {"as_json": (_JSON, False)}


def reads(app: typer.Typer, name: str) -> Callable[[Function], Function]:
    """Make the function `(session, …) -> Answer` the command `name` of `app`; it may also print and return None."""

    def decorate(function: Function) -> Function:
        def run(**given: Any) -> None:
            as_json = given.pop("as_json")
            session = Session(given.pop("profile"), given.pop("deadline"))
            _perform(session, as_json, lambda: function(session, **given))

        return _expose(app, name, function, run, _READING)

    return decorate


def writes(app: typer.Typer, name: str) -> Callable[[Function], Function]:
    """Make the function `(session, …) -> Change` the command `name` of `app`; the change is then signed and sent."""

    def decorate(function: Function) -> Function:
        def run(**given: Any) -> None:
            from cli.writing import Handing, hand_in

            as_json = given.pop("as_json")
            session = Session(given.pop("profile"), given.pop("deadline"))
            handing = Handing(given.pop("as_key"), given.pop("number"), given.pop("dry_run"), given.pop("build"))
            _perform(session, as_json, lambda: hand_in(session, handing, function(session, **given)))

        return _expose(app, name, function, run, _WRITING)

    return decorate


def works(app: typer.Typer, name: str) -> Callable[[Function], Function]:
    """Make the function `(…) -> Answer`, which needs no node, the command `name` of `app`."""

    def decorate(function: Function) -> Function:
        def run(**given: Any) -> None:
            as_json = given.pop("as_json")
            _perform(None, as_json, lambda: function(**given))

        return _expose(app, name, function, run, _WORKING)

    return decorate


def _expose(
    app: typer.Typer, name: str, function: Function, run: Callable[..., None], common: dict[str, tuple[Any, Any]]
) -> Function:
    """Register `run` with the parameters of `function`, without its session, and the common ones."""
    hints = get_type_hints(function, include_extras=True)
    own = [
        parameter.replace(annotation=hints[parameter.name], kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in inspect.signature(function).parameters.values()
        if hints[parameter.name] is not Session
    ]
    shared = [
        inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
        for key, (annotation, default) in common.items()
    ]
    run.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
    run.__annotations__ = {}
    run.__name__ = function.__name__
    run.__doc__ = function.__doc__
    app.command(name)(run)
    return function


def _perform(session: Session | None, as_json: bool, work: Callable[[], Answer | None]) -> None:
    """Run a command to its exit code. Only bugs leave a traceback."""
    code: int = ExitCode.DONE
    try:
        answer = work()
        if answer is not None:
            print_answer(answer, as_json)
            code = answer.code
            if answer.complaint:
                sys.stderr.write(f"keeling: {answer.complaint}\n")
    except Failed as failed:
        code = _complain(failed, as_json)
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        sys.stdout = None  # whoever read us has gone; nothing is left to flush
    except Exception as error:  # known errors become one line, bugs are raised again
        from cli.failures import explain

        known = explain(error)
        if known is None:
            raise
        code = _complain(known, as_json)
    finally:
        if session is not None:
            session.close()
    if code:
        raise typer.Exit(code)


def _complain(failed: Failed, as_json: bool) -> int:
    if as_json:
        error = {"reason": failed.reason, "text": failed.text, "advice": failed.advice, "values": failed.values}
        print_json({"error": {**error, "exit_code": int(failed.code)}})
    sys.stderr.write(f"keeling: {failed}\n")
    return failed.code
