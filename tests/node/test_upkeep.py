"""Warnings of a certificate's end: each threshold is said once, a renewal ends them, and files that do not fit show.

So do keys that the ledger does not name.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from network.certificates import create_tls_key, issue_certificate
from network.transport import TlsFiles
from node.upkeep import Upkeep

START = datetime(2027, 1, 1, tzinfo=UTC)


class Watched:
    """A node's TLS files in a folder, a clock that tests move, and what was said."""

    def __init__(self, folder: Path) -> None:
        self.now = START
        self.said: list[str] = []
        self._authority = create_tls_key(folder / "key")
        self._certificate = folder / "certificate"
        self.renew()
        self.wrong: tuple[str, ...] = ()
        files = TlsFiles(folder / "key", self._certificate)
        self.upkeep = Upkeep("natreg", files, lambda: self.now, lambda: self.wrong)

    def renew(self) -> None:
        pem = issue_certificate(
            self._authority, network="registry.example/one", participant="natreg", now=self.now, days=40
        )
        self.replace(pem)

    def replace(self, pem: bytes) -> None:
        fresh = self._certificate.with_suffix(".new")
        fresh.write_bytes(pem)
        fresh.rename(self._certificate)

    def after(self, days: float) -> list[str]:
        """What is said when so many days have passed since the start, looked at twice."""
        self.now, self.said = START + timedelta(days=days), []
        for _ in range(2):
            self.upkeep.tell(self.said.append)
        return self.said


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_each_threshold_is_said_once_and_holds_until_the_renewal(watched: Watched) -> None:
    days = (0, 9, 11, 12, 27, 28, 34, 35, 39.5, 40.5, 41)
    said = {day: watched.after(day) for day in days}
    assert [day for day, texts in said.items() if texts] == [11, 27, 34, 40.5]
    assert all(len(texts) <= 1 for texts in said.values())
    assert said[11] == ["the certificate of natreg ends in 29 days, on 2027-02-10 00:00 UTC: renew it"]
    assert "ended on 2027-02-10" in said[40.5][0]
    assert watched.upkeep.find_warnings() == said[40.5]
    watched.renew()
    assert watched.upkeep.certificate_ends == watched.now + timedelta(days=40)
    assert (watched.upkeep.find_warnings(), watched.after(41)) == ([], [])
    assert len(watched.after(72)) == 1, "the new certificate has thresholds of its own"


def test_files_that_cannot_be_used_are_said_while_the_old_ones_serve(watched: Watched) -> None:
    watched.replace(b"half of it")
    (problem,) = watched.after(1)
    assert "is not a PEM certificate" in problem
    assert watched.upkeep.find_warnings() == [problem]
    assert watched.after(2) == []
    watched.renew()
    assert (watched.after(3), watched.upkeep.find_warnings()) == ([], [])


def test_keys_that_the_ledger_does_not_name_are_said_with_what_they_cost_and_what_to_do(watched: Watched) -> None:
    watched.wrong = ("vote", "log")
    (told,) = watched.after(1)
    assert told.startswith("the ledger names another vote key, another log key for the node of natreg than it has (")
    assert "it does not vote; it signs no checkpoint as the log" in told
    assert "keeling key node FOLDER/card.json" in told
    assert watched.upkeep.find_warnings() == [told]
    watched.wrong = ("log",)
    (less,) = watched.after(2)
    assert "vote" not in less
    watched.wrong = ()
    assert (watched.after(3), watched.upkeep.find_warnings()) == ([], [])
    watched.wrong = ("log",)
    assert watched.after(4) == [less], "what was well in between is said again"
