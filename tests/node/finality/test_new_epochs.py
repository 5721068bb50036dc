"""Leaving a broken engine log, in the order of architecture 4.7."""

from __future__ import annotations

import pytest

from keeling.epochs import SignedReport
from keeling.votes import Step
from node.finality import events as ev
from node.finality.events import Reason, log_name
from node.finality.journal import Joined, Reported
from tests.node.finality.network import Network, block, only
from tests.simulator.finality_world import NETWORK, key_of

A, B = block("a"), block("b")


def reports_in(network: Network) -> list[SignedReport]:
    return [output.message for _, output in network.wire if isinstance(output.message, SignedReport)]


def split() -> Network:
    """Two were shown a and two b: no block can win in this epoch."""
    network = Network(4)
    network.execute(A, 0, 1)
    network.execute(B, 2, 3)
    network.carry()
    return network


def locked_once() -> Network:
    """All voted for a; only the first learned of it and locked a. Its LOCK was lost."""
    network = Network(4)
    network.execute(A)
    network.carry(to=(0,))
    assert network.machines[0].voters(Step.LOCK) == {key_of(0)}
    return network


def test_a_split_goes_on_in_a_new_epoch() -> None:
    network = split()
    assert network.machines[0].votes.is_split(1, 0)
    for i in range(3):
        network.step(i, ev.Reseed())
    network.carry()
    log = log_name(network.reign.policy.hash, 1)
    for machine, done in zip(network.machines, network.done, strict=True):
        assert machine.epoch == 1
        assert only(ev.JoinEpoch, done) == [ev.JoinEpoch(network.reign.policy.hash, 1, log, None)]
    network.execute(A)  # what the old log showed is not voted for any more
    assert network.wire == []
    network.execute(block("c", epoch=1))
    network.carry()
    assert network.heights() == [1, 1, 1, 1]


def test_a_report_is_durable_before_it_leaves_and_ends_voting_below() -> None:
    network = Network(4)
    outputs = network.step(0, ev.Reseed())
    assert [type(output) for output in outputs] == [ev.Persist, ev.Send]
    assert [type(record) for record in only(ev.Persist, outputs)[0].records] == [Reported]
    network.wire.clear()
    network.execute(A, 0)
    network.restart(0)
    network.execute(A, 0)
    network.execute(A, 1, 2, 3)
    network.carry(to=(0,))
    assert network.machines[0].voters(Step.VOTE) == {key_of(i) for i in (1, 2, 3)}
    assert network.machines[0].voters(Step.LOCK) == frozenset()


def test_more_reports_than_liars_make_a_node_join_and_one_does_not() -> None:
    network = Network(4)
    network.step(0, ev.Reseed("other"))
    network.carry()
    assert [machine.pending_report() is not None for machine in network.machines] == [True, False, False, False]
    network.step(1, ev.Reseed("other"))
    network.carry()
    assert [machine.epoch for machine in network.machines] == [1, 1, 1, 1]


def test_reports_that_name_two_logs_open_nothing() -> None:
    network = Network(4)
    network.step(0, ev.Reseed("one"))
    network.step(1, ev.Reseed("other"))
    network.carry()
    assert [machine.epoch for machine in network.machines] == [0, 0, 0, 0]
    network.step(1, ev.Reseed("one"))  # a report cannot be taken back: this one is for the epoch after
    assert [signed.report.epoch for signed in reports_in(network)] == [2]


def test_a_locked_block_is_carried_with_its_bytes_unchanged() -> None:
    network = locked_once()
    for i in (0, 1, 2):
        network.step(i, ev.Reseed())
    network.carry()
    joined = only(ev.JoinEpoch, network.done[3])
    assert joined[-1].start == A.candidate
    assert network.heights() == [1, 1, 1, 1]
    final = only(ev.Final, network.done[3])[-1]
    assert final.block == A
    assert (final.block.epoch, final.certificate.lock.epoch) == (0, 1)


def test_only_the_carried_block_may_be_voted_above_the_base() -> None:
    network = locked_once()
    network.machines[3].executed.clear()  # the fourth node does not have it
    for i in (0, 1, 2):
        network.step(i, ev.Reseed())
    network.carry(to=(0, 1, 3))
    network.execute(block("c", epoch=1), 3)
    assert ev.Fetch(A.candidate, False) in network.done[3]
    given = [s for s in network.machines[3].pen.given_at(network.reign.policy, 1) if s.vote.epoch == 1]
    assert given == []
    network.step(3, ev.Executed(A, A.candidate))
    given = [s for s in network.machines[3].pen.given_at(network.reign.policy, 1) if s.vote.epoch == 1]
    assert {s.vote.root for s in given} == {A.candidate.root}


def test_a_report_shows_the_highest_certificate_and_the_lock_above_it() -> None:
    network = Network(4)
    network.execute(A)
    network.carry()
    above = block("c", on=A)
    network.execute(above)
    network.carry(to=(0,))
    network.step(0, ev.Reseed())
    (signed,) = reports_in(network)
    report = signed.report
    assert report.certificate is not None
    assert report.certificate.lock.height == 1
    assert report.locked is not None
    assert (report.locked.votes.vote.root, report.locked.header) == (above.candidate.root, above.header)
    assert report.network == NETWORK


