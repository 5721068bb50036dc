"""A network file: what it says, what it bears, and every mistake with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from network.plan import NetworkPlan, Organisation, compute_tolerance, format_plan, load_plan, parse_plan
from network.settings import ConfigError

FOUR = NetworkPlan(
    origin="ledger.example/four",
    organisations=tuple(
        Organisation(id=name, name=name.title(), roles=("registry", "bank"), listen=f"127.0.0.1:{7461 + at}")
        for at, name in enumerate(("natreg", "acme", "power", "audit"))
    ),
)


def test_what_is_written_is_read() -> None:
    seen = FOUR.organisations[3].model_copy(update={"validator": False, "card": Path("cards/audit.json")})
    plan = FOUR.model_copy(update={"organisations": (*FOUR.organisations[:3], seen), "ordering": "jetstream"})
    assert parse_plan(format_plan(plan)) == plan
    assert [each.id for each in plan.validators] == ["natreg", "acme", "power"]


@pytest.mark.parametrize(
    ("validators", "line"),
    [
        (1, "1 validator: 0 may be down, 0 may lie; 1 decide. Tamper-evident, not tamper-proof"),
        (2, "2 validators: 0 may be down, 0 may lie; 2 decide. One that stops, stops everything: have four"),
        (3, "3 validators: 0 may be down, 0 may lie; 3 decide. One that stops, stops everything: have four"),
        (4, "4 validators: 1 may be down, 1 may lie; 3 decide"),
        (5, "5 validators: 1 may be down, 1 may lie; 4 decide"),
        (7, "7 validators: 2 may be down, 2 may lie; 5 decide"),
    ],
)
def test_what_it_bears(validators: int, line: str) -> None:
    assert compute_tolerance(validators).describe() == line


ORGANISATION = '[[organisations]]\nid = "natreg"\nlisten = "127.0.0.1:7461"\n'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("origin", "network.toml is not TOML"),
        (ORGANISATION, "network.toml: origin is missing"),
        ('origin = "a b"\n' + ORGANISATION, "network.toml line 1: origin: 'a b' cannot name a network"),
        ('origin = "a.example"\n', "0 validators; a network has 1 to 32"),
        (
            f'origin = "a.example"\n{ORGANISATION}lissen = "x"\n',
            "network.toml line 5: unknown key organisations.0.lissen: did you mean listen?",
        ),
        (
            f'origin = "a.example"\n{ORGANISATION}roles = ["group", "regsitry"]\n',
            "network.toml line 5: organisations.0.roles.1: 'regsitry' is no role",
        ),
        (f'origin = "a.example"\n{ORGANISATION}{ORGANISATION}', "two organisations have the id natreg"),
        (
            f'origin = "a.example"\n{ORGANISATION}metrics = "127.0.0.1:7461"\n',
            "two nodes, or a node and its figures, would listen at 127.0.0.1:7461",
        ),
        (f'origin = "a.example"\nordering = "kafka"\n{ORGANISATION}', "network.toml line 2: ordering: "),
    ],
)
def test_mistakes(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_plan(text)
    assert len(refusal.value.problems) == 1
    assert refusal.value.problems[0].startswith(problem) or problem in refusal.value.problems[0]


def test_cards_lie_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "network.toml").write_text(f'origin = "a.example"\n{ORGANISATION}card = "cards/n.json"\n')
    assert load_plan(tmp_path / "network.toml").organisations[0].card == tmp_path / "cards" / "n.json"


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="start from `keeling network new`"):
        load_plan(tmp_path / "network.toml")
