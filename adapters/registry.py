"""Every file adapter by name, and reading a file with the right one or saying which one it should have been.

What a registry's columns mean is in its folder; nothing here knows a registry but by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from adapters import acr, arb, art, cadt, car, cdop, cercarbono, gold_standard, isometric, verra
from adapters.delimited import open_table, plain
from adapters.exports import FileAdapter, FileError, FileFault, ParsedFile, Raw
from adapters.tabular import TableAdapter

_ALL: Final[tuple[FileAdapter, ...]] = (
    verra.ADAPTER,
    gold_standard.ADAPTER,
    acr.ADAPTER,
    car.ADAPTER,
    art.ADAPTER,
    cercarbono.ADAPTER,
    isometric.ADAPTER,
    arb.ADAPTER,
    cdop.ADAPTER,
    cadt.ADAPTER,
)
FILE_ADAPTERS: Final[Mapping[str, FileAdapter]] = {adapter.name: adapter for adapter in _ALL}
"""Every registry whose files we read, by the name it has in `--registry`."""


class UnknownRegistryError(ValueError):
    """No file adapter has that name; the message lists those there are."""


def find_adapter(registry: str) -> FileAdapter:
    """Return the adapter of a registry ("gold-standard" and "gold_standard" are one name)."""
    adapter = FILE_ADAPTERS.get(registry.replace("-", "_"))
    if adapter is None:
        raise UnknownRegistryError(f"no file adapter for {registry!r}; there are {', '.join(sorted(FILE_ADAPTERS))}")
    return adapter


def parse_file(registry: str, raw: Raw, *, file_name: str) -> ParsedFile:
    """Read an export of `registry`.

    Raises `FileError`, which names the registry the file looks like if it is another's, or `UnknownRegistryError`.
    """
    adapter = find_adapter(registry)
    try:
        return adapter.parse(raw, file_name=file_name)
    except FileError as error:
        other = recognise_file(raw) if error.fault in (FileFault.WRONG_FILE, FileFault.HEADER) else None
        if other is None or other[0] == adapter.name:
            raise
        name, kind = other
        raise FileError(
            FileFault.WRONG_FILE,
            file_name,
            found=f"an export of {name} ({kind})",
            expected=f"an export of {adapter.name}",
            action=f"import it with --registry {name}",
        ) from error


def recognise_file(raw: Raw) -> tuple[str, str] | None:
    """Return (registry, kind of file) that a comma-separated file's header belongs to, or None."""
    try:
        headings = frozenset(map(plain, open_table(raw, file_name="").header))
    except FileError:
        return None
    for adapter in FILE_ADAPTERS.values():
        kind = adapter.kind_of(headings) if isinstance(adapter, TableAdapter) else None
        if kind is not None:
            return adapter.name, kind
    return None
