"""Every sandbox by the registry it stands in for, one line each, filled so that there is something to work on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from adapters.sandbox.cadt import CadtSandbox
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.gold_standard import GoldStandardSandbox
from adapters.sandbox.icm import IcmSandbox
from adapters.sandbox.irec import IrecSandbox
from adapters.sandbox.isometric import IsometricSandbox
from adapters.sandbox.national_62 import NationalSandbox
from adapters.sandbox.puro import PuroSandbox
from adapters.sandbox.server import Sandbox
from adapters.sandbox.uk_ets import UkEtsSandbox
from adapters.sandbox.unfccc import UnfcccSandbox
from adapters.sandbox.verra import VerraSandbox


def _puro(clock: SandboxClock) -> Sandbox:
    sandbox = PuroSandbox(clock)
    sandbox.fill()
    return sandbox


def _verra(clock: SandboxClock) -> Sandbox:
    sandbox = VerraSandbox(clock)
    sandbox.fill()
    return sandbox


def _uk_ets(clock: SandboxClock) -> Sandbox:
    sandbox = UkEtsSandbox(clock)
    sandbox.fill()
    return sandbox


def _unfccc(clock: SandboxClock) -> Sandbox:
    sandbox = UnfcccSandbox(clock)
    sandbox.fill()
    return sandbox


def _cadt(clock: SandboxClock) -> Sandbox:
    sandbox = CadtSandbox(clock)
    sandbox.fill()
    return sandbox


def _national_62(clock: SandboxClock) -> Sandbox:
    sandbox = NationalSandbox(clock)
    sandbox.fill()
    return sandbox


def _gold_standard(clock: SandboxClock) -> Sandbox:
    sandbox = GoldStandardSandbox(clock)
    sandbox.fill()
    return sandbox


def _icm(clock: SandboxClock) -> Sandbox:
    sandbox = IcmSandbox(clock)
    sandbox.fill()
    return sandbox


def _irec(clock: SandboxClock) -> Sandbox:
    sandbox = IrecSandbox(clock)
    sandbox.fill()
    return sandbox


def _isometric(clock: SandboxClock) -> Sandbox:
    sandbox = IsometricSandbox(clock)
    sandbox.fill()
    return sandbox


SANDBOXES: Final[Mapping[str, Callable[[SandboxClock], Sandbox]]] = {
    "cadt": _cadt,
    "gold_standard": _gold_standard,
    "irec": _irec,
    "isometric": _isometric,
    "puro": _puro,
    "verra": _verra,
    "uk_ets": _uk_ets,
    "unfccc": _unfccc,
    "national_62": _national_62,
    "icm": _icm,
}
"""What makes a sandbox with units in it, on a given clock."""