def test_the_base_is_adopted_before_anything_is_voted_above_it() -> None:
    network = Network(4)
    network.execute(A, 0, 1, 2)
    network.carry(to=(0, 1, 2))
    for i in (0, 1):
        network.step(i, ev.Reseed())
    network.carry()
    assert [machine.epoch for machine in network.machines] == [1, 1, 1, 1]
    network.execute(block("c", epoch=1), 3)
    assert network.machines[3].voters(Step.VOTE) == frozenset()
    assert ev.Fetch(A.candidate, True) in network.done[3]
    network.step(3, ev.Executed(A, A.candidate))
    assert network.heights() == [1, 1, 1, 1]


def test_a_node_in_an_epoch_that_is_over_is_told() -> None:
    network = Network(4)
    for i in range(3):
        network.step(i, ev.Reseed())
    network.carry(to=(0, 1, 2))
    assert [machine.epoch for machine in network.machines] == [1, 1, 1, 0]
    network.execute(A, 3)
    network.carry()
    assert network.machines[3].epoch == 1


def test_the_epoch_survives_a_restart() -> None:
    network = split()
    for i in range(3):
        network.step(i, ev.Reseed())
    network.carry()
    assert any(isinstance(record, Joined) for record in network.journals[3])
    outputs = network.restart(3)
    assert network.machines[3].epoch == 1
    assert len(only(ev.JoinEpoch, outputs)) == 1


def test_a_report_of_ours_that_we_forgot_silences_the_key() -> None:
    network = Network(4)
    network.step(0, ev.Reseed())
    (signed,) = reports_in(network)
    network.restart(0, network.journals[0][:1])
    assert ev.StopSigning(Reason.JOURNAL_LOST) in network.step(0, ev.ReportArrived(signed))


def test_a_network_of_one_moves_its_engine_in_one_step() -> None:
    network = Network(1)
    outputs = network.step(0, ev.Reseed("new disk"))
    assert [type(output) for output in outputs] == [ev.Persist, ev.Send, ev.JoinEpoch]
    network.execute(block("c", epoch=1))
    assert network.heights() == [1]


def test_a_stalled_height_is_reported_after_the_time_set_and_later_each_time() -> None:
    network = Network(4, reseed_after_ms=1_000)
    network.execute(A, 0, 1)
    network.carry(to=(0, 1))
    for i in (0, 1):
        network.step(i, ev.Tick(999))
    assert reports_in(network) == []
    for i in (0, 1):
        network.step(i, ev.Tick(1_000))
    assert {signed.key for signed in reports_in(network)} == {key_of(0), key_of(1)}
    network.carry()
    assert [machine.epoch for machine in network.machines] == [1, 1, 1, 1]
    network.execute(block("c", epoch=1), 0)
    network.wire.clear()
    network.step(0, ev.Tick(2_999))
    assert reports_in(network) == []
    network.step(0, ev.Tick(3_000))
    assert [signed.report.epoch for signed in reports_in(network)] == [2]


def test_a_split_is_reported_at_once_and_idleness_never() -> None:
    network = Network(4, reseed_after_ms=10_000)
    network.step(0, ev.Tick(1_000_000))
    assert reports_in(network) == []
    network.execute(A, 0, 1)
    network.execute(B, 2, 3)
    network.carry()
    network.step(0, ev.Tick(1_000_001))
    assert len(reports_in(network)) == 1


def test_a_liar_alone_keeps_nobody_busy() -> None:
    network = Network(4, reseed_after_ms=1_000)
    network.execute(A, 3)
    network.carry()
    network.step(0, ev.Tick(50_000))
    assert reports_in(network) == []


def test_an_observer_cannot_ask_for_an_epoch() -> None:
    network = Network(4, observers=1)
    (ignored,) = network.step(4, ev.Reseed())
    assert isinstance(ignored, ev.Ignored)


@pytest.mark.parametrize("epoch", [0, 1])
def test_a_policy_goes_on_where_the_block_that_decided_it_was_read(epoch: int) -> None:
    """Carried over a change of epoch, the block still starts its policy in the epoch of its own header."""
    network = Network(4)
    change = block("s", next_members=(0, 1, 2, 3))
    network.execute(change)
    if epoch == 0:
        network.carry()
    else:
        network.carry(to=(0,))
        for i in (0, 1, 2):
            network.step(i, ev.Reseed())
        network.carry()
    assert network.heights() == [1, 1, 1, 1]
    assert {machine.epoch for machine in network.machines} == {0}
    continued = [join for join in only(ev.JoinEpoch, network.done[1]) if join.log is None]
    assert len(continued) == epoch
    network.execute(block("c", on=change))
    network.carry()
    assert network.heights() == [2, 2, 2, 2]
