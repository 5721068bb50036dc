"""The embedded log on its folder: segment files, appended to, synced, cut, read. No threads and no event loop.

The bytes of a segment are in `segments`, the asynchronous face that gathers appends of many callers in `embedded`.

Appending and truncating are for one thread, reading is for any. An entry is shown to no one before its sync returned.
After a write or sync failed the log refuses everything: the system may hold pages as clean that never reached the
disk, so a later sync would prove nothing. For the same reason opening writes the newest bytes once more before it
syncs them: what a crashed process left in the system's memory looks durable and need not be.
"""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from node.ordering.contract import (
    ORIGIN,
    PAGE_BYTES_MAX,
    Appended,
    LogClosed,
    LogDamaged,
    LogExists,
    LogFailed,
    LogId,
    LogMissing,
    LogTruncated,
    Ordered,
    Page,
    WrongLog,
    check_entry,
    compute_entry_digest,
)
from node.ordering.folder import Folder
from node.ordering.segments import (
    RECORD_OVERHEAD,
    SegmentHeader,
    find_records,
    format_header,
    format_record,
    is_unfinished,
    parse_header,
    parse_record,
)

GROUP_BYTES_MAX: Final = 8 << 20
"""The most that is written before a sync, and so the most that opening must write once more."""


@dataclass(frozen=True)
class LogOptions:
    """How an embedded log cuts its files."""

    segment_bytes: int = 64 << 20
    """A file that reached this size is followed by a new one. Dropping old entries drops whole files."""

    recent_entries: int = 4096
    """How many of the newest entries are recognised when they are appended again. At least 1."""

    def __post_init__(self) -> None:
        if self.recent_entries < 1 or self.segment_bytes < 1:
            raise ValueError("segment_bytes and recent_entries must be 1 or more")


class _Segment:
    """One file: `ends[i]` is the offset behind the record of position `header.first` + i."""

    def __init__(self, header: SegmentHeader, records_at: int, ends: array[int]) -> None:
        self.header = header
        self.file = _file_name(header.first)
        self.records_at = records_at
        self.ends = ends

    @property
    def next_position(self) -> int:
        return self.header.first + len(self.ends)

    @property
    def size(self) -> int:
        return self.ends[-1] if self.ends else self.records_at

    def span(self, position: int) -> tuple[int, int]:
        """The offsets at which the record of `position` begins and ends."""
        ordinal = position - self.header.first
        return (self.ends[ordinal - 1] if ordinal else self.records_at), self.ends[ordinal]


