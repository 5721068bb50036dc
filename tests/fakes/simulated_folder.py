"""A folder whose disk can fail at any step, and whose power can go at any step.

It keeps what the system shows apart from what is durable. A write is durable after a sync that succeeded; a sync that
failed leaves the bytes readable, counts them as clean, and no later sync makes them durable. Names are durable after
`sync_names`.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import NamedTuple


class PowerCut(Exception):
    """The power went. Nothing of the process goes on; only `SimulatedFolder.images` tells what is on disk."""


class _Write(NamedTuple):
    offset: int
    data: bytes


class _Cut(NamedTuple):
    size: int


class _File:
    def __init__(self) -> None:
        self.shown = bytearray()
        self.durable = bytearray()
        self.pending: list[_Write | _Cut] = []  # since the last sync


def _apply(content: bytearray, change: _Write | _Cut) -> None:
    if isinstance(change, _Cut):
        del content[change.size :]
        return
    end = change.offset + len(change.data)
    content.extend(bytes(max(0, end - len(content))))
    content[change.offset : end] = change.data


class SimulatedFolder:
    """A `node.ordering.folder.Folder` in memory."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self._files: dict[str, _File] = {}
        for name, content in (files or {}).items():
            file = self._files[name] = _File()
            file.shown, file.durable = bytearray(content), bytearray(content)
        self._durable_names = dict(self._files)
        self._steps = 0
        self._cut_at: int | None = None
        self._fail_at: int | None = None

    @property
    def steps(self) -> int:
        """How many changing steps were taken so far."""
        return self._steps

    def cut_power(self, at_step: int) -> None:
        """Raise `PowerCut` in place of the step of that number, from 1."""
        self._cut_at = at_step

    def fail(self, at_step: int) -> None:
        """Let the step of that number, from 1, end in an input/output error; a write gets half way."""
        self._fail_at = at_step

    def images(self) -> Iterator[tuple[str, dict[str, bytes]]]:
        """What a power cut now may leave, each with a description: nothing unsynced, all of it, one deletion undone
        while others hold, and every beginning of the last unsynced write, the rest missing or zeros."""
        yield "nothing unsynced", {name: bytes(file.durable) for name, file in self._durable_names.items()}
        yield "everything", {name: bytes(file.shown) for name, file in self._files.items()}
        yield "names only", {name: bytes(file.durable) for name, file in self._files.items()}
        for name in sorted(self._durable_names.keys() - self._files.keys()):
            left = {**self._files, name: self._durable_names[name]}
            yield f"{name} not deleted", {other: bytes(file.durable) for other, file in left.items()}
        for name, file in self._files.items():
            if not file.pending or not isinstance(last := file.pending[-1], _Write):
                continue
            base = bytearray(file.durable)
            for change in file.pending[:-1]:
                _apply(base, change)
            others = {other: bytes(content.durable) for other, content in self._files.items() if other != name}
            size = len(last.data)
            for kept in range(size):
                torn = bytearray(base)
                _apply(torn, _Write(last.offset, last.data[:kept]))
                zeros = torn + bytes(max(0, last.offset + size - len(torn)))  # old bytes stay, new space is zero
                yield f"{kept} of {size} bytes", others | {name: bytes(torn)}
                yield f"{kept} of {size} bytes and zeros", others | {name: bytes(zeros)}

    def restart(self) -> SimulatedFolder:
        """The folder for a process started anew while the power stayed on."""
        self._cut_at = self._fail_at = None
        self._steps = 0
        return self

    def names(self) -> list[str]:
        return sorted(self._files)

    def create(self, name: str) -> None:
        self._step()
        if name in self._files:
            raise FileExistsError(errno.EEXIST, "File exists", name)
        self._files[name] = _File()

    def delete(self, name: str) -> None:
        self._step()
        del self._files[name]

    def size(self, name: str) -> int:
        return len(self._files[name].shown)

    def read(self, name: str, offset: int, size: int) -> bytes:
        return bytes(self._files[name].shown[offset : offset + size])

    def write(self, name: str, offset: int, data: bytes) -> None:
        try:
            self._step()
        except OSError:
            self._change(name, _Write(offset, data[: len(data) // 2]))
            raise
        except PowerCut:
            self._files[name].pending.append(_Write(offset, data))
            raise
        self._change(name, _Write(offset, data))

    def truncate(self, name: str, size: int) -> None:
        self._step()
        if size < len(self._files[name].shown):
            self._change(name, _Cut(size))

    def sync(self, name: str) -> None:
        file = self._files[name]
        try:
            self._step()
        except OSError:
            file.pending = []
            raise
        for change in file.pending:
            _apply(file.durable, change)
        file.pending = []

    def sync_names(self) -> None:
        self._step()
        self._durable_names = dict(self._files)

    def close(self) -> None:
        """Nothing to give free."""

    def _change(self, name: str, change: _Write | _Cut) -> None:
        file = self._files[name]
        _apply(file.shown, change)
        file.pending.append(change)

    def _step(self) -> None:
        self._steps += 1
        if self._steps == self._cut_at:
            raise PowerCut(f"at step {self._steps}")
        if self._steps == self._fail_at:
            raise OSError(errno.EIO, "Input/output error")
