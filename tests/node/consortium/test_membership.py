"""Validators come, go and change their keys while the ledger runs, and nothing is decided twice."""

from __future__ import annotations

from google.protobuf.message import Message

from keeling import ed25519
from keeling.block import parse_header
from keeling.policy import Policy, format_policy
from keeling.readiness import readiness_message
from keeling.v1 import operations_pb2 as op
from node.journal import replace_journal
from node.ledger import read_in_force
from node.store.contract import Batch, Family
from tests.fakes.consortium import ORIGIN, Consortium, public_of, seed_of
from tests.fakes.electorate import ROLES, node_keys, node_message
from tests.fakes.world import EVERYTHING, Person


def bare(policy: Policy) -> bytes:
    """The file of a policy as an operator writes it."""
    stripped = tuple(validator._replace(entry_key=b"") for validator in policy.validators)
    return format_policy(policy._replace(since=0, validators=stripped))


async def decide(net: Consortium, at: str, operation: Message, *approvals: str) -> None:
    """Have the electorate decide something, or fail."""
    raw = net.world.transaction(at, operation)
    answered = await net.hand_in(at, net.world.submission(at, raw, approvals=approvals))
    assert answered.submission.answers[0].reason == 0, answered.submission.answers[0].detail


async def set_validators(net: Consortium, *names: str) -> None:
    policy = net.nodes["v0"].chain.outlook.policy
    chosen = tuple(next(v for v in policy.validators if v.name == name) for name in names)
    wanted = op.SetPolicy(policy=bare(policy._replace(validators=chosen)))
    await decide(net, "v0", wanted, *[name for name in net.validators if name != "v0"][: policy.quorum - 1])


def states_agree(net: Consortium, *names: str) -> bool:
    return len({tuple(net.state(name)) for name in names or net.validators}) == 1


def test_a_validator_leaves_and_observes_and_the_rest_go_on() -> None:
    net = Consortium()

    async def scenario() -> None:
        await net.start()
        await net.do("v3", 2)
        await set_validators(net, "v0", "v1", "v2")
        height = await net.settled()
        await net.restart()
        await net.until(lambda: not net.nodes["v3"].may_author)
        await net.do("v1", 3)
        assert await net.settled() == height + 3
        assert states_agree(net)
        headers = [parse_header(leaf) for leaf in net.blocks("v0")]
        assert len({header.policy for header in headers}) == 2
        assert not net.nodes["v3"].chain.outlook.is_validator
        await net.restart()
        await net.do("v2")
        assert await net.settled() == height + 4
        assert states_agree(net)
        await net.stop()

    net.run(scenario())


def test_a_new_policy_reads_on_in_the_old_log_after_a_restart_too() -> None:
    net = Consortium()

    async def scenario() -> None:
        await net.start()
        await net.nodes["v0"].reseed("elsewhere@v1")
        await net.nodes["v2"].reseed("elsewhere@v1")
        await net.until(lambda: all(node.chain.outlook.log.epoch == 1 for node in net.nodes.values()))
        await set_validators(net, "v2", "v0", "v1", "v3")
        await net.settled()
        await net.do("v3", 2)
        await net.restart()
        assert {node.chain.outlook.log for node in net.nodes.values()} == {(1, "elsewhere@v1")}
        assert {read_in_force(net.stores[name], net.genesis).epoch for name in net.validators} == {1}
        await net.do("v3")
        await net.settled()
        assert states_agree(net)
        for name in ("v0", "v1"):
            await net.nodes[name].reseed()
        await net.until(lambda: all(node.chain.outlook.log.epoch == 2 for node in net.nodes.values()))
        await net.do("v3", 2)
        await net.settled()
        assert states_agree(net)
        await net.stop()

    net.run(scenario())


def test_one_that_was_away_while_the_set_changed_twice_follows() -> None:
    net = Consortium(5)

    async def scenario() -> None:
        await net.start("v0", "v1", "v2", "v3")
        await net.do("v0")
        await set_validators(net, "v3", "v1", "v2", "v0", "v4")
        await net.do("v2", 2)
        await set_validators(net, "v4", "v1", "v2", "v0", "v3")
        await net.do("v2", 2)
        await net.start("v4")
        await net.settled()
        await net.do("v4", 2)
        await net.settled()
        assert states_agree(net)
        await net.stop()

    net.run(scenario())


def test_an_admitted_node_observes_until_it_is_ready_and_then_votes() -> None:
    net = Consortium(observers=0)

    async def scenario() -> None:
        await net.start()
        person = net.world.people["new"] = Person("ops", "new")
        grant = op.KeyGrant(key=person.key, person="ops", purposes=EVERYTHING)
        contact = op.Contact(address="new.example:7451", tls_keys=[b"\x30\x03new"])
        admitted = op.Admit(
            participant="new",
            name="New",
            roles=["group"],
            keys=[grant],
            contact=contact,
            validator=True,
            node=node_message("new"),
        )
        await decide(net, "v0", admitted, "v1", "v2")
        await net.start("new")
        height = await net.settled()
        message = readiness_message(ORIGIN, "new", node_keys("new"), height)
        signed = {role: ed25519.sign(seed_of("new", role), message) for role in ROLES}
        raw = net.world.transaction("new", op.Ready(participant="new", height=height, **signed))
        await net.hand_in("v1", net.world.submission("new", raw))
        await net.until(lambda: net.nodes["new"].may_author)
        await net.do("v0", 2)
        await net.stop("v3")
        await net.do("v1", 2)
        await net.settled()
        assert states_agree(net, "v0", "new")
        assert public_of("new", "vote") in net.nodes["v0"].chain.finality.reign.policy.vote_keys
        await net.stop()

    net.run(scenario())


def test_a_lost_vote_key_is_replaced_and_its_node_votes_again() -> None:
    net = Consortium()

    async def scenario() -> None:
        await net.start()
        await net.do("v0")
        await net.stop("v3")
        gone = Batch()
        for key, _ in net.stores["v3"].scan(Family.JOURNAL):
            gone.delete(Family.JOURNAL, key)
        net.stores["v3"].commit(gone)
        await net.start("v3")
        assert net.nodes["v3"].chain.outlook.health.stopped is not None
        raw = net.world.transaction("v3", op.RotateKey(node=op.NodeKeys(vote=public_of("v3 again", "vote"))))
        answered = await net.hand_in("v0", net.world.submission("v3", raw))
        assert answered.submission.answers[0].reason == 0
        height = await net.settled()
        await net.stop("v3")
        replace_journal(net.stores["v3"], net.genesis.network, public_of("v3 again", "vote"), height)
        net.vote_names["v3"] = "v3 again"
        await net.start("v3")
        await net.stop("v2")
        await net.do("v0", 2)
        assert net.nodes["v3"].chain.outlook.health.signs
        await net.stop()

    net.run(scenario())
