"""What operators should see to, in `keeling status` and `keeling network status`: warnings, and clocks that differ."""

from __future__ import annotations

import time

import pytest

from cli.status import describe_clock
from keeling.v1 import ledger_pb2 as pb
from tests.cli.command_line import Keeling, fake_node


@pytest.mark.parametrize(
    ("off_ms", "said"),
    [
        (0, "the node's and this machine's agree to the second"),
        (-999, "the node's and this machine's agree to the second"),
        (1_000, "the node's is 1.0 seconds ahead of this machine's"),
        (-59_999, "the node's is 59.9 seconds behind this machine's"),
        (-3_600_000, "the node's is 1.0 hours behind this machine's"),
        (36 * 3_600_000, "the node's is 1.5 days ahead of this machine's"),
    ],
)
def test_the_difference_of_clocks_in_words(off_ms: int, said: str) -> None:
    assert describe_clock(off_ms) == said


def test_warnings_are_printed_and_a_clock_that_is_wrong_is_one(keeling: Keeling) -> None:
    with fake_node(keeling, keeling.init()) as node:
        clock_ms = time.time_ns() // 1_000_000
        node.answers["GetStatus"] = pb.Status(clock_ms=clock_ms, certificate_ends_ms=1_800_000_000_000)
        told = keeling("status").out
        assert "until 2027-01-15T08:00:00Z" in told
        assert "warning" not in told
        node.answers["GetStatus"] = pb.Status(clock_ms=clock_ms - 3_600_000, warnings=["the certificate ends"])
        told = keeling("status").out
        assert "warning: the certificate ends" in told
        assert "behind this machine's: set the clock that is wrong" in told
        facts = keeling.json("status")
        assert len(facts["warnings"]) == 2
        assert facts["clock_off_ms"] < -3_500_000


def test_the_status_names_the_ordering_log_and_who_is_not_linked(keeling: Keeling) -> None:
    up = pb.Status.Link(participant="acme", validator=True, connected=True, height=7)
    down = pb.Status.Link(participant="power", problem="UNAVAILABLE: connection refused")
    with fake_node(keeling, keeling.init()) as node:
        node.answers["GetStatus"] = pb.Status(
            clock_ms=time.time_ns() // 1_000_000, epoch=3, ordering_log="ab12-3", links=[up, down]
        )
        told = keeling("status").out
        assert "epoch 3, log ab12-3" in told
        assert "1 of 2; not power (UNAVAILABLE: connection refused)" in told
        assert keeling.json("status")["links"][0]["participant"] == "acme"


def test_a_validator_with_another_vote_key_counts_for_nothing(keeling: Keeling) -> None:
    with fake_node(keeling, keeling.init()) as node:
        file = keeling.root / "one.toml"
        file.write_text(
            f'origin = "natreg.keeling.local/ledger"\n[[organisations]]\nid = "natreg"\nlisten = "{node.address}"\n'
        )
        node.answers["GetStatus"] = pb.Status(health="idle")
        assert "1 of 1 validators answer, 1 decide" in keeling.must("network", "status", file).out
        node.answers["GetStatus"] = pb.Status(health="observing", wrong_keys=["log"], warnings=["another log key"])
        told = keeling.must("network", "status", file).out
        assert "warning: natreg: another log key" in told
        node.answers["GetStatus"] = pb.Status(health="observing", wrong_keys=["vote"])
        ended = keeling("network", "status", file)
        assert (ended.code, "1 of 1 validators answer, 0 can vote, 1 are needed" in ended.out) == (4, True)
