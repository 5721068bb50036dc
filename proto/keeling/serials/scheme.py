"""How a serial scheme is written down and read: pieces of a pattern, and the four kinds of scheme.

A scheme is data: named pieces in order. From them come the parser, the exact printer (everything around the two
numbers is kept as it was) and the explanation of a near miss. The registries' own pieces are in the sibling modules.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from keeling.serials.model import SERIAL_CHARS_MAX, Grain, NearMiss, SerialError, SerialFault, SerialRange, Widest


class Piece(NamedTuple):
    """One segment of a serial: a regular expression and the words for it in an error."""

    pattern: str
    words: str


class Scheme:
    """Reads `<prefix><first><joint><last><suffix>`, the way most registries print a range.

    The pieces must name the groups `first` and `last`; `space` names the groups that, joined by "-", make the space
    inside `registry` (none: the whole registry is one space). Digits in a space are compared as numbers. A scheme is
    never changed once ledgers know its version: a new spelling is a new version.
    """

    def __init__(
        self,
        name: str,
        *,
        registry: str,
        grain: Grain,
        pieces: Sequence[Piece],
        space: Sequence[str] = (),
        version: int = 1,
        decimals: int = 0,
    ) -> None:
        self.name: Final = name
        self.version: Final = version
        self.registry: Final = registry
        self.grain: Final = grain
        self.pieces: Final = tuple(pieces)
        self.decimals: Final = decimals
        self._space_groups: Final = tuple(space)
        self._pattern: Final = re.compile("".join(piece.pattern for piece in pieces), re.ASCII)
        self._first_group: Final = self._pattern.groupindex["first"]
        self._last_group: Final = self._pattern.groupindex["last"]

    def recognises(self, text: str) -> bool:
        """Say whether the text has this scheme's shape (its numbers may still be wrong)."""
        return self._pattern.fullmatch(text) is not None

    def segments(self, text: str) -> Mapping[str, str]:
        """Return the named segments of `text` as printed, absent ones left out; raise `SerialError` on wrong shape."""
        return {name: found for name, found in self._match(text).groupdict().items() if found is not None}

    def parse(self, text: str, units: int | None = None) -> SerialRange:
        """Read a range; with `units`, also check that it holds that many. Raises `SerialError`."""
        found = self._match(text)
        start, end = found.span(self._first_group)
        last_start, last_end = found.span(self._last_group)
        first, last, width = self._numbers(text, text[start:end], text[last_start:last_end])
        if units is not None and units != last - first + 1:
            raise self._disagreement(text, last - first + 1, units)
        return SerialRange(
            self.name,
            self.version,
            self.space(found),
            first,
            last,
            self.grain,
            text[:start],
            text[end:last_start],
            text[last_end:],
            width,
        )

    def parse_widest(self, text: str) -> Widest:
        """Return all numbers that a serial may stand for: its range, or more where it does not say its numbers.

        Raises `SerialError`.
        """
        serials = self.parse(text)
        return Widest(serials.space, serials.first, serials.last, sure=True)

    def print_range(self, serials: SerialRange) -> str:
        """Return the registry's text for the range, zeros and all."""
        first = self._print_number(serials.first, serials.width)
        last = self._print_number(serials.last + serials.beyond, serials.width)
        return f"{serials.prefix}{first}{serials.joint}{last}{serials.suffix}"

    def near_miss(self, text: str) -> NearMiss:
        """Return how far the text follows this scheme, for an error that helps."""
        begins = re.match(self.pieces[0].pattern, text, re.ASCII)
        for known in range(len(self.pieces) - 1, 0, -1) if begins else ():
            found = re.match("".join(piece.pattern for piece in self.pieces[:known]), text, re.ASCII)
            if found is not None:
                return NearMiss(self.name, found[0], self.pieces[known].words, 1000 * known // len(self.pieces))
        return NearMiss(self.name, "", self.pieces[0].words, 0)

    def space(self, found: re.Match[str]) -> str:
        """Return the space of a matched text; schemes with a rule of their own override this."""
        if not self._space_groups:
            return self.registry
        return join_space(self.registry, [found[group] for group in self._space_groups])

    def _match(self, text: str) -> re.Match[str]:
        found = self._pattern.fullmatch(text) if len(text) <= SERIAL_CHARS_MAX else None
        if found is None:
            raise self._refusal(text)
        return found

    def _refusal(self, text: str) -> SerialError:
        if len(text) > SERIAL_CHARS_MAX:
            return SerialError(
                SerialFault.TOO_LONG,
                f"{len(text)} characters are no serial (longest {SERIAL_CHARS_MAX}): {text[:40]!r}…",
            )
        near = self.near_miss(text)
        if not near.read:
            what = f"it does not begin with {near.expected}"
        elif len(near.read) == len(text):
            what = f"it ends where {near.expected} should follow"
        elif near.expected == self.pieces[-1].words:
            what = f"after {near.read!r} {near.expected} should follow and nothing else"
        else:
            what = f"after {near.read!r} {near.expected} should follow"
        return SerialError(SerialFault.WRONG_SHAPE, f"{text!r} is no {self.name} serial: {what}", (near,))

    def _numbers(self, text: str, first_text: str, last_text: str) -> tuple[int, int, int]:
        if self.decimals:
            first, last = int(first_text.replace(".", "")), int(last_text.replace(".", ""))
        else:
            first, last = int(first_text), int(last_text)
        if last < first:
            raise SerialError(
                SerialFault.END_BEFORE_START, f"{text!r} ends at {last_text}, before its start {first_text}"
            )
        if first_text[0] != "0" and last_text[0] != "0":
            return first, last, 0
        texts = (first_text, last_text)
        for width in (0, len(first_text.replace(".", "")), len(last_text.replace(".", ""))):
            if (self._print_number(first, width), self._print_number(last, width)) == texts:
                return first, last, width
        raise SerialError(SerialFault.PADDING, f"{text!r} pads {first_text} and {last_text} differently")

    def _print_number(self, number: int, width: int) -> str:
        if not self.decimals:
            return str(number).zfill(width)
        digits = str(number).zfill(max(width, self.decimals + 1))
        return f"{digits[: -self.decimals]}.{digits[-self.decimals :]}"

    def _disagreement(self, text: str, held: int, stated: int) -> SerialError:
        return SerialError(SerialFault.UNITS_DISAGREE, f"{text!r} holds {held} units, but {stated} are stated")


def join_space(registry: str, parts: Sequence[str | None]) -> str:
    """Return `registry:part-part`; parts of digits lose leading zeros, so 0885 and 885 are one project."""
    return f"{registry}:" + "-".join(str(int(part)) if part and part.isdigit() else part or "" for part in parts)
