"""What waits outlives the process, keeps its age, is tried again more and more rarely, and never grows without end."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import Change, ChangeKind, Moment
from hub.inbound import journal
from hub.inbound import waiting as module
from hub.inbound.refusals import Refusal, Why
from hub.inbound.waiting import AGAIN_MAX_MS, AGAIN_MS, REFUSED_MAX_MS, Waiting, WaitingList
from keeling.serials import parse

NOT_HERE = Refusal(Why.UNKNOWN_UNITS, "none of these")
SERIALS = parse("29001-1-9-VCS-VCU-1491-VER-RW-3-9101-01102024-31122024-0")


def event(name: str = "e1", at_ms: int = 1, kind: ChangeKind = ChangeKind.RETIRED) -> Change:
    return Change(name, kind, at_ms, SERIALS)


def open_list(folder: Path, now_ms: int = 7) -> WaitingList:
    return WaitingList(folder / "waiting", lambda: now_ms)


@given(
    st.builds(
        Change,
        id=st.text(min_size=1),
        kind=st.sampled_from(ChangeKind),
        at_ms=st.integers(),
        serials=st.sampled_from([None, SERIALS, parse("UKA-5-" + "9" * 60)]),
        account=st.text(),
        to_account=st.text(),
        reference=st.text(),
        key=st.text(),
        effective=st.none() | st.builds(Moment, st.integers(), st.booleans()),
        details=st.dictionaries(st.text(), st.text()),
        evidence=st.binary(),
        due_ms=st.integers(),
        answers=st.text(),
    ),
    st.sampled_from(Why),
)
def test_what_is_kept_is_read_as_it_was(tmp_path_factory: pytest.TempPathFactory, change: Change, why: Why) -> None:
    folder = tmp_path_factory.mktemp("hub")
    kept = open_list(folder)
    kept.add("verra", change, "B", Refusal(why, change.account))
    kept.flush()
    (found,) = open_list(folder, 99).list_all("verra")
    assert found == Waiting("verra", change, "B", 7, Refusal(why, change.account))
    assert open_list(folder).list_all("puro") == []


def test_an_event_keeps_its_age_and_the_newest_reason_and_goes_when_it_is_taken(tmp_path: Path) -> None:
    first = open_list(tmp_path)
    first.add("verra", event("e2", 2), "B", NOT_HERE)
    first.add("verra", event("e1", 1), "B", NOT_HERE)
    first.flush()
    later = open_list(tmp_path, 50)
    later.add("verra", event("e1", 1), "B", Refusal(Why.LEDGER_REFUSED, "NOT_PERMITTED: no"))
    later.flush()
    told = [(each.change.id, each.since_ms, each.refusal.why) for each in open_list(tmp_path).list_all("verra")]
    assert told == [("e1", 7, Why.LEDGER_REFUSED), ("e2", 7, Why.UNKNOWN_UNITS)]
    later.remove("verra", "e1")
    later.remove("verra", "never there")
    later.flush()
    assert [each.change.id for each in open_list(tmp_path).list_all("verra")] == ["e2"]


@pytest.mark.parametrize(
    ("refusal", "most"), [(NOT_HERE, AGAIN_MAX_MS), (Refusal(Why.LEDGER_REFUSED, "no"), REFUSED_MAX_MS)]
)
def test_it_is_tried_again_at_once_then_more_and_more_rarely(tmp_path: Path, refusal: Refusal, most: int) -> None:
    now = 1_000
    kept = WaitingList(tmp_path, lambda: now)
    kept.add("verra", event(), "B", refusal)
    tried = []
    for now in range(1_000, 1_000 + 6 * most, 1_000):
        tried += [now] * len(kept.list_due("verra"))
    pauses = [after - before for before, after in pairwise(tried)]
    assert pauses[:3] == [AGAIN_MS, 2 * AGAIN_MS, 4 * AGAIN_MS]
    assert pauses[-1] == most == max(pauses)
    kept.remove("verra", "e1")
    kept.add("verra", event(), "B", NOT_HERE)
    assert len(kept.list_due("verra")) == 1, "another one under the same name begins anew"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 2, "waiting": []}', b'{"format": 1}', b"\xff"])
def test_a_file_that_cannot_be_read_is_no_reason_not_to_start(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "waiting").mkdir()
    (tmp_path / "waiting" / "verra.json").write_bytes(content)
    kept = open_list(tmp_path)
    assert kept.list_all("verra") == []
    kept.add("verra", event(), "B", NOT_HERE)
    kept.flush()
    assert len(open_list(tmp_path).list_all("verra")) == 1


def test_a_change_costs_what_it_says_however_much_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "SLACK", 10)
    monkeypatch.setattr(journal, "_put", put := Counted(journal._put))
    kept = open_list(tmp_path)
    for number in range(200):
        kept.add("verra", event(f"e{number}"), "B", NOT_HERE)
        kept.flush()
    for number in range(190):
        kept.remove("verra", f"e{number}")
        kept.flush()
    row = put.sizes[0]
    assert sum(put.sizes) < 6 * 200 * row, "written anew at each change, it would be a hundred times as much"
    assert (tmp_path / "waiting" / "verra.json").stat().st_size < 40 * row
    assert [each.change.id for each in open_list(tmp_path).list_all("verra")] == sorted(
        f"e{n}" for n in range(190, 200)
    )


class Counted:
    """Counts what is written."""

    def __init__(self, put: Callable[[int, bytes], None]) -> None:
        self.put, self.sizes = put, list[int]()

    def __call__(self, file: int, said: bytes) -> None:
        self.sizes.append(len(said))
        self.put(file, said)


def test_a_file_cut_short_anywhere_keeps_what_was_written_before_and_goes_on(tmp_path: Path) -> None:
    kept, file = open_list(tmp_path), tmp_path / "waiting" / "verra.json"
    sizes = {}
    for name in ("a", "b", "c"):
        kept.add("verra", event(name), "B", NOT_HERE)
        kept.flush()
        sizes[name] = file.stat().st_size
    kept.remove("verra", "b")
    kept.flush()
    whole = file.read_bytes()
    for cut in range(sizes["b"] - 5, len(whole) + 1):
        file.write_bytes(whole[:cut])
        again = open_list(tmp_path)
        names = {each.change.id for each in again.list_all("verra")}
        wanted = {name for name, size in sizes.items() if cut >= size} - ({"b"} if cut == len(whole) else set())
        assert names == wanted, cut
        again.add("verra", event("d"), "B", NOT_HERE)
        again.flush()
        assert {each.change.id for each in open_list(tmp_path).list_all("verra")} == wanted | {"d"}, cut


def test_what_a_full_disk_did_not_take_is_written_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = open_list(tmp_path)
    kept.add("verra", event("a"), "B", NOT_HERE)
    kept.flush()
    put = journal._put

    def half(file: int, said: bytes) -> None:
        put(file, said[: len(said) // 2])
        raise OSError(errno.ENOSPC, "no space left")

    kept.add("verra", event("b"), "B", NOT_HERE)
    monkeypatch.setattr(journal, "_put", half)
    for _ in range(2):
        with pytest.raises(OSError, match="no space"):
            kept.flush()
        assert [each.change.id for each in open_list(tmp_path).list_all("verra")] == ["a"]
    monkeypatch.setattr(journal, "_put", put)
    kept.flush()
    assert [each.change.id for each in open_list(tmp_path).list_all("verra")] == ["a", "b"]


def test_a_folder_that_is_deleted_under_it_is_filled_again(tmp_path: Path) -> None:
    kept = open_list(tmp_path)
    kept.add("verra", event("a"), "B", NOT_HERE)
    kept.flush()
    shutil.rmtree(tmp_path / "waiting")
    kept.add("verra", event("b"), "B", NOT_HERE)
    kept.flush()
    assert [each.change.id for each in open_list(tmp_path).list_all("verra")] == ["a", "b"]


def test_what_was_kept_as_one_document_is_read(tmp_path: Path) -> None:
    kept, file = open_list(tmp_path), tmp_path / "waiting" / "verra.json"
    kept.add("verra", event("a"), "B", NOT_HERE)
    kept.flush()
    row = json.loads(file.read_bytes().splitlines()[1])["row"]
    file.write_text(json.dumps({"format": 1, "waiting": [row]}))
    old = open_list(tmp_path)
    assert [each.change.id for each in old.list_all("verra")] == ["a"]
    old.add("verra", event("b"), "B", NOT_HERE)
    old.flush()
    assert [each.change.id for each in open_list(tmp_path).list_all("verra")] == ["a", "b"]


def test_what_there_is_no_room_for_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_MAX", 2)
    kept = open_list(tmp_path)
    for name in ("a", "b", "c", "d", "a"):
        kept.add("verra", event(name), "B", NOT_HERE)
    assert [each.change.id for each in kept.list_all("verra")] == ["a", "b"]
    assert kept.left_out == {"verra": 2}


ADVICE = [
    (Why.UNKNOWN_REGISTRY, "", ChangeKind.ISSUED, "registry:verra"),
    (Why.LEDGER_REFUSED, "NOT_PERMITTED: no", ChangeKind.ISSUED, "name us"),
    (Why.LEDGER_REFUSED, "LEVIES_DISAGREE: less", ChangeKind.ISSUED, "what the ledger names"),
    (Why.UNKNOWN_UNITS, "", ChangeKind.ISSUED, "registries.issued"),
    (Why.UNKNOWN_UNITS, "", ChangeKind.RETIRED, "keeling import"),
]


@pytest.mark.parametrize(("why", "detail", "kind", "said"), ADVICE)
def test_it_says_what_a_person_can_do(why: Why, detail: str, kind: ChangeKind, said: str) -> None:
    assert said in Waiting("verra", event(kind=kind), "B", 1, Refusal(why, detail)).advice
