"""A page as the host of a log sent it, checked against itself and the host's signed word.

Pure: the message goes in, a page or `BadPage` comes out. What follows from it over several pages is in `words`.
"""

from __future__ import annotations

from typing import NamedTuple

from keeling.encoding import EncodingError
from keeling.engine_word import SIGNED_WORD, EngineWordError, SignedWord, check_word, extend_running
from keeling.v1 import ordering_pb2 as pb
from node.ordering.contract import ENTRY_BYTES_MAX, LogId, Ordered, Page, compute_entry_digest
from node.ordering.words import Shown


class BadPage(Exception):
    """The host sent what no honest host sends; the text says what. Nothing of it is used."""


class CheckedPage(NamedTuple):
    """A page, and what it adds to the memory of what the host showed."""

    page: Page
    shown: Shown


def check_page(raw: pb.LogPage, network: bytes, log: LogId, key: bytes | None, start: int, limit: int) -> CheckedPage:
    """The page that was asked for from position `start`; raises `BadPage`. `key` is the host's entry key."""
    if raw.start != start or len(raw.entries) > limit:
        raise BadPage(f"asked for {limit} entries from position {start}, shown {len(raw.entries)} from {raw.start}")
    if any(not 0 < len(entry) <= ENTRY_BYTES_MAX for entry in raw.entries):
        raise BadPage(f"an entry of the page at position {start} has no size an entry can have")
    if len(raw.running_before) != 32 or (not raw.ends_before and len(raw.before) != 32):
        raise BadPage(f"the page at position {start} does not say what stands before it")
    word = read_word(raw.word, network, log, key)
    if raw.ends_before:
        if raw.entries or word.word.position >= start - 1 or word.word.running != raw.running_before:
            raise BadPage(f"the host says that its log ends before position {start - 1} and shows otherwise")
        return CheckedPage(Page(None, ()), Shown(word.word.position, word.word.running, (), word))
    entries = tuple(Ordered(position, entry) for position, entry in enumerate(raw.entries, start))
    digests = tuple(compute_entry_digest(ordered.entry) for ordered in entries)
    if word.word.position != start - 1 + len(entries):
        raise BadPage(f"the host's word is on position {word.word.position}, the page ends elsewhere")
    if word.word.running != extend_running(raw.running_before, digests):
        raise BadPage(f"the host's word on position {word.word.position} is not on the entries that it shows")
    return CheckedPage(Page(raw.before, entries), Shown(start - 1, raw.running_before, digests, word))


def read_word(data: bytes, network: bytes, log: LogId, key: bytes | None) -> SignedWord:
    """The genuine word of the host with this entry key on this log; raises `BadPage`."""
    try:
        signed = SIGNED_WORD.decode(data)
        check_word(signed)
    except (EncodingError, EngineWordError) as error:
        raise BadPage(f"the host's word cannot be used: {error}") from error
    if signed.key != key:
        raise BadPage(f"the word is signed by {signed.key.hex()}, not by the entry key of the log's host")
    if (signed.word.network, signed.word.epoch, signed.word.log) != (network, log.epoch, log.name):
        raise BadPage(f"the word is on the log {signed.word.log} of epoch {signed.word.epoch}, not on {log.name}")
    return signed
