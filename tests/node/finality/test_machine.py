"""The rules of voting and adopting, one test each, in the order of architecture 4.5, 4.6, 4.8 and 4.9."""

from __future__ import annotations

from functools import partial

import pytest

from keeling import ed25519
from keeling.votes import Certificate, SignedVote, Step, VoteError, check_certificate, make_policy, sign_vote
from node.finality import events as ev
from node.finality.events import Reason, Reign, Settings, Signer, Tip
from node.finality.journal import GaveLock, Opened, Voted
from node.finality.machine import Finality
from tests.node.finality.network import GENESIS, Network, block, only, settings
from tests.simulator.finality_world import NETWORK, fake_check, fake_sign, key_of

A, B = block("a"), block("b")


def sent(network: Network) -> list[tuple[int, Step]]:
    messages = [(at, output.message) for at, output in network.wire]
    return [(at, message.vote.step) for at, message in messages if isinstance(message, SignedVote)]


def certificate_of(network: Network, at: int = 0) -> Certificate:
    return only(ev.Final, network.done[at])[-1].certificate


def test_a_network_of_one_decides_in_the_step_that_executes() -> None:
    network = Network(1)
    outputs = network.step(0, ev.Executed(A))
    assert [type(output) for output in outputs] == [ev.Persist, ev.Send, ev.Send, ev.Final]
    (persist,) = only(ev.Persist, outputs)
    assert [type(record) for record in persist.records] == [Voted, GaveLock]
    check_certificate(certificate_of(network), network.reign.policy, fake_check)


def test_real_keys_make_certificates_that_anybody_can_check() -> None:
    seeds = [bytes([i]) * 32 for i in range(1, 5)]
    keys = [ed25519.public_key(seed) for seed in seeds]
    reign = Reign(make_policy(bytes(32), keys), 0, 0)
    machines = []
    for seed, key in zip(seeds, keys, strict=True):
        signer = Signer(key, partial(ed25519.sign, seed))
        machines.append(Finality(Settings(NETWORK, signer), reign, GENESIS))
        machines[-1].step(ev.Restarted((Opened(NETWORK, key, 0),), 0))
    wire = [output for machine in machines for output in machine.step(ev.Executed(A))]
    for output in wire:
        if isinstance(output, ev.Send) and isinstance(output.message, SignedVote):
            wire += [more for machine in machines for more in machine.step(ev.VoteArrived(output.message))]
    finals = only(ev.Final, wire)
    assert len(finals) == 4
    for final in finals:
        check_certificate(final.certificate, reign.policy)


def test_four_decide_with_two_rounds() -> None:
    network = Network(4)
    network.execute(A)
    assert sent(network) == [(i, Step.VOTE) for i in range(4)]
    network.carry()
    assert network.heights() == [1, 1, 1, 1]
    assert all(final.block == A for done in network.done for final in only(ev.Final, done))
    check_certificate(certificate_of(network), network.reign.policy, fake_check)


def test_one_vote_per_epoch_and_height_whatever_the_engine_shows_next() -> None:
    network = Network(4)
    network.execute(A, 0)
    network.execute(B, 0)
    assert sent(network) == [(0, Step.VOTE)]


def test_no_lock_without_a_quorum_of_equal_votes() -> None:
    network = Network(4)
    network.execute(A, 0, 1)
    network.execute(B, 2)
    network.carry()
    assert not any(isinstance(record, GaveLock) for journal in network.journals for record in journal)


def test_a_quorums_block_is_fetched_and_locked_by_whoever_voted_otherwise() -> None:
    network = Network(4)
    network.execute(B, 3)
    network.execute(A, 0, 1, 2)
    network.carry()
    assert ev.Fetch(A.candidate, False) in network.done[3]
    assert network.heights() == [1, 1, 1, 0]
    network.step(3, ev.Executed(A, A.candidate))
    assert network.heights()[3] == 1


def test_nothing_is_signed_above_a_height_that_is_not_final() -> None:
    network = Network(4)
    network.execute(A)
    network.wire.clear()
    network.execute(block("c", on=A))
    assert network.wire == []


def test_a_block_on_another_parent_is_no_candidate() -> None:
    network = Network(4)
    network.execute(block("c", on=B))
    network.execute(A)
    network.carry()
    assert network.heights() == [1, 1, 1, 1]
    assert network.wire == []  # c was executed on b, and b is not final


def test_what_must_be_durable_comes_first_and_names_every_vote_that_follows() -> None:
    network = Network(4)
    for i in range(3):
        network.execute(A, i)
    votes = network.take_votes()
    for at in range(4):
        for vote in votes:
            persisted = network.step(at, ev.VoteArrived(vote))
            kinds = [type(item) for item in persisted]
            assert ev.Persist not in kinds[1:]
            assert kinds[:1] == [ev.Persist] or ev.Send not in kinds


