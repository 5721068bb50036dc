"""Snapshots: chunks fill by one rule, and a proof is believed only where every step of it holds."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeling.merkle import EMPTY_FRONTIER
from keeling.snapshot import (
    CHUNK_BYTES_MAX,
    HEAD,
    PROOF,
    SnapshotProof,
    SnapshotRefused,
    check_snapshot,
    compute_digest,
    fill_chunks,
    hash_chunk,
    parse_chunk,
    parse_proof,
)
from tests.fakes.attested import tell_attested
from tests.fakes.recorded_electorate import RecordedElectorate

STRIDE = 7


@given(st.dictionaries(st.binary(max_size=8), st.binary(max_size=40), max_size=50))
def test_rows_come_back_from_their_chunks(rows: dict[bytes, bytes]) -> None:
    ordered = sorted(rows.items())
    assert [row for chunk in fill_chunks(ordered) for row in parse_chunk(chunk)] == ordered


def test_chunks_are_full_and_never_longer_unless_one_row_is() -> None:
    rows = [(bytes([n]), bytes(400_000)) for n in range(5)] + [(b"\x10", bytes(CHUNK_BYTES_MAX)), (b"\x11", b"")]
    sizes = [[len(value) for _, value in parse_chunk(chunk)] for chunk in fill_chunks(rows)]
    assert sizes == [[400_000] * 2, [400_000] * 2, [400_000], [CHUNK_BYTES_MAX], [0]]
    assert list(fill_chunks([])) == []


@pytest.mark.parametrize(
    "data",
    [b"\x00", b"\x00\x00\x00\x02a", b"\x00\x00\x00\x01a\x00\x00\x00\x05b", b"\x00\x00\x00\x01a\x00\x00", b"\xff" * 9],
)
def test_torn_chunk_is_refused(data: bytes) -> None:
    with pytest.raises(SnapshotRefused, match="ends inside"):
        parse_chunk(data)


def test_rows_out_of_order_are_refused() -> None:
    one, two = next(fill_chunks([(b"a", b"1")])), next(fill_chunks([(b"b", b"2")]))
    assert len(parse_chunk(one + two)) == 2
    for wrong in (two + one, one + one):
        with pytest.raises(SnapshotRefused, match="ascending"):
            parse_chunk(wrong)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[RecordedElectorate, bytes]:
    folder: Path = tmp_path_factory.mktemp("shelf")
    world, shelf = tell_attested(folder)
    return world, shelf.read_proof(3)


def test_proof_leads_from_genesis_to_the_state(told: tuple[RecordedElectorate, bytes]) -> None:
    world, raw = told
    proof = parse_proof(raw)
    facts = check_snapshot(proof, world.genesis)
    assert facts.height == 3
    assert facts.digest == compute_digest(proof.head, proof.chunks)
    assert [reign.since for reign in facts.reigns] == [0, 2]
    assert facts.header == world.blocks[2].header
    assert facts.head.frontier == world.blocks[2].growth.frontier


def changed(proof: SnapshotProof, **fields: Any) -> SnapshotProof:
    return proof._replace(**fields)


def in_attesting(proof: SnapshotProof, **fields: Any) -> SnapshotProof:
    return proof._replace(attesting=proof.attesting._replace(**fields))


def in_head(proof: SnapshotProof, **fields: Any) -> SnapshotProof:
    return proof._replace(head=HEAD.encode(HEAD.decode(proof.head)._replace(**fields)))


FORGERIES: list[tuple[str, Callable[[SnapshotProof], SnapshotProof], str]] = [
    ("no handovers", lambda p: changed(p, handovers=()), "exactly 3 belong"),
    ("another chunk", lambda p: changed(p, chunks=(hash_chunk(b"x"),)), "a quorum attested"),
    ("a chunk more", lambda p: changed(p, chunks=(*p.chunks, bytes(32))), "a quorum attested"),
    ("more rows", lambda p: in_head(p, rows=1), "a quorum attested"),
    ("another height", lambda p: in_head(p, height=2), "exactly 3 belong"),
    ("another network", lambda p: in_head(p, network=bytes(32)), "network of the head"),
    ("another log", lambda p: in_head(p, frontier=EMPTY_FRONTIER), "size of the log"),
    ("another header", lambda p: in_head(p, header=b"\x02"), "bytes end"),
    ("certificate of the attestation", lambda p: changed(p, certificate=p.attesting.certificate), "certificate"),
    ("attested in the same block", lambda p: in_attesting(p, certificate=p.certificate), "no leaf"),
    ("another record", lambda p: in_attesting(p, record=p.attesting.record[:-1] + b"\x00"), "root|proof|expected"),
    ("another place", lambda p: in_attesting(p, position=p.attesting.position - 1), "root|proof|expected"),
    ("other events", lambda p: in_attesting(p, events=b""), "root|proof|expected"),
    ("another transaction", lambda p: in_attesting(p, transaction=sha256(b"").digest()), "root|proof|expected"),
]


@pytest.mark.parametrize(("forge", "match"), [row[1:] for row in FORGERIES], ids=[row[0] for row in FORGERIES])
def test_forged_proof_is_refused(
    told: tuple[RecordedElectorate, bytes], forge: Callable[[SnapshotProof], SnapshotProof], match: str
) -> None:
    world, raw = told
    with pytest.raises(SnapshotRefused, match=match):
        check_snapshot(forge(parse_proof(raw)), world.genesis)


def test_every_changed_byte_that_matters_is_caught(told: tuple[RecordedElectorate, bytes]) -> None:
    """The checkpoint is carried, not claimed: bytes of it may differ and the state is still the one attested."""
    world, raw = told
    checkpoint = parse_proof(raw).checkpoint
    start = raw.index(checkpoint)
    for at in range(0, len(raw), STRIDE):
        if start <= at < start + len(checkpoint):
            continue
        torn = bytearray(raw)
        torn[at] ^= 0x80 >> (at % 8)
        with pytest.raises(SnapshotRefused):
            check_snapshot(parse_proof(bytes(torn)), world.genesis)
    for wrong in (raw[:-1], raw + b"\x00", b""):
        with pytest.raises(SnapshotRefused, match="no proof"):
            parse_proof(wrong)
    assert PROOF.encode(parse_proof(raw)) == raw
