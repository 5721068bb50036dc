"""The benchmark runs from end to end at a tiny size and leaves nothing behind. No time measured here is looked at."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest
from rich.console import Console

from adapters.capabilities import Limit
from adapters.exports import UnitRow
from adapters.registry import parse_file
from bench import peer, postgres
from bench.__main__ import run
from bench.client import Refused, send
from bench.figures import Figure, Section, compute_percentile, convert_sections, format_value, print_sections, with_aim
from bench.node_figures import open_ledger
from bench.node_process import NodeFailed, NodeProcess, measure_folder, running
from bench.parse import make_verra_export
from bench.sizes import Sizes

TINY = Sizes(
    limit_seconds=0.01,
    accounts=2,
    calls=1,
    growth=1,
    single_calls=1,
    light=3,
    network_calls=1,
    network_single=1,
    peer_commits=2,
    peer_single=5,
    parse_rows=60,
    join_lots=2_000,
    hub_events=2,
    seconds_max=60.0,
)


def children() -> set[str]:
    return {child for path in Path("/proc/self/task").glob("*/children") for child in path.read_text().split()}


def test_a_run_gives_every_figure_and_leaves_nothing_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "is_available", lambda: False)  # has a test of its own below
    monkeypatch.setattr("bench.__main__._measure_imports", lambda root, sizes: [])
    monkeypatch.setattr("bench.hub.LIMIT", Limit(60, 600, stated=True))
    before = children()
    with (tmp_path / "progress").open("w") as progress:
        sections = run(tmp_path, TINY, Console(file=progress))
    assert children() <= before
    figures = {figure.name: figure for section in sections for figure in section.figures}
    assert all(figure.value > 0 for figure in figures.values() if not figure.name.startswith("processor time"))
    single = figures["final transactions, one signature each"]
    assert single.beside == figures["Ed25519 verify, one core"].value
    assert single.aim
    assert single.met is not None
    assert any(name.startswith("the same after 500 more") for name in figures)
    assert any(section.about.startswith("intact and final to height") for section in sections)
    assert json.loads(json.dumps(convert_sections(sections)))[0]["title"] == "Limits of this machine"
    with (tmp_path / "table").open("w+") as file:
        print_sections(Console(file=file, width=200), sections)
        file.seek(0)
        table = file.read()
    assert all(name in table for name in figures)


@pytest.mark.skipif(not postgres.is_available(), reason="the `bench` extra is not installed")
def test_the_peer_keeps_its_sums_and_stops() -> None:
    before = children()
    with tempfile.TemporaryDirectory() as folder:  # not below pytest's own, which is closed to the server's user
        Path(folder).chmod(0o755)
        found = peer.measure_peer(Path(folder) / "peer", TINY)
    assert found.together > 0
    assert found.single > 0
    assert children() <= before


def test_a_load_of_refusals_is_no_measurement(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "one", 2)
    with running(ledger.folder), pytest.raises(Refused, match="account"):
        send(ledger.home, ledger.make_together(1).calls, 1, 20.0)  # no account was opened before
    assert not list(ledger.home.glob("calls-*"))


def test_a_node_that_cannot_start_says_why(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "one", 2)
    ledger.folder.genesis.unlink()
    node = NodeProcess(ledger.folder, tmp_path / "log")
    with pytest.raises(NodeFailed, match="genesis"):
        node.wait_serving()
    with pytest.raises(NodeFailed, match="ended with 1"):
        node.stop()


def test_the_made_up_export_is_read_whole() -> None:
    records = list(parse_file("verra", make_verra_export(7), file_name="made-up.csv").rows())
    assert [type(record) for record in records] == [UnitRow] * 7


def test_figures_are_ratios_with_aims() -> None:
    figure = Figure("rate", 30.0, "/s", 60.0, "limit")
    assert figure.ratio == 0.5
    assert Figure("rate", 30.0, "/s").ratio is None
    assert with_aim(figure, 0.6, "≥ 60 %", of_ratio=True).met is False
    assert with_aim(figure, 20, "≥ 20/s").met is True
    plain = convert_sections([Section("title", "about", (figure,))])
    assert plain[0]["figures"][0]["ratio"] == 0.5


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([5.0], 0.99, 5.0), ([3.0, 1.0, 2.0], 0.5, 2.0), ([float(i) for i in range(100)], 0.99, 99.0)],
)
def test_percentiles_are_values_that_occurred(values: list[float], share: float, expected: float) -> None:
    assert compute_percentile(values, share) == expected


@pytest.mark.parametrize(("value", "text"), [(12345.6, "12,346 B"), (0.01234, "0.0123 B"), (999.0, "999 B")])
def test_values_are_short(value: float, text: str) -> None:
    assert format_value(value, "B") == text


def test_folders_are_measured_with_what_lies_below(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(os.urandom(10_000))
    assert measure_folder(tmp_path) >= 10_000
