"""Ports for a trial: free, beside each other, and out of the way of connections."""

from __future__ import annotations

import secrets
import socket

import pytest

from network import ports
from network.ports import HIGHEST, LOWEST, NoPorts, find_ports, is_free


def test_they_are_free_beside_each_other_and_below_those_of_connections() -> None:
    found = find_ports(4)
    assert found == list(range(found[0], found[0] + 4))
    assert LOWEST <= found[0] <= found[-1] <= HIGHEST < 32_768


def test_one_that_somebody_listens_on_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    first, *_, last = find_ports(3)
    monkeypatch.setattr(ports, "_given", set())
    monkeypatch.setattr(secrets, "randbelow", lambda below: first - LOWEST)
    with socket.create_server(("127.0.0.1", last)):
        assert (is_free(first), is_free(last)) == (True, False)
        assert find_ports(2) == [first, first + 1]
        with pytest.raises(NoPorts, match="no 3 free ports"):
            find_ports(3)
        with pytest.raises(NoPorts):
            find_ports(1)


@pytest.mark.parametrize("port", [-1, 65_536])
def test_what_is_no_port_is_not_free(port: int) -> None:
    assert not is_free(port)
