"""Rules of the house that a machine can check: imports, purity of the core, sizes, names, generated code."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
GENERATED = {"proto/keeling/operations.py", "proto/keeling/decoding.py"}
OURS = {"keeling", "node", "network", "hub", "adapters", "cli", "tests", "bench"}
PURE = {"keeling", "node.core", "node.finality"}
FORBIDDEN_IN_PURE = {
    *("time", "datetime", "random", "secrets", "os", "io", "pathlib", "socket", "threading", "asyncio", "logging"),
    *("subprocess", "locale", "uuid", "structlog", "grpc", "rocksdict", "aiohttp", "requests", "tempfile", "shutil"),
}

MAY_IMPORT = {
    "keeling": {"keeling"},
    "node.core": {"keeling", "node.core"},
    "node.finality": {"keeling", "node.finality"},
    "node": {"keeling", "network", "node"},
    "network": {"keeling", "network"},
    "adapters": {"adapters", "keeling.serials"},
    "hub": {"keeling", "network", "adapters", "hub"},
    "cli": {"keeling", "network", "adapters", "hub", "cli"},
    "cli.audit": {"keeling", "network", "cli", "node"},
    "cli.audit_succession": {"keeling", "cli", "node"},
    "bench": {"keeling", "network", "adapters", "bench", "cli", "node"},
    "docs.samples.liars": {"keeling", "network", "node"},
}
"""Who may import whom of ours: the longest matching name decides. The hub reaches a node only over gRPC."""


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


PYTHON = [path for path in tracked("*.py") if "/v1/" not in str(path)]
SOURCE = [path for path in PYTHON if path.relative_to(ROOT).parts[0] not in ("tests", "bench")]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def module_of(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[0] == "proto":
        parts = parts[1:]
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_within(module: str, names: set[str]) -> bool:
    return any(module == name or module.startswith(name + ".") for name in names)


@pytest.mark.parametrize("path", SOURCE, ids=relative)
def test_imports_go_the_documented_way(path: Path) -> None:
    module = module_of(path)
    rules = [name for name in MAY_IMPORT if is_within(module, {name})]
    if not rules:
        assert relative(path) == "proto/generate.py", f"{module} is in no row of the import table"
        return
    allowed = MAY_IMPORT[max(rules, key=len)]
    if module.startswith("adapters"):
        allowed = allowed | {"keeling"} if module == "adapters.contract" else allowed
    for name in imports_of(path):
        if name.split(".")[0] in OURS:
            top = {a.split(".")[0] for a in allowed}
            assert is_within(name, allowed) or (name in top and name != "keeling"), f"{module} imports {name}"


@pytest.mark.parametrize("path", [p for p in SOURCE if is_within(module_of(p), PURE)], ids=relative)
def test_pure_code_has_no_outside_world(path: Path) -> None:
    for name in imports_of(path):
        assert name.split(".")[0] not in FORBIDDEN_IN_PURE, f"{module_of(path)} imports {name}"
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("open", "print", "input", "hash", "float"), f"{relative(path)}:{node.lineno}"
        if is_within(module_of(path), {"node.core"}) and isinstance(node, ast.Constant):
            assert not isinstance(node.value, float), f"{relative(path)}:{node.lineno} has a float"


@pytest.mark.parametrize("path", PYTHON, ids=relative)
def test_files_and_functions_have_one_subject(path: Path) -> None:
    if relative(path) in GENERATED:
        return
    text = path.read_text()
    assert text.count("\n") <= FILE_LINES_MAX, f"{relative(path)} is too long: it has two subjects"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            assert lines <= FUNCTION_LINES_MAX, f"{relative(path)}:{node.lineno} {node.name} has {lines} lines"


@pytest.mark.parametrize("path", SOURCE, ids=relative)
def test_modules_say_what_they_are(path: Path) -> None:
    text = path.read_text()
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), f"{relative(path)} has no first paragraph"


@pytest.mark.parametrize("path", PYTHON, ids=relative)
def test_nothing_is_left_unfinished_or_swallowed(path: Path) -> None:
    text = path.read_text()
    marks = re.search(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b", text)
    assert not marks, f"{relative(path)} has an unfinished place: {marks}"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ExceptHandler):
            assert not (len(node.body) == 1 and isinstance(node.body[0], ast.Pass)), f"{relative(path)}:{node.lineno}"


def test_no_name_clashes() -> None:
    """Our top-level packages must not hide, or be hidden by, anything installed; and no vague names."""
    for name in sorted(OURS - {"tests", "bench"}):
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert str(ROOT) in str(spec.origin or spec.submodule_search_locations)
        assert name not in sys.stdlib_module_names
    for path in PYTHON:
        assert not re.search(r"(^|_)(utils?|helpers?|managers?|misc|common)(_|$)", path.stem), relative(path)


def test_generated_code_is_fresh(tmp_path: Path) -> None:
    """What is committed is what the .proto files give today."""
    protos = [relative(p).removeprefix("proto/") for p in tracked("proto/keeling/v1/*.proto")]
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", str(ROOT / "proto"), f"--python_out={tmp_path}"]
    command += [f"--grpc_python_out={tmp_path}", f"--descriptor_set_out={tmp_path / 'all.binpb'}", "--include_imports"]
    command += [f"--mypy_out=quiet:{tmp_path}", f"--mypy_grpc_out=quiet:{tmp_path}"]
    plugins = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run([*command, *protos], check=True, cwd=ROOT, capture_output=True, env=plugins)
    (tmp_path / "keeling").mkdir(exist_ok=True)
    subprocess.run(
        [sys.executable, "proto/generate.py", str(tmp_path / "all.binpb"), str(tmp_path)], check=True, cwd=ROOT
    )
    made = [tmp_path / "keeling/operations.py", tmp_path / "keeling/decoding.py"]
    subprocess.run(
        [Path(sys.executable).parent / "ruff", "format", "-q", "--config", ROOT / "pyproject.toml", *made], check=True
    )
    for path in [*tmp_path.glob("keeling/v1/*.py"), *tmp_path.glob("keeling/v1/*.pyi"), *made]:
        committed = ROOT / "proto" / path.relative_to(tmp_path)
        assert committed.read_text() == path.read_text(), f"{relative(committed)} is stale: run make proto"
