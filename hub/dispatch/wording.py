"""From a hold to the messages a registry gets: the same hold gives the same messages, whoever makes them and when."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from adapters.capabilities import Action
from adapters.contract import Adapter, Instruction, UnsendableError, split_instruction
from keeling.serials import SerialRange
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op

_ACTIONS: Final = {
    "FOR_RETIREMENT": Action.RETIRE,
    "FOR_CANCELLATION": Action.CANCEL,
    "FOR_USE": Action.USE,
    "FOR_TRANSFER": Action.TRANSFER,
}
_WORD_MIN: Final = 3
"""Shorter words are no names, and stand in others."""
_PURPOSES: Final = {op.Purposeful.OIMP: "OIMP"}
"""What a use is for where it names no scheme; of one towards an NDC nothing else can be said."""


def build_instruction(
    hold: pb.HoldInfo,
    account: str,
    to_account: str,
    lots: Sequence[SerialRange],
    details: Mapping[str, str],
) -> Instruction:
    """The whole instruction of a hold. `account` and `to_account` are the registry's; `lots` what was held at first."""
    said = dict(details)
    if hold.HasField("use"):
        scheme = "NDC" if hold.use.kind == op.Purposeful.NDC else hold.use.scheme or _PURPOSES.get(hold.use.kind, "")
        said |= {"use_year": str(hold.use.year), "use_scheme": scheme, "use_entity": hold.use.entity}
    return Instruction(hold.hold.hex(), _ACTIONS[hold.purpose], account, tuple(lots), to_account, details=said)


def split_for(adapter: Adapter, whole: Instruction) -> tuple[Instruction, ...]:
    """The messages it takes; raises `UnsendableError` if the registry's language has no words for one of them."""
    if whole.action not in adapter.capabilities.actions:
        raise UnsendableError(f"{adapter.name} cannot be asked to {whole.action}")
    return split_instruction(whole, adapter.capabilities.lots_max)


def compose_all(adapter: Adapter, messages: Iterable[Instruction]) -> list[bytes]:
    """The bodies that will be sent, byte for byte; raises `UnsendableError`."""
    return [adapter.compose(message) for message in messages]


def hide_words(said: str, details: Mapping[str, str], public: Iterable[str]) -> str:
    """What a registry said, without the words that it was told in confidence and may quote; `public` ones stay."""
    confident = {word for word in details.values() if len(word) >= _WORD_MIN} - set(public)
    for word in sorted(confident, key=len, reverse=True):
        said = re.sub(re.escape(word), "…", said, flags=re.IGNORECASE)
    return said


def join_ranges(ranges: Iterable[op.Range]) -> list[op.Range]:
    """The same positions in one order, neighbours joined: however they were cut, they read the same."""
    found: list[op.Range] = []
    for item in sorted(ranges, key=lambda each: (each.batch, each.first)):
        last = found[-1] if found else None
        if last is not None and last.batch == item.batch and last.first + last.units == item.first:
            last.units += item.units
        else:
            found.append(op.Range(batch=item.batch, first=item.first, units=item.units))
    return found