def test_votes_are_repeated_until_the_height_is_final() -> None:
    network = Network(4)
    network.execute(A)
    network.wire.clear()
    network.step(0, ev.Tick(100))
    assert network.wire == []
    for at in range(4):
        network.step(at, ev.Tick(600))
    assert sent(network) == [(i, Step.VOTE) for i in range(4)]
    network.carry()
    assert network.heights() == [1, 1, 1, 1]
    network.step(0, ev.Tick(1_200))
    assert network.wire == []


def test_who_repeats_a_vote_for_a_final_height_is_behind() -> None:
    network = Network(4)
    network.execute(A)
    late = next(o.message for at, o in network.wire if at == 3)
    assert isinstance(late, SignedVote)
    network.carry(to=(0, 1, 2))
    for expected in ([], [ev.PeerBehind(key_of(3), 1)]):
        outputs = network.step(0, ev.VoteArrived(late))
        assert outputs == expected


def test_a_vote_beyond_the_next_height_makes_us_ask() -> None:
    network, ahead = Network(4), Network(4)
    ahead.execute(A)
    ahead.carry()
    ahead.execute(block("c", on=A), 1)
    network.step(0, ev.VoteArrived(ahead.take_votes()[0]))
    assert ev.CatchUp(1) in network.step(0, ev.Tick(600))
    assert ev.CatchUp(1) not in network.step(0, ev.Tick(1_200))


def test_two_votes_in_one_place_are_evidence() -> None:
    network = Network(4)
    network.execute(A, 3)
    (good,) = network.take_votes()
    lie = sign_vote(good.vote._replace(root=bytes(32)), key_of(3), lambda m: fake_sign(key_of(3), m))
    network.step(0, ev.VoteArrived(good))
    (found,) = only(ev.EvidenceFound, network.step(0, ev.VoteArrived(lie)))
    assert {found.evidence.first, found.evidence.second} == {good, lie}
    assert network.step(0, ev.VoteArrived(lie)) == []


def test_forged_and_foreign_messages_are_ignored() -> None:
    network = Network(4)
    network.execute(A, 3)
    (good,) = network.take_votes()
    for bad in (
        good._replace(key=key_of(2)),
        good._replace(key=key_of(9)),
        good._replace(vote=good.vote._replace(network=bytes(32))),
    ):
        (ignored,) = network.step(0, ev.VoteArrived(bad))
        assert isinstance(ignored, ev.Ignored)
    assert network.machines[0].voters(Step.VOTE) == frozenset()


def test_no_vote_while_the_blocks_time_is_ahead() -> None:
    network = Network(1)
    network.step(0, ev.Executed(block("a", time_ms=60_001)))
    assert network.heights() == [0]
    network.step(0, ev.Tick(1))
    assert network.heights() == [1]


def test_what_the_engine_contradicts_is_not_voted_for_until_a_certificate_moves_on() -> None:
    network = Network(4)
    network.step(3, ev.Suspended(Reason.ENGINE_FAULT))
    network.execute(A)
    assert sent(network) == [(i, Step.VOTE) for i in range(3)]
    network.carry()
    network.execute(block("c", on=A))
    assert (3, Step.VOTE) in sent(network)


# ---- adopting (4.6) ----


def decided() -> tuple[Network, Certificate]:
    """Three of four decided a; the fourth was cut off."""
    network = Network(4)
    network.execute(A, 0, 1, 2)
    network.carry(to=(0, 1, 2))
    return network, certificate_of(network)


def test_a_certificate_is_adopted_after_executing_to_the_same_tree() -> None:
    network, certificate = decided()
    network.execute(B, 3)
    network.wire.clear()
    assert network.step(3, ev.CertificateArrived(certificate)) == [ev.Fetch(A.candidate, True)]
    assert network.step(3, ev.Executed(A, A.candidate)) == [ev.Final(A, certificate)]
    assert network.wire == []  # its vote for b is spent, and a needs none
    network.execute(block("c", on=A), 3)
    assert sent(network) == [(3, Step.VOTE)]


def test_the_certified_entry_with_another_result_stops_the_key() -> None:
    network, certificate = decided()
    network.step(3, ev.CertificateArrived(certificate))
    wrong = A._replace(candidate=A.candidate._replace(root=bytes(32)))
    assert ev.StopSigning(Reason.DIVERGED) in network.step(3, ev.Executed(wrong, A.candidate))
    assert network.heights()[3] == 0
    assert not network.machines[3].signs


def test_another_entry_under_a_certificate_is_the_engines_fault_alone() -> None:
    network, certificate = decided()
    network.step(3, ev.CertificateArrived(certificate))
    network.execute(B, 3)
    assert network.machines[3].signs


