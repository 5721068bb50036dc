"""Ranges of a batch as its registry prints them.

A batch's `serial_form` is the text of any one serial of it, as the registry prints it; its scheme reads what is around
the numbers from there. The schemes are in `keeling.serials`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from keeling.serials import SerialError, SerialRange, find_scheme, parse_form
from node.core.records import Batch
from node.reads.errors import NotFound

if TYPE_CHECKING:
    from node.reads.view import ReadState


@lru_cache(maxsize=4096)
def _read_form(scheme: str, form: str) -> SerialRange | None:
    """The range that the form shows; None where the scheme is not known here or cannot read it."""
    name, _, version = scheme.partition("/")
    try:
        return parse_form(find_scheme(name, int(version) if version.isdecimal() else None), form)
    except SerialError:
        return None


def print_serials(batch: Batch, first: int, units: int) -> str:
    """The registry's text for positions `first` .. `first + units - 1`; empty where the form does not tell it.

    A batch whose scheme has versions names the one its form was read with: "puro/2".
    """
    form = _read_form(batch.scheme, batch.serial_form) if batch.serial_form else None
    if form is None:
        return ""
    number = batch.base + first
    return find_scheme(form.scheme, form.scheme_version).print_range(
        form._replace(first=number, last=number + units - 1)
    )


def serials_of(state: ReadState) -> Callable[[str, int, int], str]:
    """What prints a range of a batch by its name, for events; nothing for a batch that a dry run only tried."""

    def serials(batch: str, first: int, units: int) -> str:
        try:
            found = state.batch_named(batch)[1]
        except NotFound:
            return ""
        return print_serials(found, first, units)

    return serials
