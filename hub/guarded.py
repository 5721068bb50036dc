"""An adapter that raises is answered for: what it should have answered is believed nothing, and other links go on.

Adapters of ours answer with values and never raise (`adapters.contract`); one that somebody added may have a mistake in
it. The hub goes through this to all of them, so that a mistake is an answer like any other trouble, and is told.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from adapters.balances import Balance, Balancing
from adapters.capabilities import Capabilities
from adapters.contract import (
    Adapter,
    Answer,
    Change,
    Changes,
    Driver,
    Found,
    Holdings,
    Instruction,
    Question,
    Trouble,
    Unknown,
    UnsendableError,
    WrongShape,
)

NO_ANSWER: Final = "the adapter answers with no value of the contract"
T = TypeVar("T")


class GuardedAdapter:
    """The same adapter, as the contract promises it."""

    def __init__(self, adapter: Adapter, tell: Callable[[str, Mapping[str, Any]], None]) -> None:
        """`tell` hears of every mistake, with where it was made."""
        self.adapter: Final = adapter
        self._tell = tell

    @property
    def name(self) -> str:
        return self.adapter.name

    @property
    def driver(self) -> Driver:
        return self.adapter.driver

    @property
    def capabilities(self) -> Capabilities:
        return self.adapter.capabilities

    def compose(self, instruction: Instruction) -> bytes:
        """Raises `UnsendableError`, whatever the adapter raised."""
        try:
            return self.adapter.compose(instruction)
        except UnsendableError:
            raise
        except Exception as error:
            raise UnsendableError(self._explain("compose", error)) from error

    def expects(self, instruction: Instruction, at_ms: int) -> int:
        """A forecast; where the adapter has none, the time of sending."""
        try:
            return self.adapter.expects(instruction, at_ms)
        except Exception as error:  # noqa: BLE001 - see above
            self._explain("expects", error)
            return at_ms

    async def instruct(self, instruction: Instruction) -> Answer:
        """Unknown where it raised: the message may have arrived."""
        try:
            return self._check("instruct", await self.adapter.instruct(instruction), Answer) or Unknown(NO_ANSWER)
        except Exception as error:  # noqa: BLE001 - see above
            return Unknown(self._explain("instruct", error))

    async def ask(self, question: Question) -> Found:
        try:
            return self._check("ask", await self.adapter.ask(question), Found) or WrongShape(NO_ANSWER)
        except Exception as error:  # noqa: BLE001 - see above
            return WrongShape(self._explain("ask", error))

    async def changes(self, cursor: str) -> Changes | Trouble:
        try:
            return self._check("changes", await self.adapter.changes(cursor), Changes | Trouble) or WrongShape(
                NO_ANSWER
            )
        except Exception as error:  # noqa: BLE001 - see above
            return WrongShape(self._explain("changes", error))

    async def snapshot(self, page: str = "") -> Holdings | Trouble:
        try:
            return self._check("snapshot", await self.adapter.snapshot(page), Holdings | Trouble) or WrongShape(
                NO_ANSWER
            )
        except Exception as error:  # noqa: BLE001 - see above
            return WrongShape(self._explain("snapshot", error))

    async def balance(self, account: str) -> Balance | Trouble | None:
        """None: this registry tells no sums."""
        if not isinstance(self.adapter, Balancing):
            return None
        try:
            return await self.adapter.balance(account)
        except Exception as error:  # noqa: BLE001 - see above
            return WrongShape(self._explain("balance", error))

    def read_notice(self, body: bytes) -> tuple[Change, ...] | WrongShape:
        try:
            return self.adapter.read_notice(body)
        except Exception as error:  # noqa: BLE001 - see above
            return WrongShape(self._explain("read_notice", error), body)

    async def close(self) -> None:
        try:
            await self.adapter.close()
        except Exception as error:  # noqa: BLE001 - see above
            self._explain("close", error)

    def _check(self, what: str, answer: T, kinds: Any) -> T | None:
        """The answer; None, and told, where it is none of the contract's: a `return` that was forgotten."""
        if isinstance(answer, kinds):
            return answer
        about = {"registry": self.name, "call": what, "error": f"{NO_ANSWER}: {type(answer).__name__}"}
        self._tell("an adapter failed instead of answering", about)
        return None

    def _explain(self, what: str, error: Exception) -> str:
        """Tell where it was. Not what it said: that may hold words meant for the registry alone."""
        *_, last = traceback.extract_tb(error.__traceback__)
        said = f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"
        self._tell("an adapter failed instead of answering", {"registry": self.name, "call": what, "error": said})
        return f"the adapter failed at {what}: {said}"