class SegmentLog:
    """An append-only log in a folder. Made by `create` or `open`."""

    def __init__(self, folder: Folder, log: LogId, options: LogOptions, segments: list[_Segment]) -> None:
        self.log: Final = log
        self._folder = folder
        self._options = options
        self._lock = threading.Lock()  # guards what follows, and the files against being dropped under a reader
        self._segments = segments  # oldest first, never empty; holds durable records only
        self._recent: OrderedDict[int, bytes] = OrderedDict()  # the newest positions and their digests
        self._positions: dict[bytes, int] = {}  # the same the other way
        self._failure: str | None = None
        self._closed = False

    @classmethod
    def create(cls, folder: Folder, log: LogId, options: LogOptions = LogOptions()) -> Self:
        """Make an empty log; `LogExists` if there is one. Call it again after a crash in it. Owns `folder` then."""
        header = SegmentHeader(log.epoch, log.name, 1, ORIGIN)
        for name in folder.names():
            if name != _file_name(1) or not is_unfinished(folder.read(name, 0, folder.size(name)), header):
                folder.close()
                raise LogExists(f"there is a file {name} already: open the log, or name another folder")
            folder.delete(name)
        made = cls(folder, log, options, [])
        made._segments.append(made._begin_segment(header))
        return made

    @classmethod
    def open(cls, folder: Folder, log: LogId, options: LogOptions = LogOptions()) -> Self:
        """Open `log`, check every record, cut an incomplete last one. `LogMissing`, `WrongLog`, `LogDamaged`; owns
        `folder` if it returns, and has closed it if not."""
        try:
            opened = cls(folder, log, options, [])
            opened._load()
            opened._settle()
        except BaseException:
            folder.close()
            raise
        return opened

    @property
    def first_position(self) -> int:
        """The oldest position that can be read, or the next one if there is none."""
        return self._segments[0].header.first

    @property
    def next_position(self) -> int:
        """The position the next new entry gets."""
        return self._segments[-1].next_position

    def append_many(self, entries: Sequence[bytes]) -> list[Appended]:
        """Append `entries` in their order with as few syncs as their size allows, each at the position it has already
        if it is among the recent ones. All are durable when this returns. Raises `EntryRefused` before any effect,
        `LogFailed` when it is unknown which of them took effect."""
        for entry in entries:
            check_entry(entry)
        self._check_usable()
        answers: list[Appended] = []
        group: list[tuple[bytes, bytes]] = []  # digest, entry
        group_positions: dict[bytes, int] = {}
        group_bytes = 0
        for entry in entries:
            digest = compute_entry_digest(entry)
            position = self._positions.get(digest) or group_positions.get(digest)
            if position is None:
                if group_bytes + len(entry) + RECORD_OVERHEAD > GROUP_BYTES_MAX:
                    self._append_group(group)
                    group, group_positions, group_bytes = [], {}, 0
                position = self.next_position + len(group)
                group.append((digest, entry))
                group_positions[digest] = position
                group_bytes += len(entry) + RECORD_OVERHEAD
            answers.append(Appended(position))
        if group:
            self._append_group(group)
        return answers

    def read(self, start: int, limit: int) -> Page:
        """As `contract.Ordering.read`."""
        with self._lock:
            self._check_usable()
            if start < self.first_position:
                raise LogTruncated(self.first_position)
            if start > self.next_position:
                return Page(None, ())
            entries: list[Ordered] = []
            page_bytes = 0
            for position in range(start, min(start + limit, self.next_position)):
                begin, end = self._segment_of(position).span(position)
                page_bytes += end - begin
                if entries and page_bytes > PAGE_BYTES_MAX:
                    break
                entries.append(Ordered(position, self._read_entry(position)))
            return Page(self._digest_before(start), tuple(entries))

    def truncate(self, below: int) -> None:
        """Drop the oldest files as far as they hold only positions under `below`. Raises `LogFailed`."""
        self._check_usable()
        dropped = False
        while len(self._segments) > 1 and self._segments[0].next_position <= below:
            with self._lock:
                segment = self._segments.pop(0)
                try:
                    self._folder.delete(segment.file)
                    self._folder.sync_names()  # oldest first and one by one: a crash must leave no hole
                except OSError as error:
                    raise self._fail(error) from error
            dropped = True
        if dropped:
            self._forget_below(self.first_position)

    def close(self) -> None:
        """Give the folder free. May be called more than once."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._folder.close()

    def _append_group(self, group: list[tuple[bytes, bytes]]) -> None:
        segment = self._segments[-1]
        try:
            if segment.size >= self._options.segment_bytes and segment.ends:
                before = self._digest_before(segment.next_position)
                header = SegmentHeader(self.log.epoch, self.log.name, segment.next_position, before)
                segment = self._begin_segment(header)
                with self._lock:
                    self._segments.append(segment)
            first = segment.next_position
            records = [format_record(position, entry) for position, (_, entry) in enumerate(group, first)]
            self._folder.write(segment.file, segment.size, b"".join(records))
            self._folder.sync(segment.file)
        except OSError as error:
            raise self._fail(error) from error
        with self._lock:
            for record in records:
                segment.ends.append(segment.size + len(record))
            for position, (digest, _) in enumerate(group, first):
                self._remember(position, digest)

    def _begin_segment(self, header: SegmentHeader) -> _Segment:
        data = format_header(header)
        file = _file_name(header.first)
        self._folder.create(file)
        self._folder.write(file, 0, data)
        self._folder.sync(file)
        self._folder.sync_names()
        return _Segment(header, len(data), array("Q"))

    def _load(self) -> None:
        files = self._folder.names()
        for file in files:
            data = self._folder.read(file, 0, self._folder.size(file))
            last = file == files[-1]
            if last and self._segments and is_unfinished(data, self._header_after(self._segments[-1], file)):
                self._folder.delete(file)
                continue
            segment = self._load_segment(file, data, last=last)
            for position in range(
                max(segment.header.first, segment.next_position - self._options.recent_entries), segment.next_position
            ):
                begin, end = segment.span(position)
                self._remember(position, compute_entry_digest(parse_record(data, begin, end, position, file)))
            self._segments.append(segment)
        if not self._segments:
            raise LogMissing("the folder holds no log: create one, or check that its disk is mounted")

    def _load_segment(self, file: str, data: bytes, *, last: bool) -> _Segment:
        header, records_at = parse_header(data, file)
        if header.log != self.log:
            raise WrongLog(f"{file} belongs to {header.log}, not to {self.log}")
        if file != _file_name(header.first):
            raise LogDamaged(f"{file} begins at position {header.first}: files were renamed")
        if self._segments and header != self._header_after(self._segments[-1], file):
            raise LogDamaged(
                f"{file} does not follow position {self._segments[-1].next_position - 1}: a file is missing"
            )
        records = find_records(data, records_at, header.first, file)
        segment = _Segment(header, records_at, records.ends)
        if records.torn and not last:
            raise LogDamaged(
                f"the entry at position {segment.next_position} is incomplete ({file}, offset {segment.size})"
            )
        return segment

    def _settle(self) -> None:
        """Cut what is incomplete, and make durable what only looks so."""
        newest = self._segments[-1]
        self._folder.truncate(newest.file, newest.size)
        at = max(0, newest.size - GROUP_BYTES_MAX)
        self._folder.write(newest.file, at, self._folder.read(newest.file, at, newest.size - at))
        self._folder.sync(newest.file)
        self._folder.sync_names()

    def _header_after(self, segment: _Segment, file: str) -> SegmentHeader:
        position = segment.next_position
        digest = self._recent.get(position - 1)
        if digest is None:
            raise LogDamaged(f"{file} follows a file without entries")
        return SegmentHeader(self.log.epoch, self.log.name, position, digest)

    def _segment_of(self, position: int) -> _Segment:
        return self._segments[bisect_right(self._segments, position, key=lambda segment: segment.header.first) - 1]

    def _read_entry(self, position: int) -> bytes:
        segment = self._segment_of(position)
        begin, end = segment.span(position)
        data = self._folder.read(segment.file, begin, end - begin)
        if len(data) != end - begin:
            raise LogDamaged(f"the entry at position {position} is cut ({segment.file}, offset {begin})")
        return parse_record(data, 0, len(data), position, segment.file)

    def _digest_before(self, position: int) -> bytes:
        oldest = self._segments[0].header
        if position == oldest.first:
            return oldest.before
        return self._recent.get(position - 1) or compute_entry_digest(self._read_entry(position - 1))

    def _remember(self, position: int, digest: bytes) -> None:
        self._recent[position] = digest
        self._positions.setdefault(digest, position)
        if len(self._recent) > self._options.recent_entries:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        position, digest = self._recent.popitem(last=False)
        if self._positions.get(digest) == position:
            del self._positions[digest]

    def _forget_below(self, position: int) -> None:
        """An entry that was dropped may be ordered anew, whether the log was opened since or not."""
        with self._lock:
            while self._recent and next(iter(self._recent)) < position:
                self._forget_oldest()

    def _fail(self, error: OSError) -> LogFailed:
        self._failure = str(error)
        return LogFailed(f"a write to the log failed, stop and open it again: {error}")

    def _check_usable(self) -> None:
        if self._failure is not None:
            raise LogFailed(f"an earlier write to the log failed, open it again: {self._failure}")
        if self._closed:
            raise LogClosed("the log was closed")


def _file_name(first: int) -> str:
    return f"{first:020d}.segment"
