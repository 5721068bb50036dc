"""Opening systems: what live needs is said before anything is sent."""

from __future__ import annotations

import pytest

from adapters.contract import Driver, Settings, System
from adapters.systems import SYSTEMS, CannotOpenError, open_system


def secrets(**known: str) -> Settings:
    return Settings("", lambda name: known.get(name.replace("-", "_"), ""))


@pytest.mark.parametrize(
    ("name", "driver", "settings", "words"),
    [
        ("nowhere", Driver.SANDBOX, secrets(), "no system 'nowhere'"),
        ("verra", Driver.FILE, secrets(), "keeling import --registry verra"),
        ("verra", Driver.LIVE, secrets(), "verra has no live driver; it has file, sandbox"),
        ("puro", Driver.FILE, secrets(), "puro has no file driver; it has sandbox, live"),
        ("puro", Driver.LIVE, secrets(), "missing url, secret 'key-id', secret 'key-secret'"),
        ("puro", Driver.LIVE, secrets(key_id="a", key_secret="b")._replace(base_url="http://x"), "is not https"),
    ],
)
def test_what_cannot_be_opened_says_why(name: str, driver: Driver, settings: Settings, words: str) -> None:
    with pytest.raises(CannotOpenError, match=words):
        open_system(name, driver, settings)


def test_live_opens_with_everything_it_needs() -> None:
    settings = secrets(key_id="a", key_secret="b")._replace(base_url="https://uat.example")
    assert open_system("puro", Driver.LIVE, settings).driver is Driver.LIVE


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=lambda system: system.name)
def test_every_assumption_is_marked(system: System) -> None:
    assert "facts" in system.marks
    assert system.basis
    assert all(item.says for item in system.basis)
