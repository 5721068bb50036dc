"""A trial network that orders on NATS servers of its own: up, used, down, and up again."""

from __future__ import annotations

from network.jetstream_servers import is_healthy
from network.jetstream_trial import read_places
from tests.cli.command_line import Keeling


def test_a_network_with_three_nats_servers_comes_up_and_goes_down(keeling: Keeling) -> None:
    file = keeling.root / "nats.toml"
    file.write_text(
        'origin = "nats.example"\nordering = "embedded"\n'
        '[[organisations]]\nid = "natreg"\nroles = ["registry"]\nlisten = "127.0.0.1:0"\n'
    )
    refused = keeling("network", "up", file, "--ordering", "pigeons")
    assert (refused.code, "no ordering engine" in refused.err) == (2, True)
    try:
        keeling.must("network", "up", file, "--ordering", "jetstream")
        assert keeling.json("network", "plan", file)["ordering"] == "jetstream"
        places = read_places(keeling.root / "nats")
        assert [is_healthy(place) for place in places] == [True] * 3
        text = (keeling.root / "nats" / "natreg" / "node.toml").read_text("utf-8")
        assert all(place.url in text for place in places)
    finally:
        keeling.must("network", "down", file)
    assert [is_healthy(place) for place in places] == [False] * 3
    refused = keeling("network", "up", file, "--ordering", "embedded")
    assert (refused.code, "was made with ordering jetstream" in refused.err) == (1, True)
    try:
        keeling.must("network", "up", file)
    finally:
        keeling.must("network", "down", file)
