"""Imports point one way, and the pure modules stay pure (docs/concepts/conventions.md, the design's layout)."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import countenance

ROOT = Path(countenance.__file__).parent

# Each layer may import itself and what stands before it; so may its members each other.
LAYERS = [
    {
        "errors",
        "types",
        "geometry",
        "color",
        "progress",
        "atomic",
        "digest",
        "fonts",
        "memory",
        "allocator",
        "serving",
        "curves",
    },
    {"config"},
    {"vault"},
    {"project"},
    {"media", "perception"},
    {"consent"},
    {"faceset"},
    {"training"},
    {"conversion"},
    {"provenance"},
    {"evaluation"},
    {"render", "live", "playback", "forgetting"},
    {"api", "api_consent", "api_evaluate", "api_ledger", "api_provenance", "api_verify"},
    {"demo", "commands", "cli", "__main__"},
]
LEVEL = {name: number for number, layer in enumerate(LAYERS) for name in layer}
HEAVY = {"torch", "onnxruntime", "av", "onnx", "ai_edge_litert", "c2pa"}


def imports_of(path: Path) -> set[str]:
    """Every module that a file imports at run time, lazily or not; type-checking imports do not count."""
    tree = ast.parse(path.read_text())
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            skipped.update(child for statement in node.body for child in ast.walk(statement))
    found = set()
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def layer_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


FILES = [path for path in sorted(ROOT.rglob("*.py")) if path.name != "__init__.py" or path.parent != ROOT]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_stands_before_it(path: Path) -> None:
    mine = layer_of(path)
    assert mine in LEVEL, f"{mine} has no place in the order of layers: add it to LAYERS"
    for name in imports_of(path):
        parts = name.split(".")
        if parts[0] != "countenance" or len(parts) < 2 or parts[1] not in LEVEL:
            continue
        assert LEVEL[parts[1]] <= LEVEL[mine], f"{mine} imports {name}"


@pytest.mark.parametrize("module", ["types", "geometry", "color", "errors", "progress", "atomic"])
def test_the_pure_modules_load_no_network_and_no_decoder(module: str) -> None:
    code = f"import sys, countenance.{module}; print(','.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split(",")
    assert not HEAVY & {name.strip().split(".")[0] for name in loaded}


def test_nothing_unpickles() -> None:
    for path in FILES:
        text = path.read_text()
        assert not {"pickle", "dill", "joblib", "marshal", "shelve"} & {n.split(".")[0] for n in imports_of(path)}, path
        assert "allow_pickle=True" not in text, path
        assert "torch.load(" not in text, path


def test_no_file_is_longer_than_400_lines() -> None:
    for folder in (ROOT, ROOT.parents[1] / "tests", ROOT.parents[1] / "bench"):
        for path in folder.rglob("*.py"):
            assert len(path.read_text().splitlines()) <= 400, path
