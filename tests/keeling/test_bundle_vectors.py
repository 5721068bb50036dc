"""Recorded bundles stay good for ever, and no change of a byte, a part or an order in them passes.

The vectors are read with the public package alone, as a stranger would.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keeling.bundle import Failure, format_manifest, parse_bundle
from keeling.verify import verify_bundle
from tests.keeling.bundle_forgery import data_of, failure_of, genesis, parts_of, seal, vectors

STRIDE = 11
"""Of forged contents every eleventh byte is tried: a prime, so that all bits and fields have their turn."""
SLICES = 6
"""The bytes of a bundle are tried in this many tests, so that several processes share them."""


NAMES = ("whole", "cut")


@pytest.mark.parametrize("name", NAMES)
def test_recorded_bundle_is_good(name: str) -> None:
    recorded = next(item for item in vectors()["bundles"] if item["name"] == name)
    verdict = verify_bundle(data_of(name), genesis())
    assert verdict.failure is None
    assert verdict.headline == recorded["verdict"]
    assert verdict.scope == recorded["scope"]
    assert verdict.facts is not None
    assert verdict.facts.height == recorded["height"]


def test_verifying_needs_nothing_of_the_node() -> None:
    """G9: code that shares nothing with the node."""
    code = "import sys, keeling.verify; print([m for m in sys.modules if m.split('.')[0] in ('node', 'hub', 'cli')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("piece", range(SLICES))
@pytest.mark.parametrize("name", NAMES)
def test_every_changed_byte_is_caught_and_named(name: str, piece: int) -> None:
    data = data_of(name)
    for at in range(piece, len(data), SLICES):
        changed = bytearray(data)
        changed[at] ^= 1 << (at % 8)
        failure = failure_of(bytes(changed))
        assert failure is not None, f"byte {at}"
        assert failure.where
        assert failure.what
        assert failure.expected != failure.found


@pytest.mark.parametrize("name", NAMES)
def test_changed_bytes_are_caught_though_the_manifest_fits(name: str) -> None:
    """A forger makes the manifest anew; what the validators signed still gives the contents away."""
    bundle = parse_bundle(data_of(name))
    parts = parts_of(bundle)
    places = [(number, offset) for number, part in enumerate(parts) for offset in range(len(part))]
    for number, offset in places[::STRIDE]:
        changed = bytearray(parts[number])
        changed[offset] ^= 0x80 >> (offset % 8)
        forged = seal(bundle, [*parts[:number], bytes(changed), *parts[number + 1 :]])
        assert failure_of(forged) is not None, f"part {number}, byte {offset}"


@pytest.mark.parametrize("name", NAMES)
def test_no_part_can_be_cut_doubled_or_moved(name: str) -> None:
    bundle = parse_bundle(data_of(name))
    parts, infos = parts_of(bundle), bundle.manifest.parts
    arrangements = []
    for n in range(len(parts)):
        rest = [i for i in range(len(parts)) if i != n]
        arrangements += [rest, [*range(len(parts)), n], [*rest, n], [n, *rest]]
    for order in arrangements:
        if order == list(range(len(parts))):
            continue
        manifest = bundle.manifest._replace(parts=tuple(infos[i] for i in order))
        forged = format_manifest(manifest) + b"".join(parts[i] for i in order)
        assert (failure_of(forged) is None) == (order == [0, 1, 2, 3] and name == "cut"), order


def test_a_cut_may_show_nothing_and_says_so() -> None:
    """A cut claims nothing about what it leaves out, so one with no block is good and counts none."""
    bundle = parse_bundle(data_of("cut"))
    manifest = bundle.manifest._replace(parts=bundle.manifest.parts[:4])
    verdict = verify_bundle(format_manifest(manifest) + b"".join(parts_of(bundle)[:4]), genesis())
    assert verdict.scope.startswith("0 transactions and 0 events of expiry of account alice-main")


@pytest.mark.parametrize("name", NAMES)
def test_truncated_or_prolonged_bundle_is_refused(name: str) -> None:
    data = data_of(name)
    for size in range(0, len(data), 97):
        assert failure_of(data[:size]) is not None
    for surplus in (b"\x00", b"\n", data):
        failure = failure_of(data + surplus)
        assert failure == Failure("bundle", "bytes after the last part", "0", str(len(surplus)))


@pytest.mark.parametrize("name", NAMES)
def test_another_genesis_is_refused(name: str) -> None:
    other = genesis().replace(b'"Alice"', b'"Alicf"')
    assert other != genesis()
    failure = verify_bundle(data_of(name), other).failure
    assert failure is not None
    assert failure.what == "network (SHA-256 of the genesis file)"


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=60)
@given(st.data(), st.sampled_from(NAMES))
def test_spliced_parts_get_a_verdict(data: st.DataObject, name: str) -> None:
    """Whatever stands in the parts: an answer, never another error."""
    bundle = parse_bundle(data_of(name))
    parts = parts_of(bundle)
    number = data.draw(st.integers(0, len(parts) - 1))
    at = data.draw(st.integers(0, len(parts[number])))
    removed, junk = data.draw(st.integers(0, 40)), data.draw(st.binary(max_size=40))
    changed = parts[number][:at] + junk + parts[number][at + removed :]
    parts[number], same = changed, changed == parts[number]
    assert (failure_of(seal(bundle, parts)) is None) == same
