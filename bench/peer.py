"""What the node is compared with: a ledger table in PostgreSQL whose rows are chained by hash, as durable as the node.

The same logical work per transfer: check and update two balances, refuse an id seen before, keep the transaction's own
bytes, and chain the row to the one before it. It is done by one function in the server, without a round trip per row:
the quickest honest form we know. It checks no signature, keeps no lots and proves nothing to anybody.
"""

from __future__ import annotations

import importlib
import os
import random
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.figures import Figure, Section
from bench.ledger import PER_CALL
from bench.postgres import USER, serving
from bench.sizes import Sizes

ACCOUNTS: Final = 1_000
PAYLOAD_BYTES: Final = 72
"""What a transfer takes on the node."""
Rows = tuple[list[bytes], list[int], list[int], list[int], list[bytes]]
"""Columns of transfers: ids, givers, takers, amounts, bytes."""
SCHEMA: Final = """
CREATE TABLE balance (account int PRIMARY KEY, units bigint NOT NULL CHECK (units >= 0)) WITH (fillfactor = 50);
CREATE TABLE head (one boolean PRIMARY KEY, height bigint NOT NULL, hash bytea NOT NULL) WITH (fillfactor = 10);
CREATE TABLE ledger (
    height bigint PRIMARY KEY, id bytea NOT NULL UNIQUE, giver int NOT NULL, taker int NOT NULL,
    units bigint NOT NULL, raw bytea NOT NULL, at timestamptz NOT NULL, hash bytea NOT NULL
);
CREATE FUNCTION submit(ids bytea[], givers int[], takers int[], amounts bigint[], raws bytea[]) RETURNS bigint AS $$
DECLARE
    chained bytea; number bigint;
BEGIN
    SELECT height, hash INTO number, chained FROM head FOR UPDATE;
    FOR i IN 1 .. array_length(ids, 1) LOOP
        UPDATE balance SET units = units - amounts[i] WHERE account = givers[i] AND units >= amounts[i];
        IF NOT FOUND THEN RAISE EXCEPTION 'account % has too few units', givers[i]; END IF;
        UPDATE balance SET units = units + amounts[i] WHERE account = takers[i];
        IF NOT FOUND THEN RAISE EXCEPTION 'no account %', takers[i]; END IF;
        number := number + 1;
        chained := sha256(chained || sha256(raws[i]));
        INSERT INTO ledger VALUES (number, ids[i], givers[i], takers[i], amounts[i], raws[i], now(), chained);
    END LOOP;
    UPDATE head SET height = number, hash = chained;
    RETURN number;
END $$ LANGUAGE plpgsql;
"""


class Peer(NamedTuple):
    """Rows per second at 500 and at one per commit, and bytes on disk per row."""

    together: float
    single: float
    single_p50: float
    row_bytes: float


def measure_peer(root: Path, sizes: Sizes) -> Peer:
    """Start a server, load it, stop it. Raises `PostgresFailed`."""
    driver = importlib.import_module("psycopg")  # of the `bench` extra, which checking types does not need
    with serving(root) as socket, driver.connect(f"host={socket} user={USER} dbname=postgres") as connection:
        connection.autocommit = True
        _create(connection)
        chance = random.Random(1)
        warm = _make_rows(chance, PER_CALL)
        _commit(connection, warm)
        before = _measure_ledger(connection)
        together = [_make_rows(chance, PER_CALL) for _ in range(sizes.peer_commits)]
        took = _load(connection, together, sizes.seconds_max)
        row_bytes = (_measure_ledger(connection) - before) / (len(took) * PER_CALL)
        single = [_make_rows(chance, 1) for _ in range(sizes.peer_single)]
        took_single = _load(connection, single, sizes.seconds_max)
        _check_sum(connection)
    p50 = sorted(took_single)[len(took_single) // 2]
    return Peer(len(took) * PER_CALL / sum(took), len(took_single) / sum(took_single), p50, row_bytes)


def _create(connection: Any) -> None:
    connection.execute(SCHEMA)
    connection.execute("INSERT INTO balance SELECT i, 1000000000 FROM generate_series(0, %s) AS i", (ACCOUNTS - 1,))
    connection.execute("INSERT INTO head VALUES (true, 0, sha256('genesis'))")


def _make_rows(chance: random.Random, size: int) -> Rows:
    """Columns of `size` transfers. Ids begin with the time, as the node's do."""
    stamp = (time.time_ns() // 1_000_000).to_bytes(6, "big")
    pairs = [chance.sample(range(ACCOUNTS), 2) for _ in range(size)]
    ids = [stamp + chance.randbytes(10) for _ in range(size)]
    raws = [chance.randbytes(PAYLOAD_BYTES) for _ in range(size)]
    amounts = [chance.randint(1, 100) for _ in range(size)]
    return ids, [pair[0] for pair in pairs], [pair[1] for pair in pairs], amounts, raws


def _commit(connection: Any, rows: Rows) -> None:
    statement = "SELECT submit(%b::bytea[], %b::int[], %b::int[], %b::bigint[], %b::bytea[])"
    connection.execute(statement, rows, prepare=True)


def _load(connection: Any, commits: list[Rows], seconds_max: float) -> list[float]:
    took, until = list[float](), time.perf_counter() + seconds_max
    for rows in commits:
        started = time.perf_counter()
        _commit(connection, rows)
        took.append(time.perf_counter() - started)
        if started > until:
            break
    return took


def _measure_ledger(connection: Any) -> int:
    row = connection.execute("SELECT pg_total_relation_size('ledger') + pg_total_relation_size('balance')").fetchone()
    return int(row[0])


def _check_sum(connection: Any) -> None:
    row = connection.execute("SELECT sum(units) FROM balance").fetchone()
    if int(row[0]) != ACCOUNTS * 1_000_000_000:
        raise ArithmeticError(f"the balances add up to {row[0]}")


def describe_peer(peer: Peer) -> Section:
    """The peer's own section."""
    figures = (
        Figure("rows, 500 per commit", peer.together, "/s"),
        Figure("rows, one per commit", peer.single, "/s"),
        Figure("commit of one row, p50", peer.single_p50 * 1e3, "ms"),
        Figure("disk per row, without its write-ahead log", peer.row_bytes, "B"),
    )
    about = f"fsync and synchronous_commit on, one session, {os.cpu_count()} cores. No signatures, lots or proofs."
    return Section("Peer: a hash-chained ledger table in PostgreSQL 17", about, figures)