def test_an_observer_finalises_and_signs_nothing() -> None:
    network, certificate = decided()
    observer = Finality(settings(None), network.reign, GENESIS)
    assert observer.step(ev.Restarted((), 0)) == []
    assert observer.step(ev.Executed(A)) == []
    assert observer.step(ev.CertificateArrived(certificate)) == [ev.Final(A, certificate)]


def test_two_certificates_at_one_height_stop_the_key() -> None:
    network, certificate = decided()
    other = Network(4)
    other.execute(B)
    other.carry()
    assert network.step(3, ev.CertificateArrived(certificate))[0] != ev.StopSigning(Reason.FORKED)
    assert network.step(3, ev.CertificateArrived(certificate_of(other)))[0] == ev.StopSigning(Reason.FORKED)
    assert network.step(0, ev.CertificateArrived(certificate_of(other)))[0] == ev.StopSigning(Reason.FORKED)


# ---- memory (4.8) ----


def test_after_a_restart_the_vote_and_its_block_come_from_the_journal() -> None:
    network = Network(4)
    network.execute(A, 0)
    network.wire.clear()
    outputs = network.restart(0)
    assert only(ev.Fetch, outputs) == [ev.Fetch(A.candidate, False)]
    assert sent(network) == [(0, Step.VOTE)]
    network.execute(B, 0)
    assert sent(network) == [(0, Step.VOTE)]
    network.execute(A)
    network.carry()
    assert network.heights() == [1, 1, 1, 1]


@pytest.mark.parametrize("journal", [[], [Opened(NETWORK, key_of(5), 0)]], ids=["lost", "another key's"])
def test_without_its_journal_a_key_signs_nothing(journal: list[Opened]) -> None:
    network = Network(4)
    assert ev.StopSigning(Reason.JOURNAL_LOST) in network.restart(0, [*journal])
    network.execute(A, 0)
    assert network.wire == []


def test_a_peer_that_shows_our_forgotten_vote_silences_the_key() -> None:
    network = Network(4)
    network.execute(A, 0)
    (vote,) = network.take_votes()
    network.restart(0, network.journals[0][:1])
    assert network.step(0, ev.VoteArrived(vote)) == [ev.StopSigning(Reason.JOURNAL_LOST)]
    network.execute(B, 0)
    assert network.wire == []


def test_a_certificate_with_our_forgotten_lock_silences_the_key_and_is_adopted() -> None:
    network, certificate = decided()
    fresh = Network(4)
    assert ev.StopSigning(Reason.JOURNAL_LOST) in fresh.step(0, ev.CertificateArrived(certificate))
    assert ev.Final(A, certificate) in fresh.step(0, ev.Executed(A))
    assert network.machines[0].signs


def test_nothing_is_signed_where_the_journal_was_cut_although_the_store_is_older() -> None:
    network = Network(4)
    network.execute(A)
    network.carry()
    journal = network.machines[0].pen.journal
    assert journal is not None
    older = Network(4)
    older.restart(0, [*journal.records()])
    older.execute(B, 0)
    older.step(0, ev.Reseed())
    assert older.wire == []


# ---- policies (4.9) ----


def test_the_new_set_decides_after_the_block_that_changes_it() -> None:
    network = Network(4, observers=1)
    change = block("s", next_members=(1, 2, 3, 4))
    network.execute(change)
    assert (4, Step.VOTE) not in sent(network)
    network.carry()
    network.execute(block("c", on=change))
    assert sent(network) == [(i, Step.VOTE) for i in range(1, 5)]
    network.carry()
    assert network.heights() == [2] * 5
    assert certificate_of(network).lock.policy != network.reign.policy.hash


def test_votes_of_the_old_set_mean_nothing_under_the_new() -> None:
    network = Network(4)
    change = block("s", next_members=(0, 1, 2, 3))
    above = block("c", on=change)
    network.execute(change)
    network.carry()
    lie = network.machines[1].votes
    assert lie.votes(2, 0, Step.VOTE) == {}
    network.execute(above, 1)
    (old,) = network.take_votes()
    forged = old.vote._replace(policy=network.reign.policy.hash)
    network.step(0, ev.VoteArrived(sign_vote(forged, key_of(1), lambda m: fake_sign(key_of(1), m))))
    assert network.machines[0].voters(Step.VOTE) == frozenset()


def test_a_tip_needs_its_certificate() -> None:
    with pytest.raises(ValueError, match="certificate"):
        Finality(settings(0), Reign(Network(4).reign.policy, 0, 0), Tip(3, bytes(32), None))
    with pytest.raises(VoteError):
        check_certificate(certificate_of(decided()[0])._replace(signatures=()), Network(4).reign.policy, fake_check)
