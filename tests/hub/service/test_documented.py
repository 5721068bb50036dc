"""docs/hub.md has every key of group.toml, every call, every refusal and every figure; nothing there is made up."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from google.rpc import code_pb2
from pydantic import BaseModel

from hub.service.config import (
    Article6Section,
    AttestingSection,
    CallerSection,
    HubConfig,
    IssuedSection,
    LedgerSection,
    PeerSection,
    RegistrySection,
    RuleSection,
)
from hub.service.problems import NAMES
from hub.service.routes import ROUTES
from keeling.v1 import hub_pb2 as hub

PAGE = (Path(__file__).parents[3] / "docs" / "hub.md").read_text("utf-8")
SECTIONS: dict[str, type[BaseModel]] = {
    "": HubConfig,
    "ledger.": LedgerSection,
    "registries.": RegistrySection,
    "registries.issued.": IssuedSection,
    "callers.": CallerSection,
    "article6.": Article6Section,
    "attesting.": AttestingSection,
    "peers.": PeerSection,
    "rules.": RuleSection,
}
KEYS = sorted(
    f"{section}{name}"
    for section, model in SECTIONS.items()
    for name in model.model_fields
    if f"{section}{name}." not in SECTIONS
)
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ")]


@pytest.mark.parametrize("key", KEYS)
def test_every_key_is_documented(key: str) -> None:
    assert any(f"`{key}`" in row.split("|")[1] for row in ROWS)


def test_no_key_is_documented_that_is_none() -> None:
    table = PAGE.partition("## The file")[2].partition("\n## ")[0]
    named = {
        key for row in table.splitlines() if row.startswith("| `") for key in re.findall("`(.*?)`", row.split("|")[1])
    }
    assert named == set(KEYS)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_call_is_documented_with_who_may_make_it(route: object) -> None:
    path, method, role, rpc = (getattr(route, name) for name in ("path", "method", "role", "rpc"))
    row = next(row for row in ROWS if f"{path}`" in row and method in row)
    cells = [cell.strip() for cell in row.split("|")]
    assert cells[2] == (f"`{rpc}`" if rpc else "")
    assert cells[3].startswith(role or "anybody")


@pytest.mark.parametrize("name", NAMES)
def test_every_refusal_is_documented_with_its_code(name: str) -> None:
    row = next(row for row in ROWS if f"`{name}`" in row.split("|")[1])
    said = row.split("|")[3].strip()
    assert said in ("", code_pb2.Code.Name(NAMES[name]))


def test_every_method_says_in_the_manual_who_may_call_and_whether_to_retry() -> None:
    text = (Path(__file__).parents[3] / "proto" / "keeling" / "v1" / "hub.proto").read_text("utf-8")
    for method in hub.DESCRIPTOR.services_by_name["Hub"].methods:
        before = text.partition(f"rpc {method.name}(")[0]
        said = before[before.rindex("\n\n") :] if "\n\n" in before else before
        assert "Role: " in said, method.name
        assert re.search(r"retry|repeat|go on|start from", said), method.name
