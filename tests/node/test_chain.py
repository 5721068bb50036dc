"""The chain commits each final block in one write: every step broken twice, then restarted and compared (G5, G8)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from random import Random

import pytest

from keeling import ed25519
from keeling.checkpoint import check_final
from keeling.ed25519 import check_signature
from keeling.entry import Entry, format_entry
from keeling.policy import parse_policy
from keeling.reasons import Reason
from keeling.v1 import operations_pb2 as op
from node.archive import height_key, read_archive
from node.chain import Chain
from node.door import Admitted, admit
from node.finality.events import Reason as Stop
from node.finality.health import Cause
from node.intake import Full, Limits
from node.ledger import ChainError, create_ledger, read_height
from node.ordering.contract import Ordered
from node.outcome import FinalBlock
from node.replica import Replica
from node.signing import Author, ValidatorKeys
from node.store.contract import Family, Store, StoreFailed
from node.store.memory import MemoryStore
from node.verify import Verifier
from tests.fakes.faulty_store import FaultyStore
from tests.fakes.memory_ordering import MemoryEngine
from tests.fakes.memory_peers import MemoryNetwork, run_inline
from tests.fakes.policies import seed_of
from tests.fakes.world import World

PROGRAMME = op.SetRecord(
    id="nat",
    version=1,
    source="test",
    programme=op.Programme(
        registry="reg", native=True, grain="T_CO2E", scheme="opaque", transfer_rule=op.Programme.FREE, retirable=True
    ),
)


def signer(role: str) -> Callable[[bytes], bytes]:
    return lambda message: ed25519.sign(seed_of(role), message)


KEYS = ValidatorKeys(ed25519.public_key(seed_of("vote")), signer("vote"), signer("log"), signer("cosigner"))


@pytest.fixture
def world() -> World:
    return World({"reg": ["registry"], "alice": ["group"], "bob": ["group"]}, records=[PROGRAMME])


def story(world: World) -> list[bytes]:
    """Submissions of a short life: accounts, an issuance, transfers, one of which is refused."""
    transfer = op.UnitLeg(from_account="A", to_account="B", selection=op.Selection(units=400))
    raws = [
        world.transaction("alice", op.OpenAccount(account="A", owner="alice")),
        world.transaction("bob", op.OpenAccount(account="B", owner="bob")),
        world.transaction("reg", op.RegisterProject(project="p", programme="nat", name="P")),
        world.transaction(
            "reg",
            op.Issue(
                batch="b",
                project="p",
                programme="nat",
                space="s",
                first_number="1",
                units=1000,
                extent=op.Issue.EXACT,
                account="A",
            ),
        ),
        world.transaction("alice", op.Transfer(units=[transfer])),
        world.transaction("alice", op.Transfer(units=[transfer])),
        world.transaction("alice", op.Transfer(units=[transfer])),
        world.transaction("bob", op.Retire(account="B", selection=op.Selection(units=100))),
    ]
    by = ["alice", "bob", "reg", "reg", "alice", "alice", "alice", "bob"]
    return [world.submission(name, raw) for name, raw in zip(by, raws, strict=True)]


def entries(world: World) -> list[Ordered]:
    made = []
    for number, submission in enumerate(story(world), start=1):
        entry = Entry(world.genesis.network, world.node.key, number, world.now_ms + number, (submission,))
        made.append(Ordered(number, format_entry(entry, world.node.sign)))
    return made


def open_chain(store: Store, world: World, keys: ValidatorKeys | None = KEYS) -> Chain:
    return Chain(store, world.genesis, keys, world.now_ms)


def new_store(world: World) -> MemoryStore:
    store = MemoryStore()
    create_ledger(store, world.genesis, KEYS.vote_key)
    return store


def content(store: Store) -> dict[Family, list[tuple[bytes, bytes]]]:
    return {family: list(store.scan(family)) for family in Family}


def run_all(chain: Chain, ordered: list[Ordered], now_ms: int) -> Iterator[FinalBlock]:
    for item in ordered:
        if item.position > chain.outlook.cursor.position:
            yield from chain.take(chain.outlook.log, item, now_ms).blocks


def test_every_entry_becomes_a_final_block_with_a_checkpoint_anyone_can_check(world: World) -> None:
    store = new_store(world)
    chain = open_chain(store, world)
    blocks = list(run_all(chain, entries(world), world.now_ms))
    assert [b.block.header.height for b in blocks] == list(range(1, 9))
    reasons = [b.archived.submissions[0].answers[0].reason for b in blocks]
    assert reasons == [0, 0, 0, 0, 0, 0, Reason.INSUFFICIENT_UNITS, 0]
    note = store.get(Family.BLOCKS, height_key(b"k", 8))
    assert note is not None
    final = check_final(note, parse_policy(world.genesis.policy))
    assert final.checkpoint.root == chain.overlay.final.frontier.root()
    assert final.checkpoint.size == chain.overlay.final.frontier.size


def test_same_entries_on_another_store_give_the_same_bytes(world: World) -> None:
    """G6: state, log and answers are a function of the entries."""
    ordered = entries(world)
    first, second = new_store(world), new_store(world)
    list(run_all(open_chain(first, world), ordered, world.now_ms))
    list(run_all(open_chain(second, world), ordered, world.now_ms + 500))
    assert content(first) == content(second)


@pytest.mark.parametrize("took_effect", [False, True])
@pytest.mark.parametrize("step", range(1, 9))
def test_restart_after_a_failed_commit_loses_and_doubles_nothing(world: World, step: int, took_effect: bool) -> None:
    ordered = entries(world)
    expected = new_store(world)
    list(run_all(open_chain(expected, world), ordered, world.now_ms))

    inner = new_store(world)
    store = FaultyStore(inner)
    chain = open_chain(store, world)
    store.fail_commit(step, took_effect=took_effect)
    with pytest.raises(StoreFailed):
        list(run_all(chain, ordered, world.now_ms))
    assert read_height(inner) == step - 1 + took_effect

    again = open_chain(store.restart(), world)
    list(run_all(again, ordered, world.now_ms))
    assert content(inner) == content(expected)


def test_replayed_entries_make_no_block(world: World) -> None:
    """An old entry of a member offered again, forged or foreign ones: passed over, nothing stops (G10)."""
    store, ordered = new_store(world), entries(world)
    chain = open_chain(store, world)
    list(run_all(chain, ordered, world.now_ms))
    before = content(store)
    foreign = Entry(bytes(32), world.node.key, 99, world.now_ms, ())
    stranger = Entry(world.genesis.network, world.people["alice"].key, 99, world.now_ms, ())
    offered = [
        ordered[3].entry,
        ordered[3].entry[:-1] + b"\x00",
        b"junk",
        b"\x00" * 300,
        format_entry(foreign, world.node.sign),
        format_entry(stranger, world.people["alice"].sign),
    ]
    for position, raw in enumerate(offered, start=9):
        assert chain.take(chain.outlook.log, Ordered(position, raw), world.now_ms).blocks == ()
    assert content(store) == before


def test_a_block_far_ahead_of_the_clock_waits_for_it(world: World) -> None:
    store, ordered = new_store(world), entries(world)
    early = world.now_ms - 120_000
    chain = Chain(store, world.genesis, KEYS, early)
    assert chain.take(chain.outlook.log, ordered[0], early).blocks == ()
    assert chain.outlook.health.cause is Cause.CLOCK
    assert read_height(store) == 0
    blocks = chain.tick(world.now_ms).blocks
    assert [b.block.header.height for b in blocks] == [1]


def test_a_restored_backup_observes(world: World) -> None:
    """The vote journal is never in a backup: a node on one serves and does not sign (design §4.8)."""
    store, ordered = new_store(world), entries(world)
    list(run_all(open_chain(store, world), ordered[:4], world.now_ms))
    restored = MemoryStore()
    for family, rows in content(store).items():
        if family is not Family.JOURNAL:
            for key, value in rows:
                restored._tables[family][key] = value
    chain = open_chain(restored, world)
    assert chain.outlook.health.stopped is Stop.JOURNAL_LOST
    assert list(run_all(chain, ordered, world.now_ms)) == []
    assert read_archive(restored, 4) == read_archive(store, 4)


def test_a_store_of_another_network_is_refused(world: World) -> None:
    store = new_store(world)
    other = World({"else": ["registry"]})
    with pytest.raises(ChainError, match="genesis file is of"):
        Chain(store, other.genesis, KEYS, world.now_ms)


# -- the replica around it


def admitted(world: World, chain: Chain, raws: list[bytes]) -> list[Admitted]:
    return admit(raws, world.genesis.network, chain.overlay.state, 500)


async def with_replica(world: World, store: Store, engine: MemoryEngine, limits: Limits = Limits()) -> Replica:
    chain = open_chain(store, world)
    replica = Replica(
        chain,
        engine,
        MemoryNetwork().peers_of("reg"),
        Verifier(1),
        Author(world.node.key, world.node.sign),
        clock_ms=lambda: world.now_ms,
        run_in_thread=run_inline,
        random=Random(1),
        limits=limits,
    )
    await replica.start()
    return replica


def test_callers_are_answered_once_their_block_is_final(world: World) -> None:
    async def scenario() -> None:
        store = new_store(world)
        replica = await with_replica(world, store, MemoryEngine())
        raws = story(world)
        opened = await replica.submit(admitted(world, replica.chain, raws[:3]))
        assert [a.submission.answers[0].reason for a in opened] == [0, 0, 0]
        assert {a.place.height for a in opened} == {1}, "what waits together is ordered together"
        assert [a.place.ordinal for a in opened] == [0, 1, 2]
        again = await replica.submit(admitted(world, replica.chain, raws[:1]))
        assert again[0].submission.answers[0].reason == Reason.DUPLICATE
        assert replica.height == read_height(store) == 2
        await replica.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize("took_effect", [False, True])
def test_an_unknown_append_is_repeated_with_the_same_entry(world: World, took_effect: bool) -> None:
    async def scenario() -> None:
        ordering = MemoryEngine()
        store = new_store(world)
        replica = await with_replica(world, store, ordering)
        ordering.find(0).leave_unanswered(took_effect=took_effect)
        answered = await replica.submit(admitted(world, replica.chain, story(world)[:1]))
        assert answered[0].submission.answers[0].reason == Reason.ACCEPTED
        assert read_height(store) == 1
        await replica.stop()

    asyncio.run(scenario())


def test_an_entry_ordered_before_a_crash_is_taken_after_it(world: World) -> None:
    """Ordered but not committed: nothing was promised, and nothing is lost."""

    async def scenario() -> None:
        ordering, inner = MemoryEngine(), new_store(world)
        store = FaultyStore(inner)
        replica = await with_replica(world, store, ordering)
        store.fail_commit(1, took_effect=False)
        with pytest.raises(StoreFailed):
            await replica.submit(admitted(world, replica.chain, story(world)[:1]))
        with pytest.raises(StoreFailed):
            await replica.submit([])
        await replica.stop()
        assert read_height(inner) == 0
        again = await with_replica(world, store.restart(), ordering)
        assert again.height == read_height(inner) == 1
        await again.stop()

    asyncio.run(scenario())


def test_a_full_node_says_so_and_orders_nothing(world: World) -> None:
    async def scenario() -> None:
        store = new_store(world)
        replica = await with_replica(world, store, MemoryEngine(), Limits(waiting_bytes=10))
        with pytest.raises(Full, match="try again"):
            await replica.submit(admitted(world, replica.chain, story(world)[:1]))
        assert read_height(store) == 0
        await replica.stop()

    asyncio.run(scenario())


def test_signatures_checked_ahead_are_not_checked_again() -> None:
    verifier = Verifier(1)
    seed = seed_of("log")
    claim = (ed25519.public_key(seed), ed25519.sign(seed, b"m"), b"m")
    forged = (claim[0], claim[1], b"n")
    try:
        many = [claim, forged] * 5
        assert asyncio.run(verifier.check_many(many)) == [True, False] * 5
        assert verifier.check(*claim)
        assert not verifier.check(*forged)
        assert check_signature(*claim)
    finally:
        verifier.close()
